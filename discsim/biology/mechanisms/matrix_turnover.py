"""Matrix turnover: synthesis and loss of glycosaminoglycan."""

from __future__ import annotations

from typing import Any

from discsim.biology.mechanism import Mechanism, derived, loss
from discsim.quantities.fields import CELL_DENSITY, GAG, Field
from discsim.quantities.parameters import param

_SIVAN = "Sivan 2006 10.1074/jbc.M600296200"


class MatrixTurnover(Mechanism):
    """d GAG/dt = s0 rho phi_pH phi_G (1 + anabolic_drive) - k_d (1 + catabolic_drive)+ GAG.

    rho viable native cells; phi_pH = 1/(1 + 10^(n (pK - pH))) fits Razaq 2003 (a fall of more than 90 % from pH 7.2 to
    6.4); phi_G is the aggrecan response of Baumgartner 2021 to glucose. s0 is one constant per region, set by the healthy
    steady state; k_d is measured. With k_d = 0.059 per year, 95 % of a change takes 51 years.
    """

    name = "matrix_turnover"
    reference = "Sivan 2006 10.1074/jbc.M600296200; form as in Gu 2014 10.1097/BRS.0000000000000560 (recalled, unverified)"
    homeostasis = {"gag_synthesis_rate": "gag"}

    gag_synthesis_rate = param(
        {
            "NP": "2.830986 pg/cell/day",
            "inner_AF": "1.335239 pg/cell/day",
            "outer_AF": "0.7896689 pg/cell/day",
            "CEP": "0.3673058 pg/cell/day",
        },
        bounds=("0.05 pg/cell/day", "30 pg/cell/day"),
        source="derived: healthy steady state keeps the preset fixed charge (discsim vv, case homeostasis)",
        evidence="model",
        description="synthesis per native cell s0, before pH and glucose gates",
    )
    gag_loss_rate = param(
        {"NP": "0.059 1/year", "inner_AF": "0.063 1/year", "outer_AF": "0.063 1/year", "CEP": "0.063 1/year"},
        bounds=("0.02 1/year", "0.25 1/year"),
        source={"NP": _SIVAN, "inner_AF": _SIVAN, "outer_AF": _SIVAN, "CEP": "assumed: as annulus"},
        evidence={"NP": "measured", "inner_AF": "measured", "outer_AF": "measured", "CEP": "assumed"},
        description="first-order loss k_d",
    )
    synthesis_ph = param(
        "6.75",
        bounds=("6.6", "6.9"),
        source="derived: fit to Razaq 2003 (DOI recalled, unverified: 10.1007/s00586-003-0582-3)",
        evidence="measured",
        description="pH that halves synthesis, pK",
    )
    synthesis_ph_steepness = param(
        "3",
        bounds=("2", "4"),
        source="derived: fit to Razaq 2003",
        evidence="measured",
        description="steepness n of the pH response",
    )
    synthesis_glucose = param(
        "0.573 mM",
        bounds=("0.2 mM", "1.5 mM"),
        source="Baumgartner 2021 10.3389/fbioe.2021.734258, half-point of aggrecan mRNA [code]",
        evidence="model",
        description="glucose that halves synthesis",
    )
    synthesis_glucose_steepness = param(
        "18 1/mM",
        bounds=("5 1/mM", "30 1/mM"),
        source="Baumgartner 2021, C1 [code]",
        evidence="model",
        description="steepness of the glucose response",
    )

    def fields(self) -> tuple[Field, ...]:
        return (CELL_DENSITY, GAG)

    @derived
    def synthesis_gate(self, ph: Any, glucose: Any) -> Any:
        """Share of full synthesis that acidity and glucose leave, 0 to 1."""
        from discsim.laws.response import acid_gate, glucose_gate

        acid = acid_gate(ph, self.synthesis_ph, self.synthesis_ph_steepness)
        return acid * glucose_gate(glucose, self.synthesis_glucose, self.synthesis_glucose_steepness)

    def rates(self, cell_density: Any, synthesis_gate: Any, anabolic_drive: Any, catabolic_drive: Any) -> dict[str, Any]:
        import jax.numpy as jnp

        # mg/cell/s x cells/mm3 = mg/mm3/s = 1000 mg/mL/s
        synthesis = 1e3 * self.gag_synthesis_rate * cell_density * synthesis_gate * jnp.maximum(1.0 + anabolic_drive, 0.0)
        return {"gag": synthesis, loss("gag"): self.gag_loss_rate * jnp.maximum(1.0 + catabolic_drive, 0.0)}
