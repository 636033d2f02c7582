"""The optimiser finds the dose that a grid search finds, in fewer than a tenth of its runs."""

from __future__ import annotations

import dataclasses
import functools
import types
from pathlib import Path

import numpy as np
import pytest

from discsim.problem.problem import YEAR
from discsim.problem.record import ArmRecord
from discsim.problem.status import Failure, Status
from discsim.study.config import read_study
from discsim.study.numbers import with_values
from discsim.study.optimise import Optimum, Trial, _Search, optimise
from discsim.study.optimise_terms import Constraint, Goal, OptimiseError, Variable, parse_constraint, parse_goal, parse_variables
from discsim.study.study import Study
from discsim.sweep.engine import SweepEngine

SHIPPED = Path(__file__).resolve().parents[2] / "experiments" / "cells_vs_gene" / "study.toml"
DOSE = "scenarios.cells.therapy.0.dose"
LOW, HIGH = 1e6, 1.8e7  # cells, as the shipped design has it
LIMIT = 0.5  # mM
SHORT = (
    "disc.mesh_level=1",
    "duration=1 year",
    'output.times=["0 year", "1 year"]',
    'readouts.use=["gag_nucleus", "glucose_min"]',
)


@functools.cache
def engine() -> SweepEngine:
    """One engine, so that everything is compiled once."""
    return SweepEngine()


@functools.cache
def study() -> Study:
    """Cells alone, for a year on the coarse mesh."""
    read = read_study(SHIPPED, SHORT)
    design = {**read.design, "vary": {DOSE: read.design["vary"][DOSE]}}
    return dataclasses.replace(read, scenarios={"cells": read.scenarios["cells"]}, design=design, check={})


@functools.cache
def steps() -> tuple[float, ...]:
    """The step list that grid and search share."""
    return engine().choose_steps(study().problem())


def readouts(dose: float) -> tuple[float, float]:
    """Glycosaminoglycan at the end, and the lowest glucose of both output times."""
    problem = with_values(study(), {DOSE: dose}).problem()
    record = engine().batch(problem, problem.arms[0]).follow([steps()])[0]
    assert record.status.good
    glucose = record.readouts["glucose_min"]
    return record.readouts["gag_nucleus"][-1], min(glucose[0], glucose[-1])


def grid_best(doses: np.ndarray) -> float:
    """The dose of the grid with most glycosaminoglycan of those that keep the limit."""
    found = [(*readouts(float(dose)), float(dose)) for dose in doses]
    return max((gag, dose) for gag, glucose, dose in found if glucose >= LIMIT)[1]


@functools.cache
def searched() -> Optimum:
    """Most glycosaminoglycan with enough glucose at all times."""
    goal = parse_goal("gag_nucleus@1 year", True, study())
    limit = parse_constraint(f"glucose_min >= {LIMIT} mM", True, goal, study())
    return optimise(study(), "cells", goal, parse_variables(study(), [DOSE]), [limit], engine=engine(), steps=steps())


def check(doses: np.ndarray) -> None:
    """Within a point of the grid, on the side that keeps the limit."""
    found, spacing = searched(), doses[1] / doses[0]
    assert found.converged
    assert found.best is not None
    best = grid_best(doses)
    assert best / spacing < found.best.values[0] < best * spacing
    assert doses[0] < best < doses[-1], "the constraint must be active within the range"
    assert min(found.best.constraints) >= LIMIT
    assert found.active == (f"glucose_min >= 0.5 mM at 0 year (is {found.best.constraints[0]:.5g} mM)",)


@pytest.mark.parametrize(
    ("slope", "by_glucose", "words"),
    [
        (
            2.0,
            -1.0,
            ("dose at its upper end 10", "glucose_min >= 1 mM at 1 year (is 1.2 mM)"),
        ),  # more would be better, and is held
        (-2.0, -1.0, ()),  # less would be better, and less glucose is used then: an optimum within all of them
        (-2.0, 1.0, ("glucose_min >= 1 mM at 1 year (is 1.2 mM)",)),
        (None, -1.0, ("dose at its upper end 10", "glucose_min >= 1 mM at 1 year (is 1.2 mM)")),  # slopes are not known
    ],
)
def test_what_is_near_holds_only_where_the_goal_presses(slope: float | None, by_glucose: float, words: tuple[str, ...]) -> None:
    constraint = Constraint("glucose_min", ">=", 1.0, (YEAR,))
    search = types.SimpleNamespace(
        variables=(Variable("dose", "", 1.0, 10.0, "linear", 2.0),),
        goal=Goal("gag_nucleus", YEAR, True),
        places=((constraint, YEAR),),
        tolerance=0.1,
        _words=_Search._words,
    )
    best = Trial(1, (9.5,), 1.0, (1.2,), True, "ok")
    slopes, held = ({}, {}) if slope is None else ({"dose": slope}, {"glucose_min@1 year": {"dose": by_glucose}})
    assert _Search._holding(search, best, slopes, held, [0]) == words


def test_finds_the_dose_of_a_grid() -> None:
    """A coarse grid around the dose; the fine one is a slow test."""
    check(np.geomspace(5e6, 1.6e7, 12))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_finds_the_dose_of_a_fine_grid_in_a_tenth_of_its_runs() -> None:
    """Runs forward and runs back both count."""
    doses = np.geomspace(LOW, HIGH, 241)
    check(doses)
    found = searched()
    assert found.forwards < len(doses) / 10
    assert found.forwards + found.backwards < len(doses) / 10


