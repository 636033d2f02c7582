"""Whatever numbers a sample names: the study is that of ``--set``; whatever a design asks for: its values follow their laws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from discsim.study.config import ConfigError, study_from_text
from discsim.study.design import draw, nominal_values, sample_study, with_values
from discsim.study.numbers import file_of, limits
from discsim.study.resolve import differences
from discsim.study.sampling import correlated, quantiles, unit_samples

FILE = (Path(__file__).resolve().parents[1] / "data" / "good.toml").read_text()
STUDY = study_from_text(FILE)
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def all_paths() -> list[str]:
    """Every path of the file: short ones, those of therapies by place, and those that scenarios and events (may) set."""
    paths = file_of(STUDY).paths
    short = [
        ".".join(filter(None, (label, key, region)))
        for label, owner in paths.owners.items()
        for key, parameter in owner.parameters.items()
        for region in (None, *parameter.regions)
    ]
    therapies = {"cells": "stem_cells", "gene": "gene.TIMP3"}
    placed = [
        f"scenarios.{name}.therapy.0.{path.removeprefix(label + '.')}"
        for name, label in therapies.items()
        for path in short
        if path.startswith(f"{label}.")
    ]
    shared = [path for path in short if path.split(".")[0] not in ("stem_cells", "gene")]
    set_ones = [f"scenarios.{name}.set.{path}" for name in ("both", "hungry", "gene") for path in shared]
    fixed = ("disc", "materials")
    events = [f"scenarios.fasting.events.0.set.{path}" for path in shared if path.split(".")[0] not in fixed]
    return [*short, *placed, *set_ones, *events, "scenarios.fasting.events.0.at"]


PATHS = all_paths()


@st.composite
def values(draw_: st.DrawFn) -> dict[str, float]:
    """Some numbers, each named once, inside their bounds."""
    found: dict[str, float] = {}
    taken: set[Any] = set()
    for path in draw_(st.lists(st.sampled_from(PATHS), min_size=1, max_size=5, unique=True)):
        (spot,) = file_of(STUDY).find([path]).values()
        if taken & spot.targets:
            continue
        taken |= spot.targets
        low, high = limits(spot)
        found[spot.path] = min(max(low + draw_(st.floats(0.0, 1.0)) * (high - low), low), high)
    return found


def overrides(chosen: dict[str, float]) -> list[str]:
    """The same values as texts of ``--set``."""
    spots = file_of(STUDY).find(chosen)
    units = {path: spot.parameter.unit for path, spot in spots.items()}
    return [f"{path}={chosen[path]!r}{'' if unit == 'dimensionless' else ' ' + unit}" for path, unit in units.items()]


@QUICK
@given(chosen=values())
@example(chosen={"materials.diffusivity_factor": 0.1})  # of which a region has its own in the file
def test_values_by_path_are_overrides_of_the_file(chosen: dict[str, float]) -> None:
    study = with_values(STUDY, chosen)
    again = study_from_text(FILE, overrides(chosen))
    assert differences(study.problem(), again.problem()) == []
    assert differences(study.problem(), study_from_text(study.resolved).problem()) == []
    assert (study.title, study.times, study.steps, study.design) == (STUDY.title, STUDY.times, STUDY.steps, STUDY.design)
    assert nominal_values(study, chosen) == chosen


@QUICK
@given(chosen=values(), other=st.integers(0, 10_000))
def test_nothing_sticks_to_the_study(chosen: dict[str, float], other: int) -> None:
    nominal = STUDY.problem()
    with_values(STUDY, chosen)
    assert differences(nominal, STUDY.problem()) == []
    assert differences(nominal, with_values(STUDY, {}).problem()) == []
    path = PATHS[other % len(PATHS)]
    (spot,) = file_of(STUDY).find([path]).values()
    low, high = limits(spot)
    for wrong in (low - 0.01 * max(abs(low), high - low), high + 0.01 * max(abs(high), high - low), float("inf")):
        with pytest.raises(ConfigError) as caught:
            with_values(STUDY, {path: wrong})
        assert [mistake.key for mistake in caught.value.problems] == [path]


@QUICK
@given(
    kind=st.sampled_from(["random", "sobol"]),
    powers=st.tuples(st.integers(0, 7), st.integers(0, 7)),
    dimensions=st.integers(1, 12),
    seed=st.integers(0, 2**32 - 1),
)
def test_sample_depends_on_seed_and_number_only(kind: str, powers: tuple[int, int], dimensions: int, seed: int) -> None:
    few, many = sorted(2**power for power in powers)
    long = unit_samples(kind, many, dimensions, seed)
    assert unit_samples(kind, few, dimensions, seed).tolist() == long[:few].tolist()
    assert long.min() > 0.0 and long.max() < 1.0
    if kind == "random":  # an input more changes no other
        assert unit_samples(kind, many, dimensions + 1, seed)[:, :dimensions].tolist() == long.tolist()


@QUICK
@given(count=st.integers(1, 200), dimensions=st.integers(1, 6), seed=st.integers(0, 2**32 - 1), tie=st.floats(-0.99, 0.99))
def test_latin_hypercube_fills_every_slice(count: int, dimensions: int, seed: int, tie: float) -> None:
    cube = unit_samples("latin_hypercube", count, dimensions, seed)
    matrix = np.eye(dimensions)
    if dimensions > 1:
        matrix[0, 1] = matrix[1, 0] = tie
    for points in (cube, correlated(cube, matrix, keep_slices=True)):
        for column in points.T:
            assert sorted((column * count).astype(int)) == list(range(count))


def ranges() -> st.SearchStrategy[dict[str, Any]]:
    """Ranges of loading.active, whose bounds are 0.1 to 0.6 MPa."""
    inside = st.floats(0.1, 0.6)
    ends = st.tuples(inside, inside, inside).map(sorted).filter(lambda found: found[2] - found[0] > 1e-6)

    def three(found: list[float]) -> st.SearchStrategy[dict[str, Any]]:
        low, mode, high = (f"{value!r} MPa" for value in found)
        return st.sampled_from(
            [
                {"low": low, "high": high, "scale": "linear"},
                {"low": low, "high": high, "scale": "log"},
                {"dist": "uniform", "low": low, "high": high},
                {"dist": "loguniform", "low": low, "high": high},
                {"dist": "triangular", "low": low, "mode": mode, "high": high},
            ]
        )

    normal = st.builds(
        lambda mean, sd: {"dist": "normal", "mean": f"{mean!r} MPa", "sd": f"{sd!r} MPa"}, inside, st.floats(1e-3, 9)
    )
    lognormal = st.builds(
        lambda mid, gsd: {"dist": "lognormal", "median": f"{mid!r} MPa", "gsd": gsd}, inside, st.floats(1.001, 100)
    )
    return st.one_of(ends.flatmap(three), normal, lognormal)


@settings(max_examples=150, deadline=None)
@given(entry=ranges())
def test_every_value_lies_in_the_bounds_and_none_piles_up(entry: dict[str, Any]) -> None:
    cube = (np.arange(64) + 0.5) / 64
    found = quantiles(entry, "MPa", (0.1, 0.6), cube)
    assert np.all(np.isfinite(found)) and found.min() >= 0.1 and found.max() <= 0.6
    assert np.all(np.diff(found) > 0.0)  # equal values would mean that a part of the distribution was moved to its end


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(["random", "sobol", "latin_hypercube"]), rank=st.floats(-0.9, 0.9))
def test_samples_of_a_design_are_the_file_with_its_values_set(seed: int, kind: str, rank: float) -> None:
    table = f"""[design]
kind = "{kind}"
samples = 4
seed = {seed}
[design.vary]
"nutrition.endplate_clearance" = {{ low = "4e-5 mm/s", high = "2e-3 mm/s", scale = "log" }}
"materials.NP.shear_modulus" = {{ low = "0.02 MPa", high = "0.08 MPa" }}
"scenarios.cells.therapy.0.dose" = {{ dist = "lognormal", median = "6e6 cell", gsd = 2 }}
[design.correlation]
"nutrition.endplate_clearance, scenarios.cells.therapy.0.dose" = {rank!r}
"""
    text = FILE[: FILE.index("[design]")] + FILE[FILE.index("[readouts]") :] + table
    study = study_from_text(text)
    design = draw(study)
    for index in range(design.count):
        again = study_from_text(text, overrides(design.values(index)))
        sample = sample_study(study, design, index)
        assert differences(sample.problem(), again.problem()) == [] and sample.resolved == again.resolved
    assert len({tuple(design.values(index).values()) for index in range(design.count)}) == design.count
