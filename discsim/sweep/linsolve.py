"""Linear solves with kept factors, behind one small interface; one matrix per lane, all of one pattern.

``SparseDirect`` (SciPy's SuperLU) is for processors; ``BlockTridiagonal`` is JAX alone, for devices without a sparse library.
Both take element matrices, add them up, and keep a factor per lane until it is made anew.
"""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
import scipy.sparse as sparse
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
    def factor(self, entries: Any, which: np.ndarray) -> None:
        """New factors for the lanes in the mask ``which``; ``entries`` (lanes, entries) in the order of the pattern."""

    @abc.abstractmethod
    def solve(self, vectors: Any, which: np.ndarray, transposed: bool = False) -> Any:
        """Solutions (lanes, size) with the kept factors; rows of other lanes are zero. NaN where there is no factor."""


class SparseDirect(LinearSolver):
    """SuperLU, symmetric fill-reducing order, found once per pattern and kept."""

    xp = np

    def __init__(self, pattern: Pattern, lanes: int) -> None:
        rows, columns = pattern.keys()
        self.size = pattern.size
        self._keep, self._held = pattern.keep, np.ones(len(pattern.held))
        self._order = _fill_reducing(rows, columns, self.size)
        place = np.empty(self.size, dtype=np.int64)
        place[self._order] = np.arange(self.size)
        slots, self._slot = np.unique(place[columns] * self.size + place[rows], return_inverse=True)
        self._indices = (slots % self.size).astype(np.int32)
        self._indptr = np.searchsorted(slots // self.size, np.arange(self.size + 1)).astype(np.int32)
        self._factors: list[Any] = [None] * lanes

    def matrix(self, entries: np.ndarray) -> sparse.csc_matrix:
        """One lane's matrix, in the fill-reducing order."""
        given = np.concatenate([entries.reshape(-1)[self._keep], self._held])
        data = np.bincount(self._slot, weights=given, minlength=len(self._indices))
        return sparse.csc_matrix((data, self._indices, self._indptr), shape=(self.size, self.size))

    def factor(self, entries: Any, which: np.ndarray) -> None:
        entries = np.asarray(entries)
        for lane in np.flatnonzero(which):
            try:
                self._factors[lane] = splu(
                    self.matrix(entries[lane]), permc_spec="NATURAL", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
                )
            except RuntimeError:  # singular, or not finite: the solve gives NaN and Newton's method takes it from there
                self._factors[lane] = None

    def solve(self, vectors: Any, which: np.ndarray, transposed: bool = False) -> np.ndarray:
        vectors = np.asarray(vectors)
        found = np.zeros((len(self._factors), self.size))
        for lane in np.flatnonzero(which):
            factor = self._factors[lane]
            if factor is None:
                found[lane] = np.nan
            else:
                found[lane, self._order] = factor.solve(vectors[lane, self._order], trans="T" if transposed else "N")
        return found


def _fill_reducing(rows: np.ndarray, columns: np.ndarray, size: int) -> np.ndarray:
    """Minimum degree order of the pattern, as SuperLU finds it."""
    ones = sparse.csc_matrix((np.ones(len(rows)), (rows, columns)), shape=(size, size))
    ones.data[:] = -1e-3
    dominant = ones + sparse.identity(size, format="csc") * size
    factor = splu(sparse.csc_matrix(dominant), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    order: np.ndarray = np.argsort(factor.perm_c)
    return order
