"""Gradients of readouts by any number of the experiment file, from one run forward and one run back in time per readout.

    dr/dp = sum_k (dr/dy_k) (dy_k/dp)

p: a number of the file, named by its path as in [design.vary], in the unit of its declaration; y: what the engine is given
(parameter rows from the start and from every event on, amounts and bolus volumes of doses, ends of steps, vertex coordinates).
dr/dy comes from the adjoint of the discrete equations, whatever the number of parameters. dy/dp is taken by central differences
of the map from file to y, which solves nothing: it is piecewise polynomial of low degree (products of two numbers, unit factors,
scaled coordinates), so that the differences are exact to about 1e-9. At a bound they are one-sided. Valid where r is smooth: a
number at a kink of its map, a time on another time of the calendar, or a number that an event sets to what it is already is
refused; extrema over the disc have one-sided slopes where their place jumps. The step list counts as given, save that it
stretches with the times of doses and events.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from discsim.problem.steps import calendar_warp
from discsim.study.numbers import file_of, limits, nominal_values, with_values
from discsim.study.paths import Spot

if TYPE_CHECKING:
    from discsim.problem.problem import Arm, Problem
    from discsim.problem.record import ArmRecord
    from discsim.study.study import Study
    from discsim.sweep.adjoint import Gradient
    from discsim.sweep.engine import SweepEngine

Floats = NDArray[np.float64]

RELATIVE_STEP = 1e-5  # of the differences, by a number's size (by its range where it is zero)
KINK = 1e-3  # slopes to both sides that differ by more than this share are those of a kink
SAME_TIME = 1.0  # s


class GradientError(ValueError):
    """Why there is no derivative; one line."""


@dataclasses.dataclass(frozen=True)
class Slope:
    """A readout at a time (in its unit) and its derivatives by path, per declared unit of each number."""

    value: float
    derivatives: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What the engine is given for one arm, as arrays: the row from the start and after each time of changes, and the rest."""

    rows: Floats
    amounts: Floats
    volumes: Floats
    points: Floats
    ends: Floats

    def parts(self) -> tuple[Floats, ...]:
        """The arrays in order."""
        return self.rows, self.amounts, self.volumes, self.points, self.ends


def gradient(
    study: Study,
    scenario: str,
    readouts: Sequence[str],
    time: float,
    paths: Iterable[str],
    engine: SweepEngine | None = None,
    steps: tuple[float, ...] | None = None,
) -> dict[str, Slope]:
    """Readouts of a scenario at an output time (s) and their derivatives by numbers of the file; see the module.

    ``steps``: step list (s) of the study, that of the engine's pilot where left out. Raises ``GradientError`` where there is no
    derivative, ``ConfigError`` for a path that names no number.
    """
    run = DifferentiableRun(study, scenario, engine, steps)
    paths = tuple(paths)
    return {readout: run.slope(readout, time, paths) for readout in readouts}


