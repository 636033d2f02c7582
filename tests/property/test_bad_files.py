"""Whatever is done to an experiment file or to the command line, ``validate`` says what is wrong in plain lines."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from typer.testing import CliRunner

from discsim.cli import app
from discsim.vv.spoiled.files import FILES, OVERRIDES, SHIPPED
from discsim.vv.spoiled_files import search

QUICK = settings(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


def check(content: bytes, *options: str) -> None:
    """``validate`` ends with 0 or 2, and what it says are plain lines that name a place."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.toml"
        path.write_bytes(content)
        result = CliRunner().invoke(app, ["validate", str(path), *options])
    told = f"{options!r}\n{result.output}\n{result.exception!r}\n{content[:6000]!r}"
    assert result.exit_code in (0, 2), told
    assert result.exception is None or isinstance(result.exception, SystemExit), told
    assert "Traceback" not in result.output and "unexpected; discsim --debug" not in result.output, told
    if result.exit_code:
        lines = result.stderr.strip().splitlines()
        assert lines and (all(": " in line for line in lines) or "Usage:" in lines[0]), told
        assert "Error:" not in lines[0].split(": ")[0], told


@QUICK
@given(FILES)
def test_no_experiment_file_ends_in_a_traceback(content: bytes) -> None:
    check(content)


@QUICK
@given(OVERRIDES)
def test_no_override_ends_in_a_traceback(overrides: list[str]) -> None:
    check(SHIPPED.encode(), *(word for text in overrides for word in ("--set", text)))


def test_the_long_search_of_vv_finds_nothing_in_a_second_and_tells_what_it_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    found = search(1.0)
    assert found.tried > 0 and found.faults == ()

    def broken(*arguments: object, **keywords: object) -> None:
        raise KeyError("planted")

    monkeypatch.setattr("discsim.vv.spoiled_files.study_from_text", broken)
    assert "KeyError: 'planted'" in search(1.0).faults[0]
