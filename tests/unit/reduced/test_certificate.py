"""Error bars: right as often as they say, wider where the indicator is larger, and infinite where there is none."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discsim.sweep.reduced.certificate import Certificate, calibrated

TIMES, READOUTS = 3, 2


@dataclasses.dataclass
class Runs:
    """Runs with known errors, (lanes, times, readouts)."""

    indicators: np.ndarray
    lacking: np.ndarray
    errors: np.ndarray
    samples: np.ndarray

    def certificate(self, coverage: float = 0.95) -> Certificate:
        return calibrated(self.indicators, self.lacking, self.errors, self.samples, coverage)


def runs(samples: int, seed: int, arms: int = 1, power: float = 0.5) -> Runs:
    """Heteroscedastic errors: normal, with a spread that goes with a power of the indicator; alike in the arms of a sample."""
    random = np.random.default_rng(seed)
    size = np.array([1.0, 40.0])  # readouts of different units
    indicators = random.lognormal(0.0, 1.0, (samples, TIMES, READOUTS)) * size
    lacking = random.lognormal(0.0, 0.5, (samples, TIMES, 2))
    spread = np.maximum.accumulate(indicators / size, axis=1) ** power
    errors = random.normal(size=(samples, TIMES, READOUTS)) * spread * size
    parts = (np.repeat(one, arms, axis=0) for one in (indicators, lacking, errors, np.arange(samples)))
    return Runs(*parts)


def test_the_highest_level_covers_every_calibration_error() -> None:
    for samples in (5, 18):
        own = runs(samples, samples)
        bars = own.certificate().bars(own.indicators, own.lacking)
        assert (np.abs(own.errors) <= bars * (1.0 + 1e-12)).all()
        assert (np.isclose(np.abs(own.errors), bars, rtol=1e-9)).any(axis=0).all()  # no wider than the worst of them


@pytest.mark.parametrize(
    ("samples", "rank", "coverage"),
    [
        (5, 5, 5 / 6),  # ceil(6 x 0.95) = 6 of 5: the largest, which is expected to cover 5 of 6
        (18, 18, 18 / 19),
        (19, 19, 0.95),  # ceil(20 x 0.95) = 19
        (39, 38, 0.95),
        (100, 96, 0.95),  # ceil(101 x 0.95) = 96
    ],
)
def test_the_conformal_rank(samples: int, rank: int, coverage: float) -> None:
    own = runs(samples, 2)
    own.indicators[:], own.lacking[:] = 1.0, 1.0  # all alike: bars are errors, in order
    own.errors[:] = np.random.default_rng(0).permutation(np.arange(1.0, samples + 1.0))[:, None, None]
    certificate = own.certificate()
    bars = certificate.bars(own.indicators, own.lacking)
    assert np.ptp(bars, axis=0).max() == pytest.approx(0.0, abs=1e-12)
    covered = (own.errors <= bars * (1.0 + 1e-12)).sum(axis=0)
    assert ((covered >= rank) & (covered <= min(rank + 1, samples))).all()  # never fewer, and at most one to spare
    assert certificate.coverage == pytest.approx(coverage)
    assert certificate.runs == certificate.samples == samples


def test_samples_are_counted_and_not_arms() -> None:
    """Four arms that err alike vouch for no more than one."""
    one, four = runs(10, 3), runs(10, 3, arms=4)
    alone, together = one.certificate(), four.certificate()
    assert together.coverage == alone.coverage == 10 / 11
    assert (together.runs, together.samples) == (40, 10)
    np.testing.assert_allclose(together.factor, alone.factor)


@pytest.mark.parametrize(("samples", "arms"), [(20, 1), (20, 3), (100, 1), (100, 2)])
@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_fresh_draws_are_covered(samples: int, arms: int, power: float) -> None:
    """Whatever the law of the errors is: a conformal bar rests on their being drawn alike, not on its form."""
    covered = []
    for seed in range(60):
        certificate = runs(samples, seed, arms, power).certificate()
        fresh = runs(200, 10_000 + seed, 1, power)
        covered.append((np.abs(fresh.errors) <= certificate.bars(fresh.indicators, fresh.lacking)).mean())
    assert np.mean(covered) >= 0.94  # 60 calibrations of 20 samples scatter by 0.006


def test_bars_tell_good_samples_from_bad_ones() -> None:
    certificate, fresh = runs(100, 1).certificate(), runs(4000, 2)
    bars = certificate.bars(fresh.indicators, fresh.lacking)[:, -1, 0]
    errors = np.abs(fresh.errors)[:, -1, 0]
    narrow = bars <= np.quantile(bars, 0.25)
    wide = bars >= np.quantile(bars, 0.75)
    assert errors[wide].mean() > 1.4 * errors[narrow].mean() and bars[wide].mean() > 1.4 * bars[narrow].mean()
    assert (errors <= bars)[wide].mean() >= 0.9 and (errors <= bars)[narrow].mean() >= 0.9


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(1.0, 1e6), st.sampled_from(["indicators", "lacking"]))
def test_bars_never_fall_as_an_indicator_rises(seed: int, factor: float, which: str) -> None:
    own = runs(20, seed)
    certificate = own.certificate()
    before = certificate.bars(own.indicators, own.lacking)
    moved = dataclasses.replace(own, **{which: getattr(own, which) * factor})
    after = certificate.bars(moved.indicators, moved.lacking)
    assert (after >= before).all()
    if factor > 1.01:
        assert (after > before).all()


def test_bars_remember_the_largest_indicator_so_far() -> None:
    own = runs(20, 5)
    certificate = own.certificate()
    calm = np.full_like(own.indicators, 1e-3)
    shaken = calm.copy()
    shaken[:, 1] = 50.0
    before, after = (certificate.bars(one, own.lacking) for one in (calm, shaken))
    np.testing.assert_array_equal(after[:, 0], before[:, 0])
    assert (after[:, 1] > before[:, 1]).all() and (after[:, 2] > before[:, 2]).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("which", ["indicators", "lacking"])
def test_no_number_no_bar(bad: float, which: str) -> None:
    own = runs(20, 6)
    certificate = own.certificate()
    given = getattr(own, which).copy()
    given[3, 1, 0] = bad
    bars = certificate.bars(**({"indicators": own.indicators, "lacking": own.lacking} | {which: given}))
    assert np.isinf(bars[3, 1:, 0]).all()  # from then on
    assert np.isfinite(bars[3, 0]).all() and np.isfinite(np.delete(bars, 3, axis=0)).all()


@pytest.mark.parametrize("which", ["indicators", "lacking"])
def test_calibration_without_numbers_vouches_for_nothing(which: str) -> None:
    own = runs(20, 6)
    getattr(own, which)[0, 0, 0] = np.nan
    bars = own.certificate().bars(runs(20, 7).indicators, runs(20, 7).lacking)
    assert np.isinf(bars[:, :, 0]).all()


def test_an_indicator_that_is_usually_nothing() -> None:
    own = runs(20, 7)
    own.indicators[:, :, 0] = 0.0
    own.lacking[:, 0] = 0.0
    with np.errstate(all="raise"):
        certificate = own.certificate()
        bars = certificate.bars(own.indicators, own.lacking)
    assert np.isfinite(bars).all() and (bars > 0.0).all()


def test_readouts_that_are_exact() -> None:
    """The start of a matrix that no lane changes: no error in calibration, a bar of nothing, and no division by it."""
    own = runs(20, 8)
    own.errors[:, 0, 0] = 0.0
    with np.errstate(divide="raise", invalid="raise"):
        bars = own.certificate().bars(own.indicators, own.lacking)
    assert (bars[:, 0, 0] == 0.0).all() and (bars[:, 1:, 0] > 0.0).all()
    own.errors[:] = 0.0
    assert (own.certificate().bars(own.indicators, own.lacking) == 0.0).all()


def test_bars_do_not_depend_on_units() -> None:
    own = runs(30, 9)
    scaled = dataclasses.replace(own, indicators=1e6 * own.indicators, errors=1e6 * own.errors, lacking=1e-3 * own.lacking)
    np.testing.assert_allclose(
        scaled.certificate().bars(scaled.indicators, scaled.lacking),
        1e6 * own.certificate().bars(own.indicators, own.lacking),
        rtol=1e-9,
    )


def test_signs_of_errors_do_not_matter() -> None:
    own = runs(30, 10)
    turned = dataclasses.replace(own, errors=-own.errors)
    np.testing.assert_array_equal(own.certificate().factor, turned.certificate().factor)


def test_a_bar_by_hand() -> None:
    """k m sqrt(1 + eta / eta_m + |db| / |db|_m + |da| / |da|_m)."""
    own = Certificate(
        error=np.array([[0.5]]), indicator=np.array([[2.0]]), lacking=np.array([[4.0, 0.1]]), factor=np.array([[3.0]]),
        runs=20, samples=20, coverage=0.95,
    )  # fmt: skip
    found = own.bars(np.array([[[6.0]]]), np.array([[[2.0, 0.45]]]))
    assert found[0, 0, 0] == pytest.approx(3.0 * 0.5 * np.sqrt(1.0 + 3.0 + 0.5 + 4.5))
