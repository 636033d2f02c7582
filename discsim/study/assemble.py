"""From an experiment file with every default written out to a study. Nothing is checked here: the readers have done that."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from discsim.biology.mechanism import Mechanism
from discsim.disc.disc import Disc, Geometry
from discsim.disc.material import OsmoBiphasic
from discsim.problem.problem import StepRule
from discsim.quantities import units
from discsim.quantities.parameters import REGIONS
from discsim.scenario.loading import Diurnal
from discsim.scenario.scenario import Event, Scenario, by_owner, gather_regions
from discsim.scenario.therapy import THERAPIES, Therapy
from discsim.study.layers import Table, layered
from discsim.study.plugins import mechanism_class
from discsim.study.schema import LOADINGS
from discsim.study.study import Study
from discsim.study.therapy_tables import split_table

Frozen = tuple[tuple[str, Any], ...]


def members(scenarios: Mapping[str, Mapping[str, Any]], name: str) -> list[str]:
    """The scenarios that a scenario combines, directly or through others, each once, and itself last."""
    found: list[str] = []
    for part in scenarios[name].get("combine", ()):
        found += [member for member in members(scenarios, part) if member not in found]
    return [*found, name]


def flat_changes(scenario: Mapping[str, Any]) -> dict[str, Any]:
    """What a scenario's own tables change, by path; a regional number region by region."""
    flat: dict[str, Any] = {}
    for label, table in scenario.get("mechanisms", {}).items():
        for key, value in table.items():
            if isinstance(value, Mapping):
                flat |= {f"{label}.{key}.{region}": text for region, text in value.items()}
            else:
                flat[f"{label}.{key}"] = value
    return flat | scenario.get("set", {})


def merged_changes(scenarios: Mapping[str, Mapping[str, Any]], name: str) -> dict[str, Any]:
    """What a scenario and those that it combines change; its own tables have the last word."""
    flat: dict[str, Any] = {}
    for member in members(scenarios, name):
        flat |= flat_changes(scenarios[member])
    return flat


def merged_events(scenarios: Mapping[str, Mapping[str, Any]], name: str) -> list[Mapping[str, Any]]:
    """Events of a scenario and of those that it combines."""
    return [event for member in members(scenarios, name) for event in scenarios[member].get("events", ())]


def disagreements(scenarios: Mapping[str, Mapping[str, Any]], name: str) -> Iterator[tuple[str, str, str]]:
    """Pairs of combined scenarios that set one number to two values, and its path, unless the combination itself sets it."""
    own = flat_changes(scenarios[name])
    said: dict[str, tuple[str, Any]] = {}
    for part in scenarios[name].get("combine", ()):
        items = merged_changes(scenarios, part)
        for event in merged_events(scenarios, part):
            items |= {f"{path} at {event['at']}": value for path, value in event["set"].items()}
        for path, value in items.items():
            first, other = said.setdefault(path, (part, value))
            if other != value and path not in own:
                yield first, part, path


def material_table(table: Mapping[str, Any]) -> Table:
    """[materials] with its tables per region turned into one table per parameter."""
    found: Table = {key: value for key, value in table.items() if key not in REGIONS}
    for region in REGIONS:
        for key, value in table.get(region, {}).items():
            found[key] = found.get(key, {}) | {region: value}
    return found


def therapies_of(scenarios: Mapping[str, Mapping[str, Any]], name: str) -> list[Therapy]:
    """Therapies of a scenario and of those that it combines, with what the scenario sets."""
    tables = [table for member in members(scenarios, name) for table in scenarios[member].get("therapy", ())]
    changes = gather_regions(merged_changes(scenarios, name))
    owned = by_owner(changes, tuple({table["label"] for table in tables}))
    found = []
    for table in tables:
        cls = THERAPIES[table["kind"]]
        parts = zip((cls, cls.mechanism_class), split_table(cls, table), split_table(cls, owned[table["label"]]), strict=True)
        values: Table = {}
        for part, below, above in parts:
            values |= layered(part, below, above)
        found.append(cls(label=table["label"], **values))
    return found


def build_scenario(document: Mapping[str, Any], name: str) -> Scenario:
    """One scenario of the file."""
    scenarios, disc = document["scenarios"], document["disc"]
    classes: dict[str, Any] = {cls.name: cls for cls in map(mechanism_class, document["mechanisms"]["use"])}
    labels = ("disc", "materials", "loading", *classes)
    owned = by_owner(gather_regions(merged_changes(scenarios, name)), labels)
    common = {
        "disc": (Geometry, {key: disc[key] for key in Geometry.parameters()}),
        "materials": (OsmoBiphasic, material_table(document["materials"])),
    }
    changes = {
        f"{label}.{key}": value
        for label, (cls, table) in common.items()
        for key, value in layered(cls, table, owned[label]).items()
    }
    mechanisms = [
        _mechanism(cls, _frozen(layered(cls, document["mechanisms"][label], owned[label]))) for label, cls in classes.items()
    ]
    return Scenario(
        _person(disc["preset"], disc["grade"], disc["mesh_level"], _frozen(changes)),
        tuple(mechanisms),
        _loading(document["loading"], owned["loading"]),
        document["duration"],
        tuple(therapies_of(scenarios, name)),
        tuple(Event.make(event["at"], _engine_paths(event["set"])) for event in merged_events(scenarios, name)),
        disc["start"],
    )


def _frozen(table: Mapping[str, Any]) -> Frozen:
    return tuple((key, _frozen(value) if isinstance(value, Mapping) else value) for key, value in table.items())


def _thawed(items: Frozen) -> Table:
    return {key: _thawed(value) if isinstance(value, tuple) else value for key, value in items}


# scenarios of a study share person and mechanisms, which nobody changes in place: a sweep builds them once a sample
@functools.lru_cache(maxsize=8)
def _person(preset: str, grade: int, mesh_level: int, changes: Frozen) -> Disc:
    return Disc.preset(preset, grade=grade, mesh_level=mesh_level).with_parameters(_thawed(changes))


@functools.lru_cache(maxsize=64)
def _mechanism(cls: Any, values: Frozen) -> Mechanism:
    made: Mechanism = cls(**_thawed(values))
    return made


def _loading(table: Mapping[str, Any], changes: Mapping[str, Any]) -> Diurnal:
    values = {key: value for key, value in table.items() if key != "kind"} | dict(changes)
    if LOADINGS[table["kind"]] is Diurnal:
        return Diurnal(**values)
    return Diurnal(rest="0 MPa", active=values["load"], rest_share="0", plate=values["plate"])


def _engine_paths(changes: Mapping[str, Any]) -> dict[str, Any]:
    """A constant load is the active load of a day without rest."""
    return {("loading.active" if path == "loading.load" else path): value for path, value in changes.items()}


def build_study(document: Mapping[str, Any], text: str) -> Study:
    """The study of a file; ``text`` is the document in writing."""
    output, solver = document["output"], document["solver"]
    return Study(
        {name: build_scenario(document, name) for name in document["scenarios"]},
        readouts=tuple(document["readouts"]["use"]),
        title=document["title"],
        times=tuple(output["times"]),
        field_times=tuple(output["field_times"]),
        fields=tuple(output["fields"]) if "fields" in output else None,
        steps=StepRule(
            first=units.parse(solver["first_step"], "s"),
            largest=units.parse(solver["largest_step"], "s"),
            tolerance=units.parse(solver["step_tolerance"], "dimensionless"),
        ),
        design=document.get("design", {}),
        check=document.get("check", {}),
        resolved=text,
    )
