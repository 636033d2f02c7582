"""Trainings of a study: which one it has, and how one is made from full-order runs over its box."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import json
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discsim.problem.tables import cache_folder
from discsim.study.config import resolve
from discsim.study.design import Design, draw, sample_study
from discsim.study.enrichment import Point, added_in, hash_of, with_points
from discsim.study.environment import cores
from discsim.study.executor import Died, Task
from discsim.study.messages import ConfigError, Mistake, Shown
from discsim.study.numbers import nominal_values, with_values
from discsim.study.study import Study
from discsim.study.sweep_folder import flattened, source_hash
from discsim.study.sweep_pool import Workers
from discsim.study.sweep_worker import Setup, Trouble, bare, choose_steps, collect_sample
from discsim.study.training_design import box, training_design

if TYPE_CHECKING:
    from discsim.sweep.reduced.engine import Training

REMEDY = "; discsim train makes one"  # what every command but that one says of a missing model
TRAINING_SAMPLES = 40
CALIBRATION_SAMPLES = 20  # from 19 on bars can cover 95 of 100 errors
Teller = Callable[[str, int, int], None]  # stage, done, of how many


class NotTrained(ValueError):
    """There is no usable training; the message says why and what to do."""


@dataclasses.dataclass(frozen=True)
class Place:
    """Where the training of a study lies, and what it is made from; ``listed``: file of the samples that joined it, ``added``."""

    identity: dict[str, Any]
    path: Path
    scratch: Path
    listed: Path
    added: tuple[Point, ...]


def place_of(study: Study) -> Place:
    """Where the training of a study belongs. Raises ``ConfigError`` where it has no design that can be trained for, and
    ``NotTrained`` where the list of samples that joined it is damaged."""
    document = tomllib.loads(resolve(study))
    for name in ("check", "title"):
        document.pop(name, None)
    vary = document.get("design", {}).get("vary")
    document["design"] = {"vary": vary}
    design = draw(study)
    _refuse_unfit(design)
    identity = {
        "study": flattened(document),
        "box": {swept.path: list(ends) for swept, ends in zip(design.inputs, box(study, design), strict=True)},
        "meshes": sorted({arm.mesh.hash for arm in study.problem().arms}),
        "code": source_hash(document["mechanisms"]["use"]),
        "samples": [TRAINING_SAMPLES, CALIBRATION_SAMPLES],
    }
    folder = cache_folder() / "trained"
    listed = folder / f"{_key(identity)}.added.json"
    try:
        added = added_in(listed)
    except ValueError as error:
        raise NotTrained(str(error)) from None
    if added:
        identity["added"] = list(added)
    return Place(identity, folder / f"{_key(identity)}.training", folder / f"{_key(identity)}.runs", listed, added)


def _key(identity: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:20]


def added_identity(study: Study, engine: str) -> dict[str, str]:
    """What the identity of a sweep tells of samples that joined the training of its engine; nothing where none did."""
    added = place_of(study).added if engine == "reduced" else ()
    return {"added": hash_of(added)} if added else {}


def trained(study: Study) -> Training:
    """The training of a study; raises ``NotTrained``, which says what changed where there was another one."""
    from discsim.sweep.reduced.build import TrainingError
    from discsim.sweep.reduced.store import load

    place = place_of(study)
    if not place.path.exists():
        raise NotTrained(f"no reduced model of this study{_what_changed(place)}{REMEDY}")
    try:
        return load(place.path, place.identity)
    except TrainingError as error:
        raise NotTrained(str(error)) from None


def _what_changed(place: Place) -> str:
    """In which way the latest other training differs, if it is of the same scenarios."""
    from discsim.sweep.reduced.build import TrainingError
    from discsim.sweep.reduced.store import identity_in

    others = sorted(place.path.parent.glob("*.training"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in others[:5]:
        try:
            other = identity_in(path)
        except TrainingError:
            continue
        if set(other["box"]) != set(place.identity["box"]):
            continue
        different = differences(flattened(other), flattened(place.identity))
        if different:
            return f" (another one differs: {'; '.join(different[:3])})"
    return ""


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """In what two identities differ, in words; the code is named where nothing else is."""
    found = []
    for key in (key for key in dict.fromkeys((*old, *new)) if key != "code" and old.get(key) != new.get(key)):
        words = [str(identity.get(key, "absent")) for identity in (old, new)]
        before, after = (text if len(text) <= 60 else f"{text[:57]}..." for text in words)
        found.append(f"{key.removeprefix('study.')} was {before}, is {after}")
    if not found and old.get("code") != new.get("code"):
        found.append("code of discsim and mechanisms")
    return found


def train_study(study: Study, tell: Teller, *, workers: int | None = None, plugins: Path | None = None) -> Training:
    """Run the training design at full order and make the reduced model; runs that are there already are not repeated.

    Raises ``NotTrained`` where a run cannot be made or no model comes of them, ``ConfigError`` where the study has no design.
    """
    from discsim.sweep.engine import SweepEngine
    from discsim.sweep.reduced.build import Sample, TrainingError, build
    from discsim.sweep.reduced.rule import TrainingRule
    from discsim.sweep.reduced.snapshots import read_courses
    from discsim.sweep.reduced.store import save

    place = place_of(study)
    place.scratch.mkdir(parents=True, exist_ok=True)
    count = TRAINING_SAMPLES + CALIBRATION_SAMPLES
    design = with_points(training_design(study, count), place.added)
    steps = _run_samples(study, design, place, tell, workers, plugins)
    tell("fitting", 0, 1)
    samples = [
        Sample(bare(sample_study(study, design, index).problem()), read_courses(place.scratch / f"{index:04d}.npz"))
        for index in range(design.count)
    ]
    try:
        found = build(
            SweepEngine(),
            samples[:TRAINING_SAMPLES] + samples[count:],
            samples[TRAINING_SAMPLES:count],
            ends_of_box(study, design),
            steps,
            TrainingRule(),
        )
    except TrainingError as error:
        raise NotTrained(str(error)) from None
    save(place.path, found, place.identity)
    shutil.rmtree(place.scratch, ignore_errors=True)
    tell("fitting", 1, 1)
    return found


def ends_of_box(study: Study, design: Design) -> list[Any]:
    """Problems with one input at an end of its range and the others as the file has them."""
    nominal = nominal_values(study, [swept.path for swept in design.inputs])
    found = []
    for swept in design.inputs:
        for end in (swept.low, swept.high):
            found.append(bare(with_values(study, nominal | {swept.path: end}).problem()))
    return found


def _refuse_unfit(design: Design) -> None:
    moving = [swept.path for swept in design.inputs if swept.path.endswith((".at", "duration")) or swept.path.startswith("disc.")]
    if moving:
        raise ConfigError(
            [
                Mistake(
                    f'design.vary."{moving[0]}"',
                    Shown("a range"),
                    "numbers that move neither the mesh nor the calendar, for a reduced model; or --engine sweep",
                )
            ],
            "the study",
        )


def _run_samples(
    study: Study, design: Design, place: Place, tell: Teller, workers: int | None, plugins: Path | None
) -> tuple[float, ...]:
    """Full-order runs of all samples of the training design, each to a file of its own; and the step list."""
    listed = place.scratch / "steps.json"
    missing = [index for index in range(design.count) if not (place.scratch / f"{index:04d}.npz").exists()]
    log = place.scratch / "log" / "worker"
    setup = Setup(resolve(study), design, "sweep", "cpu", log, plugins)
    free = cores()
    count = max(1, min(workers or len(free), len(missing)))
    setups = [
        dataclasses.replace(setup, log=log.with_name(f"worker-{n}.log"), core=free[n] if count > 1 and n < len(free) else None)
        for n in range(count)
    ]
    with Workers(setups) as pool:
        if listed.exists():
            steps = tuple(float(end) for end in json.loads(listed.read_text()))
        else:
            tell("choosing steps", 0, 1)
            steps = _told(pool.run_one(Task("steps", choose_steps)))
            listed.write_text(json.dumps(steps))
        tasks = collections.deque(
            Task(index, collect_sample, (index, steps, place.scratch / f"{index:04d}.npz")) for index in missing
        )
        for _, outcome in pool.run(
            tasks, lambda running: tell("running", design.count - len(tasks) - len(running), design.count)
        ):
            _told(outcome)
        tell("running", design.count, design.count)
    return steps


def _told(outcome: Any) -> Any:
    if isinstance(outcome, Trouble):
        raise NotTrained(f"a training run failed: {outcome.reason}")
    if isinstance(outcome, Died):
        raise NotTrained(f"a training run failed: {outcome}")
    return outcome
