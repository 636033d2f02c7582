"""Which displacements are free: symmetry planes, and the rigid top plate as one unknown."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


def free_unknowns(
    nodes_on: Mapping[str, NDArray[np.int64]], node_count: int, dimension: int, plate: str
) -> tuple[NDArray[np.int64], int]:
    """Number of the free unknown behind every displacement component, and how many free unknowns there are.

    Components are numbered node x dim + component; those that cannot move are given -1. The last unknown is the axial
    displacement of the plate, shared by all nodes of the top. ``plate``: "bonded" to the disc, "slip" radially, or
    "confined": slips, and the rim cannot move radially (a test piece).
    """
    axial = dimension - 1
    held = {"mid_plane": axial, "axis": 0, "symmetry_x": 0, "symmetry_y": 1}
    if plate == "confined":
        held["rim"] = 0
    fixed = np.zeros((node_count, dimension), dtype=bool)
    for surface, component in held.items():
        fixed[nodes_on.get(surface, []), component] = True
    top = np.zeros((node_count, dimension), dtype=bool)
    for surface in ("endplate", "annulus_top"):
        nodes = nodes_on.get(surface, np.empty(0, dtype=np.int64))
        top[nodes, axial] = True
        if plate == "bonded":
            fixed[np.ix_(nodes, [c for c in range(dimension) if c != axial])] = True
    free = ~(fixed | top)
    numbers = np.full((node_count, dimension), -1, dtype=np.int64)
    count = int(free.sum())
    numbers[free] = np.arange(count)
    numbers[top & ~fixed] = count
    return numbers.reshape(-1), count + 1
