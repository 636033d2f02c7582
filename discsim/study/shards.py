"""Shards: what one batch of a sweep gave, in one file that is written once and never changed.

A shard is a tree like a result, with several samples: swept inputs at the root, a node per scenario, its step counts below.
The name holds the batch, the generation (0: first run, k: k-th turn of samples that had failed) and a hash of the file's
bytes, by which every reader tells a damaged shard. Shards alone are the truth: all that is shown of a sweep comes from them.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

from discsim.problem.problem import Problem
from discsim.problem.record import ArmRecord
from discsim.problem.status import Failure, Status
from discsim.study.ensemble import SweptInput, together
from discsim.study.store import ResultError, is_intact, read_tree, write_hashed
from discsim.study.tree import ENGINE, named, netcdf_names, samples_dataset

INPUT = "input_"
PIECES = "step_pieces"
# Cumulative counts of an arm, as its last row of history holds them.
COUNTS = {
    "cuts": "steps that were halved",
    "iterations": "Newton iterations",
    "factorisations": "factorisations of a matrix",
}
_NAME = re.compile(r"batch-(?P<batch>\d+)\.(?P<generation>\d+)-[0-9a-f]+\.nc")


@dataclasses.dataclass(frozen=True)
class Batch:
    """Samples that run together. ``attempts``: how often each was started, this time included; ``pieces``: into how many equal
    ones every step of the sweep's list is cut."""

    number: int
    generation: int
    samples: tuple[int, ...]
    attempts: tuple[int, ...]
    pieces: int = 1

    def again(self) -> Batch:
        """The batch for one more attempt."""
        return dataclasses.replace(self, attempts=tuple(attempts + 1 for attempts in self.attempts))

    def alone(self) -> list[Batch]:
        """A batch for every sample."""
        pairs = zip(self.samples, self.attempts, strict=True)
        return [dataclasses.replace(self, samples=(sample,), attempts=(attempts,)) for sample, attempts in pairs]


@dataclasses.dataclass(frozen=True)
class ShardSummary:
    """What a shard says of its samples without its numbers: the status of every scenario, sample by sample.

    ``pieces``: into how many equal ones every step was cut; ``engines``: the engine of every scenario that names one, sample by
    sample.
    """

    path: Path
    batch: int
    generation: int
    samples: tuple[int, ...]
    attempts: tuple[int, ...]
    status: Mapping[str, tuple[str, ...]]
    reasons: Mapping[str, tuple[str, ...]]
    pieces: int = 1
    engines: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def engine_of(self) -> dict[int, str]:
        """The engine of every sample of which one is named; of several ("reduced and sweep") the scenarios had different ones."""
        columns = self.engines.values()
        told = ((sample, together(column[row] for column in columns)) for row, sample in enumerate(self.samples))
        return {sample: word for sample, word in told if word}

    def failed(self) -> dict[int, str]:
        """Samples of which not every scenario is good, and why the first such scenario is not."""
        found: dict[int, str] = {}
        for scenario, words in self.status.items():
            for sample, word, reason in zip(self.samples, words, self.reasons[scenario], strict=True):
                if not Status(word).good:
                    found.setdefault(sample, f"{scenario}: {word}{f', {reason}' if reason else ''}")
        return found


def write_shard(
    folder: Path,
    batch: Batch,
    records: Sequence[Sequence[ArmRecord]],
    problem: Problem,
    inputs: Sequence[SweptInput],
    steps: Sequence[float],
    attributes: Mapping[str, Any],
) -> Path:
    """Write the records of a batch: one inner sequence per sample, a record per arm of ``problem``, in its order."""
    return write_hashed(
        shard_tree(batch, records, problem, inputs, steps, attributes), folder, f"batch-{batch.number:05d}.{batch.generation}"
    )


