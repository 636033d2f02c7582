"""Step lists that samples share: every calendar is hit, listed ends are kept, and steps after an event start short."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from discsim.disc.disc import Disc
from discsim.problem.problem import DAY, YEAR, Problem, build_problem, same_time
from discsim.problem.steps import in_pieces, steps_after, steps_through, warped_steps
from discsim.scenario.scenario import Scenario
from discsim.scenario.therapy import Dose, Place

QUICK = settings(max_examples=200, deadline=None)
END = 10.0 * YEAR
NEAR = 0.2  # s; an end nearer than this to an event counts as the event itself


@functools.cache
def bare() -> Problem:
    scenario = Scenario(Disc.preset("L4-L5", grade=3, mesh_level=1), duration="10 year")
    return build_problem({"one": scenario}, readouts=("viable_cells",), output_times=(YEAR, 5.0 * YEAR), field_times=())


def with_doses(times: list[float]) -> Problem:
    """The problem with doses at these times."""
    doses = tuple(Dose("cell_density", 1.0, at, Place()) for at in times)
    return dataclasses.replace(bare(), arms=(dataclasses.replace(bare().arms[0], doses=doses),))


def pilot_list(problem: Problem, largest: float) -> tuple[float, ...]:
    """What a bold pilot makes: from 0.1 day after every event, doubling up to the largest, through the calendar."""
    times, now, size = [], 0.0, problem.steps.first
    events = set(problem.event_times())
    for stop in [t for t in problem.breakpoints() if t > 0.0]:
        while stop - now > size:
            now += size
            times.append(now)
            size = min(largest, size * problem.steps.growth)
        now = stop
        times.append(now)
        size = problem.steps.first if stop in events else size
    return tuple(times)


# whole tenths of days, so that no two differ by less than the tolerance of what counts as one time
MOMENTS = st.lists(st.integers(0, int(END / DAY * 10)).map(lambda n: n * 0.1 * DAY), max_size=4)
LARGEST = st.floats(5.0, 180.0).map(lambda days: days * DAY)


@QUICK
@given(nominal=MOMENTS, sample=MOMENTS, largest=LARGEST)
def test_a_step_list_hits_the_calendar_of_every_sample(nominal: list[float], sample: list[float], largest: float) -> None:
    steps, problem = pilot_list(with_doses(nominal), largest), with_doses(sample)
    found = steps_through(steps, problem)
    assert all(a < b for a, b in zip((0.0, *found), found, strict=False)), "ends in order, none twice"
    assert set(steps) <= set(found), "what all samples share stays"
    assert found[-1] == steps[-1] == END
    for t in problem.breakpoints():
        assert t == 0.0 or min(abs(t - end) for end in found) <= 1e-9 * t + 0.1


@QUICK
@given(moments=MOMENTS, largest=LARGEST, pieces=st.integers(1, 8))
def test_steps_in_pieces_keep_the_ends_of_the_list(moments: list[float], largest: float, pieces: int) -> None:
    steps = pilot_list(with_doses(moments), largest)
    found = in_pieces(steps, pieces)
    assert found[pieces - 1 :: pieces] == steps, "the very numbers"
    lengths = np.diff((0.0, *found)).reshape(len(steps), pieces)
    np.testing.assert_allclose(lengths * pieces, np.diff((0.0, *steps))[:, None] * np.ones(pieces), rtol=1e-6, atol=1e-6)


@QUICK
@given(moments=MOMENTS, largest=LARGEST, share=st.floats(0.0, 1.0))
def test_a_list_that_begins_with_another_one_keeps_it(moments: list[float], largest: float, share: float) -> None:
    first = pilot_list(with_doses(moments), largest)
    first = first[: round(share * len(first))]
    found = steps_after(first, pilot_list(with_doses(moments), 1.3 * largest))
    assert found[: len(first)] == first and found[-1] == END
    assert all(a < b for a, b in zip((0.0, *found), found, strict=False)), "ends in order, none twice"


@QUICK
@given(moments=MOMENTS, largest=LARGEST)
def test_a_list_that_hits_everything_is_left_as_it_is(moments: list[float], largest: float) -> None:
    problem = with_doses(moments)
    steps = pilot_list(problem, largest)
    assert steps_through(steps, problem) == steps
    assert steps_through(steps, bare()) == steps


@QUICK
@given(nominal=MOMENTS, at=st.floats(NEAR, END - NEAR), largest=LARGEST)
@example(nominal=[], at=0.1 * DAY * 31 - 0.02 * DAY, largest=180.0 * DAY)  # just before a listed end, a long step after it
def test_steps_after_an_event_that_was_put_in_start_short_and_grow(nominal: list[float], at: float, largest: float) -> None:
    """The k-th step after it is at most first x growth^(k-1), to the end of the list."""
    steps = pilot_list(with_doses(nominal), largest)
    assume(all(abs(at - end) > NEAR for end in steps))
    problem = with_doses([at])
    found = np.array(steps_through(steps, problem))
    after = np.concatenate([[at], found[found > at]])
    lengths, rule = np.diff(after), problem.steps
    allowed = rule.first * rule.growth ** np.arange(len(lengths), dtype=float)
    assert (lengths <= allowed * (1.0 + 1e-9)).all()


@QUICK
@given(at=st.floats(1.0, END - 1.0), off=st.floats(-0.05, 0.05), largest=LARGEST)
@example(at=END - 1.0 * DAY, off=1e-5, largest=30.0 * DAY)
def test_times_that_are_one_are_one_end_of_a_step(at: float, off: float, largest: float) -> None:
    """An output time a hair beside a dose ("1 month", "0.0833333 year") would otherwise have the dose given twice."""
    problem = dataclasses.replace(with_doses([at]), output_times=(at + off,))
    ends = steps_through(pilot_list(bare(), largest), problem)
    for calendar in (problem.breakpoints(), ends):
        assert sum(same_time(t, at) for t in calendar) == 1
    assert problem.breakpoints()[0] == 0.0 and problem.breakpoints()[-1] == END


def test_a_time_a_hair_before_the_end_is_the_end() -> None:
    problem = dataclasses.replace(bare(), output_times=(END - 1e-4,))
    assert problem.breakpoints() == (0.0, END)


@QUICK
@given(at=st.floats(NEAR, END - NEAR), largest=LARGEST)
def test_few_steps_are_added(at: float, largest: float) -> None:
    """From 0.1 day to half a year there are eleven doublings; an event costs about as many steps as a pilot would take."""
    steps = pilot_list(bare(), largest)
    assert len(steps_through(steps, with_doses([at]))) <= len(steps) + 14


@QUICK
@given(first=st.floats(40.0 * DAY, 300.0 * DAY), shift=st.floats(-30.0 * DAY, 30.0 * DAY), largest=LARGEST)
def test_a_warped_list_keeps_its_number_of_steps_and_hits_the_other_calendar(first: float, shift: float, largest: float) -> None:
    nominal, moved = with_doses([first]), with_doses([first + shift])
    steps = pilot_list(nominal, largest)
    found = warped_steps(steps, nominal, moved)
    assert len(found) == len(steps) and all(a < b for a, b in zip((0.0, *found), found, strict=False))
    for t in moved.breakpoints()[1:]:
        assert min(abs(t - end) for end in found) <= 1e-9 * t
