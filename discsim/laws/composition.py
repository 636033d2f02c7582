"""Composition of the tissue: GAG and its charge, water, and the water that collagen hides from the charge."""

from discsim.laws.guards import Scalar


def fixed_charge_per_volume(gag: Scalar, molar_mass_per_charge: Scalar) -> Scalar:
    """Fixed charge carried by the GAG of a volume.

    q = c_GAG / M.

    Symbols: `gag` c_GAG, mg per mL of mixture reference volume; `molar_mass_per_charge` M, g/mol. Returns mEq per mL of
    the same volume (per gram if GAG is given in mg/g).
    Source: two charges per chondroitin sulphate disaccharide of 502.5 g/mol, so M = 502.5/2; recalled, unverified.
    Check: end plate GAG 31.24 ug/mg wet gives 0.1243 mEq/g against 0.12 +- 0.03 measured (PMC5509527).
    Validity: M > 0. Keratan sulphate (one charge per 464 g/mol, recalled, unverified) is not separated.
    Trap: charge per mL of mixture, per mL of water and per gram differ; 0.29 mEq/mL water is 0.22 mEq/g wet.
    """
    return gag / molar_mass_per_charge


def gag_for_fixed_charge(fixed_charge: Scalar, molar_mass_per_charge: Scalar) -> Scalar:
    """GAG that a fixed charge stands for; inverse of `fixed_charge_per_volume`.

    c_GAG = q M.

    Symbols: `fixed_charge` q, mEq/mL; `molar_mass_per_charge` M, g/mol. Returns mg/mL.
    Source: as `fixed_charge_per_volume`; recalled, unverified. Validity: any.
    """
    return fixed_charge * molar_mass_per_charge


def fluid_fraction(J: Scalar, reference_fluid_fraction: Scalar) -> Scalar:
    """Share of the tissue volume that is water, after a change of volume (incompressible constituents).

    n_f = (J - 1 + n_f0) / J.

    Symbols: `J` volume ratio; `reference_fluid_fraction` n_f0. Returns n_f (-).
    Source: mixture theory; same law for the porosity in [code] abaqusIVD. Validity: J > 1 - n_f0.
    """
    return (J - 1.0 + reference_fluid_fraction) / J


def extrafibrillar_charge(
    charge_per_reference_volume: Scalar,
    J: Scalar,
    reference_fluid_fraction: Scalar,
    excluded_water: Scalar,
) -> Scalar:
    """Fixed charge density of the water outside the collagen fibrils, the water that swells.

    c_x = q / (J - (1 - n_f0)(1 + x)).

    Symbols: `charge_per_reference_volume` q = c_F0 n_f0, mEq per mL of mixture reference volume; `J` volume ratio;
    `reference_fluid_fraction` n_f0; `excluded_water` x, intrafibrillar water per solid volume (-). Returns mEq/mL.
    Source: derived: c_x = c_F0 n_f0 / (J n_x), n_x = n_f - x (1 - n_f); excluded water as in [code] abaqusIVD,
    linearised; evidence: model. With x = 0 it is c_F of all tissue water.
    Validity: J > `swelling_bound`. No clip: a step that reaches the bound must be rejected, not repaired.
    Trap: a degenerate annulus with more collagen swells *more* under this law, while the measured offset falls.
    """
    return charge_per_reference_volume / (J - swelling_bound(reference_fluid_fraction, excluded_water))


def swelling_bound(reference_fluid_fraction: Scalar, excluded_water: Scalar) -> Scalar:
    """Lowest admissible volume ratio: there no extrafibrillar water is left.

    J_min = (1 - n_f0)(1 + x).

    Symbols: `reference_fluid_fraction` n_f0; `excluded_water` x, intrafibrillar water per solid volume (-). Returns -.
    Source: zero of the denominator of `extrafibrillar_charge`. Validity: 0 < n_f0 < 1, x >= 0.
    At grade I 0.23 (nucleus), 0.48 (outer annulus), 0.44 (end plate). Use as a step-acceptance bound.
    """
    return (1.0 - reference_fluid_fraction) * (1.0 + excluded_water)
