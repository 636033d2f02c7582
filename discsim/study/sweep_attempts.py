"""How often the samples of a batch are tried, and how long they may take."""

from __future__ import annotations

import collections
import math

from discsim.study.shards import Batch

STARTS = 2  # of a sample whose worker dies or whose engine raises
FIRST = 3600.0  # s a sample, until a batch has told how long one takes
LEAST = 600.0  # s a batch
SLOWER = 10.0  # times what the slowest batch took for a sample


class Attempts:
    """Tries of a sweep. ``timeout``: seconds that a sample may take, with all its scenarios; learned where left out."""

    def __init__(self, timeout: float | None = None) -> None:
        self.timeout = timeout
        self._lost: collections.Counter[int] = collections.Counter()
        self._slowest = math.nan

    def took(self, batch: Batch, seconds: float) -> None:
        """Learn from a batch that was done."""
        self._slowest = max(seconds / len(batch.samples), 0.0 if math.isnan(self._slowest) else self._slowest)

    def limit(self, batch: Batch) -> float:
        """Seconds after which a batch is taken to hang."""
        if self.timeout is not None:
            return self.timeout * len(batch.samples)
        if math.isnan(self._slowest):
            return FIRST * len(batch.samples)
        return max(LEAST, SLOWER * self._slowest * len(batch.samples))

    def after(self, batch: Batch, *, hangs: bool) -> list[Batch]:
        """What to try instead of a batch that gave nothing: each of its samples alone, so that one costs no other; nothing
        where it was alone already and would only be lost again. One that ``hangs`` alone is not given that time twice."""
        self._lost.update(batch.samples)
        if len(batch.samples) == 1 and (hangs or self._lost[batch.samples[0]] >= STARTS):
            return []
        return batch.again().alone()
