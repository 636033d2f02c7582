"""How much disk a sweep will take, from a shard of the samples that were timed."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from discsim.problem.record import ArmRecord
from discsim.study.design import Design
from discsim.study.shards import Batch, shard_tree
from discsim.study.store import write_hashed
from discsim.study.study import Study

# Of the numbers of a sample, what is left once they are compressed. Measured on shards of the shipped study, less one of a single
# sample: 0.73 (16 samples, sweep engine) and 0.39 (96 samples, reduced engine).
COMPRESSED = 0.5


def disk_bytes(
    study: Study,
    design: Design,
    records: Sequence[Sequence[ArmRecord]],
    steps: Sequence[float],
    scratch: Path,
    samples: int,
    size: int,
) -> float:
    """Bytes of the shards of so many samples of a design, ``size`` to a batch, of which the first have ``records``."""
    count = len(records)
    batch = Batch(0, 0, tuple(range(count)), (1,) * count)
    tree = shard_tree(batch, records, study.problem(), design.inputs, steps, {})
    own = COMPRESSED * sum(node.to_dataset(inherit=False).nbytes for node in tree.subtree) / count
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        written = write_hashed(tree, Path(folder), "trial").stat().st_size
    shards = -(-samples // size)
    return shards * max(0.0, written - count * own) + samples * own
