"""Manufactured solutions: observed orders of the solutes (P1) and of the displacement (P2), from the strong form.

The exact fields are smooth functions of (r, z); source, flux and traction that make them a solution are derived from the *strong*
form in cylindrical components by symbolic differentiation, so that a wrong pull-back or a missing hoop term would show as a lost
order. Errors are L2 norms with weight r.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from discsim.disc.mesh import REGIONS, SURFACES, Mesh
from discsim.fem.backend import fem, ufl
from discsim.fem.disc_model import DiscModel, disc_model
from discsim.fem.lower import lower
from discsim.fem.transport import Diffusion
from discsim.problem.point import bound_material
from discsim.problem.problem import build_problem
from discsim.vv.discs import scenario, with_values
from discsim.vv.registry import Case, Row

RADIUS, HEIGHT = 6.0, 4.0
EXACT_DEGREE = 8
EXCHANGE = 1e-4  # mm/s


def block(count: int) -> Mesh:
    """A cylinder of nucleus, 6 mm x 4 mm, with 1.5 ``count`` x ``count`` pairs of triangles."""
    wide = 3 * count // 2
    r, z = np.meshgrid(np.linspace(0.0, RADIUS, wide + 1), np.linspace(0.0, HEIGHT, count + 1))
    points = np.column_stack([r.ravel(), z.ravel()])
    row = wide + 1
    lower_left = [j * row + i for j in range(count) for i in range(wide)]
    cells = [(a, a + 1, a + row + 1) for a in lower_left] + [(a, a + row + 1, a + row) for a in lower_left]
    facets: list[tuple[int, int]] = []
    tags: list[int] = []
    for i in range(wide):
        facets += [(i, i + 1), (count * row + i, count * row + i + 1)]
        tags += [SURFACES["mid_plane"], SURFACES["endplate"]]
    for j in range(count):
        facets += [(j * row, (j + 1) * row), (j * row + wide, (j + 1) * row + wide)]
        tags += [SURFACES["axis"], SURFACES["rim"]]
    return Mesh(
        points, np.array(cells), np.full(len(cells), REGIONS["NP"]), np.array(facets), np.array(tags), "axisymmetric", 2.0
    )


def _model(count: int) -> DiscModel:
    import jax

    jax.config.update("jax_enable_x64", True)
    problem = build_problem({"block": scenario(1, 1)}, readouts=(), field_times=())
    arm = problem.arms[0]
    arm = dataclasses.replace(arm, mesh=block(count), chosen={**arm.chosen, "loading.plate": "slip"})
    # the matrix of an annulus: a free face of soft nucleus under dead traction is close to wrinkling, which spoils the order
    arm = with_values(arm, {"materials.shear_modulus": dict.fromkeys(REGIONS, 0.3)})
    model = disc_model(dataclasses.replace(problem, arms=(arm,)), arm)
    model.mechanics.clear_prestress()
    model.mechanics.ramp.value = 1.0
    model.set_initial_fields()
    return model


def _displacement(x: Any) -> Any:
    """Exact u: no radial part on the axis, no axial part on the mid-plane, the top moves as a plate."""
    r, z = x[0], x[1]
    radial = r * (0.02 + 0.01 * ufl.cos(0.5 * z) - 0.0006 * r**2)
    axial = -0.05 * z + 0.02 * z * (HEIGHT - z) * ufl.cos(0.3 * r**2 / RADIUS)
    return ufl.as_vector([radial, axial])


def _divergence(vector: Any, x: Any) -> Any:
    """Divergence of an axisymmetric vector (r, z components)."""
    return vector[0].dx(0) + vector[0] / x[0] + vector[1].dx(1)


def _error(model: DiscModel, difference: Any) -> float:
    weight = model.spaces.kinematics.weight
    form = ufl.inner(difference, difference) * weight * ufl.dx(model.spaces.mesh, metadata={"quadrature_degree": EXACT_DEGREE})
    return math.sqrt(fem.assemble_scalar(model.spaces.form(form)))


def _orders(name: str, errors: dict[str, list[float]], theory: dict[str, float]) -> list[Row]:
    rows = []
    for key, values in errors.items():
        order = math.log2(values[-2] / values[-1])
        note = "errors " + ", ".join(f"{value:.2e}" for value in values)
        rows.append(
            Row(
                f"{name}.{key}",
                f"order in space of {key}",
                "1",
                order,
                theory[key],
                theory[key] - 0.2,
                theory[key] + 0.2,
                "verification",
                note,
            )
        )
    return rows


def solutes() -> list[Row]:
    """Oxygen, glucose and lactate with their rates on a deformed block: order 2."""
    errors: dict[str, list[float]] = {"oxygen": [], "glucose": [], "lactate": []}
    for count in (8, 16, 32):
        model = _model(count)
        state, spaces = model.state, model.spaces
        x = spaces.kinematics.x
        model.mechanics.u.interpolate(fem.Expression(_displacement(x), spaces.displacement.element.interpolation_points))
        wave = ufl.cos(0.4 * x[0] ** 2 / RADIUS) * ufl.cos(0.6 * x[1])
        exact = {"oxygen": 4.0 + 1.5 * wave, "glucose": 3.0 + wave, "lactate": 2.0 - 0.8 * wave}
        solver = _solute_solver(model, exact)
        state.solutes.x.array[:] = 3.0
        report = solver.solve()
        assert report.converged, report
        for index, name in enumerate(solver.names):
            errors[name].append(_error(model, state.solutes[index] - exact[name]))
    return _orders("solutes", errors, dict.fromkeys(errors, 2.0))


def _solute_solver(model: DiscModel, exact: dict[str, Any]) -> Diffusion:
    """The engine's solute equations with the source and boundary flux that make ``exact`` their solution."""
    state, spaces, point = model.state, model.spaces, model.point
    x, weight = spaces.kinematics.x, spaces.kinematics.weight

    def law(p: Any, pointwise: Any, nodal: Any, jacobian: Any, masks: Any, dt: Any) -> Any:
        changes = point.changes(p, pointwise, nodal, jacobian, masks)
        return point.solute_rates(changes), point.composition.diffusivities(p, changes.values)

    rates, _ = state.lowered(law, "rates")
    F = spaces.kinematics.deformation_gradient(_displacement(x))
    J, inverse = ufl.det(F), ufl.inv(F)
    names, nodal = point.solutes, dict(exact)
    exact_rates, diffusivity = lower(
        law, model.parameters.symbols, _constant_cells(model), nodal, J, state.masks, state.dt, name="exact rates"
    )
    dx = ufl.dx(spaces.mesh, metadata={"quadrature_degree": EXACT_DEGREE})
    ds = ufl.Measure("ds", spaces.mesh, subdomain_data=spaces.facets, metadata={"quadrature_degree": EXACT_DEGREE})
    normal = ufl.FacetNormal(spaces.mesh)
    pulled = inverse.T * ufl.as_vector([normal[0], normal[1], 0.0])
    area = J * ufl.sqrt(ufl.inner(pulled, pulled)) * weight

    def sources(tests: Any, factor: Any) -> Any:
        form = 0
        for index, name in enumerate(names):
            gradient = ufl.as_vector([exact[name].dx(0), exact[name].dx(1), 0.0])
            flux = diffusivity[name] * J * (inverse * (inverse.T * gradient))
            source = -_divergence(flux, x) - J * exact_rates[name]
            form -= source * tests[index] * weight * dx
            form -= (flux[0] * normal[0] + flux[1] * normal[1]) * tests[index] * weight * ds
            for surface in ("endplate", "rim"):  # the exchange of the engine, with the exact field as its far level
                form -= EXCHANGE * exact[name] * tests[index] * area * ds(SURFACES[surface])
        return form

    solver = Diffusion(state, names, state.solutes, rates, absolute=1e-12, relative=1e-12, storage=sources)
    for (_, surface), (coefficient, _) in solver.exchange.items():
        coefficient.value = EXCHANGE if surface in ("endplate", "rim") else 0.0
    return solver


