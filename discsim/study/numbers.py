"""The numbers of a study by path: what they are (``nominal_values``) and the study with other ones (``with_values``).

A value set by path stands for what ``--set path=value`` does to the experiment file: the number changes where the file holds it,
so that scenarios that combine others follow, what a scenario sets itself stays, and what a grade sets stays below.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import weakref
from collections.abc import Iterable, Mapping
from typing import Any

from discsim.quantities import units
from discsim.quantities.parameters import Parameter, ParameterError
from discsim.study.assemble import build_scenario, build_study, disagreements, merged_changes, merged_events
from discsim.study.config import read_document, resolve
from discsim.study.messages import Complaints, ConfigError, Mistake, Shown, bounds_text, canonical, names
from discsim.study.paths import Paths, Spot, Target
from discsim.study.resolve import differences
from discsim.study.study import Study
from discsim.study.toml_text import Inline, write_text

_KEPT = ("design", "check")  # the last tables of a file


@dataclasses.dataclass(frozen=True)
class StudyFile:
    """The experiment file behind a study: its tables with every default written out, and the paths of its numbers."""

    document: Mapping[str, Any]
    paths: Paths

    @functools.cached_property
    def _design_text(self) -> str:
        """[design] and [check] in writing: they may list thousands of samples, and no value by path changes them."""
        return write_text({key: table for key, table in self.document.items() if key in _KEPT})

    def copy(self) -> dict[str, Any]:
        """The tables that hold numbers, to be changed."""
        return {key: copy.deepcopy(table) for key, table in self.document.items() if key not in _KEPT}

    def written(self, changed: Mapping[str, Any]) -> str:
        """The file with these tables in place of its own."""
        return write_text(changed) + ("\n" + self._design_text if any(key in self.document for key in _KEPT) else "")

    @property
    def design(self) -> Mapping[str, Any]:
        """[design], checked; empty where there is none."""
        table: Mapping[str, Any] = self.document.get("design", {})
        return table

    def find(self, paths: Iterable[str]) -> dict[str, Spot]:
        """What each path names; raises ``ConfigError`` with one line per path that is none, or that names a number twice."""
        complaints = Complaints()
        taken: dict[Target, str] = {}
        spots = {}
        for path in paths:
            spot = self.paths.find(path, path, complaints)
            if spot is None:
                continue
            earlier = {taken[target] for target in spot.targets if target in taken}
            if earlier:
                complaints.add(path, path, "every number once", f"it is part of {min(earlier)}")
            taken |= dict.fromkeys(spot.targets, path)
            spots[path] = spot
        if complaints.problems:
            raise ConfigError(complaints.problems, "the study")
        return spots


_FILES: dict[int, tuple[weakref.ref[Study], StudyFile]] = {}


def file_of(study: Study) -> StudyFile:
    """The experiment file of a study, read once and kept as long as the study lives.

    A study that was built or altered in Python is written first; raises ``NotWritable`` where no file gives it.
    """
    key = id(study)
    if key not in _FILES:
        _FILES[key] = (weakref.ref(study, lambda _: _FILES.pop(key, None)), _read_file(study))
    return _FILES[key][1]


def _read_file(study: Study) -> StudyFile:
    if study.resolved:
        document, paths = read_document(study.resolved)
        if _same(study, build_study(document, study.resolved)):
            return StudyFile(document, paths)
    return StudyFile(*read_document(resolve(dataclasses.replace(study, resolved=""))))


def _same(study: Study, read: Study) -> bool:
    """Whether a study is still the one that its text gives: ``dataclasses.replace`` leaves the text as it was."""
    kept = all(getattr(study, key) == getattr(read, key) for key in ("title", "fields", "design", "check"))
    return kept and not differences(study.problem(), read.problem())


def limits(spot: Spot) -> tuple[float, float]:
    """Bounds that hold for every number that a path stands for, in the unit of the parameter's declaration."""
    parameter = spot.parameter
    texts = [bounds_text(parameter, region) for region in ((spot.region,) if spot.region else parameter.regions or (None,))]
    pairs = [(units.parse(low, parameter.unit), units.parse(high, parameter.unit)) for low, high in texts]
    return max(low for low, _ in pairs), min(high for _, high in pairs)


def with_values(study: Study, values: Mapping[str, float]) -> Study:
    """The study with numbers set by path, in the unit of each parameter's declaration; all else is kept.

    Raises ``ConfigError`` with one line per mistake: an unknown path, a value outside its bounds, scenarios that no longer
    agree on what they share.
    """
    file, complaints = file_of(study), Complaints()
    document = file.copy()
    for path, spot in file.find(values).items():
        text = _text(spot.parameter, values[path])
        regions = (spot.region,) if spot.region else spot.parameter.regions or (None,)
        if all(complaints.value(path, spot.parameter, text, region) is not None for region in regions):
            _write(document, spot, canonical(spot.parameter, text))
    scenarios = document["scenarios"]
    for name in scenarios:
        for first, part, number in disagreements(scenarios, name):
            hint = f"both set {number}; set it in [scenarios.{name}.set]"
            complaints.add(f"scenarios.{name}.combine", [first, part], "scenarios that agree", hint)
    if complaints.problems:
        raise ConfigError(complaints.problems, "the study")
    try:
        built = {name: build_scenario(document, name) for name in scenarios}
    except ParameterError as error:
        given = Shown("values that do not fit together")
        raise ConfigError([Mistake(names(tuple(values)), given, "therapies of one label that agree", str(error))]) from None
    return dataclasses.replace(study, scenarios=built, resolved=file.written(document))


