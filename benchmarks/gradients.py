"""Cost of a gradient of the sweep engine in forward runs, at once by every number of the scenario.

    OMP_NUM_THREADS=1 python benchmarks/gradients.py [--scenario both] [--mesh-level 2] [--duration "10 year"] [--repeats 3]

The scenario is one of experiments/cells_vs_gene. Times are processor times (s) after everything is compiled; a forward run seeks
its prestress, as that of a new disc does.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import discsim as ds
from discsim.problem.problem import YEAR
from discsim.study.gradient import DifferentiableRun
from discsim.sweep.engine import SweepEngine

EXPERIMENT = Path(__file__).resolve().parents[1] / "experiments" / "cells_vs_gene" / "study.toml"
READOUTS = ("gag_nucleus", "disc_height", "glucose_min")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Cost of a gradient in forward runs.")
    parser.add_argument("--scenario", default="both", help="untreated, cells, gene or both")
    parser.add_argument("--mesh-level", type=int, default=2, choices=(1, 2, 3))
    parser.add_argument("--duration", default="10 year")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    times = f'output.times=["0 year", "{given.duration}"]'
    study = ds.read_study(EXPERIMENT, (f"disc.mesh_level={given.mesh_level}", f"duration={given.duration}", times))
    engine, problem = SweepEngine(), study.problem()
    steps, end = engine.choose_steps(problem), problem.output_times[-1]
    compiled = DifferentiableRun(study, given.scenario, engine, steps)
    compiled.lane_gradient(READOUTS[0], end)
    arm = compiled.arm
    plain, noted, back = [], [], []
    for _ in range(given.repeats):
        run = engine.batch(problem, arm)
        run.model.forget_persons()
        plain.append(_seconds(functools.partial(run.follow, [steps])))
        began = time.process_time()
        differentiable = DifferentiableRun(study, given.scenario, engine, steps)
        noted.append(time.process_time() - began)
        back += [_seconds(functools.partial(differentiable.lane_gradient, name, end)) for name in READOUTS]
    forward = statistics.median(plain)
    print(f"{given.scenario}, {end / YEAR:g} year, mesh level {given.mesh_level}, {len(steps)} steps; median of {given.repeats}")
    backward = statistics.median(back)
    print(f"run forward {forward:.2f} s; with notes for the way back {statistics.median(noted):.2f} s")
    print(f"run back, all numbers, one readout {backward:.2f} s: {backward / forward:.2f} forward runs")


def _seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main()
