"""Pictures and movies as files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from discsim.report.plots import DPI, INK
from discsim.study.environment import MissingTool
from discsim.study.store import appearing

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

PICTURES = (".png", ".pdf", ".svg")
MOVIES = (".gif", ".mp4")
MOVIE_DPI = 110
NEARLY_WHITE = 240  # of 255
MAP_COLOURS = 176  # of the 256 of a GIF
LAST_PAUSE = 1500  # ms, on the last picture of a GIF before it begins again


def write_picture(figure: Figure, path: Path, recipe: str) -> None:
    """Write a figure in the format that the suffix of ``path`` names (one of ``PICTURES``), with the command that makes it."""
    word = "Subject" if path.suffix.lower() == ".pdf" else "Description"
    with appearing(path) as partial:
        figure.savefig(partial, dpi=DPI, bbox_inches="tight", pad_inches=0.1, metadata={word: recipe})


def write_movie(figures: Iterable[Figure], path: Path, per_second: float, colour_map: str) -> None:
    """Write a movie (one of ``MOVIES``) of one figure that is drawn anew; raises ``MissingTool`` for MP4 without ffmpeg.

    ``colour_map``: matplotlib's name of the one in the figure, whose colours a GIF keeps first.
    """
    need_movie_tools(path)
    with appearing(path) as partial:
        if path.suffix.lower() == ".gif":
            _write_gif(figures, partial, per_second, colour_map)
        else:
            _write_mp4(figures, partial, per_second)


def need_movie_tools(path: Path) -> None:
    """Raise ``MissingTool`` where a movie with this suffix cannot be written."""
    if path.suffix.lower() == ".mp4" and shutil.which("ffmpeg") is None:
        raise MissingTool(f"{path.name}: MP4 needs ffmpeg, which is not on the PATH: install it, or name a file ending in .gif")


def _write_mp4(figures: Iterable[Figure], path: Path, per_second: float) -> None:
    # By files, not through a pipe: where PETSc is loaded, an ffmpeg that gives up early would end the whole process (SIGPIPE).
    from matplotlib.animation import FFMpegFileWriter

    # Players know little else than 4:2:0. Few pictures a second are shown as many, or players skip the last ones.
    writer = FFMpegFileWriter(
        fps=per_second,  # type: ignore[arg-type]  # ffmpeg takes parts of a picture a second
        codec="h264",
        extra_args=["-pix_fmt", "yuv420p", "-r", "30"],
    )
    try:
        with contextlib.ExitStack() as saving:
            for number, figure in enumerate(figures):
                if number == 0:
                    saving.enter_context(writer.saving(figure, str(path), MOVIE_DPI))
                writer.grab_frame(facecolor="white")
    except subprocess.CalledProcessError:
        raise MissingTool("ffmpeg gave up; it needs an encoder for H.264 (libx264): install one, or name a .gif") from None


def _write_gif(figures: Iterable[Figure], path: Path, per_second: float, colour_map: str) -> None:
    """All pictures with one palette: with one for each, equal values would change their colours from picture to picture."""
    from PIL import Image

    pictures = []
    for figure in figures:
        figure.set_dpi(MOVIE_DPI)
        figure.canvas.draw()
        pictures.append(Image.fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()))  # type: ignore[attr-defined]
    palette = _palette(pictures, colour_map)
    first, *rest = (picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures)
    pause = round(1000.0 / per_second)
    first.save(path, save_all=True, append_images=rest, duration=[*[pause] * len(rest), max(pause, LAST_PAUSE)], loop=0)


def _palette(pictures: Sequence[Image], colour_map: str) -> Image:
    """An image whose palette holds the colour map, and what else the pictures hold."""
    from matplotlib import colormaps
    from PIL import Image as Images

    of_map = (colormaps[colour_map](np.linspace(0.0, 1.0, MAP_COLOURS))[:, :3] * 255.0).round().astype(np.uint8)
    seen = np.concatenate([np.asarray(picture)[::4, ::4].reshape(-1, 3) for picture in pictures])
    inked = seen[seen.min(axis=1) < NEARLY_WHITE]  # or the paper itself would come out in one of its neighbours
    plain = [*(255, 255, 255), *bytes.fromhex(INK[1:])]
    others = Images.fromarray(inked[None]).quantize(254 - MAP_COLOURS, method=Images.Quantize.MEDIANCUT).getpalette() or []
    found = Images.new("P", (1, 1))
    found.putpalette([*of_map.ravel().tolist(), *plain, *others])
    return found
