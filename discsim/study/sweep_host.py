"""What runs in a Dask worker: a thread of it hosts a process of a sweep (``sweep_worker``) and waits for each of its batches.

Dask can neither end what a thread computes nor tell one thread's memory from another's; a process of one's own can be ended at
once and takes no other batch with it. It lives from batch to batch, so that what was compiled is kept, until its sweep ends or
nobody asked for it for ``IDLE`` seconds (the driver was killed).
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from discsim.study.executor import Died, Task
from discsim.study.sweep_pool import Workers
from discsim.study.sweep_worker import Setup

IDLE = 60.0  # s

_lock = threading.Lock()
_count = 0  # of processes, for their logs
_idle: dict[Workers, tuple[str, threading.Timer]] = {}
_dismissed: set[str] = set()


def host(sweep: str, setup: Setup, task: Task, limit: float) -> Any:
    """The outcome of a task in a process of ``sweep`` on this machine; it may take ``limit`` seconds.

    Its log lies in the folder for temporary files of this machine. It is ended when nobody wants its outcome any more.
    """
    # Dask's nanny marks its worker as a daemon, which may start no process, lest orphans stay when it is ended. Ours end with it
    # by themselves (``sweep_worker.start``), so the mark is taken off.
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
    unwanted = _unwanted(sweep)
    workers = _taken(sweep, setup)
    try:
        outcome = workers.run_one(task, lambda running: workers.kill() if unwanted() else None, lambda task: limit)
    finally:
        _given_back(sweep, workers)
    if isinstance(outcome, Died):
        outcome = dataclasses.replace(outcome, machine=f"{socket.gethostname()} in {tempfile.gettempdir()}")
    return outcome


def dismiss(sweep: str) -> None:
    """End the processes of a sweep on this machine; those that are busy follow within a second."""
    with _lock:
        _dismissed.add(sweep)
        ended = [workers for workers, (owner, _) in _idle.items() if owner == sweep]
        for workers in ended:
            _idle.pop(workers)[1].cancel()
    for workers in ended:
        workers.kill()
        workers.close()


def _unwanted(sweep: str) -> Callable[[], bool]:
    """Whether the task of this thread was given up meanwhile: by its sweep, by Dask (its driver is gone), or with this worker."""
    import distributed

    worker = distributed.get_worker()
    state = worker.state.tasks[worker.get_current_task()]
    return lambda: sweep in _dismissed or state.state == "cancelled" or worker.status.name not in ("running", "paused")


def _taken(sweep: str, setup: Setup) -> Workers:
    """A process that waits, or the promise of a new one."""
    global _count
    with _lock:
        for workers, (owner, timer) in _idle.items():
            if owner == sweep:
                timer.cancel()
                del _idle[workers]
                return workers
        _count += 1
        log = Path(tempfile.gettempdir()) / f"discsim-{sweep}" / f"worker-{os.getpid()}-{_count}.log"
    return Workers([dataclasses.replace(setup, log=log)])


def _given_back(sweep: str, workers: Workers) -> None:
    with _lock:
        if sweep not in _dismissed:
            timer = threading.Timer(IDLE, _end, (workers,))
            timer.daemon = True
            _idle[workers] = sweep, timer
            timer.start()
            return
    workers.close()


def _end(workers: Workers) -> None:
    """End a process that still waits."""
    with _lock:
        if _idle.pop(workers, None) is None:
            return
    workers.close()
