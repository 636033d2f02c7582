"""Mechanics against exact values: Donnan pressure, confined swelling as a field solve, HGO strip, patch tests."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from discsim.fem.disc_model import DiscModel, disc_model
from discsim.problem.problem import build_problem
from discsim.vv.columns import column_mesh, per_region
from discsim.vv.discs import scenario, with_values
from discsim.vv.registry import Case, Row


def test_piece(plate: str, values: dict[str, Any], height: float = 5.0, layers: int = 4) -> DiscModel:
    """A cylinder of nucleus between a sliding plate and its mirror plane, without prestress, composition set."""
    import jax

    jax.config.update("jax_enable_x64", True)
    problem = build_problem({"piece": scenario(1, 1)}, readouts=(), field_times=())
    arm = problem.arms[0]
    arm = dataclasses.replace(arm, mesh=column_mesh(height, layers), chosen={**arm.chosen, "loading.plate": plate})
    problem = dataclasses.replace(problem, arms=(with_values(arm, values),))
    model = disc_model(problem, problem.arms[0])
    model.mechanics.clear_prestress()
    model.mechanics.ramp.value = 1.0
    model.mechanics.set_state(np.zeros_like(model.mechanics.q))
    model.set_initial_fields()
    return model


def donnan() -> list[Row]:
    """ANA_D*: ideal Donnan pressure at law level, to the printed digits."""
    from discsim.laws.swelling import donnan_pressure

    printed = {0.05: 0.0107, 0.10: 0.0418, 0.15: 0.0913, 0.20: 0.1561, 0.25: 0.2333, 0.30: 0.3203, 0.35: 0.4149, 0.40: 0.5155}
    return [
        Row(
            f"ANA_D{c:g}",
            f"Donnan pressure at {c:g} mEq/mL",
            "MPa",
            float(donnan_pressure(c, 0.15, 310.0, 1.0)),
            p,
            p - 5e-5,
            p + 5e-5,
            "verification",
        )
        for c, p in printed.items()
    ]


# load (MPa): axial stretch, osmotic pressure (MPa)
SWELLING = {0.0: (1.528917, 0.057627), 0.1: (1.118485, 0.116227), 0.2: (0.911514, 0.185640), 0.5: (0.642983, 0.420044)}


def confined_swelling() -> list[Row]:
    """ANA_S*, ANA_SP*: confined equilibrium of matrix and osmosis as a field solve on the engine's forms (exact there)."""
    values = {
        "materials.shear_modulus": per_region(0.05),
        "materials.fluid_fraction": per_region(0.8),
        "materials.fixed_charge_density": per_region(0.2),
        "materials.excluded_water": per_region(0.0),
        "materials.temperature": 298.0,
    }
    rows = []
    for load, (stretch, pressure) in SWELLING.items():
        model = test_piece("confined", values)
        for part in np.linspace(0.1, 1.0, 10):
            model.mechanics.ramp.value = part
            model.mechanics.reach(part * load)
        found = model.mechanics.height() / 10.0
        names = dict(zip(model.value_names, model.values_at_corners(), strict=True))
        rows += [
            Row(
                f"ANA_S{load:g}",
                f"confined stretch at {load:g} MPa",
                "1",
                found,
                stretch,
                stretch - 5e-7,
                stretch + 5e-7,
                "verification",
            ),
            Row(
                f"ANA_SP{load:g}",
                f"osmotic pressure there ({load:g} MPa)",
                "MPa",
                float(names["osmotic_pressure"].mean()),
                pressure,
                pressure - 5e-7,
                pressure + 5e-7,
                "verification",
            ),
        ]
    return rows


