"""Cubature: few points with weights >= 0 whose sums stand for those over all points of the mesh, for all that training saw.

Non-negative least squares by an active set (Lawson & Hanson 1974), stopped as soon as the sums are reproduced; what is fitted is
a random sketch of all sums, so that thousands of them cost no more than a few hundred.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse

SKETCH = 600
SPREAD = 4


class Sketch:
    """A random projection of rows (sums over points) that are handed over a block at a time."""

    def __init__(self, points: int, seed: int, size: int = SKETCH) -> None:
        self._random = np.random.default_rng(seed)
        self._matrix = np.zeros((size, points))
        self._waiting: list[np.ndarray] = []

    def add(self, rows: np.ndarray) -> None:
        """Rows (rows, points): contributions of every point, each scaled so that an error of 1 matters as much in one as in
        another."""
        self._waiting.append(rows)
        if sum(len(one) for one in self._waiting) >= len(self._matrix):
            self._flush()

    @property
    def matrix(self) -> np.ndarray:
        """The projection (size, points)."""
        self._flush()
        return self._matrix

    def _flush(self) -> None:
        """Every row goes to a few places of the sketch with random signs: as good as a dense projection, far cheaper."""
        if not self._waiting:
            return
        rows = np.concatenate(self._waiting)
        self._waiting = []
        size, count = len(self._matrix), len(rows)
        places = self._random.integers(0, size, size=(count, SPREAD)).ravel()
        signs = self._random.choice([-1.0, 1.0], size=count * SPREAD) / np.sqrt(SPREAD)
        own = np.repeat(np.arange(count), SPREAD)
        self._matrix += sparse.csr_matrix((signs, (places, own)), shape=(size, count)) @ rows


def chosen_points(sketch: Sketch, tolerance: float, most: int, at_once: int = 4) -> tuple[np.ndarray, np.ndarray, float]:
    """Numbers of the points, their factors (>= 0; 1 for every point would be the full sum), and the relative error left.

    Stops at ``tolerance`` (relative, root mean square over what was sketched) or at ``most`` points, whichever comes first.
    """
    A = sketch.matrix
    target = A.sum(axis=1)
    goal = tolerance * np.linalg.norm(target)
    size = np.linalg.norm(A, axis=0)
    usable = size > 1e-14 * max(size.max(initial=0.0), 1e-300)
    passive: list[int] = []
    factors = np.zeros(0)
    residual = target
    barred: set[int] = set()
    while np.linalg.norm(residual) > goal and len(passive) < most:
        gain = np.where(usable, A.T @ residual / np.where(usable, size, 1.0), -np.inf)
        gain[passive] = -np.inf
        gain[list(barred)] = -np.inf
        room = min(at_once, most - len(passive))
        best = [int(i) for i in np.argsort(gain)[::-1][:room] if gain[i] > 0.0]
        if not best:
            break
        before = np.linalg.norm(residual)
        passive, factors = _non_negative(A, target, passive + best, np.append(factors, np.zeros(len(best))))
        residual = target - A[:, passive] @ factors
        # without progress, which at round-off there is none of, points that were dropped at once would be taken up for ever
        stuck = np.linalg.norm(residual) >= before * (1.0 - 1e-12)
        barred = barred | {i for i in best if i not in passive} if stuck else set()
    order = np.argsort(passive)
    left = float(np.linalg.norm(residual) / max(float(np.linalg.norm(target)), 1e-300))
    return np.array(passive, dtype=np.int64)[order], factors[order], left


def _non_negative(A: np.ndarray, target: np.ndarray, passive: list[int], start: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Least squares with the points ``passive``, those that would turn negative dropped on the way."""
    current = start
    while True:
        columns = A[:, passive]
        found = np.linalg.lstsq(columns, target, rcond=1e-12)[0]
        if (found > 0.0).all():
            return passive, found
        falling = found <= 0.0
        share = np.min(current[falling] / np.maximum(current[falling] - found[falling], 1e-300))
        current = current + share * (found - current)
        kept = [k for k in range(len(passive)) if not (falling[k] and current[k] <= 1e-14 * max(current.max(), 1e-300))]
        if len(kept) == len(passive):  # round-off: drop the most negative one
            kept.remove(int(np.argmin(found)))
        passive, current = [passive[k] for k in kept], current[kept]
