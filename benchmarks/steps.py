"""What the step list costs and what it leaves: errors of all readouts at the output times against a far finer list.

    python benchmarks/steps.py [--mesh-level 2] [--tolerances 0.005 0.02]

The arms of experiments/cells_vs_gene in the sweep engine, on one core; processor time after
compilation. Nothing here is asserted.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from pathlib import Path

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
os.environ["OMP_NUM_THREADS"] = "1"
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import numpy as np
from rich.console import Console
from rich.table import Table

from discsim.problem.problem import Problem, StepRule
from discsim.problem.record import ArmRecord
from discsim.study.config import read_study
from discsim.sweep.engine import SweepEngine

EXPERIMENT = Path(__file__).resolve().parents[1] / "experiments" / "cells_vs_gene" / "study.toml"


def solved(engine: SweepEngine, problem: Problem, rule: StepRule) -> tuple[int, float, list[ArmRecord]]:
    """Number of steps that a rule gives, seconds per arm, and the records."""
    problem = dataclasses.replace(problem, steps=rule)
    steps = engine.choose_steps(problem)
    began = time.process_time()
    records = engine.run_many([problem], steps)[0]
    return len(steps), (time.process_time() - began) / len(records), records


def errors(records: list[ArmRecord], fine: list[ArmRecord], times: tuple[float, ...]) -> dict[str, tuple[float, str]]:
    """By readout the largest relative error at the output times, and the arm it belongs to."""
    found: dict[str, tuple[float, str]] = {}
    for record, exact in zip(records, fine, strict=True):
        for name in record.readouts:
            given, wanted = (
                np.array([r.readouts[name][int(np.abs(np.array(r.times) - t).argmin())] for t in times]) for r in (record, exact)
            )
            found[name] = max(found.get(name, (0.0, "")), (float(np.max(np.abs(given / wanted - 1.0))), record.name))
    return found


def main() -> None:
    """Read the arguments and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mesh-level", type=int, default=2)
    parser.add_argument("--tolerances", type=float, nargs="+", default=[0.005, 0.02])
    given = parser.parse_args()
    problem = read_study(EXPERIMENT, overrides=(f"disc.mesh_level={given.mesh_level}",)).problem()
    problem = dataclasses.replace(problem, field_times=())
    engine = SweepEngine()
    rule = dataclasses.replace(problem.steps, tolerance=5e-3)
    solved(engine, problem, rule)  # compiles
    count, _, fine = solved(engine, problem, rule.halved().halved())
    table = Table(title=f"largest relative error against {count} steps (arm)")
    found = [solved(engine, problem, dataclasses.replace(rule, tolerance=tolerance)) for tolerance in given.tolerances]
    table.add_column("readout")
    for tolerance, (steps, seconds, _) in zip(given.tolerances, found, strict=True):
        table.add_column(f"tolerance {tolerance:g}: {steps} steps, {seconds:.2f} s")
    columns = [errors(records, fine, problem.output_times) for _, _, records in found]
    for readout in problem.readouts:
        table.add_row(readout.name, *(f"{column[readout.name][0]:.1e} ({column[readout.name][1]})" for column in columns))
    Console().print(table)


if __name__ == "__main__":
    main()
