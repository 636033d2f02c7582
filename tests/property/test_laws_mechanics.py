"""Properties of composition, swelling, strain energies and diffusivity."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discsim.laws import composition, diffusion, exchange, solid, swelling

QUICK = settings(deadline=None, max_examples=60)
FIBRE = jnp.array([0.0, math.cos(math.radians(31.0)), math.sin(math.radians(31.0))])
ENTRIES = st.lists(st.floats(-0.15, 0.15), min_size=9, max_size=9)
VECTOR = st.lists(st.floats(-1.0, 1.0), min_size=3, max_size=3)


def from_zero(highest: float) -> st.SearchStrategy[float]:
    """Zero, and amounts that do not underflow: JAX flushes subnormal numbers to zero."""
    return st.just(0.0) | st.floats(1e-12, highest)


def gradient_of(entries: list[float]) -> jax.Array:
    """A deformation gradient with positive determinant."""
    return jnp.eye(3) + jnp.array(entries).reshape(3, 3)


def rotation(axis: list[float], angle: float) -> jax.Array:
    """Rodrigues' formula about an axis kept away from zero length."""
    direction = np.array(axis) + np.array([0.0, 0.0, 2.0])
    cross = np.cross(np.eye(3), direction / np.linalg.norm(direction))
    return jnp.asarray(np.eye(3) + math.sin(angle) * cross + (1.0 - math.cos(angle)) * cross @ cross)


def matrix(F: jax.Array) -> jax.Array:
    return solid.matrix_energy(jnp.trace(F.T @ F), jnp.linalg.det(F), 0.2, 0.35)


def fibre(F: jax.Array) -> jax.Array:
    return solid.fibre_energy(jnp.trace(F.T @ F), FIBRE @ F.T @ F @ FIBRE, 3.5, 20.0, 0.07, 0.002)


matrix_stress, fibre_stress = jax.jit(jax.grad(matrix)), jax.jit(jax.grad(fibre))


@QUICK
@given(entries=ENTRIES)
def test_matrix_stress_is_the_textbook_one(entries: list[float]) -> None:
    F = gradient_of(entries)
    inverse = jnp.linalg.inv(F).T
    expected = 0.2 * (F - inverse) + 0.35 * jnp.log(jnp.linalg.det(F)) * inverse
    np.testing.assert_allclose(matrix_stress(F), expected, atol=1e-13)


@QUICK
@given(entries=ENTRIES)
def test_fibre_stress_is_the_textbook_one(entries: list[float]) -> None:
    F = gradient_of(entries)
    strain = 0.07 * (jnp.trace(F.T @ F) - 3.0) + (1.0 - 3.0 * 0.07) * (FIBRE @ F.T @ F @ FIBRE - 1.0)
    switched = 0.002 * jnp.logaddexp(strain / 0.002, 0.0)
    slope = 3.5 * jnp.exp(20.0 * switched**2) * switched / (1.0 + jnp.exp(-strain / 0.002))
    expected = 2.0 * slope * (0.07 * F + (1.0 - 3.0 * 0.07) * jnp.outer(F @ FIBRE, FIBRE))
    np.testing.assert_allclose(fibre_stress(F), expected, rtol=1e-10, atol=1e-13)


