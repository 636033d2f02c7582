"""Cost of one ten-year scenario: build, start and run of the reference engine, and what its lagged Newton saves.

    python benchmarks/scenario.py [--scenario both] [--mesh-level 2] [--duration "10 year"] [--repeats 3]

The scenario is one of experiments/cells_vs_gene, with that file's settings. Every time but
that of the first build is taken after the forms are compiled.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

import discsim as ds
from discsim.fem import lower
from discsim.fem.backend import dolfinx
from discsim.fem.disc_model import DiscModel, disc_model
from discsim.fem.run_arm import ArmRun
from discsim.problem.problem import Problem
from discsim.problem.record import ArmRecord
from discsim.study.environment import cache_folder

EXPERIMENT = Path(__file__).resolve().parents[1] / "experiments" / "cells_vs_gene" / "study.toml"
# Other numbers of every kind: supply, turnover, load.
OTHER_VALUES = {
    "nutrition.endplate_clearance": "2e-4 mm/s",
    "matrix_turnover.gag_loss_rate": "0.07 1/year",
    "loading.active": "0.29 MPa",
}


@dataclasses.dataclass(frozen=True)
class Cost:
    """What one run took: wall and processor time (s) of start and steps, and what the solvers did."""

    start: float
    wall: float
    processor: float
    steps: int
    cuts: int
    iterations: int
    factorisations: int
    record: ArmRecord


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    jax.config.update("jax_enable_x64", True)  # as the engine does at its door, which is not passed here
    problem, other = _problems(arguments)
    first, cold = _timed(lambda: disc_model(problem, problem.arms[0]))
    files, traces = _cache_files(), lower.traces
    _, build = _timed(lambda: DiscModel(other.arms[0].mesh, other, other.arms[0]))
    built = f"{files} -> {_cache_files()} files in the form cache, {traces} -> {lower.traces} traces"
    console = Console() if Console().is_terminal else Console(width=130)
    console.print(f"{arguments.scenario}, {arguments.duration}, mesh level {arguments.mesh_level}: {_size(first)}")
    console.print(
        f"Python {platform.python_version()}, DOLFINx {dolfinx.__version__}, jax {jax.__version__}, {platform.machine()}"
    )
    console.print(f"first build {cold:.2f} s (compiles what the cache lacks)")
    console.print(f"build anew with other values, forms compiled, {build:.2f} s: {built}")

    steps: tuple[float, ...] = ()

    def pilot(run: ArmRun) -> ArmRecord:
        nonlocal steps
        steps = run.choose_steps(_silent)
        return run.record

    piloted = _measure(problem, pilot)
    costs: dict[str, list[Cost]] = {"pilot chooses the steps": [piloted]}
    for _ in range(arguments.repeats):  # in turn, so that a slow moment of the machine meets both
        costs.setdefault("given steps, lagged", []).append(_measure(problem, lambda run: run.follow(steps, _silent)))
        with _always_refactored(disc_model(problem, problem.arms[0])):
            costs.setdefault("given steps, always refactored", []).append(
                _measure(problem, lambda run: run.follow(steps, _silent))
            )
    lagged, always = costs["given steps, lagged"], costs["given steps, always refactored"]
    _check_refactored(always)
    files, traces = _cache_files(), lower.traces
    costs["given steps, other values"] = [_measure(other, lambda run: run.follow(steps, _silent))]
    console.print(_table(costs))
    _print_newton(lagged, always, console)
    ran = f"{files} -> {_cache_files()} files in the form cache, {traces} -> {lower.traces} traces"
    console.print(f"run of the model in memory with other values: {ran}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Cost of one scenario of experiments/cells_vs_gene.")
    parser.add_argument("--scenario", default="both", help="untreated, cells, gene or both")
    parser.add_argument("--mesh-level", type=int, default=2, choices=(1, 2, 3))
    parser.add_argument("--duration", default="10 year")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each kind of Newton; the median is shown")
    arguments = parser.parse_args()
    if arguments.repeats < 1:
        parser.error("--repeats: at least 1")
    return arguments


def _problems(arguments: argparse.Namespace) -> tuple[Problem, Problem]:
    """The scenario as the file has it, and with other parameter values."""
    study = ds.read_study(EXPERIMENT, (f"disc.mesh_level={arguments.mesh_level}",))
    if arguments.scenario not in study.scenarios:
        raise SystemExit(f"--scenario {arguments.scenario}: there are {', '.join(study.scenarios)}")
    scenario = study.scenarios[arguments.scenario].with_duration(arguments.duration)
    alone, changed = (
        dataclasses.replace(study, scenarios={arguments.scenario: s}).problem()
        for s in (scenario, scenario.with_parameters(OTHER_VALUES))
    )
    return alone, changed


def _measure(problem: Problem, run: Callable[[ArmRun], ArmRecord]) -> Cost:
    """One run on the model in memory; raises ``RuntimeError`` where it fails, since its cost would mean nothing."""
    model = disc_model(problem, problem.arms[0])
    before = _counts(model)
    wall, processor = time.perf_counter(), time.process_time()
    record = run(ArmRun(model, problem, problem.arms[0]))
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    if not record.status.good:
        raise RuntimeError(f"{record.name}: {record.failure}")
    iterations, factorisations = (after - old for after, old in zip(_counts(model), before, strict=True))
    start, cuts = record.seconds["start"], record.history[-1]["cuts"]
    return Cost(start, wall, processor, len(record.history), cuts, iterations, factorisations, record)


def _counts(model: DiscModel) -> tuple[int, int]:
    solvers = model.solvers()
    return sum(s.iterations for s in solvers), sum(s.factorisations for s in solvers)


@contextlib.contextmanager
def _always_refactored(model: DiscModel) -> Iterator[None]:
    """Newton as in the textbook: a bound below zero, which no residual meets, asks for a new factor in every iteration."""
    usual = {solver: solver._slow for solver in model.solvers()}
    for solver in usual:
        solver._slow = -1.0
    try:
        yield
    finally:
        for solver, slow in usual.items():
            solver._slow = slow


def _check_refactored(costs: list[Cost]) -> None:
    if any(cost.factorisations < cost.iterations for cost in costs):
        raise RuntimeError("Newton kept a factor although it was told not to: the comparison means nothing")


def _table(costs: dict[str, list[Cost]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("run")
    for name in ("start s", "wall s", "cpu s", "steps", "cuts", "iterations", "factorisations"):
        table.add_column(name, justify="right")
    for name, runs in costs.items():
        seconds = (_median(runs, "start"), _median(runs, "wall"), _median(runs, "processor"))
        last = runs[-1]
        numbers = (last.steps, last.cuts, last.iterations, last.factorisations)
        table.add_row(name, *(f"{value:.2f}" for value in seconds), *map(str, numbers))
    return table


def _print_newton(lagged: list[Cost], always: list[Cost], console: Console) -> None:
    """How much longer Newton takes with a new factor in every iteration, and how far the answers lie apart."""
    ratio = _median(always, "processor") / _median(lagged, "processor")
    pairs = [a.processor / b.processor for a, b in zip(always, lagged, strict=True)]
    apart = max(_apart(a.record, b.record) for a, b in zip(always, lagged, strict=True))
    console.print(
        f"always refactored over lagged: {ratio:.2f} in processor time (pairs {min(pairs):.2f} to {max(pairs):.2f}); "
        f"readouts differ by {apart:.1e} of their largest value at most"
    )


def _median(costs: list[Cost], what: str) -> float:
    return statistics.median(getattr(cost, what) for cost in costs)


def _apart(one: ArmRecord, other: ArmRecord) -> float:
    """Largest difference of a readout over the largest size it has."""
    return max(
        float(np.abs(np.array(values) - np.array(other.readouts[name])).max() / max(np.abs(values).max(), 1e-300))
        for name, values in one.readouts.items()
    )


def _cache_files() -> int:
    return sum(1 for path in cache_folder().rglob("*") if path.is_file())


def _size(model: DiscModel) -> str:
    return f"{model.spaces.positions().shape[0]} vertices, {len(model.spaces.regions)} cells"


def _timed[T](action: Callable[[], T]) -> tuple[T, float]:
    begin = time.perf_counter()
    result = action()
    return result, time.perf_counter() - begin


def _silent(now: float, dt: float, step: int) -> None:
    """No progress: printing is not measured."""


if __name__ == "__main__":
    main()
