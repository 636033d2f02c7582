"""A scenario: a disc, its mechanisms, loading, therapies and events, for a duration. Frozen; changes return new ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from discsim.biology import mechanisms as catalogue
from discsim.biology.mechanism import Mechanism
from discsim.disc.disc import Disc
from discsim.quantities import units
from discsim.quantities.parameters import REGIONS, ParameterError
from discsim.scenario.loading import Diurnal, effective_load
from discsim.scenario.therapy import Therapy

STARTS = ("preset", "homeostasis")


@dataclasses.dataclass(frozen=True)
class Event:
    """At ``at`` (s) parameters take other values (path -> text with unit); the start state is that of the values before."""

    at: float
    changes: Mapping[str, Any]

    @classmethod
    def make(cls, at: str, changes: Mapping[str, Any]) -> Self:
        """From text such as "0 day" and paths such as ``nutrition.endplate_clearance``."""
        return cls(units.parse(at, "s"), dict(changes))


@dataclasses.dataclass(frozen=True)
class Scenario:
    """What happens to one disc.

    ``start``: "preset" takes composition and cells from the disc; "homeostasis" takes the coupled steady state of the
    rates (a healthy disc). ``mechanisms`` carry the user's values; what the grade sets is applied beneath them.
    """

    disc: Disc
    mechanisms: tuple[Mechanism, ...] = dataclasses.field(default_factory=catalogue.default)
    loading: Diurnal = dataclasses.field(default_factory=Diurnal)
    duration: str = "10 year"
    therapies: tuple[Therapy, ...] = ()
    events: tuple[Event, ...] = ()
    start: str = "preset"
    user_set: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.start not in STARTS:
            raise ParameterError(f"start: {self.start!r} is none of {', '.join(STARTS)}")
        units.parse(self.duration, "s")
        labels = [therapy.label for therapy in self.therapies]
        for therapy in self.therapies:
            twins = [other for other in self.therapies if other.label == therapy.label]
            if len(twins) > 1 and any(t.mechanism.values != therapy.mechanism.values for t in twins):
                raise ParameterError(f"two therapies labelled {therapy.label!r} differ in their mechanism; give a label to one")
        clash = set(labels) & {mechanism.label for mechanism in self.mechanisms}
        if clash:
            raise ParameterError(f"therapy and mechanism are both labelled {clash.pop()!r}; give the therapy another label")

    def with_therapy(self, *therapies: Therapy) -> Self:
        """A copy with further therapies."""
        return dataclasses.replace(self, therapies=(*self.therapies, *therapies))

    def with_mechanism(self, *mechanisms: Mechanism) -> Self:
        """A copy with further mechanisms."""
        return dataclasses.replace(self, mechanisms=(*self.mechanisms, *mechanisms))

    def with_event(self, at: str, changes: Mapping[str, Any]) -> Self:
        """A copy in which parameters change at a time."""
        return dataclasses.replace(self, events=(*self.events, Event.make(at, changes)))

    def with_parameters(self, changes: Mapping[str, Any]) -> Self:
        """A copy with parameters set by path (text with units); raises ``ParameterError`` for an unknown path."""
        new = dataclasses.replace(self, user_set={**self.user_set, **changes})
        new.values()
        return new

    def with_duration(self, duration: str) -> Self:
        """A copy that lasts longer or shorter."""
        return dataclasses.replace(self, duration=duration)

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return units.parse(self.duration, "s")

    def resolved_disc(self) -> Disc:
        """The disc with the user's ``disc.*`` and ``materials.*`` values."""
        owned = by_owner(gather_regions(self.user_set), ("disc", "materials"))
        return self.disc.with_parameters({f"{o}.{k}": v for o, table in owned.items() for k, v in table.items()})

    def resolved_loading(self) -> Diurnal:
        """The loading with the user's ``loading.*`` values."""
        return self.loading.with_parameters(**by_owner(self.user_set, ("loading",))["loading"])

    def all_mechanisms(self) -> tuple[Mechanism, ...]:
        """Mechanisms and those of the therapies; the grade fills in what the user left alone."""
        found = {m.label: m for m in self.mechanisms} | {t.label: t.mechanism for t in self.therapies}
        own = by_owner(gather_regions(self.user_set), tuple(found))
        graded = by_owner(self.disc.overrides, tuple(found))
        resolved = []
        for label, mechanism in found.items():
            left_alone = _left_alone(graded[label], mechanism.given)
            resolved.append(mechanism.with_parameters(**left_alone).with_parameters(**own[label]))
        return tuple(resolved)

    def values(self) -> dict[str, Any]:
        """Every parameter of the scenario by path, in internal units; raises ``ParameterError`` for paths that are none."""
        disc, loading = self.resolved_disc(), self.resolved_loading()
        flat: dict[str, Any] = {}
        for owner in (disc.geometry, disc.material, loading, *self.all_mechanisms()):
            flat |= {f"{owner.label}.{key}": value for key, value in owner.values.items()}
            flat |= {f"{owner.label}.{key}": value for key, value in owner.chosen.items()}
        for path in self.user_set:
            head, _, tail = path.rpartition(".")
            if (head if tail in REGIONS else path) not in flat:
                raise ParameterError(f"{path}: no such parameter; see discsim params")
        flat["loading.effective_load"] = effective_load(flat["loading.rest"], flat["loading.active"], flat["loading.rest_share"])
        return flat


def _left_alone(graded: Mapping[str, Any], given: frozenset[str]) -> dict[str, Any]:
    """What the grade sets and the user did not, region by region."""
    left: dict[str, Any] = {}
    for key, value in graded.items():
        if key in given:
            continue
        if isinstance(value, Mapping):
            value = {region: text for region, text in value.items() if f"{key}.{region}" not in given}
        left[key] = value
    return left


def by_owner(changes: Mapping[str, Any], labels: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Changes by owner label; labels may hold dots, so the longest label that fits owns a path."""
    owned: dict[str, dict[str, Any]] = {label: {} for label in labels}
    for path, value in changes.items():
        fitting = [label for label in labels if path.startswith(label + ".")]
        if fitting:
            label = max(fitting, key=len)
            owned[label][path[len(label) + 1 :]] = value
    return owned


def gather_regions(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes with ``owner.parameter.REGION`` gathered into one table per parameter."""
    gathered: dict[str, Any] = {}
    for path, value in changes.items():
        head, _, tail = path.rpartition(".")
        if tail in REGIONS:
            table = gathered.setdefault(head, {})
            if not isinstance(table, dict):
                raise ParameterError(f"{path}: {head} is already given as one value for all regions")
            table[tail] = value
        else:
            gathered[path] = value
    return gathered