def shard_tree(
    batch: Batch,
    records: Sequence[Sequence[ArmRecord]],
    problem: Problem,
    inputs: Sequence[SweptInput],
    steps: Sequence[float],
    attributes: Mapping[str, Any],
) -> xr.DataTree:
    """The tree of a batch; raises ``ValueError`` where records, samples and arms do not match."""
    names = [arm.name for arm in problem.arms]
    if len(records) != len(batch.samples):
        raise ValueError(f"records of {len(records)} samples for a batch of {len(batch.samples)}")
    for sample, row in zip(batch.samples, records, strict=True):
        if [record.name for record in row] != names:
            raise ValueError(f"sample {sample}: records of {', '.join(r.name for r in row)}; the study has {', '.join(names)}")
    marks = {"discsim_batch": batch.number, "discsim_generation": batch.generation}
    nodes = {"/": inputs_dataset(inputs, batch.samples).assign_attrs({**attributes, **marks})}
    times = (0.0, *steps)
    for index, name in enumerate(names):
        arms = [_finished(row[index]) for row in records]
        scenario = samples_dataset(arms, problem, samples=batch.samples, times=times)
        scenario["attempts"] = (("sample",), np.array(batch.attempts), {"long_name": "how often it was started"})
        pieces = np.full(len(batch.samples), batch.pieces, dtype=np.int64)
        scenario[PIECES] = (("sample",), pieces, {"long_name": "into how many equal ones every step of the list was cut"})
        nodes[f"/{name}"] = scenario
        nodes[f"/{name}/steps"] = counts_dataset(arms, batch.samples)
    return xr.DataTree.from_dict(nodes, name=None)


def inputs_dataset(inputs: Sequence[SweptInput], samples: Sequence[int]) -> xr.Dataset:
    """What is varied, for some samples, and the numbers of these samples."""
    variables: dict[str, Any] = {}
    chosen = list(samples)
    for path, valid in netcdf_names((swept.path for swept in inputs), prefix=INPUT, always=True).items():
        swept = next(swept for swept in inputs if swept.path == path)
        variables[valid] = (("sample",), swept.values[chosen], named(path, swept.unit, f"varied: {path}"))
    meaning = {"long_name": "number of the sample in the design"}
    return xr.Dataset(variables, {"sample": ("sample", np.array(chosen, dtype=np.int64), meaning)})


def counts_dataset(records: Sequence[ArmRecord], samples: Sequence[int]) -> xr.Dataset:
    """Step counts of every sample, wall time, and the whole history of those that failed (JSON; empty for the others)."""
    columns = {name: [_last(record, name) for record in records] for name in COUNTS}
    variables: dict[str, Any] = {
        "steps": (("sample",), np.array([len(record.history) for record in records]), {"long_name": "accepted steps"})
    }
    for name, meaning in COUNTS.items():
        variables[name] = (("sample",), np.array(columns[name]), {"long_name": meaning})
    seconds = np.array([float(record.seconds.get("total", math.nan)) for record in records])
    variables["seconds"] = (("sample",), seconds, named("", "s", "wall time of the arm"))
    history = np.array(["" if record.status.good else _history_text(record) for record in records])
    variables["history"] = (("sample",), history, {"long_name": "accepted steps of a failed sample, JSON"})
    numbers = ("sample", np.array(samples, dtype=np.int64), {"long_name": "number of the sample in the design"})
    return xr.Dataset(variables, {"sample": numbers}, {"discsim_node": "steps"})


def _last(record: ArmRecord, name: str) -> float:
    """A cumulative count at the end; NaN where the engine does not tell it."""
    return float(record.history[-1].get(name, math.nan)) if record.history else math.nan


def _history_text(record: ArmRecord) -> str:
    def plain(value: Any) -> Any:
        return value.item() if isinstance(value, np.generic) else str(value)

    return json.dumps(record.history, default=plain)


