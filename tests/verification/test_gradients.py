"""Gradients of readouts by numbers of the experiment file: Taylor tests against the sweep engine itself.

The remainder |r(p + h d) - r(p) - h r'(p) d| falls as h^2 where r' is the derivative of what the engine computes. h: shares of
the number, large enough that the remainder is above round-off (1e-11 of a concentration), and small enough that the prestress
takes the same number of rounds.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from discsim.problem.problem import YEAR
from discsim.problem.steps import warped_steps
from discsim.study.config import read_study
from discsim.study.gradient import DifferentiableRun, GradientError, gradient
from discsim.study.messages import ConfigError
from discsim.study.numbers import nominal_values, with_values
from discsim.study.study import Study
from discsim.sweep.engine import SweepEngine

SHIPPED = Path(__file__).resolve().parents[2] / "experiments" / "cells_vs_gene" / "study.toml"
READOUTS = ("gag_nucleus", "disc_height", "glucose_min")
SHORT = (
    "disc.mesh_level=1",
    "duration=1 year",
    'output.times=["0 year", "0.5 year", "1 year"]',
    'readouts.use=["gag_nucleus", "disc_height", "glucose_min"]',
)
CELLS, GENE = "scenarios.cells.therapy.0.", "scenarios.gene.therapy.0."
# Few enough cells that none starves: the published law of starvation has a kink at its threshold, where no Taylor series holds.
# Late enough that the glucose still tells when they came.
CENTRE = (f"{CELLS}at=330 day", f"{CELLS}place=centre", f"{CELLS}dose=3e5 cell")
SWEPT = (
    "nutrition.endplate_clearance",
    "loading.active",
    "matrix_turnover.gag_loss_rate",
    "scenarios.cells.therapy.0.dose",
    "stem_cells.np_like_gag_synthesis",
    "stem_cells.undifferentiated_demand",
    "gene.TIMP3.loss_effect",
    "gene.TIMP3.silencing_half_life",
)
STEPS = (0.005, 0.0025, 0.00125)
SLOPE = 0.1  # how far the slope of the remainder may be from 2


@functools.cache
def engine() -> SweepEngine:
    """One engine, so that everything is compiled once."""
    return SweepEngine()


@functools.cache
def study(*more: str) -> Study:
    """The shipped experiment for a year on the coarse mesh, at one value each of what its design varies."""
    read = read_study(SHIPPED, (*SHORT, *more))
    return with_values(read, nominal_values(read))


@functools.cache
def run(scenario: str, *more: str) -> DifferentiableRun:
    """The run at the study's own numbers."""
    return DifferentiableRun(study(*more), scenario, engine())


def moved(base: DifferentiableRun, path: str, value: float) -> DifferentiableRun:
    """The run with another value, on the same steps."""
    other = with_values(base.study, {path: value})
    return DifferentiableRun(other, base.scenario, engine(), warped_steps(base.steps, base.problem, other.problem()))


def taylor_slopes(base: DifferentiableRun, path: str, changes: Sequence[float] = ()) -> dict[str, list[float]]:
    """By readout, at the end: base-two logarithm of the fall of the remainder at each halving of the change."""
    value = nominal_values(base.study, [path])[path]
    changes = changes or [h * value for h in STEPS]
    runs = [moved(base, path, value + change) for change in changes]
    assert {len(one.record.history) for one in runs} == {len(base.record.history)}, "steps were cut in some runs only"
    found = {}
    for readout in READOUTS:
        slope = base.slope(readout, YEAR, [path])
        ends = [one.value(readout, YEAR) for one in runs]
        rest = [abs(r - slope.value - h * slope.derivatives[path]) for r, h in zip(ends, changes, strict=True)]
        found[readout] = [float(np.log2(wide / narrow)) for wide, narrow in itertools.pairwise(rest)]
    return found


def assert_second_order(slopes: dict[str, list[float]]) -> None:
    wrong = {readout: found for readout, found in slopes.items() if not np.allclose(found, 2.0, rtol=0.0, atol=SLOPE)}
    assert not wrong


def test_the_design_is_what_is_tested() -> None:
    assert tuple(read_study(SHIPPED).design["vary"]) == SWEPT


@pytest.mark.parametrize("path", [*SWEPT, "materials.NP.shear_modulus", "disc.height"])
def test_remainder_falls_with_the_square_of_the_step(path: str) -> None:
    assert_second_order(taylor_slopes(run("both"), path))


@pytest.mark.parametrize("key", ["at", "volume", "dose"])
def test_remainder_of_a_dose_in_the_centre(key: str) -> None:
    base, path = run("cells", *CENTRE), CELLS + key
    # the volume moves the height by 1e-9 mm: at a change of 1/800 the remainder is 3e-14 of the height, which is round-off
    wider = 4.0 if key == "volume" else 1.0
    assert_second_order(taylor_slopes(base, path, [wider * h * nominal_values(base.study, [path])[path] for h in STEPS]))


def event(path: str, value: str) -> str:
    """A number that changes after three months."""
    return f'scenarios.untreated.events=[{{at="0.25 year", set={{"{path}"="{value}"}}}}]'


