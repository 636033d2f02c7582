"""How a sweep is to run, and what it will take."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from discsim.problem.status import Status
from discsim.study.config import resolve
from discsim.study.design import Design, draw
from discsim.study.environment import MissingTool, check_ranks, cores
from discsim.study.executor import Died, Task
from discsim.study.faults import VARIABLE
from discsim.study.messages import ConfigError
from discsim.study.study import Study
from discsim.study.sweep_accepted import Again
from discsim.study.sweep_disk import disk_bytes
from discsim.study.sweep_folder import LOG, SweepError
from discsim.study.sweep_pool import Workers
from discsim.study.sweep_worker import Setup, Trouble, choose_steps, time_samples

DEFAULT_ENGINE, DEFAULT_DEVICE = "sweep", "cpu"
# Samples of a batch: what an interruption loses per worker. The reference engine takes long for a single one.
USUAL_BATCH = 16
BATCH_OF = {"fem": 1, "reduced": 96}
GPU_BATCH = 64  # what the sweep engine works on side by side there
# Time of the reference engine over that of the sweep engine, one core each: 1.7 at equal tolerances, and another 1.3 for the
# looser ones of a sweep (benchmarks/README.md). For the forecast of a check alone.
CHECK_RATIO = 2.3


@dataclasses.dataclass(frozen=True)
class SweepOptions:
    """How a sweep runs; what is left out is as in the sweep that the folder holds, or the default.

    ``workers``: processes (all cores); ``samples``: the first so many of the design (all); ``plugins``: folder of modules that
    bring mechanisms; ``force``: set aside a sweep that differs; ``again``: run failed samples once more, as they were ("retry")
    or from scratch with every step cut in two ("restart"); ``timeout``: seconds that a sample may take (learned from those that
    are done); ``fail_fast``: end at the first sample that fails; ``faults``: sample -> what goes wrong on purpose (``faults``);
    ``memory``: GiB that a process may hold (any amount); ``address``: of a Dask scheduler whose workers are to run it (processes
    of this machine), ``workers`` then being the most that are used; ``ranks``: processes that share a solve of the reference
    engine; ``parent``: of a sweep that begins as a branch, what it
    branched from (``sweep_branch``); ``first_steps``: with what its step list begins (ends, s), where it takes a shorter one on.
    """

    engine: str | None = None
    device: str | None = None
    batch: int | None = None
    workers: int | None = None
    samples: int | None = None
    check: bool = True
    force: bool = False
    again: Again = ""
    plugins: Path | None = None
    timeout: float | None = None
    fail_fast: bool = False
    faults: Mapping[int, str] = dataclasses.field(default_factory=dict)
    memory: float | None = None
    address: str | None = None
    ranks: int = 1
    parent: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    first_steps: tuple[float, ...] = ()

    @property
    def processes(self) -> int:
        """Workers on this machine."""
        return self.workers or max(1, len(cores()) // self.ranks)


class BadOption(SweepError):
    """An option that makes no sense for the study."""


AS_USUAL = SweepOptions()


@dataclasses.dataclass(frozen=True)
class SweepPlan:
    """What a sweep will take. ``startup``: seconds a worker needs for all that is compiled; ``seconds``: per sample and worker.

    ``batch``: samples of a batch, which one worker runs one after another; ``checked``: samples that [check] reruns, each in
    ``check_seconds`` of the reference engine (an estimate; nothing where it cannot be told from this engine's time); ``memory``:
    GiB that a process held at most; ``disk``: bytes of all shards (an estimate); ``training``: samples that a reduced model would
    be made from, where one would pay (else 0); ``ranks``: cores that a sample takes.
    """

    samples: int
    arms: int
    batch: int
    steps: int
    workers: int
    startup: float
    seconds: float
    checked: int = 0
    check_seconds: float | None = None
    memory: float | None = None
    disk: float | None = None
    training: int = 0
    ranks: int = 1

    @property
    def batches(self) -> int:
        """Batches of the whole."""
        return -(-self.samples // self.batch)

    @property
    def busy(self) -> int:
        """Workers that have something to do: no more than there are batches."""
        return min(self.workers, self.batches)

    @property
    def core_hours(self) -> float:
        """Core-hours of the sweep, without its check."""
        return self.ranks * (self.samples * self.seconds + self.busy * self.startup) / 3600.0

    @property
    def hours(self) -> float:
        """Hours until the sweep is done on that many workers, whole batches each; without its check."""
        turns = -(-self.batches // self.workers)
        last = self.samples - (self.batches - 1) * self.batch  # samples of the last batch, which may be smaller
        alone = (self.batches - 1) % self.workers == 0  # in its turn
        longest = (turns - 1) * self.batch + (last if alone else self.batch)
        return (longest * self.seconds + self.startup) / 3600.0

    @property
    def check_hours(self) -> float | None:
        """Hours that the check takes after it, but for what the reference engine compiles."""
        if self.check_seconds is None or not self.checked:
            return None
        return -(-self.checked // min(self.workers, self.checked)) * self.check_seconds / 3600.0


def plan_sweep(study: Study, scratch: Path, options: SweepOptions = AS_USUAL) -> SweepPlan:
    """Time the first sample (as many as the engine solves side by side) and say what the whole will take.

    ``scratch``: folder for the worker's log. Raises like ``run_sweep``.
    """
    design = draw(study)
    check_options(options, design)
    engine, device, batch = chosen(options, {})
    samples = min(options.samples or design.count, design.count)
    together = min(batch, samples) if device == "gpu" else 1
    log = scratch / LOG / "worker"
    setup = Setup(resolve(study), design, engine, device, log, options.plugins, memory=options.memory, ranks=options.ranks)
    with Workers(setups(setup, 1)) as workers:
        began = time.perf_counter()
        steps = told(workers.run_one(Task("steps", choose_steps)), "choosing the step list")
        before = time.perf_counter() - began
        measured = workers.run_one(Task("time", time_samples, (tuple(range(together)), steps)))
        timed = told(measured, "the first sample")
    count = options.processes
    startup = max(0.0, before + timed.first - timed.second)  # choosing the steps, which one worker does once, is small beside it
    checked = _checked(study, options, engine, samples)
    each = CHECK_RATIO * timed.second if engine == DEFAULT_ENGINE and device == DEFAULT_DEVICE else None
    training, arms = training_that_pays(study, engine, device, samples), len(study.scenarios)
    seconds, memory = timed.second / together, timed.memory
    disk = disk_bytes(study, design, timed.records, steps, scratch, samples, batch)
    ranks = options.ranks
    return SweepPlan(samples, arms, batch, len(steps), count, startup, seconds, checked, each, memory, disk, training, ranks)


def training_that_pays(study: Study, engine: str, device: str, samples: int) -> int:
    """Samples that a reduced model of the study takes, where there may be one and the sweep has at least twice as many."""
    from discsim.study.train import CALIBRATION_SAMPLES, TRAINING_SAMPLES, NotTrained, place_of

    count = TRAINING_SAMPLES + CALIBRATION_SAMPLES
    if (engine, device) != (DEFAULT_ENGINE, DEFAULT_DEVICE) or samples < 2 * count:
        return 0
    # refused where the design moves the mesh or the calendar, or a file of a training is damaged: discsim train says which
    try:
        place_of(study)
    except (ConfigError, NotTrained):
        return 0
    return count if all(arm.start == "preset" for arm in study.problem().arms) else 0


def _checked(study: Study, options: SweepOptions, engine: str, samples: int) -> int:
    """Samples that [check] will rerun."""
    if not options.check or not study.check or study.check["engine"] == engine:
        return 0
    return min(int(study.check["samples"]), samples)


def chosen(options: SweepOptions, before: Mapping[str, Any]) -> tuple[str, str, int]:
    """Engine, device and batch size: as asked, else as the sweep of identity ``before`` has them, else the usual ones (for the
    batch size also where the engine or the device is another)."""
    engine = options.engine or before.get("engine", DEFAULT_ENGINE)
    device = options.device or before.get("device", DEFAULT_DEVICE)
    alike = (engine, device) == (before.get("engine"), before.get("device"))
    return engine, device, options.batch or (before["batch"] if alike else usual_batch(engine, device))


def usual_batch(engine: str, device: str) -> int:
    """Samples of a batch where none are asked for."""
    return GPU_BATCH if device == "gpu" else BATCH_OF.get(engine, USUAL_BATCH)


def setups(setup: Setup, count: int) -> list[Setup]:
    """The setup of every worker: with a log and, on the CPU, with a core of its own (its ranks take what is free).

    Which core comes first depends on the driver's process, so that two sweeps on one machine seldom begin with the same.
    """
    available = cores()
    return [
        dataclasses.replace(
            setup,
            log=setup.log.with_name(f"{setup.log.name}-{number}.log"),
            core=available[(os.getpid() + number) % len(available)] if setup.device == "cpu" and setup.ranks == 1 else None,
        )
        for number in range(1, count + 1)
    ]


def check_options(options: SweepOptions, design: Design) -> None:
    """Raise ``BadOption`` for numbers that make no sense."""
    for name, value in (("--workers", options.workers), ("--batch", options.batch), ("--samples", options.samples)):
        if value is not None and value < 1:
            raise BadOption(f"{name} {value}: at least 1")
    if options.timeout is not None and not options.timeout > 0.0:
        raise BadOption(f"--timeout {options.timeout:g}: more than 0 s")
    if options.memory is not None and not options.memory > 0.0:
        raise BadOption(f"--memory {options.memory:g}: more than 0 GiB")
    if options.memory is None and "oom" in options.faults.values():
        raise BadOption(f"{VARIABLE}: oom needs --memory GIB, or it would take all that the machine has")
    if options.samples is not None and options.samples > design.count:
        raise BadOption(f"--samples {options.samples}: the design has {design.count}")
    _check_ranks(options)


def _check_ranks(options: SweepOptions) -> None:
    if options.ranks == 1:
        return
    if options.engine != "fem":
        raise BadOption(f"--ranks {options.ranks}: other engines run in one process; give --engine fem, or leave it out")
    if options.address is not None:
        raise BadOption(f"--ranks {options.ranks}: not with --address, whose workers have a core each")
    try:
        check_ranks(options.ranks * (options.workers or 1))
    except ValueError as error:
        times = f" x --workers {options.workers}" if options.workers else ""
        raise BadOption(f"--ranks {options.ranks}{times}: given {error}") from None


def told(outcome: Any, what: str) -> Any:
    """The outcome of a task that a sweep cannot do without."""
    if isinstance(outcome, Died):
        hint = "; a script that starts a sweep has to do so under if __name__ == '__main__':"
        raise SweepError(f"{what}: {outcome}{hint if outcome.status is Status.CRASHED else ''}")
    if isinstance(outcome, Trouble):
        raise MissingTool(outcome.reason) if outcome.kind == "tool" else SweepError(f"{what}: {outcome.reason}")
    return outcome