def _constant_cells(model: DiscModel) -> dict[str, Any]:
    """Pointwise fields of the block as numbers: they are uniform."""
    return {name: fem.Constant(model.spaces.mesh, float(f.x.array[0])) for name, f in model.state.pointwise.items()}


def _gag(kind: str, model: DiscModel) -> Any:
    x, level = model.spaces.kinematics.x, fem.Constant(model.spaces.mesh, 30.0)
    return {
        "constant": level,
        "linear": level - x[0] - 2.0 * x[1],
        "smooth": level - 9.0 * ufl.sin(0.5 * x[0]) * ufl.cos(0.7 * x[1]),
    }[kind]


def displacement() -> list[Row]:
    """Swelling block in equilibrium: order 3 with charge constant or linear, 2 with a smooth charge interpolated per cell."""
    rows = []
    for kind, theory in (("constant", 3.0), ("linear", 3.0), ("smooth", 2.0)):
        errors = [_displacement_error(count, kind) for count in (16, 32, 64)]
        rows += _orders("displacement", {kind: errors}, {kind: theory})
    return rows


def _displacement_error(count: int, kind: str) -> float:
    model = _model(count)
    mechanics, spaces = model.mechanics, model.spaces
    x = spaces.kinematics.x
    mechanics.gag.interpolate(fem.Expression(_gag(kind, model), spaces.corner.element.interpolation_points))
    mechanics.external[:] = _exact_forces(model, _gag(kind, model))
    start = fem.Function(spaces.displacement)
    start.interpolate(fem.Expression(_displacement(x), spaces.displacement.element.interpolation_points))
    # free unknowns of the interpolated exact field: a start value near the solution, so that one solve suffices
    mechanics.set_state(
        np.asarray((mechanics.constraint.T @ start.x.array) / np.asarray(mechanics.constraint.sum(axis=0)).ravel())
    )
    mechanics.solver.absolute = 1e-12  # below the discretisation error of the finest mesh
    mechanics.solve(0.0, at_corners=False)
    mechanics.external[:] = 0.0
    return _error(model, mechanics.u - _displacement(x))


