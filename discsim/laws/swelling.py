"""Donnan equilibrium of the charged tissue with its bath: swelling pressure and ion partition."""

import jax
import jax.numpy as jnp

from discsim.laws.guards import Scalar

GAS_CONSTANT = 8.3145
"""R, N mm/(mmol K)."""

ML_PER_MM3 = 1.0e-3
# Keeps the root differentiable for no charge in pure water; moves no concentration by more than 1e-15 mmol/mL.
_SQUARED_FLOOR = 1.0e-30


def _total_ions(fixed_charge: Scalar, bath_salt: Scalar) -> jax.Array:
    return jnp.sqrt(fixed_charge * fixed_charge + 4.0 * bath_salt * bath_salt + _SQUARED_FLOOR)


def donnan_pressure(
    extrafibrillar_charge: Scalar, bath_salt: Scalar, temperature: Scalar, osmotic_coefficient: Scalar
) -> jax.Array:
    """Osmotic (swelling) pressure of the charged tissue relative to its bath.

    pi = Phi R T [ sqrt(c_x^2 + 4 c_b^2) - 2 c_b ], evaluated as Phi R T c_x^2 / (sqrt(c_x^2 + 4 c_b^2) + 2 c_b), which
    does not lose digits at low charge.

    Symbols: `extrafibrillar_charge` c_x, mEq/mL; `bath_salt` c_b, mmol/mL (0.15 for 0.15 M); `temperature` T, K;
    `osmotic_coefficient` Phi (-), 1 ideal. Returns MPa, exactly zero without charge.
    Source: ideal law, FEBio theory manual; evidence: model. Phi = 1 for in vivo hydration: assumed.
    Validity: c_x >= 0, c_b >= 0, T > 0; monovalent salt, ions always in equilibrium.
    Traps: the code of abaqusIVD uses 293 K; 310 K raises the pressure by 6 %. One coefficient on both terms is not the
    non-ideal law with internal and external coefficients, which gives about 0.22 MPa where this gives 0.33.
    """
    ions = _total_ions(extrafibrillar_charge, bath_salt)
    excess = extrafibrillar_charge * extrafibrillar_charge / (ions + 2.0 * bath_salt)
    return osmotic_coefficient * GAS_CONSTANT * temperature * ML_PER_MM3 * excess


def ion_concentrations(fixed_charge: Scalar, bath_salt: Scalar) -> tuple[jax.Array, jax.Array]:
    """Concentrations of cation and anion in the water of a negatively charged tissue (ideal Donnan partition).

    c+ = (c_F + sqrt(c_F^2 + 4 c_b^2)) / 2,   c- = c_b^2 / c+   (equal to (-c_F + sqrt(...)) / 2 without cancellation).

    Symbols: `fixed_charge` c_F of that water, mEq/mL; `bath_salt` c_b, mmol/mL. Returns (c+, c-), mmol/mL, with
    c+ c- = c_b^2 and c+ - c- = c_F.
    Source: ideal Donnan law, textbook. Validity: c_F >= 0, c_b >= 0; monovalent salt.
    """
    cation = 0.5 * (fixed_charge + _total_ions(fixed_charge, bath_salt))
    return cation, bath_salt * bath_salt / cation
