"""[mechanisms] of an experiment file: which are used, and their parameters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from discsim.biology.mechanism import Mechanism
from discsim.biology.mechanisms import CATALOGUE, DEFAULT
from discsim.disc.presets import Override
from discsim.study.layers import Table, checked_table, graded_table, inline, layered
from discsim.study.messages import Complaints, key_path, names
from discsim.study.plugins import PluginError, is_plugin, mechanism_class
from discsim.study.schema import ExperimentFile, keys_of


class MechanismReader:
    """Reads the mechanisms; ``document`` holds them with every default written out, ``classes`` are those used, by name.

    ``unread``: some word of mechanisms.use leads to none, so that what the rest of the file names may belong to it.
    """

    def __init__(
        self,
        given: Mapping[str, Any],
        overrides: Mapping[str, Override],
        complaints: Complaints,
        *,
        folder: Path | None,
        allow_plugin: bool,
    ) -> None:
        self.given, self.overrides, self.complaints = given, overrides, complaints
        self.folder, self.allow_plugin = folder, allow_plugin
        self.classes: dict[str, type[Mechanism]] = {}
        self.unread = False
        words = self._used(given.get("use", list(DEFAULT)))
        self.document: Table = {"use": words} | {name: self._table(name, cls) for name, cls in self.classes.items()}
        self._check_names()

    def _table(self, name: str, cls: type[Mechanism]) -> Table:
        path, own = ("mechanisms", name), self.given.get(name, {})
        if not isinstance(own, dict):
            self.complaints.add(key_path(*path), own, "a table")
            own = {}
        layer = checked_table(cls, own, path, self.complaints)
        return inline(layered(cls, graded_table(cls, name, self.overrides), layer))

    def _check_names(self) -> None:
        """Tables of mechanisms that are not used, or that are none."""
        known = ("use", *dict.fromkeys((*DEFAULT, *self.classes)))
        for name in self.given:
            where = key_path("mechanisms", name)
            if name in DEFAULT and name not in self.classes:
                self.complaints.add(where, self.given[name], names(tuple(self.classes)), "it is not in mechanisms.use")
            elif name not in known and not (self.unread and isinstance(self.given[name], dict) and name not in CATALOGUE):
                self.complaints.unknown(where, name, known, hint=_brought(name))

    def _used(self, given: Any) -> list[str]:
        if not isinstance(given, list) or not given:
            self.complaints.add("mechanisms.use", given, f"a list of {', '.join(DEFAULT)}")
            given = list(DEFAULT)
        words = []
        for word in given:
            found = self._word(word)
            cls = self._class(found) if found else None
            if found is None or cls is None:
                continue
            if cls.name in self.classes:
                self.complaints.add("mechanisms.use", word, "every mechanism once", "named twice")
                continue
            self.classes[cls.name] = cls
            words.append(found)
        if words:
            return words
        self.classes = {name: CATALOGUE[name] for name in DEFAULT}
        return list(DEFAULT)

    def _word(self, word: Any) -> str | None:
        if isinstance(word, str) and is_plugin(word):
            return word
        if isinstance(word, str) and word in CATALOGUE and word not in DEFAULT:
            self.complaints.add("mechanisms.use", word, ", ".join(DEFAULT), _brought(word))
            return None
        found = self.complaints.choice("mechanisms.use", word, DEFAULT)
        self.unread |= found is None
        return found

    def _class(self, word: str) -> type[Mechanism] | None:
        reason = "a module of your own runs code: allow it with --allow-plugin, or allow_plugin=True in Python"
        if not is_plugin(word) or self.allow_plugin:
            try:
                cls = mechanism_class(word, self.folder)
                if cls.name not in keys_of(ExperimentFile) and cls.name != "use":
                    return cls
                reason = f"its name {cls.name} is that of a part of the file"
            except PluginError as error:
                reason = str(error)
        allowed = "module:Class of a mechanism" if self.allow_plugin else ", ".join(DEFAULT)
        self.complaints.add("mechanisms.use", word, allowed, reason)
        self.unread = True
        return None


def _brought(name: str) -> str:
    return f"{name} comes with a therapy: give its numbers in the therapy's table" if name in CATALOGUE else ""
