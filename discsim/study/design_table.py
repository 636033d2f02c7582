"""[design] of an experiment file: how many samples, drawn how, of which numbers over which ranges.

A range is one of ``{ low, high, scale = "linear" | "log" }``, ``{ dist = ..., ... }`` (see ``DISTRIBUTIONS``; samples are
kept inside the bounds of the parameter) and ``{ values = [...] }``. ``grid`` takes all combinations of ``values``, or of
``count`` equal steps from low to high; ``list`` takes the values side by side; ``csv`` is a list in a table beside the
experiment file, with paths as header. [design.correlation] ties sampled numbers together (see ``correlation``).
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from discsim.quantities import units
from discsim.study.correlation import read_correlation
from discsim.study.messages import Complaints, Shown, bounds_text, key_path, names, reason, shown
from discsim.study.paths import Paths, Spot, Target
from discsim.study.schema import DesignTable, flattened
from discsim.study.sensitivity_designs import FEWEST_TRAJECTORIES, STRUCTURED, runs
from discsim.study.toml_text import Inline

CORRELATED = ("random", "latin_hypercube", "sobol")  # kinds whose inputs may be correlated
SAMPLED = (*CORRELATED, *STRUCTURED)
KINDS = ("grid", "list", "csv", *SAMPLED, "one_at_a_time")
MOST_SAMPLES = 1_000_000
LARGEST_CSV = 50_000_000  # bytes
DISTRIBUTIONS: dict[str, tuple[str, ...]] = {
    "uniform": ("low", "high"),
    "loguniform": ("low", "high"),
    "triangular": ("low", "mode", "high"),
    "normal": ("mean", "sd"),
    "lognormal": ("median", "gsd"),
}
SCALES = ("linear", "log")
_KEYS = ("low", "high", "scale", "count", "dist", "mode", "mean", "sd", "median", "gsd", "values")


class DesignReader:
    """Reads [design]; ``table`` holds it with every default written out."""

    def __init__(self, given: DesignTable, paths: Paths, folder: Path | None, complaints: Complaints) -> None:
        self.given, self.paths, self.folder, self.complaints = given, paths, folder, complaints
        self._taken: dict[Target, str] = {}
        self.table = self._read()

    def _read(self) -> dict[str, Any]:
        given = self.given
        if given.kind is None:
            if not self.complaints.told("design.kind"):
                self.complaints.add("design.kind", Shown("nothing"), names(KINDS))
            return {}
        kind = self.complaints.choice("design.kind", given.kind, KINDS)
        if kind is None:
            return {}
        self._check_keys(kind)
        table: dict[str, Any] = {"kind": "list" if kind == "csv" else kind}
        if kind in SAMPLED:
            table |= {"samples": self._samples(kind), "seed": self._seed()}
        if kind == "csv":
            table["vary"] = self._csv()
            return table
        if not given.vary:
            self.complaints.add("design.vary", Shown("nothing"), "at least one path with a range")
            return table
        entries = flattened(given.vary, _is_entry)
        read = [self._entry(kind, path, entry) for path, entry in entries.items()]
        table["vary"] = {spot.path: entry for spot, entry in read if spot and entry}
        self._check_count(kind, table["vary"], len(entries))
        if kind in CORRELATED and given.correlation:
            varied = [spot.path for spot, _ in read if spot]
            if len(varied) == len(read):  # else some path is wrong, and told
                table["correlation"] = read_correlation(given.correlation, varied, self.paths, self.complaints)
        return table

    def _check_keys(self, kind: str) -> None:
        """Keys that the kind does not use: a number that changes nothing would mislead."""
        used: dict[str, tuple[str, ...]] = {"csv": ("file",)} | dict.fromkeys(STRUCTURED, ("samples", "seed", "vary"))
        used |= dict.fromkeys(CORRELATED, ("samples", "seed", "vary", "correlation"))
        for key in ("samples", "seed", "file", "vary", "correlation"):
            if getattr(self.given, key) is not None and key not in used.get(kind, ("vary",)):
                self.complaints.add(f"design.{key}", getattr(self.given, key), f"no such key for kind {kind}")

    def _samples(self, kind: str) -> int:
        samples = self.given.samples
        if samples is None:
            if not self.complaints.told("design.samples"):
                self.complaints.add("design.samples", Shown("nothing"), "a whole number such as 256")
        elif not 1 <= samples <= MOST_SAMPLES:
            self.complaints.add("design.samples", samples, f"1 to {MOST_SAMPLES}")
        elif kind in ("sobol", "saltelli") and samples & (samples - 1):
            near = f"{2 ** (samples.bit_length() - 1)} or {2 ** samples.bit_length()}"
            self.complaints.add("design.samples", samples, f"a power of two for kind {kind}", f"take {near}")
        elif kind == "morris" and samples < FEWEST_TRAJECTORIES:
            self.complaints.add("design.samples", samples, f"at least {FEWEST_TRAJECTORIES} trajectories for kind morris")
        return samples or 1

    def _seed(self) -> int:
        seed = 0 if self.given.seed is None else self.given.seed
        if not 0 <= seed < 2**32:
            self.complaints.add("design.seed", seed, f"0 to {2**32 - 1}")
        return seed

    def _find(self, where: str, path: str) -> Spot | None:
        spot = self.paths.find(where, path, self.complaints)
        if spot is None:
            return None
        earlier = {self._taken[target] for target in spot.targets if target in self._taken}
        self._taken |= dict.fromkeys(spot.targets, path)
        if earlier:
            self.complaints.add(where, path, "every number once", f"it is part of {min(earlier)}, which varies already")
            return None
        return spot

    def _entry(self, kind: str, path: str, given: Any) -> tuple[Spot | None, Inline]:
        where = ("design", "vary", path)
        spot = self._find(key_path(*where), path)
        if not isinstance(given, Mapping):
            hint = 'such as { low = "...", high = "..." }'
            self.complaints.add(key_path(*where), given, "a range", hint)
            return None, Inline()
        entry = Range(spot, kind, given, where, self.complaints).entry if spot else Inline()
        return spot, entry

    def _check_count(self, kind: str, vary: Mapping[str, Mapping[str, Any]], wanted: int) -> None:
        if len(vary) != wanted:  # some range is wrong, and told
            return
        if kind == "grid":
            count = math.prod(len(entry["values"]) if "values" in entry else entry["count"] for entry in vary.values())
            if count > MOST_SAMPLES:
                self.complaints.add("design.vary", Shown(f"{count} combinations"), f"at most {MOST_SAMPLES}")
        if kind in STRUCTURED and runs(kind, self.given.samples or 1, len(vary)) > MOST_SAMPLES:
            self.complaints.add("design.samples", self.given.samples, f"at most {MOST_SAMPLES} runs of all inputs together")
        if kind == "list":
            lengths = {path: len(entry["values"]) for path, entry in vary.items()}
            if len(set(lengths.values())) > 1:
                given = ", ".join(f"{path} {length}" for path, length in lengths.items())
                self.complaints.add("design.vary", Shown(f"lists of several lengths ({given})"), "lists of one length")

    def _csv(self) -> dict[str, Inline]:
        name = self.given.file
        rows = read_csv(name, self.folder, self.complaints)
        if not rows:
            return {}
        header, *body = rows
        columns: dict[str, Inline] = {}
        for number, path in enumerate(header):
            spot = self._find(f"{shown(name)} line 1", path.strip())
            if spot is None:
                continue
            values = []
            for line, row in enumerate(body, start=2):
                text = row[number].strip()
                value = _checked(f"{shown(name)} line {line} {path.strip()}", spot, text, self.complaints)
                if value is None:  # one message for a column: the others are most likely of the same kind
                    break
                values.append(value)
            columns[spot.path] = Inline(values=values)
        return columns


class Range:
    """One entry of [design.vary]; ``entry`` is empty where it holds a mistake."""

    def __init__(self, spot: Spot, kind: str, given: Mapping[str, Any], path: tuple[str, ...], complaints: Complaints) -> None:
        self.spot, self.kind, self.given, self.path, self.complaints = spot, kind, given, path, complaints
        before = len(complaints.problems)
        found = self._read()
        self.entry = Inline(found if len(complaints.problems) == before else {})

    def _read(self) -> dict[str, Any]:
        given = self.given
        forms = [key for key in ("values", "dist", "low") if key in given]
        unknown = [key for key in given if key not in _KEYS]
        if unknown:
            for key in unknown:
                self.complaints.unknown(self._at(key), key, _KEYS)
            return {}
        if "values" in given:
            return self._values()
        if self.kind == "list":
            self.complaints.add(key_path(*self.path), given, "{ values = [...] } for kind list")
            return {}
        if "dist" in given:
            return self._distribution()
        if forms or "high" in given:
            return self._interval()
        self.complaints.add(key_path(*self.path), given, "low and high, dist, or values")
        return {}

    def _values(self) -> dict[str, Any]:
        self._only(("values",))
        values = self.given["values"]
        if not isinstance(values, list) or not values or len(values) > MOST_SAMPLES:
            self.complaints.add(self._at("values"), values, f"a list of 1 to {MOST_SAMPLES} values")
            return {}
        return {"values": [_checked(self._at("values"), self.spot, value, self.complaints) for value in values]}

    def _interval(self) -> dict[str, Any]:
        grid = self.kind == "grid"
        self._only(("low", "high", "scale", "count") if grid else ("low", "high", "scale"))
        low, high = self._number("low"), self._number("high")
        scale = self.complaints.choice(self._at("scale"), self.given.get("scale", "linear"), SCALES)
        self._check_order(low, high, log=scale == "log")
        found = {"low": low, "high": high, "scale": scale}
        if grid:
            count = self.given.get("count")
            if isinstance(count, bool) or not isinstance(count, int) or not 2 <= count <= MOST_SAMPLES:
                hint = "how many values of a grid, both ends included"
                self.complaints.add(self._at("count"), Shown("nothing") if count is None else count, f"2 to {MOST_SAMPLES}", hint)
            found["count"] = count
        return found

    def _distribution(self) -> dict[str, Any]:
        if self.kind in ("grid", "one_at_a_time"):
            self.complaints.add(self._at("dist"), self.given["dist"], f"low and high, or values, for kind {self.kind}")
            return {}
        dist = self.complaints.choice(self._at("dist"), self.given["dist"], tuple(DISTRIBUTIONS))
        if dist is None:
            return {}
        keys = DISTRIBUTIONS[dist]
        self._only(("dist", *keys))
        found: dict[str, Any] = {"dist": dist}
        for key in keys:
            found[key] = {"sd": self._spread, "gsd": self._ratio}.get(key, self._number)(key)
        if "low" in keys:
            self._check_order(found["low"], found["high"], log=dist == "loguniform", mode=found.get("mode"))
        if dist == "lognormal" and found["median"] is not None and self._internal(found["median"]) <= 0.0:
            self.complaints.add(self._at("median"), found["median"], "above zero for a lognormal distribution")
        return found

    def _only(self, keys: tuple[str, ...]) -> None:
        for key in self.given:
            if key not in keys:
                self.complaints.add(self._at(key), self.given[key], f"only {', '.join(keys)} here")

    def _number(self, key: str) -> str | float | None:
        if key not in self.given:
            low, high = _bounds(self.spot)
            self.complaints.add(self._at(key), Shown("nothing"), f"{low} to {high}")
            return None
        return _checked(self._at(key), self.spot, self.given[key], self.complaints)

    def _spread(self, key: str) -> str | float | None:
        """A standard deviation: in the parameter's dimension, above zero, bounded only by the width of its bounds."""
        given, parameter = self.given.get(key), self.spot.parameter
        if given is None:
            self.complaints.add(self._at(key), Shown("nothing"), f"above zero, in {parameter.unit}")
            return None
        try:
            value = units.parse(given, parameter.internal)
        except units.UnitError as error:
            self.complaints.add(self._at(key), given, f"text with a unit of {parameter.unit}", reason(error, given, parameter))
            return None
        if value <= 0.0:
            self.complaints.add(self._at(key), given, f"above zero, in {parameter.unit}")
            return None
        return " ".join(given.split()) if isinstance(given, str) else float(given)

    def _ratio(self, key: str) -> float | None:
        given = self.given.get(key)
        if isinstance(given, bool) or not isinstance(given, (int, float)) or not 1.0 < given <= 100.0:
            self.complaints.add(self._at(key), Shown("nothing") if given is None else given, "a number above 1, at most 100")
            return None
        return float(given)

    def _check_order(self, low: Any, high: Any, *, log: bool, mode: Any = None) -> None:
        if low is None or high is None:
            return
        first, last = self._internal(low), self._internal(high)
        where = key_path(*self.path)
        if not first < last:
            self.complaints.add(where, Shown(f"low {shown(low)}, high {shown(high)}"), "low below high")
        elif mode is not None and not first <= self._internal(mode) <= last:
            self.complaints.add(self._at("mode"), mode, f"{low} to {high}")
        elif log and first <= 0.0:
            self.complaints.add(self._at("low"), low, "above zero for a logarithmic range")

    def _internal(self, value: str | float) -> float:
        return units.parse(value, self.spot.parameter.internal)

    def _at(self, key: str) -> str:
        return key_path(*self.path, key)


