"""Reduced engine against full order: cost per scenario, thousands of scenarios, break-even, growth with the mesh.

    python benchmarks/reduced.py [--mesh-level 2] [--samples 2500] [--growth 3]

Trains the study first where it has no training yet (minutes; see discsim train). Full order and reduced run in turn in one
process on one core; the sweeps are whole ones, problems built, shards written, fallbacks included. Nothing here is asserted.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path

# one core for both engines, set before either makes its threads; the sweeps' workers set their own
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
os.environ["OMP_NUM_THREADS"] = "1"

from rich.console import Console

from discsim.study.config import read_study
from discsim.study.design import draw, sample_study
from discsim.study.study import Study
from discsim.study.sweep_folder import load_manifest
from discsim.study.sweep_plan import SweepOptions
from discsim.study.sweep_result import sweep_counts, sweep_engines
from discsim.study.sweep_run import run_sweep
from discsim.study.sweep_worker import bare
from discsim.study.train import NotTrained, train_study, trained
from discsim.sweep.engine import SweepEngine
from discsim.sweep.reduced.engine import ReducedEngine, Training

EXPERIMENT = Path(__file__).resolve().parents[1] / "experiments" / "cells_vs_gene" / "study.toml"
console = Console()


def study_of(level: int, samples: int) -> Study:
    """The shipped experiment on a mesh, without its check."""
    return read_study(EXPERIMENT, [f"disc.mesh_level={level}", f"design.samples={samples}"])


def training_of(study: Study) -> Training:
    """Its training, made now where there is none."""
    try:
        return trained(study)
    except NotTrained as error:
        console.print(f"{error}; training now")
        return train_study(study, lambda stage, done, of: None)


def per_scenario(study: Study, training: Training, count: int) -> tuple[float, float]:
    """Seconds per scenario (sample x arm) and core: full order, reduced."""
    design = draw(study)
    problems = [bare(sample_study(study, design, index).problem()) for index in range(count)]
    arms = len(problems[0].arms)
    full, reduced = SweepEngine(), ReducedEngine(training, fallback=False)
    full.run_many(problems[:1], training.steps)  # compiles
    reduced.run_many(problems[:6], training.steps)
    began = time.perf_counter()
    full.run_many(problems[1:4], training.steps)
    middle = time.perf_counter()
    reduced.run_many(problems, training.steps)
    return (middle - began) / (3 * arms), (time.perf_counter() - middle) / (count * arms)


def whole_sweep(study: Study, workers: int, samples: int) -> tuple[float, dict[str, int]]:
    """Seconds of a whole sweep, workers' start included, and samples by engine."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "sweep"
        began = time.perf_counter()
        run_sweep(study, folder, SweepOptions(engine="reduced", workers=workers, samples=samples, check=False))
        taken = time.perf_counter() - began
        return taken, dict(sweep_engines(sweep_counts(folder, load_manifest(folder))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mesh-level", type=int, default=2)
    parser.add_argument("--samples", type=int, default=2500)
    parser.add_argument("--growth", type=int, default=0, help="a finer mesh level, for the growth of the cost")
    arguments = parser.parse_args()
    console.print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    study = study_of(arguments.mesh_level, arguments.samples)
    training = training_of(study)
    report = training.trained.report
    full, reduced = per_scenario(study, training, 24)
    runs = int(report["training_runs"]) + int(report["calibration_runs"])
    overhead = runs * full + float(report["fit_seconds"]) + float(report["calibration_seconds"])
    console.print(f"per scenario and core: full order {full:.3g} s, reduced {1e3 * reduced:.3g} ms, ratio {full / reduced:.0f}")
    console.print(f"break-even: {overhead / (full - reduced):.0f} scenarios ({runs} runs, fit and calibration included)")
    if arguments.growth:
        finer = study_of(arguments.growth, arguments.samples)
        _, cost = per_scenario(finer, training_of(finer), 24)
        console.print(f"mesh level {arguments.growth}: reduced {1e3 * cost:.3g} ms, {cost / reduced:.2f} times")
    few = max(96 * 4, arguments.samples // 4)
    one, _ = whole_sweep(study, 1, few)
    two, _ = whole_sweep(study, 2, few)
    console.print(f"sweep of {few} samples: 1 process {one:.1f} s, 2 processes {two:.1f} s, ratio {one / two:.2f}")
    taken, engines = whole_sweep(study, 2, arguments.samples)
    scenarios = arguments.samples * len(study.scenarios)
    console.print(f"sweep of {scenarios} scenarios on 2 processes: {taken:.1f} s; samples by engine {engines}")


if __name__ == "__main__":
    main()
