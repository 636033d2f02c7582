"""What a sweep holds so far, sample by sample, and the batches that are still to run."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable
from typing import Literal

from discsim.study.shards import Batch, ShardSummary

Again = Literal["", "retry", "restart"]


@dataclasses.dataclass
class Accepted:
    """Samples that have a shard.

    ``failed``: sample -> why; ``engines``: sample -> engine, where it names one; ``attempts``: sample -> which attempt counts;
    ``pieces``: sample -> into how many equal ones every step was cut; ``generation``: of the latest shard.
    """

    done: set[int] = dataclasses.field(default_factory=set)
    failed: dict[int, str] = dataclasses.field(default_factory=dict)
    engines: dict[int, str] = dataclasses.field(default_factory=dict)
    attempts: dict[int, int] = dataclasses.field(default_factory=dict)
    pieces: dict[int, int] = dataclasses.field(default_factory=dict)
    generation: int = 0

    def add(self, summary: ShardSummary) -> None:
        """Take a shard, which counts in place of earlier ones of its samples."""
        failed = summary.failed()
        for sample in summary.samples:
            self.done.add(sample)
            self.failed.pop(sample, None)
            self.engines.pop(sample, None)
        self.failed |= failed
        self.engines |= summary.engine_of()
        self.attempts |= dict(zip(summary.samples, summary.attempts, strict=True))
        self.pieces |= dict.fromkeys(summary.samples, summary.pieces)
        self.generation = max(self.generation, summary.generation)

    def failed_of(self, wanted: int) -> dict[int, str]:
        """Those of the first ``wanted`` samples that failed, and why."""
        return {sample: why for sample, why in sorted(self.failed.items()) if sample < wanted}

    def engines_of(self, wanted: int) -> dict[str, int]:
        """How many of the first ``wanted`` samples each engine computed, the busiest first."""
        return dict(collections.Counter(self.engines[i] for i in self.done if i < wanted and i in self.engines).most_common())

    def count_of(self, wanted: int) -> int:
        """How many of the first ``wanted`` samples are done."""
        return sum(sample < wanted for sample in self.done)

    def missing(self, wanted: int, size: int) -> list[Batch]:
        """Batches of samples that no shard has. Which samples share one is the same however often a sweep was interrupted."""
        blocks: dict[int, list[int]] = {}
        for sample in range(wanted):
            if sample not in self.done:
                blocks.setdefault(sample // size, []).append(sample)
        return [self._batch(number, 0, samples) for number, samples in blocks.items()]

    def failed_again(self, wanted: int, size: int, how: Again) -> list[Batch]:
        """Batches of the samples that failed, which are open again from now on: once more as they were (``retry``), or from
        scratch with every step cut in two (``restart``)."""
        again = list(self.failed_of(wanted))
        factor = 2 if how == "restart" else 1
        alike: dict[int, list[int]] = {}
        for sample in again:
            alike.setdefault(factor * self.pieces[sample], []).append(sample)
        batches: list[Batch] = []
        for pieces, samples in sorted(alike.items()):
            for first in range(0, len(samples), size):
                batch = self._batch(len(batches), self.generation + 1, samples[first : first + size])
                attempts = (1,) * len(batch.samples) if how == "restart" else batch.attempts
                batches.append(dataclasses.replace(batch, attempts=attempts, pieces=pieces))
        self.done -= set(again)
        self.failed = {sample: why for sample, why in self.failed.items() if sample not in again}
        return batches

    def _batch(self, number: int, generation: int, samples: Iterable[int]) -> Batch:
        chosen = tuple(samples)
        return Batch(number, generation, chosen, tuple(self.attempts.get(sample, 0) + 1 for sample in chosen))
