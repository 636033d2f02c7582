"""The driver of a sweep killed at ten random moments: nothing is lost, nothing is done twice, and the result is the same."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from discsim.study.sweep_folder import load_manifest
from discsim.study.sweep_result import sweep_counts
from discsim.vv.interruption import CASES, Interrupted, interrupt
from discsim.vv.registry import run

ROOT = Path(__file__).parents[2]
FAKES = ROOT / "tests/fakes"
ENGINE = "quick_engine:ManyEngine"
COMMAND = f"""
import sys
from discsim.study import study
study.ENGINES = (*study.ENGINES, {ENGINE!r})
if __name__ == "__main__":
    from discsim.cli import app
    app(sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_driver_killed_ten_times_loses_nothing_and_repeats_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "orders").mkdir()
    monkeypatch.setenv("QUICK_ENGINE", str(tmp_path / "orders"))
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{FAKES}")
    (tmp_path / "command.py").write_text(COMMAND)
    found = interrupt(tmp_path, [sys.executable, tmp_path / "command.py", ENGINE], samples=200, kills=10)
    assert found == Interrupted(hit=10, held=200, shards=(50, 50), changed=0, apart=())
    counts = sweep_counts(tmp_path / "killed", load_manifest(tmp_path / "killed"))
    rows = [line.split() for line in (tmp_path / "orders/ran").read_text().splitlines()[200:]]  # the clean sweep comes first
    last = {int(sample): float(began) for sample, _, began in rows}
    assert sorted(last) == list(range(200)) and len(rows) > 200, "no kill met a sample at work"
    assert all(last[sample] <= shard.path.stat().st_mtime for sample, shard in counts.items()), "begun once it was stored"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_sweep_engine_gives_the_same_bits_however_often_it_is_killed() -> None:
    assert run(CASES)[0].unexpected == []
