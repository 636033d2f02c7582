"""The full mid-sagittal section of an axisymmetric disc: the modelled quarter, mirrored about axis and mid-plane."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import xarray as xr

from discsim.study.result import ResultError

SOLUTES = (("glucose", "glucose"), ("ph", "pH"))
MATRIX = (("GAG", "gag"), ("fixed charge", "fixed_charge_density"))  # the first that is there is drawn
# Distance to the axis or the mid-plane, as a share of the radius, that counts as lying on it.
PLANE_TOLERANCE = 1e-9


@dataclasses.dataclass(frozen=True)
class Quantity:
    """Values at the corners of every triangle of the section."""

    label: str
    unit: str
    values: np.ndarray


@dataclasses.dataclass(frozen=True)
class Section:
    """The deformed section at one time (s).

    ``x``, ``y`` (mm) are the corners of disconnected ``triangles``, so that jumps between cells are drawn as they are;
    ``borders`` of the regions and ``outline`` are line segments.
    """

    time: float
    x: np.ndarray
    y: np.ndarray
    triangles: np.ndarray
    quantities: dict[str, Quantity]
    borders: np.ndarray
    outline: np.ndarray


def section(fields: xr.Dataset, frame: int, chosen: Mapping[str, Quantity] | None = None) -> Section:
    """The section at one of the kept times; raises ``ResultError`` for a mesh that is not axisymmetric.

    ``chosen``: what is drawn, with values (cells, corners); glucose, pH, cells and matrix where left out.
    """
    points, cells = fields["points"].values, fields["connectivity"].values
    if points.shape[1] != 2:
        raise ResultError("fields are drawn on axisymmetric meshes; this one is three-dimensional")
    moved = points + fields["displacement"].values[0, frame]
    corners = moved[cells].reshape(-1, 2)
    mirrored = _mirrored(corners[None])
    wanted = _quantities(fields, frame) if chosen is None else chosen
    quantities = {key: dataclasses.replace(one, values=np.tile(one.values.ravel(), 4)) for key, one in wanted.items()}
    inner, outer = edges_between(points, cells, fields["region"].values)
    return Section(
        float(fields["field_time"].values[frame]),
        mirrored[..., 0].ravel(),
        mirrored[..., 1].ravel(),
        np.arange(4 * len(corners)).reshape(-1, 3),
        quantities,
        _segments(moved, inner),
        _segments(moved, outer),
    )


def _quantities(fields: xr.Dataset, frame: int) -> dict[str, Quantity]:
    """What is drawn, as far as the fields hold it, with values (cells, corners)."""
    found: dict[str, Quantity] = {}
    for name, label in SOLUTES:
        if name in fields:
            found[name] = Quantity(label, _unit(fields[name]), fields[name].values[0, frame])
    kinds = [variable for variable in fields.data_vars.values() if variable.attrs.get("kind") == "cells"]
    if kinds:
        total = np.sum([variable.values[0, frame] for variable in kinds], axis=0)
        found["cells"] = Quantity("viable cells,\nall kinds", _unit(kinds[0]), total)
    carriers = [(label, name) for label, name in MATRIX if name in fields]
    if carriers:
        label, name = carriers[0]
        found["matrix"] = Quantity(label, _unit(fields[name]), fields[name].values[0, frame])
    return found


def _unit(variable: xr.DataArray) -> str:
    return str(variable.attrs.get("discsim_unit", ""))


def edges_between(points: np.ndarray, cells: np.ndarray, regions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edges of a plane mesh between regions, and of the outside without those on axis and mid-plane (mirrors, not borders)."""
    sides = np.sort(cells[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    edges, inverse, counts = np.unique(sides, axis=0, return_inverse=True, return_counts=True)
    owners = np.repeat(regions, 3)
    lowest, highest = np.full(len(edges), regions.max()), np.full(len(edges), regions.min())
    np.minimum.at(lowest, inverse.ravel(), owners)
    np.maximum.at(highest, inverse.ravel(), owners)
    on_mirror = (np.abs(points[edges]) < PLANE_TOLERANCE * np.abs(points).max()).all(axis=1).any(axis=1)
    return edges[lowest < highest], edges[(counts == 1) & ~on_mirror]


def _segments(moved: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Line segments (count, 2, 2) of edges in all four quarters."""
    return _mirrored(moved[edges][None]).reshape(-1, 2, 2)


def _mirrored(coordinates: np.ndarray) -> np.ndarray:
    """The four quarters of the section; a leading axis of length 1 becomes one of length 4."""
    signs = np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])
    return np.concatenate([coordinates * sign for sign in signs])
