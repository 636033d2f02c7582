"""One batch of lanes through time: start, events, shared steps with cut and retry, records. One lane's trouble is its own."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from discsim.problem.problem import Arm, Problem
from discsim.problem.record import ArmRecord, FieldFrame
from discsim.problem.status import ADVICE, Failure, Status, StepFailed
from discsim.problem.steps import FOLLOWER_FACTOR, StepController, same_time
from discsim.scenario.therapy import Dose
from discsim.sweep.dosing import Deposits
from discsim.sweep.extrapolate import extrapolation
from discsim.sweep.forms import LEDGER
from discsim.sweep.homeostasis import start_from_homeostasis
from discsim.sweep.model import LaneModel, LaneState
from discsim.sweep.shape import moved_vertices


@dataclasses.dataclass
class Lane:
    """What a batch knows of one lane besides its state."""

    problem: Problem
    arm: Arm
    steps: tuple[float, ...]
    record: ArmRecord
    now: float = 0.0
    taken: int = 0  # shared steps done
    pending: list[tuple[float, int]] = dataclasses.field(default_factory=list)  # ends still to reach, and cuts still allowed
    lengths: tuple[float, ...] = ()  # of the last steps since an event, the latest first
    retried: bool = False
    cuts: int = 0
    ledger: dict[str, float] = dataclasses.field(default_factory=dict)
    scale: np.ndarray | None = None
    over: bool = False


class BatchRun:
    """Runs up to ``model.lanes`` arms; lanes that are left over idle."""

    def __init__(self, model: LaneModel, lanes: list[tuple[Problem, Arm]], deposits: Deposits) -> None:
        self.model, self.deposits, self.points = model, deposits, np.asarray(model.points)
        self._given: list[int] = []  # doses given at the present event, by their place among the arm's
        self.problem = lanes[0][0]  # readouts, rule of steps and kept times are those of the study
        self.lanes = [Lane(problem, arm, (), ArmRecord(arm.name)) for problem, arm in lanes]
        rows = [model.kernels.layout.pack(arm.values) for _, arm in lanes]
        self.rows = np.stack(rows + rows[:1] * (model.lanes - len(rows)))
        self.older: LaneState | None = None
        self.oldest: LaneState | None = None
        self.trajectory: list[tuple[str, Any]] | None = None
        self._clock = time.perf_counter()
        self._counts = [(s.iterations.copy(), s.factorisations.copy()) for s in model.solvers()]

    # ---- start

    def begin(self) -> None:
        """Start states and events at time zero; lanes that fail say why in their record."""
        model = self.model
        tolerances = self.problem.tolerances
        model.mechanics.absolute, model.nutrients.absolute = tolerances.force, tolerances.rate
        model.mechanics.rough = model.nutrients.rough = tolerances.rough
        model.begin(self.rows)
        active = self._mask(lambda lane: True)
        at_rest = self._mask(lambda lane: lane.arm.start == "homeostasis")
        good = model.start_from_preset(active)
        self._note("start", (model.state, model.rounds))
        if at_rest.any():
            good = good & (start_from_homeostasis(model, good & at_rest) | ~at_rest)
        self._fail(active & ~good)
        self.older = self.oldest = model.state
        volume = model.corner_volume
        for number, lane in self._running():
            for index, name in enumerate(model.kernels.model.cells):
                amount = float(np.sum(model.state.pointwise[number, index] * volume)) * self.share
                lane.ledger |= {f"{name}:start": amount, f"{name}:injected": 0.0}
                lane.ledger |= {f"{name}:{key}": 0.0 for key in LEDGER}
        self._sizes()
        self._events(good)
        elapsed = time.perf_counter() - self._clock
        for _, lane in self._running():
            lane.record.seconds["start"] = elapsed
        self._write(self._mask(lambda lane: not lane.over))

    @property
    def share(self) -> float:
        """Whole disc over modelled part."""
        return self.model.kernels.forms.share

    def _mask(self, rule: Callable[[Lane], bool]) -> np.ndarray:
        found = np.zeros(self.model.lanes, dtype=bool)
        found[: len(self.lanes)] = [rule(lane) for lane in self.lanes]
        return found

    def _running(self) -> list[tuple[int, Lane]]:
        return [(number, lane) for number, lane in enumerate(self.lanes) if not lane.over]

    # ---- events

    def _events(self, which: np.ndarray) -> None:
        """Doses and parameter changes that fall on the present time of these lanes; solutes settle anew, no time passes."""
        happened = np.zeros(self.model.lanes, dtype=bool)
        before, rows_before = self.model.state, self.rows
        rows, self._given = self.rows.copy(), []
        for number, lane in self._running():
            if which[number]:
                happened[number] = self._happens(number, lane, rows)
                if happened[number] or any(same_time(t, lane.now) for t in lane.problem.event_times()):
                    lane.lengths = ()  # the line through the last two states means nothing across an event
        if not happened.any():
            return
        self.rows = rows
        self.model.set_rows(rows)
        given = self.model.state
        good = self.model.settle(happened)
        self.model.state = self.model.state.where(good | ~happened, before)
        self._note("event", (before, given, self.model.state, rows_before, self.lanes[0].now, self._given))
        self._fail(happened & ~good)

    def _happens(self, number: int, lane: Lane, rows: np.ndarray) -> bool:
        happened = False
        for at, changes in lane.arm.changes:
            if same_time(at, lane.now):
                self.model.kernels.layout.update(rows[number], changes)
                happened = True
        for index, dose in enumerate(lane.arm.doses):
            if same_time(dose.at, lane.now):
                found = self._deposit(number, dose)
                self._given.append(index)
                if f"{dose.field}:injected" in lane.ledger:
                    lane.ledger[f"{dose.field}:injected"] += found
                happened = True
        return happened

    def _deposit(self, number: int, dose: Dose) -> float:
        """Add a dose to a lane; returns the amount of the whole disc found on the mesh by the scheme's own quadrature."""
        model, amount = self.model, dose.amount / self.share
        names, signals = model.kernels.forms.pointwise_names, model.kernels.model.signals
        if dose.field in names:
            volume = model.corner_volume
            added = amount * self.deposits.at_corners(dose.place, self.points, dose.place.volume, volume)
            pointwise = np.array(model.state.pointwise)
            pointwise[number, names.index(dose.field)] += added
            model.state = dataclasses.replace(model.state, pointwise=pointwise)
        else:
            volume = model.vertex_volumes()[number]
            added = amount * self.deposits.at_vertices(dose.place, self.points, dose.place.volume, volume)
            changed = np.array(model.state.signals)
            changed[number, :, signals.index(dose.field)] += added
            model.state = dataclasses.replace(model.state, signals=changed)
        return float(np.sum(added * volume)) * self.share

    # ---- steps

    def follow(self, steps: list[tuple[float, ...]], report: Callable[[float, int], None] | None = None) -> list[ArmRecord]:
        """All lanes, each on its own step list (times in s)."""
        for lane, own in zip(self.lanes, steps, strict=True):
            lane.steps = own
        self.begin()
        limit = FOLLOWER_FACTOR * self.problem.steps.tolerance
        while self._running():
            self._attempt(limit)
            if report is not None and self._running():
                report(min(lane.now for _, lane in self._running()), max(lane.taken for _, lane in self._running()))
        return [lane.record for lane in self.lanes]

    def _attempt(self, limit: float) -> None:
        """One trial step of every running lane to the next end it has to reach."""
        depth = self.problem.steps.halvings
        for _, lane in self._running():
            if not lane.pending:
                lane.pending.append((lane.steps[lane.taken], depth))
        active = self._mask(lambda lane: not lane.over)
        dt = np.zeros(self.model.lanes)
        for number, lane in self._running():
            dt[number] = lane.pending[-1][0] - lane.now
        before = self.model.state
        good, ledger = self.model.step(dt, active, self._guess(dt))
        error = self._error(before, dt)
        coarse = np.zeros_like(active)
        for number, lane in self._running():
            allowed = lane.pending[-1][1] > 0 and dt[number] > 1.001 * self.problem.steps.first
            coarse[number] = good[number] and error[number] > limit and allowed
        accepted = good & ~coarse
        self.model.state = self.model.state.where(accepted | ~active, before)
        self._cut(active & ~accepted, coarse)
        self._accept(accepted, before, dt, ledger, error)

    def _cut(self, rejected: np.ndarray, coarse: np.ndarray) -> None:
        for number, lane in self._running():
            if not rejected[number]:
                continue
            end, depth = lane.pending.pop()
            if depth == 0:
                self._fail_lane(number, lane)
                continue
            lane.cuts += 1
            # only a failed solve counts as a retry in the status; a step cut for accuracy is the method at work
            lane.retried |= not coarse[number]
            lane.pending += [(end, depth - 1), (lane.now + 0.5 * (end - lane.now), depth - 1)]

    def _accept(self, accepted: np.ndarray, before: LaneState, dt: np.ndarray, ledger: np.ndarray, error: np.ndarray) -> None:
        if not accepted.any():
            return
        self._note("step", (before, dt.copy(), self.model.state))
        self.oldest = (self.older or before).where(accepted, self.oldest or before)
        self.older = before.where(accepted, self.older or before)
        arrived = np.zeros_like(accepted)
        for number, lane in self._running():
            if not accepted[number]:
                continue
            end, _ = lane.pending.pop()
            lane.now = end
            for index, name in enumerate(self.model.kernels.model.cells):
                for column, key in enumerate(LEDGER):
                    lane.ledger[f"{name}:{key}"] += float(ledger[number, index, column]) * self.share
            lane.lengths = (float(dt[number]), *lane.lengths[:1])
            lane.record.history.append(self._history(number, lane, dt[number], error[number]))
            if not lane.pending:
                lane.taken += 1
                arrived[number] = True
        self._events(arrived)
        self._write(arrived)
        for number, lane in self._running():
            if arrived[number] and lane.taken == len(lane.steps):
                self._finish(lane)

    def _history(self, number: int, lane: Lane, dt: float, error: float) -> dict[str, Any]:
        iterations = factorisations = 0
        for solver, (i, f) in zip(self.model.solvers(), self._counts, strict=True):
            iterations += int(solver.iterations[number] - i[number])
            factorisations += int(solver.factorisations[number] - f[number])
        return {
            "time": lane.now,
            "dt": float(dt),
            "error": float(error),
            "iterations": iterations,
            "factorisations": factorisations,
            "cuts": lane.cuts,
        }

    def _guess(self, dt: np.ndarray) -> LaneState | None:
        """The polynomial through the last states of a lane (two or three, none across an event): where the iterations start."""
        now, older, oldest = self.model.state, self.older, self.oldest
        if older is None or oldest is None:
            return None
        weights = np.zeros((3, self.model.lanes))
        weights[0] = 1.0
        for number, lane in self._running():
            weights[:, number] = extrapolation(dt[number], lane.lengths)
        if not weights[1:].any():
            return None

        def line(field: str) -> Any:
            arrays = [getattr(state, field) for state in (now, older, oldest)]
            shape = (-1, *([1] * (arrays[0].ndim - 1)))
            return sum(w.reshape(shape) * a for w, a in zip(weights, arrays, strict=True))

        return dataclasses.replace(now, solutes=line("solutes"), q=line("q"))

    def _arrays(self, state: LaneState) -> list[np.ndarray]:
        lanes = self.model.lanes
        fields = [state.pointwise[:, i].reshape(lanes, -1) for i in range(state.pointwise.shape[1])]
        return fields + [state.signals[:, :, i] for i in range(state.signals.shape[2])]

    def _sizes(self) -> None:
        """Largest size that each field had so far, per lane: what errors are compared with."""
        model = self.model
        fields = model.kernels.model.composition.fields
        names = (*model.kernels.forms.pointwise_names, *model.kernels.model.signals)
        for number, lane in self._running():
            norms = []
            for name, values in zip(names, self._arrays(model.state), strict=True):
                least = fields[name].scale * values[number].size ** 0.5
                norms.append(max(least, float(np.linalg.norm(values[number]))))
            lane.scale = np.array(norms) if lane.scale is None else np.maximum(lane.scale, norms)

    def _error(self, before: LaneState, dt: np.ndarray) -> np.ndarray:
        """Distance of the new state from the line through the two before, over the largest size each field had."""
        old, older, new = self._arrays(before), self._arrays(self.older or before), self._arrays(self.model.state)
        worst = np.zeros(self.model.lanes)
        # a field's size before the step counts too: what a dose brought is large at once
        now, self.model.state = self.model.state, before
        self._sizes()
        self.model.state = now
        self._sizes()
        for number, lane in self._running():
            assert lane.scale is not None
            for index, values in enumerate(new):
                guess = old[index][number]
                if lane.lengths:
                    guess = guess + (dt[number] / lane.lengths[0]) * (guess - older[index][number])
                worst[number] = max(worst[number], 0.5 * float(np.linalg.norm(values[number] - guess)) / lane.scale[index])
        return worst

    # ---- records

    def _write(self, which: np.ndarray) -> None:
        if not which.any():
            return
        numbers = self.model.read()
        for number, lane in self._running():
            if not which[number]:
                continue
            lane.record.times.append(lane.now)
            for index, readout in enumerate(self.problem.readouts):
                lane.record.readouts.setdefault(readout.name, []).append(float(numbers[number, index]))
            for key, amount in lane.ledger.items():
                lane.record.ledger.setdefault(key, []).append(amount)
        self._note("write", self.model.state)
        self._frames(which)

    def _frames(self, which: np.ndarray) -> None:
        wanted = [
            (number, lane)
            for number, lane in self._running()
            if which[number] and any(same_time(t, lane.now) for t in self.problem.field_times)
        ]
        if wanted:
            values = self.model.values()
            for number, lane in wanted:
                moved = np.asarray(moved_vertices(self.model.tables, self.model.state.q[number]))
                corners = {name: value[number] for name, value in values.items() if not name.startswith("in_")}
                lane.record.frames.append(FieldFrame(lane.now, corners, moved))

    def _finish(self, lane: Lane) -> None:
        self._mesh(lane)
        lane.record.status = Status.OK_RETRIED if lane.retried else Status.OK
        lane.record.seconds["total"] = time.perf_counter() - self._clock
        lane.over = True

    def _fail(self, which: np.ndarray) -> None:
        for number, lane in self._running():
            if which[number]:
                self._fail_lane(number, lane)

    def _fail_lane(self, number: int, lane: Lane) -> None:
        trouble = self.model.trouble[number] or StepFailed(Status.NONCONVERGED, "the step could not be made accurate")
        self._mesh(lane)
        lane.record.status = trouble.status
        advice = ADVICE.get(trouble.status, "See the step history.")
        lane.record.failure = Failure(trouble.status, trouble.reason, lane.now, advice)
        lane.record.seconds["total"] = time.perf_counter() - self._clock
        lane.over = True

    def _mesh(self, lane: Lane) -> None:
        d = self.model.kernels.discretisation
        lane.record.points = np.asarray(self.model.points)
        lane.record.cells, lane.record.cell_regions = d.cells.copy(), d.regions.copy()

    def _note(self, kind: str, what: Any) -> None:
        if self.trajectory is not None:
            self.trajectory.append((kind, what))

    # ---- pilot

    def choose_steps(self) -> tuple[float, ...]:
        """The pilot: choose the step list of one lane by the error of each step; what happens to it is in its record."""
        lane = self.lanes[0]
        lane.steps = (np.inf,) * 10**6
        self.begin()
        events = self.problem.event_times()
        control = StepController(self.problem.steps, self.problem.breakpoints(), events)
        steps: list[float] = []
        while not lane.over and lane.now < lane.arm.duration * (1.0 - 1e-12):
            end = control.next_time(lane.now)
            taken = end - lane.now
            active, dt = self._mask(lambda lane: True), np.zeros(self.model.lanes)
            dt[0] = taken
            before = self.model.state
            good, ledger = self.model.step(dt, active, self._guess(dt))
            if not good[0]:
                self.model.state = before
                if taken <= self.problem.steps.first / 2**self.problem.steps.halvings:
                    self._fail_lane(0, lane)
                    break
                control.cut(taken)
                continue
            error = self._error(before, dt)
            if not control.accept(taken, float(error[0])):
                self.model.state = before
                continue
            lane.pending = [(end, 0)]
            steps.append(end)
            self._accept(good, before, dt, ledger, error)
            if any(same_time(t, end) for t in events):
                control.restart()
        if not lane.over:
            self._finish(lane)
        return tuple(steps)
