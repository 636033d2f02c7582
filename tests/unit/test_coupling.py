"""Which balances and diffusivities read which fields, found from the laws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from discsim.biology.mechanisms.nutrition import Nutrition
from discsim.disc.disc import Disc
from discsim.problem.problem import build_problem
from discsim.scenario.scenario import Scenario
from discsim.scenario.therapy import GeneTherapy
from discsim.sweep.coupling import couplings, diffusivities_read
from discsim.sweep.engine import discretisation_of, prepare
from discsim.sweep.kernels import Kernels, layout_of


def kernels() -> Kernels:
    """Of the coarse disc with gene therapy."""
    prepare()
    scenario = Scenario(Disc.preset("L4-L5", grade=3, mesh_level=1)).with_therapy(GeneTherapy())
    problem = build_problem({"one": scenario}, readouts=("viable_cells",), field_times=())
    return Kernels(problem, discretisation_of(problem.arms[0].mesh), layout_of(problem))


def test_shipped_laws() -> None:
    """Consumption couples the solutes; no signal reads another's concentration; no diffusivity reads what diffuses."""
    found = kernels()
    names = found.model.solutes
    matrix = couplings(found.forms, names)
    assert matrix[names.index("glucose"), names.index("oxygen")] and matrix[names.index("oxygen"), names.index("lactate")]
    signals = couplings(found.forms, found.model.signals)
    assert np.array_equal(signals, np.eye(len(signals), dtype=bool))
    assert found.fixed_solute_spread and found.fixed_signal_spread


def test_a_diffusivity_that_reads_a_solute_is_worked_out_in_every_iteration(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = Nutrition.diffusivities

    def crowded(
        self: Any, porosity: Any, reference_porosity: Any, jacobian: Any, diffusivity_factor: Any, lactate: Any
    ) -> dict[str, Any]:
        found = shipped(self, porosity, reference_porosity, jacobian, diffusivity_factor)
        return found | {"glucose": found["glucose"] / (1.0 + 0.01 * lactate)}

    monkeypatch.setattr(Nutrition, "diffusivities", crowded)
    found = kernels()
    assert diffusivities_read(found.forms, found.model.solutes) and not found.fixed_solute_spread
    assert not diffusivities_read(found.forms, found.model.signals), "those of signals still read no signal"
    names = found.model.solutes
    assert couplings(found.forms, names)[names.index("glucose"), names.index("lactate")]
