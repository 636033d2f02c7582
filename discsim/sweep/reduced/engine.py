"""The reduced engine: thousands of samples in seconds, each with its error bar; what it cannot vouch for runs at full order."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from discsim.problem.engine import Engine, ProgressHook
from discsim.problem.problem import Arm, Problem, same_time
from discsim.problem.record import ArmRecord
from discsim.problem.status import Status
from discsim.problem.steps import steps_through
from discsim.sweep.dosing import Deposits
from discsim.sweep.engine import SweepEngine
from discsim.sweep.forms import LEDGER
from discsim.sweep.kernels import Kernels
from discsim.sweep.reduced.certificate import Certificate, Checker
from discsim.sweep.reduced.forms import ReducedForms
from discsim.sweep.reduced.lanes import Course, Doses, course_of, ends_at, padded_lengths, pattern, stacked
from discsim.sweep.reduced.online import ReducedModel, ReducedState
from discsim.sweep.reduced.training import Trained

LANES = 48  # 16, 24, 32, 48 took 8.7, 9.2, 9.9, 8.0 ms a scenario, once each: little is to be had here


@dataclasses.dataclass(frozen=True)
class Training:
    """A trained study: the model, its certificate at the times ``records`` (s, the start included), the step list, the
    mesh by hash, and by arm the box of numbers it was trained in (lowest and highest, see ``box_numbers``)."""

    trained: Trained
    certificate: Certificate
    steps: tuple[float, ...]
    records: tuple[float, ...]
    mesh: str
    box: dict[str, tuple[np.ndarray, np.ndarray]]

    @functools.cached_property
    def certified(self) -> list[int]:
        """Numbers of the certified times among the ends of steps (0: the start)."""
        return sorted(ends_at((0.0, *self.steps), self.records))


@dataclasses.dataclass
class Found:
    """Lanes of one batch.

    ``values`` (lanes, ends of steps with the start, readouts), ``ledger`` (lanes, ends, cell fields, 4), ``amounts`` (lanes,
    ends, cell fields, 2) at the start and injected; at the certified times ``indicators`` (lanes, records, readouts), ``lacking``
    (lanes, records, 2) and ``margin`` (lanes, records); ``good`` (lanes,); Newton
    ``iterations`` of each; ``states`` at the certified times.
    """

    values: np.ndarray
    ledger: np.ndarray
    amounts: np.ndarray
    indicators: np.ndarray
    lacking: np.ndarray
    margin: np.ndarray
    good: np.ndarray
    iterations: int
    states: list[ReducedState]


class Reduced:
    """The reduced model of a study, without a certificate: problems in, numbers and indicators out."""

    def __init__(self, kernels: Kernels, points: np.ndarray, deposits: Deposits, trained: Trained, *, lanes: int = LANES) -> None:
        self.kernels, self.trained, self.lanes = kernels, trained, lanes
        forms = ReducedForms(kernels.forms, trained.used.solutes, trained.used.signals)
        every = ReducedForms(kernels.forms, trained.all_modes.solutes, trained.all_modes.signals)
        self.model = ReducedModel(forms, kernels.readouts, trained.sizes)
        self.checker = Checker(every, trained.used, kernels.readouts, trained.check_inverse, trained.sizes)
        self.tables, self.check = (jax.tree.map(jnp.asarray, t) for t in (trained.tables, trained.check))
        self.doses = Doses(kernels, deposits, points, trained)
        self.strain = len(trained.tables["strain"]["regions"])
        low, high = trained.near_rows.min(axis=0), trained.near_rows.max(axis=0)
        self._varying = np.flatnonzero(high > low)
        self._low, self._width = low[self._varying], (high - low)[self._varying]

    def solve(self, courses: Sequence[Course]) -> Found:
        """Numbers and indicators of up to ``lanes`` courses of one pattern."""
        count = len(courses)
        lanes = [*courses, *([courses[0]] * (self.lanes - count))]
        rows, _ = stacked(lanes, 0)
        resting, resting_check = self.prestress(rows)
        state = self.model.start(self.tables, rows, resting, self.near(rows))
        state = self.model.settle(self.tables, rows, state, np.ones(self.lanes, dtype=bool))
        start = np.asarray(self._amounts(state))[:count]
        injected = np.zeros_like(start)
        whole = sum(len(lengths) for lengths in lanes[0].lengths)
        most = 64 * -(-max(len(lengths) for lengths in lanes[0].lengths) // 64)  # few shapes, each of which is compiled
        values = np.empty((count, whole + 1, len(self.kernels.readouts)))
        ledger = np.empty((count, whole + 1, *state.ledger.shape[1:]))
        amounts = np.empty((count, whole + 1, start.shape[1], 2))
        seen, states = [], []
        for stop, end in enumerate(lanes[0].ends):
            if stop:
                lengths, steps = padded_lengths(lanes, stop - 1, most)
                state, series, ledgers = self.model.run(self.tables, rows, state, lengths, steps)
                within = slice(end - steps + 1, end + 1)
                values[:, within] = np.moveaxis(np.asarray(series)[:steps, :count], 0, 1)
                ledger[:, within] = np.moveaxis(np.asarray(ledgers)[:steps, :count], 0, 1)
                amounts[:, within] = np.stack([start, injected], axis=2)[:, None]
            rows, happened = stacked(lanes, stop)
            if happened.any():
                before = self._amounts(state)
                state = self._dosed(state, lanes, stop)
                injected = injected + np.asarray(self._amounts(state) - before)[:count]
                state = self.model.settle(self.tables, rows, state, happened)
            if happened.any() or not stop:
                values[:, end] = np.asarray(self.model.read(self.tables, rows, state))[:count]
                ledger[:, end] = np.asarray(state.ledger)[:count]
                amounts[:, end] = np.stack([start, injected], axis=2)
            if lanes[0].stops[stop][1]:
                seen.append(self.checker.look(self.check, rows, resting_check, state))
                states.append(state)
        indicators, lacking, margin = (np.stack([np.asarray(one[k])[:count] for one in seen], axis=1) for k in range(3))
        good = np.asarray(state.good)[:count] & np.isfinite(values).all(axis=(1, 2))
        iterations = int(np.asarray(state.iterations).sum())
        return Found(values, ledger, amounts, indicators, lacking, margin, good, iterations, states)

    def _amounts(self, state: Any) -> Any:
        """Amount of every cell field in the modelled part, (lanes, cell fields)."""
        cells = len(self.kernels.model.cells)
        return (state.pointwise[:, :cells, :, 0] * self.tables["pairs"]["amount_weight"][:, 0]).sum(axis=2)

    def prestress(self, rows: Any, xp: Any = np) -> tuple[Any, Any]:
        """Prestress of every lane at the strain points of the model and of its check, each (lanes, components, points, 1)."""
        found = self.trained.resting(rows[:, self.trained.person], xp)
        found = found.reshape(len(rows), len(self.model.forms.kinematics.pattern), -1)[..., None]
        return found[:, :, : self.strain], found[:, :, self.strain :]

    def near(self, rows: np.ndarray) -> np.ndarray:
        """Solutes at the start of the training run whose numbers are nearest."""
        if not self._varying.size:
            return np.broadcast_to(self.trained.near[0], (len(rows), self.trained.near.shape[1]))
        known = (self.trained.near_rows[:, self._varying] - self._low) / self._width
        asked = (rows[:, self._varying] - self._low) / self._width
        nearest = ((asked[:, None] - known[None]) ** 2).sum(axis=2).argmin(axis=1)
        return self.trained.near[nearest]

    def _dosed(self, state: Any, lanes: Sequence[Course], stop: int) -> Any:
        added = [self.doses.of(course.doses[stop]) for course in lanes]
        pointwise, signals = (np.stack([one[k] for one in added]) for k in (0, 1))
        return dataclasses.replace(state, pointwise=state.pointwise + pointwise, d=state.d + signals)


class ReducedEngine(Engine):
    """A reduced model with its certificate, and the full-order engine for what it cannot vouch for.

    ``tolerance``: half-width that an error bar may have, in parts of the value (a readout with an accuracy of its own has that
    instead). ``fallback`` False: nothing is recomputed, and what is not vouched for is told by its bars alone.
    """

    name = "reduced"

    def __init__(
        self, training: Training, *, lanes: int = LANES, device: str = "cpu", tolerance: float = 0.01, fallback: bool = True
    ) -> None:
        self.training, self.lanes, self.tolerance, self.fallback = training, lanes, tolerance, fallback
        self.full = SweepEngine(device=device)
        self._reduced: Reduced | None = None
        self.recomputed = 0

    def choose_steps(self, problem: Problem, report: Callable[[float, int], None] | None = None) -> tuple[float, ...]:
        """The step list of the training."""
        return self.training.steps

    def run(
        self, problem: Problem, progress: ProgressHook | None = None, steps: tuple[float, ...] | None = None
    ) -> list[ArmRecord]:
        """Solve every arm of one problem."""
        return self.run_many([problem], steps or self.choose_steps(problem))[0]

    def run_many(
        self, problems: Sequence[Problem], steps: tuple[float, ...], report: Callable[[int], None] | None = None
    ) -> list[list[ArmRecord]]:
        """Every arm of every problem on the step list of the training; arms that are not vouched for are run at full order."""
        self._check_steps(steps)
        problems = [dataclasses.replace(problem, field_times=()) for problem in problems]
        found: list[list[ArmRecord | None]] = [[None] * len(problem.arms) for problem in problems]
        again: list[tuple[int, int]] = []
        done = 0
        for places, records in self._solved(problems):
            for (sample, arm), record in zip(places, records, strict=True):
                if record is None:
                    again.append((sample, arm))
                else:
                    found[sample][arm] = record
                    done += 1
            if report is not None:
                report(done)
        for sample, members in itertools.groupby(sorted(again), key=lambda place: place[0]):
            arms = [arm for _, arm in members]  # together: arms of a person share the search for its prestress
            for arm, record in zip(arms, self._full(problems[sample], arms), strict=True):
                found[sample][arm] = record
            done += len(arms)
            if report is not None:
                report(done)
        self.recomputed += len(again)
        return [[record for record in records if record is not None] for records in found]

    def run_in_pieces(self, problems: Sequence[Problem], steps: tuple[float, ...], pieces: int) -> list[list[ArmRecord]]:
        """All at full order: the reduced model steps as it was trained to."""
        found = self.full.run_in_pieces(problems, steps, pieces)
        return [[dataclasses.replace(record, engine=self.full.name) for record in records] for records in found]

    def reduced(self, problem: Problem) -> Reduced:
        """The reduced model, made at its first use."""
        if self._reduced is None:
            model, discretisation = self.full.model(problem, problem.arms[0])
            points = np.asarray(model.points)
            self._reduced = Reduced(model.kernels, points, Deposits(discretisation), self.training.trained, lanes=self.lanes)
        return self._reduced

    def _check_steps(self, steps: tuple[float, ...]) -> None:
        mine = self.training.steps
        if len(steps) != len(mine) or not all(same_time(a, b) for a, b in zip(steps, mine, strict=True)):
            raise ValueError("the reduced engine steps as it was trained to; train it anew for another step list")

    def _solved(self, problems: Sequence[Problem]) -> Iterator[tuple[list[tuple[int, int]], list[ArmRecord | None]]]:
        """Batches of lanes: which sample and arm each is, and its record, or nothing where the full engine has to do it."""
        if not problems:
            return
        reduced = self.reduced(problems[0])
        groups: dict[Any, list[tuple[tuple[int, int], Course]]] = {}
        outside: list[tuple[int, int]] = []
        for sample, problem in enumerate(problems):
            for number, arm in enumerate(problem.arms):
                if not self.inside(reduced.kernels, problem, arm):
                    outside.append((sample, number))
                    continue
                course = course_of(problem, arm, reduced.kernels, self.training.steps, self.training.records)
                groups.setdefault(pattern(course), []).append(((sample, number), course))
        if outside:
            yield outside, [None] * len(outside)
        for group in groups.values():
            group.sort(key=lambda placed: placed[0][1])  # by arm: what lanes of one arm need is asked for by all or by none
            for first in range(0, len(group), self.lanes):
                chunk = group[first : first + self.lanes]
                yield [place for place, _ in chunk], self._records(problems[0], reduced, [course for _, course in chunk])

    def inside(self, kernels: Kernels, problem: Problem, arm: Arm) -> bool:
        """Whether an arm lies in the trained box."""
        if arm.name not in self.training.box or arm.mesh.hash != self.training.mesh or arm.start != "preset":
            return False
        if steps_through(self.training.steps, problem) != self.training.steps:
            return False
        numbers = box_numbers(kernels, problem, arm)
        low, high = self.training.box[arm.name]
        return len(numbers) == len(low) and bool(((numbers >= low) & (numbers <= high)).all())

    def _records(self, problem: Problem, reduced: Reduced, courses: list[Course]) -> list[ArmRecord | None]:
        began = time.perf_counter()
        found = reduced.solve(courses)
        seconds = (time.perf_counter() - began) / len(courses)
        bars = self.training.certificate.bars(found.indicators, found.lacking)
        trusted = found.good & (found.margin > 0.0).all(axis=1)
        if self.fallback:
            trusted &= (bars <= self.allowed(problem, found.values[:, self.training.certified])).all(axis=(1, 2))
        records: list[ArmRecord | None] = []
        for lane, course in enumerate(courses):
            if not trusted[lane] and (self.fallback or not found.good[lane]):
                records.append(None)
                continue
            records.append(self._record(problem, course, found, bars, lane, seconds))
        return records

    def allowed(self, problem: Problem, values: np.ndarray) -> np.ndarray:
        """Largest half-width that is accepted, (lanes, records, readouts)."""
        own = np.array([readout.accuracy for readout in problem.readouts])
        return np.where(own > 0.0, own, self.tolerance * np.abs(values))

    def _record(self, problem: Problem, course: Course, found: Found, bars: np.ndarray, lane: int, seconds: float) -> ArmRecord:
        times = [0.0, *self.training.steps]
        record = ArmRecord(course.arm.name, times=times, status=Status.OK, engine=self.name)
        for index, readout in enumerate(problem.readouts):
            record.readouts[readout.name] = found.values[lane, :, index].tolist()
            bar = np.full(len(times), np.nan)  # only the times of the study's table have one
            bar[self.training.certified] = bars[lane, :, index]
            record.bars[readout.name] = bar.tolist()
        share = self.full_share()
        for index, name in enumerate(self.reduced(problem).kernels.model.cells):
            for column, key in enumerate(("start", "injected")):
                record.ledger[f"{name}:{key}"] = (found.amounts[lane, :, index, column] * share).tolist()
            for column, key in enumerate(LEDGER):
                record.ledger[f"{name}:{key}"] = (found.ledger[lane, :, index, column] * share).tolist()
        record.seconds["total"] = seconds
        record.history = [{"time": t, "cuts": 0, "iterations": 0, "factorisations": 0} for t in times[1:]]
        record.history[-1]["iterations"] = found.iterations
        return record

    def full_share(self) -> float:
        """Whole disc over modelled part."""
        assert self._reduced is not None
        return self._reduced.kernels.forms.share

    def _full(self, problem: Problem, arms: Sequence[int]) -> list[ArmRecord]:
        """Some arms at full order."""
        asked = dataclasses.replace(problem, arms=tuple(problem.arms[arm] for arm in arms))
        records = self.full.run_many([asked], self.training.steps)[0]
        for record in records:
            record.engine = self.full.name
        return records


def box_numbers(kernels: Kernels, problem: Problem, arm: Arm) -> np.ndarray:
    """All numbers that decide an arm: its rows, and amount, volume and time of every dose, times of changes. (n,)"""
    numbers = [kernels.layout.pack(arm.values)]
    for at, changes in sorted(arm.changes, key=lambda change: change[0]):
        row = numbers[0].copy()
        kernels.layout.update(row, changes)
        numbers.append(np.append(row, at))
    doses = [(dose.at, dose.amount, dose.place.volume) for dose in arm.doses]
    return np.concatenate([*numbers, *(np.array(dose) for dose in doses)])


def box_of(kernels: Kernels, problems: Sequence[Problem]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By arm the least and greatest of every number over some problems; round-off is allowed for."""
    found = {}
    for index, arm in enumerate(problems[0].arms):
        numbers = np.stack([box_numbers(kernels, problem, problem.arms[index]) for problem in problems])
        slack = 1e-9 * np.abs(numbers).max(axis=0)
        found[arm.name] = (numbers.min(axis=0) - slack, numbers.max(axis=0) + slack)
    return found
