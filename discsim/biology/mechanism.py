"""A mechanism, and the sum of many.

A mechanism is parameters plus pure pointwise functions. Argument names say what it reads; the keys of the returned dict,
or the names of the decorated methods, say what it changes:

- ``@derived`` method ``name(self, ...)``: an algebraic value that others read by that name (``ph``);
- ``@local`` method: the same, owned by the instance (read by that name inside it, ``label/name`` outside);
- ``@drive`` method: adds to a named sum with neutral value 0 (``anabolic_drive``);
- ``rates(self, ...)``: change per *current* mixture volume and second of the fields named by the keys. A plain key holds a
  net rate; ``loss("field")`` holds a first-order loss rate (1/s), ``conversion("field", into="other")`` a first-order
  transfer (1/s). Losses and conversions are integrated exactly; a negative plain rate of a pointwise field is turned
  into a loss;
- ``diffusivities(self, ...)``: mm2/s of the fields named by the keys;
- ``boundaries(self)``: what the surfaces do to those fields, from parameters alone.

No mechanism edits another, and their order does not matter.
"""

from __future__ import annotations

import dataclasses
import functools
import graphlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from discsim.quantities.fields import DRIVES, POINT_QUANTITIES, Field
from discsim.quantities.parameters import REGIONS, Parameter, Parameterised


class CompositionError(ValueError):
    """Mechanisms that do not fit together; the message names both sides and the way out."""


