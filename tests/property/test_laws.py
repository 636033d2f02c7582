"""Properties of the laws over their admissible range: finite, branch-free, monotone, bounded, free of units."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discsim.laws import (
    composition,
    death,
    diffusion,
    exchange,
    metabolism,
    relaxation,
    response,
    solid,
    swelling,
)

Law = Callable[..., Any]
QUICK = settings(deadline=None, max_examples=60)


def from_zero(highest: float) -> st.SearchStrategy[float]:
    """Zero, and amounts that do not underflow: JAX flushes subnormal numbers to zero."""
    return st.just(0.0) | st.floats(1e-12, highest)


# Admissible range of every argument, zero concentrations and the kinks of the clips included.
PH, OXYGEN, MILLIMOLAR = (4.0, 4.95, 6.2, 7.4), (0.0, 5.0, 13.793103448275861, 21.0), (0.0, 0.5, 5.0)
FRACTION, CHARGE, SALT = (0.0, 0.5, 1.0), (0.0, 0.3, 2.0), (0.0, 0.15, 1.0)
FLUID, VOLUME, AMOUNT = (0.5, 0.7, 0.9), (0.9, 1.0, 1.5), (0.0, 1e-9, 1.0, 1e9)
CORNERS: dict[Law, tuple[tuple[float, ...], ...]] = {
    metabolism.lactate_production_per_cell: (PH, OXYGEN),
    metabolism.oxygen_consumption_per_cell: (PH, OXYGEN),
    metabolism.volumetric_rate: ((0.0, 200.0), (0.0, 5e4)),
    metabolism.oxygen_pressure_rate: ((-1e-3, 0.0), (0.01, 0.02)),
    metabolism.glucose_limiter: (MILLIMOLAR, (1e-6, 0.05)),
    metabolism.acidity: (MILLIMOLAR, (7.4, 7.5), (0.09, 0.1)),
    metabolism.porosity_factor: (FRACTION, FRACTION),
    death.starvation_death_rate: (MILLIMOLAR, (0.0, 0.5), (1e-6, 0.2), (0.0, 1.0)),
    death.acid_death_rate: (PH, (6.78,), (0.0, 0.1), (1e-3, 0.05)),
    response.michaelis_menten: (AMOUNT, (1e-6, 1.0)),
    response.hill: (AMOUNT, (1e-6, 1.0), (1.0, 1.5, 2.0, 8.0)),
    response.acid_gate: (PH, (6.75,), (0.0, 3.0, 100.0)),
    response.glucose_gate: (MILLIMOLAR, (0.573,), (0.0, 18.0)),
    response.crowding: ((0.0, 4000.0, 1e4), (4000.0, 8000.0)),
    response.transduced_fraction: ((0.0, 1.0, 1e6), FRACTION),
    composition.fixed_charge_per_volume: ((0.0, 90.0), (232.0, 251.25)),
    composition.gag_for_fixed_charge: ((0.0, 0.4), (232.0, 251.25)),
    composition.fluid_fraction: (VOLUME, FLUID),
    composition.extrafibrillar_charge: ((0.0, 0.3), VOLUME, (0.7, 0.9), (0.0, 1.0)),
    composition.swelling_bound: (FLUID, (0.0, 1.0)),
    swelling.donnan_pressure: (CHARGE, SALT, (293.0, 310.0), (0.0, 1.0)),
    swelling.ion_concentrations: (CHARGE, SALT),
    solid.matrix_energy: ((2.0, 3.0, 5.0), VOLUME, (0.0, 0.3), (0.0, 0.3)),
    solid.positive_part: ((-1.0, -1e-3, 0.0, 1e-3, 1.0), (1e-12, 2e-3)),
    solid.fibre_strain: ((2.0, 3.0, 5.0), (0.5, 1.0, 2.0), (0.0, 1.0 / 3.0)),
    solid.fibre_energy: ((2.5, 3.0, 3.5), (0.5, 1.0, 2.0), (0.0, 3.5), (1.0, 75.0), (0.0, 0.1), (1e-12, 2e-3)),
    solid.annulus_profile: (FRACTION, (31.0,), (37.0,), (1.0,), (0.0,)),
    diffusion.mackie_meares: (FRACTION,),
    diffusion.strain_power: ((0.3, 1.0, 1.5), (0.0, 2.72)),
    diffusion.effective_diffusivity: ((0.0, 3e-3), FRACTION, FRACTION, VOLUME, FRACTION, (0.0, 2.72), FRACTION),
    exchange.perfusion_exchange: ((0.0, 2e-3), (1.0, 3.0)),
    exchange.diffusion_exchange: ((0.0, 0.3), (1e-3,)),
    relaxation.relaxation_mean: ((0.0, 1e-9, 0.05, 1.0, 800.0),),
    relaxation.relaxation_second_mean: ((0.0, 1e-9, 0.05, 1.0, 800.0),),
    relaxation.exponential_step: ((0.0, 1.0), (0.0, 1.0), (0.0, 1e-9, 5.0), (0.0, 1.0, 1e6)),
    relaxation.exponential_mean: ((0.0, 1.0), (0.0, 1.0), (0.0, 1e-9, 5.0), (0.0, 1.0, 1e6)),
}
LAWS = pytest.mark.parametrize("law", CORNERS, ids=lambda law: law.__name__)
PRIMITIVES = {"add", "sub", "mul", "div", "neg", "exp", "log", "log1p", "logistic", "sqrt", "pow", "abs", "select_n",
              "lt", "gt"}  # fmt: skip


def every_primitive(jaxpr: Any) -> set[str]:
    names: set[str] = set()
    for equation in jaxpr.eqns:
        inner = [value.jaxpr for value in equation.params.values() if hasattr(value, "jaxpr")]
        names |= set().union(*map(every_primitive, inner)) if inner else {equation.primitive.name}
    return names


@LAWS
def test_every_value_and_slope_is_finite(law: Law) -> None:
    points = jnp.array(list(itertools.product(*CORNERS[law]))).T
    slopes = jax.jit(jax.vmap(jax.jacrev(law, argnums=tuple(range(len(points))))))(*points)
    for array in jax.tree.leaves((jax.vmap(law)(*points), slopes)):
        assert array.dtype == jnp.float64
        assert bool(jnp.isfinite(array).all())


@LAWS
def test_laws_are_branch_free_and_pass_nan_on(law: Law) -> None:
    point = [values[-1] for values in CORNERS[law]]
    assert every_primitive(jax.make_jaxpr(law)(*point).jaxpr) <= PRIMITIVES
    assert bool(jnp.isnan(jnp.stack(jax.tree.leaves(law(math.nan, *point[1:])))).all())


@pytest.mark.parametrize("law", [response.michaelis_menten, metabolism.glucose_limiter])
@QUICK
@given(ratio=from_zero(1e3), more=st.floats(1e-3, 10.0), half=st.floats(1e-3, 1e3))
def test_saturation_stays_within_bounds_and_rises(law: Law, ratio: float, more: float, half: float) -> None:
    assert 0.0 <= float(law(ratio * half, half)) < float(law((ratio + more) * half, half)) < 1.0
    assert float(law(half, half)) == 0.5
    assert float(law(0.0, half)) == float(law(-ratio, half)) == 0.0
    assert float(jax.grad(law)(0.0, half)) == pytest.approx(1.0 / half, rel=1e-14)


@QUICK
@given(x=from_zero(1e3), half=st.floats(1e-2, 1e2), exponent=st.floats(1.0, 8.0), scale=st.floats(1e-3, 1e3))
def test_hill_depends_on_the_ratio_only(x: float, half: float, exponent: float, scale: float) -> None:
    value = float(response.hill(x, half, exponent))
    assert 0.0 <= value <= 1.0
    assert float(response.hill(scale * x, scale * half, exponent)) == pytest.approx(value, rel=1e-12)
    assert float(response.hill(x, half, 1.0)) == pytest.approx(float(response.michaelis_menten(x, half)), rel=1e-13)
    assert float(response.hill(half, half, exponent)) == 0.5


@pytest.mark.parametrize(("law", "middle"), [(response.acid_gate, 6.75), (response.glucose_gate, 1.2)])
@QUICK
@given(away=st.floats(-1.0, 1.0), steepness=st.floats(0.5, 10.0))
def test_gates_rise_and_are_antisymmetric(law: Law, middle: float, away: float, steepness: float) -> None:
    value = float(law(middle + away, middle, steepness))
    assert 0.0 < value < float(law(middle + away + 0.01, middle, steepness)) < 1.0
    assert value + float(law(middle - away, middle, steepness)) == pytest.approx(1.0, rel=1e-13)
    base = 10.0 if law is response.acid_gate else math.e
    assert value == pytest.approx(1.0 / (1.0 + base ** (-steepness * away)), rel=1e-12)


@QUICK
@given(ph=st.floats(5.0, 7.4), oxygen=from_zero(25.0), more=st.floats(0.01, 5.0))
def test_metabolism_rises_with_ph_and_oxygen(ph: float, oxygen: float, more: float) -> None:
    lactate, use = metabolism.lactate_production_per_cell, metabolism.oxygen_consumption_per_cell
    assert float(lactate(ph, oxygen + more)) >= float(lactate(ph, oxygen)) > 0.0
    assert float(lactate(ph + 0.1, oxygen)) == pytest.approx(float(lactate(ph, oxygen)) * math.exp(0.093), rel=1e-12)
    assert float(use(ph, oxygen + more)) > float(use(ph, oxygen)) >= 0.0
    assert float(use(ph + 0.1, oxygen)) >= float(use(ph, oxygen))
    assert float(use(4.9, oxygen)) == float(use(ph, 0.0)) == 0.0


def test_lactate_fit_joins_its_cap_smoothly() -> None:
    peak = metabolism.LACTATE_PEAK_OXYGEN
    slope = jax.grad(metabolism.lactate_production_per_cell, argnums=1)
    below, air = (float(metabolism.lactate_production_per_cell(7.0, p)) for p in (peak - 1e-4, 20.0))
    assert below == pytest.approx(air, rel=1e-10)
    assert float(slope(7.0, peak)) == pytest.approx(0.0, abs=1e-12)
    assert float(slope(7.0, 20.0)) == 0.0
    assert float(slope(7.0, 0.0)) == pytest.approx(0.16 * float(metabolism.lactate_production_per_cell(7.0, 0.0)))


@QUICK
@given(rate=from_zero(500.0), density=from_zero(5e4), scale=st.floats(1e-3, 1e3))
def test_rates_rescale_with_their_units(rate: float, density: float, scale: float) -> None:
    volumetric = metabolism.volumetric_rate(rate, density)
    # Mcells/mL and mM/h, the units of the published decks.
    assert volumetric * 3600.0 == pytest.approx(rate * (density / 1000.0) / 1000.0, rel=1e-12)
    assert metabolism.volumetric_rate(rate * scale, density / scale) == pytest.approx(volumetric, rel=1e-12)
    # The same rate with oxygen in mmHg: solubility per mmHg, pressure rate in mmHg/s.
    per_second = metabolism.oxygen_pressure_rate(volumetric, 0.010268)
    in_mmhg = metabolism.oxygen_pressure_rate(volumetric, 0.010268 * 0.133322)
    assert in_mmhg * 0.133322 == pytest.approx(per_second, rel=1e-12)


@QUICK
@given(glucose=from_zero(1.0), scale=st.floats(1e-6, 1e6), half=st.floats(0.01, 1.0))
def test_starvation_is_the_published_signed_form(glucose: float, scale: float, half: float) -> None:
    rate = float(death.starvation_death_rate(glucose, 0.5, half, 1.0))
    signed = (glucose - 0.5) / (glucose + half) - abs(glucose - 0.5) / (glucose + half)
    assert rate == pytest.approx(-signed, rel=1e-12, abs=1e-15)
    assert float(death.starvation_death_rate(glucose, 0.5, half, scale)) == pytest.approx(scale * rate, rel=1e-12)
    assert float(death.starvation_death_rate(glucose + 0.1, 0.5, half, 1.0)) <= rate


@QUICK
@given(ph=st.floats(5.0, 7.4), width=st.floats(0.005, 0.2))
def test_acid_death_is_a_step_that_falls_with_ph(ph: float, width: float) -> None:
    rate = float(death.acid_death_rate(ph, 6.78, 0.1, width))
    assert 0.0 <= float(death.acid_death_rate(ph + width, 6.78, 0.1, width)) <= rate <= 0.1
    assert float(death.acid_death_rate(6.78, 6.78, 0.1, width)) == 0.05
    assert float(death.acid_death_rate(6.78 + 1.001 * width, 6.78, 0.1, width)) == 0.0
    assert float(death.acid_death_rate(6.78 - 1.001 * width, 6.78, 0.1, width)) == 0.1
    assert rate == pytest.approx(0.1 if ph < 6.78 else 0.0, abs=0.1 * math.exp(-abs(ph - 6.78) / width) + 1e-15)


@QUICK
@given(dose=from_zero(50.0), efficiency=from_zero(1.0), density=from_zero(2e4))
def test_transduction_and_crowding_are_shares(dose: float, efficiency: float, density: float) -> None:
    share = float(response.transduced_fraction(dose, efficiency))
    assert 0.0 <= share <= min(1.0, efficiency * dose * (1.0 + 1e-12) + 1e-15)
    twice = float(response.transduced_fraction(2.0 * dose, efficiency))
    assert 1.0 - twice == pytest.approx((1.0 - share) ** 2, abs=1e-15)
    assert float(response.crowding(density, 8000.0)) == pytest.approx(max(1.0 - density / 8000.0, 0.0), abs=1e-15)
