"""How far a sweep is: told to whoever runs it, noted for other processes, and logged."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from discsim.study.provenance import now
from discsim.study.store import write_text_file
from discsim.study.sweep_folder import LOG, STATE, Lock

Phase = Literal["training", "choosing steps", "waiting for workers", "running", "checking", "done", "stopped"]
_STATE_INTERVAL = 2.0  # seconds between two notes of the state


@dataclasses.dataclass(frozen=True)
class SweepProgress:
    """How far a sweep is: samples done (failed ones too), failed, running and wanted; samples per second; seconds left.

    ``engines``: how many of the samples done each engine computed, where the sweep uses several.
    """

    phase: Phase
    done: int
    failed: int
    running: int
    total: int
    rate: float | None = None
    left: float | None = None
    last_failure: str = ""
    engines: Mapping[str, int] = dataclasses.field(default_factory=dict)


Hook = Callable[[SweepProgress], None]


def silent(progress: SweepProgress) -> None:
    """Tell nothing."""


class Teller:
    """Keeps the log, the state that other processes read, and the time left."""

    def __init__(self, folder: Path, lock: Lock, hook: Hook) -> None:
        self.folder, self.lock, self.hook = folder, lock, hook
        self._noted, self._last = float("-inf"), ("", -1)
        self._began, self._before = time.monotonic(), 0

    def begin(self, done: int) -> None:
        """The rate is that of what is done from now on."""
        self._began, self._before = time.monotonic(), done

    def tell(self, phase: Phase, done: int, total: int, **rest: Any) -> None:
        """Tell how far the sweep is; called at least every second."""
        elapsed, fresh = time.monotonic() - self._began, done - self._before
        rate = fresh / elapsed if fresh > 0 and elapsed > 0.0 else None
        left = (total - done) / rate if rate else None
        progress = SweepProgress(phase, done, total=total, rate=rate, left=left, **rest)
        self.hook(progress)
        if (phase, done) != self._last or time.monotonic() - self._noted >= _STATE_INTERVAL:
            self._last, self._noted = (phase, done), time.monotonic()
            self.lock.renew()
            state = dataclasses.asdict(progress) | {"updated": now()}
            write_text_file(self.folder / STATE, json.dumps(state, indent=1) + "\n")

    def log(self, line: str) -> None:
        """A line in the log."""
        path = self.folder / LOG / "sweep.log"
        path.parent.mkdir(exist_ok=True)
        with path.open("a", encoding="utf-8") as stream:
            stream.write(f"{now()} {os.getpid()} {line}\n")


def load_state(folder: Path) -> SweepProgress | None:
    """What the last driver noted; nothing where there is no such note."""
    noted = load_note(folder)
    return noted[0] if noted else None


def load_note(folder: Path) -> tuple[SweepProgress, str] | None:
    """What the last driver noted and when (UTC, as in ISO 8601); nothing where there is no such note."""
    from pydantic import TypeAdapter

    try:
        table = json.loads((folder / STATE).read_text(encoding="utf-8"))
        updated = str(table.pop("updated"))
        return TypeAdapter(SweepProgress).validate_python(table), updated
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
