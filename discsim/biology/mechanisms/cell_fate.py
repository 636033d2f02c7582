"""Cell fate: starvation, acid death, slow turnover of native cells."""

from __future__ import annotations

from typing import Any

from discsim.biology.mechanism import Mechanism, derived, loss
from discsim.quantities.fields import CELL_DENSITY, Field
from discsim.quantities.parameters import param

_ZHU = "Zhu, Jackson & Gu 2012 10.1016/j.jbiomech.2012.08.044, constants [code] bmmbUPF/abaqusIVD"


class CellFate(Mechanism):
    """Native cells: d rho/dt = mu rho (1 - rho_all/rho_max)+ phi_G phi_pH - (d0 + k_G + k_pH) rho.

    k_G is the Zhu law (zero above 0.5 mM), k_pH a step at pH 6.78, smoothed over +/- 0.02; oxygen does not enter (Bibby & Urban
    2004 10.1007/s00586-003-0616-x: cells survive without oxygen as long as there is glucose). mu is one constant per region,
    set by the healthy steady state.
    """

    name = "cell_fate"
    reference = "Zhu, Jackson & Gu 2012 10.1016/j.jbiomech.2012.08.044"
    homeostasis = {"proliferation_rate": "cell_density"}

    starvation_rate = param(
        "1 1/day",
        bounds=("0.25 1/day", "1 1/day"),
        source=_ZHU,
        evidence="model",
        description="rate constant alpha of starvation",
    )
    starvation_glucose = param(
        "0.5 mM", bounds=("0.3 mM", "0.7 mM"), source=_ZHU, evidence="model", description="glucose below which cells starve"
    )
    starvation_half = param(
        "0.2 mM", bounds=("0.05 mM", "0.5 mM"), source=_ZHU, evidence="model", description="glucose constant K of starvation"
    )
    acid_rate = param(
        "0.10 1/day",
        bounds=("0.1 1/day", "0.33 1/day"),
        source="derived: ln 2 / 7 day, Baumgartner 2020 10.1093/bioinformatics/btaa939; [code] abaqusIVD has 0.296",
        evidence="model",
        description="death rate well below the acid threshold",
    )
    acid_ph = param(
        "6.78",
        bounds=("6.4", "6.9"),
        source="[code] bmmbUPF/abaqusIVD",
        evidence="model",
        description="pH at which acid death is half its full rate",
    )
    acid_width = param(
        "0.02",
        bounds=("0.005", "0.1"),
        source="assumed: smooths the published step",
        evidence="assumed",
        description="half width of the acid step in pH",
    )
    turnover_rate = param(
        "0.003 1/year",
        bounds=("0 1/year", "0.02 1/year"),
        source="assumed (therapies 1.5)",
        evidence="assumed",
        description="basal death d0, balanced by births in health",
    )
    proliferation_rate = param(
        {"NP": "0.01603982 1/year", "inner_AF": "0.01624135 1/year", "outer_AF": "0.01577564 1/year", "CEP": "0.01543302 1/year"},
        bounds=("0 1/year", "0.2 1/year"),
        source="derived: healthy steady state keeps the preset density (discsim vv, case homeostasis)",
        evidence="assumed",
        description="birth rate mu without crowding",
    )
    carrying_capacity = param(
        {"NP": "4500 cell/mm^3", "inner_AF": "6937.5 cell/mm^3", "outer_AF": "6937.5 cell/mm^3", "CEP": "16875 cell/mm^3"},
        bounds=("1000 cell/mm^3", "60000 cell/mm^3"),
        source="assumed: 1.25 x the healthy density",
        evidence="assumed",
        description="cell density at which births stop",
    )
    birth_ph = param(
        "6.75",
        bounds=("6.6", "6.9"),
        source="assumed: as matrix synthesis, Razaq 2003",
        evidence="assumed",
        description="pH that halves births",
    )
    birth_glucose = param(
        "0.573 mM",
        bounds=("0.3 mM", "1.5 mM"),
        source="assumed: as matrix synthesis",
        evidence="assumed",
        description="glucose that halves births",
    )

    def fields(self) -> tuple[Field, ...]:
        return (CELL_DENSITY,)

    @derived
    def native_loss_rate(self, glucose: Any, ph: Any) -> Any:
        """Death rate of native-like cells, 1/s."""
        from discsim.laws.death import acid_death_rate, starvation_death_rate

        hunger = starvation_death_rate(glucose, self.starvation_glucose, self.starvation_half, self.starvation_rate)
        return self.turnover_rate + hunger + acid_death_rate(ph, self.acid_ph, self.acid_rate, self.acid_width)

    @derived
    def native_birth_rate(self, glucose: Any, ph: Any, cell_density: Any, added_cell_density: Any) -> Any:
        """Birth rate of native-like cells, 1/s."""
        from discsim.laws.response import acid_gate, crowding, glucose_gate

        room = crowding(cell_density + added_cell_density, self.carrying_capacity)
        gates = acid_gate(ph, self.birth_ph, 3.0) * glucose_gate(glucose, self.birth_glucose, 18.0)
        return self.proliferation_rate * room * gates

    def rates(self, cell_density: Any, native_birth_rate: Any, native_loss_rate: Any) -> dict[str, Any]:
        return {"cell_density": native_birth_rate * cell_density, loss("cell_density"): native_loss_rate}
