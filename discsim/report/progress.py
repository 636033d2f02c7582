"""How far a run is: a bar on a terminal, plain lines elsewhere, both on standard error."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

from discsim.problem.engine import Progress
from discsim.report.tables import time_words

# Seconds between two plain lines.
PLAIN_INTERVAL = 10.0


class RunProgress:
    """A context in which ``hook`` may be given to an engine; ``part`` names what is run (``None``: the study itself)."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console, self.part = console, ""
        self._clock, self._began, self._told, self._arm = clock, clock(), float("-inf"), ("", -1)
        self._bar: Bar | None = None

    def __enter__(self) -> Self:
        self.begin("")
        if self.console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[rest]}"))
            self._bar = Bar(*columns, console=self.console, transient=True)
            self._task = self._bar.add_task("starting", total=1.0, rest="")
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def begin(self, part: str) -> None:
        """A new part of the work; its remaining time is judged afresh."""
        self.part, self._began, self._told, self._arm = part, self._clock(), float("-inf"), ("", -1)

    def hook(self, progress: Progress) -> None:
        """Take notice of an accepted step."""
        share, now = done_share(progress), self._clock()
        left = remaining(share, now - self._began)
        where = f"{self.part}: " if self.part else ""
        what = f"{where}arm {progress.index + 1}/{progress.count} {progress.arm} ({progress.stage})"
        simulated = f"{time_words(progress.time)} of {time_words(progress.duration)}"
        rest = f"{simulated}, step {progress.step}, dt {time_words(progress.dt)}, {left}"
        if self._bar is not None:
            self._bar.update(self._task, description=what, completed=share, rest=rest)
            return
        finished = progress.time >= progress.duration * (1.0 - 1e-9)
        if finished or (progress.stage, progress.index) != self._arm or now - self._told >= PLAIN_INTERVAL:
            self._told, self._arm = now, (progress.stage, progress.index)
            self.console.print(Text(f"{what}: {rest}"), soft_wrap=True)


def done_share(progress: Progress) -> float:
    """Share of the whole that is done, every arm counted alike and an arm by its simulated time."""
    arm = min(1.0, progress.time / progress.duration) if progress.duration > 0.0 else 0.0
    return (progress.index + arm) / max(1, progress.count)


def remaining(share: float, elapsed: float) -> str:
    """Time left in words, by what was done so far; the first hundredth tells too little."""
    if share >= 1.0 - 1e-9:
        return "done"
    if share < 0.01:
        return "time left unknown"
    seconds = elapsed * (1.0 - share) / share
    return f"about {seconds:.0f} s left" if seconds < 100.0 else f"about {seconds / 60.0:.0f} min left"
