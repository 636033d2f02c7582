"""Pictures of verdicts: paired differences between arms, and the two inputs that decide which of two arms wins.

Figures are made without pyplot, so nobody's backend, styles or open figures are touched.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from discsim.report.plots import COLOURS, DPI, INK, LARGE, NORMAL, PALE, SMALL, _new_figure, _plain, _unit_words, _wrapped
from discsim.report.tables import time_words
from discsim.report.verdict import percent
from discsim.study.directions import direction_of
from discsim.study.ensemble import Ensemble, Floats, SweptInput
from discsim.study.flips import Border, Flip, drawn_scale
from discsim.study.verdict import Comparison, ReadoutVerdict, resolution, time_index, usable_rows, values_at

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito; the shapes tell the same in grey.
WINS, LOSES, TIED = ("#0072B2", "o"), ("#D55E00", "^"), (PALE, "x")
MOST_POINTS = 2000
MOST_PANELS = 6


def save_all(ensemble: Ensemble, comparison: Comparison, folder: str | os.PathLike[str]) -> list[Path]:
    """Write ``paired_differences.png`` of each time, and ``deciding_inputs_<readout>.png`` where an order flips; their paths.

    Of several times, the names end in the time in years.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    times = list(dict.fromkeys(verdict.time for verdict in comparison.verdicts))
    figures: dict[str, Figure] = {}
    for time in times:
        ending = "" if len(times) == 1 else f"_{time_words(time).replace(' ', '_')}"
        verdicts = [verdict for verdict in comparison.verdicts if verdict.time == time]
        figures[f"paired_differences{ending}"] = paired_differences(ensemble, verdicts)
        for verdict in verdicts:
            if drawable(verdict):
                figures[f"deciding_inputs_{verdict.readout}{ending}"] = deciding_inputs(ensemble, verdict)
    paths = []
    for stem, figure in figures.items():
        path = target / f"{stem}.png"
        figure.savefig(path, dpi=DPI, bbox_inches="tight", pad_inches=0.1)
        paths.append(path)
    return paths


def drawable(verdict: ReadoutVerdict) -> list[Flip]:
    """Flips of a verdict that one or two inputs decide."""
    flips = [pair.flip for pair in verdict.pairs if pair.flip is not None]
    return [flip for flip in flips if flip.outcome in ("one input", "two inputs")]


