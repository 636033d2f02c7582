"""Exact step of production against first-order loss, dC/dt = P - k C with P and k constant in a step."""

import jax
import jax.numpy as jnp

from discsim.laws.guards import Scalar

# Below this |x| the series is used. The closed forms lose digits as 1/x^2 (slopes as 1/x^3 for the second function):
# at 1e-4 a slope would be good to 1e-8 only, at 0.05 to 1e-12, where eight terms of the series leave 2e-14.
_SERIES_BELOW = 0.05
_MEAN_SERIES = (1.0, -1 / 2, 1 / 6, -1 / 24, 1 / 120, -1 / 720, 1 / 5040, -1 / 40320)
_SECOND_SERIES = (1 / 2, -1 / 6, 1 / 24, -1 / 120, 1 / 720, -1 / 5040, 1 / 40320, -1 / 362880)


def _polynomial(x: Scalar, coefficients: tuple[float, ...]) -> Scalar:
    total: Scalar = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):  # a fixed number of terms: unrolled when traced
        total = coefficient + x * total
    return total


def relaxation_mean(x: Scalar) -> jax.Array:
    """Mean of an exponential decay over a step.

    phi_1(x) = (1 - exp(-x)) / x = mean of exp(-x s) over 0 < s < 1; phi_1(0) = 1.

    Symbols: `x` = loss rate times step (-). Returns -. Source: calculus. Validity: x > -700; value and slope to 1e-12.
    """
    small = jnp.abs(x) < _SERIES_BELOW
    near = jnp.where(small, x, 0.0)
    far = jnp.where(small, 1.0, x)
    return jnp.where(small, _polynomial(near, _MEAN_SERIES), (1.0 - jnp.exp(-far)) / far)


def relaxation_second_mean(x: Scalar) -> jax.Array:
    """Mean, over a step, of what a constant production builds up.

    phi_2(x) = (1 - phi_1(x)) / x; phi_2(0) = 1/2.

    Symbols: `x` = loss rate times step (-). Returns -. Source: calculus. Validity: x > -700; value and slope to 1e-11.
    """
    small = jnp.abs(x) < _SERIES_BELOW
    near = jnp.where(small, x, 0.0)
    far = jnp.where(small, 1.0, x)
    return jnp.where(small, _polynomial(near, _SECOND_SERIES), (1.0 - (1.0 - jnp.exp(-far)) / far) / far)


def exponential_step(value: Scalar, production: Scalar, loss: Scalar, dt: Scalar) -> jax.Array:
    """Amount at the end of a step under constant production and first-order loss.

    C(dt) = C exp(-k dt) + P dt phi_1(k dt).

    Symbols: `value` C; `production` P, unit of C per unit of time; `loss` k >= 0, per unit of time; `dt` step >= 0.
    Returns the unit of C. Exact and positive for any step; two half steps equal one. Source: calculus.
    Validity: k and P constant over the step.
    """
    x = loss * dt
    return value * jnp.exp(-x) + production * dt * relaxation_mean(x)


def exponential_mean(value: Scalar, production: Scalar, loss: Scalar, dt: Scalar) -> jax.Array:
    """Time mean of the amount over the same step.

    mean = C phi_1(k dt) + P dt phi_2(k dt).

    Symbols, source and validity as `exponential_step`. dt times loss times this mean is the amount lost in the step.
    """
    x = loss * dt
    return value * relaxation_mean(x) + production * dt * relaxation_second_mean(x)
