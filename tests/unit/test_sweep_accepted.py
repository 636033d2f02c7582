"""Which batches a sweep still has to run."""

from __future__ import annotations

from pathlib import Path

from discsim.study.shards import Batch, ShardSummary
from discsim.study.sweep_accepted import Accepted


def shard(
    samples: tuple[int, ...], failed: tuple[int, ...] = (), attempt: int = 1, generation: int = 0, pieces: int = 1
) -> ShardSummary:
    words = tuple("nonconverged" if sample in failed else "ok" for sample in samples)
    return ShardSummary(
        Path("x"), 0, generation, samples, (attempt,) * len(samples), {"a": words}, {"a": ("",) * len(samples)}, pieces
    )


def test_missing_samples_keep_the_company_they_had() -> None:
    held = Accepted()
    for samples in ((0, 1, 2), (4,), (9,)):
        held.add(shard(samples))
    assert held.missing(10, 3) == [Batch(1, 0, (3, 5), (1, 1)), Batch(2, 0, (6, 7, 8), (1, 1, 1))]
    assert held.missing(5, 3) == [Batch(1, 0, (3,), (1,))]


def test_a_retry_counts_attempts_on_and_keeps_the_steps() -> None:
    held = Accepted()
    held.add(shard((0, 1, 2, 3), failed=(1, 3)))
    held.add(shard((3,), failed=(3,), generation=1, attempt=2, pieces=2))
    assert held.failed_again(4, 16, "retry") == [Batch(0, 2, (1,), (2,), 1), Batch(1, 2, (3,), (3,), 2)]
    assert not held.failed and held.done == {0, 2}


def test_a_restart_counts_attempts_anew_and_cuts_every_step_in_two_once_more() -> None:
    held = Accepted()
    held.add(shard((0, 1, 2, 3), failed=(0, 1, 3)))
    held.add(shard((3,), failed=(3,), generation=1, attempt=2, pieces=2))
    found = held.failed_again(4, 1, "restart")
    assert found == [Batch(0, 2, (0,), (1,), 2), Batch(1, 2, (1,), (1,), 2), Batch(2, 2, (3,), (1,), 4)]


def test_only_wanted_samples_run_again() -> None:
    held = Accepted()
    held.add(shard((0, 1, 2, 3), failed=(0, 3)))
    assert held.failed_again(2, 16, "retry") == [Batch(0, 1, (0,), (2,))]
    assert held.failed_of(2) == {} and held.failed == {3: "a: nonconverged"}
