"""What the error bars of a reduced engine leave open: whose order may flip, and how far intervals widen for it.

    |a - b| <= e_a + e_b

a, b: values of two arms in the same sample; e_a, e_b: half-widths of their error bars (0 at full order). Such a sample is
counted as computed, but no interval rests on it: a lower bound counts it as lost, an upper one as won. Errors of different
samples need not be independent (a basis that lacks a direction errs alike everywhere), so that they are never averaged away.
Bars cover the share of errors that they were calibrated for (see the certificate of the reduced engine), not all of them.
"""

from __future__ import annotations

import collections
import dataclasses

import numpy as np
from numpy.typing import NDArray

from discsim.study.ensemble import Ensemble, Floats, together
from discsim.study.shares import Mean, Share, bounded

Bools = NDArray[np.bool_]
UNNAMED = "an engine that is not named"


def bars_at(ensemble: Ensemble, scenario: str, readout: str, index: int) -> Floats:
    """Half-width of error per sample at a time of the table, by index; 0 at full order, and where the sample is not good."""
    return np.where(ensemble.good(scenario), ensemble.bar(scenario, readout)[:, index], 0.0)


def undecided(difference: Floats, bar: Floats) -> Bools:
    """Samples whose sign of ``difference`` may be another within ``bar``, the sum of the bars; none at full order."""
    found: Bools = (bar > 0.0) & (np.abs(difference) <= bar)
    return found


def share_within(hits: Bools, open_: Bools) -> Share:
    """How many of ``hits`` are true, where those that are ``open_`` may be or not."""
    return bounded(hits, hits & ~open_, hits | open_)


def mean_within(found: Mean, bar: Floats) -> Mean:
    """The mean with its interval widened by what it errs by if all samples err by their bar in one direction.

    Without an interval where a bar is infinite.
    """
    if found.low is None or found.high is None or not bar.any():
        return found
    most = finite(bar.mean())
    if most is None:
        return dataclasses.replace(found, low=None, high=None)
    return dataclasses.replace(found, low=found.low - most, high=found.high + most)


def quantiles_within(difference: Floats, bar: Floats) -> tuple[float | None, float | None, float | None]:
    """Lower bound of the 5 % quantile, median, upper bound of the 95 % quantile; no number where bars leave no bound."""
    with np.errstate(invalid="ignore"):  # between two infinite ones there is no number, and none is told
        low, high = np.quantile(difference - bar, 0.05), np.quantile(difference + bar, 0.95)
    return finite(low), finite(np.quantile(difference, 0.5)), finite(high)


def finite(number: float) -> float | None:
    """The number, or nothing where it is none or infinite: JSON has no word for these."""
    return float(number) if np.isfinite(number) else None


def engine_counts(ensemble: Ensemble, rows: Bools, *scenarios: str) -> dict[str, int]:
    """How many of these samples each engine computed, the busiest first; nothing where the sweep names no engine.

    A sample whose scenarios (all of ``scenarios``) were computed by different engines counts for them together.
    """
    if not ensemble.engine:
        return {}
    columns = [np.asarray(ensemble.engine[name])[rows].tolist() for name in scenarios]
    counts = collections.Counter(together(words) or UNNAMED for words in zip(*columns, strict=True))
    return dict(counts.most_common())
