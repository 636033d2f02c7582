"""Spoiled experiment files and overrides, for minutes: does reading one end in anything but a study or plain lines?"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

from discsim.study.config import study_from_text
from discsim.study.environment import MissingTool
from discsim.study.messages import ConfigError
from discsim.study.toml_text import decoded
from discsim.vv.registry import Case, Row

SECONDS = 300.0
ROUND = 200  # examples of each kind between two looks at the clock
FAULTS_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Found:
    """Files and overrides that were tried, and what ended otherwise than it may (error and beginning of the input)."""

    tried: int
    faults: tuple[str, ...]


def search(seconds: float) -> Found:
    """Read spoiled files for so many seconds, others in every call. Raises ``MissingTool`` without Hypothesis."""
    try:
        from hypothesis import HealthCheck, Phase, given, settings

        from discsim.vv.spoiled.files import FILES, OVERRIDES, SHIPPED
    except ImportError as error:
        raise MissingTool(f"spoiled files are made by Hypothesis ({error}); pip install 'discsim[dev]'") from None
    end, faults, tried = time.monotonic() + seconds, dict[str, str](), 0

    def read(content: bytes, overrides: Sequence[str] = ()) -> None:
        nonlocal tried
        if time.monotonic() > end:
            return
        tried += 1
        try:
            study_from_text(decoded(content, Path("study.toml")), overrides, source="study.toml")
        except ConfigError as error:
            if not all(": " in line for line in str(error).splitlines()):
                faults.setdefault("a message of another form", f"{error}; {overrides} {content[:300]!r}")
        except Exception as error:  # the one thing that is looked for
            faults.setdefault(type(error).__name__, f"{type(error).__name__}: {error}; {overrides} {content[:300]!r}")

    way = settings(
        max_examples=ROUND, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    files = way(given(FILES)(lambda content: read(content)))
    overrides = way(given(OVERRIDES)(lambda texts: read(SHIPPED.encode(), texts)))
    while time.monotonic() < end:
        files()
        overrides()
    return Found(tried, tuple(faults.values()))


def spoiled_files(seconds: float) -> list[Row]:
    """How many were read, and how many kinds of fault that showed."""
    found = search(seconds)
    note = "; ".join(found.faults[:FAULTS_SHOWN])
    return [
        Row("spoiled.tried", "files and overrides that were read", "1", float(found.tried), None, None, None, "report"),
        Row(
            "spoiled.faults",
            "that ended otherwise than in plain lines",
            "1",
            float(len(found.faults)),
            0.0,
            0.0,
            0.0,
            "verification",
            note,
        ),
    ]


CASES = [
    Case(
        "spoiled_files",
        "messages",
        "the shipped experiment, spoiled at random for five minutes: every mistake ends in plain lines",
        lambda: spoiled_files(SECONDS),
        slow=True,
    ),
]
