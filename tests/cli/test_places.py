"""Places that cannot be written to, and machines without a GPU: one line, exit code, nothing left behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from discsim.cli import app
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
