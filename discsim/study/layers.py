"""Parameter tables as text, layer upon layer: what is declared, what the grade sets, what the file sets, what a scenario sets.

A *table* maps a parameter to text with a unit (or a plain number), or to such text by region, and an option to its choice. Values
stay text until objects are built of them, so that a file with every default written out holds the very words of the declarations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from discsim.disc.presets import Override
from discsim.quantities.parameters import REGIONS, Parameter, Parameterised
from discsim.study.messages import Complaints, canonical, key_path, shown
from discsim.study.toml_text import Inline

Table = dict[str, Any]


def declared_table(cls: type[Parameterised]) -> Table:
    """Every default as declared, and the first choice of every option."""
    table: Table = {key: next(iter(choices)) for key, choices in cls.options.items()}
    table |= {key: choices[0] for key, choices in cls.structural_options.items()}
    for key, parameter in cls.parameters().items():
        table[key] = _spread(parameter, parameter.default)
    return table


def graded_table(cls: type[Parameterised], label: str, overrides: Mapping[str, Override]) -> Table:
    """The declared table with what a grade sets."""
    table = declared_table(cls)
    for key, parameter in cls.parameters().items():
        if f"{label}.{key}" in overrides:
            value = _spread(parameter, overrides[f"{label}.{key}"].value)
            table[key] = table[key] | value if parameter.regional else value
    return table


def layered(cls: type[Parameterised], below: Mapping[str, Any], above: Mapping[str, Any]) -> Table:
    """``below`` with ``above`` laid over it: an option brings the numbers it stands for, explicit numbers win over it."""
    parameters = cls.parameters()
    table: Table = dict(below)
    for key, value in expanded(cls, above).items():
        if key in parameters and parameters[key].regional:
            table[key] = table.get(key, {}) | _spread(parameters[key], value)
        else:
            table[key] = value
    return table


def expanded(cls: type[Parameterised], above: Mapping[str, Any]) -> Table:
    """A layer with the numbers that its options stand for written out."""
    parameters = cls.parameters()
    table: Table = {key: above[key] for key in above if key not in parameters}
    for key in table.copy():
        for name, text in cls.options.get(key, {}).get(above[key], {}).items() if key in cls.options else ():
            table[name] = _spread(parameters[name], text)
    for key, value in above.items():
        if key in parameters and parameters[key].regional and key in table:
            table[key] = table[key] | _spread(parameters[key], value)
        else:
            table[key] = value
    return table


def checked_table(
    cls: type[Parameterised],
    given: Mapping[str, Any],
    path: tuple[str | int, ...],
    complaints: Complaints,
    *,
    also: Iterable[str] = (),
    hint: str = "",
) -> Table:
    """The valid entries of a table of the file; mistakes are noted. Keys of ``also`` are somebody else's."""
    parameters = cls.parameters()
    table: Table = {}
    known = (*cls.keys(), *also)
    for key, value in given.items():
        if key in also:
            continue
        where = key_path(*path, key)
        if key not in known:
            complaints.unknown(where, key, known, hint=hint)
            continue
        choices = tuple(cls.options.get(key, ())) or cls.structural_options.get(key)
        if choices:
            word = complaints.choice(where, value, choices)
            if word is not None:
                table[key] = word
            continue
        found = checked_value(parameters[key], value, (*path, key), complaints)
        if found is not None:
            table[key] = found
    return table


def checked_value(
    parameter: Parameter, value: Any, path: tuple[str | int, ...], complaints: Complaints
) -> str | float | Table | None:
    """One value, or a table of regions with its valid entries; mistakes are noted."""
    where = key_path(*path)
    if not isinstance(value, Mapping):
        if not parameter.regional:
            return complaints.value(where, parameter, value)
        return _for_all_regions(parameter, value, where, complaints)
    if not parameter.regional:
        complaints.add(where, value, f"one value such as {shown(parameter.default)}", "it has no value per region")
        return None
    table: Table = {}
    for region, text in value.items():
        if region not in parameter.regions:
            complaints.unknown(key_path(*path, region), region, parameter.regions)
        elif (found := complaints.value(key_path(*path, region), parameter, text, region)) is not None:
            table[region] = found
    return table


def _for_all_regions(parameter: Parameter, value: Any, where: str, complaints: Complaints) -> str | float | None:
    """One value for all regions must lie inside the bounds of each; the first that it leaves is told."""
    for region in parameter.regions:
        before = len(complaints.problems)
        found = complaints.value(where, parameter, value, region)
        if found is None:
            last = complaints.problems[before]
            if last.hint == "outside its bounds" and not isinstance(parameter.bounds, tuple):
                complaints.problems[before] = type(last)(where, last.given, f"{last.allowed} in {region}", last.hint)
            return None
    return found


def inline(table: Table) -> Table:
    """The table with values by region written on one line."""
    return {key: Inline(value) if isinstance(value, dict) else value for key, value in table.items()}


def build(cls: type[Parameterised], table: Mapping[str, Any], label: str | None = None) -> Any:
    """The object that a valid table stands for."""
    return cls(label=label, **table)


def _spread(parameter: Parameter, value: Any) -> Any:
    """A value in the form in which it is kept: by region for a regional parameter."""
    if not parameter.regional:
        return canonical(parameter, value)
    if isinstance(value, Mapping):
        return {region: canonical(parameter, value[region]) for region in REGIONS if region in value}
    return {region: canonical(parameter, value) for region in parameter.regions}
