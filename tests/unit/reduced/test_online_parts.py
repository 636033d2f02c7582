"""Inverses of the lanes that ask for one, and solutions block by block."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from discsim.sweep.reduced.online import _inverses, _solved_apart


def test_only_lanes_that_ask_get_a_new_inverse() -> None:
    matrices = np.random.default_rng(1).normal(size=(3, 4, 4)) + 4.0 * np.eye(4)
    kept = jnp.asarray(np.random.default_rng(2).normal(size=(3, 4, 4)))
    found = np.asarray(_inverses(lambda m: m, jnp.array([True, False, True]), (jnp.asarray(matrices),), kept))
    np.testing.assert_allclose(found[[0, 2]] @ matrices[[0, 2]], np.broadcast_to(np.eye(4), (2, 4, 4)), atol=1e-12)
    np.testing.assert_array_equal(found[1], kept[1])


def test_blocks_are_solved_as_the_whole_is() -> None:
    rng = np.random.default_rng(3)
    matrix = np.zeros((2, 5, 5))
    matrix[:, :2, :2] = rng.normal(size=(2, 2, 2)) + 4.0 * np.eye(2)
    matrix[:, 2:, 2:] = rng.normal(size=(2, 3, 3)) + 4.0 * np.eye(3)
    y = rng.normal(size=(2, 5))
    whole = np.linalg.solve(matrix, y[:, :, None])[:, :, 0]
    for ends in (np.array([0, 2, 5]), np.array([0, 5])):
        np.testing.assert_allclose(_solved_apart(jnp.asarray(matrix), jnp.asarray(y), ends), whole, rtol=1e-12)