def strip() -> list[Row]:
    """ANA_H*, ANA_HZ*: plane-strain strip of matrix and two fibre families at law level, derivatives by jax."""
    import jax
    import jax.numpy as jnp

    from discsim.laws.solid import fibre_energy

    alpha, c10 = jnp.deg2rad(34.0), 0.1351

    def energy(hoop: Any, axial: Any) -> Any:
        radial = 1.0 / (hoop * axial)
        first = hoop**2 + axial**2 + radial**2
        fourth = hoop**2 * jnp.cos(alpha) ** 2 + axial**2 * jnp.sin(alpha) ** 2
        return c10 * (first - 3.0) + 2.0 * fibre_energy(first, fourth, 2.60, 52.5, 0.0752, 1e-9)

    rows = []
    for hoop, hoop_stress, axial_stress in ((1.02, 0.15039, 0.06697), (1.05, 0.45873, 0.19325), (1.10, 1.69878, 0.65190)):
        for index, name, target in ((0, "H", hoop_stress), (1, "HZ", axial_stress)):
            stress = (hoop, 1.0)[index] * float(jax.grad(energy, index)(hoop, 1.0))
            rows.append(
                Row(
                    f"ANA_{name}{hoop:g}",
                    f"{'hoop' if index == 0 else 'axial'} stress at hoop stretch {hoop:g}",
                    "MPa",
                    stress,
                    target,
                    target - 5e-6,
                    target + 5e-6,
                    "verification",
                )
            )
    return rows


def patches() -> list[Row]:
    """Patch tests: homogeneous free swelling, objectivity, no deviator under dilatation, fibres off in compression."""
    import jax
    import jax.numpy as jnp

    from discsim.disc.material import OsmoBiphasic

    model = test_piece("slip", {})
    for part in np.linspace(0.1, 1.0, 10):
        model.mechanics.ramp.value = part
        model.mechanics.reach(0.0)
    names = dict(zip(model.value_names, model.values_at_corners(), strict=True))
    spread = float(np.ptp(names["jacobian"]))
    rows = [
        Row(
            "patch.swelling",
            "spread of J over a freely swelling piece",
            "1",
            spread,
            0.0,
            0.0,
            1e-8,
            "verification",
            f"J = {names['jacobian'].mean():.4f}",
        )
    ]

    material = OsmoBiphasic()
    values = {k: float(v["outer_AF"] if isinstance(v, dict) else v) for k, v in material.values.items()}
    angle = values["fibre_angle_outer"]
    directions = jnp.array([[0.0, jnp.sin(angle), jnp.cos(angle)], [0.0, jnp.sin(angle), -jnp.cos(angle)]])

    def energy(F: Any, in_annulus: float = 1.0) -> Any:
        C = F.T @ F
        first, second = (a @ C @ a for a in directions)
        return material.bind(values).energy(jnp.trace(C), jnp.linalg.det(F), first, second, 0.3, in_annulus)

    rotation = jnp.array(np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0])
    rotation = rotation * jnp.sign(jnp.linalg.det(rotation))
    F = jnp.array([[1.02, 0.03, 0.0], [-0.01, 0.97, 0.02], [0.0, 0.04, 1.05]])
    turned = jnp.abs(jax.grad(energy)(rotation @ F) - rotation @ jax.grad(energy)(F)).max() / jnp.abs(jax.grad(energy)(F)).max()
    dilated = jax.grad(energy)(1.1 * jnp.eye(3), 0.0)
    deviator = jnp.abs(dilated - jnp.trace(dilated) / 3.0 * jnp.eye(3)).max()
    short = jnp.diag(jnp.array([1.03, 0.97, 0.97]))  # fibres shortened by 3 %
    fibre = jnp.abs(jax.grad(energy)(short, 1.0) - jax.grad(energy)(short, 0.0)).max()
    for name, text, value, limit in (
        ("objectivity", "P(RF) - R P(F), relative", turned, 1e-12),
        ("dilatation", "deviator of the matrix stress under dilatation", deviator, 1e-14),
        ("fibres", "stress of fibres shortened by 3 %", fibre, 1e-9),
    ):
        rows.append(
            Row(f"patch.{name}", text, "MPa" if name != "objectivity" else "1", float(value), 0.0, 0.0, limit, "verification")
        )
    return rows


CASES = [
    Case("donnan", "mechanics", "ideal Donnan pressure (ANA_D)", donnan),
    Case("confined_swelling", "mechanics", "confined swelling as a field solve (ANA_S, ANA_SP)", confined_swelling),
    Case("strip", "mechanics", "HGO strip at law level (ANA_H, ANA_HZ)", strip),
    Case("patches", "mechanics", "patch tests", patches),
]
