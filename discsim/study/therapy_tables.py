"""Therapy tables of an experiment file: kind, label, and the numbers of the therapy and of the mechanism that it brings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from discsim.disc.presets import Override
from discsim.quantities.parameters import REGIONS
from discsim.scenario.therapy import THERAPIES, Therapy
from discsim.study.layers import Table, checked_table, declared_table, graded_table, layered
from discsim.study.messages import Complaints, Shown, key_path, names
from discsim.study.paths import Owner, therapy_owner
from discsim.study.schema import ExperimentFile, keys_of

LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*")
LABEL_WORDS = "letters, digits and _, in parts that are joined by dots"


class TherapyReader:
    """Reads therapies one by one; a label stands for one kind in the whole file."""

    def __init__(
        self, overrides: Mapping[str, Override], mechanisms: tuple[str, ...], duration: str | None, complaints: Complaints
    ) -> None:
        self.overrides, self.duration, self.complaints = overrides, duration, complaints
        self.taken = (*mechanisms, *keys_of(ExperimentFile))
        self._labels: dict[str, tuple[str, str]] = {}

    def read(self, given: Any, path: tuple[str | int, ...]) -> tuple[Table, Owner] | None:
        """The therapy with every default written out, and the owner of its numbers; nothing where the kind is unknown."""
        if not isinstance(given, dict):
            self.complaints.add(key_path(*path), given, "a table")
            return None
        kind = self._kind(given, path)
        if kind is None:
            return None
        cls = THERAPIES[kind]
        own, brought = split_table(cls, given)
        for key in given:
            if key not in own and key not in brought and key not in ("kind", "label"):
                self.complaints.unknown(key_path(*path, key), key, ("kind", *cls.all_keys()))
        own_layer = checked_table(cls, own, path, self.complaints)
        brought_layer = checked_table(cls.mechanism_class, brought, path, self.complaints)
        label = self._label(cls, given, brought_layer, path)
        graded = graded_table(cls.mechanism_class, label, self.overrides)
        table = {"kind": kind, "label": label}
        table |= layered(cls, declared_table(cls), own_layer) | layered(cls.mechanism_class, graded, brought_layer)
        return table, therapy_owner(cls, label, key_path(*path), self.duration)

    def _kind(self, given: Mapping[str, Any], path: tuple[str | int, ...]) -> str | None:
        if "kind" not in given:
            self.complaints.add(key_path(*path, "kind"), Shown("nothing"), names(tuple(THERAPIES)))
            return None
        return self.complaints.choice(key_path(*path, "kind"), given["kind"], tuple(THERAPIES))

    def _label(self, cls: type[Therapy], given: Mapping[str, Any], brought: Table, path: tuple[str | int, ...]) -> str:
        label, where = given.get("label", cls.default_label(brought)), key_path(*path, "label")
        if not isinstance(label, str) or not LABEL.fullmatch(label) or label.rpartition(".")[2] in REGIONS:
            self.complaints.add(where, label, LABEL_WORDS, f"such as {cls.default_label(brought)}")
            return cls.default_label(brought)
        if label.split(".")[0] in self.taken or label in self.taken:
            self.complaints.add(where, label, "another label", "a part of the file or a mechanism is called that")
            return f"{label}_"
        kind, first = self._labels.setdefault(label, (cls.name, key_path(*path)))
        if kind != cls.name:
            self.complaints.add(where, label, "another label", f"{first} has it, for a {kind}")
            return f"{label}_"
        return label


def split_table(cls: type[Therapy], table: Mapping[str, Any]) -> tuple[Table, Table]:
    """A therapy's table as its own part and that of the mechanism that it brings."""
    own_keys, brought_keys = set(cls.keys()), set(cls.mechanism_class.keys())
    own = {key: value for key, value in table.items() if key in own_keys}
    return own, {key: value for key, value in table.items() if key in brought_keys - own_keys}
