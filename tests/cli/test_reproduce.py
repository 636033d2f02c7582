"""discsim reproduce: same numbers, other numbers, another experiment; what is kept and why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from discsim.cli import app
from discsim.study import study as study_module
from discsim.study.config import read_study
from discsim.study.reproduction import differences, read_golden
from discsim.study.result import Result as StoredResult

FAKES = Path(__file__).parents[1] / "fakes"
ENGINE = "quick_engine:QuickEngine"


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an experiment, and a command line that offers the quick engine."""
    monkeypatch.syspath_prepend(str(FAKES))
    import quick_engine

    monkeypatch.setattr(study_module, "ENGINES", (*study_module.ENGINES, ENGINE))
    (tmp_path / "study.toml").write_text(quick_engine.QUICK_STUDY)
    return tmp_path


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["reproduce", *(str(argument) for argument in arguments)])


def kept(experiment: Path, reason: str = "first") -> Path:
    done = call(experiment, "--engine", ENGINE, "--update", "--reason", reason)
    assert done.exit_code == 0, done.output
    return experiment / "golden.json"


def move(golden: Path, share: float) -> None:
    """Change one kept number by a share of it."""
    table = json.loads(golden.read_text())
    column = table["values"]["cells"]["viable_cells"]
    column[-1] += share * max(map(abs, column))
    golden.write_text(json.dumps(table))


def test_the_same_numbers(experiment: Path) -> None:
    assert kept(experiment).stat().st_size < 200_000
    done = call(experiment, "--tier", "T1")
    assert done.exit_code == 0, done.output
    assert "within tier T1" in done.stdout and "first" in done.stdout and "beyond" not in done.stdout


@pytest.mark.parametrize(("tier", "share", "code"), [("T1", 1e-12, 5), ("T2", 1e-6, 0), ("T2", 1e-4, 5), ("T3", 1e-4, 0)])
def test_other_numbers(tier: str, share: float, code: int, experiment: Path) -> None:
    move(kept(experiment), share)
    done = call(experiment, "--tier", tier)
    assert done.exit_code == code, done.output
    assert ("beyond the tier" in done.stdout) == (code == 5)
    told = json.loads(call(experiment, "--tier", tier, "--json").stdout)
    assert told["outside"] == (1 if code else 0) and told["same_experiment"] is True
    (worst,) = [row for row in told["rows"] if row["relative"] > 0.5 * share]
    assert (worst["arm"], worst["readout"]) == ("cells", "viable_cells")


def test_against_a_result_file(experiment: Path) -> None:
    """As the reviewer of a published experiment, who was sent its result.nc."""
    import quick_engine

    study = read_study(experiment / "study.toml")
    records = quick_engine.QuickEngine().run(study.problem())
    path = StoredResult.from_records(study, records).save(experiment / "theirs" / "result.nc")
    done = call(experiment, "--against", path, "--engine", ENGINE, "--tier", "T1")
    assert done.exit_code == 0, done.output
    assert "12 of 12 numbers within tier T1" in done.stdout
    records[1].readouts["viable_cells"][-1] *= 1.0 + 1e-4
    StoredResult.from_records(study, records).save(path, overwrite=True)
    done = call(experiment, "--against", path, "--engine", ENGINE)
    assert done.exit_code == 5 and "11 of 12" in done.stdout and "beyond the tier" in done.stdout


def test_another_status_is_a_mismatch(experiment: Path) -> None:
    golden = kept(experiment)
    golden.write_text(golden.read_text().replace('"cells": "ok"', '"cells": "nonconverged"'))
    done = call(experiment)
    assert done.exit_code == 5 and "cells: was nonconverged, is ok" in done.stdout


def test_another_experiment_is_told(experiment: Path) -> None:
    kept(experiment)
    assert "not the one whose numbers were kept" in call(experiment, "--set", "loading.active=0.3 MPa").stderr


def test_updates_keep_their_history(experiment: Path) -> None:
    move(kept(experiment, "first"), 1e-3)
    golden = read_golden(kept(experiment, "a better law"))
    assert [entry["reason"] for entry in golden.history] == ["first", "a better law"]
    assert float(golden.history[1]["largest_relative_change"]) == pytest.approx(1e-3, rel=0.02)
    assert all(entry["date"] and "discsim" in entry["code"] for entry in golden.history)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "no golden result"),
        (("--reason", "x"), "is for --update"),
        (("--update",), "say why the kept numbers change"),
        (("--update", "--reason", "x", "--set", "disc.grade=1"), "as it stands"),
        (("--tier", "T9"), "there is T1, T2, T3"),
    ],
)
def test_messages(options: tuple[str, ...], message: str, experiment: Path) -> None:
    done = call(experiment, *options)
    assert done.exit_code == 2 and message in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert not (experiment / "golden.json").exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": "discsim-golden/1"}', "\x00\xff"])
def test_damaged_golden_results(content: str, experiment: Path) -> None:
    (experiment / "golden.json").write_text(content, encoding="latin-1")
    done = call(experiment)
    assert done.exit_code == 2 and "golden.json" in done.stderr and "Traceback" not in done.output


def test_no_number_on_either_side_is_the_same_and_on_one_side_is_not(experiment: Path) -> None:
    golden = read_golden(kept(experiment))
    assert all(row.within for row in differences(golden, golden, "T1"))
    column = golden.values["cells"]["viable_cells"]
    before, column[0] = column[0], None
    assert all(row.within for row in differences(golden, golden, "T1"))
    whole = read_golden(experiment / "golden.json")
    assert whole.values["cells"]["viable_cells"][0] == before
    assert [row.years for row in differences(golden, whole, "T3") if not row.within] == [0.0]
