"""Worker processes of a sweep, each in a pool of its own: when one dies, it is known which task it had, and no other is lost."""

from __future__ import annotations

import collections
import dataclasses
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

from discsim.study.sweep_worker import Setup, single_threaded, start

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
    """The outcome of a task whose process ended before the task did."""

    log: str

    def __str__(self) -> str:
        return f"its process ended without a word (killed, or out of memory; see {self.log})"


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

    def run(self, tasks: collections.deque[Task], tick: Callable[[list[Task]], None]) -> Iterator[tuple[Task, Any]]:
        """Tasks with their outcomes as they come; more may be added to ``tasks`` meanwhile. ``tick`` hears what is running."""
        idle, busy = list(self._slots), dict[Future[Any], tuple[_Slot, Task]]()
        while tasks or busy:
            while tasks and idle:
                slot, task = idle.pop(0), tasks.popleft()
                busy[slot.submit(task)] = slot, task
            tick([task for _, task in busy.values()])
            done, _ = wait(busy, timeout=TICK, return_when=FIRST_COMPLETED)
            for future in done:
                slot, task = busy.pop(future)
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
                self._executor = ProcessPoolExecutor(1, context, initializer=start, initargs=(self.setup, theirs))
                future = self._executor.submit(task.function, *task.arguments)
                theirs.close()
                return future
            return self._executor.submit(task.function, *task.arguments)

    def outcome(self, future: Future[Any]) -> Any:
        """What a finished task gave, or that its worker died."""
        try:
            return future.result()
        except BrokenExecutor:
            self.close()
            return Died(f"{self.setup.log.parent.name}/{self.setup.log.name}")

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
            self._executor = None


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
