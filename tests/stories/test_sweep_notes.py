"""What is told of a sweep of thousands while it runs: how many, how fast, how long still; a note that is none is passed over."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from discsim.report.sweep_progress import words
from discsim.study.sweep_state import SweepProgress, load_state

HALF = SweepProgress("running", 1024, 3, 64, 4096, rate=10.24, left=300.0, last_failure="sample 7: untreated: timeout")


def test_progress_of_thousands_with_the_time_left() -> None:
    assert words(HALF) == "1024 of 4096 samples, 3 failed, 64 running, 10.2/s, about 5 min left"
    assert words(dataclasses.replace(HALF, rate=None, left=None)).endswith("64 running, time left unknown")
    slow = dataclasses.replace(HALF, rate=0.02, left=153600.0)
    assert words(slow).endswith("1.2/min, about 42.7 h left")
    assert "left" not in words(dataclasses.replace(HALF, phase="done", done=4096, running=0))


def note(folder: Path, **changes: Any) -> None:
    table = dataclasses.asdict(HALF) | {"updated": "2026-01-01T00:00:00Z"} | changes
    (folder / "state.json").write_text(json.dumps(table))


@pytest.mark.parametrize(
    "changes", [{"done": "many"}, {"phase": "resting"}, {"left": []}, {"engines": 3}, {"engines": {"fem": "x"}}]
)
def test_a_note_that_is_none_is_passed_over(changes: dict[str, Any], tmp_path: Path) -> None:
    note(tmp_path)
    assert load_state(tmp_path) == HALF
    note(tmp_path, **changes)
    assert load_state(tmp_path) is None
