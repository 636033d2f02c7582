"""Numbers that act on nothing, ranges upside down, and starts that the search has to move: said in a line. No engine runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from discsim.cli import app
from discsim.study.acting import acts
from discsim.study.config import study_from_text
from discsim.study.optimise import optimise
from discsim.study.optimise_terms import OptimiseError, parse_goal, parse_variables
from discsim.study.study import Study

TEXT = """
schema = "discsim/1"
duration = "1 year"

[disc]
mesh_level = 1

[scenarios.untreated]

[[scenarios.cells.therapy]]
kind = "stem_cell_injection"
volume = "1 mL"
at = "0 day"

[[scenarios.centred.therapy]]
kind = "stem_cell_injection"
label = "centred"
volume = "1 mL"
place = "centre"

[readouts]
use = ["gag_nucleus"]
"""
VARY = """
[design]
kind = "random"
samples = 2
vary = { "scenarios.cells.therapy.0.volume" = { low = "1 mL", high = "2 mL" } }
"""
DOSE, VOLUME, AT = (f"scenarios.cells.therapy.0.{key}" for key in ("dose", "volume", "at"))


@pytest.fixture(scope="module")
def study() -> Study:
    return study_from_text(TEXT)


@pytest.mark.parametrize(
    ("scenario", "path", "value", "expected"),
    [
        ("cells", DOSE, 1e6, True),
        ("untreated", DOSE, 1e6, False),
        ("cells", VOLUME, 2.0, False),
        ("centred", "scenarios.centred.therapy.0.volume", 2.0, True),
        ("untreated", "loading.active", 0.4, True),
        ("cells", AT, 30.0, True),
    ],
)
def test_what_acts_on_a_scenario(study: Study, scenario: str, path: str, value: float, expected: bool) -> None:
    assert acts(study, scenario, path, value) is expected


@pytest.mark.parametrize(
    ("scenario", "path", "words"),
    [
        ("untreated", DOSE, "does not act on untreated"),
        ("cells", VOLUME, 'does not act on cells.*a volume acts only with place = "centre"'),
    ],
)
def test_a_search_over_an_idle_number_is_refused_before_anything_is_compiled(
    study: Study, scenario: str, path: str, words: str
) -> None:
    goal = parse_goal("gag_nucleus", True, study)
    with pytest.raises(OptimiseError, match=words) as refused:
        optimise(study, scenario, goal, parse_variables(study, [path]))
    assert len(str(refused.value).splitlines()) == 1


def test_the_command_says_so_with_bad_input(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(TEXT)
    asked = ("optimise", str(tmp_path / "study.toml"), "--scenario", "cells", "--maximise", "gag_nucleus", "--over", VOLUME)
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 2 and 'place = "centre"' in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_start_that_is_moved_is_told(study: Study) -> None:
    (at,) = parse_variables(study, [AT])
    assert at.start == pytest.approx(0.1) and at.low == pytest.approx(0.1)
    assert "starts at 0.1 day, not at the 0 day of the file" in at.note and "no slope by time" in at.note
    (dose,) = parse_variables(study, [DOSE], {DOSE: "1e6 cell"}, {DOSE: "2e6 cell"})
    assert "starts at 2e+06 cell, not at the 6e+06 cell of the file: that lies outside the range" in dose.note
    assert parse_variables(study, [DOSE])[0].note == ""


def test_a_range_upside_down_is_told_as_such(study: Study) -> None:
    with pytest.raises(OptimiseError, match="--from 2e7 cell --to 1e6 cell: the lower end must be below the upper end"):
        parse_variables(study, [DOSE], {DOSE: "2e7 cell"}, {DOSE: "1e6 cell"})


def test_validate_warns_of_volumes_that_act_on_nothing(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(TEXT + VARY)
    done = CliRunner().invoke(app, ["validate", str(tmp_path / "study.toml")])
    lines = done.stderr.splitlines()
    assert done.exit_code == 0 and len(lines) == 2, lines
    assert lines[0].startswith(f"warning: {VOLUME}: given 1 mL") and 'place = "centre"' in lines[0]
    assert lines[1].startswith(f"warning: design.vary.{VOLUME}: varied")
    (tmp_path / "study.toml").write_text(TEXT.replace('volume = "1 mL"\nat', "at"))
    assert CliRunner().invoke(app, ["validate", str(tmp_path / "study.toml")]).stderr == ""
