"""Diffusion on the deformed disc: what solutes and signals have in common.

Weak form of a field c with test function v (all in the reference shape, w = 2 pi r or 1):

    int D J (F^-T grad c).(F^-T grad v) w dX + int h (c - c_far) v |J F^-T N| w dA - sum_Ki w_Ki J R v = 0

D diffusivity (mm2/s), h exchange coefficient (mm/s), R net rate per current mixture volume. Reactions use vertex quadrature
with exact weights, so that totals close to round-off and the reaction matrix is diagonal. Fixed levels replace their rows.
Source: transport 1.1; architecture 5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from discsim.biology.mechanism import Level
from discsim.disc.mesh import OPEN_SURFACES, SURFACES
from discsim.fem.backend import PETSc, fem, ufl
from discsim.fem.newton import LaggedNewton, Report
from discsim.fem.state import FieldState


class Diffusion:
    """Forms and solver for the fields of one P1 vector function; ``source`` gives int of rates as UFL, per field."""

    def __init__(
        self,
        state: FieldState,
        names: tuple[str, ...],
        unknown: Any,
        rates: Mapping[str, Any],
        *,
        absolute: float,
        relative: float,
        storage: Callable[[Any, Any], Any] | None = None,
    ) -> None:
        self.state, self.names, self.unknown = state, names, unknown
        spaces = state.spaces
        self.exchange = {
            (name, surface): (fem.Constant(spaces.mesh, 0.0), fem.Constant(spaces.mesh, 0.0))
            for name in names
            for surface in OPEN_SURFACES
        }
        space = unknown.function_space
        tests = ufl.TestFunction(space)
        residual = self._diffusion(tests)
        factor = spaces.vertex_factor * state.mechanics.J
        for i, name in enumerate(names):
            residual -= rates[name] * tests[i] * factor * spaces.dx_vertex
            residual += self.outflow(name, tests[i])
        if storage is not None:
            residual += storage(tests, factor)
        self._residual = spaces.form(residual)
        self._tangent = spaces.form(ufl.derivative(residual, unknown, ufl.TrialFunction(space)))
        self._matrix = fem.petsc.create_matrix(self._tangent)
        # the solver replaces the rows of fixed levels by those of the identity; the pattern must survive that
        self._matrix.setOption(PETSc.Mat.Option.KEEP_NONZERO_PATTERN, True)
        self._vector = fem.create_vector(space)
        self.levels: dict[int, float] = {}
        self._rows, self._values = np.empty(0, dtype=np.int32), np.empty(0)
        self._totals = {name: spaces.form(self.outflow(name, 1.0)) for name in names}
        self.solver = LaggedNewton(
            unknown.x.array.size,
            self.residual,
            self._jacobian,
            ranks=spaces.ranks,
            held=lambda: self._rows,
            absolute=absolute,
            relative=relative,
        )

    def _diffusion(self, tests: Any) -> Any:
        state, spaces = self.state, self.state.spaces
        kinematics, F, J = spaces.kinematics, state.mechanics.F, state.mechanics.J
        pull_back = ufl.inv(F).T

        def law(p: Any, pointwise: Any, nodal: Any, jacobian: Any, masks: Any, dt: Any) -> Any:
            changes = state.model.changes(p, pointwise, nodal, jacobian, masks)
            return state.model.composition.diffusivities(p, changes.values)

        diffusivity = state.lowered(law, "diffusivities")
        form = 0
        for i, name in enumerate(self.names):
            flux = diffusivity[name] * J * (pull_back * kinematics.gradient(self.unknown[i]))
            form += ufl.inner(flux, pull_back * kinematics.gradient(tests[i])) * kinematics.weight * spaces.dx_flux
        return form

    def outflow(self, name: str, test: Any) -> Any:
        """Boundary term of one field: outflow against ``test`` (1 for the total), in UFL."""
        spaces = self.state.spaces
        F, J = self.state.mechanics.F, self.state.mechanics.J
        n = spaces.kinematics.normal(ufl.FacetNormal(spaces.mesh))
        area = J * ufl.sqrt(ufl.inner(ufl.inv(F).T * n, ufl.inv(F).T * n)) * spaces.kinematics.weight
        value = self.unknown[self.names.index(name)]
        return sum(
            self.exchange[name, surface][0]
            * (value - self.exchange[name, surface][1])
            * test
            * area
            * spaces.ds(SURFACES[surface])
            for surface in OPEN_SURFACES
        )

    def set_boundaries(self, rules: Mapping[str, Mapping[str, Any]]) -> None:
        """Exchange coefficients and fixed levels, from parameter values."""
        for coefficient, far in self.exchange.values():
            coefficient.value, far.value = 0.0, 0.0
        fixed: dict[int, float] = {}
        for index, name in enumerate(self.names):
            for surface, rule in rules[name].items():
                if isinstance(rule, Level):
                    rows = self.state.spaces.vertices_on(surface) * len(self.names) + index
                    fixed |= dict.fromkeys(rows.tolist(), float(rule.level))
                else:
                    coefficient, far = self.exchange[name, surface]
                    coefficient.value, far.value = float(rule.coefficient), float(rule.level)
        self._rows = np.array(sorted(fixed), dtype=np.int32)
        self._values = np.array([fixed[row] for row in sorted(fixed)])

    def residual(self, x: np.ndarray, fixed: bool = True) -> np.ndarray:
        """Residual at ``x``; with ``fixed`` false the rows of fixed levels keep their balance (the outflow through them)."""
        self.unknown.x.array[:] = x
        self.state.spaces.assemble_into(self._vector.array, self._residual)
        if fixed and len(self._rows):
            self._vector.array[self._rows] = x[self._rows] - self._values
        return self._vector.array

    def _jacobian(self, x: np.ndarray) -> Any:
        self.unknown.x.array[:] = x
        self._matrix.zeroEntries()
        fem.petsc.assemble_matrix(self._matrix, self._tangent)
        self._matrix.assemble()
        return self._matrix

    def total_outflow(self, name: str) -> float:
        """Outflow of a field through the surface of the modelled part, amount per second (exchange and fixed levels)."""
        mine = self._rows[self._rows % len(self.names) == self.names.index(name)]
        balance = self.residual(self.unknown.x.array.copy(), fixed=False)[mine].sum()
        return self.state.spaces.integral(self._totals[name]) - float(balance)

    def solve(self) -> Report:
        """Solve from the present values; the unknown holds the result (or is unchanged where it failed)."""
        before = self.unknown.x.array.copy()
        if len(self._rows):
            before[self._rows] = self._values
        x, report = self.solver.solve(before)
        self.unknown.x.array[:] = x if report.converged else before
        return report
