"""Pictures: geometry of the section, what is drawn, and that texts stay apart."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from discsim.problem.problem import YEAR
from discsim.problem.record import ArmRecord
from discsim.problem.status import Status
from discsim.report.plots import colour_limits, field_sections, save_all, time_courses
from discsim.report.section import section
from discsim.study.result import Result, ResultError
from discsim.study.study import Study

ROOT = Path(__file__).resolve().parents[2]
FailedRecord = Callable[[int, float], ArmRecord]


@pytest.fixture
def result(therapy_study: Study, good_records: list[ArmRecord]) -> Result:
    return Result.from_records(therapy_study, good_records)


@pytest.fixture
def half_failed(therapy_study: Study, good_records: list[ArmRecord], failed_record: FailedRecord) -> Result:
    """Gene did not converge after 3 years."""
    good_records[2] = failed_record(2, 3.0)
    return Result.from_records(therapy_study, good_records)


def triangle_areas(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = x.reshape(-1, 3), y.reshape(-1, 3)
    return 0.5 * np.abs((x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0]))


# --- the section ------------------------------------------------------------------------------------------------------


def test_section_is_the_whole_disc(result: Result) -> None:
    before = section(result["untreated"].fields, 0)
    assert (before.x.min(), before.x.max()) == (pytest.approx(-22.9), pytest.approx(22.9))
    assert (before.y.min(), before.y.max()) == (pytest.approx(-4.25), pytest.approx(4.25))
    assert triangle_areas(before.x, before.y).sum() == pytest.approx(45.8 * 8.5)
    for axis in (before.x, before.y):  # every corner has its mirror image
        assert np.array_equal(np.sort(axis), np.sort(-axis))


def test_section_is_deformed(result: Result) -> None:
    after = section(result["untreated"].fields, 1)
    assert after.time == 10 * YEAR
    assert after.x.max() == pytest.approx(22.9 * 1.02)  # the bulge of the synthetic displacement at the mid-plane
    assert after.y.max() == pytest.approx(4.25 * 0.94)


def test_jumps_between_regions_are_kept(result: Result) -> None:
    drawn = section(result["untreated"].fields, 0)
    at_border = np.isclose(drawn.x, 15.2) & (np.abs(drawn.y) < 3.0)
    assert set(np.round(drawn.quantities["matrix"].values[at_border], 6)) == {43.0, 32.0}
    assert drawn.triangles.size == drawn.x.size  # no corner is shared


def test_values_stand_at_their_corners(result: Result) -> None:
    fields = result["cells"].fields
    drawn = section(fields, 0)
    depth = np.exp(-((drawn.x / 14.0) ** 2) - (drawn.y / 3.0) ** 2)
    assert drawn.quantities["glucose"].values == pytest.approx(4.0 - 3.0 * depth)
    assert (drawn.quantities["glucose"].unit, drawn.quantities["cells"].unit) == ("mM", "cell/mm^3")
    native, injected = (fields[name].values[0, 0] for name in ("cell_density", "stem_cells_undifferentiated"))
    assert injected.max() == 700.0
    assert drawn.quantities["cells"].values[: native.size] == pytest.approx((native + injected).ravel())


def test_borders_and_outline(result: Result) -> None:
    drawn = section(result["untreated"].fields, 0)

    def length(lines: np.ndarray) -> float:
        return float(np.linalg.norm(lines[:, 1] - lines[:, 0], axis=1).sum())

    # NP to inner AF, inner to outer AF and CEP to outer AF, endplates; 1.19 mm is the CEP at 85 % of the height
    half, cep = 4.25, 0.7 * 0.85
    assert length(drawn.borders) == pytest.approx(4 * (half - cep) + 4 * half + 4 * 19.0)
    assert length(drawn.outline) == pytest.approx(2 * 45.8 + 2 * 8.5)


def test_fixed_charge_stands_in_for_gag(therapy_study: Study, good_records: list[ArmRecord]) -> None:
    for record in good_records:
        for frame in record.frames:
            del frame.corners["gag"]
    drawn = section(Result.from_records(therapy_study, good_records)["untreated"].fields, 0)
    assert (drawn.quantities["matrix"].label, drawn.quantities["matrix"].unit) == ("fixed charge", "mEq/mL")


def test_three_dimensional_mesh_is_refused(result: Result) -> None:
    fields = result["untreated"].fields
    flat = fields.points
    solid = fields.drop_vars(["points", "displacement", "axis"]).assign(
        points=(("vertex", "axis"), np.column_stack([flat, flat[:, 0]]))
    )
    with pytest.raises(ResultError, match="three-dimensional"):
        section(solid, 0)


# --- the figures ------------------------------------------------------------------------------------------------------


def test_all_pictures_are_written(half_failed: Result, tmp_path: Path) -> None:
    paths = save_all(half_failed, tmp_path / "pictures")
    names = ["time_courses.png", *(f"fields_{name}.png" for name in half_failed.scenario_names)]
    assert [path.name for path in paths] == names
    for path in paths:
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size > 50_000


def test_scenario_without_fields_has_no_picture(therapy_study: Study, good_records: list[ArmRecord], tmp_path: Path) -> None:
    for record in good_records:
        record.frames = []
    good_records[1] = ArmRecord("cells", status=Status.CRASHED)
    paths = save_all(Result.from_records(therapy_study, good_records), tmp_path)
    assert [path.name for path in paths] == ["time_courses.png"]


def test_time_courses_show_every_arm_in_every_panel(half_failed: Result) -> None:
    figure = time_courses(half_failed)
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert len(panels) == 7
    height = next(axes for axes in panels if axes.get_title().startswith("soft height"))
    assert height.get_ylabel() == "mm"
    lines = [line for line in height.lines if line.get_marker() == "None"]
    for line, name in zip(lines, half_failed.scenario_names, strict=True):
        times, values = half_failed[name].series("disc_height")
        assert np.array_equal(line.get_xdata(), times / YEAR)
        assert np.array_equal(line.get_ydata(), values)
    crosses = [line for line in height.lines if line.get_marker() == "X"]
    assert [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in crosses] == [
        (3.0, pytest.approx(8.5 - 0.06 * 0.8 * 3))
    ]
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["untreated", "cells", "gene (nonconverged after 3 year)", "both"]


def test_an_arm_has_one_colour_everywhere(result: Result) -> None:
    panels = [axes for axes in time_courses(result).axes if axes.get_title()]
    colours = {tuple(line.get_color() for line in axes.lines) for axes in panels}
    assert len(colours) == 1
    assert len(set(colours.pop())) == 4


def test_round_off_is_not_blown_up(therapy_study: Study, good_records: list[ArmRecord]) -> None:
    for index, record in enumerate(good_records):
        record.readouts["disc_height"] = [8.5 + 1e-13 * index] * len(record.times)
    figure = time_courses(Result.from_records(therapy_study, good_records))
    height = next(axes for axes in figure.axes if axes.get_title().startswith("soft height"))
    low, high = height.get_ylim()
    assert high - low > 1e-3


def test_short_study_is_drawn_in_days(therapy_study: Study) -> None:
    study = replace(therapy_study, scenarios={"untreated": therapy_study.scenarios["untreated"].with_duration("20 day")})
    readouts = {name: [1.0, 0.9] for name in study.readouts}
    record = ArmRecord("untreated", [0.0, 20 * 86400.0], readouts, status=Status.OK)
    figure = time_courses(Result.from_records(study, [record]))
    assert {axes.get_xlabel() for axes in figure.axes} == {"", "time (day)"}
    assert figure.axes[0].get_xlim() == (0.0, 20.0)


def test_fields_before_and_after_share_one_scale(half_failed: Result) -> None:
    limits = colour_limits(half_failed)
    frames = [frame for name in half_failed.scenario_names for frame in half_failed[name].fields.glucose.values[0]]
    assert limits["glucose"] == (np.min(frames), np.max(frames))
    for name in half_failed.scenario_names:
        figure = field_sections(half_failed, name)
        grid, bars = figure.axes[:8], figure.axes[8:]
        assert len(bars) == 4
        for row, key in enumerate(("glucose", "ph", "cells", "matrix")):
            for axes in grid[2 * row : 2 * row + 2]:
                drawn = axes.collections[0]
                assert drawn.get_clim() == limits[key]
                assert axes.get_aspect() == 1.0
    figure = field_sections(half_failed, "gene")
    assert [axes.get_title() for axes in figure.axes[:2]] == ["0 year, just after the injection", "3 year"]
    assert figure.get_suptitle() == "gene (nonconverged after 3 year): mid-sagittal section"


def test_single_frame_is_drawn_once(therapy_study: Study, good_records: list[ArmRecord]) -> None:
    good_records[0].frames = good_records[0].frames[:1]
    figure = field_sections(Result.from_records(therapy_study, good_records), "untreated")
    assert len(figure.axes) == 8  # four panels, four scales
    assert figure.axes[0].get_title() == "0 year"


def texts(figure: Figure) -> list[Text]:
    """Every text that is drawn: titles, axis labels, legends and those tick labels that lie in view."""
    figure.canvas.draw()
    found = [figure._suptitle, *(text for legend in figure.legends for text in legend.get_texts())]
    for axes in figure.axes:
        if not axes.axison:
            continue
        found.append(axes.title)
        for axis in (axes.xaxis, axes.yaxis):
            found.append(axis.label)
            low, high = sorted(axis.get_view_interval())
            ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            found += [label for tick in ticks for label in (tick.label1, tick.label2)]
    return [text for text in found if text.get_visible() and text.get_text().strip()]


def test_texts_stay_apart_inside_and_legible(half_failed: Result) -> None:
    for figure in (time_courses(half_failed), field_sections(half_failed, "gene"), field_sections(half_failed, "both")):
        drawn = texts(figure)
        assert len(drawn) > 40
        boxes = [(text.get_text(), text.get_window_extent().shrunk(0.98, 0.98)) for text in drawn]
        pairs = itertools.combinations(boxes, 2)
        assert [(a, b) for (a, box), (b, other) in pairs if box.overlaps(other)] == []
        page = figure.bbox
        outside = [words for words, box in boxes if not (page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0)]
        assert outside == []
        assert min(text.get_fontsize() for text in drawn) >= 8.0


def test_global_state_is_left_alone(result: Result, tmp_path: Path) -> None:
    from matplotlib import pyplot

    # Reading the backend would choose one.
    before = {key: value for key, value in matplotlib.rcParams.items() if key != "backend"}
    figures = pyplot.get_fignums()
    save_all(result, tmp_path)
    assert {key: value for key, value in matplotlib.rcParams.items() if key != "backend"} == before
    assert pyplot.get_fignums() == figures


def test_matplotlib_is_loaded_only_to_draw() -> None:
    code = "import sys, discsim.report.plots; print([name for name in sys.modules if name.startswith('matplotlib')])"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
