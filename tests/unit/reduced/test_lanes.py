"""Arms as lanes: where they stop, what is in force from there, how long the steps between are, and what doses add."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from discsim.problem.problem import DAY, YEAR, Arm, Problem, build_problem
from discsim.scenario.scenario import Scenario
from discsim.scenario.therapy import Dose, Place
from discsim.study.config import read_study
from discsim.sweep.dosing import Deposits
from discsim.sweep.engine import SweepEngine, discretisation_of
from discsim.sweep.kernels import Kernels, layout_of
from discsim.sweep.reduced.bases import Counts
from discsim.sweep.reduced.engine import box_numbers, box_of
from discsim.sweep.reduced.lanes import Course, Doses, course_of, ends_at, padded_lengths, pattern, stacked
from discsim.sweep.reduced.snapshots import kept_steps, rows_in_force

SHIPPED = Path(__file__).resolve().parents[3] / "experiments" / "cells_vs_gene" / "study.toml"
STEPS = (1.0 * DAY, 0.5 * YEAR, 1.0 * YEAR, 2.0 * YEAR, 3.0 * YEAR, 5.0 * YEAR, 7.0 * YEAR, 10.0 * YEAR)
RECORDS = (0.0, 1.0 * YEAR, 5.0 * YEAR, 10.0 * YEAR)
SUPPLY = "nutrition.endplate_clearance"


@pytest.fixture(scope="module")
def problem() -> Problem:
    """The shipped experiment on the coarse mesh: a dose at the start, three output times after it."""
    return read_study(SHIPPED, ("disc.mesh_level=1",)).problem()


@pytest.fixture(scope="module")
def kernels(problem: Problem) -> Kernels:
    """Layout and functions for it; nothing is run."""
    return Kernels(problem, discretisation_of(problem.arms[0].mesh), layout_of(problem))


def arm_of(problem: Problem, name: str) -> Arm:
    return next(arm for arm in problem.arms if arm.name == name)


def with_arm(problem: Problem, name: str, **changed: Any) -> Problem:
    """The problem with something else in one arm."""
    arms = tuple(dataclasses.replace(arm, **changed) if arm.name == name else arm for arm in problem.arms)
    return dataclasses.replace(problem, arms=arms)


def course(problem: Problem, name: str, kernels: Kernels, records: tuple[float, ...] = RECORDS) -> Course:
    return course_of(problem, arm_of(problem, name), kernels, STEPS, records)


def test_stops_ends_and_lengths_of_the_shipped_experiment(problem: Problem, kernels: Kernels) -> None:
    own = course(problem, "cells", kernels)
    assert own.ends == (0, 3, 6, 8)
    assert own.stops == ((True, True), (False, True), (False, True), (False, True))
    assert [len(lengths) for lengths in own.lengths] == [3, 3, 2]
    np.testing.assert_allclose(own.lengths[0], [DAY, 0.5 * YEAR - DAY, 0.5 * YEAR])
    np.testing.assert_allclose(np.cumsum(np.concatenate(own.lengths)), STEPS, rtol=1e-12)
    assert [len(doses) for doses in own.doses] == [1, 0, 0, 0]
    assert own.doses[0] == arm_of(problem, "cells").doses


def test_an_arm_without_therapy_stops_where_the_others_do(problem: Problem, kernels: Kernels) -> None:
    """So that both can be lanes of one batch; nothing happens to it there."""
    untreated, both = course(problem, "untreated", kernels), course(problem, "both", kernels)
    assert untreated.ends == both.ends and pattern(untreated) == pattern(both)
    assert untreated.stops[0] == (False, True) and both.stops[0] == (True, True)
    assert untreated.doses == [(), (), (), ()] and len(both.doses[0]) == 2


def test_rows_are_those_of_the_arm(problem: Problem, kernels: Kernels) -> None:
    own = course(problem, "gene", kernels)
    expected = kernels.layout.pack(arm_of(problem, "gene").values)
    np.testing.assert_array_equal(own.rows, np.tile(expected, (4, 1)))


def test_a_dose_later_is_a_stop_that_is_not_certified(problem: Problem, kernels: Kernels) -> None:
    doses = tuple(dataclasses.replace(dose, at=2.0 * YEAR) for dose in arm_of(problem, "cells").doses)
    later = with_arm(problem, "cells", doses=doses)
    own = course(later, "cells", kernels)
    assert own.ends == (0, 3, 4, 6, 8)
    assert own.stops == ((False, True), (False, True), (True, False), (False, True), (False, True))
    assert [len(given) for given in own.doses] == [0, 0, 1, 0, 0]
    assert [len(lengths) for lengths in own.lengths] == [3, 1, 2, 2]
    assert pattern(own) == pattern(course(later, "untreated", kernels)) != pattern(course(problem, "cells", kernels))


def test_changes_are_in_force_from_their_time_on(problem: Problem, kernels: Kernels) -> None:
    low, high = {SUPPLY: 5e-5}, {SUPPLY: 3e-4}
    changed = with_arm(problem, "gene", changes=((2.0 * YEAR, low), (5.0 * YEAR, high)))
    own = course(changed, "gene", kernels)
    column = kernels.layout.columns[SUPPLY]
    before = float(np.unique(kernels.layout.pack(arm_of(problem, "gene").values)[column])[0])
    assert own.ends == (0, 3, 4, 6, 8)
    np.testing.assert_allclose(own.rows[:, column].mean(axis=1), [before, before, 5e-5, 3e-4, 3e-4])
    assert [event for event, _ in own.stops] == [True, False, True, True, False]
    others = np.delete(own.rows, np.arange(column.start, column.stop), axis=1)
    assert (np.ptp(others, axis=0) == 0.0).all()
    np.testing.assert_array_equal(course(changed, "cells", kernels).rows, course(problem, "cells", kernels).rows[[0, 0, 0, 0, 0]])
    expected = rows_in_force(own.rows[0], arm_of(changed, "gene"), kernels.layout, np.array([0.0, *STEPS])[list(own.ends)])
    np.testing.assert_array_equal(own.rows, expected)


def test_two_changes_and_a_dose_at_one_time(problem: Problem, kernels: Kernels) -> None:
    at = 3.0 * YEAR
    doses = tuple(dataclasses.replace(dose, at=at * (1.0 + 1e-12)) for dose in arm_of(problem, "cells").doses)
    changed = with_arm(problem, "cells", doses=doses, changes=((at, {SUPPLY: 2e-4}), (at, {"loading.active": 0.27})))
    own = course(changed, "cells", kernels)
    stop = own.ends.index(5)
    assert own.stops[stop] == (True, False) and len(own.doses[stop]) == 1
    for path, value in ((SUPPLY, 2e-4), ("loading.active", 0.27)):
        assert own.rows[stop, kernels.layout.columns[path]] == pytest.approx(value)
        assert own.rows[stop - 1, kernels.layout.columns[path]] != pytest.approx(value)


def test_times_that_are_one_in_other_words_are_one(problem: Problem, kernels: Kernels) -> None:
    records = tuple(time * (1.0 - 1e-12) + 1e-3 for time in RECORDS)
    assert course(problem, "cells", kernels, records).stops == course(problem, "cells", kernels).stops


def test_the_end_is_a_stop_even_where_nothing_is_certified(problem: Problem, kernels: Kernels) -> None:
    own = course(problem, "untreated", kernels, ())
    assert own.ends == (0, 8) and own.stops == ((False, False), (False, False))
    assert [len(lengths) for lengths in own.lengths] == [8]


def test_stacked_and_padded(problem: Problem, kernels: Kernels) -> None:
    changed = with_arm(problem, "gene", changes=((0.0, {SUPPLY: 3e-4}),))
    lanes = [course(problem, "untreated", kernels), course(changed, "gene", kernels)]
    rows, happened = stacked(lanes, 0)
    assert rows.shape == (2, len(lanes[0].rows[0])) and happened.tolist() == [False, True]
    assert rows[1, kernels.layout.columns[SUPPLY]] == pytest.approx(3e-4)
    assert stacked(lanes, 1)[1].tolist() == [False, False]
    lengths, steps = padded_lengths(lanes, 2, 64)
    assert lengths.shape == (64, 2) and steps == 2
    np.testing.assert_allclose(np.asarray(lengths)[:2], np.column_stack([lanes[0].lengths[2]] * 2))
    assert (np.asarray(lengths)[2:] == 0.0).all()


def test_a_lane_with_fewer_steps_stands_still_at_the_end(problem: Problem, kernels: Kernels) -> None:
    long = course(problem, "untreated", kernels)
    short = dataclasses.replace(long, lengths=[long.lengths[0][:1], *long.lengths[1:]])
    lengths, steps = padded_lengths([short, long], 0, 64)
    assert steps == 3 and np.asarray(lengths)[1:, 0].tolist() == [0.0] * 63


@pytest.fixture(scope="module")
def doses(problem: Problem, kernels: Kernels) -> Doses:
    """All pairs and, for signals, one mode each: the constant; what is added is then the whole of what is given."""
    discretisation = kernels.discretisation
    points = np.asarray(discretisation.points_of(problem.arms[0].mesh))
    pairs = np.asarray(kernels.tables["cells"]).size
    signals = len(kernels.model.signals)

    @dataclasses.dataclass
    class Model:
        tables: dict[str, dict[str, np.ndarray]]
        used: Counts
        project: list[np.ndarray]

    volume = np.zeros(len(points))
    np.add.at(volume, np.asarray(kernels.tables["cells"]), np.asarray(kernels.corner_volume(kernels.tables, points)))
    model = Model({"pairs": {"number": np.arange(pairs)}}, Counts(1, (), (1,) * signals), [volume[None, :]] * signals)
    return Doses(kernels, Deposits(discretisation), points, model)  # type: ignore[arg-type]


def amount(kernels: Kernels, doses: Doses, pointwise: np.ndarray, field: str) -> float:
    """Amount of a cell field in the whole disc."""
    index = kernels.forms.pointwise_names.index(field)
    return float((pointwise[index, :, 0] * doses.corner_volume.reshape(-1)).sum() * kernels.forms.share)


def test_doses_keep_their_amount(problem: Problem, kernels: Kernels, doses: Doses) -> None:
    given = arm_of(problem, "both").doses
    pointwise, signals = doses.of(given)
    cells, vector = (
        next(dose for dose in given if dose.field == name) for name in ("stem_cells/undifferentiated", "gene.TIMP3/free_vector")
    )
    assert amount(kernels, doses, pointwise, cells.field) == pytest.approx(cells.amount, rel=1e-12)
    names = kernels.forms.pointwise_names
    assert (np.delete(pointwise, names.index(cells.field), axis=0) == 0.0).all()
    index = kernels.model.signals.index(vector.field)
    assert signals[index] * kernels.forms.share == pytest.approx(vector.amount, rel=1e-12)
    assert (np.delete(signals, index) == 0.0).all()


def test_doses_add_up_and_nothing_adds_nothing(problem: Problem, kernels: Kernels, doses: Doses) -> None:
    dose = arm_of(problem, "cells").doses[0]
    once, twice = doses.of([dose])[0], doses.of([dose, dataclasses.replace(dose, amount=2.0 * dose.amount)])[0]
    np.testing.assert_allclose(twice, 3.0 * once, rtol=1e-12)
    pointwise, signals = doses.of(())
    assert (pointwise == 0.0).all() and (signals == 0.0).all() and pointwise.shape == once.shape


def test_places_of_other_volumes_are_told_apart(problem: Problem, kernels: Kernels, doses: Doses) -> None:
    dose = arm_of(problem, "cells").doses[0]
    small, large = (
        dataclasses.replace(dose, place=Place("centre", "NP", volume))
        for volume in (0.1 * dose.place.volume, 0.5 * dose.place.volume)
    )
    near, far = doses.of([small])[0], doses.of([large])[0]
    assert near.max() > 2.0 * far.max()  # the same amount in less room
    for found in (near, far):
        assert amount(kernels, doses, found, dose.field) == pytest.approx(dose.amount, rel=1e-12)
    np.testing.assert_array_equal(doses.of([small])[0], near)  # what is kept is kept by place


def test_a_dose_of_an_unknown_field_is_an_error(problem: Problem, doses: Doses) -> None:
    with pytest.raises(ValueError, match="not in"):
        doses.of([Dose("no/such_field", 1.0, 0.0, Place("nucleus", "NP", 100.0))])


def test_box_numbers_hold_all_that_moves(problem: Problem, kernels: Kernels) -> None:
    own = box_numbers(kernels, problem, arm_of(problem, "cells"))
    (dose,) = arm_of(problem, "cells").doses
    assert own[-3:].tolist() == [dose.at, dose.amount, dose.place.volume]
    moved = [
        with_arm(problem, "cells", doses=(dataclasses.replace(dose, amount=2.0 * dose.amount),)),
        with_arm(problem, "cells", doses=(dataclasses.replace(dose, at=DAY),)),
        with_arm(problem, "cells", doses=(dataclasses.replace(dose, place=dataclasses.replace(dose.place, volume=1.0)),)),
        with_arm(problem, "cells", values=dict(arm_of(problem, "cells").values) | {SUPPLY: 3e-4}),
    ]
    for other in moved:
        numbers = box_numbers(kernels, other, arm_of(other, "cells"))
        assert len(numbers) == len(own) and (numbers != own).any()
    changed = with_arm(problem, "cells", changes=((YEAR, {SUPPLY: 3e-4}),))
    rows = len(own) - 3
    assert len(box_numbers(kernels, changed, arm_of(changed, "cells"))) == 2 * rows + 1 + 3  # two rows, a time, and the dose


def test_the_box_of_some_problems(problem: Problem, kernels: Kernels) -> None:
    (dose,) = arm_of(problem, "cells").doses
    amounts = (1.0, 3.0, 2.0)
    problems = [with_arm(problem, "cells", doses=(dataclasses.replace(dose, amount=factor * dose.amount),)) for factor in amounts]
    low, high = box_of(kernels, problems)["cells"]
    assert low[-2] == pytest.approx(dose.amount) and high[-2] == pytest.approx(3.0 * dose.amount)
    for other in problems:  # round-off is allowed for: its own problems lie inside
        numbers = box_numbers(kernels, other, arm_of(other, "cells"))
        assert ((numbers >= low) & (numbers <= high)).all()
    fixed = np.delete(np.arange(len(low)), -2)
    np.testing.assert_allclose(low[fixed], high[fixed], rtol=3e-9)
    assert set(box_of(kernels, problems)) == {"untreated", "cells", "gene", "both"}


def test_kept_steps_hold_start_end_stops_and_what_follows_them() -> None:
    times = [0.0, *STEPS]
    kept = kept_steps(times, [0.0, 2.0 * YEAR, 10.0 * YEAR], 2)
    assert kept.tolist() == [0, 1, 4, 5, 8]
    assert kept_steps(times, [], 9).tolist() == list(range(9))
    assert kept_steps(times, [], 50).tolist() == list(range(9))


def test_an_arm_alone_has_its_own_calendar() -> None:
    """Without an event there is nothing but the certified times."""
    from discsim.disc.disc import Disc

    scenario = Scenario(Disc.preset("L4-L5", grade=3, mesh_level=1), duration="2 year")
    problem = build_problem({"only": scenario}, readouts=("disc_height",), output_times=(0.0, 2.0 * YEAR), field_times=())
    model, _ = SweepEngine().model(problem, problem.arms[0])
    own = course_of(problem, problem.arms[0], model.kernels, STEPS[:4], (0.0, 2.0 * YEAR))
    assert own.ends == (0, 4) and own.stops == ((False, True), (False, True)) and own.doses == [(), ()]


def test_ends_at() -> None:
    """Round-off in a time is none; what falls on no end is not moved to one; the first and last end count too."""
    own = (0.0, *STEPS)
    assert ends_at(own, ()) == set()
    assert ends_at(own, RECORDS) == {0, 3, 6, 8}
    assert ends_at(own, [YEAR * (1.0 + 1e-10), 10.0 * YEAR * (1.0 + 5e-10), -1e-9]) == {0, 3, 8}
    assert ends_at(own, [1.01 * YEAR, 0.4 * YEAR, 11.0 * YEAR, 2.0 * DAY]) == set()
