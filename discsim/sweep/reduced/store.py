"""Trainings on disk: one file, told apart by what it was made from, and never used where a byte of it differs."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from discsim.sweep.reduced.bases import Counts
from discsim.sweep.reduced.build import TrainingError
from discsim.sweep.reduced.certificate import Certificate
from discsim.sweep.reduced.engine import Training
from discsim.sweep.reduced.regression import Polynomial
from discsim.sweep.reduced.shapes import Shapes
from discsim.sweep.reduced.training import Trained

MAGIC = b"discsim training 2\n"
_CLASSES: dict[str, type] = {cls.__name__: cls for cls in (Training, Trained, Certificate, Polynomial, Counts, Shapes)}


def save(path: Path, training: Training, identity: dict[str, Any]) -> None:
    """Write a training, whole or not at all; ``identity``: what it was made from (plain words and numbers)."""
    arrays: dict[str, np.ndarray] = {}
    outline = _flattened(training, arrays)
    arrays["outline"] = np.array(json.dumps({"identity": identity, "training": outline}))
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    payload = stream.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    beside.write_bytes(MAGIC + hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload)
    beside.replace(path)


def load(path: Path, identity: dict[str, Any]) -> Training:
    """The training of a file, which must have been made from ``identity``; raises ``TrainingError`` otherwise."""
    told, training = _read(path)
    if told != identity:
        raise TrainingError(f"{path}: a training of something else; remove it, and discsim train makes the right one")
    return training


def identity_in(path: Path) -> dict[str, Any]:
    """What the training of a file was made from; raises ``TrainingError`` where it is none."""
    return _read(path)[0]


def _read(path: Path) -> tuple[dict[str, Any], Training]:
    try:
        whole = path.read_bytes()
    except OSError as error:
        raise TrainingError(f"{path}: cannot be read ({error.strerror}); discsim train makes it anew") from None
    digest, _, payload = whole.removeprefix(MAGIC).partition(b"\n")
    if not whole.startswith(MAGIC):
        raise TrainingError(f"{path}: not a training of this version; remove it, and discsim train makes it anew")
    if hashlib.sha256(payload).hexdigest().encode() != digest:
        raise TrainingError(
            f"{path}: damaged (its bytes are not those that were written); remove it, and discsim train makes it anew"
        )
    try:
        with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
            outline = json.loads(str(arrays["outline"]))
            training = _restored(outline["training"], arrays)
    except (KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise TrainingError(
            f"{path}: not a training of this version ({error}); remove it, and discsim train makes it anew"
        ) from None
    assert isinstance(training, Training)
    return outline["identity"], training


def _flattened(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """The outline of nested classes, tables and lists; arrays go to ``arrays``."""
    if dataclasses.is_dataclass(value) and type(value).__name__ in _CLASSES:
        inner = {field.name: _flattened(getattr(value, field.name), arrays) for field in dataclasses.fields(value)}
        return {"class": type(value).__name__, "of": inner}
    if isinstance(value, dict):
        return {"class": "dict", "of": {str(name): _flattened(item, arrays) for name, item in value.items()}}
    if isinstance(value, list | tuple):
        return {"class": type(value).__name__, "of": [_flattened(item, arrays) for item in value]}
    if value is None or isinstance(value, str | bool | int | float):
        return {"class": "plain", "of": value}
    name = f"a{len(arrays)}"
    arrays[name] = np.asarray(value)
    return {"class": "array", "of": name}


def _restored(outline: Any, arrays: Any) -> Any:
    kind, of = outline["class"], outline["of"]
    if kind == "plain":
        return of
    if kind == "array":
        return arrays[of]
    if kind in ("list", "tuple"):
        items = [_restored(item, arrays) for item in of]
        return items if kind == "list" else tuple(items)
    inner = {name: _restored(item, arrays) for name, item in of.items()}
    return inner if kind == "dict" else _CLASSES[kind](**inner)
