"""Verdicts of a sweep: which arm, by how much, in which discs, how sure. Each readout has its own; nothing sums readouts.

Samples are paired: sample i has the same numbers in every arm, so that arms are compared within each virtual disc. A sample that
failed in an arm is left out of what concerns that arm, counted and named; nothing is put in its place. Where numbers have error
bars (see ``error_bars``), intervals are as wide as these demand, and samples whose order they leave open are counted.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from discsim.study.directions import Direction, direction_of
from discsim.study.ensemble import Ensemble, Floats, SweptInput
from discsim.study.error_bars import bars_at, engine_counts, finite, mean_within, quantiles_within, share_within, undecided
from discsim.study.flips import Flip, find_flip
from discsim.study.messages import nearest
from discsim.study.orders import RESOLUTION as RESOLUTION
from discsim.study.orders import OrderShare, order_shares, orders_of
from discsim.study.orders import order_of as order_of
from discsim.study.shares import Mean, Share, mean, told

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Bools = NDArray[np.bool_]
# Kinds whose samples stand for a distribution; shares of other designs are shares of what somebody chose, without an interval.
DRAWN = ("random", "latin_hypercube", "sobol", "saltelli")
_TIME_TOLERANCE = 1e-9


class VerdictError(ValueError):
    """A question that the ensemble cannot answer: one line with what and where."""


@dataclasses.dataclass(frozen=True)
class SweptRange:
    """What was varied, without its values."""

    path: str
    unit: str
    scale: str
    evidence: str
    low: float | None
    high: float | None


@dataclasses.dataclass(frozen=True)
class Failed:
    """Samples of a scenario without usable numbers, by status word."""

    scenario: str
    status: str
    samples: tuple[int, ...]
    reason: str


@dataclasses.dataclass(frozen=True)
class PairVerdict:
    """``first`` against ``second`` in the ``samples`` that are good in both (``missing`` are not).

    ``mean``, ``median``, ``low`` and ``high`` (5 and 95 % of the samples) are of first less second, in the readout's unit.
    ``undecided``: samples whose order may flip within the error bars of the two arms; ``bar``: mean over the samples of the sum
    of the two bars, by which the interval of the mean is widened (nothing where one is infinite); both 0 at full order. ``low``
    and ``high`` hold for all values that the bars admit.
    ``better``, ``tied``, ``worse``: the first arm is better, equal, worse, where "equal" is closer than ``RESOLUTION``;
    ``harm``: worse by more than the margin. They and ``flip`` (told of the arm that wins more often) are missing for a readout
    without a direction.
    """

    first: str
    second: str
    samples: int
    missing: int
    mean: Mean
    median: float | None
    low: float | None
    high: float | None
    better: Share | None
    tied: Share | None
    worse: Share | None
    harm: Share | None
    flip: Flip | None
    undecided: int = 0
    bar: float | None = 0.0


@dataclasses.dataclass(frozen=True)
class ReadoutVerdict:
    """All about one readout at one time (s). ``samples``: good in every arm. ``first_places``: arm -> how often none is better.

    ``higher_is_better``, ``why`` and everything ranked are missing where the readout has no direction.
    """

    readout: str
    unit: str
    digits: int
    time: float
    domain: str | None
    higher_is_better: bool | None
    why: str
    margin: float
    samples: int
    pairs: tuple[PairVerdict, ...]
    orders: tuple[OrderShare, ...]
    first_places: Mapping[str, Share]

    def pair(self, first: str, second: str) -> PairVerdict:
        """The verdict of one arm against another, in this order."""
        for one in self.pairs:
            if (one.first, one.second) == (first, second):
                return one
        raise VerdictError(f"{self.readout}: no pair {first}, {second}")


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Verdicts of an ensemble. ``samples``: rows used; ``drawn``: whether they stand for a distribution (else no intervals).

    ``clear``: how many samples are good in every scenario. ``engines``: scenario -> engine -> how many of its good samples it
    computed; nothing where the sweep does not say so.
    """

    title: str
    design_kind: str
    seed: int | None
    drawn: bool
    scenarios: tuple[str, ...]
    samples: int
    clear: int
    failed: tuple[Failed, ...]
    inputs: tuple[SweptRange, ...]
    verdicts: tuple[ReadoutVerdict, ...]
    engines: Mapping[str, Mapping[str, int]] = dataclasses.field(default_factory=dict)

    def to_json(self) -> str:
        """As JSON; ``comparison_from_json`` reads it back."""
        return _adapter().dump_json(self, indent=2).decode()


@functools.cache
def _adapter() -> TypeAdapter[Comparison]:
    from pydantic import TypeAdapter

    return TypeAdapter(Comparison)


def comparison_from_json(text: str | bytes) -> Comparison:
    """The comparison that ``to_json`` wrote; raises ``pydantic.ValidationError`` for other text."""
    return _adapter().validate_json(text)


