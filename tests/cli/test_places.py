"""Places that cannot be written to, and machines without a GPU: one line, exit code, nothing left behind."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from discsim.cli import app
from discsim.cli.common import judged
from discsim.study import environment

TEXT = """
schema = "discsim/1"
duration = "1 year"
[disc]
mesh_level = 1
[scenarios.untreated]
[[scenarios.cells.therapy]]
kind = "stem_cell_injection"
[design]
kind = "list"
vary = { "loading.active" = { values = ["0.25 MPa", "0.3 MPa"] } }
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A small sweep."""
    path = tmp_path / "study.toml"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize("command", ["run", "sweep", "tabulate"])
def test_a_file_or_a_place_without_folders_is_refused_in_a_line(command: str, study: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    for place, word in ((tmp_path / "file", "is a file"), (Path("/proc/discsim"), "cannot be written to")):
        done = CliRunner().invoke(app, [command, str(study), "-o", str(place)])
        assert done.exit_code == 2 and len(done.stderr.splitlines()) == 1 and word in done.stderr, done.stderr
    assert (tmp_path / "file").read_text() == "kept"


def test_no_gpu_leaves_nothing_behind(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    with pytest.raises(environment.MissingTool):
        environment.need_gpu()
    done = CliRunner().invoke(app, ["sweep", str(study), "--device", "gpu", "-o", str(tmp_path / "a" / "b")])
    assert done.exit_code == 4 and "--device cpu" in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(("number", "code"), [(errno.EACCES, 2), (errno.ENAMETOOLONG, 2), (errno.ENOTDIR, 2), (errno.ENOSPC, 4)])
def test_what_the_system_says_of_a_path_is_no_error_of_discsim(number: int, code: int) -> None:
    found, message = judged(OSError(number, os.strerror(number), "x" * 300))
    assert found == code and os.strerror(number) in message and len(message) < 200
    assert judged(OSError(errno.EBADF, "Bad file descriptor"))[0] == 1, "not of a path"


def test_a_name_that_no_folder_can_have(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["status", str(tmp_path / ("x" * 300))])
    assert done.exit_code == 2 and "File name too long" in done.stderr and len(done.stderr.splitlines()) == 1
