"""A mechanism that fails on the second of several ranks, and the words that choose how. Rank processes import it."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Any

from discsim.biology.mechanism import Mechanism, loss
from discsim.quantities.parameters import param

VARIABLE = "RANK_FAULT"  # of the environment: "raise", "kill" or nothing
SAYING = "the law of rank 1 does not hold"


class RankFault(Mechanism):
    """Death at a given rate, where no fault is asked for."""

    name = "rank_fault"

    rate = param("0.3 1/year", bounds=("0 1/year", "2 1/year"), source="test", evidence="assumed", description="death")

    def rates(self, gag: Any) -> Mapping[Any, Any]:
        from discsim.fem.backend import MPI

        fault = os.environ.get(VARIABLE)
        if MPI.COMM_WORLD.rank == 1 and fault == "raise":
            raise ArithmeticError(SAYING)
        if MPI.COMM_WORLD.rank == 1 and fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        return {loss("cell_density"): self.rate + 0.0 * gag}
