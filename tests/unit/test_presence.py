"""A mechanism in one scenario only: its gate, and what cannot be kept out of an arm. No engine runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from discsim.biology.mechanism import (
    Composition,
    CompositionError,
    Exchange,
    Mechanism,
    derived,
    drive,
    gate_path,
    loss,
)
from discsim.disc.disc import Disc
from discsim.problem.presence import gated_labels
from discsim.problem.problem import build_problem
from discsim.quantities.fields import Field
from discsim.quantities.parameters import ParameterError, param
from discsim.scenario.scenario import Scenario
from discsim.scenario.therapy import StemCellInjection
from discsim.study.evidence import partial_assumptions
from discsim.study.parameter_table import used_parameters


class AcidDeath(Mechanism):
    """Cells die and matrix is lost, everywhere."""

    name = "acid_death"
    k = param("0.3 1/year", bounds=("0 1/year", "2 1/year"), source="a guess", evidence="assumed")

    @derived
    def acid(self, ph: Any) -> Any:
        """How far below 7."""
        return 7.0 - ph

    def rates(self, acid: Any, cell_density: Any) -> dict[str, Any]:
        return {loss("cell_density"): self.k * acid, "gag": -self.k * cell_density}

    @drive
    def catabolic_drive(self, acid: Any) -> Any:
        """More loss."""
        return acid


class Reader(Mechanism):
    """Reads what another mechanism gives."""

    name = "reader"

    def rates(self, acid: Any) -> dict[str, Any]:
        return {"gag": -acid}


class Leak(Mechanism):
    """Changes a boundary."""

    name = "leak"

    def boundaries(self) -> dict[str, dict[str, Any]]:
        return {"glucose": {"rim": Exchange(1.0, 1.0)}}


class Diffuses(Mechanism):
    """Overrides a diffusivity."""

    name = "diffuses"

    def diffusivities(self, porosity: Any) -> dict[str, Any]:
        return {"glucose": porosity}


class Immigrants(Mechanism):
    """Brings cells that are there from the start."""

    name = "immigrants"

    def fields(self) -> tuple[Field, ...]:
        return (Field("guests", "g", "cell/mm^3", "cells", "guest cells", 100.0, shared=False),)


class Present(Mechanism):
    """Has a parameter of an unlucky name."""

    name = "unlucky"
    present = param("1", bounds=("0", "1"), source="none", evidence="assumed")


@pytest.fixture(scope="module")
def base() -> Scenario:
    return Scenario(Disc.preset("L4-L5", grade=3, mesh_level=1), duration="30 day")


def problem_of(scenarios: Mapping[str, Scenario]) -> Any:
    return build_problem(scenarios, readouts=("gag_nucleus",))


def test_the_gate_is_open_in_its_own_arm_alone(base: Scenario) -> None:
    problem = problem_of({"a": base, "b": base.with_mechanism(AcidDeath())})
    assert problem.composition.gated == ("acid_death",)
    assert [arm.values[gate_path("acid_death")] for arm in problem.arms] == [0.0, 1.0]


def test_a_closed_gate_leaves_what_the_arm_would_be_alone(base: Scenario) -> None:
    """Every rate, loss and drive of the shared composition, at one point, is that of the arm's own composition."""
    both = problem_of({"a": base, "b": base.with_mechanism(AcidDeath())})
    alone = {"a": problem_of({"a": base}), "b": problem_of({"b": base.with_mechanism(AcidDeath())})}
    fields = {name: 1.0 if isinstance(f.initial, str) else f.initial for name, f in both.composition.fields.items()}
    masks = {f"in_{region}": float(region == "NP") for region in ("NP", "inner_AF", "outer_AF", "CEP")}
    point = {"jacobian": 1.0, "porosity": 0.8, "reference_porosity": 0.8, "diffusivity_factor": 1.0, **fields, **masks}
    for arm in both.arms:
        values = {path: v["NP"] if isinstance(v, Mapping) else v for path, v in arm.values.items()}
        together = both.composition.evaluate(values, point)
        own = alone[arm.name].composition.evaluate(values, point)
        assert {n: together.values[n] for n in own.values} == own.values
        for kind in ("sources", "losses"):
            mine, theirs = getattr(own, kind), getattr(together, kind)
            totals = [{n: float(sum(rate for _, rate in found)) for n, found in k.items()} for k in (mine, theirs)]
            assert totals[1] == pytest.approx(totals[0] | {n: 0.0 for n in totals[1] if n not in totals[0]}, rel=1e-15)
    assert float(together.losses["cell_density"][-1][1]) != 0.0


def test_nothing_is_gated_where_all_have_it_or_a_therapy_brings_it(base: Scenario) -> None:
    every = base.with_mechanism(AcidDeath())
    for scenarios in ({"a": every, "b": every}, {"a": base, "b": base.with_therapy(StemCellInjection())}):
        problem = problem_of(scenarios)
        assert problem.composition.gated == () and gated_labels(scenarios) == ()
        assert not [path for path in problem.arms[0].values if path.endswith(".present")]


@pytest.mark.parametrize(
    ("mechanism", "words"),
    [
        (Leak(), "gives boundaries"),
        (Diffuses(), "gives diffusivities"),
        (Immigrants(), "from the start"),
    ],
)
def test_what_no_gate_can_undo_is_refused(base: Scenario, mechanism: Mechanism, words: str) -> None:
    with pytest.raises(ParameterError, match=words) as refused:
        problem_of({"a": base, "b": base.with_mechanism(mechanism)})
    text = str(refused.value)
    assert "is in b and not in a" in text and "two studies" in text and "\n" not in text
    problem_of({"a": base.with_mechanism(mechanism), "b": base.with_mechanism(mechanism)})


def test_a_value_that_another_arm_reads_is_refused(base: Scenario) -> None:
    reads = base.with_mechanism(Reader())
    with pytest.raises(ParameterError, match="reader in a reads its 'acid'"):
        problem_of({"a": reads, "b": reads.with_mechanism(AcidDeath())})
    both = reads.with_mechanism(AcidDeath())
    assert problem_of({"a": base, "b": both}).composition.gated == ("reader", "acid_death")


def test_a_parameter_called_present_is_refused_where_there_is_a_gate(base: Scenario) -> None:
    with pytest.raises(CompositionError, match="another name"):
        problem_of({"a": base, "b": base.with_mechanism(Present())})
    Composition([Present()])


def test_the_gate_is_in_the_structure_and_in_the_table(base: Scenario) -> None:
    scenarios = {"a": base, "b": base.with_mechanism(AcidDeath())}
    problem = problem_of(scenarios)
    assert problem.composition.structure != problem_of({"b": scenarios["b"]}).composition.structure
    rows = [row for row in used_parameters(scenarios, problem) if row.path == "acid_death.present"]
    assert [(row.scenario, row.value, row.unit) for row in rows] == [("a", 0.0, "dimensionless"), ("b", 1.0, "dimensionless")]


def test_its_assumed_numbers_act_on_its_arm_only(base: Scenario) -> None:
    scenarios = {"a": base, "b": base.with_mechanism(AcidDeath())}
    assert [(found.path, found.arms) for found in partial_assumptions(scenarios)] == [("acid_death.k", ("b",))]
