"""A field on the mid-sagittal section as a picture of equal pixels: quick enough to be drawn anew while a slider moves."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from discsim.report.section import PLANE_TOLERANCE
from discsim.study.result import ResultError

Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Picture:
    """``values`` (rows, columns), NaN outside of the disc, at pixel centres ``x`` (columns,) and ``y`` (rows,) in mm."""

    x: Floats
    y: Floats
    values: NDArray[np.float32]


class SectionRaster:
    """Section of an axisymmetric mesh: ``points`` (vertices, 2) mm, ``cells`` (cells, 3), ``regions`` (cells,).

    ``pixels``: from the axis to the rim. Raises ``ResultError`` for another mesh.
    """

    def __init__(self, points: Floats, cells: NDArray[np.int64], regions: NDArray[np.int64], *, pixels: int = 200) -> None:
        if points.shape[1] != 2:
            raise ResultError("fields are drawn on axisymmetric meshes; this one is three-dimensional")
        self.points, self.cells = points, cells
        width, height = 1.08 * points[:, 0].max(), 1.12 * points[:, 1].max()
        size = width / pixels
        self.x, self.y = (np.arange(size / 2.0, end, size) for end in (width, height))
        sides = np.sort(cells[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
        edges, where, counts = np.unique(sides, axis=0, return_inverse=True, return_counts=True)
        lowest, highest = np.full(len(edges), regions.max()), np.full(len(edges), regions.min())
        np.minimum.at(lowest, where.ravel(), np.repeat(regions, 3))
        np.maximum.at(highest, where.ravel(), np.repeat(regions, 3))
        mirror = (np.abs(points[edges]) < PLANE_TOLERANCE * np.abs(points).max()).all(axis=1).any(axis=1)
        self._chains = _chained(edges[(lowest < highest) | ((counts == 1) & ~mirror)])

    def picture(self, displacement: Floats, values: Floats) -> Picture:
        """Values (cells, 3) at corners on the deformed section; ``displacement`` (vertices, 2) mm."""
        from matplotlib.tri import Triangulation

        moved = self.points + displacement
        finder = Triangulation(moved[:, 0], moved[:, 1], self.cells).get_trifinder()
        columns, rows = np.meshgrid(self.x, self.y)
        found: NDArray[np.int64] = np.asarray(finder(columns.ravel(), rows.ravel()), dtype=np.int64)
        inside = np.flatnonzero(found >= 0)
        corners = moved[self.cells[found[inside]]]
        a, b, c = (corners[:, k] for k in range(3))
        at = np.column_stack([columns.ravel()[inside], rows.ravel()[inside]])
        area = _cross(b - a, c - a)
        second, third = _cross(at - a, c - a) / area, _cross(b - a, at - a) / area
        weights = np.column_stack([1.0 - second - third, second, third])
        quarter = np.full(columns.size, np.nan, dtype=np.float32)
        quarter[inside] = (weights * values[found[inside]]).sum(axis=1)
        half = _mirrored(quarter.reshape(columns.shape), axis=1)
        whole = _mirrored(half, axis=0)
        return Picture(np.concatenate([-self.x[::-1], self.x]), np.concatenate([-self.y[::-1], self.y]), whole)

    def lines(self, displacement: Floats) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Borders of the regions and the outline as one broken line: x and y (mm), NaN between its parts."""
        moved = self.points + displacement
        gap = np.full((1, 2), np.nan)
        quarter = np.concatenate([part for chain in self._chains for part in (moved[chain], gap)])
        signs = np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])
        whole = np.concatenate([quarter * sign for sign in signs]).astype(np.float32)
        return whole[:, 0], whole[:, 1]


def _chained(edges: NDArray[np.int64]) -> list[list[int]]:
    """Edges (count, 2) as few lines of vertices: a browser draws one long line far faster than its parts."""
    left: dict[int, list[int]] = {}
    for a, b in edges.tolist():
        left.setdefault(a, []).append(b)
        left.setdefault(b, []).append(a)
    chains = []
    for start in sorted(left, key=lambda vertex: len(left[vertex]) % 2 == 0):  # ends of lines first
        while left[start]:
            chain = [start]
            while left[chain[-1]]:
                onward = left[chain[-1]].pop()
                left[onward].remove(chain[-1])
                chain.append(onward)
            chains.append(chain)
    return chains


def _cross(a: Floats, b: Floats) -> Floats:
    found: Floats = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return found


def _mirrored(values: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    return np.concatenate([np.flip(values, axis=axis), values], axis=axis)
