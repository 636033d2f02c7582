"""Sweep engine against reference engine: cost per ten-year scenario, growth with the mesh, linear solvers, tolerances, gradients.

    python benchmarks/sweep.py [--mesh-level 1 2 3] [--arm both] [--repeats 2]

Both engines run the four arms of experiments/cells_vs_gene on the same step list with the same tolerances, in turn within one
process and on one core; times are processor time after compilation, prestress included. Nothing here is asserted.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

# one core for both engines, set before either makes its threads
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
os.environ["OMP_NUM_THREADS"] = "1"
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import numpy as np
from rich.console import Console
from rich.table import Table

from discsim.fem.disc_model import disc_model
from discsim.fem.engine import FemEngine
from discsim.problem.problem import SWEEP_TOLERANCES, Problem, Tolerances
from discsim.problem.record import ArmRecord
from discsim.study.config import read_study
from discsim.sweep.adjoint import Adjoint
from discsim.sweep.engine import SweepEngine

EXPERIMENT = Path(__file__).resolve().parents[1] / "experiments" / "cells_vs_gene" / "study.toml"


def timed(function: Callable[[], list[ArmRecord]], repeats: int) -> tuple[float, list[ArmRecord]]:
    """Median processor time of a run, s, and its records."""
    times, records = [], []
    for _ in range(repeats):
        start = time.process_time()
        records = function()
        times.append(time.process_time() - start)
    return statistics.median(times), records


def only(problem: Problem, names: tuple[str, ...], tolerances: Tolerances) -> Problem:
    """Some arms of a problem; fields are not kept."""
    arms = tuple(a for a in problem.arms if a.name in names)
    return dataclasses.replace(problem, arms=arms, tolerances=tolerances, field_times=())


def fem_run(problem: Problem, steps: tuple[float, ...]) -> list[ArmRecord]:
    """The reference engine, its prestress sought anew."""
    disc_model(problem, problem.arms[0])._prestress.clear()
    return FemEngine().run(problem, steps=steps)


def sweep_run(engine: SweepEngine, problem: Problem, steps: tuple[float, ...]) -> list[ArmRecord]:
    """The sweep engine, its prestress sought anew."""
    for model, _ in engine._models.values():
        model.forget_persons()
    return engine.run(problem, steps=steps)


def difference(one: list[ArmRecord], other: list[ArmRecord]) -> float:
    """Largest relative difference of any readout at any time."""
    worst = 0.0
    for a, b in zip(one, other, strict=True):
        for name, values in a.readouts.items():
            worst = max(worst, float(np.max(np.abs(np.array(values) / np.array(b.readouts[name]) - 1.0))))
    return worst


def engines(console: Console, levels: list[int], repeats: int) -> None:
    """Seconds per scenario of both engines on each mesh: all arms, which share one prestress in both, over their number."""
    table = Table(title="ten years, one core, same steps and tolerances")
    for column in ("mesh", "vertices", "reference s", "sweep s", "ratio", "largest difference"):
        table.add_column(column)
    for level in levels:
        problem = read_study(EXPERIMENT, overrides=(f"disc.mesh_level={level}",)).problem()
        engine = SweepEngine()
        steps = engine.choose_steps(problem)
        part = only(problem, tuple(arm.name for arm in problem.arms), SWEEP_TOLERANCES)
        fem_run(part, steps)
        sweep_run(engine, part, steps)
        reference, expected = timed(lambda part=part, steps=steps: fem_run(part, steps), repeats)
        swept, found = timed(lambda part=part, steps=steps, engine=engine: sweep_run(engine, part, steps), repeats)
        vertices, count = len(part.arms[0].mesh.points), len(part.arms)
        row = (level, vertices, f"{reference / count:.2f}", f"{swept / count:.2f}", f"{reference / swept:.2f}")
        table.add_row(*map(str, row), f"{difference(found, expected):.1e}")
    console.print(table)


def variants(console: Console, level: int, arm: str, repeats: int) -> None:
    """Linear solvers, tolerances, lanes and gradients of the sweep engine on one mesh."""
    problem = read_study(EXPERIMENT, overrides=(f"disc.mesh_level={level}",)).problem()
    engine = SweepEngine()
    steps = engine.choose_steps(problem)
    tight = only(problem, (arm,), Tolerances())
    sweep_run(engine, tight, steps)
    cost, exact = timed(lambda: sweep_run(engine, tight, steps), repeats)
    table = Table(title=f"sweep engine, mesh level {level}, arm {arm}")
    for column in ("variant", "s per scenario", "largest difference from tight tolerances"):
        table.add_column(column)
    table.add_row("sparse direct, tight tolerances", f"{cost:.2f}", "")
    loose = only(problem, (arm,), SWEEP_TOLERANCES)
    swept, found = timed(lambda: sweep_run(engine, loose, steps), repeats)
    table.add_row("sparse direct, tolerances of sweeps", f"{swept:.2f}", f"{difference(found, exact):.1e}")
    block = SweepEngine(linear_solver="block")
    sweep_run(block, loose, steps)
    swept, found = timed(lambda: sweep_run(block, loose, steps), 1)
    table.add_row("block-tridiagonal in JAX, tolerances of sweeps", f"{swept:.2f}", f"{difference(found, exact):.1e}")
    lanes = SweepEngine(lanes=4)
    lanes.run_many([loose] * 4, steps)
    start = time.process_time()
    found = lanes.run_many([loose] * 4, steps)[0]
    table.add_row(
        "4 lanes at once (the same disc)", f"{(time.process_time() - start) / 4:.2f}", f"{difference(found, exact):.1e}"
    )
    for repeat in range(2):  # the first compiles
        start = time.process_time()
        adjoint = Adjoint(engine.batch(tight, tight.arms[0]), tight, tight.arms[0], steps)
        adjoint.gradient("gag_nucleus", steps[-1])
        for model, _ in engine._models.values():
            model.rounds = None
        gradient = time.process_time() - start
        if repeat:
            table.add_row(
                "gradient of one readout by everything, forward run included", f"{gradient:.2f}", f"{gradient / cost:.2f} runs"
            )
    console.print(table)


def main() -> None:
    """Read the arguments and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mesh-level", type=int, nargs="+", default=[1, 2, 3], choices=(1, 2, 3))
    parser.add_argument("--arm", default="both", help="arm of the second table")
    parser.add_argument("--repeats", type=int, default=2)
    given = parser.parse_args()
    console = Console(width=130)
    console.print(f"{platform.machine()}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}")
    engines(console, given.mesh_level, given.repeats)
    variants(console, 2 if 2 in given.mesh_level else given.mesh_level[0], given.arm, given.repeats)


if __name__ == "__main__":
    main()