def _finished(record: ArmRecord) -> ArmRecord:
    """The record with a failure where it failed, and without what lies after its last good time.

    Raises ``ValueError`` for a record that says neither that it is good nor why it is not.
    """
    if record.status.good:
        return record
    if record.failure is None:
        raise ValueError(f"{record.name}: the record has status {record.status} and no failure that says why")
    limit = record.failure.last_good_time * (1.0 + 1e-9) + 1e-3
    kept = sum(time <= limit for time in record.times)
    cut = copy.copy(record)
    cut.times = record.times[:kept]
    cut.readouts = {name: values[:kept] for name, values in record.readouts.items()}
    cut.ledger = {name: values[:kept] for name, values in record.ledger.items()}
    cut.bars = {name: values[:kept] for name, values in record.bars.items()}
    return cut


def failed_records(problem: Problem, status: Status, reason: str, advice: str) -> list[ArmRecord]:
    """Records of a sample that never ran, one per arm."""
    failure = Failure(status, reason, 0.0, advice)
    return [ArmRecord(arm.name, status=status, failure=failure) for arm in problem.arms]


def shard_paths(folder: Path) -> list[Path]:
    """The shards of a folder, in the order in which later ones replace earlier ones."""
    found = [(match, path) for path in folder.glob("*.nc") if (match := _NAME.fullmatch(path.name))]
    return [path for match, path in sorted(found, key=lambda item: (int(item[0]["generation"]), item[1].name))]


def read_shard(path: Path, sweep: str) -> xr.DataTree:
    """A shard in memory; raises ``ResultError`` where it is damaged or belongs to another sweep."""
    check_shard(path)
    tree = read_tree(path)
    _check_owner(path, str(tree.attrs.get("discsim_sweep", "")), sweep)
    return tree


def check_shard(path: Path) -> None:
    """Raise ``ResultError`` where a file no longer holds what its name says."""
    try:
        intact = is_intact(path)
    except OSError as error:
        raise ResultError(f"{path}: cannot be read: {error.strerror}") from None
    if not intact:
        raise ResultError(
            f"{path}: damaged or edited (its content is not the one that its name was made from); discsim sweep moves it aside "
            "and computes its samples again"
        )


def _check_owner(path: Path, found: str, sweep: str) -> None:
    if found != sweep:
        raise ResultError(f"{path}: belongs to another sweep; move it out of the folder")


def summarise(path: Path, sweep: str) -> ShardSummary:
    """Samples and statuses of a shard, quickly; raises ``ResultError`` like ``read_shard``."""
    check_shard(path)
    match = _NAME.fullmatch(path.name)
    assert match is not None
    try:
        with h5py.File(path, "r") as opened:
            owner = str(opened.attrs.get("discsim_sweep", ""))
            nodes = {name: node for name, node in opened.items() if isinstance(node, h5py.Group) and "status" in node}
            status = {name: _texts(node["status"]) for name, node in nodes.items()}
            reasons = {name: _texts(node["failure_reason"]) for name, node in nodes.items()}
            engines = {name: _texts(node[ENGINE]) for name, node in nodes.items() if ENGINE in node}
            samples = tuple(int(number) for number in opened["sample"][()])
            first = next(iter(nodes.values()))
            attempts = tuple(int(number) for number in first["attempts"][()])
            pieces = int(first[PIECES][0]) if PIECES in first else 1
    except (OSError, KeyError, StopIteration) as error:
        raise ResultError(f"{path}: no shard of a sweep ({' '.join(str(error).split())[:120]})") from None
    _check_owner(path, owner, sweep)
    return ShardSummary(path, int(match["batch"]), int(match["generation"]), samples, attempts, status, reasons, pieces, engines)


def _texts(dataset: Any) -> tuple[str, ...]:
    """Texts as stored: of varying length, or as rows of characters."""
    values = dataset[()]
    if values.dtype.kind == "S" and values.ndim == 2:
        return tuple(b"".join(row).decode("utf-8").rstrip("\0") for row in values)
    return tuple(value.decode("utf-8") if isinstance(value, bytes) else str(value) for value in values)


def latest(summaries: Iterable[ShardSummary]) -> dict[int, ShardSummary]:
    """By sample the shard that counts: of several the one of the latest generation."""
    found: dict[int, ShardSummary] = {}
    for summary in summaries:
        found |= dict.fromkeys(summary.samples, summary)
    return found
