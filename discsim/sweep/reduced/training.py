"""Training: from snapshots of full-order runs to the tables of a reduced model and of its check."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np

from discsim.problem.problem import Problem
from discsim.sweep.kernels import Kernels
from discsim.sweep.reduced.bases import Counts
from discsim.sweep.reduced.cubature import Sketch, chosen_points
from discsim.sweep.reduced.fits import interpolate, prestress_fit
from discsim.sweep.reduced.forms import ReducedForms
from discsim.sweep.reduced.points import SETS, Tables, chosen, full_tables, narrowed
from discsim.sweep.reduced.regression import Polynomial
from discsim.sweep.reduced.rule import TrainingRule
from discsim.sweep.reduced.shapes import Shapes, fit_shapes
from discsim.sweep.reduced.states import States, coefficients, make_bases, projections
from discsim.sweep.reduced.sums import contributions, extreme_pairs


@dataclasses.dataclass
class Trained:
    """What the online engine needs of one study on one mesh.

    ``tables``: chosen points (see ``points``) with the model's modes, counted in ``used``; ``check``: those that its residual is
    checked at, with all modes, counted in ``all_modes``; ``check_inverse``: inverses of usual slopes of displacement and solutes
    there. ``resting``: prestress at the strain points of the model and then of the check, from the columns ``person`` of a row.
    ``sizes``: usual sizes of the coefficients of displacement and solutes. ``near_rows``, ``near``: rows of the training runs and
    the solute coefficients (a) at their start. ``project``: per signal (modes, vertices), vertex values to coefficients.
    ``shapes``: modes on the whole mesh, for fields that are looked at. ``report``: what a person wants to see of the training.
    """

    tables: Tables
    check: Tables
    used: Counts
    all_modes: Counts
    check_inverse: tuple[np.ndarray, np.ndarray]
    resting: Polynomial
    person: np.ndarray
    sizes: tuple[float, float]
    near_rows: np.ndarray
    near: np.ndarray
    project: list[np.ndarray]
    shapes: Shapes
    report: dict[str, Any]


def train(kernels: Kernels, points: Any, problem: Problem, states: States, rule: TrainingRule) -> Trained:
    """Bases, cubature and fits."""
    bases = make_bases(kernels, points, states, rule)
    every = Counts(
        bases.displacement.shape[1], tuple(m.shape[1] for m in bases.solutes), tuple(m.shape[1] for m in bases.signals)
    )
    reduced = ReducedForms(kernels.forms, every.solutes, every.signals)
    full = full_tables(kernels, points, bases)
    b, a, d = coefficients(kernels, points, bases, reduced, states)
    picked = _picked(states, rule)
    sketches, further = contributions(kernels, problem, reduced, full, states, (b, a, d), picked, rule, bases.used)
    report: dict[str, Any] = {"decay": bases.decay, "points": {}, "cubature_error": {}}
    extremes = extreme_pairs(kernels, problem, points, states, picked)
    model, numbers = _chosen(full, sketches, rule, extremes, report, "")
    further["pairs"] = sketches["pairs"]
    check, check_numbers = _chosen(full, further, rule, extremes, report, "check ", pairs=(model["pairs"], numbers["pairs"]))
    report["interpolation_error"] = interpolate(full, model, numbers, states, kernels.forms.gag)
    interpolate(full, check, check_numbers, states, kernels.forms.gag)
    both = np.concatenate([numbers["strain"], check_numbers["strain"]])
    person, resting = prestress_fit(kernels, states, both)
    report["prestress_left_out"] = resting.left_out
    inverse = _usual_inverse(reduced, check, states, (b, a, d), picked, check_numbers)
    shapes, report["field_error"] = fit_shapes(kernels, points, bases, states, numbers["pairs"])
    own = np.concatenate([np.arange(n) + start for n, start in zip(bases.used.solutes, reduced.solute_ends, strict=False)])
    return Trained(
        tables=narrowed(model, bases.used),
        check=check,
        used=bases.used,
        all_modes=every,
        check_inverse=inverse,
        resting=resting,
        person=person,
        sizes=(_size(b), _size(a)),
        near_rows=states.rows[states.starts],
        near=a[states.starts][:, own],
        project=projections(kernels, points, bases),
        shapes=shapes,
        report=report,
    )


def _size(x: np.ndarray) -> float:
    return float(np.sqrt((x**2).sum(axis=1).mean())) or 1.0


def _chosen(
    full: Tables,
    sketches: dict[str, Sketch],
    rule: TrainingRule,
    extremes: np.ndarray,
    report: dict[str, Any],
    prefix: str,
    pairs: tuple[Tables, np.ndarray] | None = None,
) -> tuple[Tables, dict[str, np.ndarray]]:
    """Tables of the chosen points, and their numbers; ``pairs``: those chosen before, which the check shares with the model."""
    tables: Tables = {name: full[name] for name in ("always", "plate", "plate_area", "rest_height")}
    numbers = {}
    for name in SETS:
        if name == "pairs" and pairs is not None:
            tables[name], numbers[name] = pairs
            continue
        which, factors, left = chosen_points(sketches[name], rule.cubature, rule.most_points)
        if name == "pairs":  # where extremes were: they carry no weight, and show what they hold
            more = np.setdiff1d(extremes, which)
            which, factors = np.append(which, more), np.append(factors, np.zeros(len(more)))
        if not len(which):  # nothing flows through the facets, say: one point that counts for nothing keeps the shapes
            which, factors = np.array([0]), np.array([0.0])
        numbers[name], tables[name] = which, chosen(full[name], which, factors)
        tables[name]["always"] = full["always"]
        report["points"][prefix + name], report["cubature_error"][prefix + name] = len(which), left
    tables["pairs"]["amount_weight"] = tables["pairs"]["weight"]
    tables["pairs"]["number"] = numbers["pairs"]
    return tables, numbers


def _picked(states: States, rule: TrainingRule) -> np.ndarray:
    """Snapshots for which the sums are fitted: some starts, and others at random."""
    random = np.random.default_rng(rule.seed)
    count = len(states.rows)
    starts = states.starts[:: max(1, len(states.starts) * 6 // rule.snapshots)]
    others = np.setdiff1d(np.arange(count), starts)
    some = random.choice(others, size=min(len(others), max(rule.snapshots - len(starts), 0)), replace=False)
    return np.sort(np.concatenate([starts, some]))


def _usual_inverse(
    reduced: ReducedForms,
    check: Tables,
    states: States,
    coefficients: tuple[np.ndarray, np.ndarray, np.ndarray],
    picked: np.ndarray,
    numbers: dict[str, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Inverses of the mean slopes of displacement and solutes, all modes, over some snapshots."""
    b, a, d = coefficients

    @jax.jit
    def slopes(t: Any, row: Any, pointwise: Any, prestress: Any, b: Any, a: Any, d: Any) -> Any:
        shape = reduced.shape(t, b)
        gag = pointwise[reduced.full.gag]
        return reduced.stiffness(t, row, gag, prestress, b), reduced.solute_slope(t, row, shape, pointwise, d, a, 0.0)

    found = []
    for i in picked[:: max(1, len(picked) // 24)]:
        pointwise = states.pointwise[i].reshape(states.pointwise.shape[1], -1, 1)[:, numbers["pairs"]]
        resting = states.prestress[states.course[i]]
        prestress = resting.reshape(resting.shape[0], -1, 1)[:, numbers["strain"]]
        found.append(slopes(check, states.rows[i], pointwise, prestress, b[i], a[i], d[i]))
    stiffness, slope = (np.mean([np.asarray(one[k]) for one in found], axis=0) for k in (0, 1))
    return np.linalg.inv(stiffness), np.linalg.inv(slope)
