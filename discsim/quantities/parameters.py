"""Parameters: a default, a unit, bounds, a source and an evidence word, for the whole disc or one value per region.

A parameter is declared once, as a class attribute of the mechanism, material or loading that reads it; the engines see
numbers in internal units under the path ``owner.parameter`` or, for one region, ``owner.parameter.REGION``.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, Literal, Self

from discsim.quantities import units

REGIONS: tuple[str, ...] = ("NP", "inner_AF", "outer_AF", "CEP")
Evidence = Literal["measured", "model", "recalled", "assumed"]
EVIDENCE_WORDS: tuple[str, ...] = ("measured", "model", "recalled", "assumed")
Value = float | dict[str, float]


class ParameterError(ValueError):
    """A value that a parameter does not admit; the message names the parameter, what was given and what is allowed."""


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One declared parameter. ``default`` and ``bounds`` are text with units; ``internal`` is the unit the laws see."""

    default: str | Mapping[str, str]
    bounds: tuple[str, str] | Mapping[str, tuple[str, str]]
    source: str | Mapping[str, str]
    evidence: Evidence | Mapping[str, Evidence]
    description: str = ""
    internal_override: str | None = None
    name: str = ""

    @functools.cached_property
    def unit(self) -> str:
        """The unit in which the default is written, and in which tables show the value."""
        text = self.default if isinstance(self.default, str) else next(iter(self.default.values()))
        return units.split(text)[1]

    @functools.cached_property
    def internal(self) -> str:
        """The unit of the numbers that laws and engines see."""
        return self.internal_override or units.internal_unit(self.unit)

    @property
    def regions(self) -> tuple[str, ...]:
        """Regions that have a value of their own; none for a parameter of the whole disc."""
        return () if isinstance(self.default, str) else tuple(self.default)

    @property
    def regional(self) -> bool:
        """Whether the parameter holds one value per region."""
        return not isinstance(self.default, str)

    @functools.cached_property
    def default_value(self) -> Value:
        """The default in internal units."""
        if isinstance(self.default, str):
            return units.parse(self.default, self.internal)
        return {region: units.parse(text, self.internal) for region, text in self.default.items()}

    def bounds_of(self, region: str | None = None) -> tuple[float, float]:
        """Lower and upper bound in internal units (of one region, where bounds differ between regions)."""
        if isinstance(self.bounds, tuple):
            return self._parsed_bounds[None]
        return self._parsed_bounds[region or next(iter(self.bounds))]

    @functools.cached_property
    def _parsed_bounds(self) -> dict[str | None, tuple[float, float]]:
        texts = {None: self.bounds} if isinstance(self.bounds, tuple) else self.bounds
        return {key: (units.parse(low, self.internal), units.parse(high, self.internal)) for key, (low, high) in texts.items()}

    def evidence_of(self, region: str | None = None) -> str:
        """Evidence word (measured, model, recalled, assumed), of one region where they differ."""
        return self.evidence if isinstance(self.evidence, str) else self.evidence[region or next(iter(self.evidence))]

    def source_of(self, region: str | None = None) -> str:
        """Source text (DOI, published code, or how the number was chosen), of one region where they differ."""
        return self.source if isinstance(self.source, str) else self.source[region or next(iter(self.source))]

    def number(self, given: object, region: str | None = None) -> float:
        """``given`` (text with unit) as a number in internal units; raises ``ParameterError`` off bounds or dimension."""
        where = self.name + (f".{region}" if region else "")
        try:
            value = units.parse(given, self.internal)
        except units.UnitError as error:
            raise ParameterError(f"{where}: {error}") from None
        try:
            low, high = self.bounds_of(region)
        except units.UnitError as error:
            raise ParameterError(f"{where}: bounds and default differ in kind: {error}") from None
        slack = 1e-9 * max(abs(low), abs(high))
        if not low - slack <= value <= high + slack:
            shown = self.bounds if isinstance(self.bounds, tuple) else self.bounds[region or next(iter(self.bounds))]
            raise ParameterError(f"{where}: {given!r} is outside its bounds {shown[0]} to {shown[1]}")
        return value

    def value(self, given: object, current: Value | None = None) -> Value:
        """A scalar, one value for all regions, or a table of regions (absent ones keep ``current``, or the default)."""
        if not self.regional:
            if isinstance(given, Mapping):
                raise ParameterError(f"{self.name}: takes one value, not one per region")
            return self.number(given)
        assert isinstance(self.default_value, dict)
        known = tuple(self.default_value)
        if not isinstance(given, Mapping):
            return {region: self.number(given, region) for region in known}
        unknown = [key for key in given if key not in known]
        if unknown:
            raise ParameterError(f"{self.name}: no region {unknown[0]!r}; regions are {', '.join(known)}")
        base = current if isinstance(current, dict) else self.default_value
        return base | {region: self.number(text, region) for region, text in given.items()}

    def show(self, value: float) -> float:
        """A number in internal units, in the unit of the declaration."""
        return value * units.factor(self.internal, self.unit)


