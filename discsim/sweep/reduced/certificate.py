"""How far a number of the reduced model may be off: a residual made into a change of every readout, calibrated at full order.

At the certified times forces and balances are worked out on further modes and at other points than the model's own. What is left
there, over usual slopes, is the displacement and the solutes that the model lacks (|db|, |da|, over their usual sizes); the
readout with and without them differ by its indicator eta. The bar of a readout is

    k m sqrt(1 + eta / eta_m + |db| / |db|_m + |da| / |da|_m)

eta, |db| and |da| the largest up to that time, the index m medians over full-order runs that training has not seen, m the median
of their true errors, and k the conformal quantile of |error| over the rest (Lei et al. 2018, 10.1080/01621459.2017.1307116,
recalled, unverified). Arms of a sample err alike, so that samples are counted, not arms. Valid for samples like those it was
calibrated with: even in the trained box. The square root was chosen on a coarse mesh: with the indicator itself bars were as
often right, and wider.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from discsim.sweep.kernels import counted
from discsim.sweep.reduced.bases import Counts
from discsim.sweep.reduced.forms import ReducedForms
from discsim.sweep.reduced.online import ReducedState
from discsim.sweep.reduced.points import Tables


class Checker:
    """Indicators of all lanes at one time."""

    def __init__(
        self, forms: ReducedForms, used: Counts, readouts: Any, inverse: tuple[Any, Any], sizes: tuple[float, float]
    ) -> None:
        self.forms, self.used, self.readouts = forms, used, readouts
        self.inverse, self.sizes = inverse, sizes
        self.look = jax.jit(counted("reduced check", self._look))

    def _look(self, t: Tables, rows: Any, prestress: Any, state: ReducedState) -> tuple[Any, Any, Any]:
        """Indicator of every readout (lanes, readouts), sizes of what lacks in displacement and solutes (lanes, 2), least
        distance of J from the bound of the swelling law (lanes,).
        """
        return jax.vmap(functools.partial(self._lane, t))(rows, prestress, state.pointwise, state.a, state.d, state.b)

    def _lane(self, t: Tables, row: Any, prestress: Any, pointwise: Any, a: Any, d: Any, b: Any) -> tuple[Any, Any, Any]:
        forms = self.forms
        b = jnp.concatenate([b, jnp.zeros(t["plate"].shape[0] - b.shape[0])])
        a = self._widened(a)
        lacking_b = self.inverse[0] @ forms.forces(t, row, pointwise[forms.full.gag], prestress, b)
        balance = forms.solute_balance(t, row, forms.shape(t, b), pointwise, d, a, 0.0)
        lacking_a = self.inverse[1] @ balance
        read = functools.partial(forms.readouts, self.readouts, t, row, pointwise)
        indicator = jnp.abs(read(a - lacking_a, d, b - lacking_b) - read(a, d, b))
        sizes = jnp.stack([jnp.linalg.norm(lacking_b) / self.sizes[0], jnp.linalg.norm(lacking_a) / self.sizes[1]])
        return indicator, sizes, forms.lowest_margin(t, row, b)

    def _widened(self, a: Any) -> Any:
        """Coefficients with zeros for the further modes of every solute."""
        parts, start = [], 0
        for own, end, begin in zip(self.used.solutes, self.forms.solute_ends[1:], self.forms.solute_ends, strict=False):
            parts += [a[start : start + own], jnp.zeros(int(end - begin) - own)]
            start += own
        return jnp.concatenate(parts)


@dataclasses.dataclass(frozen=True)
class Certificate:
    """Medians over the calibration runs at every certified time: ``error`` and ``indicator`` (times, readouts), ``lacking``
    (times, 2); ``factor`` (times, readouts); ``runs`` (arms) of ``samples`` samples it rests on; ``coverage``: share of errors
    that the bars are to cover.
    """

    error: np.ndarray
    indicator: np.ndarray
    lacking: np.ndarray
    factor: np.ndarray
    runs: int
    samples: int
    coverage: float

    def bars(self, indicators: np.ndarray, lacking: np.ndarray) -> np.ndarray:
        """Half-widths (lanes, times, readouts) in the readouts' units; infinite where an indicator is no number."""
        found = self.factor * self.expected(indicators, lacking)
        return np.where(np.isfinite(found), found, np.inf)

    def expected(self, indicators: np.ndarray, lacking: np.ndarray) -> np.ndarray:
        """Usual errors (lanes, times, readouts); ``indicators`` has that shape, ``lacking`` (lanes, times, 2)."""
        inner = 1.0 + np.maximum.accumulate(indicators, axis=1) / _divisor(self.indicator)
        missing = np.maximum.accumulate(lacking, axis=1) / _divisor(self.lacking)
        found: np.ndarray = self.error * np.sqrt(inner + missing.sum(axis=2)[:, :, None])
        return found


def calibrated(
    indicators: np.ndarray, lacking: np.ndarray, errors: np.ndarray, samples: np.ndarray, coverage: float
) -> Certificate:
    """The certificate from runs with known errors (lanes, times, readouts); ``samples`` (lanes,) number of each run's sample."""
    count = len(np.unique(samples))
    level = min(1.0, np.ceil((count + 1) * coverage) / count)
    errors = np.abs(errors)
    highest = np.median(np.maximum.accumulate(indicators, axis=1), axis=0)
    missing = np.median(np.maximum.accumulate(lacking, axis=1), axis=0)
    # the largest of n errors is only expected to cover n of n + 1 new ones
    coverage = min(coverage, count / (count + 1))
    usual = np.maximum(np.median(errors, axis=0), 1e-6 * errors.max(axis=(0, 1)) + 1e-300)
    bare = Certificate(usual, highest, missing, np.ones_like(usual), len(errors), count, coverage)
    factor = np.quantile(errors / bare.expected(indicators, lacking), level, axis=0, method="higher")
    return dataclasses.replace(bare, factor=factor)


def _divisor(median: np.ndarray) -> np.ndarray:
    """An indicator that is usually nothing says nothing."""
    return np.where(median > 0.0, median, np.inf)
