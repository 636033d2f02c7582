"""A sweep of something else beside the one that a folder holds, which stays untouched.

The branch lies in ``FOLDER-ID``, where the id is that of what it computes: the same command finds it again and resumes. What it
branched from, and in what it differs, is part of its provenance.

A finished sweep is taken to a longer duration in the same way. States are not kept (550 kB a run on the default mesh, 2.3 GB for
1,024 samples of four scenarios), so that all of it is computed from the start; but on the step list that the shorter one had
up to its end, so that its numbers come again there, within the tolerance of the solver.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from discsim.problem.problem import same_time
from discsim.quantities import units
from discsim.study.config import resolve
from discsim.study.design import draw
from discsim.study.provenance import sha256
from discsim.study.study import Study
from discsim.study.sweep_folder import Manifest, SweepChanged, differences, identity_of, in_words, load_manifest
from discsim.study.sweep_plan import BadOption, SweepOptions, chosen
from discsim.study.sweep_result import sweep_counts
from discsim.study.train import added_identity


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
    identity = identity_of(resolve(study), draw(study).inputs, engine, device, batch) | added_identity(study, engine)
    changes = differences(manifest.identity, identity)
    if not changes:
        return Branch(folder, options, {})
    options = dataclasses.replace(options, engine=engine, device=device, batch=batch, parent=parent_record(manifest, changes))
    return Branch(branch_folder(folder, identity), options, changes)


def longer_study(read: Callable[[Sequence[str]], Study], study: Study, duration: str) -> Study:
    """The same study to a later end; its own end becomes an output time. ``read``: read it anew with more overrides.

    Raises ``BadOption`` for a duration that is none or no longer, and ``ConfigError`` for one that is out of bounds.
    """
    before, end = _table(study), study.problem().duration
    try:
        asked = units.parse(duration, "s")
    except units.UnitError as error:
        raise BadOption(f"--extend {duration}: {error}") from None
    if asked <= end * (1.0 + 1e-12):
        raise BadOption(f"--extend {duration}: the experiment has {before['duration']} already; name a longer duration")
    change = f"duration={duration}"
    longer = read([change])
    times = _table(longer)["output"]["times"]
    if not any(same_time(units.parse(time, "s"), end) for time in times):
        times = sorted([*times, before["duration"]], key=lambda time: units.parse(time, "s"))
    return read([change, f"output.times={json.dumps(times)}"])


def extension_of(study: Study, longer: Study, folder: Path, options: SweepOptions) -> Branch:
    """The branch that takes the finished sweep of a study in a folder to a longer duration.

    Raises ``ResultError`` where no sweep lies there, ``SweepChanged`` where it is one of something else, ``BadOption`` where it
    is not finished.
    """
    manifest = load_manifest(folder)
    here = branch_of(study, folder, options)
    if here.changes:
        what = "; ".join(in_words(here.changes))
        raise SweepChanged(f"{folder}: --extend changes the duration alone; this holds a sweep of something else: {what}")
    wanted = min(options.samples or manifest.count, manifest.count)
    counts = sweep_counts(folder, manifest)
    done = sum(sample < wanted for sample in counts)
    if done < wanted:
        raise BadOption(
            f"--extend: {done} of {wanted} samples in {folder} are done; finish it first, by the command without --extend"
        )
    branch = branch_of(longer, folder, options)
    # a reduced model steps as it was trained to
    steps = () if branch.options.engine == "reduced" else manifest.steps
    return dataclasses.replace(branch, options=dataclasses.replace(branch.options, first_steps=steps))


def _table(study: Study) -> dict[str, Any]:
    return tomllib.loads(resolve(study))


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
