"""Pictures of a result: time courses of all readouts, and fields on the full mid-sagittal section before and after.

Figures are made without pyplot, so nobody's backend, styles or open figures are touched.
"""

from __future__ import annotations

import math
import os
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from discsim.problem.problem import DAY, YEAR
from discsim.report.section import Section, section
from discsim.report.tables import time_words
from discsim.study.result import Result, ResultError, ScenarioResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PolyCollection, TriMesh
    from matplotlib.figure import Figure

DPI = 200
INK, PALE = "#222222", "#8a8a8a"
# Okabe and Ito: told apart by colour-blind readers; dashes tell them apart in grey.
COLOURS = ("#222222", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES: tuple[str | tuple[int, tuple[int, ...]], ...] = ("solid", "solid", (0, (6, 2)), (0, (6, 2, 1, 2)), (0, (2, 1)))
SMALL, NORMAL, LARGE = 8.0, 9.0, 11.0


def save_all(result: Result, folder: str | os.PathLike[str]) -> list[Path]:
    """Write ``time_courses.png`` and ``fields_<scenario>.png`` of each scenario that kept fields; returns the paths."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    figures = {"time_courses": time_courses(result)}
    for name in result.scenario_names:
        if result[name].has_fields:
            figures[f"fields_{name}"] = field_sections(result, name)
    paths = []
    for stem, figure in figures.items():
        path = target / f"{stem}.png"
        figure.savefig(path, dpi=DPI, bbox_inches="tight", pad_inches=0.1)
        paths.append(path)
    return paths


def time_courses(result: Result) -> Figure:
    """A panel per readout with all scenarios; a scenario that failed ends in a cross."""
    names = result.readout_names
    across = _panels_across(len(names))
    down = math.ceil(len(names) / across)
    figure = _new_figure(2.8 * across + 0.4, 2.15 * down + 0.9, "constrained")
    scale, word = (YEAR, "year") if result.duration >= 60.0 * DAY else (DAY, "day")
    grid = figure.subplots(down, across, squeeze=False)
    for axes, readout in zip(grid.flat, names, strict=False):
        _draw_readout(axes, result, readout, scale)
    for axes in grid.flat[len(names) :]:
        axes.set_axis_off()
    for column in range(across):  # the lowest panel of a column that is in use carries the time
        lowest = grid[(len(names) - 1 - column) // across, column]
        lowest.set_xlabel(f"time ({word})", fontsize=SMALL, color=INK)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=min(4, len(labels)),
        fontsize=NORMAL,
        frameon=False,
        handlelength=3.0,
    )
    figure.suptitle(_wrapped(result.title, 38 * across), fontsize=LARGE, color=INK)
    return figure


def _panels_across(count: int) -> int:
    """Three or four, whichever leaves fewer places empty."""
    return count if count <= 3 else min((3, 4), key=lambda across: -count % across)


def _draw_readout(axes: Axes, result: Result, readout: str, scale: float) -> None:
    for index, name in enumerate(result.scenario_names):
        view = result[name]
        times, values = view.series(readout)
        colour, failure = COLOURS[index % len(COLOURS)], view.failure
        # Where arms coincide, the thinner later line leaves the earlier one visible on both sides.
        axes.plot(
            times / scale,
            values,
            color=colour,
            linewidth=2.6 if index == 0 else 1.5,
            label=_label(view),
            linestyle=DASHES[index % len(DASHES)],
            alpha=0.55 if index == 0 else 1.0,
            solid_capstyle="round",
        )
        if failure and times.size:
            axes.plot(
                times[-1:] / scale,
                values[-1:],
                marker="X",
                markersize=8,
                color=colour,
                markeredgecolor="white",
                linestyle="none",
                zorder=5,
            )
    axes.set_title(_wrapped(str(result.attributes(readout)["long_name"]), 36), fontsize=NORMAL, color=INK)
    unit = _unit_words(result.unit(readout))
    axes.set_ylabel(unit, fontsize=SMALL, color=INK)
    axes.set_xlim(0.0, result.duration / scale)
    _widen_flat(axes)
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.grid(True, color="#e4e4e4", linewidth=0.6)
    _plain(axes)


def _widen_flat(axes: Axes) -> None:
    """Do not blow up round-off: at least a thousandth of the value is shown."""
    low, high = axes.get_ylim()
    middle, least = 0.5 * (low + high), 1e-3 * max(abs(low), abs(high))
    if high - low < least:
        axes.set_ylim(middle - least, middle + least)


def field_sections(result: Result, name: str) -> Figure:
    """Glucose, pH, cells and matrix on the deformed mid-sagittal section at the first and last kept time.

    A row per quantity, with one colour scale for both times and for all scenarios, so that pictures may be compared.
    Jumps between regions are kept; regions are bordered. Raises ``ResultError`` for a scenario without fields.
    """
    from matplotlib.ticker import MaxNLocator

    view = result[name]
    sections = drawn_sections(view)
    if not sections:
        raise ResultError(f"{name}: its fields hold none of glucose, pH, cells and matrix")
    quantities, limits = sections[0].quantities, colour_limits(result)
    figure = _new_figure(1.5 + 3.9 * len(sections), 0.85 + 1.02 * len(quantities), "compressed")
    grid = figure.subplots(len(quantities), len(sections), squeeze=False, sharex=True, sharey=True)
    for row, (key, quantity) in enumerate(quantities.items()):
        drawn = [_draw_field(axes, frame, key, limits[key]) for axes, frame in zip(grid[row], sections, strict=True)]
        bar = figure.colorbar(drawn[0], ax=list(grid[row]), aspect=6, pad=0.015, fraction=0.05)
        label = f"{quantity.label}\n{_unit_words(quantity.unit)}".strip()
        bar.set_label(label, fontsize=SMALL, color=INK, rotation=0, ha="left", va="center")
        bar.ax.yaxis.set_label_coords(4.9, 0.5)
        bar.ax.tick_params(labelsize=SMALL, colors=INK, length=2)
        bar.locator = MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10])
        bar.update_ticks()
        bar.outline.set_visible(False)
    for column, frame in enumerate(sections):
        note = ", just after the injection" if result.dosed_at(name, frame.time) else ""
        grid[0, column].set_title(f"{time_words(frame.time)}{note}", fontsize=NORMAL, color=INK)
        grid[-1, column].set_xlabel("mm", fontsize=SMALL, color=INK)
    for axes in grid[:, 0]:
        axes.set_ylabel("mm", fontsize=SMALL, color=INK)
    figure.suptitle(f"{_label(view)}: mid-sagittal section", fontsize=LARGE, color=INK)
    return figure


def drawn_sections(view: ScenarioResult) -> list[Section]:
    """The full section at the first and last kept time (once where these are one); none without fields to draw."""
    fields = view.fields
    frames = sorted({0, fields.sizes["field_time"] - 1})
    return [drawn for drawn in (section(fields, frame) for frame in frames) if drawn.quantities]


def colour_limits(result: Result) -> dict[str, tuple[float, float]]:
    """Lowest and highest value of every quantity at the drawn times of all scenarios."""
    found: dict[str, list[float]] = {}
    for name in result.scenario_names:
        for drawn in drawn_sections(result[name]) if result[name].has_fields else ():
            for key, quantity in drawn.quantities.items():
                found.setdefault(key, []).extend((float(quantity.values.min()), float(quantity.values.max())))
    limits = {key: (min(values), max(values)) for key, values in found.items()}
    return {key: (low, high) if high > low else (low - 5e-4, low + 5e-4) for key, (low, high) in limits.items()}


def _draw_field(
    axes: Axes, frame: Section, quantity: str, limits: tuple[float, float], colours: str = "viridis"
) -> PolyCollection | TriMesh:
    from matplotlib.collections import LineCollection
    from matplotlib.ticker import MaxNLocator
    from matplotlib.tri import Triangulation

    triangles = Triangulation(frame.x, frame.y, frame.triangles)
    drawn = axes.tripcolor(
        triangles,
        frame.quantities[quantity].values,
        shading="gouraud",
        cmap=colours,
        vmin=limits[0],
        vmax=limits[1],
        rasterized=True,
    )
    # Dark beneath white: seen on bright and on dark colours. Snapped to pixels, a curved line would look dashed.
    for lines, colour, width in ((frame.borders, INK, 1.1), (frame.borders, "white", 0.6), (frame.outline, INK, 0.9)):
        axes.add_collection(LineCollection(list(lines), colors=colour, linewidths=width, capstyle="butt", snap=False))
    axes.set_aspect("equal")
    axes.margins(0.02, 0.06)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=3, steps=[1, 2, 4, 5, 10]))
    _plain(axes)
    return drawn


def _label(view: ScenarioResult) -> str:
    """Name of a scenario, and how it ended where it failed."""
    failure = view.failure
    return f"{view.name} ({failure.status} after {time_words(failure.last_good_time)})" if failure else view.name


def _new_figure(width: float, height: float, layout: Literal["constrained", "compressed"]) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _plain(axes: Axes) -> None:
    axes.tick_params(labelsize=SMALL, colors=INK, length=3, width=0.6)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(PALE)
        spine.set_linewidth(0.7)


def _wrapped(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text, width)) or text


def _unit_words(unit: str) -> str:
    if unit in ("1", "dimensionless"):
        return ""
    return unit.replace("^3", "³").replace("^2", "²")
