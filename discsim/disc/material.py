"""Material of the disc: composition, swelling, drained matrix, two fibre families, diffusivity factor."""

from __future__ import annotations

from typing import Any

from discsim.quantities.parameters import Parameterised, param

_CODE = "[code] bmmbUPF/abaqusIVD"
_OURS = "assumed (default_disc a2)"


class OsmoBiphasic(Parameterised):
    """Charged porous solid with tension-only fibres, ions in ideal Donnan equilibrium.

    Matrix and fibres see F_e = F F_p (F_p: prestress per point, since the in vivo shape is the loaded shape); osmosis sees F.
    Composition holds in the reference (in vivo, loaded) shape, where J = 1. Valid only for J above ``lowest_jacobian``: there
    the water outside the collagen is used up.
    """

    name = "materials"

    shear_modulus = param(
        {"NP": "0.03 MPa", "inner_AF": "0.20 MPa", "outer_AF": "0.30 MPa", "CEP": "0.13 MPa"},
        bounds={
            "NP": ("0.005 MPa", "0.2 MPa"),
            "inner_AF": ("0.1 MPa", "0.6 MPa"),
            "outer_AF": ("0.1 MPa", "0.7 MPa"),
            "CEP": ("0.1 MPa", "0.4 MPa"),
        },
        source={
            "NP": "Iatridis 1997 (DOI recalled, unverified: 10.1002/jor.1100150224)",
            "inner_AF": _OURS,
            "outer_AF": _OURS,
            "CEP": "Cortes 2014 (DOI recalled, unverified: 10.1016/j.jbiomech.2013.12.021)",
        },
        evidence={"NP": "measured", "inner_AF": "assumed", "outer_AF": "assumed", "CEP": "measured"},
        description="drained matrix shear modulus",
    )
    lame_ratio = param(
        "1",
        bounds=("0.2", "5"),
        source=_OURS,
        evidence="assumed",
        description="Lame lambda of the drained matrix over its shear modulus",
    )
    fluid_fraction = param(
        {"NP": "0.81", "inner_AF": "0.79", "outer_AF": "0.74", "CEP": "0.67"},
        bounds={"NP": ("0.6", "0.88"), "inner_AF": ("0.6", "0.85"), "outer_AF": ("0.6", "0.82"), "CEP": ("0.5", "0.75")},
        source=_CODE + " (annulus split by default_disc a2)",
        evidence="model",
        description="fluid volume fraction n_f0",
    )
    fixed_charge_density = param(
        {"NP": "0.29 mEq/mL", "inner_AF": "0.20 mEq/mL", "outer_AF": "0.13 mEq/mL", "CEP": "0.166 mEq/mL"},
        bounds={
            "NP": ("0.05 mEq/mL", "0.40 mEq/mL"),
            "inner_AF": ("0.05 mEq/mL", "0.30 mEq/mL"),
            "outer_AF": ("0.04 mEq/mL", "0.20 mEq/mL"),
            "CEP": ("0.05 mEq/mL", "0.25 mEq/mL"),
        },
        source=_CODE + "; outer AF within Urban & Maroudas 1979",
        evidence="model",
        description="fixed charge per mL of all tissue water, preset of the start",
    )
    excluded_water = param(
        {"NP": "0.20", "inner_AF": "0.70", "outer_AF": "0.85", "CEP": "0.33"},
        bounds={"NP": ("0", "0.6"), "inner_AF": ("0", "0.95"), "outer_AF": ("0", "1.1"), "CEP": ("0", "0.6")},
        source="derived: intrafibrillar water of " + _CODE + ", linearised",
        evidence="model",
        description="water inside collagen per solid volume, closed to charge, x",
    )
    osmotic_coefficient = param("1", bounds=("0.75", "1"), source=_OURS, evidence="assumed", description="osmotic coefficient")
    fibre_stiffness_inner = param(
        "1.8 MPa",
        bounds=("0.9 MPa", "3.6 MPa"),
        source="Gruber 2024 10.3389/fbioe.2024.1391957, calibrated",
        evidence="model",
        description="k1 at the middle of the inner annulus",
    )
    fibre_stiffness_outer = param(
        "3.5 MPa",
        bounds=("1.75 MPa", "7 MPa"),
        source="Gruber 2024, calibrated",
        evidence="model",
        description="k1 at the middle of the outer annulus",
    )
    fibre_exponent_inner = param(
        "50",
        bounds=("30", "90"),
        source="Gruber 2024, calibrated",
        evidence="model",
        description="k2 at the middle of the inner annulus",
    )
    fibre_exponent_outer = param(
        "75",
        bounds=("30", "90"),
        source="Gruber 2024, calibrated",
        evidence="model",
        description="k2 at the middle of the outer annulus",
    )
    fibre_angle_inner = param(
        "37 deg",
        bounds=("23 deg", "45 deg"),
        source="Gruber 2024, calibrated",
        evidence="model",
        description="fibre angle to the transverse plane, middle of the inner annulus",
    )
    fibre_angle_outer = param(
        "31 deg",
        bounds=("23 deg", "45 deg"),
        source="Gruber 2024, calibrated",
        evidence="model",
        description="fibre angle to the transverse plane, middle of the outer annulus",
    )
    fibre_dispersion = param("0", bounds=("0", "0.1"), source=_OURS, evidence="assumed", description="fibre dispersion kappa")
    fibre_switch_width = param(
        "0.002",
        bounds=("0.001", "0.005"),
        source=_OURS,
        evidence="assumed",
        description="width of the tension switch in fibre strain",
    )
    temperature = param(
        "310 K", bounds=("293 K", "311 K"), source="body temperature", evidence="model", description="temperature"
    )
    bath_salt = param(
        "0.15 mEq/mL",
        bounds=("0.13 mEq/mL", "0.17 mEq/mL"),
        source=_CODE,
        evidence="model",
        description="salt outside the tissue",
    )
    molar_mass_per_charge = param(
        "251.25 g/mol_charge",
        bounds=("229 g/mol_charge", "257 g/mol_charge"),
        source="502.5 g/mol per disaccharide of two charges (recalled, unverified)",
        evidence="recalled",
        description="GAG mass per mole of fixed charge",
    )
    diffusivity_factor = param(
        {"NP": "1", "inner_AF": "1", "outer_AF": "1", "CEP": "1"},
        bounds=("0.1", "1.2"),
        source="1: Mackie-Meares; CEP 0.12 in Wu 2016 PMID 27338525 (exponent recalled, unverified), AF 0.3-0.4 in Jackson 2008",
        evidence="model",
        description="factor on every solute diffusivity",
    )
    cell_density = param(
        {"NP": "3600 cell/mm^3", "inner_AF": "5550 cell/mm^3", "outer_AF": "5550 cell/mm^3", "CEP": "13500 cell/mm^3"},
        bounds=("500 cell/mm^3", "40000 cell/mm^3"),
        source=_CODE,
        evidence="model",
        description="healthy viable cell density",
    )
    viable_fraction = param(
        "1",
        bounds=("0.05", "1"),
        source="1: healthy; grade III 0.80 (assumed)",
        evidence="assumed",
        description="viable cells at the start over the healthy density",
    )

    def charge(self, gag: Any) -> Any:
        """Fixed charge per reference mixture volume, mEq/mL, from GAG per reference mixture volume, mg/mL."""
        from discsim.laws.composition import fixed_charge_per_volume

        return fixed_charge_per_volume(gag, self.molar_mass_per_charge)

    def osmotic_pressure(self, jacobian: Any, gag: Any) -> Any:
        """Swelling pressure, MPa, from the volume ratio and GAG per reference mixture volume."""
        from discsim.laws.composition import extrafibrillar_charge
        from discsim.laws.swelling import donnan_pressure

        charge = extrafibrillar_charge(self.charge(gag), jacobian, self.fluid_fraction, self.excluded_water)
        return donnan_pressure(charge, self.bath_salt, self.temperature, self.osmotic_coefficient)

    def energy(self, I1: Any, J: Any, I4_first: Any, I4_second: Any, annulus_position: Any, in_annulus: Any) -> Any:
        """Strain energy of matrix and two fibre families per stress-free volume, MPa, from invariants of F_e."""
        from discsim.laws import solid

        matrix = solid.matrix_energy(I1, J, self.shear_modulus, self.lame_ratio * self.shear_modulus)
        k1 = self._profile(annulus_position, self.fibre_stiffness_inner, self.fibre_stiffness_outer)
        k2 = self._profile(annulus_position, self.fibre_exponent_inner, self.fibre_exponent_outer)
        # the nucleus stretches so far that the exponential would overflow there, and 0 x inf is no number: no strain outside
        outside = 1.0 - in_annulus
        strained = in_annulus * I1 + 3.0 * outside
        fibres = sum(
            solid.fibre_energy(strained, in_annulus * I4 + outside, k1, k2, self.fibre_dispersion, self.fibre_switch_width)
            for I4 in (I4_first, I4_second)
        )
        return matrix + in_annulus * fibres

    def fibre_angle(self, annulus_position: Any) -> Any:
        """Angle of the fibres to the transverse plane, rad; position 0 at the rim, 1 at the nucleus."""
        return self._profile(annulus_position, self.fibre_angle_inner, self.fibre_angle_outer)

    def lowest_jacobian(self) -> Any:
        """The J at which the extrafibrillar water is used up."""
        from discsim.laws.composition import swelling_bound

        return swelling_bound(self.fluid_fraction, self.excluded_water)

    def point(self, jacobian: Any) -> dict[str, Any]:
        """The quantities that mechanisms may read at a point."""
        from discsim.laws.composition import fluid_fraction

        return {
            "porosity": fluid_fraction(jacobian, self.fluid_fraction),
            "reference_porosity": self.fluid_fraction,
            "diffusivity_factor": self.diffusivity_factor,
        }

    def initial(self, name: str | float) -> Any:
        """Start value of a composition entry per reference mixture volume: ``cell_density`` or ``gag``; a number stands for
        itself."""
        from discsim.laws.composition import gag_for_fixed_charge

        if not isinstance(name, str):
            return name
        if name == "cell_density":
            return self.cell_density * self.viable_fraction
        if name == "gag":
            return gag_for_fixed_charge(self.fixed_charge_density * self.fluid_fraction, self.molar_mass_per_charge)
        raise KeyError(f"no composition entry {name!r}; there are cell_density and gag")

    @staticmethod
    def _profile(position: Any, inner: Any, outer: Any) -> Any:
        from discsim.laws.solid import annulus_profile

        # middles of the two annulus regions: (r_rim - 17.1)/(r_rim - r_NP) and (r_rim - 20.95)/(r_rim - r_NP), in mm
        return annulus_profile(position, inner, outer, 5.8 / 7.7, 1.95 / 7.7)
