"""Fields of a reduced model on the whole mesh, to be looked at: modes times coefficients, and pointwise fields from few pairs.

Displacement, solutes and signals are what the reduced model says they are. Cells and matrix are known to it at the chosen pairs
alone; between them they are the sum of few shapes of the training runs that fits there best (gappy POD, Everson and Sirovich
1995, 10.1364/JOSAA.12.001657, recalled, unverified).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from discsim.problem.record import FieldFrame
from discsim.sweep.kernels import Kernels
from discsim.sweep.reduced.bases import Bases, scaled_to_one, truncated
from discsim.sweep.reduced.states import States, thinned
from discsim.sweep.shape import moved_vertices

if TYPE_CHECKING:
    from discsim.sweep.reduced.engine import Reduced
    from discsim.sweep.reduced.online import ReducedState

POINTWISE = 1e-3  # share of the root mean square that the shapes of a pointwise field may leave
MOST_POINTWISE = 16
MOST_STATES = 400


@dataclasses.dataclass
class Shapes:
    """Modes on the whole mesh, as many as the model uses.

    ``displacement`` (unknowns, modes); ``solutes``, ``signals``: per field (vertices, modes), with lifts (levels, vertices);
    ``pointwise``: per field (cell-vertex pairs, modes), and ``readers``: per field (modes, chosen pairs), which make
    coefficients of the values there.
    """

    displacement: np.ndarray
    solutes: list[np.ndarray]
    signals: list[np.ndarray]
    solute_lifts: np.ndarray
    signal_lifts: np.ndarray
    pointwise: list[np.ndarray]
    readers: list[np.ndarray]


def fit_shapes(
    kernels: Kernels, points: Any, bases: Bases, states: States, chosen: np.ndarray
) -> tuple[Shapes, dict[str, float]]:
    """Shapes from the bases and snapshots of a training; ``chosen``: numbers of the pairs that the model knows.

    With the error of every pointwise field, a share of its root mean square over the snapshots.
    """
    states = thinned(states, MOST_STATES)
    fields = states.pointwise.reshape(len(states.pointwise), states.pointwise.shape[1], -1)
    root = np.sqrt(np.asarray(kernels.corner_volume(kernels.tables, points)).reshape(-1))
    pointwise, readers, errors = [], [], {}
    for index, name in enumerate(kernels.forms.pointwise_names):
        snapshots = scaled_to_one(fields[:, index])
        if not len(snapshots):
            snapshots = np.ones((1, fields.shape[2]))  # never there: one shape, that stays at zero
        modes, _, _ = truncated(snapshots, snapshots * root, POINTWISE, min(MOST_POINTWISE, len(chosen)), 1.0)
        reader = np.linalg.pinv(modes[chosen], rcond=1e-6)
        left = (fields[:, index][:, chosen] @ reader.T @ modes.T - fields[:, index]) * root
        errors[name] = float(np.sqrt((left**2).mean() / max(((fields[:, index] * root) ** 2).mean(), 1e-300)))
        pointwise.append(modes.astype(np.float32))
        readers.append(reader)
    used = bases.used
    shapes = Shapes(
        bases.displacement[:, : used.displacement],
        [modes[:, :count] for modes, count in zip(bases.solutes, used.solutes, strict=True)],
        [modes[:, :count] for modes, count in zip(bases.signals, used.signals, strict=True)],
        bases.solute_lifts,
        bases.signal_lifts,
        pointwise,
        readers,
    )
    return shapes, errors


def frames(reduced: Reduced, state: ReducedState, rows: np.ndarray, time: float) -> list[FieldFrame]:
    """Fields of all lanes of ``rows`` (lanes, width) in a state of the model, at ``time`` (s)."""
    kernels, points, lanes = reduced.kernels, reduced.doses.points, len(rows)
    shapes, forms = reduced.trained.shapes, reduced.model.forms
    q = np.asarray(state.b)[:lanes] @ shapes.displacement.T
    full = forms.full
    solutes = _nodal(forms, full.solutes, shapes.solutes, shapes.solute_lifts, rows, np.asarray(state.a), len(points))
    signals = _nodal(forms, full.signals, shapes.signals, shapes.signal_lifts, rows, np.asarray(state.d), len(points))
    there = np.asarray(state.pointwise)[:lanes, :, :, 0]
    pointwise = np.stack(
        [(there[:, i] @ r.T) @ m.T for i, (r, m) in enumerate(zip(shapes.readers, shapes.pointwise, strict=True))]
    )
    cells = len(kernels.model.cells)
    pointwise[:cells] = np.maximum(pointwise[:cells], 0.0)  # no fewer cells than none
    pointwise = np.moveaxis(pointwise, 0, 1).reshape(lanes, len(shapes.pointwise), *kernels.tables["cells"].shape)
    deformed = kernels.deformed(kernels.tables, points, q)
    found = kernels.values(kernels.tables, points, rows, deformed, (pointwise, solutes, signals, q))
    kept = {name: np.asarray(values) for name, values in found.items() if not name.startswith("in_")}
    return [
        FieldFrame(
            time, {name: values[lane] for name, values in kept.items()}, np.asarray(moved_vertices(kernels.tables, q[lane]))
        )
        for lane in range(lanes)
    ]


def _nodal(
    forms: Any, diffusion: Any, modes: list[np.ndarray], lifts: np.ndarray, rows: np.ndarray, x: np.ndarray, vertices: int
) -> np.ndarray:
    """Vertex values (lanes, vertices, fields) of solutes or signals; what modes take a little below zero is zero."""
    found, start = np.zeros((len(rows), vertices, len(modes))), 0
    for index, own in enumerate(modes):
        found[:, :, index] = x[: len(rows), start : start + own.shape[1]] @ own.T
        start += own.shape[1]
    if diffusion is not None and diffusion.levels:
        levels = np.array([[float(level) for level in forms.levels(diffusion, row)] for row in rows])
        for number, (field, _) in enumerate(diffusion.levels):
            found[:, :, field] += levels[:, number, None] * lifts[number]
    return np.maximum(found, 0.0)
