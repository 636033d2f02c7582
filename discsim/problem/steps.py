"""The step list: chosen once by a pilot, shared by all arms, hitting every event and output time."""

from __future__ import annotations

import dataclasses
import math

from discsim.problem.problem import StepRule


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
