"""Assumed numbers that act on some arms only: which of them a sweep varies, and which it holds fixed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import xarray as xr

from discsim.disc.disc import Disc
from discsim.scenario.scenario import Scenario
from discsim.study.evidence import PartialAssumption
from discsim.study.held import by_arms, held_assumptions, not_varied
from discsim.study.parameter_table import PARAMETERS, used_parameters
from discsim.study.store import write_tree
from discsim.study.study import Study
from discsim.study.sweep_folder import NOMINAL_FILE
from discsim.study.tree import parameters_dataset, root_dataset

CELLS, GENE = ("cells", "both"), ("gene", "both")
ALL = (
    PartialAssumption("stem_cells.retained_fraction", CELLS, ""),
    PartialAssumption("stem_cells.acid_ph", CELLS, ""),
    PartialAssumption("gene.TIMP3.retained_fraction", GENE, ""),
    PartialAssumption("gene.TIMP3.clearance.NP", GENE, ""),
    PartialAssumption("gene.TIMP3.clearance.CEP", GENE, ""),
)


@pytest.mark.parametrize(
    ("varied", "gone"),
    [
        ("stem_cells.acid_ph", {"stem_cells.acid_ph"}),
        ("scenarios.cells.set.stem_cells.acid_ph", {"stem_cells.acid_ph"}),
        ("scenarios.cells.therapy.0.retained_fraction", {"stem_cells.retained_fraction"}),
        ("scenarios.gene.therapy.0.retained_fraction", {"gene.TIMP3.retained_fraction"}),
        ("gene.TIMP3.clearance", {"gene.TIMP3.clearance.NP", "gene.TIMP3.clearance.CEP"}),
        ("gene.TIMP3.clearance.NP", {"gene.TIMP3.clearance.NP"}),
        ("loading.active", set()),
    ],
)
def test_what_is_varied_is_not_held(varied: str, gone: set[str]) -> None:
    assert {one.path for one in ALL} - {one.path for one in not_varied(ALL, [varied])} == gone


def test_numbers_of_several_regions_stand_once() -> None:
    assert by_arms(ALL) == {
        CELLS: {"stem_cells": ["retained_fraction", "acid_ph"]},
        GENE: {"gene.TIMP3": ["retained_fraction", "clearance"]},
    }


def test_they_are_read_from_the_nominal_study_of_a_sweep(tmp_path: Path) -> None:
    study = Study({"untreated": Scenario(Disc.preset(mesh_level=1), duration="1 year")})
    problem = study.problem()
    used = used_parameters(study.scenarios, problem)
    tree = xr.DataTree.from_dict({"/": root_dataset(study, problem, used), f"/{PARAMETERS}": parameters_dataset(used)})
    rows = [{"path": one.path, "arms": list(one.arms), "source": one.source} for one in ALL]
    tree.attrs["discsim_partial_assumptions"] = json.dumps(rows)
    write_tree(tree, tmp_path / NOMINAL_FILE, overwrite=True)
    assert held_assumptions(tmp_path, ["stem_cells.acid_ph"]) == (ALL[0], *ALL[2:])
