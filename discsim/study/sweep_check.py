"""[check] of a sweep: the reference engine reruns the samples that decide, on the step list of the sweep."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

from discsim.problem.record import ArmRecord
from discsim.problem.status import Status
from discsim.study.executor import Died, Executor, Task
from discsim.study.shards import failed_records
from discsim.study.study import Study
from discsim.study.sweep_folder import Manifest
from discsim.study.sweep_result import open_ensemble, sweep_counts
from discsim.study.sweep_state import Teller
from discsim.study.sweep_worker import Setup, Trouble, bare, solve_samples

CHECK_FILE = "check.json"


def check_sweep(
    folder: Path,
    manifest: Manifest,
    study: Study,
    setup: Setup,
    executor: Callable[[Setup, int], Executor],
    teller: Teller,
    limit: float,
) -> str:
    """Write ``check.json``; what comes back is why there is none, or nothing. ``executor``: what runs so many samples.

    Samples are chosen by every readout of the study that has a direction, in turn, or by the one that [check] names. A sample
    whose run dies, or takes more than ``limit`` (s), is told in the check as such.
    """
    from discsim.study.check import choose, confirm
    from discsim.study.directions import direction_of
    from discsim.study.verdict import VerdictError

    table = study.check
    if manifest.identity["engine"] == table["engine"]:
        return f"the sweep itself ran on the engine {table['engine']}"
    asked = [str(table["readout"])] if "readout" in table else manifest.readouts
    directed = [name for name in asked if direction_of(name) is not None]
    if not directed:
        return "no readout of the study has a better and a worse side, by which samples could decide"
    ensemble = open_ensemble(folder)
    try:
        choices = choose(ensemble, int(table["samples"]), directed)
    except VerdictError as error:
        return str(error)
    setup = dataclasses.replace(setup, engine=str(table["engine"]), device="cpu", log=setup.log.with_name("check"))
    counts = sweep_counts(folder, manifest)
    pieces = {choice.number: counts[choice.number].pieces for choice in choices}
    with executor(setup, len(choices)) as workers:
        records = _rerun(pieces, manifest, study, workers, teller, limit)
    if isinstance(records, str):
        return records
    confirm(ensemble, choices, records, tolerance=float(table["tolerance"]), engine=str(table["engine"])).save(folder)
    return ""


def _rerun(
    samples: Mapping[int, int], manifest: Manifest, study: Study, workers: Executor, teller: Teller, limit: float
) -> dict[int, list[ArmRecord]] | str:
    """Records of the samples, each with its steps cut into so many pieces, or why there are none."""
    tasks = collections.deque(
        Task(sample, solve_samples, ((sample,), manifest.steps, pieces)) for sample, pieces in samples.items()
    )
    records: dict[int, list[ArmRecord]] = {}

    def tick(running: list[Task]) -> None:
        teller.tell("checking", len(records), len(samples), failed=0, running=len(running))

    for task, outcome in workers.run(tasks, tick, lambda task: limit):
        if isinstance(outcome, Trouble) and outcome.kind == "tool":
            return outcome.reason
        if isinstance(outcome, (Died, Trouble)):
            teller.log(f"check of sample {task.key}: {outcome}")
            status = outcome.status if isinstance(outcome, Died) else Status.CRASHED
            outcome = [failed_records(bare(study.problem()), status, str(outcome), "See the log.")]
        records[task.key] = outcome[0]
    return records
