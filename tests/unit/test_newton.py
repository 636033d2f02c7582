"""Chord Newton with remembered pairs: fewer iterations, the same solution, no lane disturbed by another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from discsim.sweep.linsolve import Pattern, SparseDirect
from discsim.sweep.newton import ChordNewton, Secants

SIZE = 40


def solver(lanes: int, memory: int) -> ChordNewton:
    """For tridiagonal problems."""
    rows = np.repeat(np.arange(SIZE), SIZE).reshape(1, -1)
    columns = np.tile(np.arange(SIZE), SIZE).reshape(1, -1)
    pattern = Pattern(rows, columns, SIZE)
    return ChordNewton(SparseDirect(pattern, lanes), lanes, absolute=1e-11, relative=0.0, memory=memory, patience=40)


class Springs:
    """A chain of stiffening springs, one chain a lane; ``forces`` (lanes, SIZE) move on from solve to solve."""

    def __init__(self, lanes: int) -> None:
        self.forces = np.outer(np.linspace(1.0, 2.0, lanes), np.sin(np.linspace(0.0, 3.0, SIZE)))
        self.stiffness = 2.0 * np.eye(SIZE) - np.eye(SIZE, k=1) - np.eye(SIZE, k=-1)

    def residual(self, x: Any) -> tuple[np.ndarray, np.ndarray]:
        return x @ self.stiffness + 0.002 * x**3 - self.forces, np.ones(len(x))

    def tangent(self, x: Any) -> np.ndarray:
        return np.stack([(self.stiffness + np.diag(0.006 * row**2)).ravel() for row in x])


def march(memory: int, lanes: int = 1, upset: int | None = None) -> tuple[list[np.ndarray], ChordNewton]:
    """Solutions of six solves with growing forces; lane ``upset`` cannot be solved from the third on."""
    springs, newton = Springs(lanes), solver(lanes, memory)
    x, found = np.zeros((lanes, SIZE)), []
    for step in range(6):
        springs.forces = springs.forces * 1.03
        if upset is not None and step == 2:
            springs.forces[upset] = np.nan
        x, outcome = newton.solve(x, np.ones(lanes, dtype=bool), springs.residual, springs.tangent)
        expected = np.ones(lanes, dtype=bool)
        if upset is not None and step >= 2:
            expected[upset] = False
        assert (outcome.converged == expected).all()
        found.append(x)
    return found, newton


def test_pairs_save_iterations_and_change_no_solution() -> None:
    plain, without = march(0)
    paired, pairs = march(6)
    assert pairs.factorisations[0] <= without.factorisations[0]
    assert pairs.iterations[0] < 0.7 * without.iterations[0]
    for one, other in zip(plain, paired, strict=True):
        assert one == pytest.approx(other, rel=1e-9)


@pytest.mark.parametrize("upset", [None, 1])
def test_lanes_do_not_disturb_one_another(upset: int | None) -> None:
    alone, _ = march(6)
    together, _ = march(6, lanes=3, upset=upset)
    for one, other in zip(alone, together, strict=True):
        assert other[0] == pytest.approx(one[0], rel=1e-13)


def test_pairs_of_a_linear_problem_explain_what_lies_in_them() -> None:
    random = np.random.default_rng(5)
    matrix, pairs = random.standard_normal((SIZE, SIZE)), Secants(3, 1, SIZE)
    changes = random.standard_normal((5, 1, SIZE))
    for change in changes:
        pairs.learn(np.array([True]), change, change @ matrix.T)
    wanted = (0.3 * changes[2] - 2.0 * changes[4]) @ matrix.T  # two of the last three
    known, rest = pairs.split(wanted)
    assert known == pytest.approx(0.3 * changes[2] - 2.0 * changes[4], rel=1e-9)
    assert np.linalg.norm(rest) < 1e-12 * np.linalg.norm(wanted)
    _, rest = pairs.split(changes[0] @ matrix.T)  # the oldest are gone
    assert np.linalg.norm(rest) > 0.1 * np.linalg.norm(changes[0] @ matrix.T)
    pairs.forget(np.array([True]))
    known, rest = pairs.split(wanted)
    assert not known.any() and (rest == wanted).all()
    pairs.learn(np.array([True]), changes[0], np.full((1, SIZE), np.nan))
    assert not pairs.split(wanted)[0].any(), "a change that is no number teaches nothing"
