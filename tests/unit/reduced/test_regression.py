"""Polynomials that a reduced model fits to few numbers."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discsim.sweep.reduced.regression import Polynomial, fitted, logarithmic

SAMPLES = 80


def inputs(count: int, seed: int = 0, samples: int = SAMPLES) -> np.ndarray:
    """Linear inputs between -1 and 3."""
    return np.random.default_rng(seed).uniform(-1.0, 3.0, (samples, count))


def polynomial(x: np.ndarray, degree: int, seed: int = 1) -> np.ndarray:
    """Two outputs of total degree ``degree``: powers of random linear forms."""
    random = np.random.default_rng(seed)
    forms = x @ random.uniform(-1.0, 1.0, (x.shape[1], 2)) + random.uniform(0.5, 1.0, 2)
    return forms**degree - 2.0 * forms + 1.0


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), st.integers(0, 3), st.integers(0, 1000))
def test_low_degrees_are_exact(count: int, degree: int, seed: int) -> None:
    x = inputs(count, seed)
    fit = fitted(x, polynomial(x, degree, seed))
    fresh = inputs(count, seed + 5000, 30)
    expected = polynomial(fresh, degree, seed)
    np.testing.assert_allclose(fit(fresh), expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max())
    assert fit.left_out < 1e-8 and not fit.log.any()
    assert fit.powers.sum(axis=1).max() <= 9


def test_logarithmic_inputs() -> None:
    x = np.column_stack([10.0 ** np.random.default_rng(0).uniform(-6.0, -2.0, SAMPLES), inputs(1, 7)[:, 0]])
    assert logarithmic(x).tolist() == [True, False]
    fit = fitted(x, (np.log(x[:, :1]) ** 2 * x[:, 1:]) + 4.0)
    fresh = np.array([[1e-5, 0.2], [3e-3, 2.5]])
    assert fit(fresh)[:, 0] == pytest.approx(np.log(fresh[:, 0]) ** 2 * fresh[:, 1] + 4.0, rel=1e-8)


def test_which_inputs_are_logarithmic() -> None:
    x = np.column_stack([[1.0, 4.9], [1.0, 5.1], [0.0, 1e6], [-1.0, 1e6], [2.0, 2.0]])
    assert logarithmic(x).tolist() == [False, True, False, False, False]


def test_a_constant_output() -> None:
    fit = fitted(inputs(2), np.full((SAMPLES, 3), [7.0, -2.0, 0.0]))
    np.testing.assert_allclose(fit(inputs(2, 9, 4)), np.tile([7.0, -2.0, 0.0], (4, 1)), rtol=1e-12, atol=1e-12)
    assert fit.left_out < 1e-9


def test_an_input_that_does_not_vary() -> None:
    x = inputs(2)
    x[:, 1] = 5.0
    fit = fitted(x, x[:, :1] ** 2)
    fresh = np.array([[0.3, 5.0], [2.9, 5.0]])
    assert fit(fresh)[:, 0] == pytest.approx(fresh[:, 0] ** 2, rel=1e-8)


@pytest.mark.parametrize("samples", [1, 4])
def test_no_inputs_at_all(samples: int) -> None:
    """A box in which nothing of the person varies: the mean."""
    y = np.tile([3.0, 5.0], (samples, 1))
    fit = fitted(np.zeros((samples, 0)), y)
    assert fit.powers.shape == (1, 0)
    found = fit(np.zeros((2, 0)))
    np.testing.assert_allclose(found, [[3.0, 5.0], [3.0, 5.0]])
    np.testing.assert_allclose(np.asarray(fit(jnp.zeros((2, 0)), jnp)), found)


def test_a_single_sample() -> None:
    fit = fitted(np.array([[2.0]]), np.array([[4.0, 5.0]]))
    np.testing.assert_allclose(fit(np.array([[2.0], [7.0]])), [[4.0, 5.0], [4.0, 5.0]])


def test_few_samples_keep_the_degree_low() -> None:
    """At least half of the different samples stay free, so that the error left out means something."""
    x = inputs(3, samples=12)
    fit = fitted(x, polynomial(x, 3))
    assert len(fit.powers) <= 6
    again = fitted(np.repeat(x, 10, axis=0), np.repeat(polynomial(x, 3), 10, axis=0))
    assert len(again.powers) <= 6  # the same sample many times is one


def test_noise_is_not_fitted() -> None:
    x = inputs(1)
    noise = np.random.default_rng(3).normal(size=(SAMPLES, 1))
    fit = fitted(x, x + 0.3 * noise)
    assert fit.powers.max() <= 3
    assert 0.2 * 0.3 < fit.left_out < 2.0 * 0.3


def test_the_error_left_out_is_that_of_fits_without_the_sample() -> None:
    x = inputs(1, samples=25)
    y = np.sin(3.0 * x)
    fit = fitted(x, y)
    errors = []
    for sample in range(len(x)):
        others = np.arange(len(x)) != sample
        basis = fit.basis(x)
        coefficients = np.linalg.lstsq(basis[others], y[others], rcond=None)[0]
        errors.append(basis[sample] @ coefficients - y[sample])
    spread = np.sqrt(((y - y.mean()) ** 2).mean())
    assert fit.left_out == pytest.approx(np.sqrt(np.mean(np.square(errors))) / spread, rel=1e-3)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_both_libraries_agree_with_derivatives(count: int) -> None:
    x = inputs(count)
    x[:, 0] = 10.0 ** x[:, 0]
    fit = fitted(x, np.log(x[:, :1]) ** 3 + x[:, -1:] ** 2)
    fresh = x[:5] * 1.0
    fresh[:, 0] *= 1.01
    np.testing.assert_allclose(np.asarray(fit(jnp.asarray(fresh), jnp)), fit(fresh), rtol=1e-11, atol=1e-11)
    slope = np.asarray(jax.jacfwd(lambda one: fit(one, jnp)[0])(jnp.asarray(fresh[0])))
    for column in range(count):
        step = 1e-5 * fresh[0, column] * np.eye(count)[column]
        difference = (fit(fresh[:1] + step) - fit(fresh[:1] - step))[0, 0] / (2.0 * step[column])
        assert slope[column] == pytest.approx(difference, rel=1e-5, abs=1e-8)


def test_a_polynomial_by_hand() -> None:
    """1 + 2 T1(x) T2(y) with x on 0..10 and y on 1..100, logarithmic."""
    own = Polynomial(
        np.array([0.0, 0.0]),
        np.array([10.0, np.log(100.0)]),
        np.array([False, True]),
        np.array([[0, 0], [1, 2]]),
        np.array([[1.0], [2.0]]),
        0.0,
    )
    for x, y in ((2.0, 30.0), (10.0, 1.0), (5.0, 10.0)):
        s, u = x / 5.0 - 1.0, 2.0 * np.log(y) / np.log(100.0) - 1.0
        assert own(np.array([x, y]))[0] == pytest.approx(1.0 + 2.0 * s * (2.0 * u * u - 1.0), abs=1e-12)
