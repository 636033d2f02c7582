"""A mechanism of the user's own, from the documentation: both engines, a design over its own parameter, no edit elsewhere."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("ufl")

from typer.testing import CliRunner

from discsim.cli import app
from discsim.problem.problem import DAY, YEAR
from discsim.problem.record import ArmRecord
from discsim.study.config import read_study
from discsim.study.design import Design, draw, sample_study
from discsim.study.study import Study
from discsim.study.sweep_run import open_ensemble
from discsim.sweep.engine import SweepEngine
from discsim.vv.sweep import both, differences

pytestmark = pytest.mark.fem
PAGE = Path(__file__).resolve().parents[2] / "docs" / "add_a_mechanism.md"
STEPS = (0.5 * DAY, 2.0 * DAY, 10.0 * DAY, 40.0 * DAY, 120.0 * DAY, 240.0 * DAY, YEAR)
TIGHT = 2e-5


def block(language: str) -> str:
    """The one block of the page in a language."""
    found = re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(found) == 1
    return str(found[0])


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The files of the page in a folder of their own."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "mymodel.py").write_text(block("python"))
    path = folder / "study.toml"
    path.write_text(block("toml"))
    yield path
    sys.modules.pop("mymodel", None)


@pytest.fixture(scope="module")
def study(experiment: Path) -> Study:
    return read_study(experiment, allow_plugin=True)


@pytest.fixture(scope="module")
def engine() -> SweepEngine:
    return SweepEngine()


@pytest.fixture(scope="module")
def pairs(engine: SweepEngine, study: Study) -> list[list[tuple[ArmRecord, ArmRecord]]]:
    design = draw(study)
    problems = [sample_study(study, design, i).problem() for i in range(design.count)]
    return both(engine, problems, STEPS)


def test_it_is_about_twenty_lines() -> None:
    code = [line for line in block("python").splitlines() if line.strip()]
    assert len(code) <= 22


def test_the_design_is_over_its_own_parameter(study: Study) -> None:
    design: Design = draw(study)
    assert [swept.path for swept in design.inputs] == ["acid_death.rate"] and design.count == 3
    values = [sample_study(study, design, i).problem().arms[1].values["acid_death.rate"] * YEAR for i in range(3)]
    assert values == pytest.approx([0.0, 0.5, 2.0])


def test_both_engines_give_the_same_numbers(study: Study, pairs: list[list[tuple[ArmRecord, ArmRecord]]]) -> None:
    problem = study.problem()
    for sample in pairs:
        for reference, found in sample:
            assert reference.status.good and found.status.good
            assert {k: e for k, e in differences(problem, reference, found).items() if not e <= TIGHT} == {}


def test_it_does_what_it_says(pairs: list[list[tuple[ArmRecord, ArmRecord]]]) -> None:
    """More acid death leaves fewer cells in the nucleus, and its drive (not varied) costs matrix."""
    for arm in range(2):
        cells = [sample[arm][1].readouts["viable_cells_nucleus"][-1] for sample in pairs]
        assert cells[0] > 1.01 * cells[1] > 1.02 * cells[2]
    start, end = (pairs[0][0][1].readouts["gag_nucleus"][i] for i in (0, -1))
    assert end < start


def test_gag_is_lost_by_its_drive(engine: SweepEngine, experiment: Path, pairs: list[list[tuple[ArmRecord, ArmRecord]]]) -> None:
    """The same disc without debris keeps more matrix."""
    without = read_study(experiment, ["mechanisms.acid_death.debris=0", "mechanisms.acid_death.rate=0 1/year"], allow_plugin=True)
    record = engine.run(without.problem(), steps=STEPS)[0]
    # a hundred times what the two engines may differ by
    assert record.readouts["gag_nucleus"][-1] > (1.0 + 100.0 * TIGHT) * pairs[0][0][1].readouts["gag_nucleus"][-1]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_commands_of_the_page(experiment: Path, tmp_path: Path) -> None:
    """As they stand there: refused without leave to import, then a run and a sweep."""
    runner = CliRunner()
    assert runner.invoke(app, ["run", str(experiment), "--out", str(tmp_path / "no")]).exit_code == 2
    done = runner.invoke(app, ["run", str(experiment), "--allow-plugin", "--out", str(tmp_path / "run"), "--engine", "sweep"])
    assert done.exit_code == 0, done.output
    done = runner.invoke(app, ["sweep", str(experiment), "--allow-plugin", "--out", str(tmp_path / "sweep"), "--workers", "1"])
    assert done.exit_code == 0, done.output
    ensemble = open_ensemble(tmp_path / "sweep")
    cells = ensemble.values["cells"]["viable_cells_nucleus"][:, -1]
    assert len(cells) == 3 and cells[0] > cells[1] > cells[2]
