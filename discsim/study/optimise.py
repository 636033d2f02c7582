"""The best dose, place, volume or time of a therapy under constraints, by gradients of the whole simulation.

    maximise r(p) with low <= p <= high and r_j(p, t) >= limit_j (or <=) at each time t asked for

Method: SLSQP of scipy.optimize (sequential quadratic programming), with derivatives from the run back in time; scipy, because
of the fixed packages it alone has constrained optimisation (optax and optimistix have none). Numbers are scaled to 0..1 over
their range, on a log scale where the design says so; the objective by its first gradient; every constraint by its limit. A
minimum over time is one constraint per output time, because the least of several is not differentiable. The search is local: it
finds the best point near where the file has the numbers. Constraints are asked for with a margin of ``tolerance`` of their
limit, so that what is found keeps the limit itself. A run that fails at a trial point is shown, counts as far worse than the
point before, and the search steps back from it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from discsim.problem.steps import calendar_order, warped_steps
from discsim.quantities.parameters import EVIDENCE_WORDS
from discsim.quantities.units import time_words
from discsim.scenario.readouts import READOUTS
from discsim.study.acting import VOLUME_WORDS, acts
from discsim.study.gradient import DifferentiableRun, GradientError
from discsim.study.messages import ConfigError
from discsim.study.numbers import with_values
from discsim.study.optimise_terms import Constraint, Goal, OptimiseError, Variable
from discsim.study.rests import Rest, rests_on

if TYPE_CHECKING:
    from discsim.problem.engine import Engine
    from discsim.problem.problem import Problem
    from discsim.study.reduced_run import ReducedRun, ReducedRuns
    from discsim.study.study import Study
    from discsim.sweep.engine import SweepEngine

    Run = DifferentiableRun | ReducedRun

Floats = NDArray[np.float64]

TOLERANCE = 1e-3
MOST_EVALUATIONS = 40
KEPT_RUNS = 3  # whose way is kept, so that gradients may be asked without another run forward
FAR_WORSE = 10.0  # of the scaled objective, which changes by about one over a range


@dataclasses.dataclass(frozen=True)
class Trial:
    """One evaluated point: values in the order of the variables, the objective, the value of every constraint's readout at
    every time (constraint after constraint), and how the run ended. Nothing where it failed."""

    number: int
    values: tuple[float, ...]
    objective: float | None
    constraints: tuple[float, ...]
    feasible: bool
    status: str
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Optimum:
    """What was found. ``best``: the best trial that keeps every constraint, or nothing; ``gradient``: of the objective at it, by
    path and declared unit; ``constraint_gradients``: of each active constraint's readout; ``active``: bounds and constraints that
    hold it there, in words; ``ended``: why the search ended; ``pilots``: runs that chose steps; ``reduced``: points that the
    reduced model was tried at before."""

    scenario: str
    goal: Goal
    constraints: tuple[Constraint, ...]
    variables: tuple[Variable, ...]
    trials: tuple[Trial, ...]
    best: Trial | None
    gradient: dict[str, float]
    constraint_gradients: dict[str, dict[str, float]]
    active: tuple[str, ...]
    converged: bool
    ended: str
    forwards: int
    backwards: int
    pilots: int
    rests: tuple[Rest, ...]
    evidence: dict[str, int]
    reduced: tuple[Trial, ...] = ()


class _Enough(Exception):
    """The search must end here; the text says why."""


def optimise(
    study: Study,
    scenario: str,
    goal: Goal,
    variables: Sequence[Variable],
    constraints: Sequence[Constraint] = (),
    *,
    engine: SweepEngine | None = None,
    steps: tuple[float, ...] | None = None,
    tolerance: float = TOLERANCE,
    most: int = MOST_EVALUATIONS,
    report: Callable[[Trial], None] | None = None,
    reduced: ReducedRuns | None = None,
) -> Optimum:
    """Search; see the module. ``report`` is told of every evaluated point; ``most``: evaluations after which the search ends.

    ``reduced``: search with the reduced model first; the full-order search then begins at what that found, so that the answer
    is one of full order either way. Raises ``OptimiseError`` where nothing can be searched; a search that finds no feasible point
    returns one without ``best``.
    """
    chosen, wanted = tuple(variables), tuple(constraints)
    before: tuple[Trial, ...] = ()
    if reduced is not None:
        quick = _Search(study, scenario, goal, chosen, wanted, reduced.engine, None, tolerance, most, report, reduced.run)
        quick.run()
        before, best = tuple(quick.trials.values()), quick.best()
        if best is not None:
            chosen = tuple(dataclasses.replace(v, start=value) for v, value in zip(chosen, best.values, strict=True))
    search = _Search(study, scenario, goal, chosen, wanted, engine, steps, tolerance, most, report)
    converged, ended = search.run()
    return dataclasses.replace(search.optimum(converged, ended), reduced=before)


class _Search:
    def __init__(
        self,
        study: Study,
        scenario: str,
        goal: Goal,
        variables: tuple[Variable, ...],
        constraints: tuple[Constraint, ...],
        engine: Engine | None,
        steps: tuple[float, ...] | None,
        tolerance: float,
        most: int,
        report: Callable[[Trial], None] | None,
        run_of: Callable[[Study, tuple[float, ...]], Run] | None = None,
    ) -> None:
        from discsim.sweep.engine import SweepEngine

        if scenario not in study.scenarios:
            raise OptimiseError(f"--scenario {scenario}: there is {', '.join(study.scenarios)}")
        wanted = dict.fromkeys((*study.readouts, goal.readout, *(c.readout for c in constraints)))
        self.study = dataclasses.replace(study, readouts=tuple(wanted))
        for variable in variables:
            other = variable.low if variable.start > 0.5 * (variable.low + variable.high) else variable.high
            if not acts(study, scenario, variable.path, other):  # known before anything is compiled
                raise OptimiseError(_idle(variable.path, scenario))
        self.scenario, self.goal, self.variables, self.constraints = scenario, goal, variables, constraints
        self.engine: Engine = engine if engine is not None else SweepEngine()
        self.run_of = run_of if run_of is not None else self._full_run
        self.tolerance, self.most, self.report = tolerance, most, report
        self.places = [(constraint, time) for constraint in constraints for time in constraint.times]
        self.trials: dict[tuple[float, ...], Trial] = {}
        self.runs: dict[tuple[float, ...], Run] = {}
        self.forwards = self.backwards = self.pilots = 0
        self.reference = self.study.problem()
        self.steps = steps
        self.scale = 1.0
        self.last_good: Trial | None = None

    # ---- one point

    def values(self, x: Floats) -> tuple[float, ...]:
        """The numbers at some shares; shares that differ by far less than the tolerance are one point."""
        grains = round(100.0 / self.tolerance)

        def number(variable: Variable, share: float) -> float:
            grain = round(share * grains)
            return variable.start if grain == round(variable.share(variable.start) * grains) else variable.value(grain / grains)

        return tuple(number(variable, float(share)) for variable, share in zip(self.variables, x, strict=True))

    def trial(self, x: Floats) -> Trial:
        values = self.values(x)
        if values not in self.trials:
            if len(self.trials) >= self.most:
                raise _Enough(f"stopped after {self.most} evaluations")
            self.trials[values] = self._evaluate(len(self.trials) + 1, values)
            if self.report is not None:
                self.report(self.trials[values])
        found = self.trials[values]
        if found.objective is not None:
            self.last_good = found
        return found

    def _evaluate(self, number: int, values: tuple[float, ...]) -> Trial:
        try:
            run = self._forward(values)
        except (ConfigError, GradientError) as error:
            return Trial(number, values, None, (), False, "invalid_input", " ".join(str(error).split()))
        record = run.record
        if not record.status.good:
            return Trial(number, values, None, (), False, str(record.status), str(record.failure))
        found = tuple(run.value(constraint.readout, time) for constraint, time in self.places)
        keeps = all(constraint.margin(value) >= 0.0 for (constraint, _), value in zip(self.places, found, strict=True))
        return Trial(number, values, run.value(self.goal.readout, self.goal.time), found, keeps, str(record.status))

    def _full_run(self, study: Study, steps: tuple[float, ...]) -> Run:
        from discsim.sweep.engine import SweepEngine

        assert isinstance(self.engine, SweepEngine)
        return DifferentiableRun(study, self.scenario, self.engine, steps)

    def _forward(self, values: tuple[float, ...]) -> Run:
        study = with_values(self.study, dict(zip((v.path for v in self.variables), values, strict=True)))
        run = self.run_of(study, self._steps_of(study.problem()))
        self.forwards += 1
        self.runs[values] = run
        best = self.best()
        while len(self.runs) > KEPT_RUNS:
            self.runs.pop(next(key for key in self.runs if best is None or key != best.values))
        return run

    def best(self) -> Trial | None:
        """The best point so far that keeps every constraint."""
        keeping = [trial for trial in self.trials.values() if trial.feasible and trial.objective is not None]
        return max(keeping, key=lambda trial: -self._way * (trial.objective or 0.0), default=None)

    def _steps_of(self, problem: Problem) -> tuple[float, ...]:
        """The steps of the study, moved along with doses and events; chosen anew only where these change their order."""
        if self.steps is None or calendar_order(problem) != calendar_order(self.reference):
            self.steps, self.reference = self.engine.choose_steps(problem), problem
            self.pilots += 1
        return warped_steps(self.steps, self.reference, problem)

    def slopes(self, x: Floats, readout: str, time: float) -> Floats:
        """Derivatives of a readout by the shares of the variables."""
        values = self.values(x)
        by_path = self._by_path(values, readout, time)
        return np.array([by_path[v.path] * v.slope(value) for v, value in zip(self.variables, values, strict=True)])

    def _by_path(self, values: tuple[float, ...], readout: str, time: float) -> dict[str, float]:
        run = self.runs.get(values) or self._forward(values)
        before = run.backwards
        try:
            found = dict(run.slope(readout, time, [v.path for v in self.variables]).derivatives)
        except GradientError as error:
            raise _Enough(f"no gradient here: {error}") from None
        finally:
            self.backwards += run.backwards - before
        return found

    # ---- the search

    def run(self) -> tuple[bool, str]:
        from scipy.optimize import minimize

        start = np.array([variable.share(variable.start) for variable in self.variables])
        first = self.trial(start)
        if first.objective is None:
            raise OptimiseError(f"the run to start from failed: {first.reason}; start elsewhere, such as --set PATH=VALUE")
        try:
            slopes = self.slopes(start, self.goal.readout, self.goal.time)
            self._check_acting(start, slopes)
            self.scale = float(np.linalg.norm(slopes)) or 1.0
            found = minimize(
                self._objective,
                start,
                jac=self._objective_slope,
                bounds=[(0.0, 1.0)] * len(start),
                constraints=[{"type": "ineq", "fun": self._margins, "jac": self._margin_slopes}] if self.places else [],
                method="SLSQP",
                options={"ftol": self.tolerance, "maxiter": self.most},
            )
        except _Enough as reason:
            return False, str(reason)
        return bool(found.success), str(found.message)

    def _check_acting(self, start: Floats, slopes: Floats) -> None:
        """Refuse a number by which neither the goal nor any constraint changes at all."""
        still = slopes == 0.0
        for constraint, time in self.places if still.any() else ():
            still &= self.slopes(start, constraint.readout, time) == 0.0
        for variable, idle in zip(self.variables, still, strict=True):
            if idle:
                raise OptimiseError(_idle(variable.path, self.scenario))

    @property
    def _way(self) -> float:
        return -1.0 if self.goal.maximise else 1.0

    def _objective(self, x: Floats) -> float:
        found = self.trial(x).objective
        if found is None:
            assert self.last_good is not None and self.last_good.objective is not None
            return self._way * self.last_good.objective / self.scale + FAR_WORSE
        return self._way * found / self.scale

    def _objective_slope(self, x: Floats) -> Floats:
        self._need_good(x)
        return self._way * self.slopes(x, self.goal.readout, self.goal.time) / self.scale

    def _margins(self, x: Floats) -> Floats:
        found = self.trial(x)
        if found.objective is None:
            return np.full(len(self.places), -FAR_WORSE)
        margins = [
            c.margin(value) / c.size - self.tolerance for (c, _), value in zip(self.places, found.constraints, strict=True)
        ]
        return np.array(margins)

    def _margin_slopes(self, x: Floats) -> Floats:
        self._need_good(x)
        return np.array([c.sign * self.slopes(x, c.readout, time) / c.size for c, time in self.places])

    def _need_good(self, x: Floats) -> None:
        if self.trial(x).objective is None:
            raise _Enough("the search could not step back from a run that failed")

    # ---- what was found

    def optimum(self, converged: bool, ended: str) -> Optimum:
        from discsim.study.parameter_table import used_parameters

        best = self.best()
        slope: dict[str, float] = {}
        held: dict[str, dict[str, float]] = {}
        rests: tuple[Rest, ...] = ()
        active: tuple[str, ...] = ()
        parameters = [
            row
            for row in used_parameters(self.study.scenarios, self.reference)
            if row.scenario == self.scenario and not row.choice
        ]
        evidence = {word: sum(row.evidence == word for row in parameters) for word in EVIDENCE_WORDS}
        if best is not None:
            places = self._active_places(best)
            asked = {"objective": (self.goal.readout, self.goal.time)}
            asked |= {_name(*self.places[i]): (self.places[i][0].readout, self.places[i][1]) for i in places}
            try:
                slope = self._by_path(best.values, *asked["objective"])
                held = {name: self._by_path(best.values, *what) for name, what in asked.items() if name != "objective"}
                run = self.runs[best.values]
                assert isinstance(run, DifferentiableRun)
                rests = rests_on(run, asked, parameters)
            except _Enough as reason:
                ended = ended if str(reason) in ended else f"{ended}; {reason}"
            active = self._holding(best, slope, held, places)
        return Optimum(
            self.scenario, self.goal, self.constraints, self.variables, tuple(self.trials.values()), best, slope, held, active,
            converged, ended, self.forwards, self.backwards, self.pilots, rests, evidence,
        )  # fmt: skip

    def _holding(
        self, best: Trial, slope: Mapping[str, float], held: Mapping[str, Mapping[str, float]], places: Sequence[int]
    ) -> tuple[str, ...]:
        """Bounds and constraints, within the tolerance, that a step towards a better goal would leave; where slopes are not
        known, all that are that near."""
        numbers = list(zip(self.variables, best.values, strict=True))
        better = {v.path: (1.0 if self.goal.maximise else -1.0) * slope[v.path] * v.slope(x) for v, x in numbers if slope}
        found = []
        for variable, value in numbers:
            for name, bound, share, outward in (("lower", variable.low, 0.0, -1.0), ("upper", variable.high, 1.0, 1.0)):
                if abs(variable.share(value) - share) <= self.tolerance and outward * better.get(variable.path, outward) > 0.0:
                    found.append(f"{variable.path} at its {name} end {bound:g} {variable.unit}".rstrip())
        for i in places:
            constraint, time = self.places[i]
            by = held.get(_name(constraint, time), {})
            change = sum(better[v.path] * constraint.sign * by[v.path] * v.slope(x) for v, x in numbers if better and by)
            if change < 0.0 or not (better and by):
                found.append(self._words(constraint, time, best.constraints[i]))
        return tuple(found)

    def _active_places(self, best: Trial) -> list[int]:
        near = 3.0 * self.tolerance
        return [
            i for i, (constraint, _) in enumerate(self.places) if constraint.margin(best.constraints[i]) <= near * constraint.size
        ]

    @staticmethod
    def _words(constraint: Constraint, time: float, value: float) -> str:
        unit = "" if (word := READOUTS[constraint.readout].unit) in ("1", "dimensionless") else f" {word}"
        limit = f"{constraint.readout} {constraint.sense} {constraint.limit:g}{unit}"
        return f"{limit} at {time_words(time)} (is {value:.5g}{unit})"


def _idle(path: str, scenario: str) -> str:
    why = f"; {VOLUME_WORDS}" if path.endswith(".volume") else ""
    return f"--over {path}: does not act on {scenario}: neither goal nor constraints change with it{why}"


def _name(constraint: Constraint, time: float) -> str:
    return f"{constraint.readout}@{time_words(time)}"