LESS_SUPPLY = event("nutrition.endplate_clearance", "9e-5 mm/s")
# Supply settles within hours, so that what it does hardly tells when it changed; what is lost in the meantime does.
FASTER_LOSS = event("matrix_turnover.gag_loss_rate", "0.2 1/year")


@pytest.mark.parametrize(
    ("change", "key"),
    [(FASTER_LOSS, "at"), (FASTER_LOSS, "set.matrix_turnover.gag_loss_rate"), (LESS_SUPPLY, "set.nutrition.endplate_clearance")],
    ids=["time", "loss", "supply"],
)
def test_remainder_of_an_event(change: str, key: str) -> None:
    assert_second_order(taylor_slopes(run("untreated", change), f"scenarios.untreated.events.0.{key}"))


def test_a_number_changed_by_an_event_acts_until_then() -> None:
    """What the scenario has from the start counts with the slope of the time before the event alone."""
    base, path = run("untreated", LESS_SUPPLY), "nutrition.endplate_clearance"
    value = nominal_values(base.study, [path])[path]
    slope = base.slope("gag_nucleus", YEAR, [path]).derivatives[path] * value
    h = 1e-3
    ends = [moved(base, path, value * (1.0 + sign * h)).value("gag_nucleus", YEAR) for sign in (1.0, -1.0)]
    assert slope == pytest.approx((ends[0] - ends[1]) / (2.0 * h), rel=1e-5)


def test_earlier_times_have_their_own_gradient() -> None:
    """Against central differences half-way; later steps do not enter."""
    base, path = run("both"), "gene.TIMP3.loss_effect"
    value = nominal_values(base.study, [path])[path]
    h = 1e-3
    ends = [moved(base, path, value * (1.0 + sign * h)).value("gag_nucleus", 0.5 * YEAR) for sign in (1.0, -1.0)]
    slope = base.slope("gag_nucleus", 0.5 * YEAR, [path]).derivatives[path]
    assert slope * value == pytest.approx((ends[0] - ends[1]) / (2.0 * h), rel=1e-5)


def test_a_number_at_its_bound_has_a_slope() -> None:
    """Differences of the map from file to engine are one-sided there, and exact: it is a straight line."""
    path = "gene.TIMP3.loss_effect"
    none = with_values(study(), {path: 0.0})
    base = DifferentiableRun(none, "both", engine(), run("both").steps)
    assert_second_order(taylor_slopes(base, path, (0.02, 0.01, 0.005)))


def test_gradients_are_the_same_whatever_ran_since() -> None:
    """A run of another disc on the same model in between changes no number."""
    base = run("both")
    before = base.slope("disc_height", 0.5 * YEAR, ["loading.active"])
    fresh = DifferentiableRun(base.study, "both", engine(), base.steps)
    moved(base, "disc.height", 9.0)
    after = fresh.slope("disc_height", 0.5 * YEAR, ["loading.active"])
    assert after.derivatives["loading.active"] == pytest.approx(before.derivatives["loading.active"], rel=1e-9)


def test_what_has_no_derivative_is_refused_in_one_line() -> None:
    base = run("both")
    with pytest.raises(GradientError, match="falls on or passes another time of the calendar"):
        base.slope("gag_nucleus", YEAR, [GENE + "at"])
    with pytest.raises(GradientError, match=r"stands for several numbers that differ; name one of them, such as .*\.NP"):
        base.slope("gag_nucleus", YEAR, ["materials.fixed_charge_density"])
    with pytest.raises(ConfigError, match="unknown path"):
        base.slope("gag_nucleus", YEAR, ["nutrition.nothing"])
    with pytest.raises(GradientError, match="no step ends at"):
        base.slope("gag_nucleus", 0.123 * YEAR, ["loading.active"])
    with pytest.raises(GradientError, match="readout 'ph_min'"):
        base.slope("ph_min", YEAR, ["loading.active"])


def test_homeostasis_is_refused() -> None:
    """The run back does not go through the search for the healthy state, so its number would be wrong."""
    untreated = dataclasses.replace(study().scenarios["untreated"], start="homeostasis")
    healthy = Study({"untreated": untreated}, readouts=READOUTS)
    with pytest.raises(GradientError, match="homeostasis"):
        DifferentiableRun(healthy, "untreated", engine())


def test_an_event_that_changes_nothing_is_refused() -> None:
    """Its number cannot be told from the one before; the derivative by it would come out as zero."""
    with pytest.raises(GradientError, match="sets this number to what it is already"):
        run("untreated", event("nutrition.endplate_clearance", "1e-4 mm/s")).slope(
            "gag_nucleus", YEAR, ["scenarios.untreated.events.0.set.nutrition.endplate_clearance"]
        )


def test_gradient_of_several_readouts() -> None:
    """The function is the run: values and derivatives by readout and path."""
    base = run("both")
    found = gradient(base.study, "both", READOUTS, YEAR, SWEPT[:2], engine(), base.steps)
    assert found == {readout: base.slope(readout, YEAR, SWEPT[:2]) for readout in READOUTS}
