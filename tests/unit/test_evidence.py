"""The line that names the assumed numbers acting on some arms only, for real studies built in Python."""

from dataclasses import replace

import pytest

from discsim.disc.disc import Disc
from discsim.scenario.scenario import Scenario
from discsim.scenario.therapy import GeneTherapy, StemCellInjection, Therapy
from discsim.study.evidence import PartialAssumption, evidence_line, partial_assumptions
from discsim.study.result import Result
from discsim.study.study import Study

UNTREATED = Scenario(Disc.preset("L4-L5", grade=3, mesh_level=1))


def arms(**therapies: tuple[Therapy, ...]) -> dict[str, Scenario]:
    return {name: UNTREATED.with_therapy(*given) for name, given in therapies.items()}


def by_path(scenarios: dict[str, Scenario]) -> dict[str, tuple[str, ...]]:
    return {assumption.path: assumption.arms for assumption in partial_assumptions(scenarios)}


def test_cells_gene_and_both(therapy_study: Study) -> None:
    found = by_path(dict(therapy_study.scenarios))
    assert found["stem_cells.conversion_rate"] == ("cells", "both")
    assert found["stem_cells.retained_fraction"] == ("cells", "both")
    assert found["gene.TIMP3.loss_effect"] == ("gene", "both")
    assert found["gene.TIMP3.retained_fraction"] == ("gene", "both")
    # declared as measured and as model: no assumption
    assert "stem_cells.undifferentiated_oxygen_demand" not in found
    assert "gene.TIMP3.product_diffusivity" not in found
    # the disc's own assumed numbers act on every arm
    assert not any(path.startswith(("nutrition.", "materials.", "loading.", "cell_fate.")) for path in found)


def test_protocol_is_no_assumption(therapy_study: Study) -> None:
    keys = {path.rpartition(".")[2] for path in by_path(dict(therapy_study.scenarios))}
    assert not keys & {"dose", "volume", "at"}


def test_therapy_of_all_arms_is_left_out() -> None:
    found = by_path(arms(low=(StemCellInjection(dose="1e6 cell"),), high=(StemCellInjection(dose="6e6 cell"), GeneTherapy())))
    assert found
    assert all(path.startswith("gene.TIMP3.") and names == ("high",) for path, names in found.items())


def test_dose_zero_does_not_act() -> None:
    found = by_path(arms(untreated=(), sham=(StemCellInjection(dose="0 cell"),), cells=(StemCellInjection(),)))
    assert found["stem_cells.conversion_rate"] == ("cells",)
    assert not by_path(arms(untreated=(), sham=(StemCellInjection(dose="0 cell"),)))


def test_number_given_by_the_user_counts_as_assumed() -> None:
    measured = "stem_cells.undifferentiated_oxygen_demand"
    cells = StemCellInjection(undifferentiated_oxygen_demand="7")
    rows = {row.path: row for row in partial_assumptions(arms(untreated=(), cells=(cells,)))}
    assert rows[measured].source.startswith("given by the user (declared 5 dimensionless: measured")
    # the declared value written out is still the declared one
    assert measured not in by_path(arms(untreated=(), cells=(StemCellInjection(undifferentiated_oxygen_demand="5"),)))


def test_number_set_by_path_counts_as_assumed() -> None:
    scenarios = arms(untreated=(), cells=(StemCellInjection(),))
    path = "stem_cells.undifferentiated_oxygen_demand"
    scenarios["cells"] = scenarios["cells"].with_parameters({path: "7"})
    assert by_path(scenarios)[path] == ("cells",)


def test_repeated_dose_names_an_arm_once() -> None:
    twice = (StemCellInjection(), StemCellInjection(at="1 year"))
    assert by_path(arms(untreated=(), cells=twice))["stem_cells.retained_fraction"] == ("cells",)


def test_line_groups_by_arms() -> None:
    rows = [
        PartialAssumption("stem_cells.a", ("cells", "both"), ""),
        PartialAssumption("gene.b", ("gene", "both"), ""),
        PartialAssumption("stem_cells.c", ("cells", "both"), ""),
    ]
    assert evidence_line(rows) == (
        "assumed numbers acting only on cells, both: stem_cells.a, stem_cells.c; only on gene, both: gene.b; "
        "which of them reverse the order the sweep decides"
    )
    assert evidence_line([]) == ""


def test_kept_in_the_result(therapy_study: Study, good_records: list) -> None:
    result = Result.from_records(therapy_study, good_records)
    assert result.partial_assumptions == partial_assumptions(therapy_study.scenarios)
    assert len(result.partial_assumptions) > 20


@pytest.mark.parametrize("grade", [1, 3])
def test_grade_does_not_matter_to_therapies(grade: int) -> None:
    base = replace(UNTREATED, disc=Disc.preset("L4-L5", grade=grade, mesh_level=1))
    found = by_path({"untreated": base, "cells": base.with_therapy(StemCellInjection())})
    assert found["stem_cells.acid_ph"] == ("cells",)
