"""The driver of a sweep: which batches are missing, workers that solve them, and what is told meanwhile.

Whatever was accepted is a shard, and a shard is never computed again. So the same command resumes a sweep that was interrupted
in whatever way, and does nothing where all is there.
"""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from discsim.problem.problem import Problem
from discsim.problem.status import Status
from discsim.problem.steps import steps_after
from discsim.study.config import resolve
from discsim.study.design import Design, draw
from discsim.study.environment import MissingTool
from discsim.study.faults import VARIABLE
from discsim.study.shards import Batch, ShardSummary, failed_records, shard_paths, summarise, write_shard
from discsim.study.store import ResultError, remove_partial
from discsim.study.study import Study
from discsim.study.sweep_accepted import Accepted
from discsim.study.sweep_attempts import FIRST, STARTS, Attempts
from discsim.study.sweep_begin import begin_sweep
from discsim.study.sweep_branch import branch_folder
from discsim.study.sweep_check import CHECK_FILE, check_sweep
from discsim.study.sweep_folder import (
    DAMAGED,
    LOG,
    SHARDS,
    Lock,
    Manifest,
    SweepChanged,
    SweepError,
    SweepUnwritable,
    changes,
    identity_of,
    is_sweep,
    load_manifest,
    set_aside,
)
from discsim.study.sweep_plan import (
    AS_USUAL,
    SweepOptions,
    check_options,
    chosen,
    setups,
    told,
)
from discsim.study.sweep_pool import Died, Task, Workers, cores, hung
from discsim.study.sweep_result import open_ensemble, open_sweep
from discsim.study.sweep_state import Hook, Phase, SweepProgress, Teller, silent
from discsim.study.sweep_worker import Setup, Trouble, bare, choose_steps, run_batch
from discsim.study.train import NotTrained, train_study, trained

__all__ = ["SweepOptions", "SweepOutcome", "SweepProgress", "open_ensemble", "open_sweep", "run_sweep"]


@dataclasses.dataclass(frozen=True)
class SweepOutcome:
    """What a sweep came to. ``failed``: sample -> why; ``computed``: samples of this run; ``notes``: what else is to be said."""

    folder: Path
    total: int
    failed: Mapping[int, str]
    computed: int
    notes: tuple[str, ...]


def run_sweep(study: Study, folder: Path, options: SweepOptions = AS_USUAL, hook: Hook = silent) -> SweepOutcome:
    """Run or resume the sweep of a study in a folder.

    Raises ``SweepBusy`` (another driver), ``SweepChanged`` (a sweep of something else), ``MissingTool`` (an engine that is not
    installed), ``SweepError`` (it cannot go on, such as a full disk) and ``ConfigError`` (no design, or one that cannot be).
    """
    config, design = resolve(study), draw(study)
    check_options(options, design)
    folder.mkdir(parents=True, exist_ok=True)
    with Lock(folder) as lock:
        return _Driver(study, config, design, folder, options, Teller(folder, lock, hook)).run()


