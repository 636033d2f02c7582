"""A mechanism that fails on the second of several ranks, and the words that choose how. Rank processes import it."""

from __future__ import annotations

import functools
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from discsim.biology.mechanism import Mechanism, loss
from discsim.quantities.parameters import param

FAULT = "RANK_FAULT"  # in the environment: "raise", "kill", "hang" or nothing
SPARED = "RANK_FAULT_SPARED"  # a file; the first process that does not find it makes it and has no fault
SAYING = "the law of rank 1 does not hold"


class RankFault(Mechanism):
    """Death at a given rate, where no fault is asked for."""

    name = "rank_fault"

    rate = param("0.3 1/year", bounds=("0 1/year", "2 1/year"), source="test", evidence="assumed", description="death")

    def rates(self, gag: Any) -> Mapping[Any, Any]:
        strike()
        return {loss("cell_density"): self.rate + 0.0 * gag}


@functools.cache
def strike() -> None:
    """What is asked for, once in a process."""
    from discsim.fem.backend import MPI

    fault = os.environ.get(FAULT)
    if MPI.COMM_WORLD.rank != 1 or not fault:
        return
    if SPARED in os.environ:
        place = Path(os.environ[SPARED])
        if not place.exists():
            place.touch()
            return
    if fault == "raise":
        raise ArithmeticError(SAYING)
    if fault == "hang":
        time.sleep(3600.0)
    os.kill(os.getpid(), signal.SIGKILL)
