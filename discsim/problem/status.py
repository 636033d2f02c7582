"""The closed list of statuses. A status stands beside every number; NaN never stands alone for "failed"."""

from __future__ import annotations

import dataclasses
import enum


class Status(enum.StrEnum):
    """How a run ended."""

    OK = "ok"
    OK_RETRIED = "ok_retried"
    NONCONVERGED = "nonconverged"
    UNPHYSICAL = "unphysical"
    TIMEOUT = "timeout"
    OOM = "oom"
    CRASHED = "crashed"
    INVALID_INPUT = "invalid_input"
    CANCELLED = "cancelled"
    PENDING = "pending"

    @property
    def good(self) -> bool:
        """Whether the numbers may be used."""
        return self in (Status.OK, Status.OK_RETRIED)


ADVICE = {
    Status.NONCONVERGED: "Try a smaller solver.first_step, a lower load or a smaller dose; see the step history.",
    Status.UNPHYSICAL: "The state left the range of the laws: check load, charge and supply against their bounds.",
}


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why a run stopped: status, reason in words, last good time (s), and what to try."""

    status: Status
    reason: str
    last_good_time: float
    advice: str

    def __str__(self) -> str:
        days = self.last_good_time / 86400.0
        return f"{self.status}: {self.reason} (last good time {days:.4g} day). {self.advice}"


class StepFailed(Exception):
    """A step that cannot be accepted: it is cut and retried from the same state."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class StepTooCoarse(StepFailed):
    """A step that converged but whose error is too large: cut like a failed one, but no failure of the solver."""
