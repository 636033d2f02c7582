"""Parts of the reduced engine: cubature, fits, the certificate, and trainings on disk."""

from __future__ import annotations

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discsim.sweep.reduced.bases import Counts
from discsim.sweep.reduced.build import TrainingError
from discsim.sweep.reduced.certificate import calibrated
from discsim.sweep.reduced.cubature import Sketch, chosen_points
from discsim.sweep.reduced.engine import Training
from discsim.sweep.reduced.regression import fitted
from discsim.sweep.reduced.store import load, save
from discsim.sweep.reduced.training import Trained


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_cubature_sums_what_it_was_fitted_to(seed: int) -> None:
    random = np.random.default_rng(seed)
    x = np.linspace(0.0, 1.0, 300)
    rows = np.stack([np.cos(k * np.pi * x + random.uniform(0.0, 3.0)) + 1.0 for k in range(12)])
    sketch = Sketch(300, seed, size=60)
    for block in np.array_split(rows, 4):
        sketch.add(block)
    which, factors, left = chosen_points(sketch, 1e-6, 200)
    assert (factors >= 0.0).all() and len(np.unique(which)) == len(which) <= 60
    assert left <= 1e-6
    found, expected = rows[:, which] @ factors, rows.sum(axis=1)
    assert np.linalg.norm(found - expected) <= 1e-4 * np.linalg.norm(expected)


def test_cubature_stops_where_it_is_told_to() -> None:
    random = np.random.default_rng(0)
    sketch = Sketch(400, 1, size=100)
    sketch.add(random.uniform(0.5, 1.5, (80, 400)))
    which, _, left = chosen_points(sketch, 1e-12, 10)
    assert len(which) <= 13 and left > 1e-12  # points are taken up a few at a time
    assert not len(chosen_points(Sketch(5, 0), 1e-4, 3)[0])  # nothing to sum: no points


def test_polynomials_are_found_and_agree_in_both_libraries() -> None:
    random = np.random.default_rng(4)
    x = np.column_stack([random.uniform(1.0, 2.0, 60), 10.0 ** random.uniform(-5.0, -2.0, 60)])
    y = np.column_stack([1.0 + x[:, 0] ** 2 * np.log(x[:, 1]), np.full(60, 7.0)])
    fit = fitted(x, y)
    assert fit.log.tolist() == [False, True] and fit.left_out < 1e-10
    fresh = np.array([[1.3, 3e-4], [1.9, 2e-5]])
    assert fit(fresh)[:, 0] == pytest.approx(1.0 + fresh[:, 0] ** 2 * np.log(fresh[:, 1]), rel=1e-9)
    assert np.asarray(fit(jnp.asarray(fresh), jnp)) == pytest.approx(fit(fresh), rel=1e-12)
    assert fitted(np.zeros((3, 0)), np.array([[2.0], [2.0], [2.0]]))(np.zeros((1, 0))) == pytest.approx(2.0)


def runs(samples: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Two arms a sample, three times, two readouts: errors that grow with the indicators."""
    random = np.random.default_rng(seed)
    indicators = np.repeat(random.lognormal(0.0, 1.0, (samples, 3, 2)), 2, axis=0)
    lacking = np.repeat(random.lognormal(0.0, 0.5, (samples, 3, 2)), 2, axis=0)
    size = np.sqrt(1.0 + np.maximum.accumulate(indicators, axis=1))
    errors = size * np.repeat(np.abs(random.normal(size=(samples, 3, 2))), 2, axis=0)
    return indicators, lacking, errors, np.repeat(np.arange(samples), 2)


@pytest.mark.parametrize(("samples", "coverage"), [(10, 10 / 11), (20, 0.95), (100, 0.95)])
def test_bars_cover_what_they_say(samples: int, coverage: float) -> None:
    covered = []
    for seed in range(40):
        certificate = calibrated(*runs(samples, seed), 0.95)
        assert certificate.coverage == pytest.approx(coverage)
        indicators, lacking, errors, _ = runs(200, 1000 + seed)
        covered.append((errors <= certificate.bars(indicators, lacking)).mean())
    assert np.mean(covered) >= coverage - 0.01


def test_bars_grow_with_the_indicator_and_are_infinite_without_one() -> None:
    indicators, lacking, errors, samples = runs(20, 3)
    indicators[:, 0] = 0.0  # a readout whose indicator is usually nothing
    certificate = calibrated(indicators, lacking, errors, samples, 0.95)
    small, large = certificate.bars(indicators, lacking), certificate.bars(3.0 * indicators, lacking)
    assert np.isfinite(small).all() and (large >= small).all() and (large[:, 1:] > small[:, 1:]).any()
    indicators[0, 1, 1] = np.nan
    assert np.isinf(certificate.bars(indicators, lacking)[0, 1, 1])


@pytest.fixture
def training() -> Training:
    """The least that a training can be."""
    one = np.arange(6.0).reshape(2, 3)
    polynomial = fitted(np.linspace(0.0, 1.0, 5)[:, None], np.linspace(0.0, 2.0, 5)[:, None])
    counts = Counts(2, (1, 2), ())
    trained = Trained(
        {"strain": {"weight": one, "positions": (one, one + 1.0)}, "plate_area": 3.0},
        {"flux": {"solutes": [one, one[:1]]}},
        counts,
        counts,
        (one, one),
        polynomial,
        np.array([3]),
        (1.0, 2.0),
        one,
        one,
        [one],
        {"points": {"strain": 2}},
    )
    indicators, lacking, errors, samples = runs(5, 0)
    certificate = calibrated(indicators, lacking, errors, samples, 0.95)
    return Training(trained, certificate, (1.0, 2.0), (0.0, 2.0), "mesh", {"untreated": (one, one)})


IDENTITY = {"code": "abc", "box": {"a": [1.0, 2.0]}}


def test_a_training_comes_back_as_it_was(training: Training, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "one.training"
    save(path, training, IDENTITY)
    back = load(path, IDENTITY)
    assert back.steps == training.steps and back.certified == [0, 2] and back.trained.used == training.trained.used
    assert isinstance(back.trained.tables["strain"]["positions"], tuple)
    np.testing.assert_array_equal(
        back.trained.tables["strain"]["positions"][1], training.trained.tables["strain"]["positions"][1]
    )
    np.testing.assert_array_equal(back.certificate.factor, training.certificate.factor)
    assert back.trained.resting(np.array([[0.25]])) == pytest.approx(training.trained.resting(np.array([[0.25]])))
    assert [entry.name for entry in path.parent.iterdir()] == ["one.training"]


def test_a_training_that_is_not_whole_or_not_the_right_one_is_refused(training: Training, tmp_path: Path) -> None:
    path = tmp_path / "one.training"
    save(path, training, IDENTITY)
    whole = path.read_bytes()
    for damaged, why in (
        (whole[:-7], "damaged"),
        (whole[:400] + bytes([whole[400] ^ 1]) + whole[401:], "damaged"),
        (b"PK" + whole, "not a training of this version"),
        (b"", "not a training of this version"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(TrainingError, match=why) as caught:
            load(path, IDENTITY)
        assert "discsim train" in str(caught.value) and "\n" not in str(caught.value)
    path.write_bytes(whole)
    with pytest.raises(TrainingError, match="a training of something else"):
        load(path, IDENTITY | {"code": "abd"})
    with pytest.raises(TrainingError, match="cannot be read"):
        load(tmp_path / "none.training", IDENTITY)