@QUICK
@given(entries=ENTRIES, axis=VECTOR, angle=st.floats(-3.0, 3.0))
def test_energies_do_not_see_rigid_rotation(entries: list[float], axis: list[float], angle: float) -> None:
    F, Q = gradient_of(entries), rotation(axis, angle)
    for energy, stress in ((matrix, matrix_stress), (fibre, fibre_stress)):
        assert float(energy(Q @ F)) == pytest.approx(float(energy(F)), rel=1e-10, abs=1e-14)
        np.testing.assert_allclose(stress(Q @ F), Q @ stress(F), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(matrix_stress(Q), np.zeros((3, 3)), atol=1e-14)


@QUICK
@given(volume=st.floats(0.5, 2.0), shear=from_zero(1.0), lame=from_zero(1.0))
def test_slope_in_volume_is_the_mean_stress_of_dilatation(volume: float, shear: float, lame: float) -> None:
    slope = jax.grad(lambda J: solid.matrix_energy(3.0 * J ** (2.0 / 3.0), J, shear, lame))(volume)
    mean_stress = (shear * (volume ** (2.0 / 3.0) - 1.0) + lame * math.log(volume)) / volume
    assert float(slope) == pytest.approx(mean_stress, rel=1e-11, abs=1e-14)


def test_undeformed_state() -> None:
    identity = jnp.eye(3)
    assert float(matrix(identity)) == 0.0
    np.testing.assert_array_equal(matrix_stress(identity), np.zeros((3, 3)))
    # The smooth switch leaves dW/dE = k1 w ln 2 / 2, gone with its width.
    slope = jax.grad(lambda strain, width: solid.fibre_energy(3.0, 1.0 + strain, 3.5, 75.0, 0.0, width))
    for width in (2e-3, 1e-4, 1e-8):
        left = 0.5 * 3.5 * width * math.log(2.0) * math.exp(75.0 * (width * math.log(2.0)) ** 2)
        assert float(slope(0.0, width)) == pytest.approx(left, rel=1e-12)


@QUICK
@given(ratio=st.floats(-700.0, 700.0), width=st.floats(1e-6, 1e-2))
def test_switch_is_softplus_with_exact_slopes(ratio: float, width: float) -> None:
    value = solid.positive_part(ratio * width, width)
    assert float(value) == pytest.approx(width * float(jnp.logaddexp(ratio, 0.0)), rel=1e-12)
    assert max(ratio * width, 0.0) <= float(value) <= max(ratio * width, 0.0) + width * math.log(2.0) * (1.0 + 1e-12)
    slope, curvature = jax.grad(solid.positive_part), jax.grad(jax.grad(solid.positive_part))
    share = 1.0 / (1.0 + math.exp(-ratio))
    assert float(slope(ratio * width, width)) == pytest.approx(share, rel=1e-9)
    assert float(slope(0.0, width)) == 0.5
    assert float(curvature(0.0, width)) == pytest.approx(0.25 / width, rel=1e-12)


@QUICK
@given(shortening=st.floats(0.8, 0.98), stretch=st.floats(1.02, 1.3))
def test_fibres_pull_only_when_stretched(shortening: float, stretch: float) -> None:
    slope = jax.grad(lambda squared: solid.fibre_energy(3.0, squared, 3.5, 20.0, 0.0, 1e-4))
    assert 0.0 <= float(slope(shortening**2)) < 1e-50
    strain = stretch**2 - 1.0
    assert float(slope(stretch**2)) == pytest.approx(3.5 * strain * math.exp(20.0 * strain**2), rel=1e-10)


@QUICK
@given(charge=from_zero(3.0), salt=st.floats(1e-3, 1.0), scale=st.floats(1e-2, 1e2))
def test_donnan_partition_and_pressure(charge: float, salt: float, scale: float) -> None:
    cation, anion = map(float, swelling.ion_concentrations(charge, salt))
    assert cation * anion == pytest.approx(salt**2, rel=1e-13)
    assert cation - anion == pytest.approx(charge, rel=1e-12, abs=1e-14)
    pressure = float(swelling.donnan_pressure(charge, salt, 310.0, 1.0))
    assert pressure == pytest.approx(8.3145e-3 * 310.0 * (cation + anion - 2.0 * salt), rel=1e-9, abs=1e-14)
    scaled = float(swelling.donnan_pressure(scale * charge, scale * salt, 310.0, 0.9))
    assert scaled == pytest.approx(0.9 * scale * pressure, rel=1e-12)
    assert float(swelling.donnan_pressure(charge + 0.01, salt, 310.0, 1.0)) > pressure >= 0.0
    assert float(swelling.donnan_pressure(charge + 0.01, salt + 0.01, 310.0, 1.0)) < float(
        swelling.donnan_pressure(charge + 0.01, salt, 310.0, 1.0)
    )


@QUICK
@given(fluid=st.floats(0.5, 0.9), excluded=from_zero(1.1), room=st.floats(1e-3, 2.0), charge=st.floats(0.01, 0.4))
def test_charge_is_diluted_by_extrafibrillar_water(fluid: float, excluded: float, room: float, charge: float) -> None:
    volume = composition.swelling_bound(fluid, excluded) + room
    diluted = composition.extrafibrillar_charge(charge, volume, fluid, excluded)
    now = composition.fluid_fraction(volume, fluid)
    assert volume * (1.0 - now) == pytest.approx(1.0 - fluid, rel=1e-12)  # the solid keeps its volume
    assert diluted * volume * (now - excluded * (1.0 - now)) == pytest.approx(charge, rel=1e-9)  # and its charge
    assert diluted * room == pytest.approx(charge, rel=1e-9)
    assert diluted > composition.extrafibrillar_charge(charge, volume + 0.1, fluid, excluded)
    mass = 502.5 / 2.0
    gag = composition.gag_for_fixed_charge(charge, mass)
    assert composition.fixed_charge_per_volume(gag, mass) == pytest.approx(charge, rel=1e-14)


@QUICK
@given(porosity=st.floats(0.05, 0.95), volume=st.floats(0.5, 1.0), exponent=st.floats(0.5, 4.0))
def test_diffusivity_falls_with_solid_and_compression(porosity: float, volume: float, exponent: float) -> None:
    assert 0.0 < diffusion.mackie_meares(porosity) < diffusion.mackie_meares(porosity + 0.05) <= 1.0
    assert diffusion.strain_power(volume, exponent) <= diffusion.strain_power(1.0, exponent) == 1.0
    reference = [diffusion.effective_diffusivity(1e-3, porosity, porosity, 1.0, 1.0, exponent, w) for w in (0.0, 0.4, 1.0)]
    assert reference == pytest.approx([1e-3 * diffusion.mackie_meares(porosity)] * 3, rel=1e-13)
    slope = jax.grad(diffusion.mackie_meares)(porosity)
    assert float(slope) == pytest.approx(4.0 * porosity / (2.0 - porosity) ** 3, rel=1e-12)


@QUICK
@given(inner=st.floats(0.1, 50.0), outer=st.floats(0.1, 50.0), border=st.floats(15.0, 16.0), share=from_zero(1.0))
def test_annulus_profile_is_the_line_between_its_borders(inner: float, outer: float, border: float, share: float) -> None:
    position = 22.9 + share * (border - 22.9)
    value = solid.annulus_profile(position, inner, outer, border, 22.9)
    assert value == pytest.approx(share * inner + (1.0 - share) * outer, rel=1e-12)
    assert value == pytest.approx(solid.annulus_profile(share, inner, outer, 1.0, 0.0), rel=1e-12)


def test_exchange_distinguishes_the_two_supply_limits() -> None:
    assert exchange.perfusion_exchange(2e-3, 3.0) == pytest.approx(6e-3, rel=1e-15)
    lactate, glucose = (exchange.diffusion_exchange(0.3, water) for water in (1.39e-3, 9.16667e-4))
    assert lactate / glucose == pytest.approx(1.39e-3 / 9.16667e-4, rel=1e-14)
    assert glucose == pytest.approx(2.750001e-4, rel=1e-14)
