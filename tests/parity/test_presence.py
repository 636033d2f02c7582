"""A mechanism in one scenario only leaves every other arm what it is alone, in both engines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

pytest.importorskip("ufl")

from discsim.biology.mechanism import Mechanism, drive, loss
from discsim.disc.disc import Disc
from discsim.fem.engine import FemEngine
from discsim.problem.engine import Engine
from discsim.problem.problem import DAY, build_problem
from discsim.problem.record import ArmRecord
from discsim.quantities.parameters import param
from discsim.scenario.scenario import Scenario
from discsim.sweep.engine import SweepEngine

pytestmark = pytest.mark.fem
STEPS = (1.0 * DAY, 5.0 * DAY, 20.0 * DAY, 60.0 * DAY)
READOUTS = ("viable_cells_nucleus", "gag_nucleus", "disc_height", "glucose_min", "ph_min")


class Wear(Mechanism):
    """Kills a share of the cells of the nucleus a year, and costs matrix."""

    name = "wear"
    regions = ("NP",)
    k = param("2 1/year", bounds=("0 1/year", "3 1/year"), source="for this test", evidence="assumed")

    def rates(self, ph: Any) -> dict[str, Any]:
        return {loss("cell_density"): self.k * ph / 7.0}

    @drive
    def catabolic_drive(self, ph: Any) -> Any:
        """Added loss."""
        return self.k * 1e8 * ph / 7.0


@pytest.mark.timeout(600)
@pytest.mark.parametrize("engine", [SweepEngine, FemEngine], ids=["sweep", "fem"])
def test_each_arm_is_what_it_is_alone(engine: type[Engine]) -> None:
    base = Scenario(Disc.preset("L4-L5", grade=3, mesh_level=1), duration="60 day")
    worn = base.with_mechanism(Wear())
    solver = engine()

    def run(scenarios: Mapping[str, Scenario]) -> dict[str, ArmRecord]:
        problem = build_problem(scenarios, readouts=READOUTS, output_times=(60.0 * DAY,), field_times=())
        return {record.name: record for record in solver.run(problem, steps=STEPS)}

    together = run({"a": base, "b": worn})
    alone = run({"a": base}) | run({"b": worn})
    for arm in ("a", "b"):
        assert together[arm].status.good and alone[arm].status.good
        for name in READOUTS:
            assert together[arm].readouts[name] == pytest.approx(alone[arm].readouts[name], rel=1e-9), (arm, name)
    cells = {arm: record.readouts["viable_cells_nucleus"][-1] for arm, record in together.items()}
    assert cells["b"] < 0.9 * cells["a"]
