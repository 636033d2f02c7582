"""Samples that join a training: what a sweep had to leave to the full order, the next model is made with."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path

import numpy as np

from discsim.study.design import Design, draw
from discsim.study.messages import ConfigError, Mistake, Shown
from discsim.study.study import Study
from discsim.study.sweep_result import GOOD, open_ensemble
from discsim.study.training_design import box

MOST = 20  # samples: half as many again as a training has
Point = dict[str, float]


@dataclasses.dataclass(frozen=True)
class Found:
    """Samples of a sweep that its reduced engine left to the full order: ``new`` ones that join now, those that are listed
    ``already``, those ``outside`` of the trained box, which stay as they are, and those for which there is no ``room``."""

    new: int
    already: int
    outside: int
    room: int


def added_in(path: Path) -> tuple[Point, ...]:
    """The samples that a file lists, inputs by path in the unit of their declaration; none where there is no file.

    Raises ``ValueError`` for a file that is no such list.
    """
    if not path.exists():
        return ()
    try:
        listed = json.loads(path.read_text())
        return tuple({str(name): float(value) for name, value in point.items()} for point in listed)
    except (OSError, ValueError, AttributeError, TypeError):
        raise ValueError(f"{path}: damaged; remove it, and discsim train --enrich lists them anew") from None


def hash_of(points: tuple[Point, ...]) -> str:
    """Short hash of a list of samples."""
    return hashlib.sha256(json.dumps(points, sort_keys=True).encode()).hexdigest()[:16]


def add(study: Study, folder: str | os.PathLike[str], path: Path) -> Found:
    """List in ``path`` the samples of the sweep in ``folder`` that ran at full order though they lie in the trained box.

    Raises ``ConfigError`` where the sweep is not one of the reduced engine, or varies other numbers; what ``open_ensemble`` does.
    """
    ensemble, design = open_ensemble(folder), draw(study)
    paths = [swept.path for swept in design.inputs]
    if not any((words == "reduced").any() for words in ensemble.engine.values()):
        raise _refused(str(folder), "a sweep of the reduced engine", "only its samples can be left to the full order")
    if [swept.path for swept in ensemble.inputs] != paths:
        raise _refused(", ".join(swept.path for swept in ensemble.inputs), f"a sweep of {', '.join(paths)}", "")
    left = np.zeros(len(ensemble.numbers), dtype=bool)
    for name, words in ensemble.engine.items():
        left |= (words != "reduced") & np.isin(ensemble.status[name], GOOD)
    known, new, outside, already, room = list(added_in(path)), 0, 0, 0, 0
    ends = box(study, design)
    for row in np.flatnonzero(left):
        point = {swept.path: float(swept.values[row]) for swept in ensemble.inputs}
        if not all(low <= point[name] <= high for name, (low, high) in zip(paths, ends, strict=True)):
            outside += 1
        elif point in known:
            already += 1
        elif len(known) >= MOST:
            room += 1
        else:
            known.append(point)
            new += 1
    if new:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{path.name}.{os.getpid()}.part")
        beside.write_text(json.dumps(known, indent=1))
        beside.replace(path)
    return Found(new, already, outside, room)


def with_points(design: Design, points: tuple[Point, ...]) -> Design:
    """The design with some samples more, at its end."""
    inputs = tuple(
        dataclasses.replace(swept, values=np.append(swept.values, [point[swept.path] for point in points]))
        for swept in design.inputs
    )
    return dataclasses.replace(design, inputs=inputs)


def _refused(given: str, allowed: str, hint: str) -> ConfigError:
    return ConfigError([Mistake("--enrich", Shown(given), allowed, hint)], "the sweep")
