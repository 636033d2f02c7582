"""The command line: exit codes, messages, and a small run from file to table."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from discsim.cli import app
from discsim.cli_tables import owners, parameter_rows
from discsim.quantities.fields import SHARED_FIELDS

ROOT = Path(__file__).parents[2]
TINY = """
schema = "discsim/1"
title = "tiny"
duration = "20 day"
[disc]
preset = "L4-L5"
grade = 3
mesh_level = 1
[scenarios.untreated]
[[scenarios.cells.therapy]]
kind = "stem_cell_injection"
dose = "6e6 cell"
volume = "2 mL"
carrier = "hyaluronic_acid"
at = "5 day"
"""


def call(*arguments: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(app, list(arguments))


def python(code: str, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-c", code, *arguments], cwd=cwd, env=environment, capture_output=True, text=True)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A small experiment file."""
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


def test_validate_says_what_is_in_the_file(tiny: Path) -> None:
    done = call("validate", str(tiny))
    assert done.exit_code == 0
    assert done.stdout == "ok: 2 scenarios (untreated, cells), 20 day\n"


def test_five_planted_mistakes_give_five_messages_and_exit_2() -> None:
    done = call("validate", str(ROOT / "tests/data/bad_five.toml"))
    assert done.exit_code == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 5


def test_validate_imports_no_jax(tiny: Path) -> None:
    code = (
        "import sys\nfrom discsim.cli import app\n"
        "try:\n    app(['validate', sys.argv[1]])\nexcept SystemExit as end:\n    code = end.code\n"
        "print(code, 'jax' in sys.modules, 'dolfinx' in sys.modules)"
    )
    done = python(code, tiny.parent, str(tiny))
    assert done.stdout.splitlines()[-1] == "0 False False", done.stderr


def test_override_goes_through_the_same_checks(tiny: Path) -> None:
    assert call("validate", str(tiny), "--set", "disc.grade=1").exit_code == 0
    done = call("validate", str(tiny), "--set", "scenarios.cells.therapy.0.dose=6 mm")
    assert done.exit_code == 2
    assert "scenarios.cells.therapy.0.dose" in done.stderr


@pytest.mark.parametrize("grade", ["1", "3"])
def test_params_lists_every_parameter_with_unit_bounds_source_and_evidence(grade: str) -> None:
    done = call("params", "--format", "csv", "--grade", grade)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    declared = {(owner, name) for owner, cls in owners().items() for name in cls.parameters()}
    assert {(row["owner"], row["parameter"]) for row in rows} == declared
    for row in rows:
        assert row["unit"] and row["source"] and row["description"]
        assert row["evidence"] in ("measured", "model", "recalled", "assumed")
        slack = 1e-9 * abs(float(row["high"]))
        assert float(row["low"]) - slack <= float(row["value"]) <= float(row["high"]) + slack


def test_params_shows_what_a_grade_changes() -> None:
    by_grade = {g: {(r.owner, r.parameter, r.region): r for r in parameter_rows(g)} for g in (1, 3)}
    key = ("materials", "fixed_charge_density", "NP")
    assert (by_grade[1][key].value, by_grade[3][key].value) == (pytest.approx(0.29), pytest.approx(0.22))
    assert by_grade[3][("nutrition", "endplate_clearance", "")].evidence == "assumed"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("params", "--grade", "9"), "--grade"),
        (("params", "--format", "yaml"), "neither table nor csv"),
        (("params", "--mechanism", "nutritoin"), "'nutritoin' is not known"),
        (("vv", "run", "nonsense"), "'nonsense' is no case or group"),
        (("show", "nowhere.nc"), "nowhere.nc"),
        (("validate", "nowhere.toml"), "nowhere.toml"),
    ],
)
def test_wrong_arguments_give_one_line_and_exit_2(arguments: tuple[str, ...], message: str) -> None:
    done = call(*arguments)
    assert done.exit_code == 2
    assert message in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_mechanisms_and_fields_list_the_catalogue() -> None:
    text = call("mechanisms").stdout
    assert all(name in text for name in ("nutrition", "cell_fate", "matrix_turnover", "stem_cells", "gene_expression"))
    listed = call("fields").stdout
    assert all(name in listed for name in SHARED_FIELDS)


