"""Properties of the exact step of production against first-order loss."""

import math
from collections.abc import Callable

import jax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from discsim.laws.relaxation import exponential_mean, exponential_step, relaxation_mean, relaxation_second_mean

QUICK = settings(deadline=None, max_examples=100)


def from_zero(highest: float) -> st.SearchStrategy[float]:
    """Zero, and amounts that do not underflow: JAX flushes subnormal numbers to zero."""
    return st.just(0.0) | st.floats(1e-12, highest)


AMOUNT, LOSS, STEP = from_zero(1e3), from_zero(50.0), from_zero(40.0)
# Both sides of every change between series and closed form.
ARGUMENT = st.one_of(st.floats(-0.2, 0.2), st.floats(-5.0, 50.0), st.sampled_from([0.0, 0.05, -0.05, 1e-300]))


def series(x: float, order: int) -> float:
    """Sum of (-x)^n / (n + order)!, the function to full precision for small x."""
    return math.fsum((-x) ** n / math.factorial(n + order) for n in range(30))


def series_slope(x: float, order: int) -> float:
    return math.fsum(-n * (-x) ** (n - 1) / math.factorial(n + order) for n in range(1, 30))


@pytest.mark.parametrize(("law", "order"), [(relaxation_mean, 1), (relaxation_second_mean, 2)])
@QUICK
@given(x=st.floats(-1.0, 1.0) | st.sampled_from([0.0, 1e-4, 0.05, math.nextafter(0.05, 0.0), -0.05]))
def test_value_and_slope_are_exact_across_the_change_of_form(law: Callable[..., jax.Array], order: int, x: float) -> None:
    assert float(law(x)) == pytest.approx(series(x, order), rel=1e-12)
    assert float(jax.grad(law)(x)) == pytest.approx(series_slope(x, order), rel=1e-10)


@QUICK
@given(x=ARGUMENT)
def test_means_are_integrals_of_the_decay(x: float) -> None:
    mean, _ = quad(lambda s: math.exp(-x * s), 0.0, 1.0, epsabs=1e-13, epsrel=1e-13)
    second, _ = quad(lambda s: s * float(relaxation_mean(x * s)), 0.0, 1.0, epsabs=1e-12, epsrel=1e-12)
    assert float(relaxation_mean(x)) == pytest.approx(mean, rel=1e-10)
    assert float(relaxation_second_mean(x)) == pytest.approx(second, rel=1e-9)


@QUICK
@given(value=AMOUNT, production=AMOUNT, loss=LOSS, first=STEP, second=STEP)
def test_steps_compose_and_stay_positive(value: float, production: float, loss: float, first: float, second: float) -> None:
    half_way = exponential_step(value, production, loss, first)
    whole = exponential_step(value, production, loss, first + second)
    assert float(half_way) >= 0.0
    assert float(exponential_step(half_way, production, loss, second)) == pytest.approx(float(whole), rel=1e-10)
    mean = first * exponential_mean(value, production, loss, first)
    mean += second * exponential_mean(half_way, production, loss, second)
    whole_mean = exponential_mean(value, production, loss, first + second)
    assert float(mean) == pytest.approx(float((first + second) * whole_mean), rel=1e-9)
    assert float(whole_mean) >= 0.0


@QUICK
@given(value=AMOUNT, production=AMOUNT, loss=LOSS, dt=STEP)
def test_balance_of_the_step_closes(value: float, production: float, loss: float, dt: float) -> None:
    """Change = production minus what is lost from the mean amount."""
    change = float(exponential_step(value, production, loss, dt)) - value
    lost = float(dt * loss * exponential_mean(value, production, loss, dt))
    assert change == pytest.approx(production * dt - lost, rel=1e-9, abs=1e-11 * (value + production * dt))


@QUICK
@given(value=AMOUNT, production=AMOUNT, dt=STEP)
def test_limits_of_no_loss_and_of_a_long_step(value: float, production: float, dt: float) -> None:
    assert float(exponential_step(value, production, 0.0, dt)) == pytest.approx(value + production * dt, rel=1e-14)
    assert float(exponential_mean(value, production, 0.0, dt)) == pytest.approx(value + production * dt / 2, rel=1e-14)
    nearly = float(exponential_step(value, production, 1e-12, dt))
    assert nearly == pytest.approx(value + production * dt, rel=1e-10)
    assert float(exponential_step(value, production, 0.5, 1e4)) == pytest.approx(2.0 * production, rel=1e-13, abs=1e-300)
    slope = jax.grad(exponential_step, argnums=2)(value, production, 0.0, dt)
    assert float(slope) == pytest.approx(-value * dt - production * dt**2 / 2.0, rel=1e-12)


@QUICK
@given(value=AMOUNT, production=AMOUNT, loss=st.floats(0.01, 50.0), dt=STEP)
def test_homeostasis_stands_still(value: float, production: float, loss: float, dt: float) -> None:
    steady = production / loss
    assert float(exponential_step(steady, production, loss, dt)) == pytest.approx(steady, rel=1e-12)
    assert float(exponential_mean(steady, production, loss, dt)) == pytest.approx(steady, rel=1e-12)
    after = float(exponential_step(value, production, loss, dt))
    assert abs(after - steady) <= abs(value - steady) * (1.0 + 1e-12) + 1e-11 * (value + steady)
