"""What around discsim may spoil a run without its own libraries being at fault: MPI of two makes, disk, clock, graphics card."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from discsim.study.environment import Check, cache_folder, find_mpiexec

WHEEL = "dolfinx-solver-real"
LEAST_DISK = 2.0  # GB: compiled forms and functions, and a sweep of a thousand samples
MOST_SKEW = 60.0  # s


def machine_checks() -> list[Check]:
    """All of them, in the order in which to mend them."""
    return [foreign_petsc(), mpi(), disk(), clock(), accelerator()]


def _installed(distribution: str) -> bool:
    try:
        importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def foreign_petsc() -> Check:
    """The wheel brings its own petsc4py, which a distribution of that name overwrites."""
    if not _installed(WHEEL):
        return Check("PETSc", True, "not from the wheel; whoever installed DOLFINx answers for it", "")
    foreign = [name for name in ("petsc4py", "slepc4py", "petsc", "slepc") if _installed(name)]
    if not foreign:
        return Check("PETSc", True, f"the one of {WHEEL}", "")
    remedy = f"pip uninstall {' '.join(foreign)}, then pip install --force-reinstall --no-deps {WHEEL}"
    return Check("PETSc", False, f"also installed: {', '.join(foreign)}", remedy)


def mpi() -> Check:
    """The mpiexec beside this Python, else the first of the path, is of the MPI that DOLFINx was built with."""
    found = find_mpiexec()
    if found is None or not _installed(WHEEL):
        return Check("MPI", True, f"mpiexec: {found or 'none'} (needed for runs on several processes only)", "")
    try:
        done = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=30, check=False)
        told = done.stdout + done.stderr
    except (OSError, subprocess.TimeoutExpired) as error:
        told = str(error)
    good = any(word in told for word in ("HYDRA", "MPICH"))
    maker = "MPICH" if good else " ".join(told.split())[:60] or "no answer"
    remedy = "reinstall the wheel, which brings one, or put an mpiexec of MPICH first in PATH"
    return Check("MPI", good, f"{found}: {maker}", remedy)


def disk() -> Check:
    """Room where compiled forms are kept, and in the present folder."""
    places = [next(path for path in (folder, *folder.parents) if path.exists()) for folder in (cache_folder(), Path.cwd())]
    free = min(shutil.disk_usage(place).free for place in places) / 1e9
    return Check(
        "disk", free >= LEAST_DISK, f"{free:.1f} GB free", f"free {LEAST_DISK:g} GB, or set XDG_CACHE_HOME to another disk"
    )


def clock() -> Check:
    """Files get the time that this machine has: a lock's age tells whether its sweep lives."""
    try:
        with tempfile.NamedTemporaryFile(dir=Path.cwd() if os.access(Path.cwd(), os.W_OK) else None) as probe:
            skew = os.stat(probe.name).st_mtime - time.time()
    except OSError as error:
        return Check(
            "clock", False, f"no file can be written to tell ({error.strerror})", "work in a folder that you may write to"
        )
    remedy = "set the clock of this machine or of the file server (NTP)"
    return Check("clock", abs(skew) < MOST_SKEW, f"files are {abs(skew):.0f} s off", remedy)


def accelerator() -> Check:
    """Whether JAX sees a graphics card; none is no fault."""
    try:
        import jax

        found = [device for device in jax.devices() if device.platform != "cpu"]
    except (ImportError, RuntimeError) as error:
        return Check("GPU", True, f"JAX cannot tell ({' '.join(str(error).split())[:80]})", "")
    told = ", ".join(str(device.device_kind) for device in found)
    return Check("GPU", True, told or "none (not needed; --device gpu would want jax[cuda12])", "")
