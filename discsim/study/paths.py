"""Paths of an experiment file: which number each of them names, for ``set``, events and ``[design.vary]``.

Short forms name a number by its owner (``nutrition.endplate_clearance``, ``matrix_turnover.gag_loss_rate.NP``,
``materials.CEP.diffusivity_factor``, ``gene.TIMP3.loss_effect`` for every therapy of that label), long ones by its place in
the file (``scenarios.cells.therapy.0.dose``, ``scenarios.cells.set.nutrition.demand_factor``, ``scenarios.fed.events.0.at``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from discsim.quantities.parameters import REGIONS, Parameter, Parameterised
from discsim.scenario.therapy import Therapy
from discsim.study.messages import Complaints, Shown, names, nearest, quoted
from discsim.study.schema import Clock

# A number of the file: where it stands, its key, its region.
Target = tuple[str, str, str | None]


@dataclasses.dataclass(frozen=True)
class Spot:
    """What a path names: its one canonical form, the parameter, and every number of the file that it stands for."""

    path: str
    parameter: Parameter
    region: str | None
    targets: frozenset[Target]

    @property
    def key(self) -> str:
        """Canonical path without the region."""
        return self.path.removesuffix(f".{self.region}") if self.region else self.path


@dataclasses.dataclass(frozen=True)
class Owner:
    """Something with numbers. ``places``: tables of the file where they stand; ``fixed``: keys that no event can change."""

    label: str
    parameters: Mapping[str, Parameter]
    choices: tuple[str, ...]
    places: tuple[str, ...]
    fixed: frozenset[str] = frozenset()

    def spot(self, key: str, region: str | None, prefix: str = "") -> Spot:
        """The number of a key and region, at all places of this owner."""
        parameter = self.parameters[key]
        regions = (region,) if region else parameter.regions or (None,)
        targets = frozenset((place, key, one) for place in self.places for one in regions)
        return Spot(".".join(filter(None, (prefix, self.label, key, region))), parameter, region, targets)


def owner_of(cls: type[Parameterised], label: str, place: str, *, changes: bool = True) -> Owner:
    """The owner that a class of parameters makes; ``changes``: whether its numbers may change in time."""
    parameters = cls.parameters()
    choices = (*cls.options, *cls.structural_options)
    return Owner(label, parameters, choices, (place,), frozenset() if changes else frozenset(parameters))


def therapy_owner(cls: type[Therapy], label: str, place: str, duration: str | None = None) -> Owner:
    """A therapy with the mechanism that it brings, under one label; it begins within the simulated time."""
    own, brought = cls.parameters(), cls.mechanism_class.parameters()
    own["at"] = within(own["at"], duration)
    choices = (*cls.options, *cls.structural_options, *cls.mechanism_class.options, *cls.mechanism_class.structural_options)
    return Owner(label, {**own, **brought}, choices, (place,), frozenset(own))


def within(time: Parameter, duration: str | None) -> Parameter:
    """A time that must lie in the simulated time (where that is known): what comes later would never happen."""
    return dataclasses.replace(time, bounds=("0 day", duration)) if duration else time


def together(owners: Iterable[Owner]) -> dict[str, Owner]:
    """Owners by label; those of one label stand for the numbers of all of them."""
    found: dict[str, Owner] = {}
    for owner in owners:
        twin = found.get(owner.label)
        found[owner.label] = dataclasses.replace(owner, places=(*twin.places, *owner.places)) if twin else owner
    return found


@dataclasses.dataclass
class ScenarioPlaces:
    """What paths into a scenario may name: its own therapies (``None``: one that could not be read) and events, and the
    owners of its numbers, those of the scenarios that it combines included."""

    therapies: list[Owner | None] = dataclasses.field(default_factory=list)
    events: int = 0
    combined: bool = False
    unread: bool = False  # some mechanism of the file could not be read
    owners: dict[str, Owner] = dataclasses.field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether all of its therapies and mechanisms could be read."""
        return None not in self.therapies and not self.unread


