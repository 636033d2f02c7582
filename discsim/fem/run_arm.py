"""One arm through time: start, events, shared steps with cut and retry, record."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from discsim.fem.disc_model import DiscModel
from discsim.fem.homeostasis import start_from_homeostasis
from discsim.problem.problem import Arm, Problem
from discsim.problem.record import ArmRecord, FieldFrame
from discsim.problem.status import ADVICE, Failure, Status, StepFailed, StepTooCoarse
from discsim.problem.steps import FOLLOWER_FACTOR, StepController, same_time


class ArmRun:
    """Runs one arm on a compiled model."""

    def __init__(self, model: DiscModel, problem: Problem, arm: Arm) -> None:
        self.model, self.problem, self.arm = model, problem, arm
        self.record = ArmRecord(arm.name)
        self.now, self.retried, self.cuts = 0.0, False, 0
        self._scale: dict[str, float] = {}
        self._previous: tuple[float, dict[str, np.ndarray]] | None = None
        self._ledger: dict[str, float] = {}
        self._clock = time.perf_counter()

    def begin(self) -> bool:
        """Start state and events at time zero; false where the start fails (the record says why)."""
        try:
            if self.arm.start == "homeostasis":
                start_from_homeostasis(self.model)
            else:
                self.model.start_from_preset()
            for name, amount in self.model.totals().items():
                self._ledger |= {f"{name}:start": amount, f"{name}:injected": 0.0}
                self._ledger |= {f"{name}:{key}": 0.0 for key in ("born", "died", "gained", "left")}
            self._apply_events()
        except StepFailed as failure:
            self._fail(failure)
            return False
        self.record.seconds["start"] = time.perf_counter() - self._clock
        self._write()
        return True

    def _apply_events(self) -> None:
        """Doses and parameter changes that fall on the present time; solutes settle anew, no time passes."""
        saved = self.model.state.copy()
        try:
            happened = self._events_now()
        except StepFailed:
            self.model.state.restore(saved)
            raise
        if happened or any(same_time(t, self.now) for t in self.problem.event_times()):
            self._previous = None  # the line through the last two states means nothing across an event

    def _events_now(self) -> bool:
        happened = False
        for at, changes in self.arm.changes:
            if same_time(at, self.now):
                self.model.set_parameters(changes)
                happened = True
        for dose in self.arm.doses:
            if same_time(dose.at, self.now):
                found = self.model.deposit(dose)
                if f"{dose.field}:injected" in self._ledger:
                    self._ledger[f"{dose.field}:injected"] += found
                happened = True
        if happened:
            self.model.settle()
        return happened

    def advance(self, end: float, limit: float) -> float:
        """One shared step to ``end``, cut where it must be; returns its error. Raises ``StepFailed`` where hopeless."""
        depth = self.problem.steps.halvings
        worst = self._advance(end, limit, depth)
        self.now = end
        self._apply_events()
        self._write()
        return worst

    def _advance(self, end: float, limit: float, depth: int) -> float:
        start, dt = self.now, end - self.now
        saved, state = self.model.state.copy(), self._arrays()
        try:
            ledger = self.model.step(dt)
            error = self._error(state, dt)
            # the first steps after an event have no history to judge them by; the pilot accepts them too
            if error > limit and depth > 0 and dt > 1.001 * self.problem.steps.first:
                raise StepTooCoarse(Status.NONCONVERGED, f"step error {error:.2g} above {limit:.2g}")
        except StepFailed as failure:
            self.model.state.restore(saved)
            if depth == 0:
                raise
            self.cuts += 1
            # only a failed solve counts as a retry in the status; a step cut for accuracy is the method at work
            self.retried |= not isinstance(failure, StepTooCoarse)
            middle = start + 0.5 * dt
            first = self._advance(middle, limit, depth - 1)
            self.now = middle
            return max(first, self._advance(end, limit, depth - 1))
        self._accept(ledger, start, dt, state, error)
        return error

    def _accept(
        self, ledger: dict[str, dict[str, float]], start: float, dt: float, state: dict[str, np.ndarray], error: float
    ) -> None:
        for name, entries in ledger.items():
            for key, amount in entries.items():
                self._ledger[f"{name}:{key}"] += amount * self.model.share
        self._previous = (dt, state)
        counts = [(s.iterations, s.factorisations) for s in self.model.solvers()]
        self.record.history.append(
            {
                "time": start + dt,
                "dt": dt,
                "error": error,
                "iterations": sum(i for i, _ in counts),
                "factorisations": sum(f for _, f in counts),
                "cuts": self.cuts,
            }
        )

    def _arrays(self) -> dict[str, np.ndarray]:
        state = self.model.state
        arrays = {name: function.x.array.copy() for name, function in state.pointwise.items()}
        arrays |= {name: values.copy() for name, values in state.signal_values().items()}
        fields = self.model.composition.fields
        for name, values in arrays.items():
            least = fields[name].scale * values.size**0.5
            self._scale[name] = max(self._scale.get(name, least), float(np.linalg.norm(values)))
        return arrays

    def _error(self, before: dict[str, np.ndarray], dt: float) -> float:
        """Distance of the new state from the line through the two before, over the largest size each field had."""
        now, worst = self._arrays(), 0.0
        for name, new in now.items():
            guess = before[name]
            if self._previous is not None:
                taken, older = self._previous
                guess = guess + (dt / taken) * (guess - older[name])
            worst = max(worst, 0.5 * float(np.linalg.norm(new - guess)) / self._scale[name])
        return worst

    def _write(self) -> None:
        record, snapshot = self.record, self.model.snapshot()
        record.times.append(self.now)
        for readout in self.problem.readouts:
            record.readouts.setdefault(readout.name, []).append(float(readout.function(snapshot)))
        for key, amount in self._ledger.items():
            record.ledger.setdefault(key, []).append(amount)
        if any(same_time(t, self.now) for t in self.problem.field_times):
            self._frame()

    def _frame(self) -> None:
        corners, displacement = self.model.frame_arrays()
        self.record.frames.append(FieldFrame(self.now, corners, displacement))

    def finish(self) -> ArmRecord:
        """Close the record of an arm that reached the end."""
        self._mesh()
        self.record.status = Status.OK_RETRIED if self.retried else Status.OK
        self.record.seconds["total"] = time.perf_counter() - self._clock
        return self.record

    def _fail(self, failure: StepFailed) -> None:
        self._mesh()
        if self.record.times and self.problem.field_times and not any(same_time(f.time, self.now) for f in self.record.frames):
            self._frame()  # the last good state: what the disc looked like when the run ended
        self.record.status = failure.status
        advice = ADVICE.get(failure.status, "See the step history.")
        self.record.failure = Failure(failure.status, failure.reason, self.now, advice)
        self.record.seconds["total"] = time.perf_counter() - self._clock

    def _mesh(self) -> None:
        spaces = self.model.spaces
        self.record.points = spaces.positions()
        self.record.cells = np.asarray(spaces.vertex_of_corner).copy()
        self.record.cell_regions = spaces.regions.copy()

    def follow(self, steps: tuple[float, ...], report: Callable[[float, float, int], None]) -> ArmRecord:
        """The whole arm on a given step list; ``report(time, dt, step)`` after every step."""
        if not self.begin():
            return self.record
        limit = FOLLOWER_FACTOR * self.problem.steps.tolerance
        for number, end in enumerate(steps, start=1):
            dt = end - self.now
            try:
                self.advance(end, limit)
            except StepFailed as failure:
                self._fail(failure)
                return self.record
            report(self.now, dt, number)
        return self.finish()

    def choose_steps(self, report: Callable[[float, float, int], None]) -> tuple[float, ...]:
        """The pilot: choose the step list by the error of each step; what happens to the arm is in ``record``."""
        if not self.begin():
            return ()
        events = self.problem.event_times()
        control = StepController(self.problem.steps, self.problem.breakpoints(), events)
        steps: list[float] = []
        while self.now < self.arm.duration * (1.0 - 1e-12):
            end = control.next_time(self.now)
            dt = end - self.now
            saved, ledger = self.model.state.copy(), dict(self._ledger)
            previous, history = self._previous, len(self.record.history)
            try:
                error = self._advance(end, np.inf, 0)
            except StepFailed as failure:
                if dt <= self.problem.steps.first / 2**self.problem.steps.halvings:
                    self._fail(failure)
                    return tuple(steps)
                control.cut(dt)
                continue
            if not control.accept(dt, error):
                self.model.state.restore(saved)
                self._ledger, self._previous = ledger, previous
                del self.record.history[history:]
                continue
            self.now = end
            steps.append(end)
            try:
                self._apply_events()
            except StepFailed as failure:
                self._fail(failure)
                return tuple(steps)
            self._write()
            if any(same_time(t, end) for t in events):
                control.restart()
            report(end, dt, len(steps))
        self.finish()
        return tuple(steps)
