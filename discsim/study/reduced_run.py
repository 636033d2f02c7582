"""Runs of one scenario by the reduced engine, of which gradients may be asked: for a search that takes many of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from discsim.problem.steps import steps_through
from discsim.study.gradient import RELATIVE_STEP, SAME_TIME, GradientError, Slope
from discsim.study.numbers import file_of, limits, nominal_values, with_values
from discsim.study.train import trained

if TYPE_CHECKING:
    from discsim.problem.problem import Arm, Problem
    from discsim.problem.record import ArmRecord
    from discsim.study.study import Study
    from discsim.sweep.reduced.lanes import Course
    from discsim.sweep.reduced.tangent import Tangents


class ReducedRuns:
    """The reduced model of a study, for runs of one scenario with other numbers. Raises ``NotTrained`` where there is none."""

    def __init__(self, study: Study, scenario: str) -> None:
        from discsim.sweep.reduced.engine import ReducedEngine

        self.study, self.scenario = study, scenario
        self.training = trained(study)
        self.engine = ReducedEngine(self.training, fallback=False)
        self._tangents: Tangents | None = None

    def run(self, study: Study, steps: tuple[float, ...]) -> ReducedRun:
        """A run of the study with some numbers moved; readouts are those of the training."""
        return ReducedRun(self, dataclasses.replace(study, readouts=self.study.readouts))

    def course(self, study: Study) -> tuple[Problem, Arm, Course]:
        """What the reduced model is given for the scenario; raises ``GradientError`` where it is not trained for that."""
        from discsim.sweep.reduced.lanes import course_of

        problem = dataclasses.replace(study.problem(), field_times=())
        arm = next(arm for arm in problem.arms if arm.name == self.scenario)
        kernels = self.engine.reduced(problem).kernels
        if not self.engine.inside(kernels, problem, arm):
            raise GradientError(
                "outside of the box that the reduced model was trained in: widen the range in [design.vary] and train again, or "
                "use --engine sweep"
            )
        return problem, arm, course_of(problem, arm, kernels, self.training.steps, self.training.records)

    def tangents(self, course: Course) -> Tangents:
        """Derivatives, compiled once."""
        from discsim.sweep.reduced.tangent import Tangents

        if self._tangents is None:
            self._tangents = Tangents(self.engine.reduced(self.study.problem()), course)
        return self._tangents


class ReducedRun:
    """One run, as ``DifferentiableRun`` looks to a search."""

    def __init__(self, runs: ReducedRuns, study: Study) -> None:
        self.runs, self.study, self.scenario = runs, study, runs.scenario
        self.forwards, self.backwards = 1, 0
        self.problem, self.arm, self._course = runs.course(study)
        one = dataclasses.replace(self.problem, arms=(self.arm,))
        self.record: ArmRecord = runs.engine.run_many([one], runs.training.steps)[0][0]
        self._slopes: dict[str, np.ndarray] = {}

    def value(self, readout: str, time: float) -> float:
        """A readout at an output time (s)."""
        if readout not in self.record.readouts:
            raise GradientError(f"readout {readout!r}: the reduced model has {', '.join(self.record.readouts)}")
        return float(self.record.readouts[readout][self._index(time, self.record.times)])

    def slope(self, readout: str, time: float, paths: Iterable[str]) -> Slope:
        """A readout at an output time (s), and its derivatives by numbers of the file."""
        names = [one.name for one in self.problem.readouts]
        at = self._index(time, self.runs.training.records)
        derivatives = {path: float(self._along(path)[at, names.index(readout)]) for path in paths}
        return Slope(self.value(readout, time), derivatives)

    def _along(self, path: str) -> np.ndarray:
        if path not in self._slopes:
            tangents = self.runs.tangents(self._course)
            self._slopes[path] = tangents.along(self._course, [self._direction(path, tangents)])[1][0]
            self.backwards += 1
        return self._slopes[path]

    def _direction(self, path: str, tangents: Tangents) -> Any:
        """How all that the model is given changes with a number of the file, by central differences (one-sided at a bound)."""
        from discsim.sweep.reduced.tangent import between

        middle, (low, high) = nominal_values(self.study, [path])[path], limits(file_of(self.study).find([path])[path])
        step = RELATIVE_STEP * (abs(middle) or high - low)
        ends = [value if low <= value <= high else middle for value in (middle - step, middle + step)]
        given = [tangents.given(self._moved(path, value)) for value in ends]
        return between(given[0], given[1], ends[1] - ends[0])

    def _moved(self, path: str, value: float) -> Course:
        from discsim.sweep.reduced.lanes import course_of

        problem = dataclasses.replace(with_values(self.study, {path: value}).problem(), field_times=())
        arm = next(arm for arm in problem.arms if arm.name == self.scenario)
        training = self.runs.training
        if arm.mesh.hash != training.mesh or steps_through(training.steps, problem) != training.steps:
            raise GradientError(
                f"{path}: moves the mesh or the calendar, which a reduced model does not follow; use --engine sweep"
            )
        kernels = self.runs.engine.reduced(problem).kernels
        return course_of(problem, arm, kernels, training.steps, training.records)

    def _index(self, time: float, times: Any) -> int:
        near = int(np.argmin(np.abs(np.array(times) - time)))
        if abs(times[near] - time) > SAME_TIME + 1e-9 * time:
            raise GradientError(f"the reduced model has no bar at {time:g} s; add the time to [output] times and train again")
        return near
