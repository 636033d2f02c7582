"""Whether this machine can run a study: Python, DOLFINx, a C compiler with Python's headers, form cache, double precision."""

from __future__ import annotations

import dataclasses
import importlib
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

COMPILERS = ("gcc", "cc", "clang")
_PROGRAM = "#include <Python.h>\n#include <complex.h>\nint main(void) { return 0; }\n"


class MissingTool(RuntimeError):
    """Something that the run needs and this machine lacks; the message says how to get it."""


@dataclasses.dataclass(frozen=True)
class Check:
    """One requirement: whether it is met, what was found, and what to do where it is not."""

    name: str
    good: bool
    found: str
    remedy: str = ""


def compiler() -> str | None:
    """The C compiler that compiles the forms: $CC, the one Python was built with, gcc, cc or clang."""
    configured = (os.environ.get("CC") or "", str(sysconfig.get_config_var("CC") or ""))
    for command in (*configured, *COMPILERS):
        try:
            words = shlex.split(command)
        except ValueError:
            continue
        if words and shutil.which(words[0]):
            return words[0]
    return None


def need_compiler() -> None:
    """Raise ``MissingTool`` where the forms could not be compiled."""
    if compiler() is None:
        raise MissingTool(f"no C compiler ($CC, {', '.join(COMPILERS)}); the reference engine compiles its forms: install gcc")


def find_mpiexec() -> str | None:
    """The mpiexec beside this Python, which belongs to the MPI that DOLFINx was built with, else the first of the path."""
    beside = shutil.which("mpiexec", path=str(Path(sys.executable).parent))
    return beside or shutil.which("mpiexec")


def cores() -> list[int]:
    """Cores that this process may use; numbers only where the system can pin a process."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def check_ranks(ranks: int) -> None:
    """Raise ``ValueError`` for more ranks than processors: they wait for one another by turning in circles."""
    most = len(cores())
    if not 1 <= ranks <= most:
        raise ValueError(f"{ranks}; allowed: 1 to {most}, the processors that this process may use")


def need_gpu() -> None:
    """Raise ``MissingTool`` where JAX sees no GPU. Asked in a process of its own, which gives the memory of the GPU back."""
    settings = os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", "import jax; jax.devices('gpu')"], env=settings, capture_output=True, check=False
    )
    if done.returncode:
        raise MissingTool("--device gpu: JAX sees none here; install jax[cuda12], or use --device cpu")


def checks() -> list[Check]:
    """All requirements, in the order in which to mend them."""
    return [_python(), _dolfinx(), _compiler(), _cache(), _double_precision()]


def _python() -> Check:
    version = sys.version.split()[0]
    good = (3, 12) <= sys.version_info[:2] < (3, 15)
    return Check("Python", good, version, "use Python 3.12, 3.13 or 3.14")


def _dolfinx() -> Check:
    """DOLFINx, and that it compiles a small form."""
    remedy = "pip install 'discsim[fem]', or conda install -c conda-forge fenics-dolfinx=0.11"
    try:
        return Check("DOLFINx", True, str(importlib.import_module("discsim.fem.check").compile_small_form()))
    except ImportError as error:
        return Check("DOLFINx", False, _one_line(error), remedy)
    except RuntimeError as error:
        return Check("DOLFINx", False, _one_line(error), "mend the compiler (see below), or reinstall DOLFINx")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _compiler() -> Check:
    found = compiler()
    if found is None:
        return Check("C compiler", False, "none", "install gcc (Debian and Ubuntu: apt-get install gcc)")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "probe.c"
        source.write_text(_PROGRAM, encoding="utf-8")
        command = [found, "-c", str(source), "-o", str(source.with_suffix(".o")), f"-I{sysconfig.get_path('include')}"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return Check("C compiler", False, f"{found} does not run ({error})", "install gcc")
    if done.returncode == 0:
        return Check("C compiler", True, found)
    headers = "Python.h" in done.stderr
    reason = "the C headers of Python are missing" if headers else "it cannot compile a small program"
    remedy = (
        "install them (Debian and Ubuntu: apt-get install python3-dev)" if headers else "install gcc and the C library's headers"
    )
    return Check("C compiler", False, f"{found}: {reason}", remedy)


def cache_folder() -> Path:
    """Where compiled forms are kept."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "fenics"


def _cache() -> Check:
    folder = cache_folder()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            good = True
    except OSError:
        good = False
    shown = str(folder).replace(str(Path.home()), "~", 1)
    state = "writable" if good else "not writable"
    return Check("form cache", good, f"{shown} ({state})", "set XDG_CACHE_HOME to a folder that you may write to")


def _double_precision() -> Check:
    try:
        jax = importlib.import_module("jax")
        jax.config.update("jax_enable_x64", True)
        kind = str(jax.numpy.zeros(1).dtype)
    except (ImportError, AttributeError, RuntimeError) as error:
        return Check("JAX in double precision", False, _one_line(error), "pip install the jax of requirements.lock")
    found = f"jax {jax.__version__}, {kind}"
    return Check("JAX in double precision", kind == "float64", found, "unset JAX_ENABLE_X64")
