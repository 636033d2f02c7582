"""Faults on purpose: how they are asked for; what a batch that was lost is followed by."""

from __future__ import annotations

import pytest

from discsim.study.faults import FaultError, read_faults
from discsim.study.shards import Batch
from discsim.study.sweep_attempts import Attempts


def test_faults_are_read() -> None:
    assert read_faults("kill@7, nan@11,hang@13", 32) == {7: "kill", 11: "nan", 13: "hang"}
    assert read_faults(" ", 32) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("burn@7", "'burn@7' is no fault; write KIND@SAMPLE, where KIND is kill, hang, "),
        ("kill", "'kill' is no fault"),
        ("kill@-1", "'kill@-1' is no fault"),
        ("nan@32", "nan@32: the design has samples 0 to 31"),
        ("nan@3,kill@3", "two faults for sample 3"),
    ],
)
def test_a_fault_that_cannot_be_is_told(text: str, message: str) -> None:
    with pytest.raises(FaultError, match=message):
        read_faults(text, 32)


def test_the_samples_of_a_lost_batch_are_tried_alone_and_then_given_up() -> None:
    tries = Attempts()
    alone = tries.after(Batch(1, 0, (4, 5), (1, 3)), hangs=True)
    assert alone == [Batch(1, 0, (4,), (2,)), Batch(1, 0, (5,), (4,))]
    assert tries.after(alone[0], hangs=False) == []
    assert tries.after(alone[1], hangs=True) == []


def test_a_sample_that_was_alone_is_started_twice_unless_it_hangs() -> None:
    tries = Attempts()
    assert tries.after(Batch(1, 0, (4,), (1,)), hangs=False) == [Batch(1, 0, (4,), (2,))]
    assert tries.after(Batch(1, 0, (4,), (2,)), hangs=False) == []
    assert tries.after(Batch(2, 0, (5,), (1,)), hangs=True) == []


def test_what_a_batch_may_take_is_learned_from_the_slowest() -> None:
    four = Batch(0, 0, (0, 1, 2, 3), (1, 1, 1, 1))
    tries = Attempts()
    assert tries.limit(four) == 4 * 3600.0
    tries.took(four, 4.0)
    assert tries.limit(four) == 600.0
    tries.took(four, 400.0)
    tries.took(four, 40.0)
    assert tries.limit(four) == 4000.0
    assert Attempts(2.5).limit(four) == 10.0
