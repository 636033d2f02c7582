"""Linear solves with kept factors, behind one small interface; one matrix per lane, all of one pattern.

``SparseDirect`` (SciPy's SuperLU) is for processors; ``BlockTridiagonal`` is JAX alone, for devices without a sparse library.
Both take element matrices, add them up, and keep a factor per lane until it is made anew.
"""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu


class Pattern:
    """Where the entries of element matrices go in a square matrix of ``size`` rows.

    ``rows``, ``columns``: one number per entry; entries outside 0..size-1 are dropped, and so are rows in ``held``, which
    become rows of the identity.
    """

    def __init__(self, rows: np.ndarray, columns: np.ndarray, size: int, held: np.ndarray | None = None) -> None:
        rows, columns = rows.reshape(-1).astype(np.int64), columns.reshape(-1).astype(np.int64)
        self.size = size
        self.held = np.flatnonzero(held) if held is not None else np.empty(0, dtype=np.int64)
        keep = (rows >= 0) & (rows < size) & (columns >= 0) & (columns < size)
        if held is not None:
            keep &= ~held[np.where(keep, rows, 0)]
        self.rows, self.columns, self.keep = rows, columns, keep

    def keys(self) -> tuple[np.ndarray, np.ndarray]:
        """Row and column of every kept entry and of the unit entries after them."""
        return (
            np.concatenate([self.rows[self.keep], self.held]),
            np.concatenate([self.columns[self.keep], self.held]),
        )


class LinearSolver(abc.ABC):
    """Factors of the matrices of ``lanes`` lanes."""

    xp: Any  # array library in which vectors are kept

    @abc.abstractmethod
    def __init__(self, pattern: Pattern, lanes: int) -> None: ...

    @abc.abstractmethod
    def factor(self, entries: Any, which: np.ndarray, rough: bool = False) -> None:
        """New factors for the lanes in the mask ``which``; ``entries`` (lanes, entries) in the order of the pattern.

        ``rough``: a solution to some five digits will do, because residuals correct it; a solver may then keep less.
        """

    @abc.abstractmethod
    def solve(self, vectors: Any, which: np.ndarray, transposed: bool = False) -> Any:
        """Solutions (lanes, size) with the kept factors; rows of other lanes are zero. NaN where there is no factor."""


class SparseDirect(LinearSolver):
    """SuperLU with a symmetric fill-reducing order, found once per pattern and kept.

    Unknowns that no entry joins are factored apart, and only where a right-hand side is not zero there: a signal that no therapy
    brings costs nothing.
    """

    xp = np

    def __init__(self, pattern: Pattern, lanes: int) -> None:
        rows, columns = pattern.keys()
        self.size = pattern.size
        self._keep, self._held = pattern.keep, np.ones(len(pattern.held))
        graph = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(self.size, self.size))
        count, part = connected_components(graph, directed=False)
        self._blocks = [_Block(np.flatnonzero(part == number), rows, columns) for number in range(count)]
        self._entries: list[np.ndarray | None] = [None] * lanes
        self._factors: list[dict[int, Any]] = [{} for _ in range(lanes)]
        self._rough = [False] * lanes

    def factor(self, entries: Any, which: np.ndarray, rough: bool = False) -> None:
        entries = np.asarray(entries)
        for lane in np.flatnonzero(which):
            self._rough[lane] = rough
            self._entries[lane] = np.concatenate([entries[lane].reshape(-1)[self._keep], self._held])
            self._factors[lane] = {}

    def solve(self, vectors: Any, which: np.ndarray, transposed: bool = False) -> np.ndarray:
        vectors = np.asarray(vectors)
        found = np.zeros((len(self._entries), self.size))
        for lane in np.flatnonzero(which):
            entries, factors = self._entries[lane], self._factors[lane]
            if entries is None:
                found[lane] = np.nan
                continue
            for number, block in enumerate(self._blocks):
                given = vectors[lane, block.order]
                if not given.any():
                    continue
                if number not in factors:
                    factors[number] = block.factor(entries, self._rough[lane])
                solved = np.nan if factors[number] is None else factors[number].solve(given, trans="T" if transposed else "N")
                found[lane, block.order] = solved
        return found


class _Block:
    """Unknowns that are joined with one another: their order, and where entries go in the matrix in that order."""

    def __init__(self, members: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> None:
        self._mine = np.flatnonzero(np.isin(rows, members))
        local = np.searchsorted(members, rows[self._mine]), np.searchsorted(members, columns[self._mine])
        size = self._size = len(members)
        order = _fill_reducing(*local, size)
        self.order = members[order]
        place = np.empty(size, dtype=np.int64)
        place[order] = np.arange(size)
        slots, self._slot = np.unique(place[local[1]] * size + place[local[0]], return_inverse=True)
        self._indices = (slots % size).astype(np.int32)
        self._indptr = np.searchsorted(slots // size, np.arange(size + 1)).astype(np.int32)

    def factor(self, entries: np.ndarray, rough: bool) -> Any:
        """SuperLU's factor, or none where the matrix is singular or not finite (Newton's method takes it from there)."""
        data = np.bincount(self._slot, weights=entries[self._mine], minlength=len(self._indices))
        size = float(np.abs(data).max()) if rough else 1.0
        if rough:
            with np.errstate(all="ignore"):
                data = (data / size).astype(np.float32)
        matrix = sparse.csc_matrix((data, self._indices, self._indptr), shape=(self._size, self._size))
        try:
            found = splu(matrix, permc_spec="NATURAL", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
        except RuntimeError:
            return None
        return _Single(found, size) if rough else found


class _Single:
    """A factor in single precision of a matrix over ``size``: its solves are bound by memory, and this is half of it."""

    def __init__(self, factor: Any, size: float) -> None:
        self._factor, self._size = factor, size

    def solve(self, vector: np.ndarray, trans: str) -> np.ndarray:
        """Solution, in double precision to some digits; the range of numbers is not that of single precision."""
        length = float(np.linalg.norm(vector))
        with np.errstate(all="ignore"):
            found = self._factor.solve((vector / length).astype(np.float32), trans=trans)
        solution: np.ndarray = found.astype(float) * (length / self._size)
        return solution


def _fill_reducing(rows: np.ndarray, columns: np.ndarray, size: int) -> np.ndarray:
    """Minimum degree order of the pattern, as SuperLU finds it."""
    ones = sparse.csc_matrix((np.ones(len(rows)), (rows, columns)), shape=(size, size))
    ones.data[:] = -1e-3
    dominant = ones + sparse.identity(size, format="csc") * size
    factor = splu(sparse.csc_matrix(dominant), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    order: np.ndarray = np.argsort(factor.perm_c)
    return order
