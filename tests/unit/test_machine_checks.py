"""discsim doctor: each fault of the surroundings is found and gets one remedy."""

from __future__ import annotations

import collections
import importlib.metadata
import shutil
import sys
import time
import types
from pathlib import Path

import pytest
from typer.testing import CliRunner

from discsim.cli import app
from discsim.study import environment
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
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin/python"))  # the mpiexec beside it would be taken
    found = checks.mpi()
    assert found.good == good and str(script) in found.found and (good or "first in PATH" in found.remedy)


def test_no_mpiexec_is_no_fault(distributions: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin/python"))
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


def doctor_says(name: str) -> tuple[str, str]:
    """What the doctor found at fault under this name, and the remedy in the line after it; there is one fault like that."""
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 4, done.output
    lines = done.stdout.splitlines()
    (at,) = [index for index, line in enumerate(lines) if line.startswith(f"MISSING {name}: ")]
    assert lines[at + 1].startswith(" " * 8) and lines[at + 1].strip(), "a fault without a remedy"
    return lines[at], lines[at + 1].strip()


def test_a_python_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    old = types.SimpleNamespace(version="3.11.2 (main)", version_info=(3, 11, 2), executable=sys.executable)
    monkeypatch.setattr(environment, "sys", old)
    found, remedy = doctor_says("Python")
    assert "3.11.2" in found and remedy == "use Python 3.12, 3.13 or 3.14"


def test_dolfinx_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "discsim.fem.check", None)
    assert "pip install 'discsim[fem]'" in doctor_says("DOLFINx")[1]


@pytest.mark.parametrize(
    ("script", "fault", "remedy"),
    [
        ("echo 'fatal error: Python.h: No such file' >&2; exit 1", "the C headers of Python are missing", "python3-dev"),
        ("echo 'ld: cannot find crt1.o' >&2; exit 1", "it cannot compile a small program", "install gcc and the C library"),
    ],
)
def test_a_compiler_that_does_not_work(
    script: str, fault: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = tmp_path / "broken-cc"
    compiler.write_text(f"#!/bin/sh\n{script}\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    monkeypatch.setitem(sys.modules, "discsim.fem.check", None)  # else it would compile, too
    found, told = doctor_says("C compiler")
    assert fault in found and remedy in told


def test_a_cache_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setitem(sys.modules, "discsim.fem.check", None)
    found, remedy = doctor_says("form cache")
    assert "not writable" in found and "XDG_CACHE_HOME" in remedy


@pytest.mark.parametrize("fault", ["single precision", "no JAX"])
def test_jax_that_does_not_compute_in_double_precision(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def zeros(size: int) -> types.SimpleNamespace:
        return types.SimpleNamespace(dtype="float32")

    config = types.SimpleNamespace(update=lambda name, value: None)
    jax = types.SimpleNamespace(config=config, numpy=types.SimpleNamespace(zeros=zeros), __version__="0", devices=list)
    monkeypatch.setitem(sys.modules, "jax", None if fault == "no JAX" else jax)
    found, remedy = doctor_says("JAX in double precision")
    assert ("float32" in found and "JAX_ENABLE_X64" in remedy) if fault == "single precision" else "requirements.lock" in remedy


def test_no_graphics_card_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = types.SimpleNamespace(platform="cpu", device_kind="cpu")
    monkeypatch.setitem(sys.modules, "jax", types.SimpleNamespace(devices=lambda: [cpu]))
    found = checks.accelerator()
    assert found.good and "none" in found.found and "--device gpu would want jax[cuda12]" in found.found


def test_doctor_tells_all_and_ends_with_4(distributions: set[str]) -> None:
    distributions.add("slepc4py")
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 4
    for name in ("Python", "C compiler", "MPI", "disk", "clock", "GPU"):
        assert f"{name}: " in done.stdout
    lines = done.stdout.splitlines()
    fault = next(index for index, line in enumerate(lines) if line.startswith("MISSING PETSc"))
    assert "pip uninstall slepc4py" in lines[fault + 1]
