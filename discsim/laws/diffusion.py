"""Diffusivity of small solutes in the tissue: obstruction by the solid and its growth under compression."""

from discsim.laws.guards import Scalar


def mackie_meares(porosity: Scalar) -> Scalar:
    """Obstruction of diffusion by the solid: diffusivity in the tissue over that in water.

    f = (phi / (2 - phi))^2.

    Symbols: `porosity` phi (-). Returns -. Source: Mackie & Meares 1955 as in [code] abaqusIVD; evidence: model.
    Validity: 0 <= phi <= 1. Traps: too weak under strain (0.887/0.762 at 10/20 % confined compression of annulus
    against 0.725/0.554 measured, Jackson 2008); end plate values of Wu 2016 (PMID 27338525, measured, the power of ten
    recalled, unverified) are 8 times lower.
    """
    ratio = porosity / (2.0 - porosity)
    return ratio * ratio


def strain_power(J: Scalar, exponent: Scalar) -> Scalar:
    """Fall of diffusivity with volume loss as measured, relative to the reference state.

    f = J^m.

    Symbols: `J` volume ratio; `exponent` m (-). Returns -, 1 at J = 1.
    Source: m = 2.72, derived: least squares of ln ratio on ln J for glucose in bovine annulus, axial, D/D0 0.725 and
    0.554 at 10 and 20 % compression (Jackson 2008, Spine 33:1, PMID 18165741, measured), taken as confined, so that
    J = 0.9 and 0.8 (assumed). The fit gives 0.751 and 0.545.
    Validity: J 0.8-1; beyond it an extrapolation.
    """
    return J**exponent


def effective_diffusivity(
    water_diffusivity: Scalar,
    porosity: Scalar,
    reference_porosity: Scalar,
    J: Scalar,
    factor: Scalar,
    strain_exponent: Scalar,
    strain_weight: Scalar,
) -> Scalar:
    """Diffusivity of a solute in the deformed tissue.

    D = D_w f [ (1 - w) MM(phi) + w MM(phi0) J^m ].

    Symbols: `water_diffusivity` D_w, mm2/s; `porosity` phi now, `reference_porosity` phi0 (-); `J` volume ratio;
    `factor` f of the region on Mackie-Meares (-); `strain_exponent` m; `strain_weight` w: 0 Mackie-Meares on the
    current porosity, 1 measured fall with strain. Returns mm2/s.
    Source: D_w 3.0e-3 (O2), 1.39e-3 (lactate), 9.16667e-4 (glucose), [code] abaqusIVD; evidence: model; blend: assumed.
    Validity: as `mackie_meares` and `strain_power`; 0 <= w <= 1.
    Traps: in divergence form this is all; the extra -w gradD . gradC of the published code looks like counting the
    gradient twice. The factor of the end plate (0.12-1) decides whether a healthy disc is fed at all.
    """
    current = mackie_meares(porosity)
    strained = mackie_meares(reference_porosity) * strain_power(J, strain_exponent)
    return water_diffusivity * factor * ((1.0 - strain_weight) * current + strain_weight * strained)