def paired_differences(ensemble: Ensemble, verdicts: Sequence[ReadoutVerdict]) -> Figure:
    """A panel per readout: every arm's difference from the baseline, a point per sample, 5 to 95 %, and the mean's interval."""
    from matplotlib.lines import Line2D

    across = min(len(verdicts), 2 if len(verdicts) <= 4 else 3)
    down = math.ceil(len(verdicts) / across)
    arms = len(ensemble.scenarios) - 1
    figure = _new_figure(3.7 * across + 0.3, (0.5 * arms + 1.1) * down + 0.9, "constrained")
    grid = figure.subplots(down, across, squeeze=False)
    for axes, verdict in zip(grid.flat, verdicts, strict=False):
        _draw_differences(axes, ensemble, verdict)
    for axes in grid.flat[len(verdicts) :]:
        axes.set_axis_off()
    handles = [
        Line2D([], [], color=PALE, marker="o", markersize=2.5, linestyle="none", label="a sample"),
        Line2D([], [], color=INK, linewidth=1.2, label="5 to 95 % of samples"),
        Line2D([], [], color=INK, marker="|", markersize=9, markeredgewidth=1.6, linestyle="none", label="median"),
        Line2D([], [], color=INK, marker="D", markersize=4, linewidth=3.0, label="mean, 95 % interval"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=SMALL, frameon=False)
    title = f"{ensemble.title}\nDifference from {ensemble.baseline} at {time_words(verdicts[0].time)}"
    figure.suptitle("\n".join(_wrapped(line, 44 * across) for line in title.splitlines()), fontsize=LARGE, color=INK)
    return figure


def _draw_differences(axes: Axes, ensemble: Ensemble, verdict: ReadoutVerdict) -> None:
    names = [name for name in ensemble.scenarios if name != ensemble.baseline]
    rng = np.random.default_rng(3)
    axes.axvline(0.0, color=PALE, linewidth=0.8, zorder=1)
    labels = []
    for row, name in enumerate(names):
        pair = verdict.pair(name, ensemble.baseline)
        colour = COLOURS[ensemble.scenarios.index(name) % len(COLOURS)]
        difference, *_ = _difference(ensemble, verdict, name, ensemble.baseline)
        shown = _thinned(difference[np.isfinite(difference)])
        places = row + 0.22 + 0.13 * rng.uniform(-1.0, 1.0, shown.size)
        axes.plot(shown, places, linestyle="none", marker="o", markersize=1.8, color=colour, alpha=0.35, markeredgewidth=0.0)
        if pair.median is not None and pair.low is not None and pair.high is not None:
            axes.plot([pair.low, pair.high], [row - 0.12] * 2, color=colour, linewidth=1.2, solid_capstyle="butt")
            axes.plot(pair.median, row - 0.12, marker="|", markersize=9, markeredgewidth=1.6, color=colour)
        if pair.mean.value is not None:
            if pair.mean.low is not None and pair.mean.high is not None:
                axes.plot([pair.mean.low, pair.mean.high], [row - 0.28] * 2, color=colour, linewidth=3.0, solid_capstyle="butt")
            axes.plot(pair.mean.value, row - 0.28, marker="D", markersize=4, color=colour)
        better = pair.better.probability if pair.better is not None else None
        labels.append(name if better is None else f"{name}\nbetter in {percent(better)}")
    axes.set_yticks(range(len(names)), labels)
    axes.set_ylim(len(names) - 0.5, -0.55)
    word = "" if verdict.higher_is_better is None else (" (right is better)" if verdict.higher_is_better else " (left is better)")
    axes.set_title(_wrapped(f"{verdict.readout}{word}", 40), fontsize=NORMAL, color=INK)
    axes.set_xlabel(_unit_words(verdict.unit), fontsize=SMALL, color=INK)
    _plain(axes)
    axes.tick_params(axis="y", length=0)


def deciding_inputs(ensemble: Ensemble, verdict: ReadoutVerdict) -> Figure:
    """A panel per pair of arms: the two inputs that decide, a point per sample, by which arm wins, and the cut or border."""
    flips = drawable(verdict)[:MOST_PANELS]
    across = min(len(flips), 2 if len(flips) <= 4 else 3)
    down = math.ceil(len(flips) / across)
    figure = _new_figure(3.9 * across + 0.2, 3.7 * down + 0.6, "constrained")
    grid = figure.subplots(down, across, squeeze=False)
    for axes, flip in zip(grid.flat, flips, strict=False):
        _draw_flip(axes, ensemble, verdict, flip)
    for axes in grid.flat[len(flips) :]:
        axes.set_axis_off()
    title = f"{ensemble.title}\nWhich arm has the better {verdict.readout} at {time_words(verdict.time)}"
    figure.suptitle("\n".join(_wrapped(line, 46 * across) for line in title.splitlines()), fontsize=LARGE, color=INK)
    return figure


def _draw_flip(axes: Axes, ensemble: Ensemble, verdict: ReadoutVerdict, flip: Flip) -> None:
    x, y = _axes_of(ensemble, flip)
    difference, near, rows = _difference(ensemble, verdict, flip.first, flip.second)
    direction = direction_of(verdict.readout)
    gain = difference * (direction.sign if direction else 1.0)
    masks = (gain > near, gain < -near, np.abs(gain) <= near)
    labels = (f"{flip.first} wins", f"{flip.second} wins", "equal")
    for mask, (colour, marker), label in zip(masks, (WINS, LOSES, TIED), labels, strict=True):
        chosen = np.flatnonzero(mask & rows)
        if not chosen.size:
            continue
        kept = _thinned(chosen)
        axes.plot(
            x.values[kept],
            y.values[kept],
            linestyle="none",
            marker=marker,
            markersize=4.2,
            color=colour,
            markeredgecolor="white" if marker != "x" else colour,
            markeredgewidth=0.4 if marker != "x" else 1.0,
            label=f"{label} ({chosen.size})",
        )
    for one, scale, edge in ((x, axes.set_xscale, axes.set_xlim), (y, axes.set_yscale, axes.set_ylim)):
        scale(drawn_scale(one))
        edge(*_limits(one))
    if flip.border is not None:
        ends = _beyond(flip.border, x, y)
        axes.plot([end[0] for end in ends], [end[1] for end in ends], color=INK, linewidth=1.4, scalex=False, scaley=False)
    if flip.cut is not None and flip.cut.path in (x.path, y.path):
        line = axes.axvline if flip.cut.path == x.path else axes.axhline
        line(flip.cut.threshold, color=INK, linewidth=1.1, linestyle=(0, (4, 3)))
    axes.set_xlabel(_wrapped(f"{x.path} ({_unit_words(x.unit) or '1'})", 44), fontsize=SMALL, color=INK)
    axes.set_ylabel(_wrapped(f"{y.path} ({_unit_words(y.unit) or '1'})", 40), fontsize=SMALL, color=INK)
    axes.set_title(_wrapped(_rule_words(flip), 44), fontsize=SMALL, color=INK, loc="left")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, -0.31), ncols=3, fontsize=SMALL, frameon=False, handletextpad=0.2)
    _plain(axes)
    axes.tick_params(which="minor", labelsize=SMALL, colors=INK, length=2, width=0.5)


