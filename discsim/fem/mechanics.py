"""Drained equilibrium at finite strain: u (P2), rigid top plate with given force.

Weak form, for all virtual displacements v that keep the plate rigid:

    int [ d psi(F F_p)/J_p - pi(J, gag) dJ ] w dX - N d_plate = 0

psi matrix and fibre energy per stress-free volume (MPa), F_p prestress per point with J_p = det F_p, pi swelling pressure
(MPa), w = 2 pi r or 1, N axial force of the modelled part (N). On the year clock the fluid is in equilibrium with the bath
(chemical-potential pressure 0), so that the intradiscal pressure is pi. Source: mechanics 1.1; default_disc b.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sparse

from discsim.disc.mesh import SURFACES
from discsim.fem.backend import PETSc, fem, ufl
from discsim.fem.lower import lower
from discsim.fem.newton import LaggedNewton
from discsim.fem.parameters import FormParameters
from discsim.fem.spaces import Spaces
from discsim.problem.point import PointModel, bound_material
from discsim.problem.status import Status, StepFailed

PRESTRESS_TOLERANCE = 1e-3  # mm, largest displacement left when the prestress is accepted (default_disc b)
PRESTRESS_ROUNDS = 80


class Mechanics:
    """Forms, constraint and solver of the drained disc."""

    def __init__(self, spaces: Spaces, model: PointModel, parameters: FormParameters, plate: str) -> None:
        self.spaces, self.parameters = spaces, parameters
        self.u = fem.Function(spaces.displacement, name="displacement")
        self.gag = fem.Function(spaces.corner, name="gag")
        self.prestress = fem.Function(spaces.prestress, name="prestress")
        self.ramp = fem.Constant(spaces.mesh, 1.0)
        self._define(model)
        self.constraint, self.plate_column = self._constrain(plate)
        self.last_load = 0.0
        self._load = np.zeros(self.constraint.shape[1])
        # nodal forces (N) on all displacement unknowns, for manufactured solutions
        self.external = np.zeros(self.constraint.shape[0])
        self.solver = LaggedNewton(
            self.constraint.shape[1],
            self._reduced_residual,
            self._reduced_jacobian,
            ranks=spaces.ranks,
            absolute=1e-7,
            relative=1e-13,
        )
        self.q = np.zeros(self.constraint.shape[1])
        self.clear_prestress()

    def _define(self, model: PointModel) -> None:
        spaces, kinematics = self.spaces, self.spaces.kinematics
        symbols = self.parameters.symbols
        u, v, du = self.u, ufl.TestFunction(spaces.displacement), ufl.TrialFunction(spaces.displacement)
        F = ufl.variable(kinematics.deformation_gradient(u))
        self.F, self.J = F, ufl.det(F)
        elastic = F * self.prestress
        C = elastic.T * elastic
        position = self.annulus_position()
        in_annulus = spaces.masks["inner_AF"] + spaces.masks["outer_AF"]
        prefix = f"{model.material.label}."
        mine = {path: symbol for path, symbol in symbols.items() if path.startswith(prefix)}

        def material(values: dict[str, Any]) -> Any:
            return bound_material(model.material, values)

        angle = lower(lambda p, s: material(p).fibre_angle(s), mine, position, name="fibre_angle")
        I4 = [ufl.inner(a, C * a) for a in kinematics.fibres(angle)]
        energy = lower(
            lambda p, *x: material(p).energy(*x), mine, ufl.tr(C), ufl.det(elastic), *I4, position, in_annulus, name="energy"
        )
        pressure = lower(lambda p, J, g: material(p).osmotic_pressure(J, g), mine, self.J, self.gag, name="osmotic_pressure")
        stored = energy / ufl.det(self.prestress) * kinematics.weight * spaces.dx_strain
        swelling = self.ramp * pressure * ufl.derivative(self.J, u, v) * kinematics.weight * spaces.dx_strain
        residual = ufl.derivative(stored, u, v) - swelling
        self._residual = spaces.form(residual)
        self._tangent = spaces.form(ufl.derivative(residual, u, du))
        lowest = lower(lambda p: material(p).lowest_jacobian(), mine, name="lowest_jacobian")
        self._margin = spaces.at_strain_points(self.J - lowest)
        self._corner_margin = spaces.at_corners([self.J - lowest])
        self._update = spaces.at_strain_points(F * self.prestress)
        self._matrix = fem.petsc.create_matrix(self._tangent)
        self._vector = fem.create_vector(self.spaces.displacement)

    def annulus_position(self) -> Any:
        """0 at the rim, 1 at the nucleus: linear in radius, clipped inside the nucleus."""
        points = self.spaces.source.points
        radius = np.hypot(points[:, 0], points[:, 1]) if self.spaces.dim == 3 else points[:, 0]
        cells = self.spaces.source.cells[self.spaces.source.cell_regions == 1]
        rim, nucleus = float(radius.max()), float(radius[cells].max())
        self.rim, self.nucleus = rim, nucleus
        # a mesh without annulus has no fibres: any position will do
        scale = fem.Constant(self.spaces.mesh, 1.0 / (rim - nucleus) if rim > nucleus else 0.0)
        return ufl.min_value((fem.Constant(self.spaces.mesh, rim) - self.spaces.kinematics.radius()) * scale, 1.0)

    def _constrain(self, plate: str) -> tuple[sparse.csr_matrix, int]:
        """Full displacement = constraint x free unknowns; the last unknown is the displacement of the plate.

        ``plate``: "bonded" to the disc, "slip" radially, or "confined": slips, and the rim cannot move radially (a test piece).
        """
        spaces, dim = self.spaces, self.spaces.dim
        size = spaces.displacement.dofmap.index_map.size_local * dim
        axial = spaces.kinematics.axial
        fixed: set[int] = set()
        held = {"mid_plane": [axial], "axis": [0], "symmetry_x": [0], "symmetry_y": [1]}
        if plate == "confined":
            held["rim"] = [0]
        for surface, components in held.items():
            if surface in SURFACES and len(spaces.facets.find(SURFACES[surface])):
                for block in spaces.dofs_on(spaces.displacement, surface):
                    fixed |= {int(block) * dim + c for c in components}
        top: set[int] = set()
        for surface in ("endplate", "annulus_top"):
            for block in spaces.dofs_on(spaces.displacement, surface):
                top.add(int(block) * dim + axial)
                if plate == "bonded":
                    fixed |= {int(block) * dim + c for c in range(dim) if c != axial}
        free = np.array([i for i in range(size) if i not in fixed and i not in top])
        rows = np.concatenate([free, np.array(sorted(top - fixed))])
        columns = np.concatenate([np.arange(len(free)), np.full(len(top - fixed), len(free))])
        matrix = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(size, len(free) + 1))
        self._petsc_constraint = PETSc.Mat().createAIJ(
            size=matrix.shape,
            csr=(matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32), matrix.data),
            comm=PETSc.COMM_SELF,
        )
        self._reduced: PETSc.Mat | None = None
        area = spaces.form(spaces.kinematics.weight * (spaces.ds(SURFACES["endplate"]) + spaces.ds(SURFACES["annulus_top"])))
        self.area = spaces.integral(area)
        return matrix, len(free)

    def _reduced_residual(self, q: np.ndarray) -> np.ndarray:
        self.u.x.array[:] = self.constraint @ q
        if self.spaces.ranks.least(float(self._margin().min(initial=np.inf))) <= 0.0:
            return np.full(len(q), np.nan)
        self.spaces.assemble_into(self._vector.array, self._residual)
        return self.constraint.T @ (self._vector.array - self.external) - self._load

    def _reduced_jacobian(self, q: np.ndarray) -> PETSc.Mat:
        self.u.x.array[:] = self.constraint @ q
        self._matrix.zeroEntries()
        fem.petsc.assemble_matrix(self._matrix, self._tangent)
        self._matrix.assemble()
        if self._reduced is None:
            self._reduced = self._matrix.ptap(self._petsc_constraint)
        else:
            self._matrix.ptap(self._petsc_constraint, result=self._reduced)
        return self._reduced

    def solve(self, load: float, at_corners: bool = True) -> None:
        """Equilibrium at ``load`` (MPa, axial force per reference disc area); raises ``StepFailed``, state unchanged then.

        The bound on J holds at the points of the strain quadrature and, with ``at_corners``, at vertices too.
        """
        before = self.q.copy()
        self._load[:] = 0.0
        self._load[self.plate_column] = -load * self.area
        q, report = self.solver.solve(before)
        ok = report.converged and np.isfinite(q).all()
        self.q = q if ok else before
        self.u.x.array[:] = self.constraint @ self.q
        if not ok:
            raise StepFailed(Status.NONCONVERGED, f"mechanics did not converge ({report.reason}, residual {report.norm:.2g} N)")
        if at_corners and self._corner_margin().min() <= 0.0:
            self.set_state(before)
            raise StepFailed(Status.UNPHYSICAL, "volume ratio below the bound of the swelling law")
        self.last_load = load

    def reach(self, load: float, halvings: int = 5) -> None:
        """Equilibrium at ``load``, in smaller increments where one jump from the last load does not converge."""
        try:
            self.solve(load)
        except StepFailed:
            if halvings == 0 or load == self.last_load:
                raise
            self.reach(0.5 * (self.last_load + load), halvings - 1)
            self.reach(load, halvings - 1)

    def set_state(self, q: np.ndarray) -> None:
        """Set the free unknowns (for retry and restart)."""
        self.q = q.copy()
        self.u.x.array[:] = self.constraint @ self.q

    def clear_prestress(self) -> None:
        """No prestress: F_p = I."""
        count = self.prestress.x.array.size // 9
        self.prestress.x.array[:] = np.tile(np.eye(3).reshape(-1), count)

    def find_prestress(self, load: float, ramps: int = 8) -> int:
        """Prestress that makes the mesh the equilibrium shape at ``load``; returns the rounds taken.

        From F_p = I, osmosis and load are ramped up together; then F_p := F F_p, u := 0 until the displacement left is below
        1e-3 mm everywhere. Raises ``StepFailed`` where it does not settle. (default_disc b)
        """
        self.clear_prestress()
        self.set_state(np.zeros_like(self.q))
        try:
            for step in range(1, ramps + 1):
                self.ramp.value = step / ramps
                # on the way the bonded rim corner is strained far more than in the state sought, where all points are checked
                self.solve(load * step / ramps, at_corners=False)
        finally:
            self.ramp.value = 1.0
        for rounds in range(1, PRESTRESS_ROUNDS + 1):
            self.prestress.x.array[:] = self.spaces.ranks.joined(self._update()).reshape(-1)
            self.set_state(np.zeros_like(self.q))
            self.solve(load, at_corners=False)
            if np.abs(self.u.x.array).max() < PRESTRESS_TOLERANCE:
                self.solve(load)
                return rounds
        raise StepFailed(
            Status.NONCONVERGED,
            f"prestress did not settle in {PRESTRESS_ROUNDS} rounds; annulus matrix too soft or load too high",
        )

    def plate_displacement(self) -> float:
        """Displacement of the top plate along the spine, mm (negative: lower)."""
        return float(self.q[self.plate_column])

    def height(self) -> float:
        """Whole soft height, mm."""
        reference = self.spaces.source.points[:, self.spaces.kinematics.axial].max()
        return 2.0 * (reference + self.plate_displacement())