class _Driver:
    """One run of the command, with the lock of the folder in hand."""

    def __init__(self, study: Study, config: str, design: Design, folder: Path, options: SweepOptions, teller: Teller) -> None:
        self.study, self.config, self.design = study, config, design
        self.folder, self.options, self.teller = folder, options, teller
        self.problem: Problem = bare(study.problem())
        self.wanted = min(options.samples or design.count, design.count)
        self.tries = Attempts(options.timeout)
        self.accepted = Accepted()
        self.computed, self.last_failure = 0, ""
        self.notes: list[str] = []

    def run(self) -> SweepOutcome:
        """The whole: resume or begin, missing batches, check."""
        for place in (self.folder, self.folder / SHARDS):
            remove_partial(place)
        manifest = self._existing()
        engine, device, batch = chosen(self.options, {} if manifest is None else manifest.identity)
        identity = identity_of(self.config, self.design.inputs, engine, device, batch)
        manifest = self._kept(manifest, identity)
        log = self.folder / LOG / "worker"
        self._announce()
        setup = Setup(self.config, self.design, engine, device, self.folder / SHARDS, log, self.options.plugins)
        setup = dataclasses.replace(setup, faults=self.options.faults)
        with Workers(setups(setup, self._workers())) as workers:
            if manifest is None:
                manifest = self._begun(workers, identity)
            batches = self._missing(manifest, batch)
            self.teller.begin(len(self.accepted.done))
            if batches:
                self._trained(engine)
                (self.folder / CHECK_FILE).unlink(missing_ok=True)  # it speaks of fewer samples
                self._solve(workers, batches, manifest)
        if not (self.options.fail_fast and self.last_failure):
            self._check(manifest, setup)
        self._tell("done")
        self.teller.log(f"done: {len(self.accepted.done)} samples, {len(self._failed())} failed, {self.computed} computed now")
        return SweepOutcome(self.folder, self.wanted, self._failed(), self.computed, tuple(self.notes))

    def _announce(self) -> None:
        """Nobody is to take a fault on purpose for one of the study's."""
        if self.options.faults:
            faults = ", ".join(f"{kind}@{sample}" for sample, kind in sorted(self.options.faults.items()))
            self._note(f"faults on purpose, as {VARIABLE} asks: {faults}")

    def _workers(self) -> int:
        return self.options.workers or len(cores())

    def _trained(self, engine: str) -> None:
        """The reduced engine needs a training: made now where the study has none yet."""
        if engine != "reduced":
            return
        try:
            trained(self.study)
        except NotTrained as error:
            self.teller.log(f"training: {error}")
        else:
            return

        def tell(stage: str, done: int, of: int) -> None:
            self.teller.tell("training", done, of, failed=0, running=0)

        self.teller.begin(0)
        try:
            train_study(self.study, tell, workers=self.options.workers, plugins=self.options.plugins)
        except NotTrained as error:
            raise SweepError(str(error)) from None
        self._note("a reduced model of this study was trained first; discsim train --report shows it")

    def _existing(self) -> Manifest | None:
        if not is_sweep(self.folder):
            return None
        try:
            return load_manifest(self.folder)
        except ResultError:
            if not self.options.force:
                raise
            self._set_aside()
            return None

    def _kept(self, manifest: Manifest | None, identity: Mapping[str, Any]) -> Manifest | None:
        """The manifest to go on with; nothing where a sweep begins."""
        if manifest is None:
            return None
        found = changes(manifest.identity, identity)
        if not found:
            return manifest
        if not self.options.force:
            what = "; ".join(found)
            raise SweepChanged(
                f"{self.folder}: holds a sweep of something else: {what}; --branch begins another one beside it, in "
                f"{branch_folder(self.folder, identity)}, --out DIR elsewhere; --force begins anew here and keeps the earlier "
                "one in replaced/"
            )
        self._set_aside()
        return None

    def _set_aside(self) -> None:
        place = set_aside(self.folder)
        self._note(f"the earlier sweep is kept in {place}")

    def _note(self, line: str) -> None:
        self.notes.append(line)
        self.teller.log(line)

    def _begun(self, workers: Workers, identity: Mapping[str, Any]) -> Manifest:
        """Choose the step list and write down what the sweep is."""
        self.teller.log(f"begins with engine {identity['engine']}")
        self._trained(str(identity["engine"]))
        outcome = workers.run_one(Task("steps", choose_steps), lambda running: self._tell("choosing steps"))
        steps = steps_after(self.options.first_steps, told(outcome, "choosing the step list"))
        parent = self.options.parent
        return begin_sweep(self.folder, self.study, self.config, self.problem, self.design, identity, steps, parent)

    def _missing(self, manifest: Manifest, size: int) -> list[Batch]:
        """Batches to run: samples that no shard has, and failed ones where that is asked for."""
        for summary in self._intact(manifest):
            self.accepted.add(summary)
        batches = self.accepted.missing(self.wanted, size)
        if self.options.again:
            batches += self.accepted.failed_again(self.wanted, size, self.options.again)
        return batches

    def _intact(self, manifest: Manifest) -> list[ShardSummary]:
        """What is there; shards that are not what they were are moved aside."""
        found = []
        for path in shard_paths(self.folder / SHARDS):
            try:
                found.append(summarise(path, manifest.sweep))
            except ResultError as error:
                (self.folder / DAMAGED).mkdir(exist_ok=True)
                path.rename(self.folder / DAMAGED / path.name)
                self._note(f"{error}; it now lies in {DAMAGED}/")
        return found

    def _solve(self, workers: Workers, batches: list[Batch], manifest: Manifest) -> None:
        """Run batches until each has a shard."""
        attributes = self._attributes(manifest)
        tasks = collections.deque(self._task(batch, manifest, attributes) for batch in batches)
        self.teller.log(f"{len(batches)} batches, {sum(len(batch.samples) for batch in batches)} samples to run")
        begun: dict[tuple[int, ...], float] = {}

        def tick(running: list[Task]) -> None:
            for task in running:
                begun.setdefault(task.key.samples, time.monotonic())
            self._tell("running", running)

        for task, outcome in workers.run(tasks, tick, lambda task: self.tries.limit(task.key)):
            batch: Batch = task.key
            seconds = time.monotonic() - begun.pop(batch.samples)
            if isinstance(outcome, ShardSummary):
                self.tries.took(batch, seconds)
                self._take(outcome)
            else:
                reason = self._reason(outcome)
                self.teller.log(f"batch {batch.number}.{batch.generation}, {len(batch.samples)} samples: {reason}")
                hangs = hung(outcome)
                again = self.tries.after(batch, hangs=hangs)
                tasks.extendleft(self._task(one, manifest, attributes) for one in reversed(again))
                if not again:
                    self._take(self._given_up(batch, reason, hangs, manifest, attributes))
            if self.options.fail_fast and self.last_failure:
                self._note("ended at the first sample that failed (--fail-fast); the same command without it goes on")
                return
        self._tell("running")

    def _task(self, batch: Batch, manifest: Manifest, attributes: Mapping[str, Any]) -> Task:
        return Task(batch, run_batch, (batch, manifest.steps, attributes))

    def _take(self, summary: ShardSummary) -> None:
        self.accepted.add(summary)
        self.computed += len(summary.samples)
        self.teller.log(f"accepted {summary.path.name}: {len(summary.samples)} samples, {len(summary.failed())} failed")
        for sample, why in summary.failed().items():
            self.last_failure = f"sample {sample}: {why}"
            self.teller.log(f"failed: {self.last_failure}")

    def _reason(self, outcome: Died | Trouble) -> str:
        """Why a batch gave nothing; raises where none could give anything."""
        if isinstance(outcome, Died):
            return str(outcome)
        if outcome.kind == "tool":
            raise MissingTool(outcome.reason)
        if outcome.kind == "write":
            raise SweepUnwritable(
                f"{self.folder / SHARDS}: cannot be written to ({outcome.reason}); what is there is kept: make room, then sweep "
                "again"
            )
        return outcome.reason

    def _given_up(
        self, batch: Batch, reason: str, hangs: bool, manifest: Manifest, attributes: Mapping[str, Any]
    ) -> ShardSummary:
        """The shard of a sample that was given up."""
        advice = "discsim sweep --retry failed runs it once more"
        if hangs:
            records = [failed_records(self.problem, Status.TIMEOUT, reason, f"{advice}, with a longer --timeout.")]
        else:
            records = [failed_records(self.problem, Status.CRASHED, f"{reason}, {STARTS} times", f"{advice}; see the log.")]
        try:
            path = write_shard(self.folder / SHARDS, batch, records, self.problem, self.design.inputs, manifest.steps, attributes)
        except OSError as error:
            raise SweepUnwritable(
                f"{self.folder / SHARDS}: cannot be written to ({error}); make room, then sweep again"
            ) from None
        return summarise(path, manifest.sweep)

    def _attributes(self, manifest: Manifest) -> dict[str, Any]:
        """What every shard says of itself."""
        code = manifest.about["code"]
        return {
            "discsim_schema": "discsim/1",
            "discsim_sweep": manifest.sweep,
            "title": manifest.title,
            "discsim_config_hash": manifest.config_hash,
            "discsim_engine": manifest.identity["engine"],
            "discsim_version": code["version"],
            "discsim_commit": code["commit"],
            "discsim_code": manifest.identity["code"],
        }

    def _check(self, manifest: Manifest, setup: Setup) -> None:
        """Have the reference engine rerun the samples that decide, where the study asks for it and it was not done yet."""
        table = self.study.check
        if not self.options.check or not table:
            return
        if (self.folder / CHECK_FILE).exists() and dict(manifest.check) == dict(table):
            return
        self.teller.begin(0)
        limit = self.options.timeout or FIRST
        note = check_sweep(self.folder, manifest, self.study, setup, self._workers(), self.teller, limit)
        if note:
            self._note(f"not checked: {note}")
        else:
            dataclasses.replace(manifest, check=dict(table)).save(self.folder)

    def _tell(self, phase: Phase, running: Iterable[Task] = ()) -> None:
        inside = sum(len(task.key.samples) for task in running)
        rest = {"failed": len(self._failed()), "running": inside, "last_failure": self.last_failure}
        engines = self.accepted.engines_of(self.wanted)
        self.teller.tell(phase, self.accepted.count_of(self.wanted), self.wanted, engines=engines, **rest)

    def _failed(self) -> dict[int, str]:
        return self.accepted.failed_of(self.wanted)
