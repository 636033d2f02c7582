"""[scenarios.NAME] of an experiment file: therapies, combinations, what a scenario sets, and events."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from discsim.biology.mechanism import Mechanism
from discsim.quantities import units
from discsim.quantities.parameters import ParameterError
from discsim.study.assemble import disagreements, members, therapies_of
from discsim.study.layers import Table, checked_table, checked_value, expanded
from discsim.study.messages import Complaints, Shown, canonical, key_path, quoted
from discsim.study.parameter_table import PARAMETERS
from discsim.study.paths import Owner, Paths, ScenarioPlaces, Spot, Target, find_in, together
from discsim.study.schema import Clock, ScenarioTable
from discsim.study.therapy_tables import TherapyReader
from discsim.study.toml_text import Inline

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class ScenarioReader:
    """Reads all scenarios of a file; ``document`` holds them with every default written out, ``paths`` their numbers."""

    def __init__(
        self,
        given: Mapping[str, ScenarioTable],
        common: Sequence[Owner],
        mechanisms: Mapping[str, tuple[type[Mechanism], Table]],
        therapies: TherapyReader,
        duration: str | None,
        complaints: Complaints,
        *,
        unread: bool = False,
    ) -> None:
        self.given, self.mechanisms, self.duration = given, mechanisms, duration
        self.common, self.complaints = together(common), complaints
        self.document: dict[str, Table] = {name: {} for name in given}
        self.places = {name: ScenarioPlaces(unread=unread) for name in given}
        for name in given:
            self._check_name(name)
            self._read_therapies(name, therapies)
        self._read_combinations()
        for name in given:
            self._collect_owners(name)
            self._read_changes(name)
            self._read_events(name)
        for name in given:
            self._check_combination(name)
            self._check_twins(name)
        self.paths = Paths(common, self.places, duration)

    def _check_name(self, name: str) -> None:
        if not NAME.fullmatch(name):
            hint = "a name starts with a letter"
            self.complaints.add(key_path("scenarios", name), name, "a name of letters, digits and _", hint)
        elif name == PARAMETERS:
            self.complaints.add(f"scenarios.{name}", name, "another name", "the parameter table of the result has it")

    def _read_therapies(self, name: str, reader: TherapyReader) -> None:
        tables = []
        for index, given in enumerate(self.given[name].therapy):
            path = ("scenarios", name, "therapy", index)
            found = reader.read(given, path)
            self.places[name].therapies.append(found[1] if found else None)
            if found:
                tables.append(found[0])
                self.check_time(key_path(*path, "at"), found[0]["at"])
        if tables:
            self.document[name]["therapy"] = tables

    def check_time(self, where: str, text: str) -> None:
        """A time must lie in the simulated time: what comes later would never happen."""
        if self.duration is not None and units.parse(text, "s") > units.parse(self.duration, "s"):
            self.complaints.add(where, text, f"0 day to {self.duration}", "after the end of the simulated time")

    def _read_combinations(self) -> None:
        for name, table in self.given.items():
            parts: list[str] = []
            for given in table.combine:
                where, others = key_path("scenarios", name, "combine"), [other for other in self.given if other != name]
                part = given if given == name else self.complaints.choice(where, given, others)
                if part in parts:
                    self.complaints.add(where, given, "every scenario once", "combined twice")
                elif part is not None:
                    parts.append(part)
            if parts:
                self.document[name]["combine"] = parts
                self.places[name].combined = True
        self._break_circles()

    def _break_circles(self) -> None:
        """Tell every circle of combinations once, and go on without its last link."""
        done: set[str] = set()

        def visit(name: str, above: tuple[str, ...]) -> None:
            parts = self.document[name].get("combine", [])
            for part in list(parts):
                if part in (*above, name):
                    circle = [*above, name][[*above, name].index(part) :]
                    self.complaints.add(
                        key_path("scenarios", name, "combine"),
                        part,
                        "scenarios that do not lead back here",
                        f"a circle: {' -> '.join([*circle, part])}",
                    )
                    parts.remove(part)
                elif part not in done:
                    visit(part, (*above, name))
            done.add(name)

        for name in self.document:
            if name not in done:
                visit(name, ())

    def _collect_owners(self, name: str) -> None:
        own = [owner for member in members(self.document, name) for owner in self.places[member].therapies if owner]
        self.places[name].owners = together((*self.common.values(), *own))

    def _read_changes(self, name: str) -> None:
        table = self.given[name]
        taken: dict[Target, str] = {}
        layers = {}
        for label, given in table.mechanisms.items():
            layer = self._mechanism_layer(name, label, given, taken)
            if layer:
                layers[label] = layer
        changes = self._changes(("scenarios", name, "set"), table.changes, name, taken)
        for label, layer in layers.items():  # what an option stands for and ``set`` overrules stands in ``set`` alone
            _leave_out(layer, label, changes)
        if layers:
            self.document[name]["mechanisms"] = layers
        if changes:
            self.document[name]["set"] = changes

    def _mechanism_layer(self, name: str, label: str, given: Any, taken: dict[Target, str]) -> Table | None:
        path = ("scenarios", name, "mechanisms", label)
        if label not in self.mechanisms:
            hint = "numbers of a therapy's mechanism stand in the therapy's table"
            self.complaints.unknown(key_path(*path), label, tuple(self.mechanisms), hint=hint)
            return None
        if not isinstance(given, dict):
            self.complaints.add(key_path(*path), given, "a table")
            return None
        cls, common = self.mechanisms[label]
        layer = checked_table(cls, given, path, self.complaints)
        for key in cls.structural_options:
            if layer.get(key, common[key]) != common[key]:
                hint = f"all scenarios share it: set it in [mechanisms.{label}]"
                self.complaints.add(key_path(*path, key), layer.pop(key), quoted(common[key]), hint)
        owner = self.common[label]
        for key in layer:
            for region in (*layer[key],) if isinstance(layer[key], dict) else (None,):
                if key in owner.parameters:
                    taken |= dict.fromkeys(owner.spot(key, region).targets, key_path(*path, key))
        return {key: Inline(value) if isinstance(value, dict) else value for key, value in expanded(cls, layer).items()}

    def _changes(
        self,
        path: tuple[str | int, ...],
        given: Mapping[str, Any],
        name: str,
        taken: dict[Target, str],
        *,
        changing: bool = False,
    ) -> dict[str, Any]:
        """Numbers by path, a regional one region by region; mistakes are noted."""
        changes: dict[str, Any] = {}
        places = self.places[name]
        for key, value in _dotted(given).items():
            where = key_path(*path, key)
            spot = find_in(places.owners, where, key, self.complaints, changing=changing, silent=not places.whole)
            if spot is None:
                continue
            earlier = {taken[target] for target in spot.targets if target in taken}
            if earlier:
                self.complaints.add(where, key, "every number once", f"set already by {min(earlier)}")
            taken |= dict.fromkeys(spot.targets, where)
            changes |= self._numbers(spot, value, (*path, key))
        return changes

    def _numbers(self, spot: Spot, value: Any, path: tuple[str | int, ...]) -> dict[str, Any]:
        parameter = spot.parameter
        found: Any
        if spot.region:
            found = self.complaints.value(key_path(*path), parameter, value, spot.region)
        else:
            found = checked_value(parameter, value, path, self.complaints)
        if found is None:
            return {}
        if spot.region or not parameter.regional:
            return {spot.path: found}
        return {f"{spot.path}.{region}": found for region in parameter.regions}

    def _read_events(self, name: str) -> None:
        events = []
        for index, given in enumerate(self.given[name].events):
            path = ("scenarios", name, "events", index)
            at = None
            if given.at is None:
                self.complaints.add(key_path(*path, "at"), Shown("nothing"), 'a time such as "1 year"')
            else:
                at = self.complaints.value(key_path(*path, "at"), Clock.parameters()["time"], given.at)
            if at is not None:
                self.check_time(key_path(*path, "at"), str(at))
            if not given.changes:
                self.complaints.add(
                    key_path(*path, "set"), Shown("nothing"), "a table of paths and values", "an event changes a number"
                )
                continue
            changes = self._changes((*path, "set"), given.changes, name, {}, changing=True)
            events.append({"at": at or canonical(Clock.parameters()["time"], "0 day"), "set": Inline(changes)})
        self.places[name].events = len(self.given[name].events)
        if events:
            self.document[name]["events"] = events

    def _check_combination(self, name: str) -> None:
        """Scenarios that are combined must agree on what each of them sets, unless the combination itself sets it."""
        where = key_path("scenarios", name, "combine")
        told: set[frozenset[str]] = set()
        for first, part, path in disagreements(self.document, name):
            if frozenset((first, part)) not in told:
                told.add(frozenset((first, part)))
                hint = f"both set {path}; set it in [scenarios.{name}.set]"
                self.complaints.add(where, [first, part], "scenarios that agree", hint)

    def _check_twins(self, name: str) -> None:
        """Therapies of one label share one mechanism: their parameters must agree."""
        own = members(self.document, name)
        parts = [part for part in own if part != name]
        if any(self._twins(part) for part in parts):  # told there already
            return
        for label in self._twins(name):
            tables = self.given[name].therapy
            where = key_path("scenarios", name, "therapy" if len(tables) > 1 or not parts else "combine")
            given = Shown(f"two therapies labelled {quoted(label)} that differ in their mechanism")
            self.complaints.add(where, given, "one mechanism per label", 'give one of them a label, such as label = "second"')

    def _twins(self, name: str) -> list[str]:
        labels = [t["label"] for member in members(self.document, name) for t in self.document[member].get("therapy", ())]
        if len(set(labels)) == len(labels):
            return []
        try:
            therapies = therapies_of(self.document, name)
        except ParameterError:  # a value that was left out made two others clash; the mistake itself is told
            return []
        found: dict[str, Any] = {}
        return sorted({t.label for t in therapies if found.setdefault(t.label, t.mechanism.values) != t.mechanism.values})


def _leave_out(layer: Table, label: str, changes: Mapping[str, Any]) -> None:
    for path in changes:
        head, _, rest = path.rpartition(f"{label}.")
        key, _, region = rest.partition(".")
        if head or key not in layer:
            continue
        if region:
            layer[key].pop(region, None)
        else:
            layer.pop(key)


def _dotted(given: Mapping[str, Any]) -> dict[str, Any]:
    """Nested tables as dotted paths: ``set.nutrition.demand_factor`` may stand with and without quotation marks."""
    flat: dict[str, Any] = {}
    for key, value in given.items():
        if isinstance(value, Mapping) and value:
            flat |= {f"{key}.{inner}": item for inner, item in _dotted(value).items()}
        else:
            flat[key] = value
    return flat
