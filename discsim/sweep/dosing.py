"""Doses on arrays: a deposit that conserves the amount on the mesh, for one lane."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from discsim.disc.mesh import REGIONS
from discsim.problem.discretisation import Discretisation
from discsim.scenario.therapy import Place


class Deposits:
    """Where boluses lie; every function gives what one unit of a dose adds, so that it sums to one over the modelled part.

    ``points`` (vertices, dim) mm, ``volume`` of the bolus in mm3; ``xp`` is numpy, or jax.numpy where slopes are wanted.
    """

    def __init__(self, d: Discretisation) -> None:
        self.cells, self.vertices, self.dimension = d.cells, d.vertex_count, d.dimension
        columns = d.cells.shape[1]
        self.masks = {n: np.repeat((d.regions == tag)[:, None], columns, 1).astype(float) for n, tag in REGIONS.items()}

    def at_corners(self, place: Place, points: Any, volume: Any, corner_volume: Any, xp: Any = np) -> Any:
        """Per reference volume at (cell, vertex) pairs."""
        shape = self._shape(place, points, volume, xp)
        return shape / xp.sum(shape * corner_volume)

    def at_vertices(self, place: Place, points: Any, volume: Any, vertex_volume: Any, xp: Any = np) -> Any:
        """Per current volume at vertices."""
        shape = self._shape(place, points, volume, xp).reshape(-1)
        flat = self.cells.reshape(-1)
        if xp is np:
            found = np.zeros(self.vertices)
            np.maximum.at(found, flat, shape)
        else:
            found = xp.zeros(self.vertices).at[flat].max(shape)
        return found / xp.sum(found * vertex_volume)

    def _shape(self, place: Place, points: Any, volume: Any, xp: Any) -> Any:
        at = points[self.cells]
        radius = at[:, :, 0] if self.dimension == 2 else xp.hypot(at[:, :, 0], at[:, :, 1])
        height, nucleus = at[:, :, -1], self.masks["NP"] > 0.0
        widest, highest = (xp.max(xp.where(nucleus, values, 0.0)) for values in (radius, height))
        bolus = dataclasses.replace(place, volume=volume)
        return bolus.shape(xp, radius, height, widest, highest, self.masks[place.region])
