"""Laws against exact and published numbers, to the digits printed there."""

import csv
import math
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

from discsim.laws import composition, death, diffusion, metabolism, response, solid, swelling

# Exact rows of mechanics_targets.csv, as printed there up to trailing zeros: id -> value.
EXACT = {
    "ANA_D0.05": "0.0107", "ANA_D0.1": "0.0418", "ANA_D0.15": "0.0913", "ANA_D0.2": "0.1561",
    "ANA_D0.25": "0.2333", "ANA_D0.3": "0.3203", "ANA_D0.35": "0.4149", "ANA_D0.4": "0.5155",
    "ANA_S0": "1.528917", "ANA_S0.1": "1.118485", "ANA_S0.2": "0.911514", "ANA_S0.5": "0.642983",
    "ANA_SP0": "0.057627", "ANA_SP0.1": "0.116227", "ANA_SP0.2": "0.185640", "ANA_SP0.5": "0.420044",
    "ANA_H1.02": "0.15039", "ANA_H1.05": "0.45873", "ANA_H1.1": "1.69878",
    "ANA_HZ1.02": "0.06697", "ANA_HZ1.05": "0.19325", "ANA_HZ1.1": "0.65190",
    "ANA_U1.01": "0.024713", "ANA_U1.02": "0.050116", "ANA_U1.05": "0.134961",
    "ANA_N1.05": "0.0176869", "ANA_N1.1": "0.0330676",
}  # fmt: skip
ROOT = Path(__file__).resolve().parents[2]
FACTS = ROOT.parent / "shared" / "facts" / "mechanics_targets.csv"


def family(prefix: str) -> list[tuple[str, float]]:
    """Rows of one family with the number in their id."""
    rows = [name for name in EXACT if name.startswith(prefix) and name[len(prefix)].isdigit()]
    return [(name, float(name[len(prefix) :])) for name in rows]


def assert_printed(computed: float | jax.Array, printed: str) -> None:
    """Half a unit of the last printed digit, and nothing more, may separate the two."""
    decimals = len(printed.split(".")[1])
    assert abs(float(computed) - float(printed)) <= 0.5 * 10.0**-decimals, (float(computed), printed)


@pytest.mark.skipif(not FACTS.exists(), reason="the table of targets is not beside this repository")
def test_exact_rows_are_those_of_the_table_of_targets() -> None:
    with FACTS.open(newline="") as file:
        table = {row["id"]: float(row["value"]) for row in csv.DictReader(file) if row["id"] in EXACT}
    assert table == {name: float(value) for name, value in EXACT.items()}


@pytest.mark.parametrize(("name", "charge"), family("ANA_D"))
def test_ideal_donnan_pressure(name: str, charge: float) -> None:
    assert_printed(swelling.donnan_pressure(charge, 0.15, 310.0, 1.0), EXACT[name])


def confined_equilibrium(load: float) -> tuple[float, float]:
    """Axial stretch and swelling pressure of a confined column in equilibrium under a load (all MPa)."""

    def energy(stretch: jax.Array) -> jax.Array:
        return solid.matrix_energy(I1=2.0 + stretch**2, J=stretch, shear_modulus=0.05, lame_lambda=0.05)

    def pressure(stretch: float) -> jax.Array:
        charge = composition.extrafibrillar_charge(0.2 * 0.8, stretch, 0.8, 0.0)
        return swelling.donnan_pressure(charge, 0.15, 298.0, 1.0)

    axial_stress = jax.grad(energy)
    stretch = brentq(lambda s: float(axial_stress(s) - pressure(s)) + load, 0.3, 3.0, xtol=1e-13)
    return stretch, float(pressure(stretch))


@pytest.mark.parametrize(("name", "load"), family("ANA_S"))
def test_confined_equilibrium_with_swelling(name: str, load: float) -> None:
    stretch, pressure = confined_equilibrium(load)
    assert_printed(stretch, EXACT[name])
    assert_printed(pressure, EXACT[name.replace("ANA_S", "ANA_SP")])


