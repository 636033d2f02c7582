"""Worker processes of a sweep, each in a pool of its own: when one dies, it is known which task it had, and no other is lost."""

from __future__ import annotations

import collections
import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import psutil

from discsim.study.executor import Died, Executor, Task, TooLarge, TooLong, no_limit
from discsim.study.sweep_worker import Setup, prepare, single_threaded, start

# Seconds between two looks at the clock, and at the memory where that is limited, while workers are busy.
TICK, MEMORY_TICK = 1.0, 0.2
GIB = 2.0**30
# A process is known by what appears while it is started, and the environment is changed for that: one at a time.
_starting = threading.Lock()


class Workers(Executor):
    """Processes of this machine, one per setup. A limit of memory (``Setup.memory``) is looked after like one of time."""

    def __init__(self, setups: Sequence[Setup]) -> None:
        self._slots = [_Slot(setup) for setup in setups]

    def warm(self, count: int) -> None:
        """Start the processes of so many workers, beside whatever the first of them does next."""
        for slot in self._slots[:count]:
            slot.start()

    def close(self) -> None:
        """End all workers."""
        for slot in self._slots:
            slot.release()
        for slot in self._slots:
            slot.close()

    def kill(self) -> None:
        """End what runs at once, from another thread; who waits for its outcome hears that it died."""
        for slot in self._slots:
            slot.kill(None)

    def run(
        self,
        tasks: collections.deque[Task],
        tick: Callable[[list[Task]], None],
        limit: Callable[[Task], float] = no_limit,
    ) -> Iterator[tuple[Task, Any]]:
        """Tasks with their outcomes as they come (see ``Executor``); a limit of time may change meanwhile."""
        idle, busy = list(self._slots), dict[Future[Any], tuple[_Slot, Task, float]]()
        pause = MEMORY_TICK if any(slot.setup.memory for slot in self._slots) else TICK
        while tasks or busy:
            while tasks and idle:
                slot, task = idle.pop(0), tasks.popleft()
                busy[slot.submit(task)] = slot, task, time.monotonic()
            tick([task for _, task, _ in busy.values()])
            done, late = wait(busy, timeout=pause, return_when=FIRST_COMPLETED)
            for future in late:
                slot, task, began = busy[future]
                slot.watch_memory()
                if slot.starting():
                    busy[future] = slot, task, time.monotonic()
                elif time.monotonic() - began > limit(task):
                    slot.kill(TooLong(limit(task)))
            for future in done:
                slot, task, _ = busy.pop(future)
                idle.append(slot)
                yield task, slot.outcome(future)


class _Slot:
    """A place for one worker after another."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self._executor: ProcessPoolExecutor | None = None
        self._life: Connection | None = None
        self._process: BaseProcess | None = None
        self._prepared: Future[None] | None = None
        self._ended: TooLong | TooLarge | None = None

    def submit(self, task: Task) -> Future[Any]:
        """Start a task; a worker that died while it had nothing to do is replaced."""
        for _ in range(2):
            try:
                return self._submit(task)
            except BrokenExecutor:
                self.close()
        return self._submit(task)

    def _submit(self, task: Task) -> Future[Any]:
        executor = self._executor or self.start()
        return executor.submit(task.function, *task.arguments)

    def start(self) -> ProcessPoolExecutor:
        """Start the process, which makes its study and engine."""
        # its environment is this one, and what appears meanwhile is it
        with _starting, single_threaded(), _without_interrupts():
            context = multiprocessing.get_context("spawn")
            theirs, self._life = context.Pipe(duplex=False)
            before = set(multiprocessing.active_children())
            self._executor = ProcessPoolExecutor(1, context, initializer=start, initargs=(self.setup, theirs))
            self._prepared = self._executor.submit(prepare)
            theirs.close()
            self._process = next(iter(set(multiprocessing.active_children()) - before), None)
            return self._executor

    def outcome(self, future: Future[Any]) -> Any:
        """What a finished task gave, or that its worker died."""
        try:
            found = future.result()
        except BrokenExecutor:
            process, ended = self._process, self._ended
            self.close()
            code = None if process is None else process.exitcode
            return Died(f"{self.setup.log.parent.name}/{self.setup.log.name}", code, ended)
        if self._ended is not None:  # done while it was being ended: the next task is not to meet that
            self.close()
        return found

    def starting(self) -> bool:
        """Whether its process is not ready yet."""
        return self._prepared is not None and not self._prepared.done()

    def watch_memory(self) -> None:
        """End the process where it holds, with its ranks, more memory than it may. What it shares counts as its own."""
        if self.setup.memory is None or self._process is None or self._process.pid is None:
            return
        try:
            whole = psutil.Process(self._process.pid)
            found = whole.memory_info().rss / GIB
            # to look for children takes long on a machine with many processes
            found += sum(map(_held, whole.children(recursive=True) if self.setup.ranks > 1 else ()))
        except psutil.NoSuchProcess:  # it has just ended, which its outcome will tell
            return
        if found > self.setup.memory:
            self.kill(TooLarge(self.setup.memory, found))

    def kill(self, why: TooLong | TooLarge | None) -> None:
        """End the process, whatever it does; the first reason stands."""
        self._ended = self._ended or why
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
            self._executor = self._process = self._ended = self._prepared = None


def _held(process: psutil.Process) -> float:
    """GiB of memory; nothing where it has just ended."""
    try:
        return float(process.memory_info().rss) / GIB
    except psutil.NoSuchProcess:
        return 0.0


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
