"""Pictures of sensitivity: the indices of every input with their intervals, beside what a dummy input stays below.

Figures are made without pyplot, so nobody's backend, styles or open figures are touched.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from discsim.report.plots import COLOURS, INK, LARGE, NORMAL, PALE, SMALL, _new_figure, _plain, _unit_words, _wrapped
from discsim.report.sensitivity import subject
from discsim.report.tables import time_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from discsim.study.sensitivity import Sensitivity

# By index: words, colour, marker, whether it is filled, and how far above the middle of its row it lies.
STYLES = {
    "first": ("alone (first order)", COLOURS[1], "o", True, 0.14),
    "total": ("with interactions (total)", COLOURS[2], "D", False, -0.14),
    "effect": ("change", COLOURS[1], "o", True, 0.0),
}


def sensitivity_indices(found: Sequence[Sensitivity]) -> Figure | None:
    """A panel per scenario of one readout at one time, all inputs in the order of the first; nothing where no input has indices.

    Points are indices, lines their 95 % intervals; a dashed line of the same colour is what a dummy input stays below in 95 % of
    repetitions.
    """
    from matplotlib.lines import Line2D

    drawn = [one for one in found if one.inputs]
    if not drawn:
        return None
    across = min(len(drawn), 2 if len(drawn) <= 4 else 3)
    down = math.ceil(len(drawn) / across)
    paths = [row.path for row in drawn[0].inputs]
    figure = _new_figure(2.9 * across + 1.9, (0.32 * len(paths) + 0.9) * down + 0.9, "constrained")
    grid = figure.subplots(down, across, squeeze=False, sharey=True)
    for number, axes in enumerate(grid.flat):
        if number < len(drawn):
            _draw(axes, drawn[number], paths)
        else:
            axes.set_axis_off()
    names = list(drawn[0].floor)
    handles = [
        Line2D([], [], color=colour, marker=marker, markerfacecolor=colour if filled else "white", linewidth=1.4, label=words)
        for words, colour, marker, filled, _ in (STYLES[name] for name in names)
    ]
    handles.append(Line2D([], [], color=PALE, linestyle=(0, (4, 3)), linewidth=1.1, label="a dummy input stays below"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=SMALL, frameon=False)
    title = f"What {drawn[0].readout} at {time_words(drawn[0].time)} depends on"
    figure.suptitle(_wrapped(title, 44 * across), fontsize=LARGE, color=INK)
    return figure


def _draw(axes: Axes, one: Sensitivity, paths: Sequence[str]) -> None:
    rows = {row.path: row for row in one.inputs}
    for name, floor in one.floor.items():
        _, colour, marker, filled, lift = STYLES[name]
        for place, path in enumerate(paths):
            index = rows[path].indices[name]
            if index.low is not None and index.high is not None:
                axes.plot([index.low, index.high], [place - lift] * 2, color=colour, linewidth=1.4, solid_capstyle="butt")
            face = colour if filled else "white"
            axes.plot(index.value, place - lift, marker=marker, markersize=5, color=colour, markerfacecolor=face, zorder=3)
        axes.axvline(floor, color=colour, alpha=0.6, linestyle=(0, (4, 3)), linewidth=1.1, zorder=1)
    axes.axvline(0.0, color=PALE, linewidth=0.8, zorder=1)
    axes.set_yticks(range(len(paths)), [_wrapped(path, 34) for path in paths])
    axes.set_ylim(len(paths) - 0.5, -0.5)
    axes.set_title(_wrapped(subject(one), 34), fontsize=NORMAL, color=INK)
    unit = _unit_words(one.unit)
    axes.set_xlabel("share of the variance" if one.method != "morris" else f"change ({unit or '1'})", fontsize=SMALL, color=INK)
    _plain(axes)
    axes.tick_params(axis="y", length=0)
