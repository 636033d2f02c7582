"""The sweep engine against the reference engine: the same samples, arms and step lists, every readout at every time.

Both solve the same equations on the same mesh, so what is left is where Newton's method stops and where an arm cuts a step.
Numbers agree within 0.1 %; lowest and highest concentrations and pH within 0.005 of their unit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from discsim.fem.engine import FemEngine
from discsim.problem.engine import Engine
from discsim.problem.problem import Problem
from discsim.problem.record import ArmRecord
from discsim.problem.steps import steps_through
from discsim.study.config import read_study
from discsim.study.design import draw, sample_study
from discsim.sweep.engine import SweepEngine
from discsim.vv.registry import Case, Row
from discsim.vv.shipped import shipped_experiment

RELATIVE, ABSOLUTE = 1e-3, 0.005


def samples_of_the_experiment(count: int, mesh_level: int, years: float) -> tuple[Problem, list[Problem]]:
    """The shipped experiment at its nominal values, and the first samples of its own design; a shorter one where asked."""
    experiment = shipped_experiment()
    times = ", ".join(f'"{share * years:g} year"' for share in (0.0, 0.1, 0.5, 1.0))
    changes = [f"disc.mesh_level={mesh_level}", f"design.samples={count}", "check.samples=1"]
    study = read_study(experiment, [*changes, f'duration="{years:g} year"', f"output.times=[{times}]"])
    design = draw(study)
    return _bare(study.problem()), [_bare(sample_study(study, design, i).problem()) for i in range(count)]


def _bare(problem: Problem) -> Problem:
    return dataclasses.replace(problem, field_times=())


def both(sweep: SweepEngine, problems: Sequence[Problem], steps: tuple[float, ...]) -> list[list[tuple[ArmRecord, ArmRecord]]]:
    """(reference, sweep) records of every arm of every sample, on one step list that also hits each sample's own events."""
    found = sweep.run_many(problems, steps)
    reference: Engine = FemEngine()
    pairs = []
    for problem, records in zip(problems, found, strict=True):
        pairs.append(list(zip(reference.run(problem, steps=steps_through(steps, problem)), records, strict=True)))
    return pairs


def differences(problem: Problem, reference: ArmRecord, found: ArmRecord) -> dict[str, float]:
    """Largest difference of every readout over all times: relative, or for extremes in the readout's unit.

    Raises ``ValueError`` where the two records are not of the same times.
    """
    if reference.times != found.times or not reference.times:
        raise ValueError(f"{reference.name}: the two engines wrote other times")
    worst = {}
    for readout in problem.readouts:
        a, b = np.array(reference.readouts[readout.name]), np.array(found.readouts[readout.name])
        off = np.abs(b - a) if readout.kind == "extremum" else np.abs(b - a) / np.abs(a)
        worst[readout.name] = float(off.max())
    return worst


def largest(every: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The largest of each, over samples and arms."""
    return {name: max(one[name] for one in every) for name in every[0]}


def trajectories(count: int, mesh_level: int, years: float, sweep: SweepEngine | None = None) -> list[Row]:
    """All arms of some samples of the shipped experiment, in both engines on the list of the sweep's own pilot."""
    nominal, problems = samples_of_the_experiment(count, mesh_level, years)
    sweep = sweep or SweepEngine()
    pairs = both(sweep, problems, sweep.choose_steps(nominal))
    done = [pair for sample in pairs for pair in sample if all(record.status.good for record in pair)]
    alike = sum(a.status.good == b.status.good for sample in pairs for a, b in sample)
    arms = float(count * len(nominal.arms))
    rows = [
        Row("sweep.done", "runs that end well in both engines", "1", float(len(done)), arms, arms, arms, "verification"),
        Row("sweep.status", "runs that end alike in both engines", "1", float(alike), arms, arms, arms, "verification"),
    ]
    worst = largest([differences(nominal, *pair) for pair in done])
    for readout in nominal.readouts:
        extreme = readout.kind == "extremum"
        quantity = f"{readout.name}: largest {'difference' if extreme else 'relative difference'}, all samples, arms and times"
        unit, bar = (readout.unit, ABSOLUTE) if extreme else ("1", RELATIVE)
        rows.append(Row(f"sweep.{readout.name}", quantity, unit, worst[readout.name], 0.0, None, bar, "verification"))
    return rows


CASES = [
    Case(
        "sweep_trajectories",
        "sweep",
        "both engines, 16 samples, 10 years, default mesh",
        lambda: trajectories(16, 2, 10.0),
        slow=True,
    ),
]