def param(
    default: str | Mapping[str, str],
    *,
    bounds: tuple[str, str] | Mapping[str, tuple[str, str]],
    source: str | Mapping[str, str],
    evidence: Evidence | Mapping[str, Evidence],
    description: str = "",
    internal: str | None = None,
) -> Any:
    """Declare a parameter as a class attribute (typed ``Any`` so that laws may use it as a number).

    Raises ``ParameterError`` for an evidence word that is none of ``EVIDENCE_WORDS`` and for a source that says nothing.
    """
    for text in source.values() if isinstance(source, Mapping) else (source,):
        if not text.strip():
            raise ParameterError(f'param({default!r}): source is empty; a DOI, whose data, or "assumed"')
    for word in evidence.values() if isinstance(evidence, Mapping) else (evidence,):
        if word not in EVIDENCE_WORDS:
            raise ParameterError(f"param({default!r}): evidence {word!r} is none of {', '.join(EVIDENCE_WORDS)}")
    return Parameter(default, bounds, source, evidence, description, internal)


_DECLARED: dict[type, dict[str, Parameter]] = {}


class Parameterised:
    """Something with declared parameters: a mechanism, a material, a loading.

    Keyword arguments set parameters (text with units) and named options. An *option* is a choice by name that stands for a
    set of parameter values (``options``) or that changes which boundary rule is used (``structural_options``).
    ``given`` names what was settled so far, by key or ``key.REGION``: only the rest takes what a grade sets.
    """

    name: str = ""
    options: Mapping[str, Mapping[str, Mapping[str, str]]] = {}
    structural_options: Mapping[str, tuple[str, ...]] = {}

    def __init__(self, *, label: str | None = None, **given: object) -> None:
        self.label = label or self.name or type(self).__name__
        self.given: frozenset[str] = frozenset()
        self.chosen: dict[str, str] = {key: next(iter(choices)) for key, choices in self.options.items()}
        self.chosen |= {key: choices[0] for key, choices in self.structural_options.items()}
        self.values: dict[str, Value] = {key: p.default_value for key, p in self.parameters().items()}
        self._set(given)

    @classmethod
    def parameters(cls) -> dict[str, Parameter]:
        """Declared parameters by name, base classes first."""
        if cls not in _DECLARED:
            _DECLARED[cls] = {
                key: dataclasses.replace(value, name=f"{cls.name or cls.__name__}.{key}")
                for base in reversed(cls.__mro__)
                for key, value in vars(base).items()
                if isinstance(value, Parameter)
            }
        return dict(_DECLARED[cls])

    @classmethod
    def keys(cls) -> tuple[str, ...]:
        """Every key that the constructor and the experiment file accept."""
        return (*cls.parameters(), *cls.options, *cls.structural_options)

    def _set(self, given: Mapping[str, object]) -> None:
        declared = self.parameters()
        settled: set[str] = set()
        for key, value in given.items():
            choices = self.options.get(key) or self.structural_options.get(key)
            if choices is not None:
                if value not in choices:
                    raise ParameterError(f"{self.label}.{key}: {value!r} is none of {', '.join(choices)}")
                self.chosen[key] = str(value)
                for name, text in self.options.get(key, {}).get(str(value), {}).items():
                    self.values[name] = declared[name].value(text)
                    settled.add(name)
            elif key not in declared:
                raise ParameterError(f"{self.label}: no parameter {key!r}; it has {', '.join(self.keys())}")
        for key, value in given.items():  # explicit numbers win over what an option stands for
            if key in declared:
                self.values[key] = declared[key].value(value, self.values[key])
                settled |= {f"{key}.{region}" for region in value} if isinstance(value, Mapping) else {key}
        self.given = self.given | settled

    def with_parameters(self, **given: object) -> Self:
        """A copy with other values."""
        other = copy.copy(self)
        other.chosen, other.values = dict(self.chosen), dict(self.values)
        other._set(given)
        return other

    def bind(self, values: Mapping[str, Any]) -> Self:
        """A view whose parameter attributes are ``values`` (numbers, traced arrays), for evaluation in an engine."""
        view = copy.copy(self)
        view.__dict__.update(values)
        view.__dict__.update(self.chosen)
        return view
