"""The forecast of a sweep: whole batches, idle workers, and the check that comes on top."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import pytest
from rich.console import Console

from discsim.report.sweep_tables import print_plan
from discsim.study.config import read_study
from discsim.study.sweep_plan import SweepPlan, training_that_pays

EXPERIMENT = Path(__file__).resolve().parents[2] / "experiments" / "cells_vs_gene" / "study.toml"


def plan_of(samples: int, batch: int, workers: int, checked: int = 0) -> SweepPlan:
    """A forecast of samples that take 60 s each and a start of 30 s."""
    return SweepPlan(samples, 2, batch, 5, workers, 30.0, 60.0, checked, 120.0 if checked else None)


def words(plan: SweepPlan) -> str:
    """What is printed."""
    stream = io.StringIO()
    print_plan(plan, Console(file=stream, width=400))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("samples", "batch", "workers", "longest"),
    [
        (32, 16, 2, 16),  # two batches side by side
        (16, 16, 4, 16),  # one batch: three workers have nothing to do
        (40, 16, 2, 24),  # 16 and 16, then 8
        (48, 16, 2, 32),  # a third whole batch
        (60, 16, 3, 28),  # 16, 16, 16, then 12
        (56, 16, 2, 32),  # 16 and 16, then 16 beside 8
        (5, 1, 2, 3),
    ],
)
def test_forecast_counts_whole_batches(samples: int, batch: int, workers: int, longest: int) -> None:
    """A worker runs its batch alone: the time is that of the one that has most samples."""
    assert plan_of(samples, batch, workers).hours == pytest.approx((60.0 * longest + 30.0) / 3600.0)


def test_forecast_tells_the_check_and_idle_workers() -> None:
    plan = plan_of(16, 16, 4, checked=8)
    assert plan.check_hours == pytest.approx(2 * 120.0 / 3600.0) and plan.busy == 1
    text = words(plan)
    assert "1 batch of 16 samples keeps 1 of 4 workers busy; --batch 4 would give all of them work" in text
    assert "reruns 8 samples x 2 scenarios, about 4 min more (estimated)" in text and "--no-check" in text
    plain = words(plan_of(32, 16, 2))
    assert "check" not in plain and "--batch" not in plain and "memory" not in plain
    assert "about 2.5 MB on disk" in words(dataclasses.replace(plan_of(32, 16, 2), disk=2.5e6))
    told = words(dataclasses.replace(plan_of(32, 16, 2), memory=1.25))
    assert "a process held up to 1.2 GiB of memory, 2.5 GiB in all with 2 workers (--memory limits each)" in told


def test_forecast_of_a_large_sweep_names_the_reduced_engine(tmp_path: Path) -> None:
    """Only where a reduced model of the study can be made, and where it would pay."""
    assert "--engine reduced" not in words(plan_of(32, 16, 2))
    assert "--engine reduced: 60 samples at full order once" in words(dataclasses.replace(plan_of(512, 16, 2), training=60))
    text = EXPERIMENT.read_text()
    assert "[design.vary]" in text
    file = tmp_path / "study.toml"
    file.write_text(text)
    study = read_study(file, ["disc.mesh_level=1"])
    assert training_that_pays(study, "sweep", "cpu", 256) == 60
    assert training_that_pays(study, "sweep", "cpu", 64) == 0
    assert training_that_pays(study, "reduced", "cpu", 256) == 0 and training_that_pays(study, "sweep", "gpu", 256) == 0
    file.write_text(
        text.replace("[design.vary]", '[design.vary]\n"scenarios.cells.therapy.0.at" = { low = "0 day", high = "30 day" }')
    )
    moving = read_study(file, ["disc.mesh_level=1"])
    assert training_that_pays(moving, "sweep", "cpu", 256) == 0