def compare(
    ensemble: Ensemble,
    *,
    readouts: Iterable[str] | None = None,
    times: Iterable[float] | None = None,
    margins: Mapping[str, float] | None = None,
    flips: bool = True,
    alone: bool = False,
) -> Comparison:
    """Verdicts for each readout (all where left out) at each time (s; the last table time where left out).

    ``margins``: readout -> difference (in its unit) beyond which a worse arm counts as harm, such as its discretisation error;
    0 where left out. ``flips``: whether to look for the inputs that decide. ``alone``: a single scenario gives no verdicts.
    Raises ``VerdictError`` for a readout or time that the ensemble does not hold, a margin below zero, and where there is nothing
    to compare.
    """
    single = len(ensemble.scenarios) < 2
    if single and not alone:
        raise VerdictError(f"{ensemble.title}: one scenario only; a comparison needs two")
    known = tuple(ensemble.units)
    chosen = known if readouts is None else tuple(readouts)
    margin = dict(margins or {})
    for name in (*chosen, *margin):
        check_readout(ensemble, name)
    for name, size in margin.items():
        if not 0.0 <= size < np.inf:
            raise VerdictError(f"margin of {name}: given {size}; allowed: zero or more, in {ensemble.units[name]}")
    indices = [time_index(ensemble, time) for time in times] if times is not None else [len(ensemble.times) - 1]
    rows = usable_rows(ensemble)
    return Comparison(
        ensemble.title,
        ensemble.design_kind,
        ensemble.seed,
        ensemble.design_kind in DRAWN,
        ensemble.scenarios,
        int(rows.sum()),
        int((ensemble.good() & rows).sum()),
        failures(ensemble, rows),
        tuple(
            SweptRange(one.path, one.unit, one.scale, one.evidence, finite(one.low), finite(one.high)) for one in ensemble.inputs
        ),
        tuple(
            _readout(ensemble, rows, name, at, margin.get(name, 0.0), flips) for name in chosen for at in indices if not single
        ),
        engines_of(ensemble, rows),
    )


def engines_of(ensemble: Ensemble, rows: Bools) -> dict[str, dict[str, int]]:
    """By scenario how many of its good samples each engine computed; nothing where the sweep does not say so."""
    if not ensemble.engine:
        return {}
    return {name: engine_counts(ensemble, rows & ensemble.good(name), name) for name in ensemble.scenarios}


def usable_rows(ensemble: Ensemble) -> Bools:
    """Samples that statistics may treat as drawn one by one.

    All but for a Saltelli design, of which only the two independent base points of every block count (its other points share
    all but one number with them).
    """
    if ensemble.design_kind != "saltelli":
        return np.ones(ensemble.numbers.size, bool)
    block = len(ensemble.inputs) + 2
    return np.isin(ensemble.numbers % block, (0, block - 1))


def failures(ensemble: Ensemble, rows: Bools | None = None) -> tuple[Failed, ...]:
    """Samples without usable numbers, by scenario and status, each with the reason of the first."""
    found = []
    for name in ensemble.scenarios:
        bad = ~ensemble.good(name) & (rows if rows is not None else True)
        words = np.asarray(ensemble.status[name])
        for word in dict.fromkeys(words[bad].tolist()):
            where = np.flatnonzero(bad & (words == word))
            found.append(Failed(name, str(word), tuple(ensemble.numbers[where].tolist()), str(ensemble.reasons[name][where[0]])))
    return tuple(found)


def check_readout(ensemble: Ensemble, name: str) -> None:
    """Raises ``VerdictError`` for a readout that the ensemble does not hold."""
    if name not in ensemble.units:
        found = nearest(name, list(ensemble.units))
        meant = f"; did you mean {found}?" if found else ""
        raise VerdictError(f"readout: given {name!r}; allowed: {', '.join(ensemble.units)}{meant}")


def time_index(ensemble: Ensemble, time: float) -> int:
    """Index of a table time (s); where one stands twice (an event falls on it), the values after the event."""
    hits = np.flatnonzero(np.isclose(ensemble.times, time, rtol=_TIME_TOLERANCE, atol=1e-3))
    if not hits.size:
        year = 365.25 * 86400.0
        allowed = ", ".join(dict.fromkeys(f'"{at / year:.6g} year"' for at in ensemble.times))
        raise VerdictError(f'time: given "{time / year:.6g} year"; allowed: {allowed}, the output times of the sweep')
    return int(hits[-1])


def resolution(first: Floats, second: Floats) -> Floats:
    """Difference below which two values are equal."""
    size: Floats = RESOLUTION * np.maximum(np.abs(first), np.abs(second))
    return size


def values_at(ensemble: Ensemble, scenario: str, readout: str, index: int) -> Floats:
    """One number per sample; NaN where there is none."""
    numbers: Floats = np.asarray(ensemble.values[scenario][readout], float)[:, index]
    return np.where(ensemble.good(scenario), numbers, np.nan)


