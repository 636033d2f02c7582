"""discsim compare and discsim sensitivity: output, files, messages, exit codes."""

from __future__ import annotations

import dataclasses
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from discsim.cli.verdicts import register
from discsim.problem.record import ArmRecord
from discsim.problem.status import Status
from discsim.study.check import confirm
from discsim.study.ensemble import Ensemble, SweptInput
from discsim.study.evidence import PartialAssumption
from discsim.study.sensitivity import sensitivities_from_json
from discsim.study.sensitivity_designs import saltelli_cube

MakeEnsemble = Callable[..., Ensemble]
MakeInput = Callable[..., SweptInput]


@pytest.fixture
def call(clinic: Ensemble, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """Run a command on the folder of a sweep that holds an ensemble."""

    def run(
        command: str, *arguments: str, ensemble: Ensemble = clinic, held: tuple[PartialAssumption, ...] = (), planned: int = 0
    ) -> Result:
        stored = types.ModuleType("discsim.study.sweep_run")
        stored.open_ensemble = lambda folder: ensemble  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "discsim.study.sweep_run", stored)
        monkeypatch.setattr("discsim.study.held.held_assumptions", lambda folder, varied: held)
        manifest = types.SimpleNamespace(count=planned or ensemble.numbers.size)
        monkeypatch.setattr("discsim.study.sweep_folder.load_manifest", lambda folder: manifest)
        app = typer.Typer()
        register(app)
        return CliRunner().invoke(app, [command, str(tmp_path), *arguments])

    return run


def test_compare_names_assumed_numbers_that_were_held_fixed(call: Callable[..., Result]) -> None:
    held = tuple(
        PartialAssumption(path, ("cells", "both"), "a guess") for path in ("stem_cells.acid_ph", "stem_cells.acid_width")
    )
    lines = call("compare", held=held).stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("assumed, not measured, and held fixed"))
    assert lines[at + 1] == "  only on cells and both: stem_cells: acid_ph, acid_width"
    assert [one["path"] for one in json.loads(call("compare", "--json", held=held).stdout)["held"]] == [one.path for one in held]
    assert "held fixed" not in call("compare").stdout


def test_compare_says_what_it_calls_equal_and_what_is_in_no_interval(call: Callable[..., Result]) -> None:
    text = call("compare").stdout
    assert "differ by less than 1e-05 of themselves" in text and "discretisation error" in text


def test_compare_prints_verdicts(call: Callable[..., Result]) -> None:
    result = call("compare")
    assert result.exit_code == 0, result.output
    for words in ("viable_cells (mg) at 10 year", "cells beats untreated in ", "nutrition.endplate_clearance > 1.9e-4 mm/s"):
        assert words in result.stdout


def test_compare_of_one_readout(call: Callable[..., Result]) -> None:
    result = call("compare", "--readout", "gag_nucleus", "--time", "10 year")
    assert result.exit_code == 0 and "gag_nucleus (mg)" in result.stdout and "viable_cells (mg)" not in result.stdout


def test_compare_writes_json_alone(call: Callable[..., Result], clinic: Ensemble) -> None:
    result = call("compare", "--json", "--readout", "viable_cells")
    document = json.loads(result.stdout)
    assert document["check"] is None
    assert [verdict["readout"] for verdict in document["comparison"]["verdicts"]] == ["viable_cells"]
    assert document["comparison"]["verdicts"][0]["pairs"][0]["better"]["of"] == 253


def test_compare_tells_the_check_that_lies_in_the_folder(call: Callable[..., Result], clinic: Ensemble, tmp_path: Path) -> None:
    times = [float(clinic.times[0])]
    records = [
        ArmRecord(name, times, {key: [float(v[0, 0])] for key, v in readouts.items()}, status=Status.OK)
        for name, readouts in clinic.values.items()
    ]
    confirm(clinic, [(0, "closest")], {0: records}).save(tmp_path)
    result = call("compare", "--readout", "viable_cells")
    assert "the reference engine (fem) confirmed the order in 1 of 1 sample" in result.stdout
    assert json.loads(call("compare", "--json").stdout)["check"]["samples"][0]["why"] == "closest"


