"""Whether the stated discretisation error bounds the change at the next finer mesh, for every readout, arm and time."""

from __future__ import annotations

import dataclasses

import numpy as np

from discsim.disc.disc import Disc
from discsim.fem.engine import FemEngine
from discsim.scenario.scenario import Scenario
from discsim.scenario.therapy import GeneTherapy, StemCellInjection
from discsim.study.discretisation import estimate
from discsim.study.study import Study
from discsim.vv.registry import Case, Row


def therapy_study(mesh_level: int) -> Study:
    """Untreated, cells, gene and both at grade III, ten years, on one mesh level."""
    base = Scenario(Disc.preset("L4-L5", grade=3, mesh_level=mesh_level))
    cells, gene = base.with_therapy(StemCellInjection()), base.with_therapy(GeneTherapy())
    return Study({"untreated": base, "cells": cells, "gene": gene, "both": cells.with_therapy(GeneTherapy())}, field_times=())


def stated_error_bounds_finer_mesh() -> list[Row]:
    """Change of every readout from mesh 2 to mesh 3 on one step list, against the error stated from meshes 1 and 2."""
    engine, study = FemEngine(), therapy_study(2)
    records = engine.run(study.problem())
    stated = estimate(study, records, engine)
    problem = therapy_study(3).problem()
    finer = {record.name: record for record in engine.run(problem, steps=tuple(records[0].times[1:]))}
    rows = []
    for record in records:
        for readout in problem.readouts:
            index = [int(np.argmin(np.abs(np.array(record.times) - t))) for t in problem.output_times]
            now = np.array(record.readouts[readout.name])[index]
            then = np.array(finer[record.name].readouts[readout.name])[index]
            error, change = stated[record.name][readout.name], float(np.abs(now - then).max())
            share = 100.0 * error / float(np.abs(now).max())
            rows.append(
                Row(
                    f"mesh3.{record.name}.{readout.name}",
                    f"change at mesh 3 of {readout.description} ({record.name})",
                    readout.unit,
                    change,
                    0.0,
                    0.0,
                    error,
                    "verification",
                    f"stated error {error:.3g} ({share:.2f} %)",
                )
            )
    return rows


def time_order() -> list[Row]:
    """Order in time of the coupled scheme: untreated grade III on mesh 1, equal steps of a year, halved twice."""
    base = Scenario(Disc.preset("L4-L5", grade=3, mesh_level=1))
    study = Study({"untreated": base}, readouts=("viable_cells", "gag_nucleus", "disc_height"), field_times=())
    values = []
    for count in (10, 20, 40):
        steps = tuple(base.seconds * (i + 1) / count for i in range(count))
        # the list is what is tested: the step control must not cut it
        problem = dataclasses.replace(study.problem(), steps=dataclasses.replace(study.steps, tolerance=1e6))
        record = FemEngine().run(problem, steps=steps)[0]
        values.append({name: series[-1] for name, series in record.readouts.items()})
    rows = []
    for name in study.readouts:
        first, second = values[0][name] - values[1][name], values[1][name] - values[2][name]
        order = float(np.log2(abs(first / second)))
        rows.append(Row(f"time_order.{name}", f"order in time, {name}", "1", order, 1.0, 0.8, 1.2, "verification"))
    return rows


CASES = [
    Case(
        "stated_error", "discretisation", "the stated discretisation error bounds the change at mesh 3",
        stated_error_bounds_finer_mesh, slow=True,
    ),
    Case("time_order", "discretisation", "the coupled scheme is of first order in time, as claimed", time_order),
]  # fmt: skip
