"""The parameter table of a study: every number and choice that was used, per scenario, with unit, source and evidence.

Whether a number is the declared default, that of the grade, that of a named option, or one that the user gave, is told
by its value: an experiment file with every default written out gives the same table as a short one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from discsim.biology.mechanism import gate_path
from discsim.disc.presets import Override, grade_overrides
from discsim.quantities.parameters import Parameter, Parameterised

if TYPE_CHECKING:
    from discsim.problem.problem import Arm, Problem
    from discsim.scenario.scenario import Scenario
    from discsim.scenario.therapy import Therapy

PARAMETERS = "parameters"  # name of the table in a result; no scenario can have it
ORIGINS = ("default", "grade", "option", "user", "event", "derived")


@dataclasses.dataclass(frozen=True)
class UsedParameter:
    """One number (in ``unit``) or choice (text, then ``value`` is NaN) of one scenario.

    ``path`` ends with the region where the parameter has one value per region. ``event`` is 0 for the value at the
    start and k from the k-th event on, which falls at ``since`` (s).
    """

    path: str
    scenario: str
    value: float
    unit: str
    source: str
    evidence: str
    lower_bound: float
    upper_bound: float
    origin: str
    choice: str = ""
    event: int = 0
    since: float = 0.0
    description: str = ""


def used_parameters(scenarios: Mapping[str, Scenario], problem: Problem) -> list[UsedParameter]:
    """Every parameter and choice of every scenario, as the engine saw them, and those of its therapies."""
    owners = {owner.label: owner for scenario in scenarios.values() for owner in _owners(scenario)}
    rows: list[UsedParameter] = []
    for arm in problem.arms:
        scenario = scenarios[arm.name]
        owners |= {owner.label: owner for owner in _owners(scenario)}
        rows.extend(_arm_rows(arm, owners, grade_overrides(scenario.disc.grade)))
        for index, therapy in enumerate(scenario.therapies):
            rows.extend(therapy_rows(therapy, arm.name, f"scenarios.{arm.name}.therapy.{index}"))
    return rows


def therapy_rows(therapy: Therapy, scenario: str, prefix: str) -> Iterator[UsedParameter]:
    """A therapy's own parameters and choices (dose, volume, retained share), not those of its mechanism."""
    for key, value in therapy.values.items():
        yield from _number_rows(therapy, key, value, scenario, f"{prefix}.{key}", {})
    for key, choice in therapy.chosen.items():
        yield _choice_row(f"{prefix}.{key}", scenario, choice)


def mechanism_rows(resolved: Parameterised, scenario: str, grade: int) -> Iterator[UsedParameter]:
    """Parameters of a mechanism; ``resolved`` carries the values in the scenario."""
    overrides = grade_overrides(grade)
    for key, value in resolved.values.items():
        yield from _number_rows(resolved, key, value, scenario, f"{resolved.label}.{key}", overrides)


def _owners(scenario: Scenario) -> tuple[Parameterised, ...]:
    disc = scenario.resolved_disc()
    return (disc.geometry, disc.material, scenario.resolved_loading(), *scenario.all_mechanisms())


def _arm_rows(arm: Arm, owners: Mapping[str, Parameterised], overrides: Mapping[str, Override]) -> Iterator[UsedParameter]:
    for path, value in arm.values.items():
        owner, key = _owner_of(path, owners)
        if key in owner.parameters():
            yield from _number_rows(owner, key, value, arm.name, path, overrides)
        elif path == gate_path(owner.label):
            source = "1 where the scenario has this mechanism, 0 where only others have it"
            yield UsedParameter(path, arm.name, value, "dimensionless", source, "model", 0.0, 1.0, "derived")
        else:  # only the effective load: the one number of a scenario that is declared by no parameter
            source = "time mean of loading.rest and loading.active"
            yield UsedParameter(path, arm.name, value, "MPa", source, "model", math.nan, math.nan, "derived")
    for path, choice in arm.chosen.items():
        yield _choice_row(path, arm.name, choice)
    current = dict(arm.values)
    for number, (since, changes) in enumerate(arm.changes, start=1):
        for path, value in changes.items():
            owner, key = _owner_of(path, owners)
            yield from _event_rows(owner.parameters()[key], path, arm.name, value, current.get(path), number, since)
        current |= changes


def _number_rows(
    owner: Parameterised, key: str, value: Any, scenario: str, path: str, overrides: Mapping[str, Override]
) -> Iterator[UsedParameter]:
    parameter = owner.parameters()[key]
    for region, number in _by_region(value):
        origin, evidence, source = _provenance(owner, key, region, number, overrides.get(f"{owner.label}.{key}"))
        yield _row(parameter, path, scenario, region, number, origin=origin, evidence=evidence, source=source)


def _event_rows(
    parameter: Parameter, path: str, scenario: str, value: Any, before: Any, number: int, since: float
) -> Iterator[UsedParameter]:
    previous = dict(_by_region(before))
    for region, changed in _by_region(value):
        if previous.get(region) != changed:
            yield _row(
                parameter,
                path,
                scenario,
                region,
                changed,
                origin="event",
                evidence="assumed",
                source="given by the user, from an event on",
                event=number,
                since=since,
            )


def _row(parameter: Parameter, path: str, scenario: str, region: str | None, number: float, **rest: Any) -> UsedParameter:
    low, high = parameter.bounds_of(region)
    return UsedParameter(
        path + (f".{region}" if region else ""),
        scenario,
        parameter.show(number),
        parameter.unit,
        lower_bound=parameter.show(low),
        upper_bound=parameter.show(high),
        description=parameter.description,
        **rest,
    )


def _choice_row(path: str, scenario: str, choice: str) -> UsedParameter:
    return UsedParameter(path, scenario, math.nan, "", "", "", math.nan, math.nan, "option", choice=choice)


def _provenance(
    owner: Parameterised, key: str, region: str | None, number: float, override: Override | None
) -> tuple[str, str, str]:
    """Where a number comes from: origin, evidence word and source text."""
    parameter = owner.parameters()[key]
    declared = parameter.evidence_of(region), parameter.source_of(region)
    if override is not None and _same(number, _at(parameter.value(override.value), region)):
        return "grade", override.evidence, override.source
    if _same(number, _at(parameter.default_value, region)):
        return "default", *declared
    for option, choice in owner.chosen.items():
        text = owner.options.get(option, {}).get(choice, {}).get(key)
        if text is not None and _same(number, parameter.number(text, region)):
            return "option", *declared
    default = f"{parameter.show(_at(parameter.default_value, region)):.6g} {parameter.unit}"
    return "user", "assumed", f"given by the user (declared {default}: {declared[0]}, {declared[1]})"


def _at(value: Any, region: str | None) -> float:
    return float(value[region] if isinstance(value, Mapping) else value)


def _same(first: float, second: float) -> bool:
    return math.isclose(first, second, rel_tol=1e-9, abs_tol=0.0)


def _by_region(value: Any) -> list[tuple[str | None, float]]:
    if isinstance(value, Mapping):
        return [(region, float(number)) for region, number in value.items()]
    return [] if value is None else [(None, float(value))]


def _owner_of(path: str, owners: Mapping[str, Parameterised]) -> tuple[Parameterised, str]:
    """The owner with the longest label that fits (labels may hold dots), and the parameter's key."""
    label = max((label for label in owners if path.startswith(label + ".")), key=len)
    return owners[label], path[len(label) + 1 :]
