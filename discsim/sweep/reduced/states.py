"""Snapshots of many courses in one, and their coefficients in the bases of a reduced model."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from discsim.sweep.kernels import Kernels
from discsim.sweep.reduced.bases import Bases, Counts, harmonic_lifts, scaled_to_one, strain_features, truncated
from discsim.sweep.reduced.forms import ReducedForms
from discsim.sweep.reduced.rule import TrainingRule
from discsim.sweep.reduced.snapshots import Course


@dataclasses.dataclass
class States:
    """Snapshots of all courses, one after the other; ``starts``: which are the first of their course."""

    rows: np.ndarray
    pointwise: np.ndarray
    solutes: np.ndarray
    signals: np.ndarray
    q: np.ndarray
    prestress: list[np.ndarray]
    course: np.ndarray
    starts: np.ndarray


def gathered(courses: Sequence[Course]) -> States:
    """The snapshots of the courses that came to their end."""
    good = [course for course in courses if course.good]
    counts = [len(course.kept) for course in good]
    names = ("rows", "pointwise", "solutes", "signals", "q")
    return States(
        **{name: np.concatenate([getattr(course, name) for course in good]) for name in names},
        prestress=[course.prestress for course in good],
        course=np.repeat(np.arange(len(good)), counts),
        starts=np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64),
    )


def thinned(states: States, most: int) -> States:
    """At most about ``most`` of the snapshots, evenly spread, all starts among them."""
    every = max(1, -(-len(states.rows) // most))
    kept = np.union1d(np.arange(0, len(states.rows), every), states.starts)
    fields = {name: getattr(states, name)[kept] for name in ("rows", "pointwise", "solutes", "signals", "q", "course")}
    return States(**fields, prestress=states.prestress, starts=np.searchsorted(kept, states.starts))


def make_bases(kernels: Kernels, points: Any, states: States, rule: TrainingRule) -> Bases:
    """Modes of displacement, solutes and signals."""
    forms = kernels.forms
    volume = np.zeros(points.shape[0])
    np.add.at(volume, np.asarray(kernels.tables["cells"]), np.asarray(kernels.corner_volume(kernels.tables, points)))
    root, decay = np.sqrt(volume), {}
    states = thinned(states, rule.most_states)
    displacement, kept, decay["displacement"] = truncated(
        states.q, strain_features(kernels, points, states.q), rule.displacement, rule.most_displacement, rule.further
    )
    counts: list[list[int]] = [[kept], [], []]
    solutes, signals = [], []
    lifts = harmonic_lifts(kernels, forms.solutes, points)
    for index, name in enumerate(forms.model.solutes):
        rest = states.solutes[:, :, index] - _lifted(forms, forms.solutes, index, lifts, states.rows)
        modes, kept, decay[name] = truncated(rest, rest * root, rule.solutes, rule.most_solutes, rule.further)
        solutes.append(modes)
        counts[1].append(kept)
    signal_lifts = np.zeros((0, points.shape[0]))
    if forms.signals is not None:
        signal_lifts = harmonic_lifts(kernels, forms.signals, points)
        for index, name in enumerate(forms.model.signals):
            rest = scaled_to_one(states.signals[:, :, index] - _lifted(forms, forms.signals, index, signal_lifts, states.rows))
            if not len(rest):
                rest = np.ones((1, points.shape[0]))  # never there: one shape, that stays at zero
            modes, kept, decay[name] = truncated(rest, rest * root, rule.signals, rule.most_signals, 1.0)
            signals.append(modes)
            counts[2].append(kept)
    own = Counts(counts[0][0], tuple(counts[1]), tuple(counts[2]))
    return Bases(displacement, solutes, signals, lifts, signal_lifts, own, decay)


def _levels(forms: Any, diffusion: Any, rows: np.ndarray) -> np.ndarray:
    """Levels that surfaces hold fields at, (rows, levels)."""
    if not diffusion.levels:
        return np.zeros((len(rows), 0))
    reduced = ReducedForms(forms, [], [])
    unique, back = np.unique(rows, axis=0, return_inverse=True)
    found = np.array([[float(level) for level in reduced.levels(diffusion, jnp.asarray(row))] for row in unique])
    return found[back.reshape(-1)]


def _lifted(forms: Any, diffusion: Any, index: int, lifts: np.ndarray, rows: np.ndarray) -> Any:
    """The lift of one field for every row, (rows, vertices)."""
    own = [number for number, (field, _) in enumerate(diffusion.levels) if field == index]
    return _levels(forms, diffusion, rows)[:, own] @ lifts[own] if own else 0.0


def projections(kernels: Kernels, points: Any, bases: Bases) -> list[np.ndarray]:
    """Per signal the matrix (modes, vertices) that takes vertex values to coefficients, least squares by volume."""
    volume = np.zeros(points.shape[0])
    np.add.at(volume, np.asarray(kernels.tables["cells"]), np.asarray(kernels.corner_volume(kernels.tables, points)))
    return [np.linalg.pinv(m * np.sqrt(volume)[:, None]) * np.sqrt(volume) for m in bases.signals]


def coefficients(
    kernels: Kernels, points: Any, bases: Bases, reduced: ReducedForms, states: States
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients (b, a, d) of the snapshots: projections in the inner products of the bases."""
    forms = kernels.forms
    of_modes = strain_features(kernels, points, bases.displacement.T)
    b = strain_features(kernels, points, states.q) @ np.linalg.pinv(of_modes)
    volume = np.zeros(points.shape[0])
    np.add.at(volume, np.asarray(kernels.tables["cells"]), np.asarray(kernels.corner_volume(kernels.tables, points)))
    root = np.sqrt(volume)
    found = []
    for values, modes, diffusion, lifts in (
        (states.solutes, bases.solutes, forms.solutes, bases.solute_lifts),
        (states.signals, bases.signals, forms.signals, bases.signal_lifts),
    ):
        parts = [
            ((values[:, :, i] - _lifted(forms, diffusion, i, lifts, states.rows)) * root) @ np.linalg.pinv(m * root[:, None]).T
            for i, m in enumerate(modes)
        ]
        found.append(np.concatenate(parts, axis=1) if parts else np.zeros((len(values), 0)))
    return b, found[0], found[1]
