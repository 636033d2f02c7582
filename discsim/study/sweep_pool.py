"""Worker processes of a sweep, each in a pool of its own: when one dies, it is known which task it had, and no other is lost."""

from __future__ import annotations

import collections
import dataclasses
import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Self

from discsim.study.sweep_worker import Setup, prepare, single_threaded, start

# Seconds between two looks at the clock while workers are busy.
TICK = 1.0


@dataclasses.dataclass(frozen=True)
class Task:
    """A function of ``sweep_worker``, what it is given, and what the driver knows it by."""

    key: Any
    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()


@dataclasses.dataclass(frozen=True)
class Died:
    """The outcome of a task whose process ended before the task did.

    ``code``: as ``Process.exitcode`` has it; ``limit``: seconds after which the process was ended, where that is why.
    """

    log: str
    code: int | None = None
    limit: float | None = None

    def __str__(self) -> str:
        if self.limit is not None:
            return f"not done after {self.limit:.0f} s, so its process was ended (see {self.log})"
        return f"its process ended without a word ({self._how()}; see {self.log})"

    def _how(self) -> str:
        if self.code is None or self.code == -signal.SIGKILL:
            return "killed, or out of memory"
        return f"signal {-self.code}: {signal.strsignal(-self.code)}" if self.code < 0 else f"exit code {self.code}"


def hung(outcome: Any) -> bool:
    """Whether a task gave nothing because it took longer than its limit."""
    return isinstance(outcome, Died) and outcome.limit is not None


def _no_limit(task: Task) -> float:
    return math.inf


class Workers:
    """Some workers, started when they are first needed; leaving the context ends them, whatever they do."""

    def __init__(self, setups: Sequence[Setup]) -> None:
        self._slots = [_Slot(setup) for setup in setups]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for slot in self._slots:
            slot.release()
        for slot in self._slots:
            slot.close()

    def run(
        self,
        tasks: collections.deque[Task],
        tick: Callable[[list[Task]], None],
        limit: Callable[[Task], float] = _no_limit,
    ) -> Iterator[tuple[Task, Any]]:
        """Tasks with their outcomes as they come; more may be added to ``tasks`` meanwhile. ``tick`` hears what is running.

        A task that takes longer than its ``limit`` (s), which may change meanwhile, is ended with its process. The time that a
        process takes to start is not the task's.
        """
        idle, busy = list(self._slots), dict[Future[Any], tuple[_Slot, Task, float]]()
        while tasks or busy:
            while tasks and idle:
                slot, task = idle.pop(0), tasks.popleft()
                busy[slot.submit(task)] = slot, task, time.monotonic()
            tick([task for _, task, _ in busy.values()])
            done, late = wait(busy, timeout=TICK, return_when=FIRST_COMPLETED)
            for future in late:
                slot, task, began = busy[future]
                if slot.starting():
                    busy[future] = slot, task, time.monotonic()
                elif time.monotonic() - began > limit(task):
                    slot.kill(limit(task))
            for future in done:
                slot, task, _ = busy.pop(future)
                idle.append(slot)
                yield task, slot.outcome(future)

    def run_one(self, task: Task, tick: Callable[[list[Task]], None] = lambda running: None) -> Any:
        """The outcome of a single task."""
        return next(outcome for _, outcome in self.run(collections.deque([task]), tick))


class _Slot:
    """A place for one worker after another."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self._executor: ProcessPoolExecutor | None = None
        self._life: Connection | None = None
        self._process: BaseProcess | None = None
        self._prepared: Future[None] | None = None
        self._limit: float | None = None

    def submit(self, task: Task) -> Future[Any]:
        """Start a task; a worker that died while it had nothing to do is replaced."""
        for _ in range(2):
            try:
                return self._submit(task)
            except BrokenExecutor:
                self.close()
        return self._submit(task)

    def _submit(self, task: Task) -> Future[Any]:
        with single_threaded(), _without_interrupts():  # the worker's process is started in here, with this environment
            if self._executor is None:
                context = multiprocessing.get_context("spawn")
                theirs, self._life = context.Pipe(duplex=False)
                before = set(multiprocessing.active_children())
                self._executor = ProcessPoolExecutor(1, context, initializer=start, initargs=(self.setup, theirs))
                self._prepared = self._executor.submit(prepare)
                future = self._executor.submit(task.function, *task.arguments)
                theirs.close()
                self._process = next(iter(set(multiprocessing.active_children()) - before), None)
                return future
            return self._executor.submit(task.function, *task.arguments)

    def outcome(self, future: Future[Any]) -> Any:
        """What a finished task gave, or that its worker died."""
        try:
            found = future.result()
        except BrokenExecutor:
            process, limit = self._process, self._limit
            self.close()
            code = None if process is None else process.exitcode
            return Died(f"{self.setup.log.parent.name}/{self.setup.log.name}", code, limit)
        if self._limit is not None:  # done while it was being ended: the next task is not to meet that
            self.close()
        return found

    def starting(self) -> bool:
        """Whether its process is not ready yet."""
        return self._prepared is not None and not self._prepared.done()

    def kill(self, limit: float) -> None:
        """End the process, whatever it does, for it took longer than ``limit`` (s)."""
        self._limit = limit
        if self._process is not None:
            self._process.kill()

    def release(self) -> None:
        """Let the worker end, by closing its pipe."""
        if self._life is not None:
            self._life.close()
            self._life = None

    def close(self) -> None:
        """End the worker and wait until it is gone."""
        self.release()
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = self._process = self._limit = self._prepared = None


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Ctrl-C waits: a new process inherits that, so that it is not hit before it can say that this is none of its business."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    resource_tracker.ensure_running()  # else it is started in here, and lets interrupts through when it is
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def cores() -> list[int]:
    """Cores that this process may use; numbers only where the system can pin a process."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
