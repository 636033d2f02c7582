"""Result files: written beside and renamed, read whole, refused in one line where they are no result of ours."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import xarray as xr

from discsim.study.provenance import SCHEMA

ENGINE: Literal["h5netcdf"] = "h5netcdf"
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
HASH_DIGITS = 16  # of a SHA-256, in the name of a file: enough against accidents, which is what it is for
_COMPRESSED = {"zlib": True, "complevel": 4, "shuffle": True}
_COMPRESS_FROM = 64  # values; below that compression costs more than it saves


class ResultError(ValueError):
    """A result that cannot be read, written or asked for what it lacks; the message is one line."""


def write_tree(tree: xr.DataTree, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write to a new file in the same folder, force it onto the disk, rename it: no half file ever bears the name."""
    target = Path(path)
    _refuse_existing(target, overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _beside(target) as partial:
        tree.to_netcdf(partial, mode="w", engine=ENGINE, encoding=_encoding(tree))
        _flush(partial)
        _refuse_existing(target, overwrite)
        os.replace(partial, target)
    _flush(target.parent)
    return target


def write_hashed(tree: xr.DataTree, folder: Path, name: str) -> Path:
    """Write ``NAME-HASH.nc``, where the hash is that of the file's bytes; it appears whole or not at all, and never changes."""
    folder.mkdir(parents=True, exist_ok=True)
    with _beside(folder / f"{name}.nc") as partial:
        tree.to_netcdf(partial, mode="w", engine=ENGINE, encoding=_encoding(tree))
        _flush(partial)
        target = folder / f"{name}-{file_hash(partial)}.nc"
        os.replace(partial, target)
    _flush(folder)
    return target


def write_text_file(path: Path, text: str) -> None:
    """Replace a text file as a whole: whoever reads it meanwhile sees the old text or the new one."""
    with _beside(path) as partial:
        partial.write_text(text, encoding="utf-8")
        _flush(partial)
        os.replace(partial, path)
    _flush(path.parent)


def file_hash(path: Path) -> str:
    """First digits of the SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:HASH_DIGITS]


def is_intact(path: Path) -> bool:
    """Whether a file written by ``write_hashed`` still holds what it was named after."""
    return path.stem.rpartition("-")[2] == file_hash(path)


def remove_partial(folder: Path) -> None:
    """Remove what a killed writer left: files that never got their name."""
    for path in folder.glob(".*.part"):
        path.unlink(missing_ok=True)


def read_tree(path: str | os.PathLike[str]) -> xr.DataTree:
    """Read a result into memory; raises ``ResultError`` for a missing, foreign, damaged or newer file."""
    source = Path(path)
    if not source.exists():
        raise ResultError(f"{source}: no such file; name the folder that discsim run or discsim sweep wrote to")
    if source.is_dir():
        raise ResultError(f"{source}: a folder; name the result file in it")
    try:
        with source.open("rb") as stream:
            signature = stream.read(len(HDF5_SIGNATURE))
    except OSError as error:
        raise ResultError(f"{source}: cannot be read: {error.strerror}") from None
    if signature != HDF5_SIGNATURE:
        what = "empty" if not signature else "no NetCDF-4 file"
        raise ResultError(f"{source}: {what}, so no result of discsim")
    try:
        with h5py.File(source, "r"):  # what is cut or foreign ends here: the reader above it would print a traceback of its own
            pass
        with xr.open_datatree(source, engine=ENGINE, decode_times=False) as opened:
            tree = opened.load()
    except Exception as error:  # the readers beneath raise many kinds for a damaged file, and no common one
        reason = " ".join(str(error).split())
        raise ResultError(f"{source}: damaged or written incompletely ({reason[:120]}); run the study again") from error
    _check_schema(source, tree.attrs)
    return tree


def _check_schema(source: Path, attributes: dict[Any, Any]) -> None:
    found = attributes.get("discsim_schema")
    if found is None:
        raise ResultError(f"{source}: a NetCDF file, but no result of discsim")
    if found != SCHEMA:
        raise ResultError(f"{source}: has schema {found!r}; this discsim reads {SCHEMA!r}; use the version that wrote it")


def _refuse_existing(target: Path, overwrite: bool) -> None:
    if target.is_dir():
        raise ResultError(f"{target}: a folder; name a file")
    if target.exists() and not overwrite:
        raise ResultError(f"{target}: exists; choose another name, or overwrite it expressly")


@contextlib.contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A name for a new file in the folder of ``target``, removed if it is still there at the end."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    os.close(handle)
    partial = Path(name)
    mask = os.umask(0)
    os.umask(mask)
    partial.chmod(0o666 & ~mask)  # mkstemp makes files that only their owner reads
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def appearing(target: Path) -> Iterator[Path]:
    """A place for a file or folder of the same name beside ``target``, whose name it takes at a good end and only then."""
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", suffix=".part", dir=target.parent) as place:
        partial = Path(place) / target.name
        yield partial
        partial.replace(target)


def _flush(path: Path) -> None:
    """Force a file, or the entries of a folder, onto the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _encoding(tree: xr.DataTree) -> dict[str, dict[str, dict[str, Any]]]:
    """NaN as fill value where something is missing, large variables compressed, texts as characters, which compress too."""
    encoding: dict[str, dict[str, dict[str, Any]]] = {}
    for node in tree.subtree:
        own = node.to_dataset(inherit=False).variables
        chosen: dict[str, dict[str, Any]] = {}
        for name, variable in own.items():
            rules: dict[str, Any] = {}
            if variable.dtype.kind == "f":
                rules = {"_FillValue": np.nan if np.isnan(variable.values).any() else None}
            if variable.dtype.kind == "U" and variable.size >= _COMPRESS_FROM:
                rules = {"dtype": "S1"}
            if variable.size >= _COMPRESS_FROM:
                rules |= _COMPRESSED
            chosen[str(name)] = rules
        encoding[node.path] = chosen
    return encoding
