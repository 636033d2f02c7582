"""Assumed numbers that a sweep holds fixed although they act on some arms only: what its verdicts rest on and do not test."""

from __future__ import annotations

import os
from collections.abc import Iterable

from discsim.quantities.parameters import REGIONS
from discsim.study.evidence import PartialAssumption, assumptions_from_json
from discsim.study.stored_shape import read_nominal


def held_assumptions(folder: str | os.PathLike[str], varied: Iterable[str]) -> tuple[PartialAssumption, ...]:
    """Of the assumed numbers that act on some arms of a sweep only, those that ``varied`` (paths) does not vary.

    Raises ``ResultError`` where the folder holds no sweep.
    """
    text = str(read_nominal(folder).attrs["discsim_partial_assumptions"])
    return not_varied(assumptions_from_json(text), varied)


def not_varied(assumptions: Iterable[PartialAssumption], varied: Iterable[str]) -> tuple[PartialAssumption, ...]:
    """Those of the assumptions that no varied path stands for."""
    paths = tuple(varied)
    return tuple(one for one in assumptions if not any(_is(one, path) for path in paths))


def _is(one: PartialAssumption, path: str) -> bool:
    """Whether a varied path stands for a number; therapies are named by their label here, by their place in the file there."""
    parts = path.split(".")
    if parts[0] == "scenarios" and parts[2] == "therapy":
        return parts[1] in one.arms and one.path.rpartition(".")[2] == parts[4]
    if parts[0] == "scenarios":  # scenarios.NAME.set.PATH
        path = ".".join(parts[3:])
    head, _, tail = one.path.rpartition(".")
    return path in (one.path, head if tail in REGIONS else one.path)


def by_arms(assumptions: Iterable[PartialAssumption]) -> dict[tuple[str, ...], dict[str, list[str]]]:
    """The numbers by the arms that they act on and by their owner; those of several regions stand once."""
    found: dict[tuple[str, ...], dict[str, list[str]]] = {}
    for one in assumptions:
        head, _, tail = one.path.rpartition(".")
        owner, _, key = (head if tail in REGIONS else one.path).rpartition(".")
        keys = found.setdefault(one.arms, {}).setdefault(owner, [])
        if key not in keys:
            keys.append(key)
    return found
