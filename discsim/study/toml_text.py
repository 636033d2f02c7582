"""Experiment files as text: reading TOML with every fault told in one line, and writing it in one fixed form."""

from __future__ import annotations

import json
import math
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from discsim.study.messages import ConfigError, Mistake, Shown, shown

LARGEST_FILE = 1_000_000  # bytes; an experiment file is a few thousand
DEEPEST = 32  # tables within tables; an experiment file has at most ten
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class Inline(dict[str, Any]):
    """A table that is written on one line."""


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a file (UTF-8, with or without byte-order mark); raises ``ConfigError`` where there is none."""
    source = Path(path)
    try:
        if source.is_dir():
            raise _fault(source, "a folder", "a TOML file")
        if not source.exists():
            raise _fault(source, "no such file", "a TOML file that exists")
        if not source.is_file():
            raise _fault(source, "no regular file", "a TOML file")
        with source.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        reason = getattr(error, "strerror", None) or "an impossible name"
        raise _fault(source, f"a file that cannot be read ({reason})", "a TOML file") from None
    if len(content) > LARGEST_FILE:
        raise _fault(source, "a larger file", f"at most {LARGEST_FILE // 1000} kB", "is this an experiment file?")
    return decoded(content, source)


def decoded(content: bytes, source: Path) -> str:
    """The content of a file as text; raises ``ConfigError`` where it is no UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        hint = f"line {line} holds a byte that is no UTF-8"
        raise _fault(source, "no text", "a TOML file in UTF-8", hint) from None


def parse_text(text: str, source: str = "text") -> dict[str, Any]:
    """The table that a TOML text stands for; raises ``ConfigError`` with the line of a syntax error."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem = Mistake(source, "a syntax error", "TOML", str(error))
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits; brackets in brackets in brackets
        reason = "nested too deeply" if isinstance(error, RecursionError) else "a number with too many digits"
        problem = Mistake(source, f"a text that is {reason}", "TOML")
    else:
        check_depth(table, source)
        return table
    raise ConfigError([problem], source) from None


def check_depth(table: Mapping[str, Any], source: str = "text") -> None:
    """Raises ``ConfigError`` for tables that are nested so deeply that no experiment file can be meant."""
    if depth_of(table) > DEEPEST:
        allowed = f"at most {DEEPEST} within one another"
        raise ConfigError([Mistake(source, "tables that are nested too deeply", allowed)], source)


def depth_of(table: Any) -> int:
    """How many tables and lists lie within one another (counted without recursion: a hostile text may hold thousands)."""
    depth, level = 0, [table]
    while level:
        depth += 1
        inner = [item.values() if isinstance(item, dict) else item for item in level]
        level = [value for values in inner for value in values if isinstance(value, (dict, list))]
    return depth


def _fault(source: Path, given: str, allowed: str, hint: str = "") -> ConfigError:
    name = str(source) if str(source).isprintable() else shown(str(source))
    return ConfigError([Mistake(name, Shown(given), allowed, hint)], name)


def write_text(table: Mapping[str, Any]) -> str:
    """TOML text of nested tables, in the order given; equal tables give equal text."""
    lines: list[str] = []
    _write_table(lines, (), table)
    return "\n".join(lines).strip("\n") + "\n"


def _write_table(lines: list[str], path: tuple[str, ...], table: Mapping[str, Any]) -> None:
    for key, value in table.items():
        if not _is_block(value):
            lines.append(f"{_key(key)} = {_value(value)}")
    for key, value in table.items():
        inner = (*path, key)
        header = ".".join(map(_key, inner))
        if isinstance(value, Mapping) and _is_block(value):
            if not value or not all(map(_is_block, value.values())):
                lines += ["", f"[{header}]"]
            _write_table(lines, inner, value)
        elif _is_block(value):
            for item in value:
                lines += ["", f"[[{header}]]"]
                _write_table(lines, inner, item)


def _is_block(value: Any) -> bool:
    """Whether a value has a header of its own: a table, or a list of tables."""
    if isinstance(value, (str, float, Inline)):  # most are texts, and asking for a Mapping is slow
        return False
    if isinstance(value, Mapping):
        return True
    return isinstance(value, list) and bool(value) and all(_is_block(item) for item in value)


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _string(key)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + " }"
    raise TypeError(f"{type(value).__name__} {value!r} has no form in an experiment file")


def _string(text: str) -> str:
    # JSON's escapes are those of TOML, but for the one control character that JSON leaves as it is
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
