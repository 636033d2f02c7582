"""Shards: written once under a name that tells damage, with what failed missing and explained."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from discsim.problem.problem import YEAR
from discsim.problem.record import ArmRecord
from discsim.problem.status import Status
from discsim.study.ensemble import SweptInput
from discsim.study.shards import Batch, check_shard, failed_records, latest, read_shard, shard_paths, summarise, write_shard
from discsim.study.store import ResultError, remove_partial, write_tree
from discsim.study.study import Study

STEPS = tuple(t * YEAR for t in (0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0))
DOSE = SweptInput("scenarios.cells.therapy.0.dose", "cell", "log", "assumed", 1e6, 2e7, np.array([1e6, 4e6, 9e6, 1.6e7]))
ATTRIBUTES = {"discsim_schema": "discsim/1", "discsim_sweep": "this one"}
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, therapy_study: Study) -> Write:
    """Write a shard of some samples."""
    problem = therapy_study.problem()

    def make(records: list[list[ArmRecord]], samples: tuple[int, ...], number: int = 0, generation: int = 0) -> Path:
        batch = Batch(number, generation, samples, (1 + generation,) * len(samples))
        return write_shard(tmp_path, batch, records, problem, [DOSE], STEPS, ATTRIBUTES)

    return make


@pytest.fixture
def mixed(good_records: list[ArmRecord], failed_record: Callable[[int, float], ArmRecord]) -> list[list[ArmRecord]]:
    """Two samples: a good one, and one whose second arm ended after two years."""
    return [good_records, [good_records[0], failed_record(1, 2.0), *good_records[2:]]]


def test_what_is_written_is_read_back(write: Write, mixed: list[list[ArmRecord]]) -> None:
    path = write(mixed, (1, 3))
    tree = read_shard(path, "this one")
    assert path.name.startswith("batch-00000.0-") and path.suffix == ".nc"
    assert tree.coords["sample"].values.tolist() == [1, 3]
    dose = tree.dataset["input_scenarios_cells_therapy_0_dose"]
    assert dose.values.tolist() == [4e6, 1.6e7]
    assert (dose.attrs["discsim_name"], dose.attrs["discsim_unit"]) == (DOSE.path, "cell")
    gene = tree["gene"]
    assert gene["viable_cells"].dims == ("sample", "time")
    assert gene["viable_cells"].values[0].tolist() == mixed[0][2].readouts["viable_cells"]
    assert gene["ledger_cell_density_died"].values[1].tolist() == mixed[1][2].ledger["cell_density:died"]
    assert gene["time"].values.tolist() == [0.0, *STEPS]
    assert gene["attempts"].values.tolist() == [1, 1]
    assert gene["status"].values.tolist() == ["ok", "ok"]


def test_numbers_after_the_last_good_time_are_missing_and_the_status_says_why(write: Write, mixed: list[list[ArmRecord]]) -> None:
    failed = mixed[1][1]
    failed.times = [*failed.times, 3.0 * YEAR]  # an engine that keeps lanes together may go on writing
    failed.readouts = {name: [*values, 1e9] for name, values in failed.readouts.items()}
    failed.ledger = {name: [*values, 1e9] for name, values in failed.ledger.items()}
    cells = read_shard(write(mixed, (0, 1)), "this one")["cells"]
    values = cells["viable_cells"].values[1]
    assert values[:5].tolist() == failed.readouts["viable_cells"][:5]
    assert np.isnan(values[5:]).all() and np.isnan(cells["ledger_cell_density_died"].values[1, 5:]).all()
    assert np.isfinite(cells["viable_cells"].values[0]).all()
    assert cells["status"].values.tolist() == ["ok", "nonconverged"]
    assert cells["failure_reason"].values.tolist() == ["", "Newton stalled in the mechanics after 6 halvings"]
    assert cells["last_good_time"].values[1] == 2.0 * YEAR


def barred(record: ArmRecord, engine: str = "reduced", bar: float = 0.25) -> ArmRecord:
    """The record as a reduced engine gives it, with bars of the viable cells."""
    bars = {"viable_cells": [bar * (1.0 + number) for number in range(len(record.times))]}
    return dataclasses.replace(record, engine=engine, bars=bars)


def test_error_bars_and_engines_are_kept_where_a_record_has_them(write: Write, good_records: list[ArmRecord]) -> None:
    full = [dataclasses.replace(record, engine="sweep") for record in good_records]
    path = write([[barred(record) for record in good_records], full], (1, 3))
    gene = read_shard(path, "this one")["gene"]
    assert gene["viable_cells_bar"].dims == ("sample", "time")
    assert gene["viable_cells_bar"].values[0].tolist() == [0.25 * (1.0 + number) for number in range(9)]
    assert np.isnan(gene["viable_cells_bar"].values[1]).all()
    attributes = gene["viable_cells_bar"].attrs
    assert "viable_cells" in attributes["long_name"] and attributes["discsim_bar_of"] == "viable_cells"
    assert (attributes["units"], attributes["discsim_unit"]) == ("1e6", "million")
    assert gene["engine"].values.tolist() == ["reduced", "sweep"] and gene["engine"].attrs["long_name"]
    assert [name for name in gene.data_vars if str(name).endswith("_bar")] == ["viable_cells_bar"]
    summary = summarise(path, "this one")
    assert summary.engines["cells"] == ("reduced", "sweep")
    assert summary.engine_of() == {1: "reduced", 3: "sweep"}


def test_records_without_bars_and_engine_leave_the_shard_as_it_was(write: Write, mixed: list[list[ArmRecord]]) -> None:
    path = write(mixed, (1, 3))
    for name in ("untreated", "cells", "gene", "both"):
        variables = {str(variable) for variable in read_shard(path, "this one")[name].data_vars}
        assert "engine" not in variables and not any(variable.endswith("_bar") for variable in variables)
    assert summarise(path, "this one").engine_of() == {}


def test_a_sample_that_several_engines_computed_names_them_all(write: Write, good_records: list[ArmRecord]) -> None:
    row = [barred(good_records[0]), *(dataclasses.replace(record, engine="sweep") for record in good_records[1:])]
    found = summarise(write([row, good_records], (0, 2)), "this one")
    assert found.engine_of() == {0: "reduced and sweep"}  # sample 2 names none


def test_bars_after_the_last_good_time_are_missing(write: Write, mixed: list[list[ArmRecord]]) -> None:
    failed = mixed[1][1]
    failed.times = [*failed.times, 3.0 * YEAR]
    failed.readouts = {name: [*values, 1e9] for name, values in failed.readouts.items()}
    failed.ledger = {name: [*values, 1e9] for name, values in failed.ledger.items()}
    mixed[1][1] = barred(failed)
    bars = read_shard(write(mixed, (0, 1)), "this one")["cells"]["viable_cells_bar"].values
    assert bars[1, :5].tolist() == [0.25 * (1.0 + number) for number in range(5)] and np.isnan(bars[1, 5:]).all()


@pytest.mark.parametrize(
    ("bars", "message"),
    [
        ([0.1] * 8, "viable_cells_bar holds 8 values at 9 times"),
        ([0.1] * 8 + [-0.1], "an error bar of viable_cells is below zero"),
    ],
)
def test_bars_that_are_none_are_refused(write: Write, good_records: list[ArmRecord], bars: list[float], message: str) -> None:
    good_records[1] = dataclasses.replace(good_records[1], bars={"viable_cells": bars})
    with pytest.raises(ValueError, match=f"cells: .*{message}"):
        write([good_records], (0,))


def test_step_counts_of_all_and_the_history_of_the_failed(write: Write, mixed: list[list[ArmRecord]]) -> None:
    steps = read_shard(write(mixed, (0, 1)), "this one")["cells"]["steps"]
    assert steps["steps"].values.tolist() == [8, 4]
    assert steps["iterations"].values.tolist() == [4.0, 4.0]
    assert np.isnan(steps["factorisations"].values).all()  # these records do not tell them
    good, failed = steps["history"].values.tolist()
    assert good == "" and json.loads(failed) == mixed[1][1].history


def test_summary_has_statuses_without_numbers(write: Write, mixed: list[list[ArmRecord]]) -> None:
    found = summarise(write(mixed, (1, 3), number=7, generation=2), "this one")
    assert (found.batch, found.generation, found.samples, found.attempts) == (7, 2, (1, 3), (3, 3))
    assert found.status["cells"] == ("ok", "nonconverged") and found.status["both"] == ("ok", "ok")
    assert found.failed() == {3: "cells: nonconverged, Newton stalled in the mechanics after 6 halvings"}


def test_summary_reads_texts_of_many_samples(write: Write, good_records: list[ArmRecord], therapy_study: Study) -> None:
    """Long columns of text are stored as characters."""
    crashed = failed_records(therapy_study.problem(), Status.CRASHED, "überlastet", "advice")
    samples = tuple(number % 4 for number in range(80))
    found = summarise(write([good_records] * 79 + [crashed], samples), "this one")
    assert found.status["gene"] == ("ok",) * 79 + ("crashed",)
    assert found.reasons["gene"][-1] == "überlastet"


def test_samples_that_never_ran_are_missing_altogether(write: Write, therapy_study: Study) -> None:
    crashed = failed_records(therapy_study.problem(), Status.CRASHED, "killed", "try again")
    tree = read_shard(write([crashed], (2,)), "this one")
    for name in therapy_study.scenarios:
        assert tree[name]["status"].values.tolist() == ["crashed"]
        assert np.isnan(tree[name]["disc_height"].values).all()
        assert tree[name]["steps"]["steps"].values.tolist() == [0]
        assert math.isnan(tree[name]["steps"]["seconds"].values[0])


@pytest.mark.parametrize("place", [100, 3000, -20])
def test_a_changed_byte_is_told_with_the_name_of_the_file(write: Write, good_records: list[ArmRecord], place: int) -> None:
    path = write([good_records], (0,))
    check_shard(path)
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    for reader in (read_shard, summarise):
        with pytest.raises(ResultError, match=f"{path.name}: damaged") as told:
            reader(path, "this one")
        assert len(str(told.value).splitlines()) == 1


def test_shard_of_another_sweep_is_refused(write: Write, good_records: list[ArmRecord]) -> None:
    path = write([good_records], (0,))
    for reader in (read_shard, summarise):
        with pytest.raises(ResultError, match="belongs to another sweep"):
            reader(path, "another one")


def test_later_generations_count(write: Write, good_records: list[ArmRecord], tmp_path: Path) -> None:
    retried = write([good_records], (1,), number=0, generation=1)
    first, second = write([good_records] * 2, (0, 1)), write([good_records] * 2, (2, 3), number=1)
    (tmp_path / ".batch-00009.0.nc.abc.part").touch()
    (tmp_path / "notes.nc").touch()
    assert shard_paths(tmp_path) == [first, second, retried]
    counting = latest(summarise(path, "this one") for path in shard_paths(tmp_path))
    assert {sample: summary.path for sample, summary in counting.items()} == {0: first, 1: retried, 2: second, 3: second}
    remove_partial(tmp_path)
    assert not list(tmp_path.glob(".*"))


def test_same_content_has_the_same_name_and_other_content_another(write: Write, mixed: list[list[ArmRecord]]) -> None:
    first = write(mixed, (0, 1))
    assert write(mixed, (0, 1)) == first
    mixed[0][0].readouts["disc_height"][3] += 1e-12
    assert write(mixed, (0, 1)) != first


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda records: records.pop(), "records of 1 samples for a batch of 2"),
        (lambda records: records[1].reverse(), "sample 1: records of both"),
        (lambda records: records[0][2].times.__setitem__(3, 5.0), "gene: the times of the record are not those"),
        (lambda records: setattr(records[0][1], "status", Status.PENDING), "cells: the record has status pending"),
    ],
)
def test_records_that_do_not_fit_are_refused(
    write: Write, mixed: list[list[ArmRecord]], tmp_path: Path, spoil: Callable[..., object], message: str
) -> None:
    mixed = [list(row) for row in mixed]
    spoil(mixed)
    with pytest.raises(ValueError, match=message):
        write(mixed, (0, 1))
    assert not list(tmp_path.iterdir())


def test_result_file_is_no_shard(tmp_path: Path, write: Write, good_records: list[ArmRecord]) -> None:
    """A file of another kind under the right name and hash."""
    import xarray as xr

    from discsim.study.store import file_hash

    plain = write_tree(xr.DataTree(xr.Dataset({"a": 1.0})), tmp_path / "plain.nc")
    path = plain.rename(tmp_path / f"batch-00000.0-{file_hash(plain)}.nc")
    with pytest.raises(ResultError, match="no shard of a sweep"):
        summarise(path, "this one")