def neo_hookean_energy(hoop: jax.Array, axial: jax.Array) -> jax.Array:
    """Incompressible, radial traction eliminated; twice C10 = 0.1351 MPa is the shear modulus."""
    return solid.matrix_energy(hoop**2 + axial**2 + 1.0 / (hoop * axial) ** 2, 1.0, 2.0 * 0.1351, 0.0)


def strip_energy(hoop: jax.Array, axial: jax.Array) -> jax.Array:
    """Annulus strip: the same matrix and two fibre families at +-34 degrees."""
    angle = math.radians(34.0)
    invariant_1 = hoop**2 + axial**2 + 1.0 / (hoop * axial) ** 2
    invariant_4 = (hoop * math.cos(angle)) ** 2 + (axial * math.sin(angle)) ** 2
    return neo_hookean_energy(hoop, axial) + 2.0 * solid.fibre_energy(invariant_1, invariant_4, 2.60, 52.5, 0.0752, 1e-12)


@pytest.mark.parametrize(("name", "stretch"), family("ANA_H"))
def test_fibre_strip_stress(name: str, stretch: float) -> None:
    hoop, axial = jax.grad(strip_energy, argnums=(0, 1))(stretch, 1.0)
    assert_printed(stretch * hoop, EXACT[name])
    assert_printed(axial, EXACT[name.replace("ANA_H", "ANA_HZ")])


@pytest.mark.parametrize(("name", "stretch"), family("ANA_U") + family("ANA_N"))
def test_thick_tube_pressure(name: str, stretch: float) -> None:
    """P = integral of lambda dW/dlambda R/r^2 dR from 12 to 22 mm, r^2 = r_i^2 + R^2 - R_i^2."""
    slope = jax.jit(jax.grad(strip_energy if name.startswith("ANA_U") else neo_hookean_energy))

    def integrand(reference: float) -> float:
        radius = math.sqrt((12.0 * stretch) ** 2 + reference**2 - 12.0**2)
        hoop = radius / reference
        return hoop * float(slope(hoop, 1.0)) * reference / radius**2

    assert_printed(quad(integrand, 12.0, 22.0, epsabs=1e-11)[0], EXACT[name])


@pytest.mark.parametrize(
    ("ph", "oxygen", "lactate", "oxygen_use"),
    [(7.4, 5.0, "158.70", "5.4599"), (7.0, 2.0, "76.462", "2.5464"), (6.9, 1.0, "60.413", "1.3758"),
     (6.8, 1.0, "55.048", "1.3583")],
)  # fmt: skip
def test_metabolic_rates(ph: float, oxygen: float, lactate: str, oxygen_use: str) -> None:
    assert_printed(metabolism.lactate_production_per_cell(ph, oxygen), lactate)
    assert_printed(metabolism.oxygen_consumption_per_cell(ph, oxygen), oxygen_use)


def test_units_acidity_and_porosity_convention() -> None:
    # 3.6 Mcells/mL making 100 nmol/(Mcell h) are 360 nmol/(mL h) = 0.36 mM/h.
    assert metabolism.volumetric_rate(100.0, 3600.0) * 3600.0 == pytest.approx(0.36, rel=1e-14)
    assert metabolism.oxygen_pressure_rate(0.010268, 0.010268) == pytest.approx(1.0, rel=1e-14)
    assert metabolism.acidity(11.11, 7.4, 1.0 / 11.11) == pytest.approx(6.4, rel=1e-14)
    factors = [metabolism.porosity_factor(0.8, weight) for weight in (0.0, 0.5, 1.0)]
    assert factors == pytest.approx([1.0, 0.9, 0.8], rel=1e-14)


def test_starvation_per_day() -> None:
    published = {"threshold": 0.5, "half_below": 0.2, "maximum_rate": 1.0}
    rates = [float(death.starvation_death_rate(glucose, **published)) for glucose in (0.0, 0.3, 0.5, 5.0)]
    assert rates == pytest.approx([5.0, 0.8, 0.0, 0.0], rel=1e-14)


