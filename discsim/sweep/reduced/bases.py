"""Bases: the shapes that displacement, solutes and signals can take in a reduced model, from snapshots (POD).

Displacement has one basis for all its components, orthonormal in the mean square of the strain it makes; every solute and signal
has its own, orthonormal by volume. A solute is its lift (harmonic, affine in the levels that surfaces hold it at) plus modes.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sparse
from scipy.sparse.linalg import spsolve

from discsim.sweep.kernels import Kernels
from discsim.sweep.transport import Diffusion


@dataclasses.dataclass(frozen=True)
class Counts:
    """How many modes displacement, every solute and every signal have."""

    displacement: int
    solutes: tuple[int, ...]
    signals: tuple[int, ...]


@dataclasses.dataclass
class Bases:
    """Modes by field.

    ``displacement`` (unknowns, modes); ``solutes`` and ``signals``: per field (vertices, modes); their lifts (levels, vertices),
    in the order of ``Diffusion.levels``; ``used``: how many of the modes a reduced model is made of (the others serve its check);
    ``decay``: singular values by field, over the first.
    """

    displacement: np.ndarray
    solutes: list[np.ndarray]
    signals: list[np.ndarray]
    solute_lifts: np.ndarray
    signal_lifts: np.ndarray
    used: Counts
    decay: dict[str, np.ndarray]


def truncated(
    snapshots: np.ndarray, features: np.ndarray, tolerance: float, most: int, further: float
) -> tuple[np.ndarray, int, np.ndarray]:
    """Modes (unknowns, modes) of ``snapshots`` (count, unknowns), how many of them leave ``tolerance`` of the root mean square
    of ``features`` (count, n), which are linear in the snapshots and whose products are the inner product; and singular values.

    ``further``: how many times as many modes are given as are needed.
    """
    by_feature = features.shape[1] < len(features)
    gram = features.T @ features if by_feature else features @ features.T
    total = float(np.trace(gram))
    size = len(gram)
    values, vectors = scipy.linalg.eigh(gram, subset_by_index=(max(0, size - 3 * most), size - 1))
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    if by_feature:
        vectors = features @ (vectors / np.sqrt(np.where(values > 0.0, values, 1.0)))
    if values[0] <= 0.0:
        return np.zeros((snapshots.shape[1], 1)), 1, np.zeros(1)
    left = np.sqrt(np.maximum(total - np.append(0.0, np.cumsum(values)), 0.0) / total)
    left[-1] = 0.0
    # eigenvalues of a Gram matrix are good to half of the digits: beyond 1e-7 of the first there is only noise
    clear = int(np.sum(values > 1e-13 * values[0]))
    kept = max(1, min(int(np.argmax(left <= tolerance)), most, clear))
    count = max(kept, min(clear, math.ceil(further * kept)))
    return snapshots.T @ (vectors[:, :count] / np.sqrt(values[:count])), kept, np.sqrt(values / values[0])


def strain_features(kernels: Kernels, points: Any, q: np.ndarray) -> np.ndarray:
    """Components of F - 1 at the corner points, times the root of their volume, (count, n); linear in ``q`` (count, unknowns)."""
    import jax

    t, forms = kernels.tables, kernels.forms.mechanics
    root = np.sqrt(np.asarray(kernels.corner_volume(t, points)))
    shape = root.shape

    def one(q: Any) -> Any:
        return forms.kinematics.pack(forms.deformation(t, points, q, "corner"), shape)

    mapped = jax.jit(lambda qs: jax.lax.map(one, qs))
    rest = np.asarray(jax.jit(one)(np.zeros(q.shape[1])))
    found = (np.asarray(mapped(q)) - rest) * root
    return found.reshape(len(q), -1)


def harmonic_lifts(kernels: Kernels, diffusion: Diffusion, points: Any) -> np.ndarray:
    """For every (field, surface) that holds a level: 1 there, 0 where the field is held elsewhere, harmonic between."""
    from discsim.sweep import shape

    t = kernels.tables
    if not diffusion.levels:
        return np.zeros((0, points.shape[0]))
    inverse, _ = shape.cell_geometry(t, points)
    slopes = np.stack([np.asarray(s) for s in shape.basis_gradients(t, inverse)])
    volume = np.asarray(kernels.corner_volume(t, points)).sum(axis=1)
    local = np.einsum("dcv,dcw,c->cvw", slopes, slopes, volume)
    cells = np.asarray(t["cells"])
    own = np.broadcast_to(cells[:, :, None], local.shape)
    across = np.broadcast_to(cells[:, None, :], local.shape)
    count = points.shape[0]
    stiffness = sparse.csr_matrix((local.ravel(), (own.ravel(), across.ravel())), shape=(count, count))
    lifts = []
    for index, surface in diffusion.levels:
        held = diffusion.fixed[:, index]
        lift = np.zeros(count)
        lift[diffusion.vertices_on[surface]] = 1.0
        if not held.all():
            free = ~held
            lift[free] = spsolve(stiffness[free][:, free].tocsc(), -(stiffness[free][:, held] @ lift[held]))
        lifts.append(lift)
    return np.stack(lifts)


def scaled_to_one(snapshots: np.ndarray) -> np.ndarray:
    """Snapshots that are not zero, each over its own size: a signal that fades over decades keeps its shapes."""
    size = np.sqrt((snapshots**2).sum(axis=1))
    kept = size > 1e-9 * max(size.max(initial=0.0), 1e-300)
    return snapshots[kept] / size[kept, None]
