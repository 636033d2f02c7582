"""What is in the model: every declared parameter with its source, every mechanism, every field."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from typing import Any

from discsim.biology.mechanism import Composition
from discsim.biology.mechanisms import CATALOGUE
from discsim.disc.disc import Geometry
from discsim.disc.material import OsmoBiphasic
from discsim.disc.presets import Override, grade_overrides
from discsim.quantities.fields import DRIVES, POINT_QUANTITIES
from discsim.quantities.parameters import Parameter, Parameterised
from discsim.scenario.loading import Diurnal
from discsim.scenario.therapy import THERAPIES
from discsim.study.schema import Solver

_CLASSES: tuple[type[Parameterised], ...] = (
    Geometry, OsmoBiphasic, Diurnal, *CATALOGUE.values(), *THERAPIES.values(), Solver,
)  # fmt: skip
OWNERS = {cls.name: cls for cls in _CLASSES}


@dataclasses.dataclass(frozen=True)
class DeclaredParameter:
    """One number of the model as declared, or as a grade sets it; ``value`` and bounds in ``unit``."""

    path: str
    region: str
    value: float
    unit: str
    low: float
    high: float
    evidence: str
    source: str
    description: str


def declared_parameters(grade: int = 1, owner: str | None = None) -> Iterator[DeclaredParameter]:
    """Every parameter, a row per region; raises ``ValueError`` for a grade without preset or an unknown owner."""
    if owner is not None and owner not in OWNERS:
        raise ValueError(f"{owner!r} has no parameters; there are {', '.join(OWNERS)}")
    overrides = grade_overrides(grade)
    for name, cls in OWNERS.items():
        if owner in (None, name):
            for key, parameter in cls.parameters().items():
                yield from _rows(f"{name}.{key}", parameter, overrides.get(f"{name}.{key}"))


def _rows(path: str, parameter: Parameter, override: Override | None) -> Iterator[DeclaredParameter]:
    regions: tuple[str | None, ...] = parameter.regions or (None,)
    value = parameter.default_value if override is None else parameter.value(override.value)
    for region in regions:
        number = value[region] if isinstance(value, dict) and region else value
        assert isinstance(number, float)
        low, high = parameter.bounds_of(region)
        yield DeclaredParameter(
            path,
            region or "",
            _shown(parameter, number),
            parameter.unit,
            _shown(parameter, low),
            _shown(parameter, high),
            override.evidence if override else parameter.evidence_of(region),
            override.source if override else parameter.source_of(region),
            parameter.description,
        )


def _shown(parameter: Parameter, number: float) -> float:
    """A number in the unit of the declaration, without the round-off of the way there and back."""
    return float(f"{parameter.show(number):.12g}")


@dataclasses.dataclass(frozen=True)
class MechanismEntry:
    """A mechanism: what its functions read, which fields and drives it changes, which names it gives, its own fields."""

    name: str
    summary: str
    reads: tuple[str, ...]
    gives: tuple[str, ...]
    changes: tuple[str, ...]
    fields: tuple[str, ...]
    choices: dict[str, tuple[str, ...]]
    reference: str


def mechanism_entries() -> list[MechanismEntry]:
    """All mechanisms of the catalogue, found by evaluating them together at one point of the nucleus."""
    mechanisms = [cls() for cls in CATALOGUE.values()]
    composition = Composition(mechanisms)
    values = {path: value["NP"] if isinstance(value, dict) else value for path, value in composition.default_values().items()}
    point: dict[str, Any] = {name: 1.0 for name in POINT_QUANTITIES}
    point |= {name: 1.0 if isinstance(field.initial, str) else field.initial for name, field in composition.fields.items()}
    changes = composition.evaluate(values, point)
    changed: dict[str, list[str]] = {}
    for field, terms in (*changes.sources.items(), *changes.losses.items()):
        for label, _ in terms:
            changed.setdefault(label, []).append(field)
    entries = []
    for mechanism in mechanisms:
        reads, gives, drives = composition.reads_and_gives(mechanism.label)
        choices = {key: tuple(options) for key, options in mechanism.options.items()} | dict(mechanism.structural_options)
        entries.append(
            MechanismEntry(
                mechanism.name,
                _summary(type(mechanism)),
                reads,
                gives,
                tuple(dict.fromkeys([*changed.get(mechanism.label, ()), *drives])),
                tuple(mechanism.full_name(field.name) for field in mechanism.fields()),
                choices,
                mechanism.reference,
            )
        )
    return entries


def _summary(cls: type[Parameterised]) -> str:
    """The process in a line: the first of its module, which holds nothing else."""
    return (sys.modules[cls.__module__].__doc__ or "").strip().splitlines()[0]


@dataclasses.dataclass(frozen=True)
class FieldEntry:
    """A field, or another name that mechanisms may read."""

    name: str
    symbol: str
    unit: str
    kind: str
    initial: str
    description: str


def field_entries() -> list[FieldEntry]:
    """Fields of all mechanisms, then drives, then what the engine knows at a point."""
    composition = Composition([cls() for cls in CATALOGUE.values()])
    entries = [
        FieldEntry(
            name,
            field.symbol,
            field.unit,
            field.kind,
            "from the disc" if isinstance(field.initial, str) else f"{field.initial:g}",
            field.description,
        )
        for name, field in composition.fields.items()
    ]
    entries += [FieldEntry(name, "", "", "drive", "0", text) for name, text in DRIVES.items()]
    return entries + [FieldEntry(name, "", "", "point", "", text) for name, text in POINT_QUANTITIES.items()]


def number_text(value: float) -> str:
    """A number as tables show it."""
    return f"{value:.6g}"


def bounds_text(row: DeclaredParameter) -> str:
    """Bounds as tables show them."""
    return f"{number_text(row.low)} to {number_text(row.high)}"
