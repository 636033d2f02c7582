"""Cuts of the deformed disc: across at mid-height, or through a solid mesh along its mid-sagittal plane.

A vertex on the plane counts as lying beneath it, so that a mesh that ends on the plane is cut in the faces that lie there.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import xarray as xr

from discsim.report.section import Quantity, Section, edges_between
from discsim.study.result import ResultError

# Distance from a plane, as a share of the disc's size, that counts as lying on it.
ON_PLANE = 1e-7
ANGLES = 120  # of a circle: a chord misses 0.03 % of the radius
X, Y, Z = 0, 1, 2


@dataclasses.dataclass(frozen=True)
class Pieces:
    """Pieces of cells in a plane: corners (pieces, corners, dim) mm, values (pieces, corners), region of each piece.

    ``edges`` (pieces, corners, 2) holds the ends of the edge of the mesh that each corner lies on, twice the same for a vertex:
    pieces that touch are known by it, whatever the round-off of their corners.
    """

    corners: np.ndarray
    values: np.ndarray
    edges: np.ndarray
    regions: np.ndarray


def transverse(fields: xr.Dataset, frame: int, key: str, quantity: Quantity) -> Section:
    """The cut across the whole disc at mid-height, front to the right; ``quantity`` holds values (cells, corners).

    An axisymmetric mesh gives the profile along the radius, which is turned about the axis.
    """
    if fields["points"].shape[1] == 3:
        return solid_cut(fields, frame, key, quantity, Z)
    profile = _in_order(_pieces(fields, frame, quantity.values, axis=1))
    inner, outer = profile.corners[:, 0, 0], profile.corners[:, 1, 0]
    changes = np.flatnonzero(np.diff(profile.regions)) + 1
    triangles, values = _turned(profile)
    return Section(
        float(fields["field_time"].values[frame]),
        triangles[..., 0].ravel(),
        triangles[..., 1].ravel(),
        np.arange(triangles.shape[0] * 3).reshape(-1, 3),
        {key: dataclasses.replace(quantity, values=values.ravel())},
        _circles(inner[changes]),
        _circles(outer[-1:]),
    )


def solid_cut(fields: xr.Dataset, frame: int, key: str, quantity: Quantity, axis: int) -> Section:
    """The cut of a solid mesh where ``axis`` is zero, mirrored to the whole disc: 1 mid-sagittal, 2 at mid-height."""
    if fields["points"].shape[1] != 3:
        raise ResultError("only a three-dimensional mesh is cut along a plane")
    pieces = _pieces(fields, frame, quantity.values, axis)
    if not len(pieces.corners):
        raise ResultError("the plane does not meet the mesh")
    left = [one for one in (X, Y, Z) if one != axis]
    corners = pieces.corners[..., left]
    size = float(np.abs(corners).max())
    corners = np.where(np.abs(corners) < ON_PLANE * size, 0.0, corners)
    _, first, numbers = np.unique(pieces.edges.reshape(-1, 2), axis=0, return_index=True, return_inverse=True)
    points = corners.reshape(-1, 2)[first]
    inner, outer = edges_between(points, numbers.reshape(-1, 3), pieces.regions)
    signs = np.unique(mirror_signs(fields)[:, left], axis=0)
    whole = (corners[None] * signs[:, None, None]).reshape(-1, 2)
    return Section(
        float(fields["field_time"].values[frame]),
        whole[:, 0],
        whole[:, 1],
        np.arange(len(whole)).reshape(-1, 3),
        {key: dataclasses.replace(quantity, values=np.tile(pieces.values.ravel(), len(signs)))},
        *((points[edges][None] * signs[:, None, None]).reshape(-1, 2, 2) for edges in (inner, outer)),
    )


def mirror_signs(fields: xr.Dataset) -> np.ndarray:
    """Signs (copies, 3) by which a solid mesh is multiplied to give the whole disc; the first row leaves it as it is.

    A direction is mirrored where the mesh lies on one side of its plane.
    """
    points = fields["points"].values
    slack = ON_PLANE * np.abs(points).max()
    sides = [(1.0, -1.0) if points[:, axis].min() >= -slack else (1.0,) for axis in (X, Y, Z)]
    return np.array([(x, y, z) for x in sides[X] for y in sides[Y] for z in sides[Z]])


def moved_corners(fields: xr.Dataset, frame: int) -> np.ndarray:
    """Corners (cells, corners, dim) of the deformed mesh, mm."""
    moved = fields["points"].values + fields["displacement"].values[0, frame]
    corners: np.ndarray = moved[fields["connectivity"].values]
    return corners


def _pieces(fields: xr.Dataset, frame: int, values: np.ndarray, axis: int) -> Pieces:
    """Line pieces of triangles, or triangles of tetrahedra, where ``axis`` is zero."""
    corners, regions = moved_corners(fields, frame), fields["region"].values
    height = corners[..., axis]
    height = np.where(np.abs(height) <= ON_PLANE * np.abs(corners).max(), 0.0, height)
    above = height > 0.0
    count, last = above.sum(axis=1), corners.shape[1] - 1
    found = []
    for lonely, flags in ((count == 1, above), (count == last, ~above)):
        order = np.argsort(~flags[lonely], axis=1, kind="stable")  # the one on its own side first
        ends = [(0, other) for other in range(1, last + 1)]
        found.append((lonely, order, ends))
    if last == 3:
        even = count == 2
        order = np.argsort(~above[even], axis=1, kind="stable")
        found += [(even, order, [(0, 2), (0, 3), (1, 3)]), (even, order, [(0, 2), (1, 3), (1, 2)])]
    numbers = fields["connectivity"].values
    made = [
        Pieces(*_crossings(corners[of], values[of], height[of], numbers[of], order, ends), regions[of])
        for of, order, ends in found
    ]
    parts = [field.name for field in dataclasses.fields(Pieces)]
    return _without_empty(Pieces(*(np.concatenate([getattr(one, part) for one in made]) for part in parts)))


def _crossings(
    corners: np.ndarray,
    values: np.ndarray,
    height: np.ndarray,
    numbers: np.ndarray,
    order: np.ndarray,
    ends: list[tuple[int, int]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the edges between the ordered corners cross the plane, the values there, and the vertices at their ends."""
    rows = np.arange(len(corners))
    points, found, edges = [], [], []
    for one, other in ends:
        a, b = order[:, one], order[:, other]
        below, above = height[rows, a], height[rows, b]
        share = (below / (below - above))[:, None]
        points.append((1.0 - share) * corners[rows, a] + share * corners[rows, b])
        found.append((1.0 - share[:, 0]) * values[rows, a] + share[:, 0] * values[rows, b])
        here, there = numbers[rows, a], numbers[rows, b]
        pair = np.stack([np.where(above == 0.0, there, here), np.where(below == 0.0, here, there)], axis=1)
        edges.append(np.sort(pair, axis=1))
    return np.stack(points, axis=1), np.stack(found, axis=1), np.stack(edges, axis=1)


