"""A study of four arms and what an engine might have given for it, on the real coarse mesh: no engine is needed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from discsim.disc.disc import Disc
from discsim.problem.problem import YEAR, Problem
from discsim.problem.record import ArmRecord, FieldFrame
from discsim.problem.status import Failure, Status
from discsim.scenario.scenario import Scenario
from discsim.scenario.therapy import GeneTherapy, StemCellInjection
from discsim.study.study import Study

TIMES = (0.0, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0)  # years
# Value at the start and change per year of every readout of the synthetic records.
COURSES = {
    "viable_cells": (42.0, -0.8),
    "viable_cells_nucleus": (14.0, -0.5),
    "gag_nucleus": (240.0, -6.0),
    "disc_height": (8.5, -0.06),
    "nucleus_pressure": (0.21, -0.004),
    "glucose_min": (0.9, -0.01),
    "ph_min": (6.9, -0.004),
}
EFFECTS = {"untreated": 0.0, "cells": 0.35, "gene": 0.2, "both": 0.6}  # share of the fall that an arm is spared


def make_frame(problem: Problem, index: int, years: float) -> FieldFrame:
    """Fields with jumps between regions, and a disc that flattens and bulges."""
    mesh = problem.arms[index].mesh
    r, z = (mesh.points[mesh.cells][..., axis] for axis in (0, 1))
    region = np.repeat(mesh.cell_regions[:, None], 3, axis=1)
    depth = np.exp(-((r / 14.0) ** 2) - (z / 3.0) ** 2)
    fade = 1.0 - 0.02 * years * (1.0 - EFFECTS[problem.arms[index].name])
    corners = {
        "glucose": 4.0 - (3.0 + 0.01 * years) * depth,
        "ph": 7.1 - (0.3 + 0.004 * years) * depth,
        "cell_density": np.choose(region - 1, [2880.0, 4440.0, 4440.0, 10800.0]) * fade * (1.0 - 0.3 * depth),
        "gag": np.choose(region - 1, [43.0, 32.0, 21.0, 20.0]) * fade,
        "fixed_charge_density": np.choose(region - 1, [0.22, 0.17, 0.12, 0.125]) * fade,
        "stem_cells/undifferentiated": np.where(region == 1, 700.0, 0.0) * np.exp(-years) * (index in (1, 3)),
        "gene.TIMP3/product": np.where(region == 1, 20.0, 1.0) * depth * (index in (2, 3)),
    }
    points = mesh.points
    moved = np.column_stack([0.002 * years * points[:, 0] * (1.0 - (points[:, 1] / 5.0) ** 2), -0.006 * years * points[:, 1]])
    return FieldFrame(years * YEAR, corners, moved)


def make_record(problem: Problem, index: int, years: tuple[float, ...]) -> ArmRecord:
    """A finished arm whose readouts follow ``COURSES``, slowed by its effect."""
    arm = problem.arms[index]
    spared = 1.0 - EFFECTS[arm.name]
    readouts = {name: [start + slope * spared * t for t in years] for name, (start, slope) in COURSES.items()}
    ledger = {
        "cell_density:died": [1.0e5 * t for t in years],
        "stem_cells/undifferentiated:left": [2.0e4 * t for t in years],
        "gene.TIMP3/free_vector:left": [3.0e9 * t for t in years],
    }
    frames = [make_frame(problem, index, t) for t in sorted({*years[:1], *years[-1:]})]
    history = [{"time": t * YEAR, "dt": 0.5 * YEAR, "iterations": 4, "retried": False, "stage": "step"} for t in years[1:]]
    mesh = arm.mesh
    return ArmRecord(
        arm.name,
        [t * YEAR for t in years],
        readouts,
        ledger,
        frames,
        mesh.points,
        mesh.cells,
        mesh.cell_regions,
        Status.OK,
        history=history,
        seconds={"solve": 1.5},
    )


@pytest.fixture
def therapy_study() -> Study:
    """Untreated, cells, gene and both, Pfirrmann III, on the coarse mesh."""
    disc = Disc.preset("L4-L5", grade=3, mesh_level=1)
    untreated = Scenario(disc)
    cells, gene = StemCellInjection(dose="6e6 cell", volume="2 mL"), GeneTherapy(vector="scAAV6", transgene="TIMP3")
    scenarios = {
        "untreated": untreated,
        "cells": untreated.with_therapy(cells),
        "gene": untreated.with_therapy(gene),
        "both": untreated.with_therapy(cells, gene),
    }
    return Study(scenarios, title="Cells or genes at Pfirrmann III?", resolved='schema = "discsim/1"\n')


@pytest.fixture
def good_records(therapy_study: Study) -> list[ArmRecord]:
    """All four arms finished."""
    problem = therapy_study.problem()
    return [make_record(problem, index, TIMES) for index in range(4)]


@pytest.fixture
def failed_record(therapy_study: Study) -> Callable[[int, float], ArmRecord]:
    """An arm (by number) that did not converge after so many years (below zero: not even at the start)."""
    problem = therapy_study.problem()

    def make(index: int, years: float) -> ArmRecord:
        record = make_record(problem, index, tuple(t for t in TIMES if t <= years))
        record.status = Status.NONCONVERGED
        record.failure = Failure(
            Status.NONCONVERGED,
            "Newton stalled in the mechanics after 6 halvings",
            max(years, 0.0) * YEAR,
            "Try a finer mesh.",
        )
        return record

    return make
