"""Experiment files and overrides as a careless or hostile user might write them: strategies of Hypothesis."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

from hypothesis import strategies as st

from discsim.study.toml_text import parse_text, read_text
from discsim.vv.shipped import shipped_experiment

SHIPPED = read_text(shipped_experiment())
TABLES = parse_text(SHIPPED)

ODD_NUMBERS = (0, -1, 10**40, 1e308, -1e308, 5e-324, float("nan"), float("inf"), -float("inf"), 2**63 - 1, True, -0.0)
ODD_TEXTS = (
    "", " ", "10", "10 year", "-10 year", "nan year", "1e400 year", "5 parsec", "6e6 cells cell", "1 mm/s/s", "1 1/0",
    "1 **", "m 1",
    "0 day", "1e-300 day", "1e300 MPa", "\u202e5 MPa", "\u0665 MPa", "５ MPa", "\u00e9", "\U0001f9b4", "\x00", "a\nb",
    "[red]x[/red]",
    "fem", "gene", "both", "untreated", "cells", "sobol", "log", "L4-L5", "scenarios.cells.therapy.9.dose",
    "gene.TIMP4.loss_effect",
    "scenarios.both.therapy.0.dose", "1 (" + "(" * 300, "9" * 5000 + " day", "x" * 3000,
)  # fmt: skip
SCALARS = st.one_of(st.sampled_from(ODD_NUMBERS), st.sampled_from(ODD_TEXTS), st.floats(), st.integers(), st.text(max_size=12))
KEYS = st.one_of(
    st.sampled_from(
        ["", "set", "therapy", "combine", "events", "kind", "dose", "vary", "low", "dist", "mode", "values",
         "correlation", "disc",
         "both", "gene", "materials", "mechanisms", "solver", "a.b", "schema", "label", "grade", "mesh_level",
         "geometry", "table"]
    ),
    st.text(max_size=8),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)), max_leaves=6
)


def places(tables: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Paths of all values in nested tables and lists."""
    found: list[tuple[str | int, ...]] = []
    inner = tables.items() if isinstance(tables, dict) else enumerate(tables) if isinstance(tables, list) else ()
    for key, value in inner:
        found += [(*path, key), *places(value, (*path, key))]
    return found


def at(tables: Any, path: tuple[str | int, ...]) -> Any:
    """The value at a path."""
    for part in path:
        tables = tables[part]
    return tables


@st.composite
def changed_tables(draw: st.DrawFn) -> dict[str, Any]:
    """The shipped experiment after one to three changes."""
    tables: dict[str, Any] = copy.deepcopy(TABLES)
    for _ in range(draw(st.integers(1, 3))):
        known = places(tables)
        if not known:
            break
        path = draw(st.sampled_from(known))
        holder, key = at(tables, path[:-1]), path[-1]
        change = draw(st.sampled_from(["delete", "replace", "rename", "add", "move", "nest"]))
        if change == "delete":
            del holder[key]
        elif change == "replace":
            holder[key] = draw(VALUES)
        elif change == "move":  # a value from elsewhere: right form, wrong place
            holder[key] = copy.deepcopy(at(tables, draw(st.sampled_from(known))))
        elif change == "nest":
            listed = draw(st.booleans())
            for _ in range(draw(st.sampled_from([1, 2, 40]))):
                holder[key] = [holder[key]] if listed else {"a": holder[key]}
        elif isinstance(holder, list):
            holder.append(draw(VALUES))
        elif change == "rename":
            holder[draw(KEYS)] = holder.pop(key)
        else:
            holder[draw(KEYS)] = draw(VALUES)
    return tables


@st.composite
def broken_texts(draw: st.DrawFn) -> bytes:
    """The shipped file with its text cut, doubled or spoiled, or no text at all."""
    content = SHIPPED.encode()
    start, end = sorted((draw(st.integers(0, len(content))), draw(st.integers(0, len(content)))))
    change = draw(st.sampled_from(["cut", "twice", "insert", "bytes", "deep", "number"]))
    if change == "cut":
        return content[:start] + content[end:]
    if change == "twice":
        return content + content[start:end]
    if change == "insert":
        return content[:start] + draw(st.binary(max_size=6)) + content[start:]
    if change == "deep":
        return content + b"\nx = " + b"[" * draw(st.sampled_from([50, 3000, 60000]))
    if change == "number":
        return b"duration = " + b"9" * 5000 + b"\n" + content
    return draw(st.binary(max_size=60))


def inline(value: Any) -> str:
    """A value as TOML writes it on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key, ensure_ascii=False)} = {inline(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(inline, value)) + "]"
    if isinstance(value, float) and math.isfinite(value):
        return repr(value) if "." in repr(value) or "e" in repr(value) else f"{value!r}.0"
    return str(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def whole(tables: dict[str, Any]) -> bytes:
    """Tables as a file, each on one line."""
    lines = [f"{json.dumps(key, ensure_ascii=False)} = {inline(value)}\n" for key, value in tables.items()]
    return "".join(lines).encode("utf-8", "surrogatepass")


FILES = st.one_of(changed_tables().map(whole), broken_texts())
OVERRIDES = st.lists(
    st.one_of(
        st.text(max_size=20),
        st.builds(
            lambda path, value: f"{path}={value}",
            st.one_of(st.sampled_from([".".join(map(str, path)) for path in places(TABLES)]), st.text(max_size=20)),
            st.one_of(SCALARS.map(str), st.sampled_from(["[" * 3000, "{a=1}", "[1,2]", "1\n[x]", "{low=1,high=0}", "''"])),
        ),
    ),
    min_size=1,
    max_size=2,
)
