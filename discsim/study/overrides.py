"""``--set path=value``: laid over the tables of a file before anything is checked, so that one check serves both."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Mapping
from typing import Any

from discsim.biology.mechanisms import CATALOGUE
from discsim.quantities.parameters import REGIONS
from discsim.scenario.therapy import THERAPIES
from discsim.study.messages import Complaints, Shown, names, nearest, quoted
from discsim.study.paths import normalised
from discsim.study.schema import ExperimentFile, keys_of

_RANGE_KEYS = ("low", "high", "scale", "count", "dist", "mode", "mean", "sd", "median", "gsd", "values")
_OVERRIDE = "--set"


def apply_overrides(raw: Mapping[str, Any], overrides: tuple[str, ...], complaints: Complaints) -> dict[str, Any]:
    """The tables with values set by path; a path that leads nowhere is noted."""
    tables = copy.deepcopy(dict(raw))
    for text in overrides:
        path, equals, value = text.partition("=")
        path = path.strip().replace('"', "").replace("'", "")  # quotation marks as a file has them around paths
        if not equals or not path or not _is_text(text):
            complaints.add(_OVERRIDE, text, 'path=value, such as duration="5 year"')
            continue
        for place in _places(tables, path):
            reason = _put(tables, place, toml_value(value.strip()))
            if reason:
                complaints.add(f"{_OVERRIDE} {path}", Shown(reason[0]), reason[1], reason[2])
                break
            _clear_regions(tables, place)
    return tables


def _clear_regions(tables: Mapping[str, Any], place: list[str]) -> None:
    """A material's number for all regions, now set, leaves no region with one of its own from the file or an earlier override."""
    materials = tables.get("materials")
    if len(place) == 2 and place[0] == "materials" and place[1] not in REGIONS and isinstance(materials, dict):
        value = materials[place[1]]
        for region in value if isinstance(value, dict) else REGIONS:
            own = materials.get(region)
            if isinstance(own, dict):
                own.pop(place[1], None)


def toml_value(text: str) -> Any:
    """A value as in a file; what is no TOML value is text, so that units need no quotation marks."""
    try:
        table = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return table["value"] if len(table) == 1 else text


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes of the command line that are no UTF-8
        return False
    return True


def _places(tables: Mapping[str, Any], path: str) -> list[list[str]]:
    """Where in the file a path leads; a short one may lead to several therapies."""
    parts = path.split(".")
    if parts[0] in keys_of(ExperimentFile):
        return [_file_path(tables, parts)]
    if parts[0] in CATALOGUE and not _with_label(tables, path):
        return [["mechanisms", *parts]]
    return _with_label(tables, path) or [parts]


def _with_label(tables: Mapping[str, Any], path: str) -> list[list[str]]:
    """Therapies whose label begins the path, the longest label first."""
    found: dict[str, list[list[str]]] = {}
    scenarios = tables.get("scenarios")
    for name, scenario in scenarios.items() if isinstance(scenarios, dict) else ():
        therapies = scenario.get("therapy") if isinstance(scenario, dict) else None
        for index, therapy in enumerate(therapies if isinstance(therapies, list) else ()):
            label = _label(therapy)
            if label and path.startswith(f"{label}."):
                place = ["scenarios", name, "therapy", str(index), *path[len(label) + 1 :].split(".")]
                found.setdefault(label, []).append(place)
    return found[max(found, key=len)] if found else []


def _label(therapy: Any) -> str | None:
    if not isinstance(therapy, dict):
        return None
    label, kind = therapy.get("label"), therapy.get("kind")
    if isinstance(label, str) or not isinstance(kind, str) or kind not in THERAPIES:
        return label if isinstance(label, str) else None
    return THERAPIES[kind].default_label(therapy)


def _file_path(tables: Mapping[str, Any], parts: list[str]) -> list[str]:
    """The parts of a path of the file, with those together that are one key there (paths as keys of a table)."""
    head = parts[0]
    if head == "materials" and len(parts) == 3 and parts[2] in REGIONS:
        return ["materials", parts[2], parts[1]]
    keep = {"scenarios": 3, "design": 2}.get(head, len(parts))
    if head == "scenarios" and len(parts) > 3 and parts[2] == "events":
        keep = 5
    if head == "scenarios" and len(parts) > 3 and parts[2] not in ("set", "events"):
        return parts
    rest = parts[keep:]
    if not rest:
        return parts
    if head == "design" and parts[1] == "vary":
        if len(rest) > 1 and rest[-1] in _RANGE_KEYS:
            return [*parts[:keep], ".".join(rest[:-1]), rest[-1]]
        return [*parts[:keep], ".".join(rest)]
    if head == "design" and parts[1] == "correlation":
        return [*parts[:keep], ", ".join(path.strip() for path in ".".join(rest).split(","))]
    if head == "design":
        return parts
    return [*parts[:keep], normalised(".".join(rest))]


def _put(tables: dict[str, Any], path: list[str], value: Any) -> tuple[str, str, str] | None:
    """Set one value; returns what is wrong with the path (given, allowed, hint), or nothing."""
    here: Any = tables
    for depth, part in enumerate(path[:-1]):
        if isinstance(here, list):
            if not part.isdecimal() or int(part[:9]) >= len(here):
                return f"entry {quoted(part)}", f"0 to {len(here) - 1}" if here else "an entry that is there", ""
            here = here[int(part)]
            continue
        if not isinstance(here, dict):
            return f"a path through {'.'.join(path[:depth])}", "a path to a value", "that is a value, not a table"
        if part not in here:
            wrong = _missing(here, path, depth)
            if wrong:
                return wrong
            here[part] = {}
        if path[depth + 1 :] and path[-1] in REGIONS and depth == len(path) - 2 and not isinstance(here[part], (dict, list)):
            here[part] = dict.fromkeys(REGIONS, here[part])  # one value for all regions, of which one is set
        here = here[part]
    if isinstance(here, list) and path[-1].isdecimal() and int(path[-1][:9]) < len(here):
        here[int(path[-1])] = value
    elif isinstance(here, dict) and (len(path) > 1 or path[0] in keys_of(ExperimentFile)):
        here[path[-1]] = value
    elif isinstance(here, dict):
        return _unknown(path[0], keys_of(ExperimentFile))
    else:
        return f"a path through {'.'.join(path[:-1])}", "a path to a value", "that is a value, not a table"
    return None


def _missing(here: Mapping[str, Any], path: list[str], depth: int) -> tuple[str, str, str] | None:
    """Whether a table that is not there may be made: a new one of the schema, but no new scenario or therapy."""
    if depth == 0 and path[0] not in keys_of(ExperimentFile):
        known = [*keys_of(ExperimentFile), *CATALOGUE]
        return _unknown(path[0], known)
    if path[0] == "scenarios" and depth == 1:
        return _unknown(path[1], list(here))
    if path[0] == "scenarios" and depth == 2 and path[2] in ("therapy", "events"):
        hint = f"it combines {', '.join(map(str, here['combine']))}" if isinstance(here.get("combine"), list) else ""
        return f"the {path[2]} of a scenario that has none", "a path that exists", hint
    return None


def _unknown(word: str, known: list[str]) -> tuple[str, str, str]:
    found = nearest(word, known)
    return f"the unknown name {quoted(word)}", names(known, word), f"did you mean {found}?" if found else ""
