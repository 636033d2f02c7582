"""The folder of a sweep: what lies in it, whose it is, and whether the same command may go on with it.

``study.toml``: the experiment with every default written out; ``manifest.json``: what the sweep is (see ``Manifest``);
``study.nc``: the nominal study and the whole design; ``shards/``: what is computed; ``check.json``: what the reference engine
says; ``damaged/``: shards that no longer are what they were; ``replaced/``: earlier sweeps of this folder; ``log/``: what
happened; ``state.json``: how far a driver is; ``lock``: which driver works here.
"""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import os
import socket
import sys
import time
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from discsim.study.ensemble import SweptInput
from discsim.study.provenance import code_state, environment, now, sha256
from discsim.study.store import ResultError, write_text_file

SWEEP_SCHEMA = "discsim-sweep/1"
MANIFEST, STUDY_FILE, NOMINAL_FILE, STATE, LOCK = "manifest.json", "study.toml", "study.nc", "state.json", "lock"
SHARDS, DAMAGED, REPLACED, LOG = "shards", "damaged", "replaced", "log"
# A driver on another machine counts as gone when its lock was not renewed for this long, s.
STALE_AFTER = 120.0
_PACKAGE = Path(__file__).resolve().parents[1]
_NO_NUMBERS = ("cli", "report", "vv")  # rooms whose code changes no number of a sweep
_MOST_CHANGES = 6
_SEAL = "content_hash"


class SweepError(ValueError):
    """A sweep that cannot start or go on; the message is one line."""


class SweepBusy(SweepError):
    """Another driver works on the folder."""


class SweepUnwritable(SweepError):
    """The folder takes no more shards."""


class SweepChanged(SweepError):
    """The folder holds a sweep of something else."""


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a sweep is.

    ``identity``: what must stay the same for the sweep to go on, by key (the experiment without [check], the design's values,
    engine, device, batch size, code, libraries); ``steps``: the step list, s; ``design``: kind, seed, count and inputs without
    values; ``check``: the [check] table that the stored check was made by; ``about``: code, libraries and machine type;
    ``parent``: the sweep that this one branched from, with what changed (empty: from none).
    """

    identity: Mapping[str, Any]
    title: str
    created: str
    steps: tuple[float, ...]
    table_times: tuple[float, ...]
    scenarios: tuple[str, ...]
    readouts: tuple[str, ...]
    mesh_hashes: tuple[str, ...]
    design: Mapping[str, Any]
    config_hash: str
    check: Mapping[str, Any]
    about: Mapping[str, Any]
    parent: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def sweep(self) -> str:
        """What every shard of this sweep bears: a hash of the identity and the step list."""
        return sha256(json.dumps([self.identity, self.steps], sort_keys=True))[:16]

    @property
    def count(self) -> int:
        """Samples of the whole design."""
        return int(self.design["count"])

    def save(self, folder: Path) -> None:
        """Write ``manifest.json``; with it the folder is one of a sweep."""
        table = {"discsim_schema": SWEEP_SCHEMA, "sweep": self.sweep} | dataclasses.asdict(self)
        write_text_file(folder / MANIFEST, json.dumps(table | {_SEAL: _seal(table)}, indent=1) + "\n")


def _seal(table: Mapping[str, Any]) -> str:
    """Hash of a manifest's content: everything that is read of a sweep rests on it, so an edited one is told."""
    return sha256(json.dumps(table, sort_keys=True))


def is_sweep(folder: Path) -> bool:
    """Whether a folder holds a sweep."""
    return (folder / MANIFEST).is_file()


def load_manifest(folder: Path) -> Manifest:
    """The manifest of a sweep; raises ``ResultError`` where there is none, or one of another version."""
    path = folder / MANIFEST
    if not path.is_file():
        raise ResultError(f"{folder}: no sweep lies here (no {MANIFEST}); name the folder that discsim sweep wrote to")
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        found = table.pop("discsim_schema", None) if isinstance(table, dict) else None
        if found != SWEEP_SCHEMA:
            raise ResultError(f"{path}: has schema {found!r}; this discsim reads {SWEEP_SCHEMA!r}")
        if _SEAL in table and table.pop(_SEAL) != _seal({"discsim_schema": found} | table):
            raise ValueError("its content is not the one that was written")
        table.pop("sweep")
        lists: tuple[str, ...] = ("steps", "table_times", "scenarios", "readouts", "mesh_hashes")
        values: dict[str, Any] = {key: tuple(value) if key in lists else value for key, value in table.items()}
        return Manifest(**values)
    except ResultError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ResultError(
            f"{path}: damaged or edited ({reason}); discsim sweep --force begins anew and keeps what lies here"
        ) from None


def identity_of(config: str, inputs: tuple[SweptInput, ...], engine: str, device: str, batch: int) -> dict[str, Any]:
    """What must stay the same for a sweep to go on."""
    document = tomllib.loads(config)
    document.pop("check", None)
    values = np.ascontiguousarray([swept.values for swept in inputs], dtype=np.float64)
    return {
        "config": flattened(document),
        "design values": hashlib.sha256(values.tobytes()).hexdigest()[:16],
        "engine": engine,
        "device": device,
        "batch": batch,
        "code": source_hash(document["mechanisms"]["use"]),
        "libraries": environment()["versions"],
    }


