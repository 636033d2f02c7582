"""Cubature: few points, weights >= 0, sums kept, and no more than was asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discsim.sweep.reduced.cubature import SKETCH, Sketch, chosen_points


def sketch_of(rows: np.ndarray, seed: int = 0, size: int = SKETCH) -> Sketch:
    """A sketch of all rows at once."""
    sketch = Sketch(rows.shape[1], seed, size)
    sketch.add(rows)
    return sketch


def smooth(points: int, families: int, seed: int) -> np.ndarray:
    """Positive smooth integrands on a line, (families, points), each with a sum of 1."""
    random = np.random.default_rng(seed)
    x = np.linspace(0.0, 1.0, points)
    rows = np.stack([1.5 + np.cos(k * np.pi * x + random.uniform(0.0, 6.0)) for k in range(families)])
    return rows / rows.sum(axis=1, keepdims=True)


def test_data_of_low_rank_need_few_points() -> None:
    """Carathéodory: as many points as there are independent sums are enough."""
    random = np.random.default_rng(1)
    rows = random.uniform(0.0, 1.0, (500, 4)) @ random.uniform(0.0, 1.0, (4, 300))
    which, factors, left = chosen_points(sketch_of(rows), 1e-9, 300)
    assert len(which) <= 4 and left <= 1e-9
    np.testing.assert_allclose(rows[:, which] @ factors, rows.sum(axis=1), rtol=1e-7)


def test_a_single_point_that_carries_everything_is_found() -> None:
    rows = np.zeros((10, 50))
    rows[:, 17] = np.arange(1.0, 11.0)
    which, factors, left = chosen_points(sketch_of(rows), 1e-10, 50)
    assert which.tolist() == [17] and factors == pytest.approx([1.0]) and left <= 1e-10


def test_points_come_in_order_and_once() -> None:
    which, factors, _ = chosen_points(sketch_of(smooth(400, 20, 3)), 1e-8, 400)
    assert (np.diff(which) > 0).all() and len(factors) == len(which) and (factors > 0.0).all()


@pytest.mark.parametrize("most", [1, 2, 3, 5, 10, 11])
def test_no_more_points_than_are_allowed(most: int) -> None:
    rows = np.random.default_rng(0).uniform(0.5, 1.5, (80, 400))
    which, factors, left = chosen_points(sketch_of(rows, size=100), 1e-12, most)
    assert 1 <= len(which) <= most and (factors > 0.0).all() and 1e-12 < left < 1.0


def test_a_finer_tolerance_takes_more_points_and_leaves_less() -> None:
    sketch = sketch_of(smooth(500, 40, 2))
    found = [chosen_points(sketch, tolerance, 500) for tolerance in (1e-1, 1e-3, 1e-6)]
    counts, left = [len(which) for which, _, _ in found], [error for _, _, error in found]
    assert counts[0] < counts[1] < counts[2]
    assert left[0] <= 1e-1 and left[1] <= 1e-3 and left[2] <= 1e-6
    assert left[0] > 1e-6  # it did stop where it was good enough


@pytest.mark.parametrize("rows", [np.zeros((0, 6)), np.zeros((4, 6))])
def test_nothing_to_sum_needs_no_point(rows: np.ndarray) -> None:
    which, factors, left = chosen_points(sketch_of(rows), 1e-4, 6)
    assert which.shape == factors.shape == (0,) and which.dtype == np.int64 and left == 0.0


def test_points_that_contribute_nothing_are_never_chosen() -> None:
    rows = smooth(200, 10, 5)
    rows[:, ::2] = 0.0
    which, _, left = chosen_points(sketch_of(rows), 1e-6, 200)
    assert left <= 1e-6 and (which % 2 == 1).all()


def test_sums_of_one_integrand_are_kept_per_family() -> None:
    """Rows that were never sketched but lie in the span of those that were are summed as well."""
    rows = smooth(300, 15, 8)
    which, factors, _ = chosen_points(sketch_of(rows), 1e-8, 300)
    mixed = np.random.default_rng(2).uniform(0.0, 1.0, (20, 15)) @ rows
    np.testing.assert_allclose(mixed[:, which] @ factors, mixed.sum(axis=1), rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1e-2, 1e-3, 3e-4, 1e-5]), st.integers(5, 60))
def test_the_claimed_error_holds_for_sketch_and_sums(seed: int, tolerance: float, families: int) -> None:
    rows = smooth(250, families, seed)
    sketch = sketch_of(rows, seed)
    which, factors, left = chosen_points(sketch, tolerance, 250)
    matrix = sketch.matrix
    target = matrix.sum(axis=1)
    assert left == pytest.approx(
        np.linalg.norm(matrix[:, which] @ factors - target) / np.linalg.norm(target), rel=1e-6, abs=1e-14
    )
    assert (factors >= 0.0).all() and len(which) <= 250 and left <= tolerance
    found, expected = rows[:, which] @ factors, rows.sum(axis=1)
    assert np.linalg.norm(found - expected) <= 3.0 * tolerance * np.linalg.norm(expected)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 60), st.integers(1, 80), st.booleans(), st.sampled_from([0.0, 1e-15, 3e-4]))
def test_it_ends_even_where_the_tolerance_is_below_round_off(
    seed: int, points: int, count: int, cancelling: bool, tolerance: float
) -> None:
    random = np.random.default_rng(seed)
    rows = random.standard_normal((count, points))
    if cancelling:
        rows -= rows.mean(axis=1, keepdims=True)
    which, factors, _ = chosen_points(sketch_of(rows, seed, size=40), tolerance, 1000)
    assert len(np.unique(which)) == len(which) <= points and (factors >= 0.0).all()


@pytest.mark.parametrize("seed", [0, 12, 20, 32])
def test_it_ends_for_matrices_that_once_led_around_in_circles(seed: int) -> None:
    random = np.random.default_rng(seed)
    points, count = int(random.integers(2, 60)), int(random.integers(1, 80))
    rows = random.standard_normal((count, points))
    which, _, left = chosen_points(sketch_of(rows, seed, size=int(random.integers(5, 100))), 0.0, 1000)
    assert len(which) <= points and left <= 1e-10


def test_a_sketch_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    rows = smooth(40, 30, 1)
    first, again, other = (sketch_of(rows, seed, size=20).matrix for seed in (4, 4, 5))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.0


def test_a_sketch_keeps_lengths_on_average() -> None:
    """E |S y|^2 = |y|^2: every row goes to ``SPREAD`` places with weight 1 / sqrt(SPREAD)."""
    rows = np.random.default_rng(0).uniform(-1.0, 1.0, (900, 7))
    found = [np.sum(sketch_of(rows, seed, size=50).matrix.sum(axis=1) ** 2) for seed in range(200)]
    assert np.mean(found) == pytest.approx(np.sum(rows.sum(axis=1) ** 2), rel=0.1)


def test_blocks_of_any_size_are_taken() -> None:
    rows = np.random.default_rng(1).uniform(0.0, 1.0, (90, 8)) @ smooth(60, 8, 4)  # rank 8: half of what the sketch can hold
    sketch = Sketch(60, 3, size=16)
    for block in np.split(rows, [1, 2, 40, 41]):
        sketch.add(block)
    which, factors, left = chosen_points(sketch, 1e-8, 60)
    assert left <= 1e-8
    half = rows[:, which] @ factors
    assert np.linalg.norm(half - rows.sum(axis=1)) <= 1e-5 * np.linalg.norm(rows.sum(axis=1))
