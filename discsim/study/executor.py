"""What runs the tasks of a sweep: processes of this machine (``sweep_pool``) or a cluster (``sweep_cluster``)."""

from __future__ import annotations

import abc
import collections
import dataclasses
import math
import signal
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from discsim.problem.status import Status


@dataclasses.dataclass(frozen=True)
class Task:
    """A function of ``sweep_worker``, what it is given, and what the driver knows it by."""

    key: Any
    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()


@dataclasses.dataclass(frozen=True)
class TooLong:
    """Why a process was ended: its task took more than ``limit`` seconds."""

    limit: float

    def __str__(self) -> str:
        return f"not done after {self.limit:.0f} s"


@dataclasses.dataclass(frozen=True)
class TooLarge:
    """Why a process was ended: it held ``found`` GiB of memory, ``limit`` being allowed."""

    limit: float
    found: float

    def __str__(self) -> str:
        return f"it held {self.found:.2f} GiB of memory, --memory allows {self.limit:g}"


@dataclasses.dataclass(frozen=True)
class Died:
    """The outcome of a task whose process ended before the task did.

    ``code``: as ``Process.exitcode`` has it; ``ended``: why the driver ended it, where it did; ``machine``: whose ``log`` it is,
    for the log of the sweep alone, because results name no machine.
    """

    log: str
    code: int | None = None
    ended: TooLong | TooLarge | None = None
    machine: str = ""

    @property
    def status(self) -> Status:
        """What its samples are called."""
        if isinstance(self.ended, TooLong):
            return Status.TIMEOUT
        return Status.OOM if isinstance(self.ended, TooLarge) else Status.CRASHED

    def __str__(self) -> str:
        if self.ended is not None:
            return f"{self.ended}, so its process was ended (see {self.log})"
        return f"its process ended without a word ({self._how()}; see {self.log})"

    def _how(self) -> str:
        if self.code is None:
            return "killed, or out of memory"
        if self.code == -signal.SIGKILL:  # the system's own way when memory runs out, and it leaves no other trace
            return "killed, most likely by the system for want of memory"
        return f"signal {-self.code}: {signal.strsignal(-self.code)}" if self.code < 0 else f"exit code {self.code}"


def hung(outcome: Any) -> bool:
    """Whether a task gave nothing because it took longer than its limit."""
    return isinstance(outcome, Died) and outcome.status is Status.TIMEOUT


def no_limit(task: Task) -> float:
    """A limit (s) that no task reaches."""
    return math.inf


class Executor(abc.ABC):
    """Some workers, started when they are first needed; leaving the context ends them, whatever they do."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def warm(self, count: int) -> None:  # noqa: B027 - not every executor has something to start
        """Tasks for ``count`` workers will come soon: start so many now, where starting takes long."""

    @abc.abstractmethod
    def close(self) -> None:
        """End all workers."""

    @abc.abstractmethod
    def run(
        self,
        tasks: collections.deque[Task],
        tick: Callable[[list[Task]], None],
        limit: Callable[[Task], float] = no_limit,
    ) -> Iterator[tuple[Task, Any]]:
        """Tasks with their outcomes as they come; more may be added to ``tasks`` meanwhile. ``tick`` hears what is running, at
        least every second.

        An outcome is what the function returned, or ``Died``: a task that takes longer than its ``limit`` (s) is ended with its
        process. The time that a process takes to start is not the task's.
        """

    def run_one(
        self,
        task: Task,
        tick: Callable[[list[Task]], None] = lambda running: None,
        limit: Callable[[Task], float] = no_limit,
    ) -> Any:
        """The outcome of a single task."""
        return next(outcome for _, outcome in self.run(collections.deque([task]), tick, limit))
