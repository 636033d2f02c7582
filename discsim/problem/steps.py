"""The step list: chosen once by a pilot, shared by all arms, hitting every event and output time."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from discsim.problem.problem import Problem, StepRule
from discsim.problem.problem import same_time as same_time

# An arm follows the list of the pilot unless its own error is this many times the tolerance; then it cuts the step.
FOLLOWER_FACTOR = 8.0


@dataclasses.dataclass
class StepController:
    """Chooses the next time of the pilot.

    The error of a step is judged by how far the new state lies from the straight line through the two before it (from the old
    state alone right after an event); for a first-order scheme the local error is about half of that.
    """

    rule: StepRule
    breakpoints: tuple[float, ...]
    events: tuple[float, ...]

    def __post_init__(self) -> None:
        self.size = self.rule.first

    def next_time(self, now: float) -> float:
        """End of the next step: now + size, pulled onto the next breakpoint (never leaving a sliver before it)."""
        following = [t for t in self.breakpoints if t > now * (1.0 + 1e-12) + 1e-6]
        if not following:
            return now
        gap = following[0] - now
        pieces = max(1, math.ceil(gap / self.size - 1e-9))
        return following[0] if pieces == 1 else now + (gap / 2 if pieces == 2 else self.size)

    def accept(self, taken: float, error: float) -> bool:
        """Judge a step of length ``taken``; sets the next size. A rejected step is retried with the new size."""
        ratio = math.inf if error <= 0.0 else math.sqrt(self.rule.tolerance / error)
        accepted = error <= 2.0 * self.rule.tolerance or taken <= self.rule.first * 1.001
        factor = min(self.rule.growth, max(0.3, 0.9 * ratio))
        base = taken if not accepted else max(taken, min(self.size, taken * self.rule.growth))
        self.size = min(self.rule.largest, max(self.rule.first, base * factor))
        return accepted

    def cut(self, taken: float) -> None:
        """After a failed step."""
        self.size = 0.5 * taken

    def restart(self) -> None:
        """After an event: short steps again."""
        self.size = self.rule.first


def fallback_steps(problem: Problem, reached: tuple[float, ...]) -> tuple[float, ...]:
    """The pilot's list up to where it failed, then the largest steps, so that the other arms still run to the end."""
    times = list(reached)
    now = times[-1] if times else 0.0
    for stop in (t for t in problem.breakpoints() if t > now):
        while stop - now > problem.steps.largest:
            now += problem.steps.largest
            times.append(now)
        now = stop
        times.append(now)
    return tuple(times)


def steps_through(steps: tuple[float, ...], problem: Problem) -> tuple[float, ...]:
    """A step list that also hits the calendar of ``problem``, whose events may fall on other times than the pilot's.

    Unchanged where it hits them already. After an event that was put in, the steps start short and grow as a pilot's may.
    """
    missing = [t for t in problem.breakpoints() if not any(same_time(t, s) for s in (0.0, *steps))]
    if not missing:
        return steps
    events, rule = set(problem.event_times()), problem.steps
    times = sorted({*steps, *missing})
    for event in (t for t in missing if t in events):
        now, size = event, rule.first
        later = [t for t in times if t > event]
        while later and now + size < later[-1]:
            following = next(t for t in later if t > now)
            gap = following - now
            if gap <= size:  # a listed end that comes much sooner is taken along; steps do not grow from it
                now, size = following, size * (rule.growth if gap >= 0.5 * size else 1.0)
            else:
                now += 0.5 * gap if gap < 2.0 * size else size  # never leaving a sliver before a listed end
                times.append(now)
                size *= rule.growth
        times.sort()
    return tuple(times)


def in_pieces(steps: Sequence[float], pieces: int) -> tuple[float, ...]:
    """A step list with every step cut into that many equal ones; the ends of the list stay the very numbers they were."""
    found: list[float] = []
    for start, end in zip((0.0, *steps), steps, strict=False):
        found += [start + (end - start) * piece / pieces for piece in range(1, pieces)]
        found.append(end)
    return tuple(found)


def steps_after(first: Sequence[float], steps: Sequence[float]) -> tuple[float, ...]:
    """A step list that is ``first`` up to its end and then has the ends of ``steps`` that lie beyond."""
    return (*first, *(end for end in steps if not first or (end > first[-1] and not same_time(end, first[-1]))))


def calendar_order(problem: Problem) -> tuple[int, ...]:
    """In which order the times of a problem fall, equal ones at one place: start, end, output and field times, then every arm's
    doses and parameter changes."""
    times = [0.0, problem.duration, *problem.output_times, *problem.field_times]
    for arm in problem.arms:
        times += [dose.at for dose in arm.doses] + [at for at, _ in arm.changes]
    places = np.unique(np.array(times), return_inverse=True)[1]
    return tuple(int(place) for place in places)


def warped_steps(steps: Sequence[float], nominal: Problem, problem: Problem) -> tuple[float, ...]:
    """A step list of ``nominal`` carried over to a problem whose doses and events fall a little earlier or later.

    Between two times of the calendar the ends of steps move along in proportion, so that readouts depend smoothly on the times
    of doses and events. Raises ``ValueError`` where the two calendars are not the same times in the same order.
    """
    if nominal.breakpoints() == problem.breakpoints():
        return tuple(steps)
    return tuple(float(end) for end in np.interp(np.array(steps), *calendar_warp(steps, nominal, problem)))


def calendar_warp(steps: Sequence[float], nominal: Problem, problem: Problem) -> tuple[list[float], list[float]]:
    """Times of ``nominal`` and where they lie in ``problem``; a straight line between them moves every other time.

    They are those of the calendar, and the ends of the shortest steps right after each: these keep their length, because an
    engine judges a step by whether it may still be cut. Raises ``ValueError`` as ``warped_steps`` does.
    """
    old, new = nominal.breakpoints(), problem.breakpoints()
    if calendar_order(nominal) != calendar_order(problem) or len(old) != len(new):
        raise ValueError(
            "a dose or event falls on or passes another time of the calendar (start, output time, dose, event), where steps "
            "begin anew and readouts have no slope; move it by some hours"
        )
    before, after = [old[0]], [new[0]]
    for a, b, moved, end in zip(old, old[1:], new, new[1:], strict=False):
        kept = a
        for step in (t for t in steps if a < t < b):
            if step - kept > 1.001 * nominal.steps.first or step - a > 0.5 * min(b - a, end - moved):
                break
            kept = step
        if kept > a:
            before.append(kept)
            after.append(moved + kept - a)
        before.append(b)
        after.append(end)
    return before, after
