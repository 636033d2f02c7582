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
        ("experiment, SHA-256", str(attributes.get("discsim_config_hash", ""))),
        ("lock file, SHA-256", str(attributes.get("discsim_lock_hash", ""))),
        *_environment(environment),
    ]
    return [(name, value) for name, value in facts if value]


def _environment(table: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, str]]:
    for key, value in table.items():
        name = f"{before}{key.replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield name, ", ".join(f"{inner} {text}" for inner, text in value.items())
        elif value is not None:
            yield name, str(value)
