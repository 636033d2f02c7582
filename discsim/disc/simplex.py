"""Geometry of straight triangles and tetrahedra, given as arrays: measures, gradients, angles, faces, stiffness."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Off-diagonal entries below this share of the diagonal are round-off of right angles.
OFF_DIAGONAL_TOLERANCE = 1e-12


def edge_vectors(points: Floats, cells: Integers) -> Floats:
    """Edges from the first vertex of each simplex to the others, (cell, edge, coordinate)."""
    return np.asarray(points[cells[:, 1:]] - points[cells[:, :1]], dtype=np.float64)


def signed_measures(points: Floats, cells: Integers) -> Floats:
    """Area of triangles or volume of tetrahedra, negative if the vertices turn the wrong way."""
    simplices_per_box = {2: 2.0, 3: 6.0}[points.shape[1]]
    return np.asarray(np.linalg.det(edge_vectors(points, cells)) / simplices_per_box, dtype=np.float64)


def positively_oriented(points: Floats, cells: Integers) -> Integers:
    """The same cells, with the last two vertices swapped wherever the measure was negative."""
    oriented = cells.copy()
    turned = signed_measures(points, cells) < 0.0
    oriented[turned, -2:] = cells[turned, :-3:-1]
    return oriented


def longest_edges(points: Floats, cells: Integers) -> Floats:
    """Length of the longest edge of each cell."""
    corners = points[cells]
    lengths = np.linalg.norm(corners[:, :, None] - corners[:, None, :], axis=3)
    return np.asarray(lengths.max(axis=(1, 2)), dtype=np.float64)


def basis_gradients(points: Floats, cells: Integers) -> Floats:
    """Gradients of the linear basis functions, (cell, vertex, coordinate)."""
    others = np.linalg.inv(edge_vectors(points, cells)).transpose(0, 2, 1)
    return np.concatenate([-others.sum(axis=1, keepdims=True), others], axis=1)


def minimum_angle(points: Floats, cells: Integers) -> float:
    """Smallest angle between two faces of a cell in degrees, from cos = -n_i . n_j of the face normals n."""
    gradients = basis_gradients(points, cells)
    normals = gradients / np.linalg.norm(gradients, axis=2, keepdims=True)
    first, second = np.triu_indices(cells.shape[1], k=1)
    cosines = -np.einsum("mpd,mpd->mp", normals[:, first], normals[:, second])
    return float(np.degrees(np.arccos(np.clip(cosines.max(), -1.0, 1.0))))


def positive_off_diagonals(points: Floats, cells: Integers, weights: Floats) -> int:
    """Number of entries K_ij > 0, i != j, of the linear stiffness matrix.

    K_ij = sum over cells of weight |cell| grad phi_i . grad phi_j. Both entries of a symmetric pair count.
    """
    from scipy.sparse import coo_array  # here, because nothing else of the disc needs scipy

    gradients = basis_gradients(points, cells)
    weighted = weights * np.abs(signed_measures(points, cells))
    entries = weighted[:, None, None] * np.einsum("mid,mjd->mij", gradients, gradients)
    corners = cells.shape[1]
    rows, columns = np.repeat(cells, corners, axis=1), np.tile(cells, (1, corners))
    shape = (len(points), len(points))
    assembled = coo_array((entries.ravel(), (rows.ravel(), columns.ravel())), shape=shape).tocsr()
    diagonal = assembled.diagonal()
    assembled = assembled.tocoo()
    limit = OFF_DIAGONAL_TOLERANCE * np.sqrt(diagonal[assembled.row] * diagonal[assembled.col])
    return int(np.count_nonzero((assembled.row != assembled.col) & (assembled.data > limit)))


def cell_faces(cells: Integers) -> tuple[Integers, Integers, Integers]:
    """Faces of all cells with sorted vertices, the cell each belongs to, and the sense (0, 1) in which it is run.

    Two positively oriented neighbours run their common face in opposite senses; equal senses mean that they overlap.
    """
    corners = cells.shape[1]
    faces, senses = [], []
    for left_out in range(corners):
        face = np.delete(cells, left_out, axis=1)
        inversions = [face[:, i] > face[:, j] for j in range(corners - 1) for i in range(j)]
        faces.append(np.sort(face, axis=1))
        senses.append((np.sum(inversions, axis=0) + left_out) % 2)
    owners = np.tile(np.arange(len(cells)), corners)
    return np.concatenate(faces), owners, np.concatenate(senses)
