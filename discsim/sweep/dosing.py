"""Doses on arrays: a deposit that conserves the amount on the mesh, for one lane."""

from __future__ import annotations

from typing import Any

import numpy as np

from discsim.disc.mesh import REGIONS
from discsim.problem.discretisation import Discretisation
from discsim.scenario.therapy import Place


class Deposits:
    """Where boluses lie on one mesh; ``points`` (vertices, dim) mm."""

    def __init__(self, d: Discretisation, points: np.ndarray) -> None:
        self.cells, self.vertices = d.cells, d.vertex_count
        at = points[d.cells]
        self.radius = at[:, :, 0] if d.dimension == 2 else np.hypot(at[:, :, 0], at[:, :, 1])
        self.height = at[:, :, -1]
        self.masks = {name: np.repeat((d.regions == tag)[:, None], d.cells.shape[1], 1).astype(float) for name, tag in REGIONS.items()}
        nucleus = self.masks["NP"] > 0.0
        self.nucleus_size = float(self.radius[nucleus].max()), float(self.height[nucleus].max())

    def at_corners(self, place: Place, amount: Any, corner_volume: Any, xp: Any = np) -> Any:
        """What is added to a field per reference volume at (cell, vertex) pairs; ``amount`` is the modelled part's share."""
        shape = self._shape(place, xp)
        return amount * shape / xp.sum(shape * corner_volume)

    def at_vertices(self, place: Place, amount: Any, vertex_volume: Any, xp: Any = np) -> Any:
        """What is added to a signal per current volume at vertices."""
        shape = np.asarray(self._shape(place, np))
        at_vertices = np.zeros(self.vertices)
        np.maximum.at(at_vertices, self.cells.reshape(-1), shape.reshape(-1))
        return amount * at_vertices / xp.sum(at_vertices * vertex_volume)

    def _shape(self, place: Place, xp: Any) -> Any:
        return place.shape(xp, self.radius, self.height, *self.nucleus_size, self.masks[place.region])
