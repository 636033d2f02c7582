"""Provenance: what a result says about the code, the libraries, the machine type and the experiment that it came from.

Nothing here names a person, a host or a folder, and no heavy library is imported to learn its version.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discsim.problem.problem import YEAR, Problem

if TYPE_CHECKING:
    from discsim.study.study import Study

SCHEMA = "discsim/1"
CONVENTIONS = "CF-1.11 UGRID-1.0 ACDD-1.3 discsim-1"
# Libraries whose version may change a number, and the distributions that bring them.
LIBRARIES: dict[str, tuple[str, ...]] = {
    "numpy": ("numpy",),
    "scipy": ("scipy",),
    "jax": ("jax",),
    "jaxlib": ("jaxlib",),
    "xarray": ("xarray",),
    "h5netcdf": ("h5netcdf",),
    "h5py": ("h5py",),
    "pint": ("pint",),
    "meshio": ("meshio",),
    "dolfinx": ("fenics-dolfinx", "dolfinx-solver-real", "dolfinx-solver-complex"),
    "ufl": ("fenics-ufl",),
    "petsc": ("petsc4py",),
}
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
UNKNOWN = "unknown"
_PACKAGE = Path(__file__).resolve().parents[1]


@dataclasses.dataclass(frozen=True)
class CodeState:
    """Which discsim ran: version and, in a checkout, commit, whether files differ from it ("yes", "no", "unknown")
    and the SHA-256 of the difference of tracked files (empty where there is none)."""

    version: str
    commit: str = ""
    dirty: str = UNKNOWN
    difference_hash: str = ""

    def __str__(self) -> str:
        text = f"discsim {self.version}"
        if not self.commit:
            return text
        state = {"yes": ", with changes", "no": ""}.get(self.dirty, ", changes unknown")
        return f"{text} (commit {self.commit}{state})"


def checkout(package: Path = _PACKAGE) -> Path | None:
    """The folder of the checkout that the package is imported from; ``None`` for an installed package."""
    declaration = package.parent / "pyproject.toml"
    if not declaration.is_file():
        return None
    project = tomllib.loads(declaration.read_text(encoding="utf-8")).get("project", {})
    return package.parent if project.get("name") == "discsim" else None


def code_state(package: Path = _PACKAGE) -> CodeState:
    """Version, commit and changes of the discsim that is imported."""
    root = checkout(package)
    if root is None:
        return CodeState(_version("discsim") or UNKNOWN)
    declaration = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    version = str(declaration["project"].get("version", UNKNOWN))
    commit = _git(root, "rev-parse", "HEAD") if (root / ".git").exists() else None
    if commit is None:
        return CodeState(version)
    changes, difference = _git(root, "status", "--porcelain"), _git(root, "diff", "HEAD")
    dirty = UNKNOWN if changes is None else ("yes" if changes else "no")
    return CodeState(version, commit, dirty, sha256(difference) if difference else "")


def environment() -> dict[str, Any]:
    """Python, kind of machine, thread settings and versions of the libraries that may change a number."""
    versions = {name: _first_version(distributions) for name, distributions in LIBRARIES.items()}
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": platform.system(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "threads": {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
        "versions": {name: version for name, version in versions.items() if version is not None},
    }


def lock_hash(package: Path = _PACKAGE) -> str:
    """SHA-256 of ``requirements.lock`` of the checkout; empty where there is none."""
    root = checkout(package)
    lock = root / "requirements.lock" if root else None
    return hashlib.sha256(lock.read_bytes()).hexdigest() if lock and lock.is_file() else ""


def sha256(text: str) -> str:
    """SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def now() -> str:
    """This moment, UTC, as in ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def calendar(problem: Problem) -> dict[str, Any]:
    """Per arm doses (whole disc) and parameter changes (internal units) with their times (s); the rule for steps."""
    return {
        "output_times": list(problem.output_times),
        "field_times": list(problem.field_times),
        "steps": dataclasses.asdict(problem.steps),
        "arms": {
            arm.name: {
                "duration": arm.duration,
                "start": arm.start,
                "doses": [dataclasses.asdict(dose) for dose in arm.doses],
                "changes": [[at, dict(changes)] for at, changes in arm.changes],
            }
            for arm in problem.arms
        },
    }


def root_attributes(study: Study, problem: Problem, parameters: str) -> dict[str, Any]:
    """Attributes of the whole result.

    ``discsim_config`` is the experiment file with every default written out; a study that was built in Python is written as
    one. Where no file gives it, the hash is that of ``parameters`` (the parameter table as text) and of the calendar, which
    define it as well.
    """
    state, created, plan = code_state(), now(), json.dumps(calendar(problem), sort_keys=True)
    arms = ", ".join(study.scenarios)
    config = _config_text(study)
    config_hash = sha256(config) if config else sha256(parameters + plan)
    return {
        "Conventions": CONVENTIONS,
        "title": study.title or f"Scenarios {arms}",
        "summary": f"Intervertebral disc over {problem.duration / YEAR:g} year; scenarios {arms}",
        "history": f"{created} computed by {state}",
        "source": str(state),
        "creator": f"discsim {state.version}",
        "date_created": created,
        "discsim_schema": SCHEMA,
        "discsim_version": state.version,
        "discsim_commit": state.commit,
        "discsim_dirty": state.dirty,
        "discsim_difference_hash": state.difference_hash,
        "discsim_config": config,
        "discsim_config_hash": config_hash,
        "discsim_calendar": plan,
        "discsim_environment": json.dumps(environment(), sort_keys=True),
        "discsim_lock_hash": lock_hash(),
    }


def _config_text(study: Study) -> str:
    from discsim.study.config import resolve
    from discsim.study.resolve import NotWritable

    try:
        return resolve(study)
    except NotWritable:
        return ""


@functools.cache
def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _first_version(distributions: tuple[str, ...]) -> str | None:
    found = [f"{name} {version}" for name in distributions if (version := _version(name)) is not None]
    if not found:
        return None
    return found[0] if len(distributions) > 1 else found[0].split(" ", 1)[1]


def _git(root: Path, *words: str) -> str | None:
    """What git answers; ``None`` where there is no git or it refuses. The index is not touched."""
    # Inside a git hook the environment points at another repository.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words],
            env=inherited | {"GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