def _is_entry(table: Mapping[str, Any]) -> bool:
    return any(key in _KEYS for key in table) or not all(isinstance(value, Mapping) for value in table.values())


def _checked(where: str, spot: Spot, value: Any, complaints: Complaints) -> str | float | None:
    """A value inside the bounds of every region that the path stands for."""
    found: str | float | None = None
    for region in _regions(spot):
        found = complaints.value(where, spot.parameter, value, region)
        if found is None:
            return None
    return found


def _regions(spot: Spot) -> tuple[str | None, ...]:
    return (spot.region,) if spot.region else spot.parameter.regions or (None,)


def _bounds(spot: Spot) -> tuple[str, str]:
    """Bounds that hold for every region that the path stands for."""
    pairs = [bounds_text(spot.parameter, region) for region in _regions(spot)]
    internal = spot.parameter.internal
    return max((low for low, _ in pairs), key=lambda text: units.parse(text, internal)), min(
        (high for _, high in pairs), key=lambda text: units.parse(text, internal)
    )


def read_csv(name: str | None, folder: Path | None, complaints: Complaints) -> list[list[str]]:
    """Header and rows of a table of samples; it must lie in the folder of the experiment file, or below."""
    where = "design.file"
    if not name or folder is None:
        complaints.add(where, name or Shown("nothing"), "a CSV file beside the experiment file")
        return []
    try:
        root, path = folder.resolve(), (folder / name).resolve()
        if not path.is_relative_to(root):
            complaints.add(where, name, "a file in the folder of the experiment file, or below")
            return []
        if not path.is_file():
            complaints.add(where, name, "a file that exists")
            return []
        if path.stat().st_size > LARGEST_CSV:
            complaints.add(where, name, f"a file of at most {LARGEST_CSV // 1_000_000} MB")
            return []
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = [row for row in csv.reader(stream) if any(cell.strip() for cell in row)]
    except (OSError, ValueError, csv.Error) as error:
        complaints.add(where, name, "a CSV file in UTF-8", " ".join(str(error).split()) if isinstance(error, csv.Error) else "")
        return []
    if len(rows) < 2 or len(rows) - 1 > MOST_SAMPLES:
        complaints.add(where, name, f"a header of paths and 1 to {MOST_SAMPLES} rows")
        return []
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            complaints.add(where, name, f"{len(rows[0])} cells in every row", f"row {number} has {len(row)}")
            return []
    return rows
