"""From a study that was built in Python to the tables of an experiment file with every number written out.

Numbers are written in the unit of their declaration with the fewest digits that give the very same number back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from discsim.disc.material import OsmoBiphasic
from discsim.problem.problem import Problem
from discsim.quantities import units
from discsim.quantities.parameters import Parameter, Parameterised
from discsim.scenario.scenario import Event, Scenario
from discsim.scenario.therapy import Therapy
from discsim.study.layers import Table
from discsim.study.plugins import PluginError, word_of
from discsim.study.schema import SCHEMA, Clock, Solver
from discsim.study.study import Study
from discsim.study.toml_text import Inline


class NotWritable(ValueError):
    """A study that no experiment file stands for; the message says why."""


def document_of(study: Study) -> dict[str, Any]:
    """The experiment file of a study, as nested tables; raises ``NotWritable`` where it has none.

    What all scenarios share is taken from the first, without what that one sets; each scenario then sets what differs.
    """
    first = next(iter(study.scenarios.values()))
    for name, scenario in study.scenarios.items():
        _check_shared(name, scenario, first)
    base = _bare(first)
    kept = ("0 year", first.duration) if study.field_times is None else study.field_times
    rule = study.steps
    steps = {"first_step": rule.first, "largest_step": rule.largest, "step_tolerance": rule.tolerance}
    end = units.parse(first.duration, "s")
    times = [text for text in dict.fromkeys(study.times) if units.parse(text, "s") <= end * (1 + 1e-12)]
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "title": study.title,
        "duration": first.duration,
        "disc": {
            "preset": first.disc.level,
            "grade": first.disc.grade,
            "mesh_level": first.disc.mesh_level,
            "start": first.start,
            **_table(base.resolved_disc().geometry),
        },
        "loading": {"kind": "diurnal", **_table(base.loading)},
        "mechanisms": _mechanisms(base),
        "materials": _materials(base),
        "scenarios": {name: _scenario(scenario, base) for name, scenario in study.scenarios.items()},
        "readouts": {"use": list(study.readouts)},
        "output": {"times": times, "field_times": list(kept)},
        "solver": {key: number_text(Solver.parameters()[key], value) for key, value in steps.items()},
    }
    if study.fields is not None:
        document["output"]["fields"] = list(study.fields)
    for key, table in (("design", study.design), ("check", study.check)):
        if table:
            document[key] = {k: _vary(v) if k == "vary" else v for k, v in table.items()}
    return document


def number_text(parameter: Parameter, value: float) -> str | float:
    """A number in internal units as a file holds it: the shortest text that gives the very same number back."""
    if parameter.unit == "dimensionless":
        return float(value)
    for unit in (parameter.unit, parameter.internal):
        scale = units.factor(unit, parameter.internal)
        for digits in range(1, 18):
            number = float(f"{value / scale:.{digits}g}")
            if number * scale == value:
                return f"{repr(number).removesuffix('.0')} {unit}"
    raise NotWritable(f"{parameter.name}: {value!r} {parameter.internal} is no finite number")


def differences(one: Problem, other: Problem) -> list[str]:
    """In what two problems differ; nothing where an engine is given the same."""
    found = [key for key in ("output_times", "field_times", "steps", "readouts") if getattr(one, key) != getattr(other, key)]
    if one.composition.structure != other.composition.structure:
        found.append("mechanisms")
    if [arm.name for arm in one.arms] != [arm.name for arm in other.arms]:
        return [*found, "scenarios"]
    for mine, theirs in zip(one.arms, other.arms, strict=True):
        for key in ("values", "chosen", "doses", "changes", "start", "duration"):
            if getattr(mine, key) != getattr(theirs, key):
                found.append(f"{key} of {mine.name}")
        if mine.mesh.hash != theirs.mesh.hash:
            found.append(f"mesh of {mine.name}")
    return found


def _bare(scenario: Scenario) -> Scenario:
    """What a scenario starts from: its disc, loading and mechanisms, with what the grade sets, untreated."""
    return Scenario(scenario.disc, scenario.mechanisms, scenario.loading, scenario.duration, start=scenario.start)


def _check_shared(name: str, scenario: Scenario, first: Scenario) -> None:
    """One file has one disc, one set of mechanisms, one start."""
    if scenario.disc.mesh_name is not None:
        raise NotWritable(f"{name}: an experiment file names no mesh of its own ({scenario.disc.mesh_name})")
    shared = {
        "level, grade or mesh level": lambda s: (s.disc.level, s.disc.grade, s.disc.mesh_level),
        "start": lambda s: s.start,
        "duration": lambda s: s.seconds,
        "mechanisms": lambda s: [(type(m), m.label) for m in s.mechanisms],
    }
    for words, key in shared.items():
        if key(scenario) != key(first):
            raise NotWritable(f"{name}: the scenarios of an experiment file share {words}")
    for mechanism in scenario.mechanisms:
        if mechanism.label != mechanism.name:
            raise NotWritable(f"mechanism {mechanism.name} is labelled {mechanism.label}; a file labels therapies only")


def _table(owner: Parameterised) -> Table:
    parameters = owner.parameters()
    numbers = {key: _numbers(parameters[key], value) for key, value in owner.values.items()}
    return dict(owner.chosen) | numbers


def _numbers(parameter: Parameter, value: Any) -> Any:
    if isinstance(value, Mapping):
        return Inline({region: number_text(parameter, number) for region, number in value.items()})
    return number_text(parameter, value)


def _mechanisms(base: Scenario) -> Table:
    try:
        table: Table = {"use": [word_of(type(mechanism)) for mechanism in base.mechanisms]}
    except PluginError as error:
        raise NotWritable(str(error)) from None
    return table | {mechanism.name: _table(mechanism) for mechanism in base.all_mechanisms()}


def _materials(base: Scenario) -> Table:
    table, found = _table(base.resolved_disc().material), {}
    for key, value in table.items():
        if not isinstance(value, Mapping):
            found[key] = value
    for key, value in table.items():
        for region in OsmoBiphasic.parameters()[key].regions:
            found.setdefault(region, {})[key] = value[region]
    return found


def _scenario(scenario: Scenario, base: Scenario) -> Table:
    table: Table = {}
    resolved = {mechanism.label: mechanism for mechanism in scenario.all_mechanisms()}
    if scenario.therapies:
        table["therapy"] = [_therapy(therapy, resolved[therapy.label]) for therapy in scenario.therapies]
    choices, changes = _set(scenario, base)
    if choices:
        table["mechanisms"] = choices
    if changes:
        table["set"] = changes
    if scenario.events:
        table["events"] = [_event(event) for event in scenario.events]
    return table


def _therapy(therapy: Therapy, mechanism: Parameterised) -> Table:
    values = {key: value for key, value in _table(mechanism).items() if key not in therapy.values and key not in therapy.chosen}
    return {"kind": therapy.name, "label": therapy.label} | _table(therapy) | values


def _set(scenario: Scenario, base: Scenario) -> tuple[Table, Table]:
    """Choices (by mechanism) and numbers (by path) in which a scenario differs from what all share."""
    disc, shared = scenario.resolved_disc(), base.resolved_disc()
    pairs: list[tuple[Parameterised, Parameterised]] = [
        (disc.geometry, shared.geometry),
        (disc.material, shared.material),
        (scenario.resolved_loading(), base.loading),
    ]
    mine = {mechanism.label: mechanism for mechanism in scenario.all_mechanisms()}
    pairs += [(mine[mechanism.label], mechanism) for mechanism in base.all_mechanisms()]
    choices: dict[str, Table] = {}
    numbers: Table = {}
    for own, common in pairs:
        brought: set[str] = set()  # by a choice of the scenario: written out too, so that nothing else comes with it
        for key, choice in own.chosen.items():
            if choice != common.chosen[key]:
                choices.setdefault(own.label, {})[key] = choice
                brought |= set(own.options.get(key, {}).get(choice, ()))
        for key, value in own.values.items():
            path, parameter = f"{own.label}.{key}", own.parameters()[key]
            before, after = _flat([(path, common.values[key])]), _flat([(path, value)])
            for inner, number in after.items():
                if key in brought or {path, inner} & set(scenario.user_set) or number != before[inner]:
                    numbers[inner] = number_text(parameter, number)
    return dict(choices), numbers


def _event(event: Event) -> Table:
    return {"at": number_text(Clock.parameters()["time"], event.at), "set": Inline(_flat(event.changes.items()))}


def _flat(items: Iterable[tuple[str, Any]]) -> Table:
    flat: Table = {}
    for path, value in items:
        flat |= {f"{path}.{region}": text for region, text in value.items()} if isinstance(value, Mapping) else {path: value}
    return flat


def _vary(table: Mapping[str, Any]) -> Table:
    return {path: Inline(entry) if isinstance(entry, Mapping) else entry for path, entry in table.items()}
