"""How batches become shards: the driver of a sweep alone writes them, what was solved as what was given up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from discsim.problem.problem import Problem
from discsim.problem.record import ArmRecord
from discsim.problem.status import Status
from discsim.study.design import Design
from discsim.study.executor import Died
from discsim.study.faults import fill_disk
from discsim.study.shards import Batch, ShardSummary, failed_records, summarise, write_shard
from discsim.study.sweep_attempts import STARTS
from discsim.study.sweep_folder import SHARDS, Manifest, SweepUnwritable
from discsim.study.sweep_worker import Trouble, one_line

ADVICE = {
    Status.TIMEOUT: "discsim sweep --retry failed runs it once more, with a longer --timeout.",
    Status.OOM: "discsim sweep --retry failed runs it once more: with a higher --memory, or fewer --workers to make room for it.",
    Status.CRASHED: "discsim sweep --retry failed runs it once more, where memory was short with fewer --workers; see the log.",
}


class ShardWriter:
    """Writes the shards of a sweep. ``problem``: the nominal one; ``faults``: sample -> what goes wrong on purpose."""

    def __init__(self, folder: Path, manifest: Manifest, problem: Problem, design: Design, faults: Mapping[int, str]) -> None:
        self.folder, self.manifest, self.problem = folder / SHARDS, manifest, problem
        self.design, self.faults = design, faults
        code = manifest.about["code"]
        self.attributes: dict[str, Any] = {
            "discsim_schema": "discsim/1",
            "discsim_sweep": manifest.sweep,
            "title": manifest.title,
            "discsim_config_hash": manifest.config_hash,
            "discsim_engine": manifest.identity["engine"],
            "discsim_version": code["version"],
            "discsim_commit": code["commit"],
            "discsim_code": manifest.identity["code"],
        }

    def write(self, batch: Batch, records: list[list[ArmRecord]]) -> ShardSummary | Trouble:
        """The shard of a batch; ``Trouble`` where the records are not what an engine owes, ``SweepUnwritable`` raised where it
        cannot be written."""
        try:
            fill_disk(self.faults, batch.samples)
            path = write_shard(
                self.folder, batch, records, self.problem, self.design.inputs, self.manifest.steps, self.attributes
            )
        except (OSError, RuntimeError) as error:  # HDF5 tells some faults of a disk as RuntimeError
            raise SweepUnwritable(
                f"{self.folder}: cannot be written to ({one_line(error)}); what is there is kept: make room, then sweep again"
            ) from None
        except ValueError as error:
            return Trouble("engine", one_line(error))
        return summarise(path, self.manifest.sweep)

    def given_up(self, batch: Batch, outcome: Died | Trouble) -> ShardSummary:
        """The shard of a sample that was tried often enough."""
        status = outcome.status if isinstance(outcome, Died) else Status.CRASHED
        reason = str(outcome) if status is Status.TIMEOUT else f"{outcome}, {STARTS} times"
        found = self.write(batch, [failed_records(self.problem, status, reason, ADVICE[status])])
        assert isinstance(found, ShardSummary), found
        return found