def source_hash(mechanisms: list[str]) -> str:
    """Hash of the source of everything that computes numbers: this package, and modules that bring mechanisms."""
    files = [path for path in sorted(_PACKAGE.rglob("*.py")) if path.relative_to(_PACKAGE).parts[0] not in _NO_NUMBERS]
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(_PACKAGE).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    for word in mechanisms:
        source = getattr(sys.modules.get(word.partition(":")[0]), "__file__", None) if ":" in word else None
        if source:
            digest.update(f"{word}\0".encode() + Path(source).read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def flattened(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as one, by path; lists of tables are counted from 0."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= flattened(value, f"{path}.")
        elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            found |= flattened({str(number): item for number, item in enumerate(value)}, f"{path}.")
        else:
            found[path] = value
    return found


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """In what two identities differ: what it is -> value before and after (nothing: absent)."""
    old, new = (_comparable(identity) for identity in (before, after))
    return {key: (old.get(key), new.get(key)) for key in dict.fromkeys((*old, *new)) if old.get(key) != new.get(key)}


def in_words(found: Mapping[str, tuple[Any, Any]]) -> list[str]:
    """Differences, one line each; long values are cut short."""
    return [f"{key} was {_shown(before)}, is {_shown(after)}" for key, (before, after) in found.items()]


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The first few differences of two identities in words, and how many more there are."""
    found = in_words(differences(before, after))
    return found if len(found) <= _MOST_CHANGES else [*found[:_MOST_CHANGES], f"and {len(found) - _MOST_CHANGES} more"]


def _comparable(identity: Mapping[str, Any]) -> dict[str, Any]:
    """One table, most telling entries first; hashes under names that say what they stand for."""
    flat = dict(identity["config"])
    flat |= {f"--{key}": identity[key] for key in ("engine", "device", "batch")}
    flat["code of discsim and mechanisms"] = identity["code"]
    if "added" in identity:
        flat["samples added to the training"] = identity["added"]
    flat |= {f"library {name}": version for name, version in identity["libraries"].items()}
    return flat | {"values of the design": identity["design values"]}


def _shown(value: Any) -> str:
    text = "absent" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def design_table(kind: str, seed: int | None, inputs: tuple[SweptInput, ...], count: int) -> dict[str, Any]:
    """The design without its values; an end of a range that is not there is ``null``."""
    return {
        "kind": kind,
        "seed": seed,
        "count": count,
        "inputs": [
            {
                "path": swept.path,
                "unit": swept.unit,
                "scale": swept.scale,
                "evidence": swept.evidence,
                "low": swept.low if np.isfinite(swept.low) else None,
                "high": swept.high if np.isfinite(swept.high) else None,
            }
            for swept in inputs
        ],
    }


def about() -> dict[str, Any]:
    """Code, libraries and kind of machine, as results have them."""
    return {"code": dataclasses.asdict(code_state()), "environment": environment()}


def set_aside(folder: Path) -> Path:
    """Move the sweep of a folder into ``replaced/``; nothing that was computed is deleted."""
    stamp = now().replace(":", "").replace("-", "")
    target, number = folder / REPLACED / stamp, 2
    while target.exists():
        target, number = folder / REPLACED / f"{stamp}.{number}", number + 1
    target.mkdir(parents=True)
    for name in (MANIFEST, STUDY_FILE, NOMINAL_FILE, SHARDS, STATE, LOG, "check.json"):  # the manifest first: it makes the sweep
        if (folder / name).exists():
            (folder / name).rename(target / name)
    return target


class Lock:
    """One driver per folder. The system holds the lock and frees it when the driver ends, however it ends.

    The file names the driver for others to read. Where folders are shared between machines whose locks do not see one another,
    the time of the file counts: a driver renews it, so that an old one is stale.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK
        self._handle: int | None = None

    def __enter__(self) -> Self:
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            self._take(handle)
        except BaseException:
            os.close(handle)
            raise
        self._handle = handle
        return self

    def _take(self, handle: int) -> None:
        for attempt in range(4):  # whoever only asks (see ``holder``) has the lock for a moment
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if attempt == 3:
                    raise SweepBusy(f"{self.path.parent}: {_driver(_holder_text(self.path))} works here; {_WAIT}") from None
                time.sleep(0.1)
        named = _holder_text(self.path)
        age = time.time() - os.fstat(handle).st_mtime
        if named and named["host"] != socket.gethostname() and age < STALE_AFTER:
            raise SweepBusy(f"{self.path.parent}: {_driver(named)} works here (heard of {age:.0f} s ago); {_WAIT}")
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": now()}).encode(), 0)

    def renew(self) -> None:
        """Say that the driver is alive."""
        os.utime(self.path)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._handle is not None:
            os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = None


_WAIT = "wait for it, or end it; discsim status shows how far it is"


def holder(folder: Path) -> dict[str, Any] | None:
    """The driver that works on a folder (pid, host, since); nothing where none does."""
    path = folder / LOCK
    named = _holder_text(path)
    if named is None:
        return None
    if named["host"] != socket.gethostname():
        return named if time.time() - path.stat().st_mtime < STALE_AFTER else None
    with path.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return named
    return None


def _holder_text(path: Path) -> dict[str, Any] | None:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        return {"pid": int(table["pid"]), "host": str(table["host"]), "since": str(table["since"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _driver(named: Mapping[str, Any] | None) -> str:
    return f"another driver (process {named['pid']} on {named['host']}, since {named['since']})" if named else "another driver"


def swept_inputs(manifest: Manifest, values: Iterable[np.ndarray]) -> tuple[SweptInput, ...]:
    """The inputs of the design with the values of some samples."""
    return tuple(
        SweptInput(
            **{key: entry[key] for key in ("path", "unit", "scale", "evidence")},
            low=-np.inf if entry["low"] is None else entry["low"],
            high=np.inf if entry["high"] is None else entry["high"],
            values=column,
        )
        for entry, column in zip(manifest.design["inputs"], values, strict=True)
    )