def _readout(ensemble: Ensemble, rows: Bools, readout: str, index: int, margin: float, flips: bool) -> ReadoutVerdict:
    direction, drawn = direction_of(readout), ensemble.design_kind in DRAWN
    values = {name: values_at(ensemble, name, readout, index) for name in ensemble.scenarios}
    bars = {name: bars_at(ensemble, name, readout, index) for name in ensemble.scenarios}
    clear = rows & np.logical_and.reduce([np.isfinite(numbers) for numbers in values.values()])
    orders: tuple[OrderShare, ...] = ()
    first_places: dict[str, Share] = {}
    if direction is not None:
        orders, first_places = order_shares(values, bars, clear, direction, drawn)
    # Arms against the baseline first, then the others among themselves, the later arm first: "both" against "cells".
    baseline, *arms = ensemble.scenarios
    pairs = [(arm, baseline) for arm in arms] + [(later, earlier) for earlier, later in itertools.combinations(arms, 2)]
    return ReadoutVerdict(
        readout,
        ensemble.units[readout],
        int(ensemble.digits[readout]),
        float(ensemble.times[index]),
        direction.domain if direction else None,
        direction.higher_is_better if direction else None,
        direction.why if direction else "",
        margin,
        int(clear.sum()),
        tuple(_pair(ensemble, rows, (values, bars), pair, direction, margin, flips) for pair in pairs),
        orders,
        first_places,
    )


def _pair(
    ensemble: Ensemble,
    rows: Bools,
    numbers: tuple[Mapping[str, Floats], Mapping[str, Floats]],
    names: tuple[str, str],
    direction: Direction | None,
    margin: float,
    flips: bool,
) -> PairVerdict:
    """The verdict of two arms, from values and bars by arm."""
    values, bars = numbers
    first, second = (values[name] for name in names)
    both = rows & np.isfinite(first) & np.isfinite(second)
    first, second, bar = first[both], second[both], bars[names[0]][both] + bars[names[1]][both]
    difference, drawn = first - second, ensemble.design_kind in DRAWN
    low, median, high = quantiles_within(difference, bar) if difference.size else (None, None, None)
    average = mean(difference) if drawn else Mean(float(difference.mean()) if difference.size else None, None, None)
    open_ = undecided(difference, bar)
    found = PairVerdict(
        *names,
        int(both.sum()),
        int(rows.sum() - both.sum()),
        mean_within(average, bar),
        median,
        low,
        high,
        *(None,) * 5,
        undecided=int(open_.sum()),
        bar=finite(bar.mean()) if bar.size else 0.0,
    )
    if direction is None:
        return found
    gain, near = direction.sign * difference, resolution(first, second)
    inputs = tuple(dataclasses.replace(one, values=np.asarray(one.values, float)[both]) for one in ensemble.inputs)
    return dataclasses.replace(
        found,
        better=told(share_within(gain > near, open_), drawn),
        tied=told(share_within(np.abs(gain) <= near, open_), drawn),
        worse=told(share_within(gain < -near, open_), drawn),
        harm=told(share_within(gain < -np.maximum(near, margin), undecided(gain + margin, bar)), drawn),
        flip=_flip(names, inputs, gain, near) if flips else None,
    )


def _flip(names: tuple[str, str], inputs: tuple[SweptInput, ...], gain: Floats, near: Floats) -> Flip:
    """Where the order flips, told of the arm that wins more often; samples in which the two are equal count for neither."""
    equal = np.abs(gain) <= near
    if np.count_nonzero(gain > near) >= np.count_nonzero(gain < -near):
        return find_flip(*names, inputs, gain, gain > near, equal)
    return find_flip(names[1], names[0], inputs, -gain, gain < -near, equal)


def contenders(ensemble: Ensemble, readout: str, index: int) -> tuple[str, str]:
    """The two arms that compete for first place: the one that is best most often, and the one that is best most often without it.

    An arm that is equal to the first in every sample competes with nobody. Where the first is best everywhere, the second is
    that with the best mean. Raises ``VerdictError`` for a readout without a direction, and where no sample is good in all arms.
    """
    direction = direction_of(readout)
    if direction is None:
        raise VerdictError(f"{readout}: neither more nor less of it is better, so arms have no order by it")
    values = {name: values_at(ensemble, name, readout, index) for name in ensemble.scenarios}
    clear = np.logical_and.reduce([np.isfinite(numbers) for numbers in values.values()])
    if not clear.any():
        raise VerdictError(f"{readout}: no sample is good in all of {', '.join(values)}")
    best = [groups[0] for groups in orders_of(values, clear, direction)]
    means = {name: direction.sign * float(numbers[clear].mean()) for name, numbers in values.items()}
    first = max(values, key=lambda name: (sum(name in group for group in best), means[name]))

    def rank(name: str) -> tuple[int, bool, float]:
        apart = np.abs(values[name] - values[first]) > resolution(values[name], values[first])
        return sum(name in group and first not in group for group in best), bool(apart[clear].any()), means[name]

    return first, max((name for name in values if name != first), key=rank)
