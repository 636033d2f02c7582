"""Clipping that keeps the derivative on the admissible side of the clip."""

import jax
import jax.numpy as jnp

Scalar = jax.Array | float
"""A value at one point; arrays broadcast."""


def non_negative(x: Scalar) -> jax.Array:
    """Part of `x` above zero.

    max(x, 0), with the slope at x = 0 taken from above (1). `jnp.maximum` gives 1/2 there, which halves the slope of a
    rate at exactly zero concentration, and UFL gives another value again. NaN is passed on, never turned into zero.
    """
    return jnp.where(x < 0.0, 0.0, x)


def at_most(x: Scalar, limit: float) -> jax.Array:
    """The smaller of `x` and `limit`; at the limit the slope is that of `x`. NaN is passed on."""
    return jnp.where(x > limit, limit, x)
