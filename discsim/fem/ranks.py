"""Processes that share one solve of the reference engine.

Every rank holds the whole disc: mesh, fields and numbers, bit for bit the same, so that events, readouts, the choice of steps and
what becomes of a failed step need not know of ranks. Shared is what takes long: a rank assembles and evaluates on its own cells,
a run of them in DOLFINx's order (which keeps neighbours together), and MUMPS spreads the factor over all. Contributions are
added on rank 0 and sent to all, because a sum made on each rank may differ in its last bit from one to the next, and then their
ways would part. One rank alone does none of this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from discsim.fem.backend import MPI, PETSc


class Ranks:
    """The processes of a communicator; by default this one alone."""

    def __init__(self, comm: Any = MPI.COMM_SELF) -> None:
        self.comm, self.count, self.number = comm, int(comm.size), int(comm.rank)

    def mine(self, cells: int) -> np.ndarray:
        """Cells of this rank, of so many in all."""
        first, last = (cells * number // self.count for number in (self.number, self.number + 1))
        return np.arange(first, last, dtype=np.int32)

    def compiled[T](self, make: Callable[[], T]) -> T:
        """What ``make`` gives: on rank 0 first, so that the others find what it compiled and wait for no compiler."""
        if self.number > 0:
            self.comm.Barrier()
        made = make()
        if self.number == 0 and self.count > 1:
            self.comm.Barrier()
        return made

    def total(self, part: float) -> float:
        """Sum of the parts of all ranks."""
        array = np.array([part])
        self.add_up(array)
        return float(array[0])

    def add_up(self, part: np.ndarray) -> None:
        """Replace a part, shape of any kind, by the sum of those of all ranks."""
        if self.count > 1:
            total = np.empty_like(part)
            self.comm.Reduce(part, total, op=MPI.SUM, root=0)
            self.comm.Bcast(total, root=0)
            part[...] = total

    def agreed(self, value: float) -> float:
        """The value of rank 0, where the ranks' own may differ in a last bit."""
        return value if self.count == 1 else float(self.comm.bcast(value, root=0))

    def least(self, value: float) -> float:
        """The smallest of the ranks' values; NaN where one of them is NaN."""
        if self.count == 1:
            return value
        return float(np.min(self.comm.allgather(value)))

    def joined(self, rows: np.ndarray) -> np.ndarray:
        """Rows of all ranks, in their order, from each rank's own (same shape beyond the first axis)."""
        if self.count == 1:
            return rows
        rows = np.ascontiguousarray(rows, dtype=float)
        width = int(np.prod(rows.shape[1:]))
        counts = np.array(self.comm.allgather(len(rows)))
        whole = np.empty((int(counts.sum()), *rows.shape[1:]))
        self.comm.Allgatherv(rows, [whole, counts * width])
        return whole


class SharedMatrix:
    """The sum over ranks of matrices of the full size, spread over them by rows. On one rank: the matrix itself."""

    def __init__(self, ranks: Ranks, part: PETSc.Mat) -> None:
        self._alone = ranks.count == 1
        if self._alone:
            self.whole = part
            return
        starts, columns, _ = part.getValuesCSR()
        rows = np.repeat(np.arange(len(starts) - 1, dtype=columns.dtype), np.diff(starts))
        self.whole = PETSc.Mat().create(ranks.comm)
        self.whole.setSizes(part.getSize())
        self.whole.setType("aij")
        self.whole.setPreallocationCOO(rows, columns)  # type: ignore[arg-type] # arrays do
        # rows of fixed levels are replaced by the identity; the pattern must survive that
        self.whole.setOption(PETSc.Mat.Option.KEEP_NONZERO_PATTERN, True)  # type: ignore[arg-type]

    def destroy(self) -> None:
        """Free what is spread over ranks, on all of them: PETSc leaves that to the caller."""
        if not self._alone:
            self.whole.destroy()

    def take(self, part: PETSc.Mat, held: np.ndarray) -> None:
        """Add up the ranks' present parts; rows ``held`` become those of the identity."""
        if not self._alone:
            self.whole.setValuesCOO(part.getValuesCSR()[2])
        if len(held):
            self.whole.zeroRows(held, diag=1.0)  # type: ignore[arg-type]
