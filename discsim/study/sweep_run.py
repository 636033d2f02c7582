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
from typing import TYPE_CHECKING, Any

from discsim.problem.problem import Problem
from discsim.problem.steps import steps_after
from discsim.study.config import resolve
from discsim.study.design import Design, draw
from discsim.study.environment import MissingTool
from discsim.study.executor import Died, Executor, Task, hung
from discsim.study.faults import VARIABLE
from discsim.study.shards import Batch, ShardSummary, shard_paths, summarise
from discsim.study.store import ResultError, remove_partial
from discsim.study.study import Study
from discsim.study.sweep_accepted import Accepted
from discsim.study.sweep_attempts import FIRST, Attempts
from discsim.study.sweep_begin import begin_sweep
from discsim.study.sweep_branch import branch_folder
from discsim.study.sweep_check import CHECK_FILE, check_sweep
from discsim.study.sweep_cluster import ClusterWorkers, connected
from discsim.study.sweep_folder import (
    DAMAGED,
    LOG,
    SHARDS,
    Lock,
    Manifest,
    SweepChanged,
    SweepError,
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
from discsim.study.sweep_pool import Workers
from discsim.study.sweep_result import open_ensemble, open_sweep
from discsim.study.sweep_state import Hook, Phase, SweepProgress, Teller, silent
from discsim.study.sweep_worker import Setup, Trouble, bare, choose_steps, code_of, solve_samples
from discsim.study.sweep_writer import ShardWriter
from discsim.study.train import NotTrained, added_identity, train_study, trained

if TYPE_CHECKING:
    from distributed import Client

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
    with connected(options.address) as cluster:  # before anything is written
        folder.mkdir(parents=True, exist_ok=True)
        with Lock(folder) as lock:
            return _Driver(study, config, design, folder, options, Teller(folder, lock, hook), cluster).run()


class _Driver:
    """One run of the command, with the lock of the folder in hand."""

    def __init__(
        self,
        study: Study,
        config: str,
        design: Design,
        folder: Path,
        options: SweepOptions,
        teller: Teller,
        cluster: Client | None,
    ) -> None:
        self.study, self.config, self.design, self.cluster = study, config, design, cluster
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
        identity = identity_of(self.config, self.design.inputs, engine, device, batch) | self._added(engine)
        manifest = self._kept(manifest, identity)
        log = self.folder / LOG / "worker"
        self._announce()
        given = self.options
        setup = Setup(
            self.config,
            self.design,
            engine,
            device,
            log,
            plugins=given.plugins,
            faults=given.faults,
            memory=given.memory,
            ranks=given.ranks,
        )
        with self._executor(setup) as workers:
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
        if self.options.ranks > 1:
            self.teller.log(f"{self.options.ranks} processes share a solve")

    def _executor(self, setup: Setup, most: int | None = None) -> Executor:
        """What runs tasks: the cluster, or processes of this machine; ``most``: as many tasks as there are."""
        if self.cluster is not None:
            return ClusterWorkers(self.cluster, setup, code_of(self.config), self.options.workers)
        count = self.options.processes
        return Workers(setups(setup, count if most is None else min(count, most)))

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
            train_study(self.study, tell, workers=None if self.cluster else self.options.workers, plugins=self.options.plugins)
        except NotTrained as error:
            raise SweepError(str(error)) from None
        self._note("a reduced model of this study was trained first; discsim train --report shows it")

    def _added(self, engine: str) -> dict[str, str]:
        try:
            return added_identity(self.study, engine)
        except NotTrained as error:
            raise SweepError(str(error)) from None

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

    def _begun(self, workers: Executor, identity: Mapping[str, Any]) -> Manifest:
        """Choose the step list and write down what the sweep is."""
        self.teller.log(f"begins with engine {identity['engine']}")
        self._trained(str(identity["engine"]))
        workers.warm(-(-self.wanted // int(identity["batch"])))
        outcome = workers.run_one(Task("steps", choose_steps), self._choosing)
        steps = steps_after(self.options.first_steps, told(outcome, "choosing the step list"))
        parent = self.options.parent
        return begin_sweep(self.folder, self.study, self.config, self.problem, self.design, identity, steps, parent)

    def _choosing(self, running: list[Task]) -> None:
        self._tell("choosing steps" if running else "waiting for workers")

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

    def _solve(self, workers: Executor, batches: list[Batch], manifest: Manifest) -> None:
        """Run batches until each has a shard."""
        writer = ShardWriter(self.folder, manifest, self.problem, self.design, self.options.faults)
        tasks = collections.deque(_task(batch, manifest) for batch in batches)
        self.teller.log(f"{len(batches)} batches, {sum(len(batch.samples) for batch in batches)} samples to run")
        begun: dict[tuple[int, ...], float] = {}

        def tick(running: list[Task]) -> None:
            for task in running:
                begun.setdefault(task.key.samples, time.monotonic())
            self._tell("running" if running else "waiting for workers", running)

        for task, outcome in workers.run(tasks, tick, lambda task: self.tries.limit(task.key)):
            batch: Batch = task.key
            seconds = time.monotonic() - begun.pop(batch.samples)
            found = outcome if isinstance(outcome, (Died, Trouble)) else writer.write(batch, outcome)
            if isinstance(found, ShardSummary):
                self.tries.took(batch, seconds)
                self._take(found)
            else:
                if isinstance(found, Trouble) and found.kind == "tool":  # no batch could give anything
                    raise MissingTool(found.reason)
                machine = f", on {found.machine}" if isinstance(found, Died) and found.machine else ""
                self.teller.log(f"batch {batch.number}.{batch.generation}, {len(batch.samples)} samples: {found}{machine}")
                again = self.tries.after(batch, hangs=hung(found))
                tasks.extendleft(_task(one, manifest) for one in reversed(again))
                if not again:
                    self._take(writer.given_up(batch, found))
            if self.options.fail_fast and self.last_failure:
                self._note("ended at the first sample that failed (--fail-fast); the same command without it goes on")
                return
        self._tell("running")

    def _take(self, summary: ShardSummary) -> None:
        self.accepted.add(summary)
        self.computed += len(summary.samples)
        self.teller.log(f"accepted {summary.path.name}: {len(summary.samples)} samples, {len(summary.failed())} failed")
        for sample, why in summary.failed().items():
            self.last_failure = f"sample {sample}: {why}"
            self.teller.log(f"failed: {self.last_failure}")

    def _check(self, manifest: Manifest, setup: Setup) -> None:
        """Have the reference engine rerun the samples that decide, where the study asks for it and it was not done yet."""
        table = self.study.check
        if not self.options.check or not table:
            return
        if (self.folder / CHECK_FILE).exists() and dict(manifest.check) == dict(table):
            return
        self.teller.begin(0)
        limit = self.options.timeout or FIRST
        note = check_sweep(self.folder, manifest, self.study, setup, self._executor, self.teller, limit)
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


def _task(batch: Batch, manifest: Manifest) -> Task:
    return Task(batch, solve_samples, (batch.samples, manifest.steps, batch.pieces))
