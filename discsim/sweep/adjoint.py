"""Gradients by implicit differentiation: one forward run, then one run backward in time, whatever the number of parameters.

Every solve F(x; y) = 0 of the forward run is answered by a solve with the transposed tangent, (dF/dx)^T m = x_bar, and
y_bar = -m^T dF/dy; everything between the solves is differentiated by JAX. Iterations, start values and kept factors do not
enter: the gradient is that of the discrete solution. Cuts and the number of rounds of the prestress count as given.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from discsim.problem.problem import Arm, Problem
from discsim.problem.record import ArmRecord
from discsim.problem.steps import same_time
from discsim.scenario.therapy import Dose
from discsim.sweep.adjoint_kernels import AdjointKernels
from discsim.sweep.batch import BatchRun
from discsim.sweep.model import LaneModel, LaneState

ONE = np.array([True])


@dataclasses.dataclass
class Gradient:
    """A readout at a time, and its derivatives by everything that a lane is given.

    ``rows``: by the parameter row in force from the start and after each event that changed it (times in ``row_times``);
    ``amounts`` and ``volumes``: by the whole disc's amount and by the bolus volume (mm3) of each dose, in the order of
    ``Arm.doses``; ``lengths``: by the length of every step
    (s), whose ends are ``ends``; ``points``: by the vertex coordinates (vertices, dim).
    """

    value: float
    row_times: list[float]
    rows: list[np.ndarray]
    amounts: np.ndarray
    volumes: np.ndarray
    ends: np.ndarray
    lengths: np.ndarray
    points: np.ndarray


class Adjoint:
    """Gradients of one arm's readouts; ``run`` must be a batch of one lane that has not started yet."""

    def __init__(self, run: BatchRun, problem: Problem, arm: Arm, steps: tuple[float, ...]) -> None:
        self.run, self.problem, self.arm = run, problem, arm
        self.model: LaneModel = run.model
        if self.model.lanes != 1:
            raise ValueError("gradients need an engine with one lane")
        if arm.start != "preset":
            raise ValueError(f"{arm.name}: gradients need start = 'preset'; the healthy steady state is not differentiated")
        run.trajectory = []
        self.model.rounds = []
        self.model.forget_persons()
        self.record: ArmRecord = run.follow([steps])[0]
        self.model.rounds = None  # the notes hold what was gathered; later runs keep none
        self.kernels = AdjointKernels.of(self.model.kernels)

    def gradient(self, readout: str, time: float) -> Gradient:
        """Derivatives of ``readout`` at ``time`` (s, the end of a step); ``ValueError`` where the run did not get there."""
        if not self.record.status.good:
            raise ValueError(f"{self.arm.name}: no gradient of a run that ended {self.record.failure}")
        hits = [i for i, t in enumerate(self.record.times) if same_time(t, time)]
        if not hits:
            raise ValueError(f"no step ends at {time} s; output times do")
        assert self.run.trajectory is not None
        back = _Backward(self, self.problem.readouts, readout, hits[0])
        for kind, what in reversed(self.run.trajectory):
            getattr(back, kind)(what)
        return back.gradient(float(self.record.readouts[readout][hits[0]]))


