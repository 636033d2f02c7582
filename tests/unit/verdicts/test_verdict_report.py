"""Verdicts as text and pictures: what is said is what was found."""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from rich.console import Console

from discsim.report.sensitivity import print_sensitivities
from discsim.report.verdict import percent, print_comparison
from discsim.report.verdict_plots import deciding_inputs, drawable, paired_differences, save_all
from discsim.study.check import CheckedSample, Compared, Confirmation
from discsim.study.ensemble import Ensemble
from discsim.study.sensitivity import sensitivities
from discsim.study.verdict import compare

YEAR = 365.25 * 86400.0
MakeEnsemble = Callable[..., Ensemble]


def text_of(printer: Callable[[Console], None]) -> str:
    stream = io.StringIO()
    printer(Console(file=stream, width=200))
    return stream.getvalue()


def comparison_text(ensemble: Ensemble, confirmation: Confirmation | None = None, **keywords: object) -> str:
    found = compare(ensemble, **keywords)  # type: ignore[arg-type]
    return text_of(lambda console: print_comparison(found, console, confirmation))


def checked(*rankings: str) -> Confirmation:
    """A check of viable_cells at ten years with these outcomes."""
    samples = tuple(
        CheckedSample(
            number,
            "",
            {},
            {},
            (Compared("viable_cells", "mg", 10.0 * YEAR, {}, {}, 0.01 * (number + 1), 1e-4 * (number + 1), word),),  # type: ignore[arg-type]
        )
        for number, word in enumerate(rankings)
    )
    return Confirmation("fem", 0.01, samples)


# --- words --------------------------------------------------------------------------------------------------------------


def test_sentences_say_what_was_found(clinic: Ensemble) -> None:
    text = comparison_text(clinic)
    pair = compare(clinic).verdicts[0].pair("cells", "untreated")
    assert pair.better is not None and pair.better.probability is not None and pair.better.low is not None
    share = f"{100 * pair.better.probability:.0f} % ({100 * pair.better.low:.0f}-{100 * (pair.better.high or 0):.0f} %)"
    assert f"cells beats untreated in {share} of 253 samples by viable_cells at 10 year" in text
    # 4e-5 x 50^0.4
    assert "it wins in 100 % (" in text and "where nutrition.endplate_clearance > 1.9e-4 mm/s and in 0 % (" in text
    assert "gene and untreated are equal in all 256 samples by viable_cells at 10 year" in text
    assert "256 samples (random, seed 5) of 4 varied numbers; 253 are good in all of untreated, cells, gene" in text
    assert "left out: cells nonconverged in 2 samples (3, 17): why 3" in text
    assert "oxygen_min (mg) at 10 year: neither more nor less is better; no ranking" in text
    assert "the reference engine has not checked this sweep" in text


def test_structure_is_not_called_pain(clinic: Ensemble) -> None:
    assert "gag_nucleus (mg) at 10 year: higher is better (structure, which is not pain; " in comparison_text(clinic)


def test_assumptions_name_what_nobody_measured_and_not_the_dose(clinic: Ensemble) -> None:
    text = comparison_text(clinic, readouts=["viable_cells"])
    (line,) = [line for line in text.splitlines() if line.startswith("assumed, not measured")]
    assert line.rstrip() == (
        "assumed, not measured: decides: nutrition.endplate_clearance (recalled); varied too: gene.TIMP3.loss_effect (assumed)"
    )


def test_chance_is_told_as_chance(make_ensemble: MakeEnsemble, clinic: Ensemble) -> None:
    base, noise = np.full(256, 40.0), np.random.default_rng(2).normal(size=256)
    ensemble = make_ensemble({"a": {"viable_cells": base}, "b": {"viable_cells": base + noise}}, clinic.inputs)
    assert "no input decides: no cut on one and no border between two tells the winner better" in comparison_text(ensemble)


def test_harm_is_told_with_its_margin(make_ensemble: MakeEnsemble) -> None:
    base, change = np.full(20, 10.0), np.array([1.0] * 10 + [-0.1] * 5 + [-1.0] * 5)
    ensemble = make_ensemble({"a": {"ph_min": base}, "b": {"ph_min": base + change}}, units={"ph_min": "1"})
    assert "b is worse than a in 50 % (" in comparison_text(ensemble)
    assert "b is worse than a by more than 0.5 in 25 % (" in comparison_text(ensemble, margins={"ph_min": 0.5})


def test_check_is_told_with_what_it_did_not_confirm(clinic: Ensemble) -> None:
    one = comparison_text(clinic, checked("confirmed", "confirmed"), readouts=["viable_cells"])
    assert (
        "the reference engine (fem) confirmed the order in 2 of 2 samples; the engines differ by at most 0.02 mg (0.02 %)" in one
    )
    mixed = comparison_text(
        clinic, checked("confirmed", "too close to call", "reversed", "not finished"), readouts=["viable_cells"]
    )
    assert (
        "the reference engine (fem) confirmed the order in 1 of 3 samples; 1 too close to call (within 1 %); 1 REVERSED; "
        "1 without numbers in one of the engines" in mixed
    )
    assert "has not checked gag_nucleus at 10 year" in comparison_text(clinic, checked("confirmed"), readouts=["gag_nucleus"])


