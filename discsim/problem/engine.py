"""What every engine looks like from outside."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from discsim.problem.problem import Problem
from discsim.problem.status import StepFailed
from discsim.problem.steps import in_pieces

if TYPE_CHECKING:
    from discsim.problem.record import ArmRecord


@dataclasses.dataclass(frozen=True)
class Progress:
    """Where a run is: arm, its place among the arms, simulated time and duration (s), step number and length (s), stage."""

    arm: str
    index: int
    count: int
    time: float
    duration: float
    step: int
    dt: float
    stage: str


ProgressHook = Callable[[Progress], None]


class Engine(abc.ABC):
    """Runs a problem; one record per arm, whatever happened to the others."""

    name: str = ""

    @abc.abstractmethod
    def run(
        self, problem: Problem, progress: ProgressHook | None = None, steps: tuple[float, ...] | None = None
    ) -> list[ArmRecord]:
        """Solve every arm, on a given step list (times in s) or on one that the engine chooses.

        Never raises for a failed arm: its record carries status, reason and last good time.
        """

    def choose_steps(self, problem: Problem) -> tuple[float, ...]:
        """The step list (times in s) that all samples of a study share: here that of a run of this problem.

        Raises ``StepFailed`` where no arm comes to its end.
        """
        records = self.run(problem)
        done = [record for record in records if record.status.good]
        if not done:
            failure = next(record.failure for record in records if record.failure is not None)
            raise StepFailed(failure.status, f"no arm comes to its end at nominal values: {failure}")
        return tuple(done[0].times[1:])

    def run_many(self, problems: Sequence[Problem], steps: tuple[float, ...]) -> list[list[ArmRecord]]:
        """Solve samples of one study on one step list; the records of each sample. Here one after the other."""
        return [self.run(problem, steps=steps) for problem in problems]

    def run_in_pieces(self, problems: Sequence[Problem], steps: tuple[float, ...], pieces: int) -> list[list[ArmRecord]]:
        """As ``run_many``, with every step of the list cut into equal ``pieces``; records hold the ends of the list alone."""
        found = self.run_many(problems, in_pieces(steps, pieces))
        return [[record.at_ends((0.0, *steps)) for record in records] for records in found]