def _exact_forces(model: DiscModel, gag: Any) -> np.ndarray:
    """Nodal forces of the body force -Div P and the traction P N of the exact field, P by differentiation of the energy."""
    spaces = model.spaces
    x, weight = spaces.kinematics.x, spaces.kinematics.weight
    F = ufl.variable(spaces.kinematics.deformation_gradient(_displacement(x)))
    J, C = ufl.det(F), F.T * F
    prefix = f"{model.material.label}."
    mine = {path: symbol for path, symbol in model.parameters.symbols.items() if path.startswith(prefix)}
    zero = fem.Constant(spaces.mesh, 0.0)
    energy = lower(lambda p, *y: bound_material(model.material, p).energy(*y), mine, ufl.tr(C), J, C[0, 0], C[0, 0], zero, zero)
    pressure = lower(lambda p, *y: bound_material(model.material, p).osmotic_pressure(*y), mine, J, gag)
    P = ufl.diff(energy, F) - pressure * J * ufl.inv(F).T
    body = -ufl.as_vector(
        [P[0, 0].dx(0) + P[0, 1].dx(1) + (P[0, 0] - P[2, 2]) / x[0], P[1, 0].dx(0) + P[1, 1].dx(1) + P[1, 0] / x[0]]
    )
    n = ufl.FacetNormal(spaces.mesh)
    traction = ufl.as_vector([P[0, 0] * n[0] + P[0, 1] * n[1], P[1, 0] * n[0] + P[1, 1] * n[1]])
    v = ufl.TestFunction(spaces.displacement)
    dx = ufl.dx(spaces.mesh, metadata={"quadrature_degree": EXACT_DEGREE})
    ds = ufl.ds(spaces.mesh, metadata={"quadrature_degree": EXACT_DEGREE})
    form = ufl.inner(body, v) * weight * dx + ufl.inner(traction, v) * weight * ds
    return np.asarray(fem.assemble_vector(spaces.form(form)).array).copy()


CASES = [
    Case("solute_order", "manufactured", "order of the solutes on a deformed block (P1: 2)", solutes),
    Case("displacement_order", "manufactured", "order of the displacement (P2: 3; 2 with a smooth charge)", displacement),
]
