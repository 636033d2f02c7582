"""A sweep whose driver is killed again and again against one that was left alone: is anything lost, done twice or different?"""

from __future__ import annotations

import dataclasses
import functools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from discsim.study.shards import shard_paths
from discsim.study.sweep_folder import SHARDS, load_manifest
from discsim.study.sweep_result import open_sweep, sweep_counts
from discsim.vv.registry import Case, Row

STUDY = """
schema = "discsim/1"
title = "interrupted"
duration = "30 day"
[disc]
preset = "L4-L5"
grade = 3
mesh_level = 1
[scenarios.untreated]
[[scenarios.cells.therapy]]
kind = "stem_cell_injection"
at = "0 day"
[readouts]
use = ["viable_cells", "glucose_min"]
[output]
times = ["0 day", "10 day"]
[design]
kind = "list"
[design.vary]
"loading.active" = {{ values = [{loads}] }}
"""
BATCH = 4
SPACING = 0.002  # MPa, between the load of one sample and that of the next
LAST_KILL = 0.9  # of the batches: what is left keeps the driver at work until it is hit
PATIENCE = 900.0  # s until the next shard


@dataclasses.dataclass(frozen=True)
class Interrupted:
    """What became of the sweep. ``hit``: kills that found a driver at work; ``held``: samples with a shard; ``shards``: of the
    killed sweep and of the clean one; ``changed``: shards that were there at a kill and were gone or other ones later; ``apart``:
    nodes of the tree of all samples that are not the same to the last bit, wall times left out."""

    hit: int
    held: int
    shards: tuple[int, int]
    changed: int
    apart: tuple[str, ...]


def interrupt(place: Path, command: Sequence[str | Path], samples: int, kills: int, seed: int = 20) -> Interrupted:
    """Sweep into ``place / "killed"``, killed at seeded moments, and into ``place / "clean"``, left alone.

    ``command``: what stands before ``sweep`` and its arguments, and after it the engine to use.
    """
    loads = ", ".join(f'"{0.2 + SPACING * sample:.3f} MPa"' for sample in range(samples))
    (place / "study.toml").write_text(STUDY.format(loads=loads), encoding="utf-8")
    folder, clean, random = place / "killed", place / "clean", np.random.default_rng(seed)

    def start(out: Path) -> subprocess.Popen[bytes]:
        more: list[str | Path] = ["--batch", str(BATCH), "--workers", "2", "--out", out]
        words = [*command[:-1], "sweep", place / "study.toml", "--engine", command[-1], *more]
        return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    _ended(start(clean))
    seen: dict[str, tuple[int, bytes]] = {}
    hit = changed = 0
    for least in sorted(random.integers(0, int(LAST_KILL * len(_accepted(clean))), kills)):
        process, delay = start(folder), float(random.uniform(0.0, 0.2))
        _wait(functools.partial(_at_work_on, folder, int(least), process))
        time.sleep(delay)
        hit += process.poll() is None
        process.kill()
        process.wait()
        now = _accepted(folder)
        changed += len(seen.items() - now.items())
        seen = now
    _ended(start(folder))
    changed += len(seen.items() - _accepted(folder).items())
    shards = len(_accepted(folder)), len(_accepted(clean))
    return Interrupted(hit, len(sweep_counts(folder, load_manifest(folder))), shards, changed, _apart(folder, clean))


def _ended(process: subprocess.Popen[bytes]) -> None:
    if process.wait() != 0:
        raise RuntimeError(f"a sweep that was left alone ended with exit code {process.returncode}")


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"no shard came in {PATIENCE:.0f} s")
        time.sleep(0.005)


def _at_work_on(folder: Path, shards: int, process: subprocess.Popen[bytes]) -> bool:
    """Whether so many shards are there, or the driver has ended before."""
    return process.poll() is not None or len(shard_paths(folder / SHARDS)) >= shards


def _accepted(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Time of writing and content of every shard."""
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in shard_paths(folder / SHARDS)}


def _apart(folder: Path, clean: Path) -> tuple[str, ...]:
    """Nodes that differ. Attributes hold the moment of the beginning, and are compared by the id of the sweep."""
    trees = open_sweep(folder), open_sweep(clean)
    nodes = [
        {node.path: node.to_dataset().drop_vars("seconds", errors="ignore").drop_attrs() for node in t.subtree} for t in trees
    ]
    both = [path for path in nodes[0] if path in nodes[1]]
    found = [path for path in both if not nodes[0][path].identical(nodes[1][path])]
    found += sorted(nodes[0].keys() ^ nodes[1].keys())
    return tuple(found if load_manifest(folder).sweep == load_manifest(clean).sweep else ["the sweep itself", *found])


def killed_sweep(samples: int, kills: int) -> list[Row]:
    """The sweep engine on a coarse mesh, a month, two scenarios."""
    with tempfile.TemporaryDirectory() as place:
        found = interrupt(Path(place), [sys.executable, "-m", "discsim", "sweep"], samples, kills)
    wanted = {
        "hit": ("kills that found the driver at work", found.hit, kills),
        "held": ("samples that are stored in the end", found.held, samples),
        "twice": ("shards more than an uninterrupted sweep has", found.shards[0] - found.shards[1], 0),
        "changed": ("shards that were lost or written again", found.changed, 0),
        "apart": ("parts of the result that differ in any bit", len(found.apart), 0),
    }
    return [
        Row(f"killed.{key}", words, "1", float(number), float(right), float(right), float(right), "verification")
        for key, (words, number, right) in wanted.items()
    ]


CASES = [
    Case(
        "killed_sweep",
        "sweep",
        "a sweep of 24 samples whose driver is killed four times, against one that is left alone",
        lambda: killed_sweep(24, 4),
        slow=True,
    ),
]
