"""The sweep engine on a GPU against one processor core of the same machine: same samples, steps and tolerances.

    python benchmarks/gpu.py [--mesh-level 2] [--samples 64] [--lanes 64] [--compared 4]

All samples of one design run on the GPU, all arms, ``--lanes`` at a time, twice: the first run compiles. ``--compared`` of them
run on one core with the sparse solver; the largest relative difference of any readout at any time is printed, nothing asserted.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import jax
import numpy as np
from rich.console import Console

from discsim.problem.record import ArmRecord
from discsim.study.config import read_study
from discsim.study.design import draw, sample_study
from discsim.study.sweep_worker import bare
from discsim.sweep.engine import SweepEngine

EXPERIMENT = Path(__file__).resolve().parents[1] / "experiments" / "cells_vs_gene" / "study.toml"
console = Console()


def difference(one: list[list[ArmRecord]], other: list[list[ArmRecord]]) -> float:
    """Largest relative difference of any readout at any time of samples that ended well in both."""
    worst = 0.0
    for mine, theirs in zip(one, other, strict=False):
        for a, b in zip(mine, theirs, strict=True):
            if a.failure is None and b.failure is None:
                for name, values in a.readouts.items():
                    worst = max(worst, float(np.max(np.abs(np.array(values) / np.array(b.readouts[name]) - 1.0))))
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mesh-level", type=int, default=2)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--lanes", type=int, default=64)
    parser.add_argument("--compared", type=int, default=4)
    arguments = parser.parse_args()
    study = read_study(EXPERIMENT, [f"disc.mesh_level={arguments.mesh_level}", f"design.samples={arguments.samples}"])
    design = draw(study)
    problems = [bare(sample_study(study, design, index).problem()) for index in range(arguments.samples)]
    arms = len(problems[0].arms)
    processor = SweepEngine()
    steps = processor.choose_steps(bare(study.problem()))
    began = time.perf_counter()
    known = processor.run_many(problems[: arguments.compared], steps)
    core = (time.perf_counter() - began) / (arguments.compared * arms)
    console.print(f"{platform.machine()}, Python {platform.python_version()}, jax {jax.__version__}, {len(steps)} steps")
    console.print(f"one core, sparse: {core:.3g} s a scenario, compilation of some kernels included", style="bold")
    engine = SweepEngine(device="gpu", lanes=arguments.lanes)
    console.print(f"{jax.devices('gpu')[0].device_kind}, {arguments.lanes} lanes, block-tridiagonal solver", style="bold")
    for run in ("first run (compiles)", "second run"):
        for model, _ in engine._models.values():
            model.forget_persons()
        began = time.perf_counter()
        found = engine.run_many(problems, steps, lambda done: console.print(f"  {done} runs of {len(problems) * arms}"))
        taken = time.perf_counter() - began
        failed = sum(record.failure is not None for records in found for record in records)
        console.print(
            f"{run}: {taken:.1f} s, {taken / (len(problems) * arms):.3g} s a scenario; {failed} failed; "
            f"largest difference from the core: {difference(known, found):.1e}"
        )


if __name__ == "__main__":
    main()