def _without_empty(pieces: Pieces) -> Pieces:
    """Without pieces of no size, of which two corners are one vertex: those of cells that only touch the plane."""
    same = (pieces.edges[:, :, None] == pieces.edges[:, None]).all(axis=3)
    kept = same.sum(axis=(1, 2)) == same.shape[1]
    return Pieces(pieces.corners[kept], pieces.values[kept], pieces.edges[kept], pieces.regions[kept])


def _in_order(profile: Pieces) -> Pieces:
    """Line pieces from the axis outwards, the inner end first."""
    turn = np.argsort(profile.corners[..., 0], axis=1)
    corners = np.take_along_axis(profile.corners, turn[..., None], axis=1)
    values = np.take_along_axis(profile.values, turn, axis=1)
    outwards = np.argsort(corners[:, 0, 0])
    return Pieces(corners[outwards], values[outwards], profile.edges[outwards], profile.regions[outwards])


def _turned(profile: Pieces) -> tuple[np.ndarray, np.ndarray]:
    """Triangles (count, 3, 2) and values (count, 3) of a profile along the radius, turned about the axis."""
    circle = _circle()
    radii = profile.corners[..., 0]
    ring = radii[:, None, :, None] * circle[None, :, None, :]  # pieces, angles, ends, xy
    here, there = ring[:, :-1], ring[:, 1:]
    inner, outer = (np.broadcast_to(profile.values[:, None, end], here.shape[:2]) for end in (0, 1))
    first = np.stack([here[:, :, 0], here[:, :, 1], there[:, :, 1]], axis=2)
    second = np.stack([here[:, :, 0], there[:, :, 1], there[:, :, 0]], axis=2)
    values = [np.stack(of, axis=2) for of in ((inner, outer, outer), (inner, outer, inner))]
    return np.concatenate([first, second]).reshape(-1, 3, 2), np.concatenate(values).reshape(-1, 3)


def _circle() -> np.ndarray:
    angle = np.linspace(0.0, 2.0 * np.pi, ANGLES + 1)
    return np.column_stack([np.cos(angle), np.sin(angle)])


def _circles(radii: np.ndarray) -> np.ndarray:
    """Line segments (count, 2, 2) of circles about the axis."""
    circle = _circle()
    pairs = np.stack([circle[:-1], circle[1:]], axis=1)
    return (np.asarray(radii)[:, None, None, None] * pairs[None]).reshape(-1, 2, 2)
