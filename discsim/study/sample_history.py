"""What happened to one sample of a sweep: every attempt that has a shard, whether it counts now or was replaced."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from discsim.study.shards import INPUT, PIECES, read_shard, shard_paths, summarise
from discsim.study.store import ResultError
from discsim.study.sweep_folder import SHARDS, load_manifest


@dataclasses.dataclass(frozen=True)
class ArmOutcome:
    """How a scenario ended. ``reason`` and ``advice`` are empty where it ended well; ``last_good_time``, ``seconds`` in s."""

    scenario: str
    status: str
    reason: str
    advice: str
    last_good_time: float
    steps: int
    iterations: float
    seconds: float


@dataclasses.dataclass(frozen=True)
class Attempt:
    """What the ``number``-th start of a sample gave, and the shard that holds it. ``pieces``: of every
    step."""

    number: int
    shard: str
    computed_by: str
    arms: tuple[ArmOutcome, ...]
    pieces: int = 1


@dataclasses.dataclass(frozen=True)
class SampleHistory:
    """``inputs``: path -> value and unit of what is varied; ``attempts``: the last one counts."""

    sample: int
    inputs: dict[str, tuple[float, str]]
    attempts: tuple[Attempt, ...]


def sample_history(folder: str | os.PathLike[str], sample: int) -> SampleHistory:
    """Read it; raises ``ResultError`` where the design has no such sample or it was not computed yet."""
    place = Path(folder)
    manifest = load_manifest(place)
    if not 0 <= sample < manifest.count:
        raise ResultError(f"{folder}: sample {sample}: the design has samples 0 to {manifest.count - 1}")
    inputs: dict[str, tuple[float, str]] = {}
    attempts = []
    for path in shard_paths(place / SHARDS):
        if sample not in summarise(path, manifest.sweep).samples:  # without reading its numbers
            continue
        tree = read_shard(path, manifest.sweep)
        root = tree.to_dataset()
        own = root.sel(sample=sample)
        for name, value in own.data_vars.items():
            if str(name).startswith(INPUT):
                inputs[str(value.attrs["discsim_name"])] = float(value), str(value.attrs.get("discsim_unit", ""))
        arms, number, pieces = [], 0, 1
        for scenario in manifest.scenarios:
            end = tree[scenario].to_dataset().sel(sample=sample)
            counts = tree[f"{scenario}/steps"].to_dataset().sel(sample=sample)
            number, pieces = int(end["attempts"]), int(end.get(PIECES, 1))
            words = [str(end[name].item()) for name in ("status", "failure_reason", "advice")]
            numbers = int(counts["steps"]), float(counts["iterations"]), float(counts["seconds"])
            arms.append(ArmOutcome(scenario, words[0], words[1], words[2], float(end["last_good_time"]), *numbers))
        engine = str(tree.attrs.get("discsim_engine", ""))
        attempts.append(Attempt(number, path.name, f"{engine}, discsim {tree.attrs['discsim_version']}", tuple(arms), pieces))
    if not attempts:
        raise ResultError(f"{folder}: sample {sample} is not computed yet; the same discsim sweep command goes on with it")
    return SampleHistory(sample, inputs, tuple(attempts))
