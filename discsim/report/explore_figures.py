"""What the explorer draws, as plain tables in the form that plotly reads: curves with bands, a field, the certificate.

No library of pages is needed here.
"""

from __future__ import annotations

import base64
import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from discsim.problem.problem import DAY, YEAR
from discsim.quantities.units import time_words
from discsim.report.plots import COLOURS
from discsim.scenario.readouts import READOUTS

if TYPE_CHECKING:
    from discsim.problem.record import FieldFrame
    from discsim.report.raster import SectionRaster
    from discsim.study.explore import ArmCourse, Explorer, Look

DASHES = ("solid", "solid", "8px,3px", "8px,3px,2px,3px", "2px,2px")  # those of the printed pictures
FONT = {"family": "system-ui, sans-serif", "size": 13, "color": "#1b1b1b"}
GRID = "#e4e4e4"
Figure = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Certified:
    """One line of the certificate, in words; ``good``: nothing speaks against the number."""

    arm: str
    value: str
    bar: str
    allowed: str
    box: str
    engine: str
    verdict: str
    good: bool


def curves(look: Look, readout: str) -> Figure:
    """One readout of all arms over time; where there are bars, a band between them and a mark at every certified time."""
    scale, word = (YEAR, "year") if look.times[-1] >= 60.0 * DAY else (DAY, "day")
    traces: list[Any] = []
    for index, (name, arm) in enumerate(look.arms.items()):
        if readout not in arm.numbers:
            continue
        colour, dash = COLOURS[index % len(COLOURS)], DASHES[index % len(DASHES)]
        time, values = look.times / scale, arm.numbers[readout]
        if readout in arm.bars:
            traces += _band(look, arm, readout, time, colour)
        traces.append(
            {
                "type": "scatter", "mode": "lines", "name": name, "x": _typed(time), "y": _typed(values),
                "line": {"color": colour, "dash": dash, "width": 3.2 if index == 0 else 2.0},
                "opacity": 0.6 if index == 0 else 1.0, "legendgroup": name,
                "hovertemplate": f"{name}: %{{y:.6g}} at %{{x:.3g}} {word}<extra></extra>",
            }
        )  # fmt: skip
    about = READOUTS[readout]
    return {"data": traces, "layout": _curve_layout(f"time ({word})", _with_unit(readout, about.unit), readout)}


def _band(look: Look, arm: ArmCourse, readout: str, time: np.ndarray, colour: str) -> list[Any]:
    """The area between the bars of the certified times, straight between them, and the bars themselves."""
    values, at = arm.numbers[readout], look.certified
    bars = np.where(np.isfinite(arm.bars[readout]), arm.bars[readout], math.nan)
    half = np.interp(look.times, look.times[at], bars)
    fine = np.isfinite(half)
    if not fine.any():
        return []
    around = np.concatenate([(values + half)[fine], (values - half)[fine][::-1]])
    own: Figure = {"type": "scatter", "legendgroup": arm.name, "showlegend": False, "hoverinfo": "skip"}
    area = own | {
        "mode": "lines", "line": {"width": 0}, "fill": "toself", "fillcolor": _pale(colour),
        "x": _typed(np.concatenate([time[fine], time[fine][::-1]])), "y": _typed(around),
    }  # fmt: skip
    marks = own | {
        "mode": "markers", "marker": {"color": colour, "size": 5}, "x": _typed(time[at]), "y": _typed(values[at]),
        "error_y": {"type": "data", "array": _typed(bars), "color": colour, "thickness": 1.5, "width": 5},
    }  # fmt: skip
    return [area, marks]


def _curve_layout(below: str, beside: str, readout: str) -> Figure:
    axis = {"gridcolor": GRID, "zeroline": False, "linecolor": "#8a8a8a", "ticks": "outside", "automargin": True}
    return {
        "font": FONT, "margin": {"l": 70, "r": 12, "t": 12, "b": 44}, "paper_bgcolor": "white", "plot_bgcolor": "white",
        "xaxis": axis | {"title": _title(below), "rangemode": "tozero"},
        "yaxis": axis | {"title": _title(beside) | {"standoff": 12}},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0.0}, "uirevision": readout, "hovermode": "closest",
    }  # fmt: skip


