"""The healthy start for many lanes: the coupled steady state of the rates, in the in vivo shape.

As in the reference engine: the step with a very long step length, the prestress renewed after every step that moves the shape.
"""

from __future__ import annotations

import numpy as np

from discsim.problem.problem import HOMEOSTASIS_STEP, HOMEOSTASIS_STEPS, HOMEOSTASIS_TOLERANCE
from discsim.problem.status import Status
from discsim.sweep.model import PRESTRESS_TOLERANCE, LaneModel


def start_from_homeostasis(model: LaneModel, wanted: np.ndarray) -> np.ndarray:
    """Steady state from the disc's presets in the lanes ``wanted``; returns who found one."""
    good, seeking = wanted.copy(), wanted.copy()
    change = moved = np.full(model.lanes, np.inf)
    for _ in range(HOMEOSTASIS_STEPS):
        before = model.state.pointwise
        solved, _ = model.step(np.where(seeking, HOMEOSTASIS_STEP, 0.0), seeking)
        good &= solved | ~seeking
        seeking = seeking & solved
        change, moved = _change(before, model.state.pointwise), np.abs(model.state.q).max(axis=1)
        seeking = seeking & ~((change < HOMEOSTASIS_TOLERANCE) & (moved < PRESTRESS_TOLERANCE))
        if not seeking.any():
            return good
        shifted = seeking & (moved >= PRESTRESS_TOLERANCE)
        if shifted.any():
            found = model.find_prestress(shifted)
            good &= found | ~shifted
            seeking &= found | ~shifted
    text = f"no healthy steady state after {HOMEOSTASIS_STEPS} steps of 60 years (change {{:.1e}})"
    model.fail(seeking, Status.NONCONVERGED, text, change)
    return good & ~seeking


def _change(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Largest change of any field over its largest value, per lane."""
    size = np.abs(before).max(axis=(2, 3))
    moved = np.abs(after - before).max(axis=(2, 3))
    largest: np.ndarray = np.max(moved / np.where(size > 0.0, size, np.inf), axis=1)
    return largest