class DifferentiableRun:
    """One scenario run forward once, of which gradients may be asked, each at the cost of one run back.

    ``forwards`` and ``backwards`` count the runs. Other runs of the same engine in between do no harm.
    """

    def __init__(
        self, study: Study, scenario: str, engine: SweepEngine | None = None, steps: tuple[float, ...] | None = None
    ) -> None:
        from discsim.sweep.adjoint import Adjoint
        from discsim.sweep.engine import SweepEngine

        if scenario not in study.scenarios:
            raise GradientError(f"scenario {scenario!r}: there is {', '.join(study.scenarios)}")
        if study.scenarios[scenario].start != "preset":
            raise GradientError(f'{scenario}: gradients do not go through the search for homeostasis; use start = "preset"')
        self.study, self.scenario, self.forwards, self.backwards = study, scenario, 1, 0
        self.problem = study.problem()
        self.arm = _arm_of(self.problem, scenario)
        self.engine = engine if engine is not None else SweepEngine()
        self.steps = self.engine.choose_steps(self.problem) if steps is None else steps
        self._adjoint = Adjoint(self.engine.batch(self.problem, self.arm), self.problem, self.arm, self.steps)
        model = self._adjoint.model
        model.rounds = None  # the notes of this run keep their own; later runs of the model need none
        self._prestress = model.prestress
        self._layout, self._discretisation = model.kernels.layout, model.kernels.discretisation
        self._gradients: dict[tuple[str, float], Gradient] = {}
        self._maps: dict[str, Inputs] = {}

    @property
    def record(self) -> ArmRecord:
        """The forward run, with status and step history."""
        return self._adjoint.record

    def value(self, readout: str, time: float) -> float:
        """A readout at an output time (s)."""
        return float(self._series(readout)[self._index(time)])

    def slope(self, readout: str, time: float, paths: Iterable[str]) -> Slope:
        """A readout at an output time (s), and its derivatives by numbers of the file."""
        found = self.lane_gradient(readout, time)
        return Slope(found.value, {path: self._chained(found, path) for path in paths})

    def lane_gradient(self, readout: str, time: float) -> Gradient:
        """Derivatives by what the engine is given; run back once per readout and time."""
        self._series(readout)
        when = self.record.times[self._index(time)]
        if (readout, when) not in self._gradients:
            model = self._adjoint.model
            if model.mesh_hash != self.arm.mesh.hash:  # another run has used the model since
                model.set_points(self._discretisation.points_of(self.arm.mesh))
                model.mesh_hash = self.arm.mesh.hash
            model.prestress = self._prestress
            self._gradients[readout, when] = _shared_by_twins(self._adjoint.gradient(readout, when), self.arm)
            self.backwards += 1
        return self._gradients[readout, when]

    def relative(self, readout: str, time: float) -> tuple[dict[str, float], Floats]:
        """d r / d ln y: by every parameter of the arm (all regions and events together), and by the amount of every dose."""
        found, rows = self.lane_gradient(readout, time), self._inputs(self.problem).rows
        weighted = np.sum(np.array(list(self._by_segment(found).values())) * rows, axis=0)
        by_path = {path: float(np.sum(weighted[columns])) for path, columns in self._layout.columns.items()}
        return by_path, found.amounts * np.array([dose.amount for dose in self.arm.doses])

    # ---- the map from the file to the engine

    def _series(self, readout: str) -> list[float]:
        if not self.record.status.good:
            raise GradientError(f"{self.scenario}: no gradient of a run that ended {self.record.failure}")
        if readout not in self.record.readouts:
            raise GradientError(f"readout {readout!r}: the study has {', '.join(self.record.readouts)}")
        return self.record.readouts[readout]

    def _index(self, time: float) -> int:
        near = int(np.argmin(np.abs(np.array(self.record.times) - time)))
        if abs(self.record.times[near] - time) > SAME_TIME + 1e-9 * time:
            raise GradientError(f"no step ends at {time:g} s; add the time to [output] times")
        return near

    def _inputs(self, problem: Problem) -> Inputs:
        """What the engine is given where ``problem`` is the study's with some numbers moved a little."""
        arm = _arm_of(problem, self.scenario)
        row = self._layout.pack(arm.values)
        rows = [row]
        for at in _change_times(arm):
            row = row.copy()
            for when, changes in arm.changes:
                if when == at:
                    self._layout.update(row, changes)
            rows.append(row)
        ends = [step["time"] for step in self.record.history]
        return Inputs(
            np.array(rows),
            np.array([dose.amount for dose in arm.doses]),
            np.array([dose.place.volume for dose in arm.doses]),
            self._discretisation.points_of(arm.mesh),
            np.interp(ends, *calendar_warp(self.steps, self.problem, problem)),
        )

    def _map(self, path: str) -> Inputs:
        """Derivative of the engine's inputs by one number of the file."""
        if path not in self._maps:
            try:
                self._maps[path] = self._differences(path, file_of(self.study).find([path])[path])
            except GradientError:
                raise
            except ValueError as error:
                if hasattr(error, "problems"):  # a mistake in the path itself
                    raise
                raise GradientError(f"{path}: {error}") from None
        return self._maps[path]

    def _differences(self, path: str, spot: Spot) -> Inputs:
        middle, (low, high) = nominal_values(self.study, [path])[path], limits(spot)
        step = RELATIVE_STEP * (abs(middle) or high - low)
        sides = [value for value in (middle - step, middle + step) if low <= value <= high]
        values = sorted([middle, *(sides or [low if middle - low > high - middle else high])])
        parts = [self._inputs(with_values(self.study, {path: value}).problem()).parts() for value in values]
        here = parts[values.index(middle)]
        for mine, theirs in zip(self._inputs(self.problem).parts(), here, strict=True):
            if not np.allclose(mine, theirs, rtol=1e-9, atol=0.0):
                one = f"{path}.{spot.parameter.regions[0]}" if spot.parameter.regions else "scenarios.NAME.therapy.0.KEY"
                raise GradientError(f"{path}: stands for several numbers that differ; name one of them, such as {one}")
        widths = np.diff(values)
        if len(widths) == 2:
            for below, size, above in zip(*parts, strict=True):
                if _kink((size - below) / widths[0], (above - size) / widths[1], size, step):
                    raise GradientError(f"{path}: its value lies on a kink; no derivative there")
        first, last = parts[0], parts[-1]
        return Inputs(*((b - a) / (values[-1] - values[0]) for a, b in zip(first, last, strict=True)))

    # ---- the chain

    def _by_segment(self, found: Gradient) -> dict[float, Floats]:
        """Derivatives by the row from the start and after each time of changes (zero where nothing changed)."""
        times = _change_times(self.arm)
        whole = {-1.0: found.rows[0]} | {at: np.zeros_like(found.rows[0]) for at in times}
        for when, row in zip(found.row_times[1:], found.rows[1:], strict=True):
            whole[min(times, key=lambda at: abs(at - when))] = row
        return whole

    def _chained(self, found: Gradient, path: str) -> float:
        by_path = self._map(path)
        self._check_events(by_path.rows, path)
        by_row = np.array(list(self._by_segment(found).values()))
        lengths = np.diff(by_path.ends, prepend=0.0)
        return float(
            np.sum(by_row * by_path.rows)
            + np.sum(found.amounts * by_path.amounts)
            + np.sum(found.volumes * by_path.volumes)
            + np.sum(found.points * by_path.points)
            + np.sum(found.lengths * lengths)
        )

    def _check_events(self, slopes: Floats, path: str) -> None:
        """The run back cannot tell an event that sets a number to what it is already from no event."""
        rows = self._inputs(self.problem).rows
        unseen = (rows[1:] == rows[:-1]) & ~np.isclose(slopes[1:], slopes[:-1], rtol=KINK, atol=0.0)
        if unseen.any():
            raise GradientError(f"{path}: an event sets this number to what it is already; change one of the two a little")


def _arm_of(problem: Problem, scenario: str) -> Arm:
    return next(arm for arm in problem.arms if arm.name == scenario)


def _change_times(arm: Arm) -> list[float]:
    return sorted({at for at, _ in arm.changes})


def _kink(below: Floats, above: Floats, size: Floats, step: float) -> bool:
    """Whether slopes to both sides differ by more than curvature and round-off explain."""
    round_off = 1e-14 * np.abs(size) / step
    return bool(np.any(np.abs(above - below) > KINK * np.maximum(np.abs(above), np.abs(below)) + round_off))


def _shared_by_twins(found: Gradient, arm: Arm) -> Gradient:
    """Doses that are equal in everything have equal derivatives; the run back books them all on the first."""
    amounts, volumes = np.array(found.amounts), np.array(found.volumes)
    for dose in set(arm.doses):
        twins = [index for index, other in enumerate(arm.doses) if other == dose]
        amounts[twins], volumes[twins] = np.mean(amounts[twins]), np.mean(volumes[twins])
    return dataclasses.replace(found, amounts=amounts, volumes=volumes)
