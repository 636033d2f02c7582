"""The reduced model in time: many lanes at once, compiled once; parameters, doses, step lengths are data.

A step is that of ``LaneModel``: solutes with the cells eliminated, cells and matrix, signals at the shape before, equilibrium,
and the amounts of signals kept as the shape changes. Newton's method keeps its inverses over steps and makes them anew in
lanes that converge slowly; a lane that does not converge is marked, and its neighbours go on.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from discsim.sweep.kernels import counted
from discsim.sweep.reduced.forms import ReducedForms
from discsim.sweep.reduced.points import Tables

ITERATIONS = 40
GOAL_A, GOAL_B = 3e-5, 3e-4  # size of the last correction, over the usual size of the coefficients of solutes, displacement
LEAST_SHARE = 2.0**-8  # of a correction; less far down means that a lane is stuck
SLOW = 0.1  # a correction that shrinks by less asks for new slopes: they cost less than a whole batch that waits for a lane


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class ReducedState:
    """State of all lanes, leading axis lanes.

    ``older_*``, ``oldest_*``: coefficients one and two steps before, ``last`` (lanes, 2): lengths of those steps (s; 0: none);
    ``inverse_*``: kept inverses; ``good``: lanes without trouble; ``iterations``: Newton iterations, ``renewals``: new slopes.
    """

    pointwise: Any
    a: Any
    d: Any
    b: Any
    prestress: Any
    older_a: Any
    older_b: Any
    oldest_a: Any
    oldest_b: Any
    last: Any
    inverse_a: Any
    inverse_b: Any
    ledger: Any
    good: Any
    iterations: Any
    renewals: Any


def _masked(mask: Any, new: Any, old: Any) -> Any:
    return jnp.where(mask.reshape(-1, *([1] * (new.ndim - 1))), new, old)


def _weights(dt: Any, last: Any) -> Any:
    """Weights (3, lanes) of the last three states for a guess ``dt`` ahead, as ``extrapolate.extrapolation`` has them."""
    first = jnp.where(last[:, 0] > 0.0, last[:, 0], 1.0)
    second = jnp.where(last[:, 1] > 0.0, last[:, 1], 1.0)
    ahead = jnp.where(last[:, 0] > 0.0, jnp.minimum(dt, 2.0 * last[:, 0]), 0.0)
    x, y, z = ahead, ahead + first, ahead + first + second
    curved = (last[:, 1] > 0.0) & (last[:, 1] >= 0.25 * ahead)
    parabola = jnp.stack([y * z / (first * (first + second)), -x * z / (first * second), x * y / ((first + second) * second)])
    line = jnp.stack([1.0 + ahead / first, -ahead / first, jnp.zeros_like(dt)])
    return jnp.where(curved, parabola, line)


def _inverses(slope: Any, which: Any, given: Any, kept: Any) -> Any:
    """Inverses of the slopes of the lanes ``which``, the kept ones of the others: one lane after the other, so that lanes that
    need none cost none (some lane of 24 asks in two steps of three after a dose; one of them at a time)."""
    order = jnp.argsort(~which)

    def one(i: Any, inverses: Any) -> Any:
        own = jax.tree.map(lambda x: x[order[i]], given)
        return inverses.at[order[i]].set(jnp.linalg.inv(slope(*own)))

    return jax.lax.fori_loop(0, which.sum(), one, kept)


def _solved_apart(matrix: Any, y: Any, ends: Any) -> Any:
    """Solutions (lanes, n) where the unknowns between two ``ends`` stand in equations of their own."""
    parts = [slice(int(a), int(b)) for a, b in zip(ends[:-1], ends[1:], strict=True)]
    return jnp.concatenate([jnp.linalg.solve(matrix[:, p, p], y[:, p, None])[:, :, 0] for p in parts], axis=1)


def _lane_by_lane(linear: Any, y: Any) -> Any:
    """Solution of linear(x) = y (lanes, n), where no lane acts on another."""
    n = y.shape[1]
    columns = jax.vmap(lambda unit: linear(jnp.broadcast_to(unit, y.shape)))(jnp.eye(n))
    return jnp.linalg.solve(jnp.moveaxis(columns, 0, 2), y[:, :, None])[:, :, 0]


class ReducedModel:
    """Compiled functions of a reduced model. ``sizes``: usual sizes of the coefficients of displacement and solutes; ``smooth``:
    for derivatives (forward mode)."""

    def __init__(self, forms: ReducedForms, readouts: Any, sizes: tuple[float, float], *, smooth: bool = False) -> None:
        self.forms, self.readouts, self.smooth = forms, readouts, smooth
        self.size_b, self.size_a = sizes
        # under jit of their own the laws are traced once, and not for start, events, steps and their iterations anew
        self._forces, self._stiffness = jax.jit(forms.forces), jax.jit(forms.stiffness)
        self._balance, self._slope = jax.jit(forms.solute_balance), jax.jit(forms.solute_slope)
        self._shape, self._readouts = jax.jit(forms.shape), jax.jit(functools.partial(forms.readouts, readouts))
        self.start = jax.jit(counted("reduced start", self._start))
        self.run = jax.jit(counted("reduced steps", self._run))
        self.settle = jax.jit(counted("reduced event", self._settle))
        self.read = jax.jit(counted("reduced readouts", self._read))

    # ---- Newton

    def _newton(
        self, residual: Any, renewed: Any, x: Any, inverse: Any, active: Any, enough: float
    ) -> tuple[Any, Any, Any, Any, Any]:
        """Solutions of all lanes, the inverses, who converged, iterations and renewals.

        ``enough``: length of the last correction, as far as the pace of those before foretells it.
        ``renewed(which, x, inverse)``: the inverses with those of the lanes ``which`` made anew at ``x``.

        Where the model is ``smooth`` its derivative is that of the solution (implicit function theorem), not of the iterations.
        """
        if not self.smooth:
            x, rest = self._iterated(residual, renewed, x, inverse, active, enough)
        else:

            def solve(f: Any, start: Any) -> Any:
                return self._iterated(f, renewed, start, inverse, active, enough)

            x, rest = jax.lax.custom_root(residual, x, solve, _lane_by_lane, has_aux=True)
        return x, *rest

    def _iterated(self, residual: Any, renewed: Any, x: Any, inverse: Any, active: Any, enough: float) -> tuple[Any, Any]:
        """Chord Newton with backtracking for all lanes; see ``_newton``."""

        def onward(x: Any, r: Any, dx: Any, length: Any, pace: Any, inverse: Any, share: Any, fresh: Any, done: Any) -> Any:
            trial = jnp.where(done[:, None], x, x - share[:, None] * dx)
            tried = residual(trial)
            norm, least = jnp.linalg.norm(tried, axis=1), jnp.linalg.norm(r, axis=1)
            better = ~done & jnp.isfinite(norm) & (norm <= (1.0 - 1e-4 * share) * least)
            x, r = jnp.where(better[:, None], trial, x), jnp.where(better[:, None], tried, r)
            renew = ~done & ((better & (pace > SLOW)) | (~better & ~fresh))
            inverse = renewed(renew, x, inverse)
            # no way down with old slopes: new ones, in full; with new ones: half as far
            share = jnp.where(better | ~fresh, 1.0, 0.5 * share)
            fresh = renew | (fresh & ~better)
            return x, r, inverse, share, jnp.where(better & ~renew, length, jnp.inf), fresh, renew

        def body(carry: Any) -> Any:
            x, r, inverse, share, last, fresh, done, count, renewals = carry
            dx = jnp.einsum("lij,lj->li", inverse, r)
            length = jnp.sqrt((dx**2).sum(axis=1))
            pace = jnp.where(jnp.isfinite(last), length / jnp.maximum(last, 1e-300), 0.0)
            now = ~done & (length * jnp.clip(pace, 0.05, 1.0) < enough)
            x, done = jnp.where(now[:, None], x - dx, x), done | now
            arguments = (x, r, dx, length, pace, inverse, share, fresh, done)
            same = (x, r, inverse, share, last, fresh, jnp.zeros_like(done))
            x, r, inverse, share, last, fresh, renew = jax.lax.cond(done.all(), lambda: same, lambda: onward(*arguments))
            return x, r, inverse, share, last, fresh, done, count + 1, renewals + renew.sum()

        def going(carry: Any) -> Any:
            return (~(carry[6] | (carry[3] < LEAST_SHARE))).any() & (carry[7] < ITERATIONS)

        lanes = x.shape[0]
        begin = (x, residual(x), inverse, jnp.ones(lanes), jnp.full(lanes, jnp.inf), jnp.zeros(lanes, dtype=bool), ~active, 0, 0)
        x, _, inverse, _, _, _, done, count, renewals = jax.lax.while_loop(going, body, begin)
        return x, (inverse, done & jnp.isfinite(x).all(axis=1), count, renewals)

    def _equilibrium(self, t: Tables, rows: Any, state: ReducedState, guess: Any, active: Any) -> tuple[Any, ...]:
        gag = state.pointwise[:, self.forms.full.gag]

        def residual(b: Any) -> Any:
            return jax.vmap(functools.partial(self._forces, t))(rows, gag, state.prestress, b)

        renewed = functools.partial(self._stiffness_inverses, t, rows, state)
        return self._newton(residual, renewed, guess, state.inverse_b, active, GOAL_B * self.size_b)

    def _nutrients(
        self, t: Tables, rows: Any, state: ReducedState, shape: Any, dt: Any, guess: Any, active: Any
    ) -> tuple[Any, ...]:

        def residual(a: Any) -> Any:
            return jax.vmap(functools.partial(self._balance, t))(rows, shape, state.pointwise, state.d, a, dt)

        renewed = functools.partial(self._solute_inverses, t, rows, state, shape, dt)
        return self._newton(residual, renewed, guess, state.inverse_a, active, GOAL_A * self.size_a)

    # ---- start and events

    def _start(self, t: Tables, rows: Any, prestress: Any, a: Any) -> ReducedState:
        """Composition of the disc, prestress and guesses of every lane; ``settle`` makes it a state at rest."""
        lanes = rows.shape[0]
        pairs, forms = t["pairs"], self.forms
        nowhere = jnp.zeros((pairs["regions"].shape[0], 1))
        pointwise = jax.vmap(lambda row: forms.full.start(pairs, nowhere, row)[0])(rows)
        b = jnp.zeros((lanes, t["plate"].shape[0]))
        d = jnp.zeros((lanes, int(forms.signal_ends[-1])))
        state = ReducedState(
            pointwise, a, d, b, prestress, a, b, a, b, jnp.zeros((lanes, 2)), jnp.zeros((lanes, a.shape[1], a.shape[1])),
            jnp.zeros((lanes, b.shape[1], b.shape[1])), jnp.zeros((lanes, len(forms.model.cells), 4)),
            jnp.ones(lanes, dtype=bool), jnp.zeros(2, dtype=int), jnp.zeros(2, dtype=int),
        )  # fmt: skip
        everyone, shape = jnp.ones(lanes, dtype=bool), jax.vmap(functools.partial(self._shape, t))(b)
        inverse_b = self._stiffness_inverses(t, rows, state, everyone, b, state.inverse_b)
        inverse_a = self._solute_inverses(t, rows, state, shape, jnp.zeros(lanes), everyone, a, state.inverse_a)
        return dataclasses.replace(state, inverse_a=inverse_a, inverse_b=inverse_b)

    def _stiffness_inverses(self, t: Tables, rows: Any, state: ReducedState, which: Any, b: Any, kept: Any) -> Any:
        gag = state.pointwise[:, self.forms.full.gag]
        return _inverses(functools.partial(self._stiffness, t), which, (rows, gag, state.prestress, b), kept)

    def _solute_inverses(
        self, t: Tables, rows: Any, state: ReducedState, shape: Any, dt: Any, which: Any, a: Any, kept: Any
    ) -> Any:
        given = (rows, shape, state.pointwise, state.d, a, dt)
        return _inverses(functools.partial(self._slope, t), which, given, kept)

    def _settle(self, t: Tables, rows: Any, state: ReducedState, happened: Any) -> ReducedState:
        """Equilibrium and solutes at rest in the lanes of ``happened``; no time passes, and no line leads across."""
        before = jax.vmap(functools.partial(self._shape, t))(state.b)
        b, inverse_b, fine, n_b, r_b = self._equilibrium(t, rows, state, state.b, happened)
        b = _masked(happened, b, state.b)
        shape = jax.vmap(functools.partial(self._shape, t))(b)
        d = self._kept_amounts(t, rows, before, shape, state.d)
        moved = dataclasses.replace(state, b=b, d=_masked(happened, d, state.d), inverse_b=inverse_b)
        a, inverse_a, well, n_a, r_a = self._nutrients(t, rows, moved, shape, jnp.zeros(rows.shape[0]), state.a, happened)
        a = _masked(happened, a, state.a)
        return dataclasses.replace(
            moved,
            a=a,
            inverse_a=inverse_a,
            good=state.good & ((fine & well) | ~happened),
            last=jnp.where(happened[:, None], 0.0, state.last),
            iterations=state.iterations + jnp.array([n_b, n_a]),
            renewals=state.renewals + jnp.array([r_b, r_a]),
        )

    def _kept_amounts(self, t: Tables, rows: Any, before: Any, after: Any, d: Any) -> Any:
        """Coefficients of signals after a change of shape that keeps the amount at every point."""
        if self.forms.full.signals is None:
            return d
        left = jax.vmap(functools.partial(self.forms.amounts, t))(rows, before, d)
        if self.forms.full.signals.levels:
            left = left - jax.vmap(functools.partial(self.forms.amounts, t))(rows, after, jnp.zeros_like(d))

        def solved() -> Any:
            moments = jax.vmap(functools.partial(self.forms.moments, t))(after)
            return _solved_apart(moments, left, self.forms.signal_ends)

        return self._where_any(left, solved)

    def _where_any(self, right_side: Any, solved: Any) -> Any:
        """``solved()``, or nothing where nothing is asked: lanes without a signal (whole arms have none) pay for no solve.
        Derivatives need it all the same: what is zero may be about to change."""
        if self.smooth:
            return solved()
        return jax.lax.cond((right_side != 0.0).any(), solved, lambda: jnp.zeros_like(right_side))

    # ---- steps

    def _run(self, t: Tables, rows: Any, state: ReducedState, lengths: Any, count: Any) -> tuple[ReducedState, Any, Any]:
        """``count`` steps of ``lengths`` (steps, lanes) s; a lane whose length is 0 stands still.

        With readouts (steps, lanes, readouts) and ledger (steps, lanes, cell fields, 4) after every step.
        """
        steps = lengths.shape[0]
        readouts = jnp.zeros((steps, rows.shape[0], len(self.readouts)))
        ledgers = jnp.zeros((steps, *state.ledger.shape))

        def one(i: Any, carry: Any) -> Any:
            state, shape, readouts, ledgers = carry
            state, shape = self._step(t, rows, state, shape, lengths[i])
            return state, shape, readouts.at[i].set(self._read(t, rows, state)), ledgers.at[i].set(state.ledger)

        begin = (state, jax.vmap(functools.partial(self._shape, t))(state.b), readouts, ledgers)
        state, _, readouts, ledgers = jax.lax.fori_loop(0, count, one, begin)
        return state, readouts, ledgers

    def _step(self, t: Tables, rows: Any, state: ReducedState, before: Any, dt: Any) -> tuple[ReducedState, Any]:
        """The state after ``dt``, and its shape; ``before``: the shape of ``state``."""
        forms = self.forms
        active = (dt > 0.0) & state.good
        weights = _weights(dt, state.last)[:, :, None]
        guess = weights[0] * state.a + weights[1] * state.older_a + weights[2] * state.oldest_a
        a, inverse_a, well, n_a, r_a = self._nutrients(t, rows, state, before, dt, guess, active)
        a = _masked(active, a, state.a)
        # one lane after the other: what depends on parameters alone is then worked out once a lane, not at every pair (2.6 times)
        pointwise, ledger = jax.lax.map(lambda lane: forms.advance(t, *lane), (rows, before, state.pointwise, state.d, a, dt))
        pointwise = _masked(active, pointwise, state.pointwise)
        new = dataclasses.replace(state, a=a, pointwise=pointwise, inverse_a=inverse_a)
        d = self._signals(t, rows, new, before, dt, active)
        guess = weights[0] * state.b + weights[1] * state.older_b + weights[2] * state.oldest_b
        b, inverse_b, fine, n_b, r_b = self._equilibrium(t, rows, new, guess, active)
        b = _masked(active, b, state.b)
        after = jax.vmap(functools.partial(self._shape, t))(b)
        d = _masked(active, self._kept_amounts(t, rows, before, after, d), state.d)
        new = dataclasses.replace(
            new,
            b=b,
            d=d,
            inverse_b=inverse_b,
            older_a=_masked(active, state.a, state.older_a),
            older_b=_masked(active, state.b, state.older_b),
            oldest_a=_masked(active, state.older_a, state.oldest_a),
            oldest_b=_masked(active, state.older_b, state.oldest_b),
            last=_masked(active, jnp.stack([dt, state.last[:, 0]], axis=1), state.last),
            ledger=state.ledger + jnp.where(active[:, None, None], ledger, 0.0),
            good=state.good & ((fine & well) | ~active),
            iterations=state.iterations + jnp.array([n_b, n_a]),
            renewals=state.renewals + jnp.array([r_b, r_a]),
        )
        return new, after

    def _signals(self, t: Tables, rows: Any, state: ReducedState, shape: Any, dt: Any, active: Any) -> Any:
        """Signals after ``dt``: linear, one solve."""
        forms = self.forms
        if forms.full.signals is None:
            return state.d
        inverse = 1.0 / jnp.where(dt > 0.0, dt, 1.0)
        old = jax.vmap(lambda row, d: forms.signals_at(t, row, d, "pairs"))(rows, state.d)
        balance = jax.vmap(functools.partial(forms.signal_balance, t))(
            rows, shape, state.pointwise, state.a, state.d, old, inverse
        )
        apart = forms.full.signals.coupled.sum() == len(forms.full.signals.names)  # no signal's balance reads another
        ends = forms.signal_ends if apart else forms.signal_ends[[0, -1]]

        def solved() -> Any:
            slope = jax.vmap(functools.partial(forms.signal_slope, t))(rows, shape, state.pointwise, state.a, state.d, inverse)
            return _solved_apart(slope, balance, ends)

        return _masked(active, state.d - self._where_any(balance, solved), state.d)

    def _read(self, t: Tables, rows: Any, state: ReducedState) -> Any:
        """Readouts (lanes, readouts)."""
        return jax.vmap(functools.partial(self._readouts, t))(rows, state.pointwise, state.a, state.d, state.b)
