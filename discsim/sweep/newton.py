"""Chord Newton for many lanes at once: every lane keeps its own factor, its own line search and its own outcome.

A factor is kept, over iterations, steps and solves, until it would take more than ``patience`` iterations at its present pace;
then it is made anew from the present state of that lane alone. What the last iterations taught about the true slope (pairs of
a change of the state and of the residual) corrects the old factor, across steps too: a disc moves along few directions. A step is
taken only where the state stays admissible and the residual falls. What one lane does changes no number of another.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from discsim.sweep.linsolve import LinearSolver

Residual = Callable[[Any], tuple[Any, Any]]  # x (lanes, n) -> residual (lanes, n), admissible margin (lanes,)
Tangent = Callable[[Any], Any]  # x (lanes, n) -> element entries (lanes, entries)

HALVINGS = 12
DECREASE = 1e-4
INDEPENDENT = 1e-8  # least eigenvalue of the pairs' Gram matrix, in parts of the largest, that counts as a direction of its own


@dataclasses.dataclass
class Outcome:
    """Per lane: converged, and the norm of the residual at the end."""

    converged: np.ndarray
    norm: np.ndarray


class Secants:
    """The last ``memory`` pairs (change of x, change of F) of every lane, each scaled to a change of F of size one.

    The part of a residual that lies in the changes of F known so far is removed by the matching change of x, and only the rest
    is left to the old factor (the multisecant method that is also known as Anderson's mixing, with a factor in place of damping).
    """

    def __init__(self, memory: int, lanes: int, size: int) -> None:
        self._x, self._f = (np.zeros((lanes, memory, size)) for _ in range(2))
        self._next = np.zeros(lanes, dtype=np.int64)

    def forget(self, which: np.ndarray) -> None:
        """Drop the pairs of some lanes."""
        self._x[which] = self._f[which] = 0.0
        self._next[which] = 0

    def split(self, residual: Any) -> tuple[np.ndarray, np.ndarray]:
        """The correction of x that the pairs know, and the residual that they do not explain; (lanes, n) each."""
        found, rest = np.zeros_like(residual), np.array(residual)
        for lane in np.flatnonzero(self._next):
            known = self._f[lane, : self._next[lane]]
            values, vectors = np.linalg.eigh(known @ known.T)
            own = values > INDEPENDENT * values[-1]
            share = vectors[:, own] @ ((vectors[:, own].T @ (known @ rest[lane])) / values[own])
            found[lane] = share @ self._x[lane, : self._next[lane]]
            rest[lane] -= share @ known
        return found, rest

    def learn(self, which: np.ndarray, dx: Any, df: Any) -> None:
        """One more pair of the lanes ``which``; the oldest goes."""
        for lane in np.flatnonzero(which):
            size = float(np.linalg.norm(df[lane]))
            if not (np.isfinite(size) and size > 0.0):
                continue
            if self._next[lane] == self._x.shape[1]:
                self._x[lane], self._f[lane] = np.roll(self._x[lane], -1, axis=0), np.roll(self._f[lane], -1, axis=0)
                self._next[lane] -= 1
            self._x[lane, self._next[lane]], self._f[lane, self._next[lane]] = dx[lane] / size, df[lane] / size
            self._next[lane] += 1


class ChordNewton:
    """Solves F(x) = 0 for every active lane.

    ``memory``: pairs of changes that are kept (0: the old factor alone).
    Pairs pay where factors and residuals are dear (mechanics: 1.9 times fewer iterations in ten years). They leave the residual
    anywhere below its goal, where the old factor alone ends far below it and in no soft direction: minima of nutrients, which
    follow soft directions, were less smooth with them at the same goal.
    """

    def __init__(
        self,
        solver: LinearSolver,
        lanes: int,
        *,
        absolute: float,
        relative: float,
        memory: int = 0,
        patience: int = 5,
        most: int = 40,
    ) -> None:
        self.solver, self.lanes, self.memory = solver, lanes, memory
        self.rough = False  # kept factors of some five digits will do
        self._secants: Secants | None = None
        self.absolute, self.relative, self.patience, self.most = absolute, relative, patience, most
        self.fresh_needed = np.ones(lanes, dtype=bool)
        self.iterations = np.zeros(lanes, dtype=np.int64)
        self.factorisations = np.zeros(lanes, dtype=np.int64)
        self._made = np.zeros(lanes, dtype=bool)

    def forget(self, which: np.ndarray | None = None) -> None:
        """Drop the factors of some lanes (all where none is named)."""
        which = np.ones(self.lanes, dtype=bool) if which is None else which
        self.fresh_needed[which] = True
        if self._secants is not None:
            self._secants.forget(which)

    def solve(
        self, x: Any, active: np.ndarray, residual: Residual, tangent: Tangent, decrease: float = 0.0
    ) -> tuple[Any, Outcome]:
        """Solutions from the start values ``x`` (lanes, n); lanes that do not converge, and idle ones, keep their start.

        ``decrease``: share of the first residual that is good enough, for states that are only on the way to another.
        """
        had_factor = ~self.fresh_needed
        found, outcome = self._attempt(x, active, residual, tangent, decrease)
        again = active & ~outcome.converged & had_factor
        if again.any():  # an old factor may be to blame: once more with a fresh one
            self.fresh_needed |= again
            retried, second = self._attempt(x, again, residual, tangent, decrease)
            found = self._pick(again, retried, found)
            outcome = Outcome(np.where(again, second.converged, outcome.converged), np.where(again, second.norm, outcome.norm))
        self.fresh_needed |= active & ~outcome.converged
        return self._pick(active & outcome.converged, found, x), outcome

    def _attempt(self, x: Any, active: np.ndarray, residual: Residual, tangent: Tangent, decrease: float) -> tuple[Any, Outcome]:
        r, norm, admissible = self._evaluate(residual, x)
        failed = active & ~(np.isfinite(norm) & admissible)
        goal = np.maximum(self.absolute, max(self.relative, decrease) * norm)
        last = np.full(self.lanes, np.inf)
        for _ in range(self.most):
            todo = active & ~failed & ~(norm <= goal)
            if not todo.any():
                break
            self._refresh(todo & (self.fresh_needed | self._slow(norm, last, goal)), x, tangent)
            dx = self._direction(r, todo)
            last, x_before, r_before = norm, x, r
            x, r, norm, stuck = self._search(x, r, norm, dx, todo, residual)
            if self._secants is not None:
                self._secants.learn(todo & ~stuck, np.asarray(x) - np.asarray(x_before), np.asarray(r) - np.asarray(r_before))
            self.iterations += todo
            failed |= stuck & self._made
            self.fresh_needed |= stuck & ~self._made  # no way down with an old factor: a fresh one before giving up
        converged = active & ~failed & (norm <= goal)
        return x, Outcome(converged, np.where(active, norm, 0.0))

    def _direction(self, r: Any, todo: np.ndarray) -> Any:
        """The step that the old factor and the pairs suggest."""
        if not self.memory:
            return self.solver.solve(r, todo)
        r = np.asarray(r)
        if self._secants is None:
            self._secants = Secants(self.memory, self.lanes, r.shape[1])
        known, rest = self._secants.split(r)
        return known + self.solver.solve(rest, todo)

    def _slow(self, norm: np.ndarray, last: np.ndarray, goal: np.ndarray) -> np.ndarray:
        """Whether the old factor would take more iterations to the goal, at its present pace, than a fresh one is worth."""
        with np.errstate(all="ignore"):
            pace = np.log(last / norm)
            return np.isfinite(last) & ~(self.patience * pace >= np.log(norm / goal))

    def _refresh(self, which: np.ndarray, x: Any, tangent: Tangent) -> None:
        self._made = which
        if which.any():
            self.solver.factor(tangent(x), which, self.rough)
            self.factorisations += which
            self.fresh_needed = self.fresh_needed & ~which
            if self._secants is not None:
                self._secants.forget(which)

    def _search(
        self, x: Any, r: Any, norm: np.ndarray, dx: Any, todo: np.ndarray, residual: Residual
    ) -> tuple[Any, Any, np.ndarray, np.ndarray]:
        """Backtracking along ``dx``; lanes that found no decrease stay where they are and are returned as stuck."""
        xp = self.solver.xp
        size, pending, stuck = np.ones(self.lanes), todo.copy(), todo.copy()
        start = norm
        for _ in range(HALVINGS):
            # a lane without a factor has dx = NaN: its trial has no finite norm and it is stuck, its neighbours are not touched
            trial = x - xp.where(xp.asarray(pending)[:, None], xp.asarray(size)[:, None] * dx, 0.0)
            r_trial, n_trial, admissible = self._evaluate(residual, trial)
            good = pending & np.isfinite(n_trial) & admissible & (n_trial <= (1.0 - DECREASE * size) * start)
            x, r, norm = self._pick(good, trial, x), self._pick(good, r_trial, r), np.where(good, n_trial, norm)
            stuck &= ~good
            pending &= ~good & self._made  # an old factor that does not lead down is not worth a search
            if not pending.any():
                break
            size = np.where(pending, 0.5 * size, size)
        return x, r, norm, stuck

    def _pick(self, mask: np.ndarray, new: Any, old: Any) -> Any:
        if mask.all():
            return new
        return self.solver.xp.where(self.solver.xp.asarray(mask)[:, None], new, old)

    @staticmethod
    def _evaluate(residual: Residual, x: Any) -> tuple[Any, np.ndarray, np.ndarray]:
        r, margin = residual(x)
        with np.errstate(over="ignore"):  # a wild trial state has no finite norm and is refused
            norm = np.linalg.norm(np.asarray(r), axis=1)
        return r, np.asarray(norm), np.asarray(margin) > 0.0
