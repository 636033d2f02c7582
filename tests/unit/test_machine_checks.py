"""discsim doctor: each fault of the surroundings is found and gets one remedy."""

from __future__ import annotations

import collections
import importlib.metadata
import shutil
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from discsim.cli import app
from discsim.study import machine_checks as checks


@pytest.fixture
def distributions(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of the distributions that are installed; the test decides."""
    names = {checks.WHEEL}

    def distribution(name: str) -> str:
        if name not in names:
            raise importlib.metadata.PackageNotFoundError(name)
        return name

    monkeypatch.setattr(importlib.metadata, "distribution", distribution)
    return names


def test_a_petsc_beside_that_of_the_wheel(distributions: set[str]) -> None:
    assert checks.foreign_petsc().good
    distributions.add("petsc4py")
    found = checks.foreign_petsc()
    assert not found.good and "petsc4py" in found.found and found.remedy.startswith("pip uninstall petsc4py, then")
    distributions.discard(checks.WHEEL)  # of conda it is the right one
    assert checks.foreign_petsc().good


@pytest.mark.parametrize(("words", "good"), [("HYDRA build details:", True), ("mpiexec (OpenRTE) 4.1.4", False), ("", False)])
def test_whose_mpiexec(words: str, good: bool, distributions: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "mpiexec"
    script.write_text(f"#!/bin/sh\necho '{words}'\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = checks.mpi()
    assert found.good == good and str(script) in found.found and (good or "first in PATH" in found.remedy)


def test_no_mpiexec_is_no_fault(distributions: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert checks.mpi().good


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = collections.namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage(10**12, 10**12, 10**8))
    found = checks.disk()
    assert not found.good and "0.1 GB free" in found.found and "XDG_CACHE_HOME" in found.remedy


def test_a_clock_that_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert checks.clock().good
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 7200.0)
    found = checks.clock()
    assert not found.good and "7200 s off" in found.found and "NTP" in found.remedy


def test_doctor_tells_all_and_ends_with_4(distributions: set[str]) -> None:
    distributions.add("slepc4py")
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 4
    for name in ("Python", "C compiler", "MPI", "disk", "clock", "GPU"):
        assert f"{name}: " in done.stdout
    lines = done.stdout.splitlines()
    fault = next(index for index, line in enumerate(lines) if line.startswith("MISSING PETSc"))
    assert "pip uninstall slepc4py" in lines[fault + 1]
