"""Many discs at once: the state of all lanes, and the four parts of a step (solutes with cells, matrix, signals, shape).

A lane is one sample of one arm. All lanes are worked on together and none affects another: each has its own factors, its own
line search, and its own trouble.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import jax.numpy as jnp
import numpy as np

from discsim.problem.status import Status, StepFailed
from discsim.sweep.kernels import Kernels
from discsim.sweep.linsolve import LinearSolver, SparseDirect
from discsim.sweep.newton import ChordNewton

PRESTRESS_TOLERANCE = 1e-3  # mm, largest displacement left when the prestress is accepted (default_disc b)
PRESTRESS_ROUNDS = 80
PRESTRESS_RAMPS = 8
RAMP_DECREASE = 0.2  # share of the residual that an increment may leave before the last
MOST_PERSONS = 8  # whose prestress is kept for the next arm


@dataclasses.dataclass
class LaneState:
    """State of all lanes: leading axis lanes, then as in ``LaneForms``."""

    pointwise: Any
    solutes: Any
    signals: Any
    q: Any

    def copy(self) -> LaneState:
        """A state that later steps do not touch (arrays are never changed in place)."""
        return dataclasses.replace(self)

    def where(self, mask: np.ndarray, other: LaneState) -> LaneState:
        """This state in the lanes of ``mask``, ``other`` elsewhere."""
        return LaneState(*(pick(mask, mine, theirs) for mine, theirs in zip(self.parts(), other.parts(), strict=True)))

    def parts(self) -> tuple[Any, Any, Any, Any]:
        """The four arrays, in the order that the kernels take them."""
        return self.pointwise, self.solutes, self.signals, self.q


def pick(mask: np.ndarray, new: Any, old: Any) -> Any:
    """``new`` in the lanes of ``mask``, ``old`` elsewhere."""
    if mask.all():
        return new
    return np.where(mask.reshape(-1, *([1] * (np.ndim(old) - 1))), np.asarray(new), np.asarray(old))


class LaneModel:
    """State, parameters and solvers of ``lanes`` lanes that share a mesh."""

    def __init__(self, kernels: Kernels, points: np.ndarray, lanes: int, solver: type[LinearSolver] = SparseDirect) -> None:
        self.kernels, self.lanes = kernels, lanes
        self.tables = kernels.tables
        forms = kernels.forms
        nf, ns = len(kernels.model.solutes), len(kernels.model.signals)
        mechanics = solver(kernels.mechanics_pattern(), lanes)
        self.mechanics = ChordNewton(mechanics, lanes, absolute=1e-7, relative=1e-13, memory=6)
        solutes = kernels.nodal_pattern(nf, forms.solutes.fixed, forms.solutes.coupled)
        self.nutrients = ChordNewton(solver(solutes, lanes), lanes, absolute=1e-10, relative=1e-14)
        self.signalling: ChordNewton | None = None
        if forms.signals is not None:
            signals = kernels.nodal_pattern(ns, forms.signals.fixed, forms.signals.coupled)
            self.signalling = ChordNewton(solver(signals, lanes), lanes, absolute=0.0, relative=1e-9)
        self.mesh_hash = ""
        self._shape: Any = None
        self._shape_of: Any = None
        self._setting: Any = None
        self._setting_of: tuple[Any, Any] = (None, None)
        self._known: dict[bytes, tuple[Any, Any]] = {}
        # (displacement before, prestress before, displacement after) of every round, where gradients want to go back
        self.rounds: list[tuple[Any, Any, Any]] | None = None
        self.set_points(points)

    def set_points(self, points: np.ndarray) -> None:
        """Vertex coordinates (vertices, dim) mm; a disc of another size is other data, not another model."""
        self.points = jnp.asarray(points)
        self.rest = self.kernels.rest(self.tables, self.points)
        self.corner_volume = np.asarray(self.kernels.corner_volume(self.tables, self.points))
        self._shape_of, self._setting_of = None, (None, None)
        self._known.clear()
        for newton in self.solvers():
            newton.forget()

    def forget_persons(self) -> None:
        """Seek every prestress anew."""
        self._known.clear()

    def solvers(self) -> list[ChordNewton]:
        """The Newton solvers, for their counters."""
        return [self.mechanics, self.nutrients, *([self.signalling] if self.signalling else [])]

    def begin(self, rows: np.ndarray) -> None:
        """New parameter rows (lanes, width); initial fields; nothing solved yet."""
        self.set_rows(rows)
        pointwise, solutes, signals = (np.asarray(a) for a in self.kernels.start(self.tables, self.points, rows))
        q = np.zeros((self.lanes, self.kernels.free))
        self.state = LaneState(pointwise, solutes, signals, q)
        self.last_load = np.zeros(self.lanes)
        self.trouble: list[StepFailed | None] = [None] * self.lanes
        one = np.asarray(self.kernels.forms.mechanics.no_prestress(self.tables))
        self.prestress = np.broadcast_to(one, (self.lanes, *one.shape))
        for newton in self.solvers():
            newton.forget()

    def set_rows(self, rows: np.ndarray) -> None:
        """Parameter rows, at the start or when an event changes some."""
        self.rows = rows
        self.load = np.asarray(self.kernels.load(rows))

    def fail(self, which: np.ndarray, status: Status, reason: str, numbers: Any = None) -> None:
        """Note why some lanes failed; ``numbers`` (lanes,) fill the reason."""
        for lane in np.flatnonzero(which):
            text = reason if numbers is None else reason.format(numbers[lane])
            self.trouble[lane] = StepFailed(status, text)

    # ---- mechanics

    def _solve_mechanics(
        self, q: Any, load: np.ndarray, active: np.ndarray, ramp: float, corners: bool, decrease: float = 0.0
    ) -> tuple[Any, np.ndarray]:
        kernels, gag, setting = self.kernels, self.state.pointwise[:, self.kernels.forms.gag], self._mechanics_setting()

        def residual(q: Any) -> tuple[Any, Any]:
            return kernels.mechanics_residual(self.tables, self.rest, self.rows, gag, setting, q, load, ramp)

        def tangent(q: Any) -> Any:
            return kernels.mechanics_tangent(self.tables, self.rest, self.rows, gag, setting, q, ramp)

        found, outcome = self.mechanics.solve(q, active, residual, tangent, decrease)
        good = outcome.converged
        self.fail(active & ~good, Status.NONCONVERGED, "mechanics did not converge (residual {:.2g} N)", outcome.norm)
        if corners and good.any():
            jacobian = self._deformed(found)["corner_jacobian"]
            inside = np.asarray(kernels.corner_margin(self.tables, self.rows, jacobian)) > 0.0
            self.fail(good & ~inside, Status.UNPHYSICAL, "volume ratio below the bound of the swelling law")
            good = good & inside
        return found, good

    def _mechanics_setting(self) -> Any:
        """What parameters and prestress decide, worked out once for both."""
        of = (self.rows, self.prestress)
        if self._setting_of[0] is not of[0] or self._setting_of[1] is not of[1]:
            self._setting, self._setting_of = self.kernels.mechanics_setting(self.tables, self.rest, *of), of
        return self._setting

    def reach(self, load: np.ndarray, active: np.ndarray, guess: Any = None, halvings: int = 5) -> np.ndarray:
        """Equilibrium at ``load`` (lanes,) MPa, in smaller increments where one jump does not converge; returns who did."""
        start = self.state.q if guess is None else guess
        found, good = self._solve_mechanics(start, load, active, 1.0, True)
        if guess is not None and (active & ~good).any():  # a bad guess is no failure: from the state itself
            again = active & ~good
            second, better = self._solve_mechanics(self.state.q, load, again, 1.0, True)
            found, good = pick(again, second, found), good | better
        self.state = dataclasses.replace(self.state, q=pick(good, found, self.state.q))
        self.last_load = np.where(good, load, self.last_load)
        left = active & ~good & (load != self.last_load)
        if halvings and left.any():
            half = self.reach(0.5 * (self.last_load + load), left, None, halvings - 1)
            good = good | self.reach(load, half, None, halvings - 1)
        return good

    def find_prestress(self, active: np.ndarray) -> np.ndarray:
        """Prestress at the load of each lane: from an earlier lane with the same person, or sought; returns who has one."""
        keys = [self._person(lane) for lane in range(self.lanes)]
        known = active & np.array([key in self._known for key in keys])
        good = self._seek_prestress(active & ~known) if (active & ~known).any() else np.zeros_like(active)
        q, prestress = np.array(self.state.q), np.array(self.prestress)
        for lane in np.flatnonzero(known):
            prestress[lane], q[lane] = self._known[keys[lane]]
        self.state, self.prestress = dataclasses.replace(self.state, q=q), prestress
        self.last_load = np.where(known, self.load, self.last_load)
        for lane in np.flatnonzero(good):
            self._known[keys[lane]] = (prestress[lane], q[lane])
        while len(self._known) > MOST_PERSONS + self.lanes:
            self._known.pop(next(iter(self._known)))
        self.mechanics.forget()
        return good | known

    def _person(self, lane: int) -> bytes:
        """What decides the prestress of a lane: load, material, and the charge-carrying field."""
        label = self.kernels.model.material.label
        own = [self.rows[lane, columns] for path, columns in self.kernels.layout.columns.items() if path.startswith(f"{label}.")]
        gag = np.ascontiguousarray(self.state.pointwise[lane, self.kernels.forms.gag])
        digest = hashlib.sha256(gag.tobytes() + self.load[lane].tobytes())
        digest.update(np.concatenate(own).tobytes())
        return digest.digest()

    def _seek_prestress(self, active: np.ndarray) -> np.ndarray:
        """Prestress that makes the mesh the equilibrium shape at the load; returns where it was found. (default_disc b)

        From F_p = I, osmosis and load are ramped up together; then F_p := F F_p, u := 0 until the displacement left is
        below 1e-3 mm everywhere.
        """
        one = np.asarray(self.kernels.forms.mechanics.no_prestress(self.tables))
        self.prestress = pick(active, np.broadcast_to(one, (self.lanes, *one.shape)), self.prestress)
        q = np.zeros_like(self.state.q)
        good = active.copy()
        for step in range(1, PRESTRESS_RAMPS + 1):
            share = step / PRESTRESS_RAMPS
            on_the_way = 0.0 if step == PRESTRESS_RAMPS else RAMP_DECREASE
            q, good = self._solve_mechanics(q, self.load * share, good, share, False, on_the_way)
        seeking = good.copy()
        for _ in range(PRESTRESS_ROUNDS):
            before, earlier = q, self.prestress
            renewed = self.kernels.renewed_prestress(self.tables, self.points, self.prestress, q)
            self.prestress = pick(seeking, renewed, self.prestress)
            q = pick(seeking, np.zeros_like(self.state.q), q)
            found, solved = self._solve_mechanics(q, self.load, seeking, 1.0, False)
            if self.rounds is not None:
                self.rounds.append((before, earlier, found))
            q, good = pick(solved, found, q), good & (solved | ~seeking)
            settled = np.abs(np.asarray(q)).max(axis=1) < PRESTRESS_TOLERANCE
            seeking = seeking & solved & ~settled
            if not seeking.any():
                break
        text = f"prestress did not settle in {PRESTRESS_ROUNDS} rounds; annulus matrix too soft or load too high"
        self.fail(seeking, Status.NONCONVERGED, text)
        good &= ~seeking
        found, good = self._solve_mechanics(q, self.load, good, 1.0, True)
        self.state = dataclasses.replace(self.state, q=pick(good, found, self.state.q))
        self.last_load = np.where(good, self.load, self.last_load)
        return good

    # ---- solutes, cells, signals

    def _deformed(self, q: Any = None) -> Any:
        """Geometry of a shape (by default the present one), worked out once per shape."""
        q = self.state.q if q is None else q
        if self._shape_of is not q:
            self._shape, self._shape_of = self.kernels.deformed(self.tables, self.points, q), q
        return self._shape

    def _solve_solutes(self, deformed: Any, dt: np.ndarray, active: np.ndarray, guess: Any) -> tuple[Any, np.ndarray]:
        kernels, state = self.kernels, self.state
        like, shape = state.solutes.shape, deformed
        if kernels.fixed_solute_spread:
            given = (self.tables, self.rows, deformed, state.pointwise, state.signals, state.solutes)
            shape = deformed | {"spread": kernels.solute_spread(*given)}

        def residual(x: Any) -> tuple[Any, Any]:
            r = kernels.solute_residual(self.tables, self.rows, shape, state.pointwise, state.signals, x, dt)
            return r, np.ones(self.lanes)

        def tangent(x: Any) -> Any:
            return kernels.solute_tangent(self.tables, self.rows, shape, state.pointwise, state.signals, x, dt)

        def solve(start: Any, which: np.ndarray) -> tuple[Any, Any]:
            held = np.asarray(kernels.solute_levels(self.rows, start)) if kernels.forms.solutes.levels else np.asarray(start)
            return self.nutrients.solve(held.reshape(self.lanes, -1), which, residual, tangent)

        found, outcome = solve(state.solutes if guess is None else guess, active)
        good, norm = outcome.converged, outcome.norm
        if guess is not None and (active & ~good).any():
            again = active & ~good
            second, outcome = solve(state.solutes, again)
            found, good, norm = pick(again, second, found), good | outcome.converged, np.where(again, outcome.norm, norm)
        self.fail(active & ~good, Status.NONCONVERGED, "nutrients did not converge (residual {:.2g} nmol/s)", norm)
        return np.asarray(found).reshape(like), good

    def settle_solutes(self, dt: np.ndarray, active: np.ndarray, guess: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """Solutes, cells and matrix of one step (dt 0: solutes alone); returns who succeeded and the ledger (lanes, cells, 4)."""
        kernels, names = self.kernels, self.kernels.model
        deformed = self._deformed()
        c, good = self._solve_solutes(deformed, dt, active, guess)
        for index, name in enumerate(names.solutes):
            least = np.asarray(c[:, :, index].min(axis=1))
            negative = good & ~(least >= 0.0)
            self.fail(negative, Status.UNPHYSICAL, name + " is negative ({:.3g})", least)
            good = good & ~negative
        state = self.state
        new, ledger = kernels.advance(self.tables, self.rows, deformed, state.pointwise, state.signals, c, dt)
        new, ledger = np.asarray(new), np.asarray(ledger)
        for index, name in enumerate(names.cells):
            wrong = good & ~(np.isfinite(new[:, index]).all(axis=(1, 2)) & (new[:, index].min(axis=(1, 2)) >= 0.0))
            self.fail(wrong, Status.UNPHYSICAL, f"{name} is negative or not finite")
            good = good & ~wrong
        good = good & self._finite(new, good)
        solutes = pick(good, c, state.solutes)
        moving = good & (np.asarray(dt) > 0.0)
        self.state = dataclasses.replace(state, solutes=solutes, pointwise=pick(moving, new, state.pointwise))
        self._last_deformed = deformed
        return good, ledger

    def _finite(self, new: np.ndarray, good: np.ndarray) -> np.ndarray:
        finite = np.isfinite(new).all(axis=(1, 2, 3))
        self.fail(good & ~finite, Status.UNPHYSICAL, "matrix or per-cell state is not finite")
        return finite

    def _solve_signals(self, dt: np.ndarray, active: np.ndarray) -> np.ndarray:
        """Signals after ``dt`` at the shape before the step; nothing is done where there is and comes no signal."""
        if self.signalling is None:
            return active
        kernels, state, like = self.kernels, self.state, self.state.signals.shape
        inverse = 1.0 / np.where(dt > 0.0, dt, 1.0)
        shape, old = self._last_deformed, state.signals
        if kernels.fixed_signal_spread:
            given = (self.tables, self.rows, shape, state.pointwise, state.solutes, old)
            shape = shape | {"spread": kernels.signal_spread(*given)}

        def residual(x: Any) -> tuple[Any, Any]:
            r = kernels.signal_residual(self.tables, self.rows, shape, state.pointwise, state.solutes, x, old, inverse)
            return r, np.ones(self.lanes)

        def tangent(x: Any) -> Any:
            return kernels.signal_tangent(self.tables, self.rows, shape, state.pointwise, state.solutes, x, inverse)

        # Signals differ by orders of magnitude in size and are linear here: one solve with a fresh factor gets each of them
        # to round-off, which a chord and one common norm would not.
        self.signalling.forget()
        found, outcome = self.signalling.solve(np.asarray(old).reshape(self.lanes, -1), active, residual, tangent)
        good = outcome.converged
        self.fail(active & ~good, Status.NONCONVERGED, "signals did not converge")
        found = np.asarray(found).reshape(like)
        for index, name in enumerate(kernels.model.signals):
            values = found[:, :, index]
            wrong = good & (values.min(axis=1) < -1e-9 * np.maximum(values.max(axis=1), 0.0))
            self.fail(wrong, Status.UNPHYSICAL, name + " is negative ({:.3g})", values.min(axis=1))
            good = good & ~wrong
        self.state = dataclasses.replace(state, signals=pick(good, found, old))
        return good

    # ---- the step

    def settle(self, active: np.ndarray) -> np.ndarray:
        """Equilibrium and quasi-steady solutes of the present cells and matrix; no time passes."""
        good = self.reach_and_reshape(active)
        good, _ = self.settle_solutes(np.zeros(self.lanes), good)
        return good

    def start_from_preset(self, active: np.ndarray) -> np.ndarray:
        """Prestress at the effective load, then quasi-steady solutes; returns who succeeded."""
        good = self.find_prestress(active)
        return self.settle(good)

    def step(self, dt: np.ndarray, active: np.ndarray, guess: LaneState | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Advance active lanes by ``dt`` (lanes,) s; returns who succeeded and the ledger. Failed lanes keep their state.

        ``guess``: an extrapolated state to start the iterations from.
        """
        before = self.state
        good, ledger = self.settle_solutes(dt, active, None if guess is None else np.maximum(guess.solutes, 0.0))
        good = self._solve_signals(dt, good)
        good = self.reach_and_reshape(good, None if guess is None else guess.q)
        self.state = self.state.where(good, before)
        return good, ledger

    def reach_and_reshape(self, active: np.ndarray, guess: Any = None) -> np.ndarray:
        """Equilibrium at the load; the amount of every signal at every vertex is kept when its volume changes."""
        before = self.vertex_volumes() if self.signalling else None
        good = self.reach(self.load, active, guess)
        if before is not None:
            signals = self.state.signals * (before / self.vertex_volumes())[:, :, None]
            self.state = dataclasses.replace(self.state, signals=pick(good, signals, self.state.signals))
        return good

    def vertex_volumes(self) -> np.ndarray:
        """Current volume of every vertex (lanes, vertices) mm3."""
        return np.asarray(self.kernels.volumes(self.tables, self._deformed(), self.state.solutes[:, :, 0]))

    def read(self) -> np.ndarray:
        """Readouts of every lane (lanes, readouts)."""
        shape = self._deformed()
        return np.asarray(self.kernels.read(self.tables, self.points, self.rows, shape, self.state.parts()))

    def values(self) -> dict[str, np.ndarray]:
        """Every named value at (cell, vertex) pairs (lanes, cells, vertices per cell)."""
        shape = self._deformed()
        found = self.kernels.values(self.tables, self.points, self.rows, shape, self.state.parts())
        return {name: np.asarray(value) for name, value in found.items()}
