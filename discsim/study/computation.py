"""What was computed in a folder: from what, by which code on what machine, when, how it ended, and the files that hold it.

Only files that discsim writes there are named. Locks, logs and notes for other processes are left out, since they tell hosts,
processes and folders.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from discsim.problem.problem import YEAR
from discsim.study.check import CHECK_FILE
from discsim.study.ensemble import SweptInput
from discsim.study.folder_files import PAGE_FILE, RESULT_FILE
from discsim.study.result import Result
from discsim.study.shards import shard_paths
from discsim.study.store import ResultError
from discsim.study.stored_shape import read_nominal
from discsim.study.sweep_folder import (
    MANIFEST,
    NOMINAL_FILE,
    SHARDS,
    STUDY_FILE,
    Manifest,
    holder,
    is_sweep,
    load_manifest,
    swept_inputs,
)
from discsim.study.sweep_result import sweep_counts
from discsim.study.sweep_state import load_note

State = Literal["completed", "failed", "running"]
_MOST_FAILURES = 20  # failed samples that are named one by one; the shards name all


@dataclasses.dataclass(frozen=True)
class Computation:
    """One run or sweep. ``config``: the experiment file with every default written out, empty where none stands for it.

    ``begun``, ``ended``: UTC as in ISO 8601, empty where it is not known. ``outcome``: how it ended, in words; ``error``: why it
    came to nothing or stopped early, else empty. ``attributes``: provenance as results have it. ``inputs``: what is varied
    (without values). ``given``, ``made``: files it was computed from and gave, by name in the folder, with their meaning.
    """

    kind: Literal["run", "sweep"]
    title: str
    summary: str
    config: str
    begun: str
    ended: str
    state: State
    outcome: str
    error: str
    attributes: Mapping[Any, Any]
    engine: str
    seed: int | None
    inputs: tuple[SweptInput, ...]
    given: Mapping[str, str]
    made: Mapping[str, str]


def computations(folder: Path) -> tuple[Computation, ...]:
    """The sweep and the run of a folder, where it holds them, the sweep first.

    Raises ``ResultError`` where it holds neither, and where a file of theirs is damaged.
    """
    found = []
    if is_sweep(folder):
        found.append(_sweep(folder))
    if (folder / RESULT_FILE).exists():
        found.append(_run(folder))
    if not found:
        raise ResultError(
            f"{folder}: holds neither a run (no {RESULT_FILE}) nor a sweep (no {MANIFEST}); name the folder that discsim run or "
            "discsim sweep wrote to"
        )
    return tuple(found)


def _run(folder: Path) -> Computation:
    result = Result.load(folder / RESULT_FILE)
    attributes, names = result.tree.attrs, result.scenario_names
    failed = result.failed()
    reasons = "; ".join(f"{name}: {failure.status}, {failure.reason}" for name, failure in failed.items())
    nothing = len(failed) == len(names)
    made = {RESULT_FILE: "readouts, fields, steps, parameters and provenance of every scenario (NetCDF)"}
    pictures = {"time_courses.png": "every readout of every scenario over time"}
    pictures |= {f"fields_{name}.png": f"fields of {name}" for name in names}
    pictures[PAGE_FILE] = "the report"
    made |= {name: meaning for name, meaning in pictures.items() if (folder / name).is_file()}
    return Computation(
        "run",
        result.title,
        f"{', '.join(names)} over {result.duration / YEAR:g} year, once, at nominal values",
        result.config,
        str(attributes.get("discsim_begun", "")),
        str(attributes["history"]).splitlines()[-1].split()[0],  # a line per change of the file, each begins with its time
        "failed" if nothing else "completed",
        f"{len(names)} scenarios, {len(failed)} did not finish{f' ({reasons})' if failed else ''}",
        f"no scenario finished: {reasons}" if nothing else "",
        attributes,
        str(attributes.get("discsim_engine", "")),
        None,
        (),
        {},
        made,
    )


def _sweep(folder: Path) -> Computation:
    manifest, nominal = load_manifest(folder), read_nominal(folder)
    counts = sweep_counts(folder, manifest)
    failed = {sample: why[sample] for sample, summary in sorted(counts.items()) if sample in (why := summary.failed())}
    shards = sorted(shard_paths(folder / SHARDS))
    note = load_note(folder)
    state, error = _ending(folder, manifest, len(counts), len(failed))
    made = {MANIFEST: "what the sweep is: design, steps, code, libraries and kind of machine"}
    made |= {f"{SHARDS}/{path.name}": "samples of one batch: readouts, status and steps (NetCDF)" for path in shards}
    others = {CHECK_FILE: "what the reference engine says about chosen samples"}
    if not (folder / RESULT_FILE).exists():  # else the report is about the run
        others[PAGE_FILE] = "the report"
    made |= {name: meaning for name, meaning in others.items() if (folder / name).is_file()}
    return Computation(
        "sweep",
        manifest.title,
        f"{', '.join(manifest.scenarios)} over {manifest.steps[-1] / YEAR:g} year, a design ({manifest.design['kind']}) of "
        f"{manifest.count} samples",
        (folder / STUDY_FILE).read_text(encoding="utf-8"),
        manifest.created,
        "" if state == "running" else _ended(note[1] if note else "", [folder / name for name in made]),
        state,
        _outcome(len(counts), manifest.count, failed),
        error,
        nominal.attrs,
        str(manifest.identity["engine"]),
        manifest.design["seed"],
        swept_inputs(manifest, [np.empty(0)] * len(manifest.design["inputs"])),
        {NOMINAL_FILE: "the design: values of every sample, and every parameter at its nominal value (NetCDF)"},
        made,
    )


def _ending(folder: Path, manifest: Manifest, done: int, failed: int) -> tuple[State, str]:
    """Whether a sweep ended and well, and why not."""
    if holder(folder) is not None:
        return "running", ""
    if done and done == failed:
        return "failed", "no sample ended well"
    note = load_note(folder)
    if done == manifest.count or (note is not None and note[0].phase == "done"):
        return "completed", ""
    return "failed", f"stopped before its end, with {done} of {manifest.count} samples computed; discsim sweep goes on with it"


def _outcome(done: int, count: int, failed: Mapping[int, str]) -> str:
    words = f"{done} of {count} samples computed, {len(failed)} failed"
    if not failed:
        return words
    named = "; ".join(f"sample {sample}, {why}" for sample, why in list(failed.items())[:_MOST_FAILURES])
    more = f"; and {len(failed) - _MOST_FAILURES} more" if len(failed) > _MOST_FAILURES else ""
    return f"{words} ({named}{more})"


def _ended(noted: str, files: Sequence[Path]) -> str:
    """When a sweep ended: the last driver's last note or the age of the youngest file, whichever is earlier.

    A driver that finds nothing to do renews the note, and a folder that was copied makes files young.
    """
    youngest = max(path.stat().st_mtime for path in files)
    changed = datetime.datetime.fromtimestamp(youngest, datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return min(noted, changed) if noted else changed


def environment_of(computation: Computation) -> dict[str, Any]:
    """Python, kind of machine, thread settings and library versions that a computation ran with."""
    table: dict[str, Any] = json.loads(str(computation.attributes.get("discsim_environment", "{}")))
    return table
