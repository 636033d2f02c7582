"""What the command line lists: parameters, mechanisms, fields. Imports neither jax nor DOLFINx."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from typing import Any

from discsim.biology.mechanism import Mechanism
from discsim.biology.mechanisms import CATALOGUE
from discsim.disc.disc import Geometry
from discsim.disc.material import OsmoBiphasic
from discsim.disc.presets import Override, grade_overrides
from discsim.quantities.fields import SHARED_FIELDS, Field
from discsim.quantities.parameters import Parameter, Parameterised
from discsim.scenario.loading import Diurnal
from discsim.scenario.therapy import THERAPIES


@dataclasses.dataclass(frozen=True)
class ParameterRow:
    """One parameter, of one region where it has one value per region; numbers in ``unit``."""

    owner: str
    parameter: str
    region: str
    value: float
    unit: str
    low: float
    high: float
    evidence: str
    source: str
    description: str


def owners() -> dict[str, type[Parameterised]]:
    """Everything that declares parameters, by the name that files use."""
    parts: tuple[type[Parameterised], ...] = (Geometry, OsmoBiphasic, Diurnal, *CATALOGUE.values(), *THERAPIES.values())
    return {part.name: part for part in parts}


def parameter_rows(grade: int = 1) -> Iterator[ParameterRow]:
    """All parameters with the values of a grade; raises ``ValueError`` for a grade without preset."""
    overrides = grade_overrides(grade)
    for owner, cls in owners().items():
        for name, parameter in cls.parameters().items():
            yield from _rows(owner, name, parameter, overrides.get(f"{owner}.{name}"))


def _rows(owner: str, name: str, parameter: Parameter, override: Override | None) -> Iterator[ParameterRow]:
    value = parameter.default_value if override is None else parameter.value(override.value)
    for region in list(value) if isinstance(value, dict) else [""]:
        number = value[region] if isinstance(value, dict) else value
        low, high = parameter.bounds_of(region or None)
        yield ParameterRow(
            owner, name, region, parameter.show(number), parameter.unit, parameter.show(low), parameter.show(high),
            override.evidence if override else parameter.evidence_of(region or None),
            override.source if override else parameter.source_of(region or None), parameter.description,
        )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class MechanismRow:
    """One line of the literature table."""

    name: str
    reads: str
    changes: str
    reference: str
    summary: str


def mechanism_rows() -> list[MechanismRow]:
    """What each mechanism of the catalogue reads and changes."""
    return [_mechanism_row(cls) for cls in CATALOGUE.values()]


def _mechanism_row(cls: type[Mechanism]) -> MechanismRow:
    reads: set[str] = set()
    gives: list[str] = []
    for name in dir(cls):
        function = inspect.getattr_static(cls, name)
        role = getattr(function, "__dict__", {}).get("role")
        if role or name in ("rates", "diffusivities"):
            reads |= set(inspect.signature(function).parameters) - {"self"}
        if role:
            gives.append(f"{name} ({role})" if role != "derived" else name)
    changes = _changed_fields(cls)
    summary = (inspect.getdoc(cls) or "").split("\n\n")[0].replace("\n", " ")
    return MechanismRow(cls.name, ", ".join(sorted(reads)), ", ".join([*changes, *gives]), cls.reference, summary)


def _changed_fields(cls: type[Mechanism]) -> list[str]:
    """Fields whose key stands in the source of ``rates``: found without evaluating a law, which would need jax."""
    known = {field.name for field in cls().fields()} | set(SHARED_FIELDS)
    function: Any = getattr(cls, "rates", None)
    if function is None:
        return []
    source = inspect.getsource(function)
    return [name for name in sorted(known) if re.search(rf"""["']{name}["']\s*[):,]""", source)]


def field_rows() -> list[tuple[str, Field]]:
    """Every field of the catalogue with its full name (``label/field`` for those that an instance owns)."""
    found: dict[str, Field] = {}
    for cls in CATALOGUE.values():
        for field in cls().fields():
            found.setdefault(field.name if field.shared else f"{cls.name}/{field.name}", field)
    return list(found.items())