def test_gates_hold_the_measured_fall_in_acid_and_without_glucose() -> None:
    ratio = response.acid_gate(6.4, 6.75, 3.0) / response.acid_gate(7.2, 6.75, 3.0)
    assert float(ratio) == pytest.approx((1.0 + 10.0**-1.35) / (1.0 + 10.0**1.05), rel=1e-13)
    assert_printed(ratio, "0.0855")  # measured: below 0.10, Razaq 2003
    assert_printed(1e5 * response.glucose_gate(0.0, 0.573, 18.0), "3.3")  # small without glucose, not zero


def test_fixed_charge_of_the_end_plate() -> None:
    charge = composition.fixed_charge_per_volume(31.24, 502.5 / 2.0)
    assert_printed(charge, "0.1243")
    assert composition.gag_for_fixed_charge(charge, 502.5 / 2.0) == pytest.approx(31.24, rel=1e-14)
    assert round(composition.gag_for_fixed_charge(0.29, 502.5 / 2.0)) == 73  # mg per mL of tissue water


# fluid fraction, excluded water, charge per mL of tissue water, lowest J, swelling pressure at J = 1
TISSUES = {
    "NP": (0.81, 0.20, 0.29, "0.23", "0.328"),
    "inner_AF": (0.79, 0.70, 0.20, None, "0.226"),
    "outer_AF": (0.74, 0.85, 0.13, "0.48", "0.136"),
    "CEP": (0.67, 0.33, 0.166, "0.44", "0.154"),
    "outer_AF, grade V": (0.66, 1.05, 0.08, "0.70", None),
}


@pytest.mark.parametrize("tissue", TISSUES)
def test_swelling_at_the_in_vivo_state(tissue: str) -> None:
    fluid, excluded, charge, bound, pressure = TISSUES[tissue]
    if bound is not None:
        assert_printed(composition.swelling_bound(fluid, excluded), bound)
    if pressure is not None:
        extrafibrillar = composition.extrafibrillar_charge(charge * fluid, 1.0, fluid, excluded)
        assert_printed(swelling.donnan_pressure(extrafibrillar, 0.15, 310.0, 1.0), pressure)


def test_mackie_meares_at_the_published_porosities() -> None:
    for porosity, printed in ((0.80, "4.07"), (0.75, "3.30"), (0.66, "2.22")):
        assert_printed(1e4 * 9.16667e-4 * diffusion.mackie_meares(porosity), printed)
    for ratio, printed in ((0.9, "0.887"), (0.8, "0.762")):
        compressed = composition.fluid_fraction(ratio, 0.75)
        assert_printed(diffusion.mackie_meares(compressed) / 0.6**2, printed)


def test_strain_exponent_is_the_least_squares_fit() -> None:
    log_volume, log_ratio = np.log([0.9, 0.8]), np.log([0.725, 0.554])
    exponent = float(log_volume @ log_ratio / (log_volume @ log_volume))
    assert_printed(exponent, "2.72")
    for volume, printed in ((0.9, "0.751"), (0.8, "0.545")):
        assert_printed(diffusion.strain_power(volume, exponent), printed)


def test_effective_diffusivity_blends_obstruction_and_strain_law() -> None:
    arguments = (9.16667e-4, 0.7, 0.75, 0.85, 0.5, 2.72)
    obstruction, strain = 9.16667e-4 * 0.5 * (0.7 / 1.3) ** 2, 9.16667e-4 * 0.5 * (0.75 / 1.25) ** 2 * 0.85**2.72
    blends = [diffusion.effective_diffusivity(*arguments, weight) for weight in (0.0, 0.25, 1.0)]
    assert blends == pytest.approx([obstruction, 0.75 * obstruction + 0.25 * strain, strain], rel=1e-13)


def test_laws_leave_the_precision_to_the_caller() -> None:
    names = [f"discsim.laws.{file.stem}" for file in (ROOT / "discsim" / "laws").glob("[a-z]*.py")]
    code = f"import jax, {', '.join(names)}; assert not jax.config.jax_enable_x64"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "JAX_ENABLE_X64": "0"}, check=True)
