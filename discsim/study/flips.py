"""Where in the swept box the order of two arms flips: a cut on one input, or a straight border between two, honestly judged.

The rule is as shallow as a reader can hold in the head. It is chosen by how many samples it puts on the right side, and it is
judged on samples that it has not seen (cross-validation that repeats the whole choice, of inputs as well as of cuts). It counts
only where it is better than always naming the arm that wins more often, by twice the standard error of that gain. (Where winners
are drawn by lot, one time in sixteen a rule still passes.)
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from discsim.study.ensemble import Floats, SweptInput
from discsim.study.shares import Share, share

Bools = NDArray[np.bool_]
Outcome = Literal["one-sided", "no input", "one input", "two inputs"]

FOLDS = 10
# An arm that wins in fewer samples than this leaves no region to describe.
FEWEST = 10
# Smallest part of a split, as a share of the samples, and at least five: smaller ones describe single samples.
SMALLEST_PART = 0.05
# Pairs are sought among the inputs that separate best alone; borders run at every 15 degrees of the picture, but for its axes.
MOST_PAIRED = 6
ANGLES = np.deg2rad([angle for angle in range(15, 180, 15) if angle != 90])
# A rule of so few numbers is no better known from more samples.
MOST_FITTED = 2048
# Gain over the base rate that counts, in standard errors.
ERRORS = 2.0


@dataclasses.dataclass(frozen=True)
class InputScreen:
    """One input alone: rank correlation (Spearman) of the paired difference with it; accuracy of its best cut, unseen."""

    path: str
    rank_correlation: float
    accuracy: float


@dataclasses.dataclass(frozen=True)
class Cut:
    """``path`` above ``threshold`` (in ``unit``): how often the first arm wins above and below; accuracy on unseen samples."""

    path: str
    unit: str
    evidence: str
    threshold: float
    above: Share
    below: Share
    accuracy: float


@dataclasses.dataclass(frozen=True)
class Border:
    """A straight border between two inputs, as drawn on their scales, through ``ends`` ((x, y) in ``units``) in the swept box.

    ``more`` is how often the first arm wins on the side where it wins more often, ``less`` on the other; ``more_above`` says
    whether that side has the larger y.
    """

    paths: tuple[str, str]
    units: tuple[str, str]
    evidences: tuple[str, str]
    ends: tuple[tuple[float, float], tuple[float, float]]
    more_above: bool
    more: Share
    less: Share
    accuracy: float


@dataclasses.dataclass(frozen=True)
class Flip:
    """What decides whether ``first`` beats ``second``.

    ``samples``: those in which the arms differ, of which the first wins ``wins``; equal ones are neither won nor lost.
    ``outcome``: "one-sided" (too few samples go the other way to describe a region), "no input" (no rule beats ``base_rate``,
    the accuracy of always naming the more frequent winner), "one input" (``cut``), "two inputs" (``border`` is better than any
    cut). ``gain`` and
    ``gain_error``: accuracy of the rule above the base rate (of the best rule where none counts), and its standard error.
    """

    first: str
    second: str
    samples: int
    wins: int
    base_rate: float
    outcome: Outcome
    gain: float
    gain_error: float
    cut: Cut | None
    border: Border | None
    screens: tuple[InputScreen, ...]


@dataclasses.dataclass(frozen=True)
class _Split:
    """A threshold on one column of a matrix; ``low`` and ``high`` are the guesses below and above it."""

    column: int
    threshold: float
    low: bool
    high: bool

    def guess(self, columns: Floats) -> Bools:
        return np.where(columns[:, self.column] > self.threshold, self.high, self.low)


@dataclasses.dataclass(frozen=True)
class _Line:
    """A split along a direction in the plane of two inputs."""

    pair: tuple[int, int]
    angle: float
    split: _Split

    def guess(self, places: Floats) -> Bools:
        return self.split.guess(_project(places, self.pair, self.angle)[:, None])


def find_flip(
    first: str, second: str, inputs: tuple[SweptInput, ...], difference: Floats, won: Bools, equal: Bools | None = None
) -> Flip:
    """Which inputs decide whether the first arm beats the second.

    ``inputs`` hold the values of the same samples as ``difference`` (by how much the first is better) and ``won`` (it is).
    Samples in which the arms are ``equal`` are left out: they are no losses.
    """
    if equal is not None and equal.any():
        apart = ~equal
        inputs = tuple(dataclasses.replace(one, values=np.asarray(one.values, float)[apart]) for one in inputs)
        difference, won = difference[apart], won[apart]
    wins, count = int(won.sum()), int(won.size)
    rate = max(wins, count - wins) / count if count else 0.0
    varied = tuple(one for one in inputs if one.values.size and np.ptp(one.values) > 0.0)
    if min(wins, count - wins) < FEWEST:
        return Flip(first, second, count, wins, rate, "one-sided", 0.0, 0.0, None, None, ())
    if not varied:
        return Flip(first, second, count, wins, rate, "no input", 0.0, 0.0, None, None, ())
    chosen = np.unique(np.linspace(0, count - 1, min(count, MOST_FITTED)).round().astype(int))
    places = np.column_stack([place(one)[chosen] for one in varied])
    return _judge(
        Flip(first, second, count, wins, rate, "no input", 0.0, 0.0, None, None, ()), varied, places, difference, won, chosen
    )


def _judge(
    blank: Flip, varied: tuple[SweptInput, ...], places: Floats, difference: Floats, won: Bools, chosen: NDArray[np.intp]
) -> Flip:
    label = won[chosen]
    folds = np.random.default_rng(20).permutation(np.arange(label.size) % FOLDS)
    # Of the samples themselves: learned from the other folds, a majority near one half would be wrong more often than not.
    base = label == (2 * label.sum() > label.size)
    one, two, each = _unseen(places, label, folds)
    single_gain, single_error = _gain(one, base)
    screens = tuple(
        InputScreen(item.path, _rank_correlation(places[:, column], difference[chosen]), float(each[:, column].mean()))
        for column, item in enumerate(varied)
    )
    screens = tuple(sorted(screens, key=lambda screen: (-screen.accuracy, -abs(screen.rank_correlation))))
    found = dataclasses.replace(blank, gain=single_gain, gain_error=single_error, screens=screens)
    alone = single_gain > ERRORS * single_error and single_gain > 0.0
    if alone:
        split = _best_split(places, label)
        found = dataclasses.replace(found, outcome="one input", cut=_cut(varied[split.column], split, won, float(one.mean())))
    if two is None:
        return found
    further, further_error = _gain(two, one if alone else base)
    if further > ERRORS * further_error and further > 0.0:
        line = _best_line(places, label)
        gain, error = _gain(two, base)
        border = _border(varied, line, won, float(two.mean()))
        return dataclasses.replace(found, outcome="two inputs", gain=gain, gain_error=error, border=border)
    if not alone and further > single_gain:
        found = dataclasses.replace(found, gain=further, gain_error=further_error)
    return found


def _unseen(places: Floats, label: Bools, folds: NDArray[np.int_]) -> tuple[Bools, Bools | None, Bools]:
    """Which samples are guessed right, by rules fitted to the other folds: the best input, the best two, each input."""
    one, two = (np.zeros(label.size, bool) for _ in range(2))
    each = np.zeros(places.shape, bool)
    for fold in range(FOLDS):
        test, train = folds == fold, folds != fold
        if not test.any():
            continue
        one[test] = _best_split(places[train], label[train]).guess(places[test]) == label[test]
        for column in range(places.shape[1]):
            single = places[:, [column]]
            each[test, column] = _best_split(single[train], label[train]).guess(single[test]) == label[test]
        if places.shape[1] > 1:
            two[test] = _best_line(places[train], label[train]).guess(places[test]) == label[test]
    return one, two if places.shape[1] > 1 else None, each


def _gain(rule: Bools, other: Bools) -> tuple[float, float]:
    """Mean gain in accuracy of one rule over another on the same samples, and its standard error."""
    gain = rule.astype(float) - other.astype(float)
    return float(gain.mean()), float(gain.std(ddof=1) / np.sqrt(gain.size))


def _split_scores(columns: Floats, label: Bools) -> tuple[Floats, Floats, Floats]:
    """Of every cut in every column: samples put right (purity of the parts breaks ties), sorted values, wins below."""
    order = np.argsort(columns, axis=0, kind="stable")
    values = np.take_along_axis(columns, order, axis=0)
    below_won = np.cumsum(label[order], axis=0)[:-1].astype(float)
    count, total = label.size, float(label.sum())
    below = np.arange(1, count, dtype=float)[:, None]
    above, above_won = count - below, total - below_won
    right = np.maximum(below_won, below - below_won) + np.maximum(above_won, above - above_won)
    purity = (below_won**2 + (below - below_won) ** 2) / below + (above_won**2 + (above - above_won) ** 2) / above
    least = max(5.0, SMALLEST_PART * count)
    allowed = (values[1:] > values[:-1]) & (below >= least) & (above >= least)
    return np.where(allowed, right + 0.5 * purity / count, -np.inf), values, below_won


def _best_split(columns: Floats, label: Bools) -> _Split:
    """The column and threshold with most samples on the right side."""
    scores, values, below_won = _split_scores(columns, label)
    row, column = np.unravel_index(int(np.argmax(scores)), scores.shape)
    total, count = float(label.sum()), label.size
    if not np.isfinite(scores[row, column]):  # too few different values for two parts: the more frequent winner everywhere
        return _Split(0, np.inf, 2.0 * total > count, 2.0 * total > count)
    won, below = float(below_won[row, column]), float(row + 1)
    threshold = 0.5 * float(values[row, column] + values[row + 1, column])
    return _Split(int(column), threshold, 2.0 * won > below, 2.0 * (total - won) > count - below)


def _best_line(places: Floats, label: Bools) -> _Line:
    """The pair of inputs and straight border with most samples on the right side."""
    alone = _split_scores(places, label)[0].max(axis=0)
    kept = sorted(np.argsort(-alone, kind="stable")[:MOST_PAIRED].tolist())
    ways = [(pair, float(angle)) for pair in itertools.combinations(kept, 2) for angle in ANGLES]
    split = _best_split(np.column_stack([_project(places, pair, angle) for pair, angle in ways]), label)
    pair, angle = ways[split.column]
    return _Line(pair, angle, dataclasses.replace(split, column=0))


def _project(places: Floats, pair: tuple[int, int], angle: float) -> Floats:
    projected: Floats = np.cos(angle) * places[:, pair[0]] + np.sin(angle) * places[:, pair[1]]
    return projected


def drawn_scale(one: SweptInput) -> Literal["log", "linear"]:
    """The scale on which an input is drawn: that on which it was varied."""
    return "log" if one.scale == "log" and bool(np.all(one.values > 0.0)) else "linear"


def place(one: SweptInput) -> Floats:
    """Values of an input as places between its smallest (0) and largest (1) sample on its scale."""
    values = np.log(one.values) if drawn_scale(one) == "log" else np.asarray(one.values, float)
    low, high = values.min(), values.max()
    placed: Floats = (values - low) / (high - low)
    return placed


def value_at(one: SweptInput, position: float) -> float:
    """The value at a place; the inverse of ``place``."""
    low, high = float(one.values.min()), float(one.values.max())
    if drawn_scale(one) == "log":
        return float(low * (high / low) ** position)
    return low + position * (high - low)


def _cut(one: SweptInput, split: _Split, won: Bools, accuracy: float) -> Cut:
    above = place(one) > split.threshold
    return Cut(one.path, one.unit, one.evidence, value_at(one, split.threshold), share(won[above]), share(won[~above]), accuracy)


def _border(varied: tuple[SweptInput, ...], line: _Line, won: Bools, accuracy: float) -> Border:
    x, y = (varied[column] for column in line.pair)
    positions = np.column_stack([place(x), place(y)])
    beyond = _project(positions, (0, 1), line.angle) > line.split.threshold
    beyond_share, short_share = share(won[beyond]), share(won[~beyond])
    more_beyond = won[beyond].mean() >= won[~beyond].mean()
    ends = _ends(line.angle, line.split.threshold)
    return Border(
        (x.path, y.path),
        (x.unit, y.unit),
        (x.evidence, y.evidence),
        ((value_at(x, ends[0][0]), value_at(y, ends[0][1])), (value_at(x, ends[1][0]), value_at(y, ends[1][1]))),
        bool(more_beyond),  # sin(angle) > 0 for all angles: beyond the border is above it
        beyond_share if more_beyond else short_share,
        short_share if more_beyond else beyond_share,
        accuracy,
    )


def _ends(angle: float, threshold: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where cos(angle) x + sin(angle) y = threshold meets the edges of the unit square, from left to right."""
    cosine, sine = float(np.cos(angle)), float(np.sin(angle))
    at_edges = [(x, (threshold - cosine * x) / sine) for x in (0.0, 1.0)]
    at_edges += [((threshold - sine * y) / cosine, y) for y in (0.0, 1.0)]
    slack = 1e-12
    inside = sorted(point for point in at_edges if all(-slack <= part <= 1.0 + slack for part in point))
    return inside[0], inside[-1]


def _rank_correlation(positions: Floats, difference: Floats) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(positions, difference).statistic) if np.ptp(difference) > 0.0 else 0.0
