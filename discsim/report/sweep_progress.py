"""How far a sweep is: a bar on a terminal, plain lines elsewhere, both on standard error."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

from discsim.study.sweep_state import SweepProgress

# Seconds between two plain lines of which nothing but time tells the difference.
PLAIN_INTERVAL = 10.0


class SweepBar:
    """A context in which ``hook`` may be given to a sweep."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console, self._clock = console, clock
        self._told, self._phase, self._failure = float("-inf"), "", ""
        self._bar: Bar | None = None

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[rest]}"))
            self._bar = Bar(*columns, console=self.console, transient=True)
            self._task = self._bar.add_task("starting", total=1.0, rest="")
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def hook(self, progress: SweepProgress) -> None:
        """Take notice of how far the sweep is."""
        if progress.last_failure and progress.last_failure != self._failure:
            self._failure = progress.last_failure
            self.console.print(Text(f"failed: {self._failure}"), soft_wrap=True)
        if self._bar is not None:
            self._bar.update(
                self._task,
                description=progress.phase,
                total=max(1, progress.total),
                completed=progress.done,
                rest=words(progress),
            )
            return
        now = self._clock()
        if progress.phase != self._phase or now - self._told >= PLAIN_INTERVAL:
            self._told, self._phase = now, progress.phase
            self.console.print(Text(f"{progress.phase}: {words(progress)}"), soft_wrap=True)


def words(progress: SweepProgress) -> str:
    """Samples done, failed and running, how fast, and how long still."""
    what = "full-order runs" if progress.phase == "training" else "samples"
    parts = [f"{progress.done} of {progress.total} {what}"]
    parts += [f"{count} by {name}" for name, count in progress.engines.items()]
    if progress.failed:
        parts.append(f"{progress.failed} failed")
    if progress.running:
        parts.append(f"{progress.running} running")
    if progress.rate is not None and progress.phase != "done":
        parts.append(rate_words(progress.rate))
    if progress.phase not in ("done", "choosing steps") and progress.done < progress.total:
        parts.append("time left unknown" if progress.left is None else f"about {duration_words(progress.left)} left")
    return ", ".join(parts)


def rate_words(rate: float) -> str:
    """Samples per second, minute or hour, whichever reads best."""
    for per, unit in ((1.0, "s"), (60.0, "min"), (3600.0, "h")):
        if rate * per >= 1.0 or unit == "h":
            return f"{rate * per:.3g}/{unit}"
    raise AssertionError("unreachable")


def duration_words(seconds: float) -> str:
    """A length of wall time, as coarse as it is long."""
    if seconds < 100.0:
        return f"{seconds:.0f} s"
    if seconds < 6000.0:
        return f"{seconds / 60.0:.0f} min"
    return f"{seconds / 3600.0:.1f} h"
