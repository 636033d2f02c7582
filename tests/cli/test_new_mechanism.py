"""discsim mechanisms new: what it writes passes its own test and validates; what it refuses writes nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from discsim.cli import app
from discsim.study.config import read_study

ROOT = Path(__file__).parents[2]


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_what_is_written_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = call("mechanisms", "new", "il1_decay", "--folder", tmp_path / "mine")
    assert done.exit_code == 0, done.output
    folder = tmp_path / "mine"
    assert sorted(path.name for path in folder.iterdir()) == ["il1_decay.py", "il1_decay.toml", "test_il1_decay.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_il1_decay.py"]
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    tested = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240)
    assert tested.returncode == 0 and "2 passed" in tested.stdout, tested.stdout
    study = read_study(folder / "il1_decay.toml", allow_plugin=True)
    assert "il1_decay" in [mechanism.name for mechanism in study.problem().composition.mechanisms]
    assert len(study.scenarios) == 2, "discsim compare, which a sweep of it is for, needs two"
    sys.modules.pop("il1_decay", None)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Il-1", "no name of a mechanism"),
        ("lambda", "no name of a mechanism"),
        ("nutrition", "a mechanism 'nutrition' is there already"),
        ("numpy", "a Python module 'numpy' is there already"),
        ("a" * 300, "has 300 letters"),
    ],
)
def test_names_that_cannot_be(name: str, reason: str, tmp_path: Path) -> None:
    done = call("mechanisms", "new", name, "--folder", tmp_path)
    assert done.exit_code == 2 and reason in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    mine = tmp_path / "test_il1_decay.py"
    mine.write_text("mine")
    done = call("mechanisms", "new", "il1_decay", "--folder", tmp_path)
    assert done.exit_code == 2 and "is there already; nothing was written" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [mine.name] and mine.read_text() == "mine"


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = call("mechanisms", "new", "il1_decay", "--folder", tmp_path / "file" / "mine")
    assert done.exit_code == 4 and "cannot be written to" in done.stderr


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = call("mechanisms", "new", "il1_decay", "--folder", tmp_path / "file")
    assert done.exit_code == 2 and done.stderr.endswith("file: a file; name a folder\n") and "Errno" not in done.stderr


def test_a_folder_whose_name_the_terminal_cannot_write(tmp_path: Path) -> None:
    done = call("mechanisms", "new", "il1_decay", "--folder", tmp_path / "\udcff")
    assert done.exit_code == 0 and "\\udcff" in done.stdout, done.output
    assert len(list((tmp_path / "\udcff").iterdir())) == 3
