"""Sweeps of an engine that gives error bars for some samples and has others computed by another engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from discsim.report.sweep_progress import words
from discsim.study.config import study_from_text
from discsim.study.study import Study
from discsim.study.sweep_folder import load_manifest
from discsim.study.sweep_plan import SweepOptions
from discsim.study.sweep_result import open_ensemble, open_sweep, sweep_counts, sweep_engines
from discsim.study.sweep_run import run_sweep
from discsim.study.sweep_state import load_state

FAKES = Path(__file__).parents[1] / "fakes"


@pytest.fixture(scope="module")
def quick() -> object:
    """The module of the quick engines, where worker processes find it too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FAKES))
        import quick_engine

        yield quick_engine


@pytest.fixture(scope="module")
def study(quick: object) -> Study:
    """Two scenarios, a list of ten samples."""
    return study_from_text(quick.QUICK_STUDY)


@pytest.fixture(scope="module")
def finished(study: Study, quick: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same sweep by an engine without bars."""
    folder = tmp_path_factory.mktemp("finished") / "s"
    run_sweep(study, folder, SweepOptions(engine=quick.ENGINE, batch=4, workers=1))
    return folder


@pytest.fixture(scope="module")
def barred(study: Study, quick: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished sweep of an engine that gives error bars in some shards."""
    folder = tmp_path_factory.mktemp("barred") / "s"
    run_sweep(study, folder, SweepOptions(engine=quick.BARRED_ENGINE, batch=4, workers=1))
    return folder


def test_shards_with_and_without_bars_join(barred: Path, finished: Path, quick: object) -> None:
    found, plain = open_ensemble(barred), open_ensemble(finished)
    assert found.engine["untreated"].tolist() == ["reduced"] * 6 + ["sweep", "reduced", "", ""]
    assert found.engine["cells"].tolist() == ["reduced"] * 6 + ["sweep", "sweep", "", ""]
    bar = np.array([quick.bar_of(sample) for sample in range(10)])
    for scenario, full in (("untreated", [6, 8, 9]), ("cells", [6, 7, 8, 9])):
        expected = bar.copy()
        expected[full] = 0.0
        bars = found.bars[scenario]["viable_cells"]
        assert bars.shape == found.values[scenario]["viable_cells"].shape == (10, 3)
        wanted = expected[:, None] * np.array([1.0, 4.0, 6.0])  # at 0, 1 and 2 years
        wanted[0, 1] = np.inf  # nothing vouches for it
        np.testing.assert_allclose(bars, wanted, rtol=1e-14)
        assert not found.bars[scenario]["glucose_min"].any()
        np.testing.assert_array_equal(found.bar(scenario, "viable_cells"), bars)
    assert (plain.bars, plain.engine) == ({}, {})
    assert not plain.bar("cells", "viable_cells").any()
    arm = open_sweep(barred)["cells"]
    assert np.isnan(arm["viable_cells_bar"].values[6:]).all() and np.isfinite(arm["viable_cells_bar"].values[:6, 4:]).all()
    for scenario in plain.scenarios:
        for readout in plain.units:
            np.testing.assert_array_equal(found.values[scenario][readout], plain.values[scenario][readout])


def test_a_sweep_tells_which_engine_computed_how_many_samples(barred: Path, finished: Path) -> None:
    counts = {"reduced": 6, "sweep": 1, "reduced and sweep": 1}
    assert sweep_engines(sweep_counts(barred, load_manifest(barred))) == counts
    state = load_state(barred)
    assert state is not None and state.engines == counts
    told = words(state)
    assert told == "10 of 10 samples, 6 by reduced, 1 by sweep, 1 by reduced and sweep"
    assert sweep_engines(sweep_counts(finished, load_manifest(finished))) == {}
    plain = load_state(finished)
    assert plain is not None and plain.engines == {} and words(plain) == "10 of 10 samples"


def test_bars_of_a_failed_sample_are_not_used(
    study: Study, tmp_path: Path, quick: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fail-2").touch()
    monkeypatch.setenv("QUICK_ENGINE", str(tmp_path))
    run_sweep(study, tmp_path / "s", SweepOptions(engine=quick.BARRED_ENGINE, batch=4, workers=1))
    found = open_ensemble(tmp_path / "s")
    assert not found.bars["cells"]["viable_cells"][2].any() and np.isnan(found.values["cells"]["viable_cells"][2]).all()
    assert found.bars["cells"]["viable_cells"][[1, 3]].all()
