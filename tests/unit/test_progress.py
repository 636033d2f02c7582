"""Progress of a run: what is told, how often, and how the time left is judged."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from discsim.problem.engine import Progress
from discsim.report.progress import PLAIN_INTERVAL, RunProgress, done_share, remaining

DAY = 86400.0


def at(time: float, index: int = 0, count: int = 2, step: int = 1) -> Progress:
    """A step of a run of two arms of ten days each."""
    return Progress(("untreated", "cells")[index], index, count, time * DAY, 10.0 * DAY, step, 0.5 * DAY, "running")


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_share_counts_arms_alike_and_an_arm_by_its_time() -> None:
    assert [done_share(at(t, i)) for i, t in ((0, 0.0), (0, 5.0), (1, 0.0), (1, 10.0))] == [0.0, 0.25, 0.5, 1.0]


@pytest.mark.parametrize(
    ("share", "elapsed", "words"),
    [(0.005, 3.0, "time left unknown"), (0.5, 30.0, "about 30 s left"), (0.1, 60.0, "about 9 min left"), (1.0, 9.0, "done")],
)
def test_time_left(share: float, elapsed: float, words: str) -> None:
    assert remaining(share, elapsed) == words


def test_plain_lines_come_at_the_start_and_end_of_an_arm_and_in_between_now_and_then() -> None:
    stream, clock = io.StringIO(), Clock()
    with RunProgress(Console(file=stream, width=40), clock) as progress:
        for step, (index, time) in enumerate([(0, 1.0), (0, 2.0), (0, 10.0), (1, 1.0), (1, 2.0)], start=1):
            progress.hook(at(time, index, step=step))
        clock.now += PLAIN_INTERVAL
        progress.hook(at(3.0, 1, step=6))
        progress.begin("error estimate")
        progress.hook(at(1.0, 0, step=1))
    lines = stream.getvalue().splitlines()
    assert [line.split(",")[1].strip() for line in lines] == ["step 1", "step 3", "step 4", "step 6", "step 1"]
    assert lines[0].startswith("arm 1/2 untreated (running): 1 day of 10 day, step 1, dt 0.5 day, ")
    assert lines[-1].startswith("error estimate: arm 1/2 untreated")


def test_bar_on_a_terminal_shows_arm_time_step_and_time_left() -> None:
    stream, clock = io.StringIO(), Clock()
    console = Console(file=stream, force_terminal=True, width=160, color_system=None)
    with RunProgress(console, clock) as progress:
        clock.now += 30.0
        progress.hook(at(10.0, 0, step=7))
    text = stream.getvalue()
    assert "arm 1/2 untreated (running)" in text
    assert "10 day of 10 day, step 7, dt 0.5 day, about 30 s left" in text
