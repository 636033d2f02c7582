"""What every engine looks like from outside."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from discsim.problem.problem import Problem

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
