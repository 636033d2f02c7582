"""Every law and every mechanism, lowered to UFL and evaluated inside DOLFINx, against jax: values and slopes.

Random admissible states live in a cell-wise constant function per argument, one state per cell, so that one compiled expression
evaluates all of them.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import discsim.laws
from discsim.biology.mechanism import Composition
from discsim.biology.mechanisms import CATALOGUE, default
from discsim.disc.material import OsmoBiphasic
from discsim.problem.point import PointModel

pytestmark = pytest.mark.fem
STATES = 200

# Admissible range of every argument of every law, by the argument's name.
RANGES: dict[str, tuple[float, float]] = {
    "gag": (0.0, 90.0),
    "molar_mass_per_charge": (229.0, 257.0),
    "fixed_charge": (0.0, 0.4),
    "J": (0.75, 1.6),
    "reference_fluid_fraction": (0.7, 0.85),
    "charge_per_reference_volume": (0.0, 0.3),
    "excluded_water": (0.1, 0.9),
    "glucose": (0.0, 5.0),
    "threshold": (0.4, 6.9),
    "half_below": (0.1, 0.3),
    "maximum_rate": (0.0, 1.0),
    "ph": (6.2, 7.4),
    "rate": (0.0, 0.3),
    "width": (0.002, 0.1),
    "porosity": (0.5, 0.9),
    "exponent": (1.0, 3.0),
    "water_diffusivity": (5e-4, 3e-3),
    "reference_porosity": (0.5, 0.9),
    "factor": (0.1, 3.0),
    "strain_exponent": (1.0, 4.0),
    "strain_weight": (0.0, 1.0),
    "clearance": (0.0, 2e-3),
    "per_length": (0.0, 2.0),
    "x": (-0.5, 2.0),
    "limit": (0.5, 0.6),
    "oxygen": (0.0, 20.0),
    "per_cell": (0.0, 200.0),
    "cell_density": (0.0, 2e4),
    "rate_mM": (-1e-3, 1e-3),
    "solubility": (0.009, 0.012),
    "half_glucose": (0.02, 0.6),
    "lactate": (0.0, 10.0),
    "intercept": (7.3, 7.6),
    "slope": (0.08, 0.11),
    "weight": (0.0, 1.0),
    "value": (0.0, 5.0),
    "production": (0.0, 2.0),
    "loss": (0.0, 3.0),
    "dt": (0.0, 10.0),
    "half": (0.1, 2.0),
    "half_ph": (6.6, 6.9),
    "steepness": (2.0, 18.0),
    "total_density": (0.0, 1e4),
    "carrying_capacity": (4e3, 8e3),
    "genomes_per_cell": (0.0, 1e4),
    "efficiency": (1e-4, 1e-3),
    "I1": (2.7, 3.6),
    "I4": (0.9, 1.15),
    "shear_modulus": (0.01, 0.5),
    "lame_lambda": (0.01, 0.5),
    "dispersion": (0.0, 0.1),
    "stiffness": (0.5, 5.0),
    "switch_width": (0.001, 0.005),
    "position": (0.0, 1.0),
    "inner_value": (1.0, 40.0),
    "outer_value": (1.0, 40.0),
    "inner_position": (0.7, 0.8),
    "outer_position": (0.2, 0.3),
    "extrafibrillar_charge": (0.0, 0.6),
    "bath_salt": (0.13, 0.17),
    "temperature": (293.0, 311.0),
    "osmotic_coefficient": (0.75, 1.0),
}
# UFL's slope of x**n with respect to n holds log(x): not at zero (no form differentiates with respect to an exponent).
NARROWED = {("hill", "x"): (1e-6, 2.0)}
STATIC = {"limit"}  # arguments that a law takes as a plain number


def laws() -> list[Callable[..., Any]]:
    """Every public function of every module of laws."""
    found = []
    for module in pkgutil.iter_modules(discsim.laws.__path__):
        loaded = importlib.import_module(f"discsim.laws.{module.name}")
        for name, function in vars(loaded).items():
            if inspect.isfunction(function) and function.__module__ == loaded.__name__ and not name.startswith("_"):
                found.append(function)
    return found


class States:
    """Random states as cell-wise constants of a DOLFINx mesh."""

    def __init__(self) -> None:
        from discsim.fem.backend import MPI, dolfinx, fem

        self.mesh = dolfinx.mesh.create_interval(MPI.COMM_SELF, STATES, (0.0, 1.0))
        self.space = fem.functionspace(self.mesh, ("Discontinuous Lagrange", 0))
        self.random = np.random.default_rng(20261124)

    def draw(self, low: float, high: float) -> tuple[np.ndarray, Any]:
        """Values, and the function that holds them (the two first states sit on the ends of the range)."""
        from discsim.fem.backend import fem

        values = self.random.uniform(low, high, STATES)
        values[:2] = low, high
        function = fem.Function(self.space)
        function.x.array[:] = values
        return values, function

    def evaluate(self, expressions: list[Any]) -> np.ndarray:
        """Values of UFL scalars in every cell, shape (states, expressions)."""
        from discsim.fem.backend import fem, ufl

        compiled = fem.Expression(ufl.as_vector(expressions), np.array([[0.5]]))
        cells = np.arange(STATES, dtype=np.int32)
        return np.asarray(compiled.eval(self.mesh, cells)).reshape(STATES, -1)


@pytest.fixture(scope="module")
def states() -> States:
    """One mesh for the module."""
    return States()


def close(got: np.ndarray, want: np.ndarray) -> bool:
    """Agreement to 1e-11 of each number, or 1e-12 of the largest in its column (where a difference of nearly equals is left)."""
    return bool(np.all(np.abs(got - want) <= 1e-11 * np.abs(want) + 1e-12 * np.abs(want).max(axis=0) + 1e-300))


@pytest.mark.parametrize("law", laws(), ids=lambda law: f"{law.__module__.rsplit('.', 1)[-1]}.{law.__name__}")
def test_law_agrees_inside_dolfinx(law: Callable[..., Any], states: States) -> None:
    from discsim.fem.backend import ufl
    from discsim.fem.lower import lower

    names = [n for n in inspect.signature(law).parameters if n not in STATIC]
    fixed = {n: RANGES[n][0] for n in inspect.signature(law).parameters if n in STATIC}
    drawn = [states.draw(*NARROWED.get((law.__name__, name), RANGES[name])) for name in names]
    variables = [ufl.variable(function) for _, function in drawn]

    def function(*xs: Any) -> Any:
        return jnp.stack([jnp.asarray(part) for part in jax.tree.leaves(law(*xs, **fixed))])

    lowered = jax.tree.leaves(
        lower(lambda *xs: law(*xs, **fixed), *variables), is_leaf=lambda x: isinstance(x, ufl.core.expr.Expr)
    )
    slopes = [ufl.diff(value, variable) for value in lowered for variable in variables]
    got = states.evaluate([*lowered, *slopes])
    arrays = [jnp.array(values) for values, _ in drawn]
    values = np.asarray(jax.vmap(function)(*arrays))
    jacobian = jax.vmap(jax.jacfwd(function, argnums=tuple(range(len(names)))))(*arrays)
    gradient = np.stack([np.asarray(part) for part in jacobian], axis=-1).reshape(STATES, -1)
    # kinks (max, clip) sit on the ends of some ranges, where one-sided slopes may differ: compare slopes inside
    assert close(got[:, : len(lowered)], values)
    assert close(got[2:, len(lowered) :], gradient[2:])


def everything() -> Composition:
    """All mechanisms of the catalogue together."""
    others = [cls() for name, cls in CATALOGUE.items() if name not in {m.name for m in default()}]
    return Composition([*default(), *others])


FIELD_RANGES = {
    "oxygen": (0.0, 7.0),
    "glucose": (0.0, 5.0),
    "lactate": (0.0, 8.0),
    "cell_density": (0.0, 6e3),
    "gag": (1.0, 80.0),
}
KIND_RANGES = {"cells": (0.0, 3e3), "matrix": (0.0, 1e7), "per_cell": (0.0, 1.0), "signal": (0.0, 50.0)}


def test_all_mechanisms_agree_inside_dolfinx(states: States) -> None:
    from discsim.fem.backend import ufl
    from discsim.fem.lower import lower

    composition, material = everything(), OsmoBiphasic()
    model = PointModel(composition, material)
    parameters = composition.default_values() | {f"materials.{k}": v for k, v in material.values.items()}
    parameters = {path: float(v["NP"] if isinstance(v, dict) else v) for path, v in parameters.items()}
    pointwise, nodal = {}, {}
    for name, field in composition.fields.items():
        low, high = FIELD_RANGES.get(name) or KIND_RANGES[field.kind]
        (nodal if field.kind in ("solute", "signal") else pointwise)[name] = states.draw(low, high)
    jacobian, dt = states.draw(0.8, 1.3), states.draw(0.0, 1e7)
    masks = {"in_NP": 1.0, "in_inner_AF": 0.0, "in_outer_AF": 0.0, "in_CEP": 0.0}

    def law(p: Any, pointwise: Any, nodal: Any, jacobian: Any, dt: Any) -> dict[str, Any]:
        new, ledger = model.advance_cells(p, pointwise, nodal, jacobian, masks, dt)
        changes = model.changes(p, {**pointwise, **new}, nodal, jacobian, masks)
        out = {f"new {k}": v for k, v in new.items()} | {f"rate {k}": v for k, v in model.solute_rates(changes).items()}
        out |= {f"ledger {n} {k}": v for n, entries in ledger.items() for k, v in entries.items()}
        out |= {f"signal {k}": v for k, v in model.signal_rates(changes, nodal).items()}
        out |= {f"other {k}": v for k, v in model.advance_others(p, {**pointwise, **new}, nodal, jacobian, masks, dt).items()}
        out |= {f"D {k}": v for k, v in composition.diffusivities(p, changes.values).items()}
        return out | {f"named {k}": v for k, v in model.derived(changes, p, pointwise, jacobian).items()}

    def part(index: int, tree: dict[str, Any]) -> dict[str, Any]:
        return {name: pair[index] for name, pair in tree.items()}

    symbols = {path: ufl.as_ufl(value) for path, value in parameters.items()}
    lowered = lower(law, symbols, part(1, pointwise), part(1, nodal), jacobian[1], dt[1])
    got = states.evaluate([ufl.as_ufl(value) for value in lowered.values()])
    arrays = jax.tree.map(jnp.array, (part(0, pointwise), part(0, nodal), jacobian[0], dt[0]))
    want = jax.vmap(lambda *state: law(parameters, *state))(*arrays)
    for column, name in enumerate(lowered):
        assert close(got[:, column], np.broadcast_to(np.asarray(want[name]), (STATES,))), name


def test_stress_of_the_material_agrees_with_jax(states: States) -> None:
    """First Piola stress of matrix and fibres by UFL, against jax.grad of the same energy, for random F."""
    from discsim.fem.backend import ufl
    from discsim.fem.lower import lower

    material = OsmoBiphasic()
    values = {k: float(v["outer_AF"] if isinstance(v, dict) else v) for k, v in material.values.items()}
    drawn = [[states.draw(i == j and 0.95 or -0.04, i == j and 1.08 or 0.04) for j in range(3)] for i in range(3)]
    angle = values["fibre_angle_outer"]
    directions = np.array([[0.0, np.sin(angle), np.cos(angle)], [0.0, np.sin(angle), -np.cos(angle)]])

    def energy(*x: Any) -> Any:
        return material.bind(values).energy(*x, 0.3, 1.0)

    def jax_energy(F: Any) -> Any:
        C = F.T @ F
        return energy(jnp.trace(C), jnp.linalg.det(F), *[a @ C @ a for a in directions])

    F = ufl.variable(ufl.as_matrix([[entry[1] for entry in row] for row in drawn]))
    C = F.T * F
    fibres = [ufl.as_vector(list(map(float, a))) for a in directions]
    lowered = lower(energy, ufl.tr(C), ufl.det(F), *[ufl.inner(a, C * a) for a in fibres])
    stress = ufl.diff(lowered, F)
    got = states.evaluate([stress[i, j] for i in range(3) for j in range(3)])
    arrays = jnp.array(np.array([[entry[0] for entry in row] for row in drawn]).transpose(2, 0, 1))
    assert close(got, np.asarray(jax.vmap(jax.grad(jax_energy))(arrays)).reshape(STATES, 9))


@pytest.mark.parametrize(
    ("law", "primitive"),
    [(jnp.floor, "floor"), (lambda x: jax.lax.while_loop(lambda y: y < 3.0, lambda y: y + 1.0, x), "while")],
)
def test_unsupported_primitive_is_refused_by_name(law: Callable[..., Any], primitive: str, states: States) -> None:
    from discsim.fem.lower import LoweringError, lower

    with pytest.raises(LoweringError, match=f"my_law.*'{primitive}' has no UFL counterpart"):
        lower(law, states.draw(0.0, 1.0)[1], name="my_law")