def test_compare_writes_files(call: Callable[..., Result], tmp_path: Path) -> None:
    result = call("compare", "--out", str(tmp_path / "verdict"))
    assert result.exit_code == 0
    names = sorted(path.name for path in (tmp_path / "verdict").iterdir())
    assert names == [
        "comparison.json",
        "comparison.txt",
        "deciding_inputs_gag_nucleus.png",
        "deciding_inputs_viable_cells.png",
        "paired_differences.png",
    ]
    assert "cells beats untreated" in (tmp_path / "verdict" / "comparison.txt").read_text()
    assert json.loads((tmp_path / "verdict" / "comparison.json").read_text())["comparison"]["design_kind"] == "random"


def test_sensitivity_of_a_part_of_a_design_says_how_much_is_missing(
    call: Callable[..., Result], make_ensemble: MakeEnsemble, make_input: MakeInput
) -> None:
    cube = saltelli_cube(16, 2, 1)
    inputs = tuple(make_input(f"x{i}", cube[:, i], 1.0, 2.0) for i in range(2))
    ensemble = make_ensemble({"a": {"gag_nucleus": cube[:, 0]}, "b": {"gag_nucleus": cube[:, 1]}}, inputs, kind="saltelli")
    text = call("sensitivity", ensemble=ensemble, planned=128).stdout
    assert "warning: 64 of the 128 samples of the design are missing: indices of the first 64 alone" in text
    assert "missing" not in call("sensitivity", ensemble=ensemble).stdout


def test_sensitivity_prints_tables_or_json(call: Callable[..., Result]) -> None:
    result = call("sensitivity", "--readout", "gag_nucleus")
    assert result.exit_code == 0 and "gag_nucleus (mg) at 10 year, gene less untreated" in result.stdout
    found = sensitivities_from_json(call("sensitivity", "--readout", "gag_nucleus", "--json").stdout)
    assert [one.scenario for one in found] == ["untreated", "cells", "gene"]
    assert found[2].inputs[0].path == "gene.TIMP3.loss_effect"


@pytest.fixture
def holed(make_ensemble: MakeEnsemble, make_input: MakeInput) -> Ensemble:
    cube = saltelli_cube(64, 2, 1)
    inputs = tuple(make_input(f"x{i}", cube[:, i], 1.0, 2.0) for i in range(2))
    values = {"untreated": {"ph_min": 7.0 - cube[:, 0]}, "cells": {"ph_min": 7.0 - cube[:, 1]}}
    return make_ensemble(values, inputs, kind="saltelli", failed={"cells": {7: "timeout"}})


def test_holes_end_with_3_and_the_remedies(call: Callable[..., Result], holed: Ensemble) -> None:
    result = call("sensitivity", ensemble=holed)
    assert result.exit_code == 3 and result.stdout == ""
    assert "of 256 samples 1 failed (1 in cells)" in result.stderr and "--given-data" in result.stderr
    assert call("sensitivity", "--given-data", ensemble=holed).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("compare", "--readout", "viable_cell"),
            "readout: given 'viable_cell'; allowed: viable_cells, gag_nucleus, oxygen_min; did you mean viable_cells?",
        ),
        (("compare", "--time", "3 year"), 'time: given "3 year"; allowed: "10 year"'),
        (("compare", "--time", "10"), '--time: \'10\' has no unit; write for example "10 s"; write a time such as "10 year"'),
        (("compare", "--margin", "viable_cells"), "--margin: given 'viable_cells'; allowed: READOUT=NUMBER"),
        (("compare", "--margin", "viable_cells=-1"), "--margin: given 'viable_cells=-1'; allowed: READOUT=NUMBER"),
        (("sensitivity", "--readout", "height"), "readout: given 'height'; allowed: viable_cells"),
    ],
)
def test_mistakes_end_with_2_and_one_line(call: Callable[..., Result], arguments: tuple[str, ...], words: str) -> None:
    result = call(*arguments)
    assert result.exit_code == 2 and result.stdout == ""
    assert words in result.stderr and len(result.stderr.strip().splitlines()) == 1


def test_folder_that_is_none(call: Callable[..., Result], tmp_path: Path) -> None:
    app = typer.Typer()
    register(app)
    result = CliRunner().invoke(app, ["compare", str(tmp_path / "none")])
    assert result.exit_code == 2 and "no such folder; name the folder that discsim sweep wrote" in result.stderr


def test_sweep_without_a_good_sample_ends_with_3(call: Callable[..., Result], clinic: Ensemble) -> None:
    bad = dataclasses.replace(clinic, status={name: np.full(256, "timeout") for name in clinic.status})
    result = call("compare", ensemble=bad)
    assert result.exit_code == 3 and "no sample is good in every scenario" in result.stderr