def nominal_values(study: Study, paths: Iterable[str] | None = None) -> dict[str, float]:
    """The values that the file itself has, by path (all of [design.vary] where none is named), in the unit of declaration.

    Where a path stands for several numbers that differ (one per region, therapies of one label), their mean. Raises
    ``ConfigError`` for a path that names no number.
    """
    file = file_of(study)
    spots = file.find(file.design.get("vary", ()) if paths is None else paths)
    found = {}
    for path, spot in spots.items():
        numbers = [_number(file.document, spot, target) for target in sorted(spot.targets, key=str)]
        found[path] = numbers[0] if len(set(numbers)) == 1 else sum(numbers) / len(numbers)
    return found


def _text(parameter: Parameter, value: float) -> str | float:
    """A number in the unit of the declaration as a file holds it."""
    return float(value) if parameter.unit == "dimensionless" else f"{float(value)!r} {parameter.unit}"


def _setter(place: str) -> tuple[str, int | None, str] | None:
    """Scenario, event and the owner's own place, of a number that a scenario or its event sets; nothing for any other."""
    parts = place.split(".")
    if parts[0] == "scenarios" and parts[2] == "set":
        return parts[1], None, ".".join(parts[3:])
    if parts[0] == "scenarios" and parts[2] == "events" and len(parts) > 4:
        return parts[1], int(parts[3]), ".".join(parts[5:])
    return None


def _flat(spot: Spot, scenario: str, event: int | None, region: str | None) -> str:
    """The path under which a scenario or an event holds a number that it sets."""
    prefix = f"scenarios.{scenario}." + ("set." if event is None else f"events.{event}.set.")
    return spot.key.removeprefix(prefix) + (f".{region}" if region else "")


def _table_at(document: Mapping[str, Any], place: str, key: str, region: str | None) -> dict[str, Any]:
    """The table of the file that holds a number (or its table of regions) under ``key``."""
    here: Any = document
    for part in place.split("."):
        here = here[int(part)] if isinstance(here, list) else here[part]
    table: dict[str, Any] = here[region] if place == "materials" and region else here
    return table


def _write(document: dict[str, Any], spot: Spot, value: str | float) -> None:
    """Set every number that a path stands for in the tables of the file."""
    for place, key, region in spot.targets:
        setter = _setter(place)
        if setter is None:
            table = _table_at(document, place, key, region)
            _assign(table, key, None if place == "materials" else region, value, spot.parameter.regions)
            continue
        name, event, owner = setter
        scenario, flat = document["scenarios"][name], _flat(spot, name, event, region)
        layer = scenario.get("mechanisms", {}).get(owner.removeprefix("mechanisms."), {})
        if event is not None:
            scenario["events"][event]["set"][flat] = value
        elif key in layer and (not isinstance(layer[key], Mapping) or region in layer[key]):
            _assign(layer, key, region, value, spot.parameter.regions)
        else:
            scenario.setdefault("set", {})[flat] = value


def _assign(table: dict[str, Any], key: str, region: str | None, value: str | float, regions: tuple[str, ...]) -> None:
    if region is None:
        table[key] = value
        return
    if not isinstance(table[key], Mapping):  # one value for all regions, of which one is set
        table[key] = Inline(dict.fromkeys(regions, table[key]))
    table[key][region] = value


def _number(document: Mapping[str, Any], spot: Spot, target: Target) -> float:
    """The value of one number of the file, in the unit of its declaration."""
    place, key, region = target
    setter = _setter(place)
    found: Any = None
    if setter is not None:
        name, event, place = setter
        changes = _in_force(document["scenarios"], name, event)
        flat = _flat(spot, name, event, region)
        found = changes.get(flat, changes.get(flat.removesuffix(f".{region}")))
    if found is None:
        found = _table_at(document, place, key, region)[key]
    if isinstance(found, Mapping):
        found = found[region]
    number, unit = units.split(found) if isinstance(found, str) else (float(found), spot.parameter.unit)
    return number if unit == spot.parameter.unit else number * units.factor(unit, spot.parameter.unit)


def _in_force(scenarios: Mapping[str, Any], name: str, event: int | None) -> dict[str, Any]:
    """What a scenario changes, and where an event is meant, the events up to that one."""
    changes = merged_changes(scenarios, name)
    if event is None:
        return changes
    own = scenarios[name]["events"][event]
    end = units.parse(own["at"], "s")
    for earlier in sorted(merged_events(scenarios, name), key=lambda one: units.parse(one["at"], "s")):
        if units.parse(earlier["at"], "s") < end:
            changes |= earlier["set"]
    return changes | own["set"]