def test_every_point_is_kept_and_the_gradient_is_that_of_the_optimum() -> None:
    found = searched()
    assert [trial.number for trial in found.trials] == list(range(1, len(found.trials) + 1))
    assert found.best is not None
    dose, h = found.best.values[0], 1e-3
    ends = [readouts(dose * (1.0 + sign * h)) for sign in (1.0, -1.0)]
    for slope, number in ((found.gradient[DOSE], 0), (found.constraint_gradients["glucose_min@0 year"][DOSE], 1)):
        assert slope == pytest.approx((ends[0][number] - ends[1][number]) / (2.0 * h * dose), rel=1e-3)


def test_says_what_it_rests_on() -> None:
    """The retained share acts as the dose does: percent for percent."""
    found = searched()
    assert found.best is not None and found.best.objective is not None
    rests = {rest.path: rest for rest in found.rests}
    share = rests["scenarios.cells.therapy.0.retained_fraction"]
    assert share.evidence == "assumed"
    expected = found.gradient[DOSE] * found.best.values[0] / found.best.objective
    assert share.elasticities["objective"] == pytest.approx(expected, rel=1e-9)
    assert [rest.size for rest in found.rests] == sorted((rest.size for rest in found.rests), reverse=True)
    assert sum(found.evidence.values()) > 100


def test_a_limit_that_no_dose_keeps_gives_no_best_point() -> None:
    goal = parse_goal("gag_nucleus@1 year", True, study())
    limit = parse_constraint("glucose_min@0 year >= 3 mM", False, goal, study())
    found = optimise(study(), "cells", goal, parse_variables(study(), [DOSE]), [limit], engine=engine(), steps=steps(), most=8)
    assert found.best is None
    assert not any(trial.feasible for trial in found.trials)


class FailsAbove(SweepEngine):
    """Fails for large doses, as a run that does not converge would."""

    def batch(self, problem, arm):  # type: ignore[no-untyped-def]
        run = super().batch(problem, arm)
        if arm.doses[0].amount > 0.75 * 8e6:
            run.follow = lambda steps, report=None: [broken(run)]  # type: ignore[method-assign]
        return run


def broken(run) -> ArmRecord:  # type: ignore[no-untyped-def]
    """A record of a run that ended at the start."""
    record: ArmRecord = run.lanes[0].record
    record.status = Status.NONCONVERGED
    record.failure = Failure(Status.NONCONVERGED, "mechanics did not converge", 0.0, "Try a smaller dose.")
    return record


def test_a_failed_run_is_shown_and_stepped_back_from() -> None:
    """Largest dose first: it fails, and the search ends below it with a result."""
    goal = parse_goal("gag_nucleus@1 year", True, study())
    told: list[Trial] = []
    found = optimise(
        study(), "cells", goal, parse_variables(study(), [DOSE]), engine=FailsAbove(), steps=steps(), report=told.append, most=12
    )
    failed = [trial for trial in found.trials if trial.objective is None]
    assert failed and failed[0].values[0] > 8e6
    assert "mechanics did not converge" in failed[0].reason
    assert found.best is not None and 6e6 < found.best.values[0] <= 8e6
    assert tuple(told) == found.trials


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("glucose_min 0.5 mM", "NAME >= LIMIT"),
        ("glucose_min >= 0.5", "has no unit"),
        ("glucose_min >= 0.5 kPa", "got 'kPa'"),
        ("glucos_min >= 0.5 mM", "did you mean glucose_min"),
        ("glucose_min@3 year >= 0.5 mM", "an output time"),
    ],
)
def test_constraints_that_cannot_be_read(text: str, match: str) -> None:
    goal = parse_goal("gag_nucleus", True, study())
    with pytest.raises(OptimiseError, match=match) as caught:
        parse_constraint(text, False, goal, study())
    assert len(str(caught.value).splitlines()) == 1


def test_ranges_come_from_the_design_then_the_declaration() -> None:
    dose, volume = parse_variables(study(), [DOSE, "scenarios.cells.therapy.0.volume"])
    assert (dose.low, dose.high, dose.scale, dose.start) == (LOW, HIGH, "log", 6e6)
    assert volume.scale == "linear"
    assert (volume.low, volume.high, volume.start) == pytest.approx((0.1, 3.0, 2.0))
    own = parse_variables(study(), [DOSE], {DOSE: "2e6 cell"}, {DOSE: "4e6 cell"})[0]
    assert (own.low, own.high, own.start) == (2e6, 4e6, 4e6)
    with pytest.raises(OptimiseError, match="the lower end must be below the upper end"):
        parse_variables(study(), [DOSE], {DOSE: "5e6 cell"}, {DOSE: "4e6 cell"})
    with pytest.raises(OptimiseError, match="a range within"):
        parse_variables(study(), [DOSE], {DOSE: "5e6 cell"}, {DOSE: "4e9 cell"})
    with pytest.raises(OptimiseError, match="not among the numbers sought"):
        parse_variables(study(), [DOSE], {"loading.active": "0.3 MPa"})


def test_shares_and_values_are_inverse() -> None:
    for variable in parse_variables(study(), [DOSE, "scenarios.cells.therapy.0.volume"]):
        for share in (0.0, 0.3, 1.0):
            assert variable.share(variable.value(share)) == pytest.approx(share, abs=1e-12)
        h = 1e-6
        slope = (variable.value(0.4 + h) - variable.value(0.4 - h)) / (2.0 * h)
        assert variable.slope(variable.value(0.4)) == pytest.approx(slope, rel=1e-8)
