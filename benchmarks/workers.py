"""What a second worker brings: the same sweep in the reference engine with one worker and with two, in turn.

    python benchmarks/workers.py [--samples 64] [--mesh-level 1] [--duration "10 year"] [--workers 1 2]

All arms of experiments/cells_vs_gene over its design, one sample a batch, wall time of a whole sweep, the start of its processes
included. A sample before them fills the cache of compiled forms, which neither is to pay for. Leave the machine otherwise idle;
nothing here is asserted.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from discsim.study.config import read_study
from discsim.study.environment import cores
from discsim.study.study import Study
from discsim.study.sweep_run import SweepOptions, run_sweep

EXPERIMENT = Path(__file__).resolve().parents[1] / "experiments" / "cells_vs_gene" / "study.toml"


def study_of(level: int, duration: str) -> Study:
    """The shipped study on a mesh of one's choice, shorter; its table at start and end alone."""
    return read_study(EXPERIMENT, (f"disc.mesh_level={level}", f"duration={duration}", f'output.times=["0 year", "{duration}"]'))


def seconds(study: Study, samples: int, workers: int, folder: Path) -> float:
    """Wall time of a sweep from nothing to its last shard, s; stops where a sample fails, because it took another time."""
    began = time.perf_counter()
    outcome = run_sweep(study, folder, SweepOptions(engine="fem", samples=samples, workers=workers, check=False))
    if outcome.failed:
        raise SystemExit(f"{len(outcome.failed)} samples failed: {next(iter(outcome.failed.values()))}")
    return time.perf_counter() - began


def main() -> None:
    """Read the arguments and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--mesh-level", type=int, default=1, choices=(1, 2, 3))
    parser.add_argument("--duration", default="10 year")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    given = parser.parse_args()
    console = Console(width=130)
    console.print(f"{platform.machine()}, {len(cores())} of {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}")
    study = study_of(given.mesh_level, given.duration)
    table = Table(title=f"{given.samples} samples x {len(study.scenarios)} scenarios, {given.duration}, reference engine")
    for column in ("workers", "seconds", "ratio to the first"):
        table.add_column(column)
    with tempfile.TemporaryDirectory() as scratch:
        seconds(study, 1, 1, Path(scratch) / "compile")
        first = None
        for workers in given.workers:
            took = seconds(study, given.samples, workers, Path(scratch) / str(workers))
            first = first or took
            table.add_row(str(workers), f"{took:.1f}", f"{first / took:.2f}")
    console.print(table)


if __name__ == "__main__":
    main()
