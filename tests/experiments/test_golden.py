"""Shipped experiments against their golden results, in the reference engine, default mesh."""

from __future__ import annotations

from pathlib import Path

import pytest

from discsim.study.reproduction import GOLDEN, TIERS, changed_status, differences, numbers_of, read_golden

pytestmark = pytest.mark.fem
EXPERIMENTS = Path(__file__).parents[2] / "experiments"
FOLDERS = sorted(path.parent for path in EXPERIMENTS.glob("*/study.toml"))
TIER = "T3"  # other processors and library builds differ by less


def test_every_experiment_has_a_small_golden_result_of_its_present_file() -> None:
    from discsim.study.config import read_study, resolve
    from discsim.study.provenance import sha256

    assert FOLDERS
    for folder in FOLDERS:
        assert (folder / GOLDEN).stat().st_size < 200_000
        kept = read_golden(folder / GOLDEN)
        assert kept.engine == "fem" and set(kept.status.values()) == {"ok"}
        assert kept.config_hash == sha256(resolve(read_study(folder / "study.toml"))), (
            f"{folder.name}: discsim reproduce --update"
        )
        assert all(entry["date"] and entry["reason"] and entry["code"] for entry in kept.history)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_numbers_are_reproduced(folder: Path) -> None:
    from discsim.study.config import read_study
    from discsim.study.result import Result
    from discsim.study.study import make_engine

    kept, study = read_golden(folder / GOLDEN), read_study(folder / "study.toml")
    found = numbers_of(Result.from_records(study, make_engine(kept.engine).run(study.problem()), engine=kept.engine))
    assert changed_status(kept, found) == {}
    outside = [row for row in differences(kept, found, TIER) if not row.within]
    assert outside == []
    for row in differences(kept, found, TIER):  # the tier measures by the largest value in time; here every number by itself
        assert row.found == pytest.approx(row.kept, rel=TIERS[TIER]), f"{row.arm}.{row.readout} at {row.years} year"
