"""Energy metabolism of disc cells: lactate production, oxygen and glucose use, and the acid that follows.

The Bibby-type fits below were made on bovine nucleus cells; their culture work spans pH 6.2-7.4. Known disagreement:
Bibby & Urban 2004 (10.1007/s00586-003-0616-x, measured) saw no change of lactate production with oxygen, against the
oxygen term here; degenerate human cells use 3-5 times more oxygen (Cisewski 2018, Spine 43:E60, measured).
"""

import jax
import jax.numpy as jnp

from discsim.laws.guards import Scalar, at_most, non_negative

# Bibby-type fit of lactate production, [code] abaqusIVD: ln(rate) = c0 + c1 pH + c2 p + c3 p^2, p in kPa.
LACTATE_CONSTANT = -2.47
LACTATE_PH = 0.93
LACTATE_OXYGEN = 0.16
LACTATE_OXYGEN_SQUARED = -0.0058
LACTATE_PEAK_OXYGEN = -LACTATE_OXYGEN / (2.0 * LACTATE_OXYGEN_SQUARED)  # 13.79 kPa, where the exponent peaks

# Bibby-type fit of oxygen use, [code] abaqusIVD.
OXYGEN_MAXIMUM = 7.28  # nmol/(Mcell h) per unit of pH
OXYGEN_PH_OFFSET = 4.95
OXYGEN_HALF = 1.46  # kPa
OXYGEN_HALF_PH = 4.03  # kPa per unit of pH

CELLS_PER_MILLION = 1.0e6
SECONDS_PER_HOUR = 3600.0


def lactate_production_per_cell(ph: Scalar, oxygen: Scalar) -> jax.Array:
    """Lactate made by a million disc cells in an hour.

    q_L = exp(-2.47 + 0.93 pH + 0.16 p - 0.0058 p^2), p held within 0 and 13.79 kPa.

    Symbols: `ph` pH (-), `oxygen` partial pressure p (kPa). Returns nmol/(Mcell h). Glucose use is half of it.
    Source: [code] abaqusIVD; fit after Bibby 2005, 10.1097/01.brs.0000154619.38122.47 (attribution recalled,
    unverified); evidence: model.
    Validity: pH 6.2-7.4. The exponent peaks at p = 13.79 kPa and the fit falls beyond it, an artefact of the quadratic
    (culture air is 20 kPa); p is therefore capped at the peak. Value and slope (zero there) stay continuous.
    Trap: no dependence on glucose; multiply by `glucose_limiter`, or glucose turns negative where supply is cut.
    """
    pressure = at_most(non_negative(oxygen), LACTATE_PEAK_OXYGEN)
    exponent = LACTATE_CONSTANT + LACTATE_PH * ph + (LACTATE_OXYGEN + LACTATE_OXYGEN_SQUARED * pressure) * pressure
    return jnp.exp(exponent)


def oxygen_consumption_per_cell(ph: Scalar, oxygen: Scalar) -> jax.Array:
    """Oxygen used by a million disc cells in an hour.

    q_O = 7.28 a p / (1.46 + p + 4.03 a), a = max(pH - 4.95, 0), p = max(oxygen, 0).

    Symbols: `ph` pH (-), `oxygen` partial pressure p (kPa). Returns nmol/(Mcell h), zero without oxygen.
    Source: [code] abaqusIVD; fit after Bibby 2005, 10.1097/01.brs.0000154619.38122.47 (attribution recalled,
    unverified); evidence: model.
    Validity: pH 6.2-7.4, p >= 0; below pH 4.95 the fit would change sign and is held at zero.
    """
    activity = non_negative(ph - OXYGEN_PH_OFFSET)
    pressure = non_negative(oxygen)
    return OXYGEN_MAXIMUM * activity * pressure / (OXYGEN_HALF + pressure + OXYGEN_HALF_PH * activity)


def volumetric_rate(per_cell: Scalar, cell_density: Scalar) -> Scalar:
    """Rate per volume of a tissue from the rate per cell.

    R = q rho / (1e6 * 3600).

    Symbols: `per_cell` q, nmol/(Mcell h); `cell_density` rho, cells/mm3 of the current mixture. Returns mM/s
    (nmol/mm3 = mM). Source: unit arithmetic. Validity: any.
    Trap: published decks give rho in Mcells/mm3 or Mcells/mL (1 Mcell/mL = 1000 cells/mm3).
    """
    return per_cell * cell_density / (CELLS_PER_MILLION * SECONDS_PER_HOUR)


def oxygen_pressure_rate(rate_mM: Scalar, solubility: Scalar) -> Scalar:
    """Change of oxygen partial pressure that a change of dissolved oxygen means (Henry).

    dp/dt = R / S.

    Symbols: `rate_mM` R, mM/s; `solubility` S, mM/kPa (0.010268 in [code] abaqusIVD). Returns kPa/s.
    Source: [code] abaqusIVD; evidence: model. Validity: S > 0.
    """
    return rate_mM / solubility


def glucose_limiter(glucose: Scalar, half_glucose: Scalar) -> jax.Array:
    """Share of full metabolism that the glucose at hand allows; multiplies glucose use and lactate production alike.

    f = G / (G + K_G), G = max(glucose, 0).

    Symbols: `glucose` G and `half_glucose` K_G, mM. Returns 0..1, zero without glucose.
    Source: ours, not published; evidence: assumed. Validity: K_G > 0; 0.02-0.05 mM advised, report it: at low supply
    the viable fraction moves from 0.73 to 0.91 between 0.02 and 0.2 mM.
    """
    available = non_negative(glucose)
    return available / (available + half_glucose)


def acidity(lactate: Scalar, intercept: Scalar, slope: Scalar) -> Scalar:
    """pH of the tissue from its lactate.

    pH = intercept - slope * L.

    Symbols: `lactate` L, mM; `intercept` pH without lactate; `slope` per mM. Returns pH (-).
    Source: 7.4 and 1/11.11 = 0.0900 per mM, [code] abaqusIVD; evidence: model. Older form 7.5 - 0.1 L: recalled,
    unverified. Validity: lactate up to about 13 mM (pH 6.2).
    Trap: a comment of that code calls 11.11 nmol/mL; the arithmetic only works in mM.
    """
    return intercept - slope * lactate


def porosity_factor(porosity: Scalar, weight: Scalar) -> Scalar:
    """Porosity convention of a rate: whether the rate counts per tissue water or per tissue volume.

    f = 1 + w (phi - 1).

    Symbols: `porosity` phi (-); `weight` w: 1 multiplies the rate by the porosity, 0 leaves it. Returns -.
    Source: [code] abaqusIVD has w = 1 on oxygen and w = 0 on lactate and glucose; evidence: model. Others put it on
    both or on neither (recalled, unverified). Validity: 0 <= w <= 1.
    Trap: not cosmetic; on a tall disc w = 1 on both rates raises the lowest glucose by two thirds.
    """
    return 1.0 + weight * (porosity - 1.0)
