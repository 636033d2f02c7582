"""``discsim plot``: a field of a run in section or from outside, as pictures and movies."""

from __future__ import annotations

import enum
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from discsim.cli.common import BAD_INPUT, Stop, guarded, writable_folder
from discsim.cli.fields import load_run, tell_gaps

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from discsim.report.field_choice import FieldChoice
    from discsim.study.result import Result


class ViewName(enum.StrEnum):
    """From where the disc is looked at."""

    SAGITTAL = "sagittal"
    TRANSVERSE = "transverse"
    SOLID = "3d"


class ColourMap(enum.StrEnum):
    """Colour maps that survive a grey print and colour blindness."""

    VIRIDIS = "viridis"
    CIVIDIS = "cividis"
    GREY = "grey"


@guarded
def plot(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run, or its result file.")],
    field: Annotated[
        str, typer.Option("--field", metavar="NAME", help="Field that the run kept; cells: all kinds together.")
    ] = "glucose",
    scenario: Annotated[
        list[str] | None, typer.Option("--scenario", metavar="NAME", help="Scenario; may be given again. All where left out.")
    ] = None,
    time: Annotated[
        list[str] | None,
        typer.Option(
            "--time", metavar="TIME", help='Kept time such as "10 year"; may be given again. First and last; in a movie all.'
        ),
    ] = None,
    view: Annotated[
        ViewName, typer.Option("--view", help="Section, or three quarters of the disc (extra view).")
    ] = ViewName.SAGITTAL,
    movie: Annotated[bool, typer.Option("--movie", help="A movie over the kept times.")] = False,
    per_second: Annotated[
        float, typer.Option("--fps", metavar="N", min=0.1, max=60.0, help="Kept times a second in a movie.")
    ] = 3.0,
    colours: Annotated[
        ColourMap, typer.Option("--colours", help="Colour map; each survives a grey print and colour blindness.")
    ] = ColourMap.VIRIDIS,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="A .png, .pdf or .svg, or a .gif or .mp4 (ffmpeg); FIELD_VIEW in DIR where left out.",
        ),
    ] = None,
) -> None:
    """A field on the deformed disc, scenarios side by side, with one colour scale for all scenarios and kept times.

    A run keeps fields at its start and end; for a movie, run with --set 'output.field_times=["0 year", "1 year", ...]'.
    Example: discsim plot out/cells_vs_gene --field gag --time "10 year" -o gag.pdf
    Example: discsim plot out/cells_vs_gene --view transverse --movie
    """
    _check_suffix(out, movie)
    result = load_run(folder)
    choice = _choice(result, field, scenario, time, movie)
    ending = ".gif" if movie else ".png"
    target = out or (folder if folder.is_dir() else folder.parent) / f"{choice.stem}_{view.value}{ending}"
    if target.is_dir():
        raise Stop(BAD_INPUT, f"{target}: a folder; name a file such as {target / f'{choice.stem}_{view.value}{ending}'}")
    writable_folder(target.parent)
    target.parent.mkdir(parents=True, exist_ok=True)
    if movie:
        from discsim.report.picture_files import need_movie_tools

        need_movie_tools(target)  # what is missing is told before anything is drawn
    _draw(choice, view, movie, per_second, colours, target, _recipe(folder, choice, view))
    tell_gaps(result, choice.scenarios)
    typer.echo(f"{choice.label} in {target}")


def _check_suffix(out: Path | None, movie: bool) -> None:
    from discsim.report.picture_files import MOVIES, PICTURES

    if out is None or out.is_dir():
        return
    allowed, others = (MOVIES, PICTURES) if movie else (PICTURES, MOVIES)
    if out.suffix.lower() not in allowed:
        what = "a movie" if movie else "a picture"
        hint = f"; {'leave --movie out' if movie else '--movie makes one'}" if out.suffix.lower() in others else ""
        raise Stop(BAD_INPUT, f"--out {out}: {what} ends in {', '.join(allowed)}{hint}")


def _choice(result: Result, field: str, scenarios: list[str] | None, times: list[str] | None, movie: bool) -> FieldChoice:
    """What is drawn: the first and last of the kept times where none is named, or all for a movie."""
    import dataclasses

    from discsim.quantities.units import UnitError, parse
    from discsim.report.field_choice import choose

    try:
        asked = [parse(text, "s") for text in times or ()]
    except UnitError as error:
        raise Stop(BAD_INPUT, f"--time: {error}") from None
    choice = choose(result, field, scenarios, asked)
    if movie and len(choice.times) < 2:
        from discsim.quantities.units import time_words

        raise Stop(
            BAD_INPUT,
            f"--movie: wants two times at least, and there is {time_words(choice.times[0])} alone; "
            "[output] field_times of the experiment keeps more",
        )
    if not movie and not asked:
        choice = dataclasses.replace(choice, times=tuple(dict.fromkeys((choice.times[0], choice.times[-1]))))
    return choice


def _draw(
    choice: FieldChoice, view: ViewName, movie: bool, per_second: float, colours: ColourMap, target: Path, recipe: str
) -> None:
    from discsim.report.field_pictures import COLOUR_MAPS, SectionPainter, View, frames, still
    from discsim.report.picture_files import write_movie, write_picture

    seen = View(view.value)
    if seen is View.SOLID:
        from discsim.report.solid_view import SolidPainter, need_pyvista

        need_pyvista()
        painter: SectionPainter | SolidPainter = SolidPainter(choice, colours.value)
    else:
        painter = SectionPainter(choice, seen, colours.value)
    try:
        if movie:
            pictures = _followed(frames(choice, painter, seen, colours.value), len(choice.times))
            write_movie(pictures, target, per_second, COLOUR_MAPS[colours.value])
        else:
            write_picture(still(choice, painter, seen, colours.value), target, recipe)
    except OSError as error:
        raise Stop(BAD_INPUT, f"{target}: cannot be written ({error.strerror or error})") from None


def _followed(figures: Iterator[Figure], count: int) -> Iterable[Figure]:
    """The figures of a movie, with a bar on a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(figures, "drawing", count, console=console, transient=True, disable=not console.is_terminal)


def _recipe(folder: Path, choice: FieldChoice, view: ViewName) -> str:
    from discsim import __version__

    words = ["discsim", "plot", str(folder), "--field", choice.name, "--view", view.value]
    made = choice.result.tree.attrs.get("date_created", "unknown time")
    return f"discsim {__version__}: {shlex.join(words)} (result of {made})"


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(plot)