def field(raster: SectionRaster, frames: Mapping[str, FieldFrame], arm: str, quantity: str, about: tuple[str, str]) -> Figure:
    """A field of one arm on the deformed mid-sagittal section; colours span what all arms hold at that time."""
    frame = frames[arm]
    picture = raster.picture(frame.displacement, frame.corners[quantity])
    low = min(float(one.corners[quantity].min()) for one in frames.values())
    high = max(float(one.corners[quantity].max()) for one in frames.values())
    if high - low < 1e-3 * max(abs(low), abs(high), 1e-300):  # round-off is no pattern
        middle, least = 0.5 * (low + high), 1e-3 * max(abs(low), abs(high), 1e-9)
        low, high = middle - least, middle + least
    words, unit = about
    x, y = raster.lines(frame.displacement)
    axis = {"title": _title("mm"), "zeroline": False, "showgrid": False, "ticks": "outside", "linecolor": "#8a8a8a"}
    shown = "" if unit in ("1", "dimensionless") else f" {unit}"
    return {
        "data": [
            {
                "type": "heatmap", "x": _typed(picture.x), "y": _typed(picture.y), "z": _typed(picture.values), "zmin": low,
                "zmax": high, "colorscale": "Viridis", "hoverongaps": False,
                "hovertemplate": f"%{{z:.4g}}{shown}<br>%{{x:.1f}}, %{{y:.1f}} mm<extra></extra>",
                "colorbar": {"title": _title(_unit(unit)), "thickness": 14, "len": 0.95, "outlinewidth": 0},
            },
            {
                "type": "scatter", "mode": "lines", "x": _typed(x), "y": _typed(y), "hoverinfo": "skip", "showlegend": False,
                "line": {"color": "rgba(255,255,255,0.75)", "width": 1}, "connectgaps": False,
            },
        ],
        "layout": {
            "font": FONT, "margin": {"l": 52, "r": 8, "t": 30, "b": 40}, "paper_bgcolor": "white", "plot_bgcolor": "white",
            "title": _title(f"{arm}: {_broken(words, 70)}") | {"x": 0.02},
            "xaxis": axis, "yaxis": axis | {"scaleanchor": "x", "scaleratio": 1}, "uirevision": "field",
        },
    }  # fmt: skip


def certificate(look: Look, readout: str, record: int) -> list[Certified]:
    """For every arm the number at a certified time, its bar against what is allowed, the box, and the engine."""
    about = READOUTS[readout]
    found = []
    for name, arm in look.arms.items():
        box = "inside" if arm.inside else "outside"
        if arm.trouble:
            remedy = "" if look.engine != "reduced" else "; compute at full order"
            found.append(Certified(name, "no number", "", "", box, look.engine, f"{arm.trouble}{remedy}", False))
            continue
        value = f"{arm.numbers[readout][look.certified[record]]:.{about.digits}f}"
        if readout not in arm.bars:
            found.append(Certified(name, value, "solver's own", "", box, look.engine, "computed at full order", True))
            continue
        good = arm.vouched(readout, record)
        verdict = "vouched for" if good else "bar too wide: a sweep would compute this at full order"
        bar, allowed = (f"± {half[readout][record]:.2g}" for half in (arm.bars, arm.allowed))
        found.append(Certified(name, value, bar, allowed, box, look.engine, verdict, good))
    return found


def certificate_words(explorer: Explorer) -> str:
    """On what the bars of a training rest."""
    own = explorer.training.certificate
    times = ", ".join(time_words(time) for time in explorer.records)
    return (
        f"Bars are half-widths that cover {100.0 * own.coverage:.0f} % of the errors on samples like the {own.samples} that "
        f"training has not seen. They hold at {times}; the bands between are drawn straight."
    )


def certificate_columns(readout: str) -> tuple[str, ...]:
    """Headings of the certificate."""
    return ("arm", _with_unit(readout, READOUTS[readout].unit), "bar", "allowed", "trained box", "engine", "verdict")


def _with_unit(words: str, unit: str) -> str:
    return f"{words} ({_unit(unit)})" if _unit(unit) else words


def _unit(unit: str) -> str:
    return "" if unit in ("1", "dimensionless") else unit.replace("^3", "³").replace("^2", "²")


def _title(text: str) -> Figure:
    return {"text": text, "font": {"size": 13}}


def _broken(text: str, width: int) -> str:
    import textwrap

    return "<br>".join(textwrap.wrap(text, width)) or text


def _typed(values: np.ndarray) -> Figure:
    """An array as plotly takes it without a text for every number; single precision for pictures, double for curves."""
    array = np.ascontiguousarray(values, dtype="<f4" if values.dtype == np.float32 else "<f8")
    kind = "f4" if array.dtype.itemsize == 4 else "f8"
    found: Figure = {"dtype": kind, "bdata": base64.b64encode(array.tobytes()).decode("ascii")}
    return found | {"shape": ", ".join(map(str, array.shape))} if array.ndim > 1 else found


def _pale(colour: str) -> str:
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"
