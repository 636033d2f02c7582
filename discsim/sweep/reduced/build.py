"""From full-order runs of a study to a trained and calibrated reduced model."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from discsim.problem.problem import Problem
from discsim.sweep.dosing import Deposits
from discsim.sweep.engine import SweepEngine
from discsim.sweep.reduced.certificate import calibrated
from discsim.sweep.reduced.engine import LANES, Reduced, Training, box_of
from discsim.sweep.reduced.lanes import course_of, pattern
from discsim.sweep.reduced.rule import TrainingRule
from discsim.sweep.reduced.snapshots import Course
from discsim.sweep.reduced.states import gathered
from discsim.sweep.reduced.training import train


class TrainingError(ValueError):
    """A study that no reduced model can be made of, or a training that cannot be used; the message says why and what to do."""


@dataclasses.dataclass
class Sample:
    """One sample of the training design: its problem and its courses at full order."""

    problem: Problem
    courses: list[Course]


def build(
    engine: SweepEngine,
    training: Sequence[Sample],
    calibration: Sequence[Sample],
    ends: Sequence[Problem],
    steps: tuple[float, ...],
    rule: TrainingRule,
) -> Training:
    """A reduced model from the runs of ``training``, with a certificate from those of ``calibration``, which it has not seen.

    ``ends``: problems at the ends of the box; with those of the samples they say where the model holds. Raises
    ``TrainingError`` where too few runs came to their end.
    """
    problem = training[0].problem
    _fit_for_training([*(s.problem for s in training), *(s.problem for s in calibration), *ends])
    began = time.perf_counter()
    courses = [course for sample in training for course in sample.courses]
    good = sum(course.good for course in courses)
    if good < max(2, len(courses) // 2):
        raise TrainingError(f"only {good} of {len(courses)} training runs came to their end; narrow the ranges in [design.vary]")
    model, discretisation = engine.model(problem, problem.arms[0])
    points = np.asarray(model.points)
    trained = train(model.kernels, model.points, problem, gathered(courses), rule)
    fitted = time.perf_counter()
    records = (0.0, *(t for t in problem.breakpoints() if t > 0.0))
    reduced = Reduced(model.kernels, points, Deposits(discretisation), trained, lanes=LANES)
    certificate, errors = _calibrated(reduced, calibration, steps, records, rule)
    mesh = problem.arms[0].mesh.hash
    box = box_of(model.kernels, [*(s.problem for s in training), *(s.problem for s in calibration), *ends])
    trained.report |= errors | {
        "training_runs": good,
        "calibration_runs": certificate.runs,
        "full_order_seconds": float(np.mean([c.seconds for s in (*training, *calibration) for c in s.courses if c.good])),
        "fit_seconds": fitted - began,
        "calibration_seconds": time.perf_counter() - fitted,
    }
    return Training(trained, certificate, steps, records, mesh, box)


def _fit_for_training(problems: Sequence[Problem]) -> None:
    meshes = {arm.mesh.hash for problem in problems for arm in problem.arms}
    if len(meshes) > 1:
        raise TrainingError(
            "the mesh differs between samples or scenarios; a reduced model holds for one shape of disc: leave size and grade of "
            "the disc out of [design.vary], or use --engine sweep"
        )
    if any(arm.start != "preset" for problem in problems for arm in problem.arms):
        raise TrainingError('disc.start = "homeostasis" has no reduced model yet; use start = "preset", or --engine sweep')
    if len({problem.breakpoints() for problem in problems}) > 1:
        raise TrainingError(
            "times of doses or events differ between samples; a reduced model records at one list of times: leave them out of "
            "[design.vary], or use --engine sweep"
        )


def _calibrated(
    reduced: Reduced, samples: Sequence[Sample], steps: tuple[float, ...], records: Sequence[float], rule: TrainingRule
) -> tuple[Any, dict[str, Any]]:
    lanes = [
        (number, course_of(sample.problem, arm, reduced.kernels, steps, records), course)
        for number, sample in enumerate(samples)
        for arm, course in zip(sample.problem.arms, sample.courses, strict=True)
        if course.good
    ]
    if len(lanes) < 8:
        raise TrainingError(f"only {len(lanes)} calibration runs came to their end; an error bar needs 8 or more")
    kept: list[tuple[Any, ...]] = []
    seconds = []
    for group in {pattern(own) for _, own, _ in lanes}:
        alike = [lane for lane in lanes if pattern(lane[1]) == group]
        for first in range(0, len(alike), reduced.lanes):
            chunk = alike[first : first + reduced.lanes]
            began = time.perf_counter()
            found = reduced.solve([own for _, own, _ in chunk])
            seconds.append((time.perf_counter() - began) / reduced.lanes)
            for place, (number, _, course) in enumerate(chunk):
                at = [int(np.argmin(np.abs(course.times - time))) for time in records]
                values, truth = found.values[place, at], course.readouts[at]
                kept.append((number, found.indicators[place], found.lacking[place], values, truth, found.good[place]))
    good = np.array([one[5] for one in kept])
    number, indicators, lacking, values, truth = (np.array([one[k] for one in kept])[good] for k in range(5))
    errors = np.abs(values - truth)
    report = {
        "calibration_errors": errors / np.maximum(np.abs(truth), 1e-300),
        "calibration_values": truth,
        "calibration_failed": int((~good).sum()),
        "seconds": min(seconds),
    }
    return calibrated(indicators, lacking, errors, number, rule.coverage), report
