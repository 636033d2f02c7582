"""Smooth fits of few numbers: polynomials whose degree is chosen by leaving one out."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Polynomial:
    """value = basis(x) @ coefficients; x is scaled to -1..1 (on a logarithmic scale where ``log``).

    ``low``, ``high``, ``log`` (inputs,); ``powers`` (terms, inputs); ``coefficients`` (terms, outputs); ``left_out``: root mean
    square of the errors at points left out, over the spread of the outputs.
    """

    low: np.ndarray
    high: np.ndarray
    log: np.ndarray
    powers: np.ndarray
    coefficients: np.ndarray
    left_out: float

    def basis(self, x: Any, xp: Any = np) -> Any:
        """Terms (..., terms) at inputs (..., inputs)."""
        scaled = self._scaled(x, xp)
        # Chebyshev polynomials of every input, products of them as terms
        degree = int(self.powers.max(initial=0))
        tables = [xp.ones_like(scaled), scaled]
        for _ in range(2, degree + 1):
            tables.append(2.0 * scaled * tables[-1] - tables[-2])
        stacked = xp.stack(tables[: degree + 1], axis=0)
        found = xp.ones((*scaled.shape[:-1], len(self.powers)))
        for column in range(self.powers.shape[1]):
            picked = xp.moveaxis(stacked[self.powers[:, column], ..., column], 0, -1)
            found = found * picked
        return found

    def __call__(self, x: Any, xp: Any = np) -> Any:
        """Outputs (..., outputs) at inputs (..., inputs)."""
        return self.basis(x, xp) @ self.coefficients

    def _scaled(self, x: Any, xp: Any) -> Any:
        width = np.where(self.high > self.low, self.high - self.low, 1.0)
        safe = xp.where(self.log, xp.maximum(x, 1e-300), 1.0)
        value = xp.where(self.log, xp.log(safe), x)
        return 2.0 * (value - self.low) / width - 1.0


def logarithmic(x: np.ndarray) -> np.ndarray:
    """Which inputs (columns of (samples, inputs)) span so much that their logarithm is the smoother scale."""
    low, high = x.min(axis=0), x.max(axis=0)
    return (low > 0.0) & (high > 5.0 * np.where(low > 0.0, low, 1.0))


def fitted(x: np.ndarray, y: np.ndarray, highest: int = 9) -> Polynomial:
    """The polynomial of total degree 0 to ``highest`` with the least error at points left out; x (samples, inputs), y (samples,
    outputs). A degree is tried only where it leaves half of the samples free."""
    log = logarithmic(x) if x.shape[1] else np.zeros(0, dtype=bool)
    moved = np.where(log, np.log(np.where(x > 0.0, x, 1.0)), x)
    low, high = (moved.min(axis=0), moved.max(axis=0)) if x.shape[1] else (np.zeros(0), np.zeros(0))
    best: Polynomial | None = None
    spread = float(np.sqrt(((y - y.mean(axis=0)) ** 2).mean())) or 1.0
    different = len(np.unique(np.round(moved, 12), axis=0)) if x.shape[1] else 1
    for degree in range(highest + 1):
        exponents = _exponents(x.shape[1], degree)
        powers = np.array(exponents, dtype=np.int64).reshape(len(exponents), x.shape[1])
        if len(powers) > max(1, different // 2):
            break
        trial = Polynomial(low, high, log, powers, np.zeros((len(powers), y.shape[1])), np.inf)
        basis = trial.basis(x)
        coefficients, *_ = np.linalg.lstsq(basis, y, rcond=1e-10)
        leverage = np.einsum("st,ts->s", basis, np.linalg.pinv(basis))
        errors = (y - basis @ coefficients) / np.maximum(1.0 - leverage, 1e-3)[:, None]
        left_out = float(np.sqrt((errors**2).mean())) / spread
        if best is None or left_out < best.left_out:
            best = dataclasses.replace(trial, coefficients=coefficients, left_out=left_out)
    assert best is not None
    return best


def _exponents(inputs: int, degree: int) -> list[tuple[int, ...]]:
    found = [(0,) * inputs]
    for total in range(1, degree + 1):
        for places in itertools.combinations_with_replacement(range(inputs), total):
            powers = [0] * inputs
            for place in places:
                powers[place] += 1
            found.append(tuple(powers))
    return found
