"""Shipped experiments against their ``expected.toml``, on the coarse mesh."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.fem
EXPERIMENTS = Path(__file__).parents[2] / "experiments"
FILES = sorted(EXPERIMENTS.glob("*/expected.toml"))


def test_every_experiment_has_expected_numbers() -> None:
    assert FILES
    assert {path.parent for path in FILES} == {path.parent for path in EXPERIMENTS.glob("*/study.toml")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_numbers_are_as_expected(path: Path) -> None:
    from discsim.study.config import read_study
    from discsim.study.result import Result
    from discsim.study.study import make_engine

    expected = tomllib.loads(path.read_text())
    study = read_study(path.parent / "study.toml", [f"{key}={value}" for key, value in expected["overrides"].items()])
    result = Result.from_records(study, make_engine("fem").run(study.problem()))
    assert not result.failed()
    found = {(e.scenario, e.readout): e.value for e in result.table() if abs(e.time_years - expected["time_years"]) < 1e-6}
    for scenario, numbers in expected["numbers"].items():
        for readout, number in numbers.items():
            assert found[scenario, readout] == pytest.approx(number, rel=expected["tolerance"]), f"{scenario}.{readout}"
