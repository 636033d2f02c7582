"""A sweep of something else beside the one that a folder holds, which stays untouched.

The branch lies in ``FOLDER-ID``, where the id is that of what it computes: the same command finds it again and resumes. What it
branched from, and in what it differs, is part of its provenance.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from discsim.study.config import resolve
from discsim.study.design import draw
from discsim.study.provenance import sha256
from discsim.study.study import Study
from discsim.study.sweep_folder import Manifest, differences, identity_of, load_manifest
from discsim.study.sweep_plan import SweepOptions, chosen


@dataclasses.dataclass(frozen=True)
class Branch:
    """Where to go on, and how. ``changes``: what is different from the sweep of the folder, with both values; none: it is that
    very sweep, and goes on where it is."""

    folder: Path
    options: SweepOptions
    changes: Mapping[str, tuple[Any, Any]]


def branch_of(study: Study, folder: Path, options: SweepOptions) -> Branch:
    """The branch that a study is of the sweep in a folder. Engine, device and batch size are that sweep's where left out.

    Writes nothing. Raises ``ResultError`` where no sweep lies there.
    """
    manifest = load_manifest(folder)
    engine, device, batch = chosen(options, manifest.identity)
    identity = identity_of(resolve(study), draw(study).inputs, engine, device, batch)
    changes = differences(manifest.identity, identity)
    if not changes:
        return Branch(folder, options, {})
    options = dataclasses.replace(options, engine=engine, device=device, batch=batch, parent=parent_record(manifest, changes))
    return Branch(branch_folder(folder, identity), options, changes)


def branch_folder(folder: Path, identity: Mapping[str, Any]) -> Path:
    """Where a sweep of that identity lies beside the one in a folder."""
    named = folder if folder.name not in ("", "..") else folder.resolve()
    return named.with_name(f"{named.name}-{sha256(json.dumps(identity, sort_keys=True))[:8]}")


def parent_record(manifest: Manifest, changes: Mapping[str, tuple[Any, Any]]) -> dict[str, Any]:
    """What a branch keeps of its parent: which sweep it is, when and from which file it began, and all that changed since."""
    return {
        "sweep": manifest.sweep,
        "title": manifest.title,
        "created": manifest.created,
        "config_hash": manifest.config_hash,
        "changes": {name: list(pair) for name, pair in changes.items()},
    }
