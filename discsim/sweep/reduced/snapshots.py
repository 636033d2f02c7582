"""Snapshots: states of full-order runs at some of their steps, from which a reduced model is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from discsim.problem.problem import Arm, Problem
from discsim.problem.steps import steps_through
from discsim.sweep.engine import SweepEngine
from discsim.sweep.inputs import Layout

STATE = ("pointwise", "solutes", "signals", "q")


@dataclasses.dataclass
class Course:
    """One arm of one sample. Leading axis of the states: the kept ends of steps, ``kept`` (numbers into the record's times).

    ``rows`` (kept, width) parameter rows in force; ``pointwise`` (kept, fields, cells, vertices per cell); ``solutes`` and
    ``signals`` (kept, vertices, fields); ``q`` (kept, unknowns); ``prestress`` (components, cells, points);
    ``readouts`` (times, readouts) of every step.
    """

    arm: str
    kept: np.ndarray
    rows: np.ndarray
    pointwise: np.ndarray
    solutes: np.ndarray
    signals: np.ndarray
    q: np.ndarray
    prestress: np.ndarray
    times: np.ndarray
    readouts: np.ndarray
    status: str
    seconds: float

    @property
    def good(self) -> bool:
        """Whether the run came to its end."""
        return self.status in ("ok", "ok_retried")


def kept_steps(times: Sequence[float], stops: Sequence[float], count: int) -> np.ndarray:
    """Which ends of steps are kept: the start, every stop (event, output time), and others evenly spread in their number."""
    numbers = set(np.linspace(0, len(times) - 1, count).round().astype(int))
    at = np.asarray(times)
    for stop in stops:
        numbers.add(int(np.argmin(np.abs(at - stop))))
        numbers.add(min(int(np.argmin(np.abs(at - stop))) + 1, len(times) - 1))
    return np.array(sorted(numbers))


def rows_in_force(run_rows: np.ndarray, arm: Arm, layout: Layout, times: np.ndarray) -> np.ndarray:
    """Parameter rows at some times; changes at a time are in force at it."""
    found = []
    for time in times:
        row = run_rows.copy()
        for at, changes in sorted(arm.changes, key=lambda change: change[0]):
            if at <= time * (1.0 + 1e-9) + 1e-3:
                layout.update(row, changes)
        found.append(row)
    return np.stack(found)


def collect(engine: SweepEngine, problem: Problem, steps: tuple[float, ...], count: int = 12) -> list[Course]:
    """Run every arm of one sample at full order and keep some of its states; a failed arm keeps none."""
    courses = []
    problem = dataclasses.replace(problem, tolerances=engine.tolerances, field_times=())
    for arm in problem.arms:
        run = engine.batch(problem, arm)
        run.trajectory = []
        own = steps_through(steps, problem)
        first = run.model.kernels.layout.pack(arm.values)
        record = run.follow([own])[0]
        states = [what for kind, what in run.trajectory if kind == "write"]
        times = np.array(record.times)
        kept = kept_steps(record.times, problem.breakpoints(), count) if record.status.good else np.zeros(0, dtype=int)
        width = (0, first.size)
        courses.append(
            Course(
                arm=arm.name,
                kept=kept,
                rows=rows_in_force(first, arm, run.model.kernels.layout, times[kept]) if kept.size else np.zeros(width),
                **{name: _stacked([getattr(states[i], name)[0] for i in kept]) for name in STATE},
                prestress=np.asarray(run.model.prestress[0]),
                times=times,
                # of an arm that failed before its first state there are none
                readouts=np.array([record.readouts.get(readout.name, []) for readout in problem.readouts]).T,
                status=record.status.value,
                seconds=float(record.seconds.get("total", np.nan)),
            )
        )
    return courses


def _stacked(arrays: list[np.ndarray]) -> np.ndarray:
    return np.stack([np.asarray(array) for array in arrays]) if arrays else np.zeros((0,))


def write_courses(path: Path, courses: Sequence[Course]) -> None:
    """Write the courses of a sample to one file, whole or not at all."""
    arrays = {
        f"{index}:{field.name}": np.asarray(getattr(c, field.name))
        for index, c in enumerate(courses)
        for field in dataclasses.fields(c)
    }
    beside = path.with_suffix(".part")
    with beside.open("wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]
    beside.replace(path)


def read_courses(path: Path) -> list[Course]:
    """The courses of a sample."""
    with np.load(path, allow_pickle=False) as stored:
        count = 1 + max(int(name.split(":")[0]) for name in stored.files)
        found = []
        for index in range(count):
            values = {field.name: stored[f"{index}:{field.name}"] for field in dataclasses.fields(Course)}
            values |= {"arm": str(values["arm"]), "status": str(values["status"]), "seconds": float(values["seconds"])}
            found.append(Course(**values))
        return found
