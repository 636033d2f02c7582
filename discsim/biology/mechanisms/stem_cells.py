"""Injected stem cells: survival, differentiation, appetite, matrix synthesis, paracrine signal."""

from __future__ import annotations

from typing import Any

from discsim.biology.mechanism import Exchange, Mechanism, conversion, drive, loss
from discsim.quantities.fields import Field
from discsim.quantities.parameters import param

_CHOICE = "assumed (therapies 1.6)"
_ZHU = "assumed: as native cells (Zhu 2012 constants)"


class StemCells(Mechanism):
    """Undifferentiated cells m turn NP-like (n), die, eat, make matrix and secrete a paracrine factor c.

    dm/dt = -(k_diff + ln 2 / t_half + k_G + k_pH) m;  dn/dt = k_diff m + (birth - death of native cells) n;
    GAG source (s_m m + s_n n) phi_pH phi_G (1 + anabolic_drive);  glucose, oxygen and lactate turnover f_m m + f_n n times
    that of a native cell at the same place;  dc/dt = div(D grad c) + k_c (m / 1000 mm-3 - c), and c acts through the
    anabolic and catabolic drives by E c / (c + 1). All terms vanish without cells.
    """

    name = "stem_cells"
    reference = "structure of therapies 1.6; trials 10.3389/fbioe.2024.1417600; numbers marked assumed are not from literature"

    conversion_rate = param(
        "0.1 1/day",
        bounds=("0.03 1/day", "0.3 1/day"),
        source="assumed, consistent with commitment in 4 days (Kopesky)",
        evidence="assumed",
        description="undifferentiated to NP-like",
    )
    undifferentiated_half_life = param(
        "30 day",
        bounds=("7 day", "180 day"),
        source=_CHOICE,
        evidence="assumed",
        description="half-life of undifferentiated cells where food is no limit",
    )
    starvation_rate = param(
        "1 1/day",
        bounds=("0.25 1/day", "1 1/day"),
        source=_ZHU + "; C01: death within 3 days",
        evidence="assumed",
        description="rate constant alpha of starvation, undifferentiated",
    )
    starvation_glucose = param(
        "0.5 mM",
        bounds=("0.3 mM", "0.7 mM"),
        source=_ZHU,
        evidence="assumed",
        description="glucose below which undifferentiated cells starve",
    )
    starvation_half = param(
        "0.2 mM",
        bounds=("0.05 mM", "0.5 mM"),
        source=_ZHU,
        evidence="assumed",
        description="glucose constant of starvation, undifferentiated",
    )
    acid_rate = param(
        "0.10 1/day",
        bounds=("0.05 1/day", "0.33 1/day"),
        source=_ZHU,
        evidence="assumed",
        description="acid death rate, undifferentiated",
    )
    acid_ph = param(
        "6.78", bounds=("6.4", "6.9"), source=_ZHU, evidence="assumed", description="pH of half acid death, undifferentiated"
    )
    acid_width = param(
        "0.02",
        bounds=("0.005", "0.1"),
        source="assumed: smooths the step",
        evidence="assumed",
        description="half width of the acid step in pH",
    )
    undifferentiated_demand = param(
        "3",
        bounds=("0.5", "8.5"),
        source="assumed: between trough (1) and early (8) glucose uptake of Zhong 2018 10.1007/s10439-018-2067-x "
        "(unit corrected)",
        evidence="assumed",
        description="glucose use of an undifferentiated cell over that of a native cell",
    )
    undifferentiated_oxygen_demand = param(
        "5",
        bounds=("1", "40"),
        source="derived: 12-98 fmol/cell/h (Pattappa 2011 PMID 21792913) over 2.5 of a native cell",
        evidence="measured",
        description="oxygen use of an undifferentiated cell over that of a native cell",
    )
    np_like_demand = param(
        "1",
        bounds=("0.5", "3"),
        source="assumed: as native cells",
        evidence="assumed",
        description="nutrient use of an NP-like cell over that of a native cell",
    )
    undifferentiated_gag_synthesis = param(
        "0.3 pg/cell/day",
        bounds=("0 pg/cell/day", "1 pg/cell/day"),
        source=_CHOICE,
        evidence="assumed",
        description="GAG synthesis, undifferentiated",
    )
    np_like_gag_synthesis = param(
        "3 pg/cell/day",
        bounds=("1 pg/cell/day", "10 pg/cell/day"),
        source="derived: native steady state 2-7; culture ceiling 10 (Gupta 2016 PMC5168586)",
        evidence="assumed",
        description="GAG synthesis, NP-like",
    )
    paracrine_half_life = param(
        "1 day",
        bounds=("0.05 day", "10 day"),
        source="assumed",
        evidence="assumed",
        description="half-life of the paracrine factor",
    )
    paracrine_diffusivity = param(
        "6e-5 mm^2/s",
        bounds=("1e-5 mm^2/s", "2e-4 mm^2/s"),
        source="derived: Ogston, 25 kDa protein (therapies 2)",
        evidence="model",
        description="diffusivity of the paracrine factor",
    )
    paracrine_clearance = param(
        "1e-5 mm/s",
        bounds=("0 mm/s", "1e-3 mm/s"),
        source="assumed: endplate and rim",
        evidence="assumed",
        description="loss of the paracrine factor through endplate and rim",
    )
    paracrine_synthesis_effect = param(
        "0.2",
        bounds=("0", "1"),
        source="assumed; direction seen (srep13254)",
        evidence="assumed",
        description="largest added relative synthesis",
    )
    paracrine_loss_effect = param(
        "0.15",
        bounds=("0", "0.5"),
        source="assumed; TGF-beta halves loss at most, Morales 1988 PMID 3166454",
        evidence="assumed",
        description="largest relative reduction of loss",
    )

    def fields(self) -> tuple[Field, ...]:
        return (
            Field("undifferentiated", "m", "cell/mm^3", "cells", "injected cells, undifferentiated", shared=False, scale=1000.0),
            Field("np_like", "n", "cell/mm^3", "cells", "injected cells that became NP-like", shared=False, scale=1000.0),
            Field(
                "paracrine_factor",
                "c",
                "dimensionless",
                "signal",
                "paracrine factor; 1: level held by 1000 undifferentiated cells/mm3 in place",
                shared=False,
            ),
        )

    @drive
    def added_cell_density(self, undifferentiated: Any, np_like: Any) -> Any:
        return undifferentiated + np_like

    @drive
    def anabolic_drive(self, paracrine_factor: Any) -> Any:
        from discsim.laws.response import michaelis_menten

        return self.paracrine_synthesis_effect * michaelis_menten(paracrine_factor, 1.0)

    @drive
    def catabolic_drive(self, paracrine_factor: Any) -> Any:
        from discsim.laws.response import michaelis_menten

        return -self.paracrine_loss_effect * michaelis_menten(paracrine_factor, 1.0)

    def rates(
        self,
        undifferentiated: Any,
        np_like: Any,
        paracrine_factor: Any,
        glucose: Any,
        ph: Any,
        native_loss_rate: Any,
        native_birth_rate: Any,
        oxygen_use_per_cell: Any,
        lactate_release_per_cell: Any,
        synthesis_gate: Any,
        anabolic_drive: Any,
    ) -> dict[str, Any]:
        import jax.numpy as jnp

        from discsim.laws.death import acid_death_rate, starvation_death_rate

        lactate = lactate_release_per_cell * (self.undifferentiated_demand * undifferentiated + self.np_like_demand * np_like)
        oxygen = oxygen_use_per_cell * (self.undifferentiated_oxygen_demand * undifferentiated + self.np_like_demand * np_like)
        death = (
            jnp.log(2.0) / self.undifferentiated_half_life
            + starvation_death_rate(glucose, self.starvation_glucose, self.starvation_half, self.starvation_rate)
            + acid_death_rate(ph, self.acid_ph, self.acid_rate, self.acid_width)
        )
        matrix = self.undifferentiated_gag_synthesis * undifferentiated + self.np_like_gag_synthesis * np_like
        turnover = jnp.log(2.0) / self.paracrine_half_life
        return {
            "glucose": -0.5 * lactate,
            "lactate": lactate,
            "oxygen": -oxygen,
            loss("undifferentiated"): death,
            conversion("undifferentiated", into="np_like"): self.conversion_rate,
            loss("np_like"): native_loss_rate,
            "np_like": native_birth_rate * np_like,
            "gag": 1e3 * matrix * synthesis_gate * jnp.maximum(1.0 + anabolic_drive, 0.0),
            "paracrine_factor": turnover * undifferentiated / 1000.0,
            loss("paracrine_factor"): turnover,
        }

    def diffusivities(self) -> dict[str, Any]:
        return {"paracrine_factor": self.paracrine_diffusivity}

    def boundaries(self) -> dict[str, dict[str, Any]]:
        out = Exchange(self.paracrine_clearance, 0.0)
        return {"paracrine_factor": {"endplate": out, "rim": out}}