class Paths:
    """The numbers of one experiment file."""

    def __init__(self, common: Sequence[Owner], scenarios: Mapping[str, ScenarioPlaces], duration: str | None = None) -> None:
        self.scenarios, self.duration = scenarios, duration
        therapies = [owner for places in scenarios.values() for owner in places.therapies if owner]
        self.owners = together((*common, *therapies))
        self._whole = all(places.whole for places in scenarios.values())

    def find(self, where: str, path: str, complaints: Complaints) -> Spot | None:
        """The number that a path of the whole file names; a mistake is noted at ``where``."""
        head, _, rest = path.partition(".")
        if head == "scenarios":
            return self._in_scenario(where, path, rest, complaints)
        return find_in(self.owners, where, path, complaints, silent=not self._whole)

    def _in_scenario(self, where: str, path: str, rest: str, complaints: Complaints) -> Spot | None:
        name, _, rest = rest.partition(".")
        if name not in self.scenarios:
            _unknown(where, path, [f"scenarios.{known}" for known in self.scenarios], f"scenarios.{name}", complaints)
            return None
        places = self.scenarios[name]
        kind, _, rest = rest.partition(".")
        if kind == "therapy":
            return _in_therapy(where, path, name, rest, places, complaints)
        if kind == "mechanisms":
            kind, rest = "set", rest
        if kind == "set":
            spot = find_in(places.owners, where, rest, complaints, shown_path=path, silent=not places.whole)
            return spot and _placed(spot, f"scenarios.{name}.set")
        if kind == "events":
            return self._in_event(where, path, name, rest, complaints)
        known = [f"scenarios.{name}.{word}" for word in ("therapy", "set", "events")]
        _unknown(where, path, known, f"scenarios.{name}.{kind}", complaints)
        return None

    def _in_event(self, where: str, path: str, name: str, rest: str, complaints: Complaints) -> Spot | None:
        places = self.scenarios[name]
        number, _, rest = rest.partition(".")
        if not number.isdecimal() or int(number[:9]) >= places.events:
            known = [f"scenarios.{name}.events.{index}" for index in range(places.events)]
            complaints.add(where, path, names(known) if known else f"no events in {name}")
            return None
        place = f"scenarios.{name}.events.{int(number)}"
        if rest == "at":
            parameter = within(Clock.parameters()["time"], self.duration)
            return Spot(f"{place}.at", parameter, None, frozenset({(place, "at", None)}))
        kind, _, rest = rest.partition(".")
        if kind != "set":
            _unknown(where, path, [f"{place}.at", f"{place}.set"], f"{place}.{kind}", complaints)
            return None
        spot = find_in(places.owners, where, rest, complaints, shown_path=path, changing=True, silent=not places.whole)
        return spot and _placed(spot, f"{place}.set")


def _in_therapy(where: str, path: str, name: str, rest: str, places: ScenarioPlaces, complaints: Complaints) -> Spot | None:
    number, _, rest = rest.partition(".")
    count = len(places.therapies)
    if not number.isdecimal() or int(number[:9]) >= count:
        known = [f"scenarios.{name}.therapy.{index}" for index in range(count)]
        hint = "it combines others: name the therapy where it stands" if places.combined else ""
        complaints.add(where, path, names(known) if known else f"no therapy of its own in {name}", hint)
        return None
    owner = places.therapies[int(number)]
    if owner is None:
        return None
    here = dataclasses.replace(owner, places=(f"scenarios.{name}.therapy.{int(number)}",))
    spot = find_in({"": here}, where, rest, complaints, shown_path=path)
    if spot is None:
        return None
    tail = spot.path.removeprefix(f"{here.label}.")
    return dataclasses.replace(spot, path=f"scenarios.{name}.therapy.{int(number)}.{tail}")


def _placed(spot: Spot, place: str) -> Spot:
    """The same number where a scenario or an event sets it."""
    targets = frozenset((f"{place}.{owner}", key, region) for owner, key, region in spot.targets)
    return dataclasses.replace(spot, path=f"{place}.{spot.path}", targets=targets)


def normalised(path: str) -> str:
    """Short form of a path: ``mechanisms.`` left out, the region of a material at the end."""
    path = path.removeprefix("mechanisms.")
    parts = path.split(".")
    if len(parts) == 3 and parts[0] == "materials" and parts[1] in REGIONS:
        return f"materials.{parts[2]}.{parts[1]}"
    return path


def find_in(
    owners: Mapping[str, Owner],
    where: str,
    path: str,
    complaints: Complaints,
    *,
    shown_path: str = "",
    changing: bool = False,
    silent: bool = False,
) -> Spot | None:
    """The number of some owners that a short path names; ``changing``: it must be one that an event can change.

    ``silent``: an owner that is not found may be one that could not be read, of which the file's reader has told already.
    """
    short, given = normalised(path), shown_path or path
    fitting = [label for label in owners if not label or short.startswith(f"{label}.")]
    if not fitting:
        if not silent:
            _unknown(where, given, list(_all_paths(owners.values())), short, complaints)
        return None
    label = max(fitting, key=len)
    owner = owners[label]
    rest = short[len(label) + 1 :] if label else short
    key, _, region = rest.partition(".")
    if key in owner.choices and not region:
        complaints.add(where, given, "the path of a number", f"{key} is a choice by name")
    elif key not in owner.parameters or (region and region not in owner.parameters[key].regions):
        front = f"{owner.label}." if label else given.removesuffix(rest)  # of a therapy: the path as one writes it
        known = [name.replace(f"{owner.label}.", front, 1) for name in _all_paths([owner], regions=bool(region))]
        _unknown(where, given, known, f"{front}{rest}", complaints)
    elif changing and key in owner.fixed:
        complaints.add(where, given, "parameters of mechanisms and loading", f"{owner.label}.{key} cannot change in time")
    else:
        return owner.spot(key, region or None)
    return None


def _all_paths(owners: Iterable[Owner], *, regions: bool = False) -> Iterable[str]:
    for owner in owners:
        for key, parameter in owner.parameters.items():
            yield f"{owner.label}.{key}"
            if regions:
                yield from (f"{owner.label}.{key}.{region}" for region in parameter.regions)


def _unknown(where: str, path: str, known: Sequence[str], short: str, complaints: Complaints) -> None:
    found = nearest(short, known)
    hint = f"did you mean {found}?" if found else ""
    complaints.add(where, Shown(f"{quoted(path)}, an unknown path"), names(known, short), hint)