class _Backward:
    """The way back. Cotangents of the present state are kept; notes of the forward run come in reverse order."""

    def __init__(self, adjoint: Adjoint, readouts: Any, wanted: str, write: int) -> None:
        self.a, self.k, self.m = adjoint, adjoint.kernels, adjoint.model
        self.t, self.points = self.m.tables, self.m.points
        self.prestress = jnp.asarray(self.m.prestress[0])
        self.row = jnp.asarray(adjoint.run.rows[0])
        self.pick = jnp.array([1.0 if readout.name == wanted else 0.0 for readout in readouts])
        self.writes_left, self.write_wanted = len(adjoint.record.times), write
        self.zero: Any = None
        self.bar: LaneState | None = None
        self.row_bar = jnp.zeros_like(self.row)
        self.points_bar = jnp.zeros_like(self.points)
        self.prestress_bar = jnp.zeros_like(self.prestress)
        self.rows: list[tuple[float, np.ndarray]] = []
        self.amounts, self.volumes = np.zeros(len(adjoint.arm.doses)), np.zeros(len(adjoint.arm.doses))
        self.lengths: list[float] = []

    # ---- bookkeeping

    def _state(self, state: LaneState) -> LaneState:
        return LaneState(*(jnp.asarray(part[0]) for part in state.parts()))

    def _take(self, cotangents: dict[str, Any]) -> dict[str, Any]:
        """Add what goes to parameters and coordinates; return the rest."""
        self.row_bar = self.row_bar + cotangents.pop("row", 0.0)
        self.points_bar = self.points_bar + cotangents.pop("points", 0.0)
        self.prestress_bar = self.prestress_bar + cotangents.pop("prestress", 0.0)
        return cotangents

    def _through_shape(self, shape_bar: Any, q: Any) -> Any:
        """Cotangent of the displacement from that of the deformed geometry."""
        return self._take(self.k.shape_back(self.t, self.points, q, shape_bar))["q"]

    # ---- solves

    def _equilibrium(self, q_bar: Any, gag: Any, q: Any, share: float = 1.0) -> Any:
        """Through R(q) = 0 at the effective load; returns the cotangent of the charge-carrying field."""
        m = self.m
        solver = m.mechanics.solver
        kernels = m.kernels
        setting = kernels.mechanics_setting(self.t, m.rest, self.row[None], self.prestress[None])
        entries = kernels.mechanics_tangent(self.t, m.rest, self.row[None], gag[None], setting, q[None], share)
        solver.factor(entries, ONE)
        multiplier = -jnp.asarray(solver.solve(np.asarray(q_bar)[None], ONE, transposed=True)[0])
        back = self.k.mechanics_back(self.t, self.points, self.row, gag, self.prestress, q, share, multiplier)
        return self._take(back)["gag"]

    def _nutrients(self, c_bar: Any, row: Any, shape: Any, pointwise: Any, signals: Any, c: Any, dt: float) -> dict[str, Any]:
        solver, flat = self.m.nutrients.solver, c.reshape(-1)
        lanes = (row[None], jax.tree.map(lambda x: x[None], shape), pointwise[None], signals[None], flat[None], np.array([dt]))
        solver.factor(self.m.kernels.solute_tangent(self.t, *lanes), ONE)
        multiplier = -jnp.asarray(solver.solve(np.asarray(c_bar).reshape(1, -1), ONE, transposed=True)[0])
        return self._take(self.k.solutes_back(self.t, row, shape, pointwise, signals, flat, dt, multiplier))

    def _signals(self, s_bar: Any, shape: Any, pointwise: Any, c: Any, s: Any, old: Any, inverse: float) -> dict[str, Any]:
        assert self.m.signalling is not None
        solver, flat = self.m.signalling.solver, s.reshape(-1)
        lanes = (self.row[None], jax.tree.map(lambda x: x[None], shape), pointwise[None], c[None], flat[None])
        solver.factor(self.m.kernels.signal_tangent(self.t, *lanes, np.array([inverse])), ONE)
        multiplier = -jnp.asarray(solver.solve(np.asarray(s_bar).reshape(1, -1), ONE, transposed=True)[0])
        return self._take(self.k.signals_back(self.t, self.row, shape, pointwise, c, flat, old, inverse, multiplier))

    # ---- notes of the forward run, backward

    def write(self, what: LaneState) -> None:
        """Readouts at a time: the wanted one enters here."""
        self.writes_left -= 1
        if self.writes_left == self.write_wanted:
            state = self._state(what)
            shape = self.k.shape(self.t, self.points, state.q)
            back = self._take(self.k.read_back(self.t, self.points, self.row, shape, state.parts(), self.pick))
            q_bar = self._through_shape(back["shape"], state.q)
            parts = back["state"]
            self.bar = LaneState(parts[0], parts[1], parts[2], parts[3] + q_bar)

    def step(self, what: Any) -> None:
        """A step: shape, signals, matrix and cells, solutes, in the reverse of their order."""
        before, dt, after = self._state(what[0]), float(what[1][0]), self._state(what[2])
        if self.bar is None:
            self.lengths.append(0.0)
            return
        bar, shape = self.bar, self.k.shape(self.t, self.points, before.q)
        dt_bar, q_old_bar = 0.0, jnp.zeros_like(before.q)
        s_bar, q_bar, signals = bar.signals, bar.q, after.signals
        pointwise_bar, c_bar = bar.pointwise, bar.solutes
        if self.m.signalling is not None:
            signals, s_bar, q_old_bar, q_more = self._reshaped(after, before, s_bar)
            q_bar = q_bar + q_more
        gag = self.m.kernels.forms.gag
        gag_bar = self._equilibrium(q_bar, after.pointwise[gag], after.q)
        pointwise_bar = pointwise_bar.at[gag].add(gag_bar)
        old_bar, shape_bar = jnp.zeros_like(before.signals), None
        if self.m.signalling is not None:
            back = self._signals(s_bar, shape, after.pointwise, after.solutes, signals, before.signals, 1.0 / dt)
            pointwise_bar, c_bar = pointwise_bar + back["pointwise"], c_bar + back["c"]
            old_bar, shape_bar = back["old"], back["shape"]
            dt_bar -= float(back["inverse"]) / dt**2
        back = self._take(
            self.k.advance_back(self.t, self.row, shape, before.pointwise, before.signals, after.solutes, dt, pointwise_bar)
        )
        c_bar, old_bar = c_bar + back["c"], old_bar + back["signals"]
        shape_bar = _sum(shape_bar, back["shape"])
        before_bar, dt_bar = back["pointwise"], dt_bar + float(back["dt"])
        back = self._nutrients(c_bar, self.row, shape, before.pointwise, before.signals, after.solutes, dt)
        shape_bar = _sum(shape_bar, back["shape"])
        q_old_bar = q_old_bar + self._through_shape(shape_bar, before.q)
        self.lengths.append(dt_bar + float(back["dt"]))
        self.bar = LaneState(before_bar + back["pointwise"], jnp.zeros_like(before.solutes), old_bar + back["signals"], q_old_bar)

    def _reshaped(self, after: LaneState, before: LaneState, s_bar: Any) -> tuple[Any, Any, Any, Any]:
        """Signals before the change of volume, and cotangents through s' = s V(q_before) / V(q_after)."""
        signals = self.k.reshape(self.t, self.points, after.signals, after.q, before.q)  # the inverse undoes it
        back = self._take(self.k.reshape_back(self.t, self.points, signals, before.q, after.q, s_bar))
        return signals, back["signals"], back["q_before"], back["q_after"]

    def event(self, what: Any) -> None:
        """Doses and parameter changes: solutes at rest, equilibrium, then the deposits and the row before."""
        before, given, after = (self._state(state) for state in what[:3])
        row_before, now, doses = jnp.asarray(what[3][0]), what[4], what[5]
        if self.bar is not None:
            self._settled(given, after)
            assert self.bar is not None
            for index in doses:
                self._dose(index, self.a.arm.doses[index], before)
        changed = row_before != self.row
        if bool(changed.any()):  # what the event set belongs to it; the rest was in force before
            self.rows.append((now, np.asarray(jnp.where(changed, self.row_bar, 0.0))))
            self.row_bar = jnp.where(changed, 0.0, self.row_bar)
        self.row = row_before

    def _settled(self, given: LaneState, after: LaneState) -> None:
        """Through ``LaneModel.settle``: equilibrium, volumes of signals, quasi-steady solutes."""
        assert self.bar is not None
        bar = self.bar
        shape = self.k.shape(self.t, self.points, after.q)
        back = self._nutrients(bar.solutes, self.row, shape, after.pointwise, after.signals, after.solutes, 0.0)
        q_bar = bar.q + self._through_shape(back["shape"], after.q)
        s_bar, pointwise_bar = bar.signals + back["signals"], bar.pointwise + back["pointwise"]
        q_given_bar = jnp.zeros_like(given.q)
        if self.m.signalling is not None:
            _, s_bar, q_given_bar, q_more = self._reshaped(after, given, s_bar)
            q_bar = q_bar + q_more
        gag = self.m.kernels.forms.gag
        gag_bar = self._equilibrium(q_bar, after.pointwise[gag], after.q)
        self.bar = LaneState(pointwise_bar.at[gag].add(gag_bar), jnp.zeros_like(bar.solutes), s_bar, q_given_bar)

    def _dose(self, index: int, dose: Dose, before: LaneState) -> None:
        """Through a deposit: by its amount, the volume of the bolus, the coordinates and (signals) the shape at that time."""
        assert self.bar is not None
        names, signals = self.m.kernels.forms.pointwise_names, self.m.kernels.model.signals
        nodal = dose.field not in names
        bar = self.bar.signals[:, signals.index(dose.field)] if nodal else self.bar.pointwise[names.index(dose.field)]
        unit, back = self.k.dose_back(self.a.run.deposits, dose.place, nodal)
        inputs, amount = (self.t, self.points, dose.place.volume, before.q), dose.amount / self.a.run.share
        self.amounts[index] += float(jnp.sum(bar * unit(*inputs))) / self.a.run.share
        found = self._take(back(*inputs, amount * bar))
        self.volumes[index] += float(found["volume"])
        self.bar = dataclasses.replace(self.bar, q=self.bar.q + found["q"])

    def start(self, what: Any) -> None:
        """The start: quasi-steady solutes, the rounds of the prestress, the composition."""
        settled, rounds = self._state(what[0]), what[1]
        if self.bar is None:
            return
        gag_index = self.m.kernels.forms.gag
        self._settled(settled, settled)
        assert self.bar is not None
        gag = settled.pointwise[gag_index]
        q_bar, gag_bar = self.bar.q, jnp.zeros_like(gag)
        for q_before, prestress_before, q_after in reversed(rounds):
            # the last solve of the round, then F_p := F(q_before) F_p
            gag_bar = gag_bar + self._equilibrium(q_bar, gag, jnp.asarray(q_after[0]))
            old = jnp.asarray(prestress_before[0])
            back = self.k.renewed_back(self.t, self.points, old, jnp.asarray(q_before[0]), self.prestress_bar)
            self.points_bar = self.points_bar + back["points"]
            self.prestress, self.prestress_bar, q_bar = old, back["prestress"], back["q"]
        if rounds:
            gag_bar = gag_bar + self._equilibrium(q_bar, gag, jnp.asarray(rounds[0][0][0]))
        pointwise_bar = self.bar.pointwise.at[gag_index].add(gag_bar)
        self._take(self.k.start_back(self.t, self.points, self.row, (pointwise_bar, self.bar.signals)))

    def gradient(self, value: float) -> Gradient:
        """What was gathered."""
        segments = [(0.0, np.asarray(self.row_bar)), *self.rows[::-1]]
        lengths = np.array(self.lengths[::-1])
        ends = np.array([row["time"] for row in self.a.record.history])
        return Gradient(
            value,
            [t for t, _ in segments],
            [row for _, row in segments],
            self.amounts,
            self.volumes,
            ends,
            lengths,
            np.asarray(self.points_bar),
        )


def _sum(a: Any, b: Any) -> Any:
    return b if a is None else jax.tree.map(lambda x, y: x + y, a, b)
