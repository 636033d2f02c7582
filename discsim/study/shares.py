"""Shares of samples with their interval (Wilson, 95 %), and paired mean differences with theirs (bootstrap, 95 %)."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from discsim.study.ensemble import Floats

CONFIDENCE = 0.95
RESAMPLES = 2000
# Above this many samples the bias and skewness that BCa corrects are far below the interval's width, and it costs too much.
MOST_CORRECTED = 4000
_LARGEST_BLOCK = 4_000_000  # numbers held at once


@dataclasses.dataclass(frozen=True)
class Share:
    """``count`` of ``of`` samples, as a probability with its 95 % interval; no number where there are no samples."""

    count: int
    of: int
    probability: float | None
    low: float | None
    high: float | None


@dataclasses.dataclass(frozen=True)
class Mean:
    """A mean with its 95 % interval; no interval for fewer than two samples."""

    value: float | None
    low: float | None
    high: float | None


def share(hits: NDArray[np.bool_]) -> Share:
    """How many of these are true."""
    return share_of(int(np.count_nonzero(hits)), int(np.size(hits)))


def share_of(count: int, of: int) -> Share:
    """``count`` of ``of``, with Wilson's interval for a proportion: sensible at 0 and at 1, where the bootstrap has no width."""
    from scipy.stats import binomtest

    if of == 0:
        return Share(0, 0, None, None, None)
    interval = binomtest(count, of).proportion_ci(CONFIDENCE, method="wilson")
    return Share(count, of, count / of, float(interval.low), float(interval.high))


def bounded(hits: NDArray[np.bool_], sure: NDArray[np.bool_], possible: NDArray[np.bool_]) -> Share:
    """How many of ``hits`` are true, where error bars leave some open.

    The interval runs from the lower end of Wilson's for those that are true whatever the error (``sure``) to the upper end for
    those that may be (``possible``). Where nothing is open it is that of ``share``.
    """
    return dataclasses.replace(share(hits), low=share(sure).low, high=share(possible).high)


def told(one: Share, drawn: bool) -> Share:
    """Without its interval where the samples stand for no distribution."""
    return one if drawn else dataclasses.replace(one, low=None, high=None)


def mean(numbers: Floats) -> Mean:
    """Mean with its bootstrap interval: the samples are drawn again with replacement, BCa up to 4000 of them.

    Of paired differences this is the paired bootstrap: a sample brings its values of both arms. Samples of a Latin hypercube or
    Sobol design fill the box more evenly than independent ones, so that the interval is then rather too wide than too narrow.
    """
    from scipy.stats import bootstrap

    if numbers.size == 0:
        return Mean(None, None, None)
    centre = float(np.mean(numbers))
    if numbers.size == 1:
        return Mean(centre, None, None)
    if np.ptp(numbers) == 0.0:
        return Mean(centre, centre, centre)
    interval = bootstrap(
        (numbers,),
        np.mean,
        n_resamples=RESAMPLES,
        batch=max(1, _LARGEST_BLOCK // numbers.size),
        confidence_level=CONFIDENCE,
        method="BCa" if numbers.size <= MOST_CORRECTED else "percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Mean(centre, float(interval.low), float(interval.high))
