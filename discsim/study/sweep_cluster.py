"""A sweep on a Dask cluster that is there already: its workers host the processes (``sweep_host``), its scheduler only deals out.

Batches are handed over as threads come free, not all at once, so that what is tried again comes next, and nothing but the batches
that run is lost with the cluster.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import logging
import pickle
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from discsim.study.environment import MissingTool
from discsim.study.executor import Died, Executor, Task, no_limit
from discsim.study.sweep_folder import SweepError
from discsim.study.sweep_host import dismiss, host
from discsim.study.sweep_worker import Setup, Trouble, one_line

if TYPE_CHECKING:
    from distributed import Client, Future

_ADDRESS = re.compile(r"(tcp|tls|ws|wss)://[^/\s]+:\d{1,5}")
CONNECT = 15.0  # s to reach the scheduler
TICK, PAUSE = 1.0, 0.05  # s between two questions for the workers; between two looks at what is done


class NoCluster(SweepError):
    """The scheduler cannot be reached, or is gone."""


class BadAddress(SweepError):
    """What was given is no address of a scheduler."""


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[Client | None]:
    """The cluster of a scheduler's address, such as ``tcp://host:8786``; nothing where none is given.

    Raises ``MissingTool`` without Dask, ``BadAddress`` and ``NoCluster``.
    """
    if address is None:
        yield None
        return
    if not _ADDRESS.fullmatch(address):
        raise BadAddress(f"--address {address}: is no address of a scheduler; write tcp://HOST:PORT (or tls://HOST:PORT)")
    try:
        import distributed
    except ImportError as error:
        raise MissingTool(f"--address needs Dask ({error}); pip install 'discsim[dask]'") from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # its troubles are told here, in a line
    try:
        client = distributed.Client(address, timeout=CONNECT, set_as_default=False)
    except OSError as error:
        raise NoCluster(
            f"--address {address}: no scheduler answers there ({one_line(error)}); dask scheduler starts one and says its address"
        ) from None
    try:
        yield client
    finally:
        client.close(timeout=TICK)


class ClusterWorkers(Executor):
    """The threads of a cluster, no more than ``most`` of them. ``code``: discsim and libraries that its workers need to have."""

    def __init__(self, client: Client, setup: Setup, code: Mapping[str, str], most: int | None = None) -> None:
        self.client, self.most = client, most
        self.setup = dataclasses.replace(setup, core=None, code=code)
        self.sweep = uuid.uuid4().hex[:12]
        self._busy: dict[Future, Task] = {}
        self._threads, self._asked = 0, float("-inf")

    def close(self) -> None:
        """End all processes of this sweep on the cluster, and leave the cluster as it was."""
        if self.client.status != "running":  # the processes end with their tasks, which Dask gives up without a scheduler
            return
        with contextlib.suppress(OSError, RuntimeError):  # it may be lost at this moment
            self.client.cancel(list(self._busy), force=True)
            self._busy.clear()
            self.client.run(pickle.loads, _packed(dismiss, self.sweep), on_error="ignore")

    def run(
        self,
        tasks: collections.deque[Task],
        tick: Callable[[list[Task]], None],
        limit: Callable[[Task], float] = no_limit,
    ) -> Iterator[tuple[Task, Any]]:
        """Tasks with their outcomes as they come (see ``Executor``). The limit of time is the one at the start of a task. Where
        the cluster has no worker (yet), ``tick`` hears that nothing is running. Raises ``NoCluster`` where it is lost."""
        while tasks or self._busy:
            while tasks and len(self._busy) < self._room():
                task = tasks.popleft()
                call = _packed(host, self.sweep, self.setup, task, limit(task))
                future = self.client.submit(pickle.loads, call, key=f"discsim-{uuid.uuid4().hex}", pure=False)
                self._busy[future] = task
            tick(list(self._busy.values()))
            for future in self._finished():
                yield self._busy.pop(future), self._outcome(future)

    def _room(self) -> int:
        """Threads that the cluster has now; asked every second, for workers come and go."""
        if time.monotonic() - self._asked >= TICK:
            if self.client.status != "running":
                raise self._lost()
            try:
                self._threads = sum(self.client.nthreads().values())
            except OSError:
                raise self._lost() from None
            self._asked = time.monotonic()
        return self._threads if self.most is None else min(self.most, self._threads)

    def _finished(self) -> list[Future]:
        """What is done, after a second at most."""
        end = time.monotonic() + TICK
        while not (found := [future for future in self._busy if future.done()]) and time.monotonic() < end:
            time.sleep(PAUSE)
        return found

    def _outcome(self, future: Future) -> Any:
        import distributed

        if future.status == "finished":
            try:
                return future.result(timeout=CONNECT)
            except (OSError, distributed.CancelledError):
                raise self._lost() from None
        if future.status != "error":
            raise self._lost()
        error = future.exception()
        if isinstance(error, distributed.KilledWorker):
            return Died("the log of its Dask worker", machine=str(error.last_worker.address))
        # Whatever goes wrong in its process is an outcome: this is a worker that cannot even start one.
        return Trouble("tool", f"a Dask worker cannot run discsim ({one_line(error)}); install the same discsim there as here")

    def _lost(self) -> NoCluster:
        where = self.client.scheduler.address if self.client.scheduler else "the cluster"
        return NoCluster(f"the scheduler at {where} is gone; what is done is kept, and the same command goes on with it")


class _Call:
    """A call that is made where its pickle is read."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.function, self.arguments


def _packed(function: Callable[..., Any], *arguments: Any) -> bytes:
    """A call for ``pickle.loads``, which every Dask worker has. One without discsim then says so; it would end if it
    were given a function of it, which it reads between tasks."""
    return pickle.dumps(_Call(function, arguments))
