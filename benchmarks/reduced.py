"""Reduced engine against full order: cost per scenario, thousands of scenarios, break-even, growth with the mesh.

    python benchmarks/reduced.py [--mesh-level 2] [--samples 2500] [--growth 3]

Trains the study first where it has no training yet (minutes; see discsim train). Full order and reduced run in turn in one
process that is held to one core; the sweeps are whole ones, problems built, shards written, fallbacks included. Nothing here is
asserted.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import multiprocessing
import os
import platform
import tempfile
import time
from pathlib import Path

# one core for both engines, set before either makes its threads; the sweeps' workers set their own
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from rich.console import Console
from training import training_of

from discsim.study.config import read_study
from discsim.study.design import draw, sample_study
from discsim.study.study import Study
from discsim.study.sweep_folder import load_manifest
from discsim.study.sweep_plan import SweepOptions
from discsim.study.sweep_result import open_ensemble, open_sweep, sweep_counts, sweep_engines
from discsim.study.sweep_run import run_sweep
from discsim.study.sweep_worker import bare
from discsim.study.train import trained
from discsim.sweep.engine import SweepEngine
from discsim.sweep.reduced.engine import ReducedEngine

EXPERIMENT = Path(__file__).resolve().parents[1] / "experiments" / "cells_vs_gene" / "study.toml"
COUNT = 48  # samples that are timed: as in a sweep, lanes of one scenario fill whole batches
console = Console()


def study_of(level: int, samples: int) -> Study:
    """The shipped experiment on a mesh, with at least so many samples (a power of two)."""
    return read_study(EXPERIMENT, [f"disc.mesh_level={level}", f"design.samples={1 << (samples - 1).bit_length()}"])


def hold() -> None:
    """Hold this process to one core, as a worker of a sweep is: a second one would do part of the work unseen."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def per_scenario(level: int, samples: int, count: int) -> tuple[float, float, float]:
    """Seconds per scenario (sample x arm) and core: full order, reduced, and its problem; in a process of its own."""
    spawned = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawned, initializer=hold) as process:
        return process.submit(_per_scenario, level, samples, count).result()


def _per_scenario(level: int, samples: int, count: int) -> tuple[float, float, float]:
    study = study_of(level, samples)
    training, design = trained(study), draw(study)
    sample_study(study, design, count).problem()  # reads what is read once
    began = time.perf_counter()
    problems = [bare(sample_study(study, design, index).problem()) for index in range(count)]
    arms = len(problems[0].arms)
    problem = (time.perf_counter() - began) / (count * arms)
    full, reduced = SweepEngine(), ReducedEngine(training, fallback=False)
    full.run_many(problems[:1], training.steps)  # compiles
    reduced.run_many(problems[:6], training.steps)
    seconds = []
    for turn in range(3):
        began = time.perf_counter()
        full.run_many([problems[1 + turn]], training.steps)
        middle = time.perf_counter()
        reduced.run_many(problems, training.steps)
        seconds.append(((middle - began) / arms, (time.perf_counter() - middle) / (count * arms)))
    return float(np.mean([one for one, _ in seconds])), float(np.mean([other for _, other in seconds])), problem


@dataclasses.dataclass
class Swept:
    """A whole sweep: ``wall`` seconds, workers' start included; samples by engine; ``own``: seconds of a scenario of the reduced
    engine, as the worker measured it; ``left``: share of the scenarios that ran at full order."""

    wall: float
    engines: dict[str, int]
    own: float
    left: float


def whole_sweep(study: Study, workers: int, samples: int) -> Swept:
    """A sweep by the reduced engine."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "sweep"
        began = time.perf_counter()
        run_sweep(study, folder, SweepOptions(engine="reduced", workers=workers, samples=samples, check=False))
        taken = time.perf_counter() - began
        tree, ensemble = open_sweep(folder), open_ensemble(folder)
        seconds = [
            tree[f"{name}/steps"].to_dataset()["seconds"].values.reshape(len(words), -1)[words == "reduced"].sum(axis=1)
            for name, words in ensemble.engine.items()
        ]
        # compilation falls to the first batch of every worker: the median leaves it out
        own, left = np.median(np.concatenate(seconds)), np.mean([words != "reduced" for words in ensemble.engine.values()])
        engines = sweep_engines(sweep_counts(folder, load_manifest(folder)))
        return Swept(taken, dict(engines), float(own), float(left))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mesh-level", type=int, default=2)
    parser.add_argument("--samples", type=int, default=2500)
    parser.add_argument("--growth", type=int, default=0, help="a finer mesh level, for the growth of the cost")
    arguments = parser.parse_args()
    console.print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    study = study_of(arguments.mesh_level, arguments.samples)
    training = training_of(study, console)
    report = training.trained.report
    full, reduced, problem = per_scenario(arguments.mesh_level, arguments.samples, COUNT)
    runs = int(report["training_runs"]) + int(report["calibration_runs"])
    overhead = runs * full + float(report["fit_seconds"]) + float(report["calibration_seconds"])
    console.print(
        f"per scenario and core: full order {full:.3g} s, reduced {1e3 * reduced:.3g} ms, ratio {full / reduced:.0f}; "
        f"its problem {1e3 * problem:.2g} ms"
    )
    console.print(f"break-even: {overhead / (full - reduced):.0f} scenarios ({runs} runs, fit and calibration included)")
    if arguments.growth:
        finer = study_of(arguments.growth, arguments.samples)
        training_of(finer, console)
        _, cost, _ = per_scenario(arguments.growth, arguments.samples, COUNT)
        console.print(f"mesh level {arguments.growth}: reduced {1e3 * cost:.3g} ms, {cost / reduced:.2f} times")
    whole_sweep(study, 2, 4 * 96)  # compiles what is not in the cache
    one, two = (whole_sweep(study, workers, arguments.samples) for workers in (1, 2))
    scenarios = arguments.samples * len(study.scenarios)
    for workers, swept in ((1, one), (2, two)):
        console.print(
            f"sweep of {scenarios} scenarios, {workers} process(es): {swept.wall:.1f} s in all; {1e3 * swept.own:.3g} ms a "
            f"scenario of the reduced engine: {scenarios * (swept.own + problem) / workers:.1f} s for all with their problems; "
            f"{swept.left:.2%} of them at full order; samples by engine {swept.engines}"
        )
    console.print(f"two processes over one: {one.wall / two.wall:.2f} in all, {2.0 * one.own / two.own:.2f} of the computing")


if __name__ == "__main__":
    main()
