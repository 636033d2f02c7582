"""The mesh in DOLFINx, the function spaces, and where every number lives.

- ``vertices``: P1 degrees of freedom, one per mesh vertex (solutes, signals);
- ``corners``: (cell, vertex) pairs, DG1 degrees of freedom (cells, matrix);
- displacement: P2.
Vertex quadrature: the integral of f over a cell is the sum over its vertices of w_Ki f_i with w_Ki the exact integral of the
linear basis function i (with 2 pi r), so that volumes are exact and weights positive on the axis.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from discsim.disc.mesh import REGIONS, SURFACES, Mesh
from discsim.fem.backend import JIT_OPTIONS, MPI, basix, dolfinx, fem, ufl
from discsim.fem.kinematics import kinematics
from discsim.fem.ranks import Ranks

STRAIN_DEGREE = 4  # quadrature degree of the finite-strain forms (P2 displacement)
FLUX_DEGREE = 3  # of diffusion on the deformed disc


class Spaces:
    """Spaces, measures and region masks of one mesh; knows no physics.

    Of several ``ranks`` each has the whole mesh; measures and ``cells`` are its own share.
    """

    def __init__(self, mesh: Mesh, ranks: Ranks | None = None) -> None:
        self.source, self.ranks = mesh, ranks or Ranks()
        self.mesh = self._create(mesh)
        cell, self.dim = self.mesh.basix_cell(), self.mesh.topology.dim
        self.displacement = fem.functionspace(self.mesh, ("Lagrange", 2, (self.dim,)))
        self.vertex = fem.functionspace(self.mesh, ("Lagrange", 1))
        self.corner = fem.functionspace(self.mesh, ("Discontinuous Lagrange", 1))
        self.cellwise = fem.functionspace(self.mesh, ("Discontinuous Lagrange", 0))
        tensor = basix.ufl.quadrature_element(cell, value_shape=(3, 3), degree=STRAIN_DEGREE)
        self.prestress = fem.functionspace(self.mesh, tensor)
        self.kinematics = kinematics(self.mesh)
        self.corner_dofs = self.corner.dofmap.list  # (cells, vertices per cell)
        self.vertex_of_corner = self.vertex.dofmap.list
        self.cells = self.ranks.mine(len(self.corner_dofs))
        self._tag(mesh)
        self._measures()

    def _create(self, mesh: Mesh) -> Any:
        cell = {2: "triangle", 3: "tetrahedron"}[mesh.points.shape[1]]
        element = basix.ufl.element("Lagrange", cell, 1, shape=(mesh.points.shape[1],))
        return dolfinx.mesh.create_mesh(MPI.COMM_SELF, mesh.cells.astype(np.int64), element, mesh.points)

    def _tag(self, mesh: Mesh) -> None:
        self.mesh.topology.create_connectivity(self.dim - 1, self.dim)
        self.mesh.topology.create_connectivity(self.dim - 1, 0)
        self.mesh.topology.create_connectivity(0, self.dim)
        self.regions = mesh.cell_regions[self.mesh.topology.original_cell_index]
        self.masks: dict[str, Any] = {}
        for name, tag in REGIONS.items():
            self.masks[name] = fem.Function(self.cellwise, name=f"in_{name}")
            self.masks[name].x.array[:] = self.regions == tag
        # vertices are renumbered by DOLFINx: find facets by the vertices they were given
        local = np.empty(len(mesh.points), dtype=np.int64)
        node_of_vertex = dolfinx.mesh.entities_to_geometry(
            self.mesh, 0, np.arange(len(mesh.points), dtype=np.int32), False
        ).reshape(-1)
        local[self.mesh.geometry.input_global_indices[node_of_vertex]] = np.arange(len(mesh.points))
        lists = self.mesh.topology.connectivity(self.dim - 1, 0).array.reshape(-1, self.dim)
        known = {tuple(sorted(facet)): index for index, facet in enumerate(lists.tolist())}
        index = np.array([known[tuple(sorted(f))] for f in local[mesh.facets].tolist()], dtype=np.int32)
        order = np.argsort(index)
        self.facets = dolfinx.mesh.meshtags(self.mesh, self.dim - 1, index[order], mesh.facet_surfaces[order].astype(np.int32))

    def _measures(self) -> None:
        weight = self.kinematics.weight
        vertex_rule = {"quadrature_rule": "vertex", "quadrature_degree": 1}
        own = self._own_cells()
        self.dx_strain = own(metadata={"quadrature_degree": STRAIN_DEGREE})
        self.dx_flux = own(metadata={"quadrature_degree": FLUX_DEGREE})
        self.dx_vertex = own(metadata=vertex_rule)
        self.ds = ufl.Measure("ds", self.mesh, subdomain_data=self._own_facets(), metadata={"quadrature_degree": FLUX_DEGREE})
        v = ufl.TestFunction(self.corner)
        exact = fem.assemble_vector(self.form(v * weight * ufl.dx(metadata={"quadrature_degree": 2})))
        volume = fem.assemble_vector(self.form(v * ufl.dx(metadata=vertex_rule)))
        # reference volume of each corner in the modelled part, mm3; the sum is the exact volume
        self.corner_volume = exact.array.copy()
        self.vertex_factor = fem.Function(self.corner)
        self.vertex_factor.x.array[:] = exact.array / volume.array

    def _own_cells(self) -> Any:
        if self.ranks.count == 1:
            return ufl.Measure("dx", self.mesh)
        tags = dolfinx.mesh.meshtags(self.mesh, self.dim, self.cells, np.ones_like(self.cells))
        return ufl.Measure("dx", self.mesh, subdomain_data=tags, subdomain_id=1)

    def _own_facets(self) -> Any:
        if self.ranks.count == 1:
            return self.facets
        to_cell = self.mesh.topology.connectivity(self.dim - 1, self.dim)
        own = np.isin([to_cell.links(facet)[0] for facet in self.facets.indices], self.cells)
        return dolfinx.mesh.meshtags(self.mesh, self.dim - 1, self.facets.indices[own], self.facets.values[own])

    def assemble_into(self, values: np.ndarray, form: Any) -> None:
        """Values of a linear form at all degrees of freedom, from the cells of all ranks."""
        values[:] = 0.0
        fem.assemble_vector(values, form)
        self.ranks.add_up(values)

    def integral(self, form: Any) -> float:
        """Value of a form without test functions, over the cells of all ranks."""
        return self.ranks.total(float(fem.assemble_scalar(form)))

    def form(self, expression: Any) -> Any:
        """Compile a form (or take it from the disk cache)."""
        return self.ranks.compiled(lambda: fem.form(expression, jit_options=JIT_OPTIONS))

    def _expression(self, expression: Any, points: np.ndarray) -> Any:
        return self.ranks.compiled(lambda: fem.Expression(expression, points, jit_options=JIT_OPTIONS))

    def at_corners(self, expressions: list[Any]) -> CornerValues:
        """A compiled evaluation of scalars at all corners."""
        points = basix.geometry(basix.CellType[self.mesh.basix_cell().name])
        return CornerValues(self, self._expression(ufl.as_vector(expressions), points))

    def at_strain_points(self, expression: Any) -> Callable[[], np.ndarray]:
        """A compiled evaluation at the points of the strain quadrature of this rank's cells, in their order."""
        points, _ = basix.make_quadrature(self.mesh.basix_cell(), STRAIN_DEGREE)
        compiled = self._expression(expression, points)
        return lambda: np.asarray(compiled.eval(self.mesh, self.cells))

    def vertices_on(self, surface: str) -> np.ndarray:
        """P1 degrees of freedom on a tagged surface."""
        return self.dofs_on(self.vertex, surface)

    def dofs_on(self, space: Any, surface: str) -> np.ndarray:
        """Degrees of freedom (blocks) of a space on a tagged surface."""
        return fem.locate_dofs_topological(space, self.dim - 1, self.facets.find(SURFACES[surface]))

    def corner_array(self, values: np.ndarray) -> np.ndarray:
        """Vertex values (P1 numbering) as corner values (DG1 numbering)."""
        corners = np.empty(self.corner_dofs.size)
        corners[self.corner_dofs.reshape(-1)] = values[self.vertex_of_corner.reshape(-1)]
        return corners

    def positions(self) -> np.ndarray:
        """Coordinates of the P1 degrees of freedom, shape (vertices, dim)."""
        return self.vertex.tabulate_dof_coordinates()[:, : self.dim]


class CornerValues:
    """Scalars at all corners, as arrays in DG1 numbering."""

    def __init__(self, spaces: Spaces, expression: Any) -> None:
        self._spaces, self._expression = spaces, expression

    def __call__(self) -> np.ndarray:
        """Values of shape (expressions, corners)."""
        spaces = self._spaces
        cells, count = spaces.corner_dofs.shape
        raw = spaces.ranks.joined(np.asarray(self._expression.eval(spaces.mesh, spaces.cells)))
        raw = raw.reshape(cells, count, -1)
        values = np.empty((raw.shape[2], spaces.corner_dofs.size))
        values[:, spaces.corner_dofs.reshape(-1)] = raw.reshape(-1, raw.shape[2]).T
        return values
