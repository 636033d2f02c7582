"""What of a result is drawn: one field, some scenarios and times, and one colour scale for all of them."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Sequence

import numpy as np
import xarray as xr

from discsim.quantities.units import time_words
from discsim.study.result import TIME_TOLERANCE, Result, ResultError, ScenarioResult

CELLS = "cells"  # the sum of all fields of this kind, under the same name
NEEDED = ("points", "connectivity", "region", "displacement")
POINTWISE = ("sample", "field_time", "cell", "corner")
# Narrower than this share of its size, a range of values is round-off, and would be blown up to look like a field.
LEAST_RANGE = 1e-3
WORDS = {"ph": "pH", "gag": "GAG"}


@dataclasses.dataclass(frozen=True)
class FieldChoice:
    """A field of a result that can be drawn, and where and when.

    ``name`` is that of the problem (``gene.TIMP3/product``), ``stem`` fits a file name; ``unit`` is ``None`` where none is
    declared. ``times`` (s) are those to draw. ``limits`` are the lowest and highest value that the field has in any scenario of
    the result at any kept time, drawn or not, so that pictures of one result share their colours.
    """

    result: Result
    name: str
    stem: str
    long_name: str
    unit: str | None
    scenarios: tuple[str, ...]
    times: tuple[float, ...]
    limits: tuple[float, float]

    @property
    def label(self) -> str:
        """The field in few words with its unit, for a colour bar."""
        short = self.name.rpartition("/")[2]
        return f"{WORDS.get(short, short.replace('_', ' '))} ({unit_words(self.unit)})"

    @property
    def dimension(self) -> int:
        """2 for an axisymmetric mesh, 3 for a solid one."""
        return int(self.result[self.scenarios[0]].fields["points"].shape[1])

    def frame(self, scenario: str, time: float) -> int | None:
        """Number of the kept frame of a scenario at a time (s); nothing where it kept none then."""
        times = kept_times(self.result[scenario])
        hits = np.flatnonzero(same_time(times, time))
        return int(hits[-1]) if hits.size else None

    def values(self, scenario: str, frame: int) -> np.ndarray:
        """Values (cells, corners) of a scenario at a kept frame."""
        return field_values(self.result[scenario].fields, self.name)[frame]


def choose(
    result: Result, field: str, scenarios: Sequence[str] | None = None, times: Sequence[float] | None = None
) -> FieldChoice:
    """A field in some scenarios (all that kept fields, where left out) at some times (s; all kept ones, where left out).

    ``field``: its name in the problem or in the file, or ``cells`` for all kinds together. Raises ``ResultError`` (one line, with
    what there is) for an unknown field, scenario or time, for a result without fields, and for damaged fields.
    """
    views = _with_fields(result)
    chosen = _scenarios(result, scenarios, [view.name for view in views])
    first = views[0].fields
    name, attributes = _named(first, field)
    limits = _limits(views, name)
    kept = sorted_times(np.concatenate([kept_times(result[one]) for one in chosen]))
    return FieldChoice(
        result,
        name,
        _stem(first, name),
        str(attributes.get("long_name", name)),
        str(attributes["discsim_unit"]) if attributes.get("discsim_unit") is not None else None,
        chosen,
        _times(kept, times),
        limits,
    )


def kept_times(view: ScenarioResult) -> np.ndarray:
    """Times (s) of the fields of a scenario, up to its last good time."""
    times = np.asarray(view.fields["field_time"].values, dtype=float)
    if view.failure is None:
        return times
    return times[times <= view.last_good_time * (1.0 + TIME_TOLERANCE) + 1e-3]


def same_time(times: np.ndarray, time: float) -> np.ndarray:
    """Which of the times (s) are this one but for round-off."""
    return np.isclose(times, time, rtol=TIME_TOLERANCE, atol=1e-3)


def sorted_times(times: Iterable[float]) -> tuple[float, ...]:
    """Distinct times (s) in order."""
    found: list[float] = []
    for time in sorted(float(one) for one in times):
        if not found or not same_time(np.array(found[-1:]), time).any():
            found.append(time)
    return tuple(found)


def field_values(fields: xr.Dataset, name: str) -> np.ndarray:
    """Values (frames, cells, corners) of a field, by its name in the problem."""
    if name == CELLS:
        return np.asarray(sum(variable.values[0] for variable in _kinds_of_cells(fields)), dtype=float)
    found = next(variable for variable in _pointwise(fields).values() if variable.attrs["discsim_name"] == name)
    return np.asarray(found.values[0], dtype=float)


def unit_words(unit: str | None) -> str:
    """A unit as it is printed."""
    if unit is None:
        return "unit not declared"
    if unit in ("1", "dimensionless"):
        return "dimensionless"
    return unit.replace("^3", "³").replace("^2", "²")


def _with_fields(result: Result) -> list[ScenarioResult]:
    """Scenarios that kept fields, with what a picture needs of them."""
    missing = [name for name in result.scenario_names if name not in result.tree.children]
    if missing:
        raise ResultError(f"damaged: it names the scenario {missing[0]} but does not hold it; run the study again")
    views = [result[name] for name in result.scenario_names if result[name].has_fields]
    for view in views:
        lost = [name for name in (*NEEDED, "field_time") if name not in view.fields]
        if lost:
            raise ResultError(f"damaged: the fields of {view.name} lack {', '.join(lost)}; run the study again")
    views = [view for view in views if kept_times(view).size]
    if not views:
        raise ResultError(
            "no scenario of this result kept fields; leave [output] field_times out, or name times there, and run again"
        )
    return views


def _scenarios(result: Result, given: Sequence[str] | None, drawable: Sequence[str]) -> tuple[str, ...]:
    if not given:
        return tuple(drawable)
    for name in given:
        if name not in result.scenario_names:
            raise ResultError(f"no scenario {name!r}; there are {', '.join(result.scenario_names)}{_meant(name, drawable)}")
        if name not in drawable:
            raise ResultError(f"{name}: no fields were kept; they were of {', '.join(drawable)}")
    return tuple(dict.fromkeys(given))


def _times(kept: tuple[float, ...], given: Sequence[float] | None) -> tuple[float, ...]:
    if not given:
        return kept
    for time in given:
        if not same_time(np.array(kept), time).any():
            words = ", ".join(time_words(one) for one in kept)
            raise ResultError(f"no fields were kept at {time_words(time)}; they were at {words}; [output] field_times keeps more")
    return sorted_times(given)


def _named(fields: xr.Dataset, given: str) -> tuple[str, dict[str, object]]:
    """Name of a field in the problem, and its attributes."""
    known = _pointwise(fields)
    for valid, variable in known.items():
        full = str(variable.attrs["discsim_name"])
        alone = sum(str(one.attrs["discsim_name"]).rpartition("/")[2] == given for one in known.values()) == 1
        if given in (valid, full) or (alone and full.rpartition("/")[2] == given):
            return str(variable.attrs["discsim_name"]), variable.attrs
    kinds = _kinds_of_cells(fields)
    if given == CELLS and kinds:
        return CELLS, {"long_name": "viable cells of all kinds", "discsim_unit": kinds[0].attrs.get("discsim_unit")}
    names = [str(variable.attrs["discsim_name"]) for variable in known.values()] + [CELLS] * bool(kinds)
    raise ResultError(f"no field {given!r} was kept; there are {', '.join(sorted(names))}{_meant(given, names)}")


def _pointwise(fields: xr.Dataset) -> dict[str, xr.DataArray]:
    """Variables that hold a value per corner, by their name in the file."""
    return {
        str(valid): variable
        for valid, variable in fields.data_vars.items()
        if variable.dims == POINTWISE and "discsim_name" in variable.attrs
    }


def _kinds_of_cells(fields: xr.Dataset) -> list[xr.DataArray]:
    return [variable for variable in _pointwise(fields).values() if variable.attrs.get("kind") == "cells"]


def _stem(fields: xr.Dataset, name: str) -> str:
    return next((valid for valid, variable in _pointwise(fields).items() if variable.attrs["discsim_name"] == name), name)


def _meant(given: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(given.lower(), [*known], n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def _limits(views: Sequence[ScenarioResult], name: str) -> tuple[float, float]:
    """Lowest and highest value in all scenarios at all kept times; raises ``ResultError`` where one is no number."""
    lows, highs = [], []
    for view in views:
        fields, count = view.fields, kept_times(view).size
        if name != CELLS and not any(one.attrs["discsim_name"] == name for one in _pointwise(fields).values()):
            raise ResultError(
                f"{view.name}: {name} was not kept, unlike in {views[0].name}; the result is damaged, run the study again"
            )
        values = field_values(fields, name)[:count]
        if not (np.isfinite(values).all() and np.isfinite(fields["displacement"].values[0, :count]).all()):
            raise ResultError(f"{view.name}: {name} or the displacement holds values that are no numbers; run the study again")
        lows.append(float(values.min()))
        highs.append(float(values.max()))
    low, high = min(lows), max(highs)
    least = LEAST_RANGE * (max(abs(low), abs(high)) or 1.0)
    if high - low < least:
        middle = 0.5 * (low + high)
        return middle - 0.5 * least, middle + 0.5 * least
    return low, high