def derived(method: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a method as an algebraic value that others read by the method's name."""
    method.__dict__["role"] = "derived"
    return method


def local(method: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a method as an algebraic value owned by the mechanism instance."""
    method.__dict__["role"] = "local"
    return method


def drive(method: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a method as a contribution to the drive of the same name."""
    method.__dict__["role"] = "drive"
    return method


def loss(field: str) -> str:
    """Key of a first-order loss rate (1/s) of ``field``."""
    return f"{field}@loss"


def conversion(field: str, *, into: str) -> str:
    """Key of a first-order transfer rate (1/s) from ``field`` to ``into``; what one loses the other gains."""
    return f"{field}@into:{into}"


def gate_path(label: str) -> str:
    """Path of the gate of a mechanism that some arms of a study lack: 1 where it acts, 0 where it does not."""
    return f"{label}.present"


@dataclasses.dataclass(frozen=True)
class Exchange:
    """Outward flux = ``coefficient`` (mm/s) x (concentration - ``level``) per current area."""

    coefficient: Any
    level: Any


@dataclasses.dataclass(frozen=True)
class Level:
    """Concentration fixed at ``level``."""

    level: Any


Boundary = Exchange | Level


class Mechanism(Parameterised):
    """Base of every mechanism. Final classes set ``name`` and parameters, and give any of the methods named above."""

    regions: tuple[str, ...] = REGIONS
    # Parameter -> field: the constant (one per region) that holds the field at its preset in the healthy steady state.
    homeostasis: Mapping[str, str] = {}
    reference: str = ""

    def fields(self) -> tuple[Field, ...]:
        """Fields that this mechanism needs and that may not be there yet."""
        return ()

    def boundaries(self) -> dict[str, dict[str, Boundary]]:
        """Per field and surface, what the boundary does; surfaces left out are sealed."""
        return {}

    def full_name(self, name: str) -> str:
        """The name of one of this instance's own fields or local values in the whole problem; other names unchanged."""
        return f"{self.label}/{name}" if name in self._own_names() else name

    def _own_names(self) -> set[str]:
        own = {field.name for field in self.fields() if not field.shared}
        return own | {name for name, _ in _marked(self, "local")}


def _marked(mechanism: Mechanism, role: str) -> tuple[tuple[str, Callable[..., Any]], ...]:
    return _marked_in(type(mechanism), role)  # type: ignore[arg-type]  # a class has a hash, whatever its instances have


@functools.cache  # a class does not change, and a sweep composes the same ones thousands of times
def _marked_in(kind: type[Mechanism], role: str) -> tuple[tuple[str, Callable[..., Any]], ...]:
    found = []
    for name in dir(kind):
        function = inspect.getattr_static(kind, name)
        if getattr(function, "__dict__", {}).get("role") == role:
            found.append((name, function))
    return tuple(found)


def law_methods(mechanism: Mechanism) -> dict[str, tuple[str, ...]]:
    """The pointwise methods of a mechanism and the argument names of each."""
    found = {name: _reads(function) for role in ("derived", "local", "drive") for name, function in _marked(mechanism, role)}
    return found | {n: _reads(getattr(type(mechanism), n)) for n in ("rates", "diffusivities") if hasattr(mechanism, n)}


@functools.cache
def _reads(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)[1:]


@dataclasses.dataclass(frozen=True)
class _Node:
    """One pointwise function: which mechanism, which method, what it gives, what it reads (full names)."""

    mechanism: int
    method: str
    gives: str
    additive: bool
    reads: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Changes:
    """What all mechanisms together do at one point.

    ``values`` holds every name at the point (derived values and drives included); ``sources`` per field the list of
    (mechanism label, rate per current mixture volume and second); ``losses`` per field the list of (label, 1/s);
    ``conversions`` the list of (from, into, 1/s).
    """

    values: dict[str, Any]
    sources: dict[str, list[tuple[str, Any]]]
    losses: dict[str, list[tuple[str, Any]]]
    conversions: list[tuple[str, str, Any]]


class Composition:
    """Mechanisms that act together: their fields, parameters, and the pointwise evaluation of all of them.

    ``gated``: labels whose rates and drives are multiplied by the number at ``gate_path(label)``.
    """

    def __init__(self, mechanisms: Iterable[Mechanism], gated: Iterable[str] = ()) -> None:
        self.mechanisms = tuple(mechanisms)
        self.gated = tuple(gated)
        self._check_labels()
        self.fields = self._collect_fields()
        self._bindings = {m.label: tuple(m.parameters()) for m in self.mechanisms}
        self.parameters: dict[str, Parameter] = {
            f"{m.label}.{key}": parameter for m in self.mechanisms for key, parameter in m.parameters().items()
        }
        self._nodes = self._order(self._collect_nodes())
        self._check_reads()

    @property
    def structure(self) -> tuple[Any, ...]:
        """What decides the compiled form: classes, labels and structural choices, not numbers."""
        found = [
            (type(m).__module__, type(m).__qualname__, m.label, tuple((k, m.chosen[k]) for k in m.structural_options))
            for m in self.mechanisms
        ]
        return (*found, *(gate_path(label) for label in self.gated))

    def default_values(self) -> dict[str, Any]:
        """Parameter values by path, in internal units."""
        return {f"{m.label}.{key}": m.values[key] for m in self.mechanisms for key in m.parameters()}

    def of_kind(self, *kinds: str) -> tuple[str, ...]:
        """Names of the fields of these kinds, in a fixed order."""
        return tuple(name for name, field in self.fields.items() if field.kind in kinds)

    def value_names(self) -> tuple[str, ...]:
        """Names that stand at a point besides fields: derived values, drives, point quantities (not the region masks)."""
        points = [name for name in POINT_QUANTITIES if not name.startswith("in_")]
        return tuple(dict.fromkeys([*points, *DRIVES, *(node.gives for node in self._nodes)]))

    def reads_and_gives(self, label: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        """Names that one mechanism reads, derived and local values that it gives, and drives that it adds to."""
        index = [mechanism.label for mechanism in self.mechanisms].index(label)
        mechanism, own = self.mechanisms[index], [node for node in self._nodes if node.mechanism == index]
        reads = [name for node in own for name in node.reads]
        for name in ("rates", "diffusivities"):
            if hasattr(mechanism, name):
                reads += [mechanism.full_name(argument) for argument in _reads(getattr(type(mechanism), name))]
        gives = tuple(node.gives for node in own if not node.additive)
        return tuple(dict.fromkeys(reads)), gives, tuple(node.gives for node in own if node.additive)

    def evaluate(self, parameters: Mapping[str, Any], point: Mapping[str, Any]) -> Changes:
        """All derived values and rates at one point.

        ``parameters`` gives every path the value at the point; ``point`` gives fields as *current* densities and
        concentrations, and the quantities of ``POINT_QUANTITIES``.
        """
        values = dict(point)
        for name in DRIVES:
            values[name] = 0.0 * point["jacobian"]
        bound = [m.bind(self._own(parameters, m)) for m in self.mechanisms]
        for node in self._nodes:
            result = getattr(bound[node.mechanism], node.method)(*[values[name] for name in node.reads])
            if node.additive:
                values[node.gives] = values[node.gives] + self._mask(node.mechanism, values, parameters) * result
            else:
                values[node.gives] = result
        changes = Changes(values, {}, {}, [])
        for index, mechanism in enumerate(self.mechanisms):
            if hasattr(mechanism, "rates"):
                self._add_rates(changes, index, bound[index], parameters)
        return changes

    def diffusivities(self, parameters: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
        """Diffusivity (mm2/s) of every solute and signal at a point; ``values`` as from ``evaluate``."""
        found: dict[str, Any] = {}
        for mechanism in self.mechanisms:
            if hasattr(mechanism, "diffusivities"):
                view = mechanism.bind(self._own(parameters, mechanism))
                reads = [values[mechanism.full_name(n)] for n in _reads(type(mechanism).diffusivities)]
                for key, value in view.diffusivities(*reads).items():
                    found[mechanism.full_name(key)] = value
        missing = [name for name in self.of_kind("solute", "signal") if name not in found]
        if missing:
            raise CompositionError(f"field {missing[0]!r} diffuses, but no mechanism gives its diffusivity")
        return found

    def boundaries(self, parameters: Mapping[str, Any]) -> dict[str, dict[str, Boundary]]:
        """Boundary rules of every solute and signal, from parameter values."""
        found: dict[str, dict[str, Boundary]] = {name: {} for name in self.of_kind("solute", "signal")}
        for mechanism in self.mechanisms:
            view = mechanism.bind(self._own(parameters, mechanism))
            for key, surfaces in view.boundaries().items():
                found[mechanism.full_name(key)].update(surfaces)
        return found

    def _own(self, parameters: Mapping[str, Any], mechanism: Mechanism) -> dict[str, Any]:
        return {key: parameters[f"{mechanism.label}.{key}"] for key in self._bindings[mechanism.label]}

    def _mask(self, index: int, values: Mapping[str, Any], parameters: Mapping[str, Any]) -> Any:
        """1 where a mechanism acts, 0 elsewhere: by its regions, and by the arms that have it."""
        regions, label = self.mechanisms[index].regions, self.mechanisms[index].label
        mask: Any = 1.0
        if set(regions) != set(REGIONS):
            mask = values[f"in_{regions[0]}"]
            for region in regions[1:]:
                mask = mask + values[f"in_{region}"]
        return mask * parameters[gate_path(label)] if label in self.gated else mask

    def _add_rates(self, changes: Changes, index: int, bound: Any, parameters: Mapping[str, Any]) -> None:
        mechanism = self.mechanisms[index]
        reads = [changes.values[mechanism.full_name(name)] for name in _reads(self._rates_of(mechanism))]
        mask = self._mask(index, changes.values, parameters)
        for key, rate in bound.rates(*reads).items():
            field, _, rule = key.partition("@")
            field = mechanism.full_name(field)
            if field not in self.fields:
                raise CompositionError(f"mechanism {mechanism.label!r} changes {field!r}, which is no field of the problem")
            if rule.startswith("into:"):
                changes.conversions.append((field, mechanism.full_name(rule[5:]), mask * rate))
            elif rule == "loss":
                changes.losses.setdefault(field, []).append((mechanism.label, mask * rate))
            else:
                changes.sources.setdefault(field, []).append((mechanism.label, mask * rate))

    @staticmethod
    def _rates_of(mechanism: Any) -> Callable[..., Any]:
        function: Callable[..., Any] = type(mechanism).rates
        return function

    def _check_labels(self) -> None:
        seen: set[str] = set()
        for mechanism in self.mechanisms:
            if mechanism.label in seen:
                raise CompositionError(f"two mechanisms are labelled {mechanism.label!r}; give one of them another label")
            if mechanism.label in self.gated and "present" in mechanism.parameters():
                raise CompositionError(
                    f"mechanism {mechanism.label!r}: a parameter of it is called 'present'; give it another name"
                )
            if isinstance(mechanism.regions, str):  # would be read letter by letter
                raise CompositionError(
                    f'mechanism {mechanism.label!r}: regions is the text "{mechanism.regions}"; write ("{mechanism.regions}",)'
                )
            wrong = [region for region in mechanism.regions if region not in REGIONS]
            if wrong or not mechanism.regions:
                given = repr(wrong[0]) if wrong else "nothing"
                raise CompositionError(f"mechanism {mechanism.label!r}: regions holds {given}; there are {', '.join(REGIONS)}")
            seen.add(mechanism.label)

    def _collect_fields(self) -> dict[str, Field]:
        fields: dict[str, Field] = {}
        for mechanism in self.mechanisms:
            for field in mechanism.fields():
                name = field.name if field.shared else f"{mechanism.label}/{field.name}"
                if name in fields and fields[name] != field:
                    raise CompositionError(f"field {name!r} is declared twice and differently (again by {mechanism.label!r})")
                fields.setdefault(name, field)
        return fields

    def _collect_nodes(self) -> list[_Node]:
        nodes: list[_Node] = []
        giver: dict[str, str] = {}
        for index, mechanism in enumerate(self.mechanisms):
            for role in ("derived", "local", "drive"):
                for name, function in _marked(mechanism, role):
                    full = mechanism.full_name(name)
                    if role == "drive" and name not in DRIVES:
                        raise CompositionError(f"{mechanism.label!r} adds to {name!r}, no drive; drives: {', '.join(DRIVES)}")
                    if role != "drive":
                        if full in giver or full in self.fields or full in POINT_QUANTITIES:
                            other = giver.get(full, "the table of fields")
                            raise CompositionError(f"{mechanism.label!r} gives {full!r}, which {other!r} gives already")
                        giver[full] = mechanism.label
                    reads = tuple(mechanism.full_name(arg) for arg in _reads(function))
                    nodes.append(_Node(index, name, full, role == "drive", reads))
        return nodes

    def _order(self, nodes: list[_Node]) -> list[_Node]:
        givers: dict[str, list[int]] = {}
        for position, node in enumerate(nodes):
            givers.setdefault(node.gives, []).append(position)
        sorter = graphlib.TopologicalSorter(
            {position: [g for name in node.reads for g in givers.get(name, ())] for position, node in enumerate(nodes)}
        )
        try:
            return [nodes[position] for position in sorter.static_order()]
        except graphlib.CycleError as error:
            chain = " -> ".join(f"{self.mechanisms[nodes[p].mechanism].label}: {nodes[p].gives}" for p in reversed(error.args[1]))
            raise CompositionError(f"derived values read one another in a circle: {chain}") from None

    def _check_reads(self) -> None:
        known = set(self.fields) | set(DRIVES) | set(POINT_QUANTITIES) | {node.gives for node in self._nodes}
        for mechanism in self.mechanisms:
            functions = [f for role in ("derived", "local", "drive") for _, f in _marked(mechanism, role)]
            functions += [getattr(type(mechanism), n) for n in ("rates", "diffusivities") if hasattr(mechanism, n)]
            for function in functions:
                for name in _reads(function):
                    if mechanism.full_name(name) not in known:
                        raise CompositionError(
                            f"mechanism {mechanism.label!r} reads {name!r}, which nothing here gives; "
                            f"there are {', '.join(sorted(known))}"
                        )