def test_existing_result_is_refused_before_anything_is_computed(tiny: Path) -> None:
    (tiny.parent / "o").mkdir()
    (tiny.parent / "o/result.nc").write_text("kept")
    done = call("run", str(tiny), "--out", str(tiny.parent / "o"))
    assert done.exit_code == 2
    assert "--force" in done.stderr
    assert (tiny.parent / "o/result.nc").read_text() == "kept"


@pytest.mark.fem
def test_run_and_show(tiny: Path) -> None:
    folder = tiny.parent / "o"
    done = call("run", str(tiny), "--out", str(folder))
    assert done.exit_code == 0, done.output
    assert "1/3 cells (choosing steps)" in done.stdout
    assert "no discretisation error is stated" in done.stdout  # mesh level 1 has no coarser one
    assert {"result.nc", "time_courses.png", "fields_untreated.png", "fields_cells.png"} <= {p.name for p in folder.iterdir()}
    shown = call("show", str(folder))
    assert shown.exit_code == 0
    assert shown.stdout.strip() in done.stdout
    rows = list(csv.DictReader(io.StringIO(call("show", str(folder), "--csv", "-").stdout)))
    assert {row["scenario"] for row in rows} == {"untreated", "cells"}
    assert all(row["status"] == "ok" for row in rows)


@pytest.mark.fem
def test_a_failing_arm_gives_exit_3_and_keeps_the_others(tiny: Path) -> None:
    folder = tiny.parent / "o"
    text = TINY + '\n[[scenarios.crushed.events]]\nat = "2 day"\nset = { "loading.active" = "0.6 MPa", "loading.rest" = "0.2 MPa" }\n'
    text += "[scenarios.crushed.set]\n"
    for region, charge in {"NP": 0.05, "inner_AF": 0.05, "outer_AF": 0.04, "CEP": 0.05}.items():
        text += f'"materials.fixed_charge_density.{region}" = "{charge} mEq/mL"\n'
    tiny.write_text(text)
    done = call("run", str(tiny), "--out", str(folder))
    assert done.exit_code == 3, done.output
    table = call("show", str(folder)).stdout
    assert "last good time" in table
    rows = list(csv.DictReader(io.StringIO(call("show", str(folder), "--csv", "-").stdout)))
    status = {row["scenario"]: row["status"] for row in rows}
    assert status["untreated"] == status["cells"] == "ok"
    assert status["crushed"] in ("nonconverged", "unphysical")


def test_missing_engine_gives_exit_4_with_a_remedy(tiny: Path) -> None:
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['dolfinx', 'dolfinx_solver', 'ufl', 'basix', 'petsc4py', 'mpi4py']))\n"
        "from discsim.cli import app\napp(['run', sys.argv[1]])"
    )
    done = python(code, tiny.parent, str(tiny))
    assert done.returncode == 4
    assert "pip install 'discsim[fem]'" in done.stderr and "Traceback" not in done.stderr


def test_interruption_gives_exit_130_and_writes_nothing(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("discsim.cli._solve", interrupted)
    done = call("run", str(tiny), "--out", str(tiny.parent / "o"))
    assert done.exit_code == 130
    assert not (tiny.parent / "o").exists()


def test_unexpected_error_is_one_line_unless_debug(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a hole\nin the floor")

    monkeypatch.setattr("discsim.cli._solve", broken)
    done = call("run", str(tiny), "--out", str(tiny.parent / "o"))
    assert done.exit_code == 1
    assert done.stderr.startswith("RuntimeError: a hole\n") and "--debug" in done.stderr
    assert isinstance(call("--debug", "run", str(tiny), "--out", str(tiny.parent / "o")).exception, RuntimeError)


@pytest.mark.fem
def test_doctor() -> None:
    done = call("doctor")
    assert done.exit_code == 0, done.output
    assert "forms compile" in done.stdout and "float64" in done.stdout
