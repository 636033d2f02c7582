"""From DOLFINx to plain arrays: the discretisation of a mesh."""

from __future__ import annotations

from typing import Any

import numpy as np

from discsim.disc.mesh import SURFACES, Mesh
from discsim.fem.backend import basix
from discsim.fem.spaces import FLUX_DEGREE, STRAIN_DEGREE, Spaces
from discsim.problem.discretisation import Discretisation, Quadrature, topology_hash


def tabulate(mesh: Mesh) -> Discretisation:
    """Dof maps, basis values and quadratures of a mesh, in the numbering that the reference engine uses."""
    spaces = Spaces(mesh)
    linear, quadratic = spaces.vertex.element.basix_element, spaces.displacement.sub(0).collapse()[0].element.basix_element
    cell = basix.CellType[spaces.mesh.basix_cell().name]
    facet_cells, facet_locals = _facets(spaces)
    corners = basix.geometry(cell)
    strain, flux = (basix.make_quadrature(cell, degree) for degree in (STRAIN_DEGREE, FLUX_DEGREE))
    tagged = [name for name, tag in SURFACES.items() if len(spaces.facets.find(tag))]
    return Discretisation(
        topology=topology_hash(mesh),
        dimension=spaces.dim,
        symmetry_factor=float(mesh.symmetry_factor),
        source_vertex=_source_vertices(spaces),
        cells=np.asarray(spaces.vertex_of_corner, dtype=np.int64),
        displacement_nodes=np.asarray(spaces.displacement.dofmap.list, dtype=np.int64),
        regions=np.asarray(spaces.regions, dtype=np.int64),
        linear_gradients=_gradients(linear, corners[:1])[0],
        strain=_quadrature(linear, quadratic, *strain),
        flux=_quadrature(linear, quadratic, *flux),
        corner=_quadrature(linear, quadratic, corners, np.zeros(len(corners))),
        facet=_facet_quadrature(linear, quadratic, cell),
        facet_cells=facet_cells,
        facet_locals=facet_locals,
        facet_surfaces=np.asarray(spaces.facets.values, dtype=np.int64),
        facet_normals=_reference_normals(cell),
        nodes_on={name: np.asarray(spaces.dofs_on(spaces.displacement, name), dtype=np.int64) for name in tagged},
        vertices_on={name: np.asarray(spaces.vertices_on(name), dtype=np.int64) for name in tagged},
    )


def _gradients(element: Any, points: np.ndarray) -> np.ndarray:
    return np.moveaxis(element.tabulate(1, points)[1:, :, :, 0], 0, -1)


def _quadrature(linear: Any, quadratic: Any, points: np.ndarray, weights: np.ndarray) -> Quadrature:
    return Quadrature(
        weights,
        linear.tabulate(0, points)[0, :, :, 0],
        quadratic.tabulate(0, points)[0, :, :, 0],
        _gradients(quadratic, points),
    )


def _facet_quadrature(linear: Any, quadratic: Any, cell: Any) -> Quadrature:
    """The rule of each facet, mapped onto the reference cell; leading axis: local facet number."""
    corners, topology = basix.geometry(cell), basix.topology(cell)
    kind = {2: basix.CellType.interval, 3: basix.CellType.triangle}[corners.shape[1]]
    points, weights = basix.make_quadrature(kind, FLUX_DEGREE)
    parts = []
    for facet in topology[corners.shape[1] - 1]:
        x = corners[facet]
        parts.append(_quadrature(linear, quadratic, x[0] + points @ (x[1:] - x[0]), weights))
    return Quadrature(
        weights,
        *(np.stack([getattr(p, n) for p in parts]) for n in ("values", "displacement_values", "displacement_gradients")),
    )


def _reference_normals(cell: Any) -> np.ndarray:
    """Outward normal times what turns the facet rule's weights into the measure of the reference facet."""
    corners, topology = basix.geometry(cell), basix.topology(cell)
    normals = basix.cell.facet_outward_normals(cell)
    scales = []
    for facet in topology[corners.shape[1] - 1]:
        edges = corners[facet][1:] - corners[facet][0]
        scales.append(np.sqrt(np.linalg.det(edges @ edges.T)))
    return np.asarray(normals * np.array(scales)[:, None])


def _facets(spaces: Spaces) -> tuple[np.ndarray, np.ndarray]:
    """Cell and local number of every tagged facet (of an interior one: the first of its two cells)."""
    topology = spaces.mesh.topology
    topology.create_connectivity(spaces.dim, spaces.dim - 1)
    to_cell = topology.connectivity(spaces.dim - 1, spaces.dim)
    to_facet = topology.connectivity(spaces.dim, spaces.dim - 1)
    cells = np.array([to_cell.links(facet)[0] for facet in spaces.facets.indices], dtype=np.int64)
    local = [int(np.flatnonzero(to_facet.links(c) == f)[0]) for c, f in zip(cells, spaces.facets.indices, strict=True)]
    return cells, np.array(local, dtype=np.int64)


def _source_vertices(spaces: Spaces) -> np.ndarray:
    """Vertex number in the mesh file of every linear degree of freedom."""
    geometry = spaces.mesh.geometry
    source = np.empty(len(spaces.source.points), dtype=np.int64)
    # P1 dofs and geometry nodes of straight cells list the vertices of a cell in the same order
    source[spaces.vertex_of_corner.reshape(-1)] = geometry.input_global_indices[geometry.dofmaps[0].reshape(-1)]
    return source