def test_chosen_samples_are_told_as_chosen(clinic: Ensemble) -> None:
    text = comparison_text(dataclasses.replace(clinic, design_kind="grid", seed=None), readouts=["viable_cells"])
    assert "they were chosen, not drawn, so shares are of these samples alone and have no interval" in text
    interval = r"\d+ % \(\d+-\d+ %\)"
    assert re.search(interval, comparison_text(clinic, readouts=["viable_cells"])) and not re.search(interval, text)


def test_ensemble_without_a_good_sample_is_told(make_ensemble: MakeEnsemble) -> None:
    base = np.full(2, 10.0)
    ensemble = make_ensemble({"a": {"ph_min": base}, "b": {"ph_min": base}}, failed={"b": dict.fromkeys(range(2), "timeout")})
    assert "no sample is good in every arm: there is no order to state" in comparison_text(ensemble)


@pytest.mark.parametrize(
    ("share", "words"), [(0.0, "0 %"), (0.001, "<1 %"), (0.5, "50 %"), (0.999, ">99 %"), (1.0, "100 %"), (None, "no samples")]
)
def test_none_and_all_are_kept_for_none_and_all(share: float | None, words: str) -> None:
    assert percent(share) == words


def test_sensitivity_table_holds_inputs_and_dummy(clinic: Ensemble) -> None:
    found = sensitivities(clinic, readouts=["viable_cells"])
    text = text_of(lambda console: print_sensitivities(found, console))
    assert "viable_cells (mg) at 10 year, cells less untreated" in text
    assert "253 samples (3 failed ones left out)" in text
    assert "above the dummy: nutrition.endplate_clearance" in text
    assert "a dummy input" in text
    assert "does not vary in the swept box" in text  # gene less untreated


# --- pictures -----------------------------------------------------------------------------------------------------------


def labels_apart(figure: Figure) -> bool:
    """Whether titles and labels of a panel lie inside the picture."""
    figure.canvas.draw()
    inside = figure.bbox
    boxes = [axes.title.get_window_extent() for axes in figure.axes] + [
        axis.label.get_window_extent() for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) if axis.label.get_text()
    ]
    return all(inside.x0 - 1 <= box.x0 and box.x1 <= inside.x1 + 1 and inside.y0 - 1 <= box.y0 for box in boxes)


def test_differences_are_drawn_for_every_arm_and_readout(clinic: Ensemble) -> None:
    found = compare(clinic, flips=False)
    figure = paired_differences(clinic, found.verdicts)
    shown = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title() for axes in shown] == [
        "viable_cells (right is better)",
        "gag_nucleus (right is better)",
        "oxygen_min",
    ]
    assert [label.get_text().splitlines()[0] for label in shown[0].get_yticklabels()] == ["cells", "gene"]
    assert shown[0].get_xlabel() == "mg"
    points = max((line for line in shown[0].get_lines()), key=lambda line: len(line.get_xdata()))
    assert len(points.get_xdata()) == 256  # of gene; three of cells failed
    assert labels_apart(figure)


def test_deciding_inputs_are_drawn_on_their_scales(clinic: Ensemble) -> None:
    verdict = compare(clinic, readouts=["viable_cells"]).verdicts[0]
    assert [(flip.first, flip.second) for flip in drawable(verdict)] == [("cells", "untreated"), ("cells", "gene")]
    figure = deciding_inputs(clinic, verdict)
    axes = figure.axes[0]
    assert axes.get_xlabel() == "nutrition.endplate_clearance (mm/s)" and axes.get_xscale() == "log"
    dashed = [line for line in axes.get_lines() if line.get_linestyle() == "--"]
    assert [float(line.get_xdata()[0]) for line in dashed] == [pytest.approx(4e-5 * 50.0**0.4, rel=0.05)]
    legend = axes.get_legend()
    assert legend is not None
    words = [text.get_text() for text in legend.get_texts()]
    won = verdict.pair("cells", "untreated").better
    assert won is not None and words == [f"cells wins ({won.count})", f"untreated wins ({253 - won.count})"]
    low, high = axes.get_xlim()
    assert low < 4.1e-5 and high > 1.9e-3
    assert labels_apart(figure)


def test_pictures_are_written_where_there_is_something_to_draw(clinic: Ensemble, tmp_path: Path) -> None:
    paths = save_all(clinic, compare(clinic), tmp_path / "new")
    assert [path.name for path in paths] == [
        "paired_differences.png",
        "deciding_inputs_viable_cells.png",
        "deciding_inputs_gag_nucleus.png",
    ]
    for path in paths:
        picture = imread(path)
        assert picture.shape[0] > 400 and picture[..., :3].std() > 0.02


def test_ensemble_without_a_good_sample_is_drawn_empty(make_ensemble: MakeEnsemble) -> None:
    base = np.full(2, 10.0)
    ensemble = make_ensemble({"a": {"ph_min": base}, "b": {"ph_min": base}}, failed={"b": dict.fromkeys(range(2), "timeout")})
    assert labels_apart(paired_differences(ensemble, compare(ensemble).verdicts))
