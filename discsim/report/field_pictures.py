"""A field of several scenarios side by side, in section: one figure for some times, or one that goes on from time to time.

All panels share one colour scale and one frame in mm, which also hold for other pictures of the same field and result.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np

from discsim.report.field_choice import FieldChoice, kept_times
from discsim.report.plane_cuts import Y, solid_cut, transverse
from discsim.report.plots import INK, LARGE, NORMAL, PALE, SMALL, _draw_field, _new_figure, _plain, _wrapped
from discsim.report.section import Quantity, Section, section
from discsim.report.tables import time_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACROSS = 4  # scenarios beside one another; more go on beneath
MARGIN = 1.04  # of the frame around the largest section
# Perceptually even, told apart by colour-blind readers, and of lightness that only rises, so that they survive a grey print.
COLOUR_MAPS = {"viridis": "viridis", "cividis": "cividis", "grey": "gray"}


class View(enum.StrEnum):
    """From where the disc is looked at."""

    SAGITTAL = "sagittal"
    TRANSVERSE = "transverse"
    SOLID = "3d"


TITLES = {
    View.SAGITTAL: "mid-sagittal section",
    View.TRANSVERSE: "transverse section at mid-height",
    View.SOLID: "three quarters of the disc",
}


class Painter(Protocol):
    """Draws one scenario at one of its kept frames; ``extent``: half width and half height of every panel, mm."""

    extent: tuple[float, float]

    def draw(self, axes: Axes, scenario: str, frame: int) -> None: ...

    def label(self, axes: Axes, *, lowest: bool, leftmost: bool) -> None: ...


class SectionPainter:
    """The mid-sagittal or the transverse section, deformed and to scale."""

    def __init__(self, choice: FieldChoice, view: View, colours: str) -> None:
        self.choice, self.view, self.colours = choice, view, COLOUR_MAPS[colours]
        wide, high = extent_of(choice)
        self.extent = MARGIN * wide, MARGIN * (wide if view is View.TRANSVERSE else high)

    def cut(self, scenario: str, frame: int) -> Section:
        """The section of a scenario at one of its kept frames."""
        choice, fields = self.choice, self.choice.result[scenario].fields
        quantity = Quantity(choice.label, choice.unit or "", choice.values(scenario, frame))
        if self.view is View.TRANSVERSE:
            return transverse(fields, frame, choice.name, quantity)
        if choice.dimension == 3:
            return solid_cut(fields, frame, choice.name, quantity, Y)
        return section(fields, frame, {choice.name: quantity})

    def draw(self, axes: Axes, scenario: str, frame: int) -> None:
        """Draw onto empty axes."""
        choice = self.choice
        _draw_field(axes, self.cut(scenario, frame), choice.name, choice.limits, self.colours)

    def label(self, axes: Axes, *, lowest: bool, leftmost: bool) -> None:
        """What is along the axes, in mm."""
        from matplotlib.ticker import MultipleLocator

        width, height = self.extent
        axes.set_xlim(-width, width)
        axes.set_ylim(-height, height)
        step = 10.0 if width > 12.0 else 5.0
        axes.xaxis.set_major_locator(MultipleLocator(step))
        axes.yaxis.set_major_locator(MultipleLocator(step if self.view is View.TRANSVERSE else 4.0))
        axes.tick_params(labelbottom=lowest, labelleft=leftmost)
        beside, above = _directions(self.choice.dimension, self.view)
        axes.set_xlabel(beside if lowest else "", fontsize=SMALL, color=INK)
        axes.set_ylabel(above if leftmost else "", fontsize=SMALL, color=INK)


def extent_of(choice: FieldChoice) -> tuple[float, float]:
    """Largest radius in plan and half height (mm) of any scenario of the result at any kept time."""
    wide = high = 0.0
    for name in choice.result.scenario_names:
        view = choice.result[name]
        if view.has_fields and (frames := kept_times(view).size):
            moved = view.fields["points"].values + view.fields["displacement"].values[0, :frames]
            wide = max(wide, float(np.linalg.norm(moved[..., :-1], axis=-1).max()))
            high = max(high, float(np.abs(moved[..., -1]).max()))
    return wide, high


def _directions(dimension: int, view: View) -> tuple[str, str]:
    """What the two axes of a section are called. An axisymmetric disc has no front."""
    if dimension == 2:
        return "from the axis (mm)", "from the axis (mm)" if view is View.TRANSVERSE else "height\n(mm)"
    return "back to front (mm)", "right to left (mm)" if view is View.TRANSVERSE else "height\n(mm)"


@dataclasses.dataclass
class Board:
    """The panels of a figure: a block of rows per time, a panel per scenario."""

    choice: FieldChoice
    painter: Painter
    view: View
    figure: Figure
    grid: np.ndarray

    @property
    def block(self) -> int:
        """Rows that the scenarios of one time take."""
        return math.ceil(len(self.choice.scenarios) / ACROSS)

    def fill(self, block: int, time: float, *, first: bool) -> None:
        """Draw all scenarios at one time (s) into a block of rows; ``first``: with their names over all of them."""
        count, across = len(self.choice.scenarios), self.grid.shape[1]
        for number, scenario in enumerate(self.choice.scenarios):
            row, column = block * self.block + number // across, number % across
            axes = self.grid[row, column]
            axes.clear()
            frame = self.choice.frame(scenario, time)
            if frame is None:
                _nothing(axes, self.choice, scenario, time)
            else:
                self.painter.draw(axes, scenario, frame)
            last = (block + 1) * self.block == self.grid.shape[0]
            self.painter.label(axes, lowest=last and number + across >= count, leftmost=column == 0)
            note = "just after the injection" if self.choice.result.dosed_at(scenario, time) else ""
            words = ", ".join(word for word in (scenario if first or self.block > 1 else "", note) if word)
            axes.set_title(words, fontsize=NORMAL, color=INK)
        for number in range(count, self.block * across):
            self.grid[block * self.block + number // across, number % across].set_axis_off()


def still(choice: FieldChoice, painter: Painter, view: View, colours: str) -> Figure:
    """Every scenario at every time of the choice: a row per time (more than one for many scenarios)."""
    board = _board(choice, painter, view, colours, len(choice.times))
    for block, time in enumerate(choice.times):
        board.fill(block, time, first=block == 0)
        _time_beside(board, block, time)
    return board.figure


def frames(choice: FieldChoice, painter: Painter, view: View, colours: str) -> Iterator[Figure]:
    """One figure again and again, drawn at one time of the choice after the other; nothing in it moves but the disc."""
    board = _board(choice, painter, view, colours, 1)
    for number, time in enumerate(choice.times):
        board.fill(0, time, first=True)
        board.figure.suptitle(f"{_title(board)}\n{time_words(time)}", fontsize=LARGE, color=INK)
        if number == 0:
            board.figure.canvas.draw()
            board.figure.set_layout_engine("none")
        yield board.figure


def _board(choice: FieldChoice, painter: Painter, view: View, colours: str, blocks: int) -> Board:
    count = len(choice.scenarios)
    across = min(ACROSS, count)
    rows = blocks * math.ceil(count / ACROSS)
    wide, high = painter.extent
    panel = 2.75 if view is not View.TRANSVERSE else 2.3
    width = max(0.95 + panel * across, 4.6)
    row = panel * high / wide + 0.38
    figure = _new_figure(width, row * rows + 1.55, "compressed")
    engine = figure.get_layout_engine()
    if engine is not None:  # a movie is not trimmed, so nothing may touch its edge
        engine.set(rect=(0.01, 0.01, 0.98, 0.98))  # type: ignore[call-arg]  # of the constrained engine, which this one is
    grid = figure.subplots(rows, across, squeeze=False)
    board = Board(choice, painter, view, figure, grid)
    _colour_bar(figure, grid, choice, colours, min(0.9, 4.2 / width))
    figure.suptitle(_title(board), fontsize=LARGE, color=INK)
    return board


def _title(board: Board) -> str:
    name = board.choice.long_name
    heading = f"{name[:1].upper()}{name[1:]}: {TITLES[board.view]}"
    return _wrapped(heading, int(13 * board.figure.get_figwidth()))


def _colour_bar(figure: Figure, grid: np.ndarray, choice: FieldChoice, colours: str, share: float) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.ticker import MaxNLocator, ScalarFormatter

    formatter = ScalarFormatter(useOffset=False, useMathText=True)
    formatter.set_powerlimits((-2, 5))
    mappable = ScalarMappable(Normalize(*choice.limits), COLOUR_MAPS[colours])
    bar = figure.colorbar(
        mappable, ax=list(grid.flat), location="bottom", shrink=share, aspect=32, pad=0.04,
        ticks=MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]), format=formatter,
    )  # fmt: skip
    bar.set_label(choice.label, fontsize=NORMAL, color=INK)
    bar.ax.tick_params(labelsize=SMALL, colors=INK, length=3)
    bar.ax.xaxis.get_offset_text().set_fontsize(SMALL)
    bar.outline.set_edgecolor(PALE)
    bar.outline.set_linewidth(0.5)


def _time_beside(board: Board, block: int, time: float) -> None:
    """The time left of the first panel of its rows."""
    axes = board.grid[block * board.block, 0]
    left = -10 if board.view is View.SOLID else -46  # points; a section has numbers and a label there
    axes.annotate(
        time_words(time), (0.0, 0.5), xytext=(left, 0), xycoords="axes fraction", textcoords="offset points",
        rotation=90, ha="right", va="center", fontsize=NORMAL, color=INK,
    )  # fmt: skip


def _nothing(axes: Axes, choice: FieldChoice, scenario: str, time: float) -> None:
    """Why a scenario has no picture at a time, in its place."""
    failure = choice.result[scenario].failure
    words = f"no field at {time_words(time)}"
    if failure is not None and time > failure.last_good_time:
        words = f"{failure.status}\nafter {time_words(failure.last_good_time)}"
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", fontsize=NORMAL, color=PALE)
    axes.set_aspect("equal")
    _plain(axes)
    for spine in axes.spines.values():
        spine.set_visible(False)
