"""Nutrition: oxygen, glucose and lactate between the vessels and the cells."""

from __future__ import annotations

from typing import Any

from discsim.biology.mechanism import Exchange, Level, Mechanism, derived
from discsim.quantities.fields import CELL_DENSITY, GLUCOSE, LACTATE, OXYGEN, Field
from discsim.quantities.parameters import param

_CODE = "[code] bmmbUPF/abaqusIVD"
_FAR = (
    "derived: with a clearance of 2e-3 mm/s gives the area-mean surface level of the published boundary set at grade I "
    "(vv case far_levels)"
)
_SET = "boundary set of published disc models, [code] bmmbUPF/abaqusIVD; +/-30 % assumed"


class Nutrition(Mechanism):
    """Diffusion and use of oxygen, glucose and lactate, and the supply at the endplate and the rim.

    Quasi-steady on the year clock: div(D grad C) + R = 0 on the deformed disc, with R of ``laws.metabolism`` and D of
    ``laws.diffusion``. Supply is one of three named models, never mixed:

    - ``perfusion`` (default): outward flux = h (C - C_far), one clearance h for glucose and lactate, 3 h for oxygen;
    - ``diffusion``: h = k D_w of each solute;
    - ``levels``: C fixed at the surface, glucose and oxygen scaled by a supply fraction.

    Only the first turns a starving disc acid as measured, since one clearance lets lactate rise by twice what glucose falls.
    """

    name = "nutrition"
    reference = "Bibby 2005 10.1097/01.brs.0000154619.38122.47 (rates as coded in bmmbUPF/abaqusIVD)"
    options = {
        "porosity_in_rates": {
            "oxygen": {"oxygen_porosity_weight": "1", "glucose_porosity_weight": "0"},
            "both": {"oxygen_porosity_weight": "1", "glucose_porosity_weight": "1"},
            "none": {"oxygen_porosity_weight": "0", "glucose_porosity_weight": "0"},
        },
        "ph_law": {
            "bibby": {"ph_at_zero_lactate": "7.4", "ph_per_lactate": "0.09000900090009001 1/mM"},
            "soukane": {"ph_at_zero_lactate": "7.5", "ph_per_lactate": "0.1 1/mM"},
        },
        "diffusivity_law": {
            "mackie_meares": {"strain_weight": "0"},
            "strain_power": {"strain_weight": "1"},
        },
    }
    structural_options = {
        "supply": ("perfusion", "diffusion", "levels"),
        "level_surface": ("endplate", "endplate_border"),
    }

    oxygen_in_water = param(
        "3.0e-3 mm^2/s",
        bounds=("2e-3 mm^2/s", "4e-3 mm^2/s"),
        source=_CODE,
        evidence="model",
        description="oxygen diffusivity in water",
    )
    lactate_in_water = param(
        "1.39e-3 mm^2/s",
        bounds=("1e-3 mm^2/s", "1.8e-3 mm^2/s"),
        source=_CODE,
        evidence="model",
        description="lactate diffusivity in water",
    )
    glucose_in_water = param(
        "9.16667e-4 mm^2/s",
        bounds=("6e-4 mm^2/s", "1.2e-3 mm^2/s"),
        source=_CODE,
        evidence="model",
        description="glucose diffusivity in water",
    )
    strain_weight = param(
        "0",
        bounds=("0", "1"),
        source="0: Mackie-Meares 1955; 1: power of J fitted to Jackson 2008 Spine 33:1",
        evidence="model",
        description="0: diffusivity follows current porosity; 1: reference porosity times J^m",
    )
    strain_exponent = param(
        "2.72",
        bounds=("1", "4"),
        source="derived: fit to Jackson 2008 Spine 33:1 (bovine annulus, confined strain assumed)",
        evidence="measured",
        description="m in D ~ J^m (only where strain_weight > 0)",
    )
    oxygen_solubility = param(
        "0.010268 mM/kPa",
        bounds=("0.009 mM/kPa", "0.012 mM/kPa"),
        source=_CODE,
        evidence="model",
        description="oxygen solubility",
    )
    demand_factor = param(
        "1",
        bounds=("0.3", "3"),
        source="1: rates as published; scale for cell donors",
        evidence="model",
        description="factor on glucose use and lactate production of every cell",
    )
    oxygen_demand_factor = param(
        "1",
        bounds=("0.3", "5"),
        source="1: rates as published; 3-5 in degenerate cells, Cisewski 2018 Spine 43:E60",
        evidence="model",
        description="factor on oxygen use of every cell",
    )
    anabolic_demand = param(
        "0.3",
        bounds=("0", "1"),
        source="assumed: share of the energy price in the growth of synthesis",
        evidence="assumed",
        description="added glucose, oxygen and lactate turnover per added relative synthesis",
    )
    glucose_half = param(
        "0.05 mM",
        bounds=("0.02 mM", "0.1 mM"),
        source="assumed: ours, keeps glucose positive (default_disc c)",
        evidence="assumed",
        description="glucose at which the limiter halves glucose use and lactate production",
    )
    ph_at_zero_lactate = param("7.4", bounds=("7.3", "7.6"), source=_CODE, evidence="model", description="pH without lactate")
    ph_per_lactate = param(
        "0.09000900090009001 1/mM",
        bounds=("0.08 1/mM", "0.11 1/mM"),
        source=_CODE + ": 1/11.11 per mM",
        evidence="model",
        description="fall of pH per lactate",
    )
    oxygen_porosity_weight = param(
        "1",
        bounds=("0", "1"),
        source=_CODE + ": porosity multiplies the oxygen rate only",
        evidence="model",
        description="1: porosity multiplies the oxygen rate",
    )
    glucose_porosity_weight = param(
        "0", bounds=("0", "1"), source=_CODE, evidence="model", description="1: porosity multiplies glucose and lactate rates"
    )

    endplate_clearance = param(
        "2e-3 mm/s",
        bounds=("2e-5 mm/s", "5e-3 mm/s"),
        source="assumed: healthy; grade III 1e-4 (default_disc f)",
        evidence="assumed",
        description="exchange with vessels at the endplate (perfusion-limited)",
    )
    rim_clearance_ratio = param(
        "1",
        bounds=("0.05", "20"),
        source="assumed: same clearance at the rim",
        evidence="assumed",
        description="rim clearance over endplate clearance",
    )
    oxygen_clearance_factor = param(
        "3",
        bounds=("1", "10"),
        source="assumed: haemoglobin carries oxygen",
        evidence="assumed",
        description="oxygen clearance over that of glucose and lactate",
    )
    endplate_exchange_length = param(
        "2 1/mm",
        bounds=("0.02 1/mm", "20 1/mm"),
        source="assumed (default_disc f scans 0.12 and 0.3)",
        evidence="assumed",
        description="k in h = k D_w (diffusion-limited supply)",
    )
    endplate_far_oxygen = param(
        "5.4451 kPa",
        bounds=("3.8 kPa", "7.1 kPa"),
        source=_FAR,
        evidence="model",
        internal="kPa",
        description="oxygen in the vessels of the endplate",
    )
    endplate_far_lactate = param(
        "0.38645 mM",
        bounds=("0.1 mM", "1.2 mM"),
        source=_FAR,
        evidence="model",
        description="lactate in the vessels of the endplate",
    )
    endplate_far_glucose = param(
        "4.1922 mM", bounds=("1 mM", "6 mM"), source=_FAR, evidence="model", description="glucose in the vessels of the endplate"
    )
    rim_far_oxygen = param(
        "6.0876 kPa",
        bounds=("4 kPa", "8 kPa"),
        source=_FAR,
        evidence="model",
        internal="kPa",
        description="oxygen in the vessels at the rim",
    )
    rim_far_lactate = param(
        "0.60208 mM", bounds=("0.1 mM", "1.5 mM"), source=_FAR, evidence="model", description="lactate in the vessels at the rim"
    )
    rim_far_glucose = param(
        "5.1719 mM", bounds=("1 mM", "7 mM"), source=_FAR, evidence="model", description="glucose in the vessels at the rim"
    )
    endplate_level_oxygen = param(
        "5.1 kPa",
        bounds=("0.5 kPa", "25 kPa"),
        source=_SET,
        evidence="model",
        internal="kPa",
        description="oxygen at the endplate (levels)",
    )
    endplate_level_lactate = param(
        "0.8 mM", bounds=("0 mM", "5 mM"), source=_SET, evidence="model", description="lactate at the endplate (levels)"
    )
    endplate_level_glucose = param(
        "4.0 mM", bounds=("0.1 mM", "25 mM"), source=_SET, evidence="model", description="glucose at the endplate (levels)"
    )
    rim_level_oxygen = param(
        "5.8 kPa",
        bounds=("0.5 kPa", "25 kPa"),
        source=_SET,
        evidence="model",
        internal="kPa",
        description="oxygen at the rim (levels)",
    )
    rim_level_lactate = param(
        "0.9 mM", bounds=("0 mM", "5 mM"), source=_SET, evidence="model", description="lactate at the rim (levels)"
    )
    rim_level_glucose = param(
        "5.0 mM", bounds=("0.1 mM", "25 mM"), source=_SET, evidence="model", description="glucose at the rim (levels)"
    )
    endplate_supply_fraction = param(
        "1",
        bounds=("0.05", "1"),
        source="1: healthy; grade III 0.75 (assumed)",
        evidence="assumed",
        description="factor on glucose and oxygen levels at the endplate (levels)",
    )
    rim_supply_fraction = param(
        "1",
        bounds=("0.05", "1"),
        source="1: healthy; grade III 0.75 (assumed)",
        evidence="assumed",
        description="factor on glucose and oxygen levels at the rim (levels)",
    )

    def fields(self) -> tuple[Field, ...]:
        return (OXYGEN, GLUCOSE, LACTATE, CELL_DENSITY)

    @derived
    def ph(self, lactate: Any) -> Any:
        """pH from lactate."""
        from discsim.laws.metabolism import acidity

        return acidity(lactate, self.ph_at_zero_lactate, self.ph_per_lactate)

    @derived
    def lactate_release_per_cell(self, ph: Any, oxygen: Any, glucose: Any, porosity: Any, anabolic_drive: Any) -> Any:
        """Lactate production of one native-like cell, mM mm3/cell/s: twice its glucose use."""
        from discsim.laws import metabolism as law

        rate = law.volumetric_rate(law.lactate_production_per_cell(ph, oxygen), 1.0)
        rate = rate * law.glucose_limiter(glucose, self.glucose_half) * self.demand_factor
        rate = rate * law.porosity_factor(porosity, self.glucose_porosity_weight)
        return rate * self._price(anabolic_drive)

    @derived
    def oxygen_use_per_cell(self, ph: Any, oxygen: Any, porosity: Any, anabolic_drive: Any) -> Any:
        """Oxygen consumption of one native-like cell, kPa mm3/cell/s."""
        from discsim.laws import metabolism as law

        rate = law.volumetric_rate(law.oxygen_consumption_per_cell(ph, oxygen), 1.0)
        rate = law.oxygen_pressure_rate(rate, self.oxygen_solubility) * self.oxygen_demand_factor
        rate = rate * law.porosity_factor(porosity, self.oxygen_porosity_weight)
        return rate * self._price(anabolic_drive)

    def _price(self, anabolic_drive: Any) -> Any:
        import jax.numpy as jnp

        return 1.0 + self.anabolic_demand * jnp.maximum(anabolic_drive, 0.0)

    def rates(self, cell_density: Any, oxygen_use_per_cell: Any, lactate_release_per_cell: Any) -> dict[str, Any]:
        lactate = cell_density * lactate_release_per_cell
        return {"oxygen": -cell_density * oxygen_use_per_cell, "lactate": lactate, "glucose": -0.5 * lactate}

    def diffusivities(self, porosity: Any, reference_porosity: Any, jacobian: Any, diffusivity_factor: Any) -> dict[str, Any]:
        from discsim.laws.diffusion import effective_diffusivity

        water = {"oxygen": self.oxygen_in_water, "lactate": self.lactate_in_water, "glucose": self.glucose_in_water}
        return {
            name: effective_diffusivity(
                value, porosity, reference_porosity, jacobian, diffusivity_factor, self.strain_exponent, self.strain_weight
            )
            for name, value in water.items()
        }

    def boundaries(self) -> dict[str, dict[str, Any]]:
        from discsim.laws.exchange import diffusion_exchange, perfusion_exchange

        far = {
            "oxygen": (self.endplate_far_oxygen, self.rim_far_oxygen),
            "lactate": (self.endplate_far_lactate, self.rim_far_lactate),
            "glucose": (self.endplate_far_glucose, self.rim_far_glucose),
        }
        if self.chosen["supply"] == "levels":
            return self._levels()
        if self.chosen["supply"] == "diffusion":
            water = {"oxygen": self.oxygen_in_water, "lactate": self.lactate_in_water, "glucose": self.glucose_in_water}
            coefficient = {name: diffusion_exchange(self.endplate_exchange_length, value) for name, value in water.items()}
        else:
            factors = {"oxygen": self.oxygen_clearance_factor, "lactate": 1.0, "glucose": 1.0}
            coefficient = {name: perfusion_exchange(self.endplate_clearance, factor) for name, factor in factors.items()}
        return {
            name: {
                "endplate": Exchange(coefficient[name], endplate),
                "rim": Exchange(coefficient[name] * self.rim_clearance_ratio, rim),
            }
            for name, (endplate, rim) in far.items()
        }

    def _levels(self) -> dict[str, dict[str, Any]]:
        end, rim = self.endplate_supply_fraction, self.rim_supply_fraction
        surface = self.chosen["level_surface"]
        rules: dict[str, dict[str, Any]] = {
            "oxygen": {surface: Level(end * self.endplate_level_oxygen), "rim": Level(rim * self.rim_level_oxygen)},
            "lactate": {surface: Level(self.endplate_level_lactate), "rim": Level(self.rim_level_lactate)},
            "glucose": {surface: Level(end * self.endplate_level_glucose), "rim": Level(rim * self.rim_level_glucose)},
        }
        if surface != "endplate":  # the outer face keeps the healthy set; the border level is what is lowered
            rules["oxygen"]["endplate"] = Level(self.endplate_level_oxygen)
            rules["lactate"]["endplate"] = Level(self.endplate_level_lactate)
            rules["glucose"]["endplate"] = Level(self.endplate_level_glucose)
        return rules
