"""The stated discretisation error: from two meshes and two step lists, for every readout of every arm.

With readouts r of the run itself, of the next coarser mesh on the same step list, and of that coarser mesh with every step
halved,

    error = |r(mesh) - r(coarser)| + 2 |r(coarser, dt) - r(coarser, dt/2)|,   the largest over the times of the table.

The first term overstates the error of a scheme of order 2 in space about threefold; the second is the whole error of one of order
1 in time. Both extra runs are on the coarse mesh, so that they cost little beside the run itself.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

import numpy as np

from discsim.problem.engine import Engine, ProgressHook
from discsim.problem.record import ArmRecord

if TYPE_CHECKING:
    from discsim.study.study import Study


class NoEstimate(ValueError):
    """Why no error can be stated."""


def estimate(
    study: Study, records: list[ArmRecord], engine: Engine, progress: ProgressHook | None = None
) -> dict[str, dict[str, float]]:
    """Absolute error by arm and readout, in the readout's unit; raises ``NoEstimate`` with the reason where there is none."""
    for name, scenario in study.scenarios.items():
        if scenario.disc.mesh_name is not None or scenario.disc.mesh_level < 2:
            raise NoEstimate(f"{name}: needs a mesh of level 2 or 3, which has a coarser one")
    done = [record for record in records if record.status.good]
    if not done:
        raise NoEstimate("no arm ran to its end")
    steps = tuple(done[0].times[1:])
    coarse = dataclasses.replace(
        study,
        scenarios={
            name: dataclasses.replace(scenario, disc=dataclasses.replace(scenario.disc, mesh_level=scenario.disc.mesh_level - 1))
            for name, scenario in study.scenarios.items()
        },
        field_times=(),
    )
    problem = coarse.problem()
    same = {record.name: record for record in engine.run(problem, progress, steps)}
    half = {record.name: record for record in engine.run(problem, progress, halved(steps))}
    times = [t for t in problem.output_times if t <= steps[-1] * (1.0 + 1e-12)] or [steps[-1]]
    return {
        record.name: _errors(record, same[record.name], half[record.name], times)
        for record in done
        if same[record.name].status.good and half[record.name].status.good
    }


def halved(steps: tuple[float, ...]) -> tuple[float, ...]:
    """The list with the middle of every step added."""
    starts = (0.0, *steps[:-1])
    return tuple(itertools.chain.from_iterable((0.5 * (a + b), b) for a, b in zip(starts, steps, strict=True)))


def _errors(fine: ArmRecord, coarse: ArmRecord, half: ArmRecord, times: list[float]) -> dict[str, float]:
    errors = {}
    for name in fine.readouts:
        values = [_at(record, name, times) for record in (fine, coarse, half)]
        errors[name] = float(np.max(np.abs(values[0] - values[1]) + 2.0 * np.abs(values[1] - values[2])))
    return errors


def _at(record: ArmRecord, readout: str, times: list[float]) -> np.ndarray:
    """Values at steps that are hit exactly by every list."""
    indices = [int(np.argmin(np.abs(np.array(record.times) - t))) for t in times]
    return np.array(record.readouts[readout])[indices]
