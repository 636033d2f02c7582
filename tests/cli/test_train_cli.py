"""``discsim train`` and ``--engine reduced`` given what they cannot work with: one clear line and the right exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from discsim.cli import app

SHIPPED = Path(__file__).resolve().parents[2] / "experiments" / "cells_vs_gene" / "study.toml"


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shipped experiment, and a cache without any training."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = tmp_path / "study.toml"
    file.write_text(SHIPPED.read_text().replace("[design.vary]", "[design.vary]\n# more\n"))
    return file


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def one_line(done: Result) -> str:
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and "Traceback" not in done.stderr
    return lines[0]


def test_report_without_a_training(study: Path) -> None:
    done = call("train", study, "--report")
    assert done.exit_code == 3
    assert "no reduced model of this study; discsim train makes one" in one_line(done)


@pytest.mark.parametrize(
    "moving",
    ['"disc.height" = { low = "8 mm", high = "9 mm" }', '"scenarios.cells.therapy.0.at" = { low = "1 day", high = "9 day" }'],
)
def test_what_moves_mesh_or_calendar_is_refused(study: Path, moving: str) -> None:
    study.write_text(study.read_text().replace("# more", moving))
    done = call("train", study)
    assert done.exit_code == 2
    assert "move neither the mesh nor the calendar" in done.stderr and "--engine sweep" in done.stderr
    assert not list((study.parent / "cache").rglob("*.npz"))


def test_no_design(study: Path) -> None:
    study.write_text(study.read_text().partition("# What a sweep varies")[0])
    done = call("train", study)
    assert done.exit_code == 2 and "design" in done.stderr and "Traceback" not in done.stderr


def test_run_has_no_reduced_engine(study: Path) -> None:
    done = call("run", study, "--engine", "reduced", "--out", study.parent / "out")
    assert done.exit_code == 2 and "belongs to a study" in one_line(done)


def test_optimise_without_a_training(study: Path) -> None:
    goal = ("--scenario", "cells", "--maximise", "gag_nucleus@10 year", "--over", "scenarios.cells.therapy.0.dose")
    done = call("optimise", study, "--engine", "reduced", *goal)
    assert done.exit_code == 2 and "discsim train makes one" in one_line(done)
    done = call("optimise", study, "--engine", "fem", *goal)
    assert done.exit_code == 2 and "allowed: sweep, reduced" in one_line(done)
