"""The command line: exit codes, messages, and a small run from file to table."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import discsim
from discsim.cli import _interruptible, app
from discsim.quantities.fields import DRIVES, SHARED_FIELDS
from discsim.study.catalogue import OWNERS, declared_parameters, mechanism_entries
from discsim.study.environment import cache_folder, checks, compiler
from discsim.study.result import Result as StoredResult
from discsim.vv.registry import Case, Row, groups

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


def test_validate_writes_out_what_a_file_leaves_to_defaults(tiny: Path) -> None:
    done = call("validate", str(tiny), "--resolved", "--set", "loading.active=300 kPa")
    assert done.exit_code == 0, done.output
    table = tomllib.loads(done.stdout)
    assert table["loading"]["active"] == "300 kPa" and table["disc"]["height"].endswith(" mm")
    assert table["scenarios"]["cells"]["therapy"][0]["dose"] == "6e6 cell"
    again = tiny.with_name("resolved.toml")
    again.write_text(done.stdout)
    assert call("validate", str(again), "--resolved").stdout == done.stdout, "it stands for the same study"
    assert call("validate", str(tiny), "--resolved", "--set", "loading.active=0.5 mm").stdout == ""


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


def test_a_time_after_the_end_says_what_to_set(tiny: Path) -> None:
    done = call("validate", str(tiny), "--set", 'output.times=["0 day", "1 year"]')
    assert done.exit_code == 2
    assert "set output.times to times of the run too, or lengthen duration" in done.stderr


def test_a_wrong_unit_shows_dimensions_in_single_brackets(tiny: Path) -> None:
    done = call("validate", str(tiny), "--set", 'duration="1 mm"')
    assert done.exit_code == 2 and "got 'mm' [length], want a unit of 's' [time]" in done.stderr


def test_override_goes_through_the_same_checks(tiny: Path) -> None:
    assert call("validate", str(tiny), "--set", "disc.grade=1").exit_code == 0
    done = call("validate", str(tiny), "--set", "scenarios.cells.therapy.0.dose=6 mm")
    assert done.exit_code == 2
    assert "scenarios.cells.therapy.0.dose" in done.stderr


def test_module_of_the_user_is_imported_only_where_that_is_allowed(tiny: Path) -> None:
    (tiny.parent / "slow_death.py").write_text(
        "from discsim.biology.mechanism import Mechanism\n"
        "class SlowDeath(Mechanism):\n    name = 'slow_death'\n"
        "    def rates(self, ph):\n        return {'cell_density': -1e-12 * ph}\n"
    )
    words = "mechanisms.use=['nutrition', 'cell_fate', 'matrix_turnover', 'slow_death:SlowDeath']"
    done = call("validate", str(tiny), "--set", words)
    assert done.exit_code == 2 and "--allow-plugin" in done.stderr
    done = call("validate", str(tiny), "--set", words, "--allow-plugin")
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("grade", ["1", "3"])
def test_params_lists_every_parameter_with_unit_bounds_source_and_evidence(grade: str) -> None:
    done = call("params", "--format", "csv", "--grade", grade)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    declared = {
        (f"{owner}.{name}", region)
        for owner, cls in OWNERS.items()
        for name, parameter in cls.parameters().items()
        for region in parameter.regions or ("",)
    }
    assert {(row["path"], row["region"]) for row in rows} == declared
    for row in rows:
        assert row["unit"] and row["source"] and row["description"]
        assert row["evidence"] in ("measured", "model", "recalled", "assumed")
        assert float(row["low"]) <= float(row["value"]) <= float(row["high"])


def test_params_shows_what_a_grade_changes() -> None:
    by_grade = {grade: {(row.path, row.region): row for row in declared_parameters(grade)} for grade in (1, 3)}
    key = ("materials.fixed_charge_density", "NP")
    assert (by_grade[1][key].value, by_grade[3][key].value) == (0.29, 0.22)
    loss = ("matrix_turnover.gag_loss_rate", "CEP")
    assert (by_grade[1][loss].evidence, by_grade[3][loss].evidence) == ("assumed", "measured")
    assert by_grade[1][loss].source != by_grade[3][loss].source


def test_params_of_one_mechanism() -> None:
    lines = call("params", "--mechanism", "matrix_turnover", "--format", "csv").stdout.splitlines()[1:]
    assert lines and all(line.startswith("matrix_turnover.") for line in lines)
    assert "gag_loss_rate" in call("params", "--mechanism", "matrix_turnover").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("params", "--grade", "9"), "disc.grade: 9 has no preset"),
        (("params", "--mechanism", "nutritoin"), "'nutritoin' has no parameters; there are disc, "),
        (("vv", "run", "nonsense"), "no group or case 'nonsense'"),
        (("vv", "run", "transpor"), "did you mean transport?"),
        (("run", "study.toml", "--out", ""), '--out: given ""; allowed: a value'),
        (("run", "study.toml", "--out="), '--out: given ""; allowed: a value'),
        (("validate", ""), 'word 2 of the command: given ""; allowed: a value'),
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
    assert "10.1074/jbc.M600296200" in text and "soukane" in text
    listed = call("fields").stdout
    assert all(name in listed for name in (*SHARED_FIELDS, *DRIVES, "gene_expression/free_vector", "porosity"))


def test_mechanism_entries_say_what_is_read_and_changed() -> None:
    entries = {entry.name: entry for entry in mechanism_entries()}
    turnover = entries["matrix_turnover"]
    assert set(turnover.reads) == {"ph", "glucose", "cell_density", "synthesis_gate", "anabolic_drive", "catabolic_drive"}
    assert turnover.changes == ("gag",) and turnover.gives == ("synthesis_gate",)
    cells = entries["stem_cells"]
    assert {"stem_cells/np_like", "glucose", "gag", "added_cell_density"} <= set(cells.changes)
    assert "cell_density" not in cells.changes


def test_existing_result_is_refused_before_anything_is_computed(tiny: Path) -> None:
    (tiny.parent / "o").mkdir()
    (tiny.parent / "o/result.nc").write_text("kept")
    done = call("run", str(tiny), "--out", str(tiny.parent / "o"))
    assert done.exit_code == 2
    assert "--force" in done.stderr
    assert (tiny.parent / "o/result.nc").read_text() == "kept"
    done = call("run", str(tiny), "--out", str(tiny / "o"))
    assert done.exit_code == 2
    assert "is a file; name a folder" in done.stderr


def test_unknown_engine_is_refused(tiny: Path) -> None:
    done = call("run", str(tiny), "--out", str(tiny.parent / "o"), "--engine", "best")
    assert (done.exit_code, done.stderr) == (2, "--engine best: there is fem, sweep, reduced\n")


@pytest.mark.parametrize(("file", "name"), [("a/study.toml", "a"), ("a/dose.toml", "dose")])
def test_default_folder_has_the_name_of_the_experiment(
    file: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / file).write_text(TINY)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out" / name).mkdir(parents=True)
    (tmp_path / "out" / name / "result.nc").touch()
    assert f"out/{name}/result.nc: exists" in call("run", file).stderr
    monkeypatch.chdir(tmp_path / "a")
    (tmp_path / "a/out" / name).mkdir(parents=True)
    (tmp_path / "a/out" / name / "result.nc").touch()
    assert f"out/{name}/result.nc: exists" in call("run", Path(file).name).stderr


@pytest.mark.fem
def test_run_and_show(tiny: Path) -> None:
    folder = tiny.parent / "o"
    done = call("run", str(tiny), "--out", str(folder))
    assert done.exit_code == 0, done.output
    assert "arm 1/3 cells (choosing steps)" in done.stderr
    assert re.search(r"result in \S+/result\.nc, after \d+\.\d s$", done.stderr, re.MULTILINE)
    assert "no error by mesh and steps is stated" in done.stderr  # mesh level 1 has no coarser one
    assert {"result.nc", "time_courses.png", "fields_untreated.png", "fields_cells.png"} <= {p.name for p in folder.iterdir()}
    shown = call("show", str(folder))
    assert shown.exit_code == 0
    assert shown.stdout.strip() in done.stdout
    rows = list(csv.DictReader(io.StringIO(call("show", str(folder), "--csv", "-").stdout)))
    assert {row["scenario"] for row in rows} == {"untreated", "cells"}
    assert all(row["status"] == "ok" for row in rows)
    assert call("show", str(folder / "result.nc"), "--csv", str(folder / "numbers.csv")).exit_code == 0
    assert (folder / "numbers.csv").read_text() == call("show", str(folder), "--csv", "-").stdout
    again = call("run", str(tiny), "--out", str(folder), "--force", "--set", "scenarios={ only = {} }")
    assert again.exit_code == 0, again.output
    names = {path.name for path in folder.iterdir()}
    assert names == {"result.nc", "time_courses.png", "fields_only.png", "numbers.csv"}  # pictures of the old result are gone


@pytest.mark.fem
def test_run_says_what_it_leaves_out_and_keeps_only_the_fields_asked_for(tiny: Path) -> None:
    tiny.write_text(
        TINY
        + '[design]\nkind = "sobol"\nsamples = 8\n[design.vary]\n"loading.active" = { low = "0.2 MPa", high = "0.4 MPa" }\n'
        + '[output]\nfields = ["glucose", "stem_cells/undifferentiated"]\n'
    )
    folder = tiny.parent / "o"
    done = call("run", str(tiny), "--out", str(folder))
    assert done.exit_code == 0, done.output
    assert "run solves the scenarios at their nominal values; [design] is not run\n" in done.stderr
    fields = StoredResult.load(folder / "result.nc")["cells"].fields
    kept = {variable.attrs["discsim_name"] for variable in fields.data_vars.values() if "discsim_name" in variable.attrs}
    assert kept == {"glucose", "stem_cells/undifferentiated"}


@pytest.mark.fem
def test_error_by_mesh_and_steps_is_stated(tiny: Path) -> None:
    folder = tiny.parent / "o"
    options = ("--set", "disc.mesh_level=2", "--set", "duration=1 day", "--set", "scenarios={ only = {} }")
    done = call("run", str(tiny), "--out", str(folder), *options)
    assert done.exit_code == 0, done.output
    assert "discretisation error (mm): only +/- " in done.stdout
    assert StoredResult.load(folder / "result.nc").discretisation_error("only", "disc_height") is not None


@pytest.mark.fem
def test_a_failing_arm_gives_exit_3_and_keeps_the_others(tiny: Path) -> None:
    folder = tiny.parent / "o"
    text = (
        TINY
        + '\n[[scenarios.crushed.events]]\nat = "2 day"\nset = { "loading.active" = "0.6 MPa", "loading.rest" = "0.2 MPa" }\n'
    )
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


def test_missing_compiler_gives_exit_4_with_a_remedy(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tiny.parent))
    monkeypatch.delenv("CC", raising=False)
    assert compiler() is None
    done = call("run", str(tiny), "--out", str(tiny.parent / "o"))
    assert done.exit_code == 4
    assert "no C compiler" in done.stderr and "install gcc" in done.stderr
    by_name = {check.name: check for check in checks()}
    assert not by_name["C compiler"].good and by_name["Python"].good
    doctor = call("doctor")
    assert doctor.exit_code == 4
    assert "MISSING C compiler: none" in doctor.stdout and "apt-get install gcc" in doctor.stdout


def test_form_cache_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    cache = next(check for check in checks() if check.name == "form cache")
    assert not cache.good and "XDG_CACHE_HOME" in cache.remedy


def test_a_form_that_cannot_be_kept_gives_exit_4_with_a_remedy(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tiny.parent / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tiny.parent / "file"))

    def compiling(*_: object) -> None:  # as DOLFINx does; where the cache lies it asks once, when it is loaded
        cache_folder().mkdir(parents=True)

    monkeypatch.setattr("discsim.cli._solve", compiling)
    done = call("run", str(tiny), "--out", str(tiny.parent / "o"))
    assert done.exit_code == 4, done.output
    assert "XDG_CACHE_HOME" in done.stderr and len(done.stderr.strip().splitlines()) == 1
    monkeypatch.setattr("discsim.cli._solve", lambda *_: (tiny.parent / "file" / "other").mkdir())
    done = call("run", str(tiny), "--out", str(tiny.parent / "o"))
    assert done.exit_code == 2 and "XDG_CACHE_HOME" not in done.stderr, "another place is another fault"
    assert done.stderr.strip() == f"{tiny.parent / 'file' / 'other'}: cannot be used (Not a directory)"


@pytest.mark.fem
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "kill"])
def test_ctrl_c_ends_a_run_with_exit_130_and_leaves_nothing(number: signal.Signals, tiny: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "discsim", "run", str(tiny), "--out", str(tiny.parent / "o"), "--set", "duration=50 year"]
    with subprocess.Popen(command, cwd=tiny.parent, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        first = process.stderr.readline()  # the first accepted step: the engine is at work
        process.send_signal(number)
        rest = process.stderr.read()
    assert "(choosing steps)" in first
    assert rest.splitlines()[-1] == "interrupted" and "PETSC" not in rest
    assert process.returncode == 130
    assert not (tiny.parent / "o").exists()


def test_interrupt_that_a_solver_swallows_is_raised_at_the_next_step() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), _interruptible() as check:
        check()
        with contextlib.suppress(KeyboardInterrupt):  # as a callback in a C library may do
            signal.raise_signal(signal.SIGINT)
        check()
    assert signal.getsignal(signal.SIGINT) is before


def test_interrupt_that_a_solver_turns_into_its_own_error_is_still_one() -> None:
    with pytest.raises(KeyboardInterrupt), _interruptible():
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        raise RuntimeError("error code 101")
    with pytest.raises(RuntimeError, match="a fault of its own"), _interruptible():
        raise RuntimeError("a fault of its own")


def test_interruption_gives_exit_130_and_writes_nothing(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("discsim.cli._solve", interrupted)
    done = call("run", str(tiny), "--out", str(tiny.parent / "o"))
    assert done.exit_code == 130
    assert not (tiny.parent / "o").exists()


def test_unexpected_error_is_one_line_unless_debug(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("\n  a hole\nin the floor")  # as of libraries that begin with an empty line

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
    assert "MISSING" not in done.stdout


def test_doctor_as_json() -> None:
    found = json.loads(call("doctor", "--json").stdout)
    assert all(one["good"] for one in found) and {"Python", "MPI", "disk"} <= {one["name"] for one in found}


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("run",), "run: Missing argument 'FILE'. (discsim run --help)"),
        (("runn",), "No such command 'runn'. Did you mean 'run'? (discsim --help)"),
        (("vv", "list", "--quick"), "vv list: No such option: --quick (discsim vv list --help)"),
        (("run", "x.toml", "--ranks", "many"), "run: Invalid value for '--ranks': "),
        (("run", "x.toml", "--ranks", "0"), "run: Invalid value for '--ranks': "),
    ],
)
def test_a_wrong_command_line_gives_one_line(words: tuple[str, ...], line: str) -> None:
    done = CliRunner().invoke(app, words, prog_name="discsim")
    assert done.exit_code == 2 and len(done.stderr.splitlines()) == 1, done.output
    assert done.stderr.startswith("discsim") and line in done.stderr


def test_who_reads_may_have_enough() -> None:
    """As ``discsim params | head``: no traceback, and no error of discsim."""
    command = [sys.executable, "-m", "discsim", "params", "--format", "csv"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b"" and process.wait() == 141
    process.stderr.close()


@pytest.mark.parametrize(
    ("words", "line"), [(("2", "--engine", "sweep"), "allowed with 2 ranks: fem"), (("5000",), "--ranks 5000; allowed: 1 to")]
)
def test_ranks_that_cannot_be(words: tuple[str, ...], line: str, tiny: Path, tmp_path: Path) -> None:
    done = call("run", str(tiny), "--out", str(tmp_path / "o"), "--ranks", *words)
    assert done.exit_code == 2 and line in done.stderr and not (tmp_path / "o").exists()


def test_a_run_on_two_ranks_says_so(tiny: Path, tmp_path: Path) -> None:
    done = call("run", str(tiny), "--ranks", "2", "--no-error-estimate", "--out", str(tmp_path / "o"))
    assert done.exit_code == 0, done.output
    assert "processes of a solve: 2\n" in call("show", str(tmp_path / "o"), "--provenance").stdout
    assert "engine: fem\n" in call("show", str(tmp_path / "o"), "--provenance").stdout


def test_version_is_that_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert call("--version").stdout == f"{project['version']}\n"


@pytest.mark.parametrize("name", discsim.__all__)
def test_every_exported_name_is_there(name: str) -> None:
    assert getattr(discsim, name) is not None
    assert name in dir(discsim)


def test_unknown_name_of_the_package_is_told() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Dics'"):
        discsim.Dics  # noqa: B018


def test_vv_list_names_groups_and_cases() -> None:
    done = call("vv", "list")
    assert done.exit_code == 0, done.output
    for group, cases in groups().items():
        assert group in done.stdout.splitlines()
        assert all(f"  {case.name}: {case.description}" in done.stdout for case in cases)


def test_vv_run_gives_exit_6_for_a_row_that_misses_without_a_stated_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def rows(computed: float) -> list[Row]:
        return [Row("r1", "a number", "mm", computed, 1.0, 0.9, 1.1, "verification")]

    good = Case("good", "trial", "meets", lambda: rows(1.0))
    stated = Case("stated", "trial", "misses as stated", lambda: rows(2.0), known_misses={"r1": "a reason"})
    bad = Case("bad", "other", "misses", lambda: rows(2.0))
    slow = Case("slow", "other", "takes long", lambda: rows(3.0), slow=True)
    monkeypatch.setattr("discsim.vv.registry.cases", lambda: [good, stated, bad, slow])
    done = call("vv", "run", "trial")
    assert done.exit_code == 0, done.output
    assert "2 cases, 0 unexpected rows" in done.stdout
    assert "outside (stated)" in done.stdout and "a reason" in done.stdout
    done = call("vv", "run", "--quick")
    assert done.exit_code == 6
    assert "3 cases, 1 unexpected rows" in done.stdout and "bad: r1" in done.stderr
    assert call("vv", "run", "slow").exit_code == 6
