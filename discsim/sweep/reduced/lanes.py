"""From problems to lanes: parameter rows, doses at the chosen points, lengths of steps between the stops."""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from discsim.problem.problem import Arm, Problem, same_time
from discsim.scenario.therapy import Dose, Place
from discsim.sweep.dosing import Deposits
from discsim.sweep.kernels import Kernels
from discsim.sweep.reduced.training import Trained


@dataclasses.dataclass
class Course:
    """One arm of one sample as data. ``stops``: (event, certified) in order of time, the first at the start, the last at the end;
    ``ends``: number of the end of step (0: start) at each; ``rows`` (stops, width) in force from each; ``lengths``: step lengths
    (s) from each stop to the next; ``doses`` at each stop."""

    arm: Arm
    stops: tuple[tuple[bool, bool], ...]
    ends: tuple[int, ...]
    rows: np.ndarray
    lengths: list[np.ndarray]
    doses: list[tuple[Dose, ...]]


def ends_at(ends: Sequence[float], times: Iterable[float]) -> set[int]:
    """Numbers of those ``ends`` (s, ascending) that fall on one of ``times``."""
    found = set()
    for time in times:
        place = bisect.bisect_left(ends, time)
        found |= {i for i in (place - 1, place) if 0 <= i < len(ends) and same_time(ends[i], time)}
    return found


def course_of(problem: Problem, arm: Arm, kernels: Kernels, steps: tuple[float, ...], records: Sequence[float]) -> Course:
    """The course of an arm on a step list that hits the calendar of its problem; ``records``: times (s) that are certified."""
    own = (0.0, *steps)
    events, looked_at = ends_at(own, problem.event_times()), ends_at(own, records)
    row = kernels.layout.pack(arm.values)
    stops, rows, doses = [], [], []
    ends: list[int] = []
    lengths: list[np.ndarray] = []
    for number in sorted({0, len(own) - 1} | events | looked_at):
        time, certified = own[number], number in looked_at
        given = tuple(dose for dose in arm.doses if same_time(dose.at, time))
        changed = [changes for at, changes in arm.changes if same_time(at, time)]
        if changed:
            row = row.copy()
            for changes in changed:
                kernels.layout.update(row, changes)
        if number:
            lengths.append(np.diff(np.array(own[ends[-1] : number + 1])))
        stops.append((bool(given or changed), certified))
        ends.append(number)
        rows.append(row)
        doses.append(given)
    return Course(arm, tuple(stops), tuple(ends), np.stack(rows), lengths, doses)


def pattern(course: Course) -> tuple[Any, ...]:
    """Lanes of one pattern can run side by side: they stop at the same ends of steps. Events and lengths may differ."""
    return course.ends, tuple(certified for _, certified in course.stops)


class Doses:
    """What doses add at the chosen pairs and to the coefficients of signals; places are worked out once."""

    def __init__(self, kernels: Kernels, deposits: Deposits, points: np.ndarray, trained: Trained) -> None:
        self.kernels, self.deposits, self.points = kernels, deposits, points
        self.numbers, self.project = np.asarray(trained.tables["pairs"]["number"]), trained.project
        self.ends = np.cumsum([0, *trained.used.signals])
        self.corner_volume = np.asarray(kernels.corner_volume(kernels.tables, points))
        self.vertex_volume = np.zeros(len(points))
        np.add.at(self.vertex_volume, np.asarray(kernels.tables["cells"]), self.corner_volume)
        self._units: dict[Any, np.ndarray] = {}

    def of(self, doses: Sequence[Dose]) -> tuple[np.ndarray, np.ndarray]:
        """Added amounts (fields, pairs, 1), and added coefficients of signals."""
        names = self.kernels.forms.pointwise_names
        pointwise = np.zeros((len(names), len(self.numbers), 1))
        signals = np.zeros(self.ends[-1])
        for dose in doses:
            amount = dose.amount / self.kernels.forms.share
            if dose.field in names:
                pointwise[names.index(dose.field), :, 0] += amount * self._unit(dose.place, dose.field, nodal=False)
            else:
                index = self.kernels.model.signals.index(dose.field)
                own = slice(self.ends[index], self.ends[index + 1])
                signals[own] += amount * self._unit(dose.place, dose.field, nodal=True)
        return pointwise, signals

    def _unit(self, place: Place, field: str, *, nodal: bool) -> np.ndarray:
        key = (place, field)
        if key not in self._units:
            if len(self._units) > 4096:
                self._units.clear()
            if nodal:
                at = self.deposits.at_vertices(place, self.points, place.volume, self.vertex_volume)
                self._units[key] = self.project[self.kernels.model.signals.index(field)] @ at
            else:
                at = self.deposits.at_corners(place, self.points, place.volume, self.corner_volume)
                self._units[key] = at.reshape(-1)[self.numbers]
        return self._units[key]


def stacked(courses: Sequence[Course], stop: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows in force from a stop (lanes, width), and who has an event there."""
    return np.stack([course.rows[stop] for course in courses]), np.array([course.stops[stop][0] for course in courses])


def padded_lengths(courses: Sequence[Course], stop: int, most: int) -> tuple[Any, int]:
    """Step lengths from a stop to the next, (most, lanes), zeros where a lane has fewer; and how many count."""
    found = np.zeros((most, len(courses)))
    for lane, course in enumerate(courses):
        found[: len(course.lengths[stop]), lane] = course.lengths[stop]
    return jnp.asarray(found), max(len(course.lengths[stop]) for course in courses)
