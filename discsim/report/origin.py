"""Where a result came from, as pairs of words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any


def origin_facts(attributes: Mapping[Any, Any]) -> list[tuple[str, str]]:
    """When, by which code, from which experiment and lock file, on what machine; only what the attributes of a result say."""
    environment = json.loads(str(attributes.get("discsim_environment", "{}")))
    facts = [
        ("computed", str(attributes.get("date_created", ""))),
        ("code", str(attributes.get("source", ""))),
        ("engine", str(attributes.get("discsim_engine", ""))),
        ("processes of a solve", str(attributes.get("discsim_processes", ""))),
        ("experiment, SHA-256", str(attributes.get("discsim_config_hash", ""))),
        ("lock file, SHA-256", str(attributes.get("discsim_lock_hash", ""))),
        *_parents(json.loads(str(attributes.get("discsim_parents", "[]")))),
        *_environment(environment),
    ]
    return [(name, value) for name, value in facts if value]


def _parents(parents: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, str]]:
    """Sweeps that this one branched from, and all that changed."""
    for parent in parents:
        yield "branched from", f"sweep {parent['sweep']} of {parent['created']}, experiment {parent['config_hash'][:16]}"
        for name, (before, after) in parent["changes"].items():
            yield f"changed: {name}", f"{_value(before)} -> {_value(after)}"


def _value(value: Any) -> str:
    return "absent" if value is None else str(value)


def _environment(table: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, str]]:
    for key, value in table.items():
        name = f"{before}{key.replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield name, ", ".join(f"{inner} {text}" for inner, text in value.items())
        elif value is not None:
            yield name, str(value)
