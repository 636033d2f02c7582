"""Strain energies of the extrafibrillar matrix and of the collagen fibres, per reference volume.

Full (not isochoric) invariants throughout: the drained porous matrix changes volume. Stress and tangent are derived.
"""

import jax
import jax.numpy as jnp

from discsim.laws.guards import Scalar


def matrix_energy(I1: Scalar, J: Scalar, shear_modulus: Scalar, lame_lambda: Scalar) -> jax.Array:
    """Energy of the extrafibrillar matrix (compressible neo-Hookean, drained moduli).

    W = mu/2 (I1 - 3 - 2 ln J) + lambda/2 (ln J)^2.

    Symbols: `I1` = tr C; `J` = det F; `shear_modulus` mu, `lame_lambda` lambda, MPa. Returns MPa. Zero, and free of
    stress, at F = I.
    Source: textbook ("option B"); moduli: see the materials. Validity: J > 0.
    Traps: do not reuse Mooney-Rivlin coefficients of incompressible disc models as drained moduli; annulus moduli below
    0.1 MPa let the outer annulus drift sideways while the reference state is sought.
    """
    log_volume = jnp.log(J)
    return 0.5 * shear_modulus * (I1 - 3.0 - 2.0 * log_volume) + 0.5 * lame_lambda * log_volume * log_volume


def positive_part(x: Scalar, width: Scalar) -> jax.Array:
    """Smooth switch: the positive part of a strain, rounded over a width.

    <x> = w ln(1 + exp(x/w)) = w (max(x/w, 0) + ln(1 + exp(-|x/w|))).

    Symbols: `x`, and `width` w in the unit of x. Returns the unit of x; w ln 2 at x = 0, slope 1/2 there.
    Source: softplus; smoothing assumed. Validity: w > 0. Never overflows. |.| and max are written as choices whose two
    sides agree at x = 0 in value and slopes of the whole: jnp.abs and jnp.maximum differentiate wrongly exactly there, which
    is the undeformed state.
    """
    ratio = x / width
    below = jnp.where(ratio > 0.0, -ratio, ratio)
    return width * (jnp.where(ratio > 0.0, ratio, 0.0) + jnp.log1p(jnp.exp(below)))


def fibre_strain(I1: Scalar, I4: Scalar, dispersion: Scalar) -> Scalar:
    """Strain that a dispersed family of fibres sees.

    E = kappa (I1 - 3) + (1 - 3 kappa)(I4 - 1).

    Symbols: `I1` = tr C; `I4` = a0 . C a0, squared stretch along the mean direction; `dispersion` kappa, 0 aligned to
    1/3 isotropic. Returns -. Source: Holzapfel-Gasser-Ogden form; [code] calibrated disc models use kappa 0.075;
    evidence: model. Validity: 0 <= kappa <= 1/3.
    """
    return dispersion * (I1 - 3.0) + (1.0 - 3.0 * dispersion) * (I4 - 1.0)


def fibre_energy(
    I1: Scalar, I4: Scalar, stiffness: Scalar, exponent: Scalar, dispersion: Scalar, switch_width: Scalar
) -> jax.Array:
    """Energy of one family of collagen fibres, tension only.

    W = k1/(2 k2) (exp(k2 <E>^2) - 1), E of `fibre_strain`, <E> of `positive_part`.

    Symbols: `I1`, `I4` invariants; `stiffness` k1, MPa; `exponent` k2 (-); `dispersion` kappa; `switch_width` w in E.
    Returns MPa; the annulus has two families, one call each.
    Source: Holzapfel-Gasser-Ogden form; switch width 0.002 assumed. Validity: k2 > 0 also where k1 = 0 (no fibres),
    w > 0, k2 <E>^2 < 700.
    Traps: the switch leaves a small stress at F = I, dW/dI4 = k1 w ln 2 / 2 (times 1 - 3 kappa) to first order in w:
    0.002 MPa for k1 3.5 and w 0.002. Coefficients fitted to incompressible models hold undrained matrix effects.
    """
    stretched = positive_part(fibre_strain(I1, I4, dispersion), switch_width)
    return stiffness / (2.0 * exponent) * (jnp.exp(exponent * stretched * stretched) - 1.0)


def annulus_profile(
    position: Scalar, inner_value: Scalar, outer_value: Scalar, inner_position: Scalar, outer_position: Scalar
) -> Scalar:
    """Value of a fibre property across the annulus, linear from its outer to its inner border.

    v = v_o + (v_i - v_o)(s - s_o)/(s_i - s_o).

    Symbols: `position` s (0 at the outer border, 1 at the inner, or any coordinate); `inner_value` v_i, `outer_value`
    v_o in one unit (fibre angle, k1, k2); `inner_position` s_i, `outer_position` s_o. Returns the unit of the values.
    Source: linear angle and stiffness fields of published disc models; evidence: model. Validity: s between s_o and
    s_i, s_o /= s_i; beyond them the line goes on.
    """
    return outer_value + (inner_value - outer_value) * (position - outer_position) / (inner_position - outer_position)