def _rule_words(flip: Flip) -> str:
    parts = []
    if flip.border is not None:
        parts.append(f"solid border tells it in {_percent(flip.border.accuracy)}")
    if flip.cut is not None:
        parts.append(f"dashed cut{'' if parts else ' tells it'} in {_percent(flip.cut.accuracy)}")
    return f"{flip.first} or {flip.second}: {', '.join(parts)} of unseen samples ({_percent(flip.base_rate)} without)"


def _percent(share: float) -> str:
    """With a space at which no line breaks."""
    return f"{percent(share)}".replace(" ", "\u00a0")


def _axes_of(ensemble: Ensemble, flip: Flip) -> tuple[SweptInput, SweptInput]:
    """The inputs of the border; of a cut its input and, for want of another, the one that separates next best."""
    inputs = {one.path: one for one in ensemble.inputs}
    if flip.border is not None:
        return inputs[flip.border.paths[0]], inputs[flip.border.paths[1]]
    assert flip.cut is not None
    others = [screen.path for screen in flip.screens if screen.path != flip.cut.path]
    return inputs[flip.cut.path], inputs[others[0] if others else flip.cut.path]


def _difference(ensemble: Ensemble, verdict: ReadoutVerdict, first: str, second: str) -> tuple[Floats, Floats, np.ndarray]:
    """First less second in every sample, what counts as equal, and which samples a verdict uses."""
    index = time_index(ensemble, verdict.time)
    one, other = (values_at(ensemble, name, verdict.readout, index) for name in (first, second))
    rows = usable_rows(ensemble)
    return np.where(rows, one - other, np.nan), resolution(one, other), rows & np.isfinite(one - other)


def _limits(one: SweptInput) -> tuple[float, float]:
    low, high = float(one.values.min()), float(one.values.max())
    if drawn_scale(one) == "log":
        room = (high / low) ** 0.04
        return low / room, high * room
    room = 0.04 * (high - low)
    return low - room, high + room


def _beyond(border: Border, x: SweptInput, y: SweptInput) -> tuple[tuple[float, float], tuple[float, float]]:
    """The border drawn on, straight in the picture, past the samples to the edges of the panel."""

    def on_scale(one: SweptInput, value: float) -> float:
        return math.log(value) if drawn_scale(one) == "log" else value

    def back(one: SweptInput, value: float) -> float:
        return math.exp(value) if drawn_scale(one) == "log" else value

    (x0, y0), (x1, y1) = (tuple(on_scale(one, part) for one, part in zip((x, y), end, strict=True)) for end in border.ends)
    spare = 0.3
    ends = ((x0 - spare * (x1 - x0), y0 - spare * (y1 - y0)), (x1 + spare * (x1 - x0), y1 + spare * (y1 - y0)))
    return tuple((back(x, a), back(y, b)) for a, b in ends)  # type: ignore[return-value]


def _thinned(numbers: np.ndarray) -> np.ndarray:
    """At most ``MOST_POINTS``, evenly taken: more would be a blot."""
    return numbers[np.unique(np.linspace(0, numbers.size - 1, min(numbers.size, MOST_POINTS)).astype(int))]
