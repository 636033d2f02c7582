"""Results: what is kept, that a file gives it back exactly, and that what does not fit is refused in one line."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from discsim.disc.disc import Disc
from discsim.problem.problem import YEAR
from discsim.problem.record import ArmRecord
from discsim.problem.status import Failure, Status
from discsim.study.result import Result, ResultError
from discsim.study.study import Study
from discsim.study.tree import amount_unit, netcdf_names

FailedRecord = Callable[[int, float], ArmRecord]


@pytest.fixture
def result(therapy_study: Study, good_records: list[ArmRecord]) -> Result:
    return Result.from_records(therapy_study, good_records)


@pytest.fixture
def half_failed(therapy_study: Study, good_records: list[ArmRecord], failed_record: FailedRecord) -> Result:
    """Gene did not converge after 3 years."""
    good_records[2] = failed_record(2, 3.0)
    return Result.from_records(therapy_study, good_records)


def refusal(path: Path) -> str:
    with pytest.raises(ResultError) as caught:
        Result.load(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_numbers_are_those_of_the_records(result: Result, good_records: list[ArmRecord]) -> None:
    assert result.scenario_names == ("untreated", "cells", "gene", "both")
    for record in good_records:
        view = result[record.name]
        assert view.readouts.sizes == {"sample": 1, "time": len(record.times)}
        assert set(view.readouts.data_vars) == set(record.readouts)
        for name, values in record.readouts.items():
            assert view.readouts[name].values[0].tolist() == values
        assert view.times.tolist() == record.times
        assert view.fields.glucose.dims == ("sample", "field_time", "cell", "corner")
        for name, values in record.frames[-1].corners.items():
            assert np.array_equal(view.field(name).values[0, -1], values)
        assert np.array_equal(view.fields.displacement.values[0, -1], record.frames[-1].displacement)
        assert np.array_equal(view.fields.connectivity.values, record.cells)
        assert view.steps.step_time.values[0].tolist() == [row["time"] for row in record.history]


def test_variables_name_their_units(result: Result) -> None:
    readouts = result["cells"].readouts
    assert readouts.disc_height.attrs["units"] == "mm"
    assert readouts.disc_height.attrs["long_name"] == "soft height of the disc at the effective load"
    assert readouts.glucose_min.attrs["kind"] == "extremum"
    # words that UDUNITS cannot read stand beside equal ones that it can
    assert (readouts.viable_cells.attrs["units"], readouts.viable_cells.attrs["discsim_unit"]) == ("1e6", "million")
    assert readouts.time_years.values[-1] == 10.0
    assert readouts.time.attrs["units"] == "s"
    fields = result["cells"].fields
    assert fields.ph.attrs["units"] == "1"
    assert fields.cell_density.attrs["kind"] == "cells"
    assert fields.gene_TIMP3_product.attrs["discsim_name"] == "gene.TIMP3/product"
    assert result["cells"].ledger.ledger_cell_density_died.attrs["discsim_unit"] == "cell"


def test_mesh_follows_ugrid(result: Result) -> None:
    fields = result["untreated"].fields
    topology = fields.mesh.attrs
    assert topology["cf_role"] == "mesh_topology"
    assert topology["topology_dimension"] == 2
    assert fields[topology["face_node_connectivity"]].attrs["start_index"] == 0
    names = topology["node_coordinates"].split()
    assert np.array_equal(np.column_stack([fields[name].values for name in names]), fields.points.values)
    assert fields.attrs["mesh_hash"] == Disc.preset("L4-L5", grade=3, mesh_level=1).mesh.hash
    assert fields.attrs["symmetry_factor"] == 2.0
    meanings = dict(zip(fields.region.attrs["flag_meanings"].split(), fields.region.attrs["flag_values"], strict=True))
    nucleus = fields.points.values[fields.connectivity.values[fields.region.values == meanings["NP"]]]
    assert nucleus[..., 0].max() == pytest.approx(15.2)


# --- files ------------------------------------------------------------------------------------------------------------


def test_round_trip_is_exact(half_failed: Result, tmp_path: Path) -> None:
    path = half_failed.save(tmp_path / "new" / "result.nc")
    again = Result.load(path)
    xr.testing.assert_identical(half_failed.tree, again.tree)
    for node in half_failed.tree.subtree:
        for name, variable in node.to_dataset(inherit=False).variables.items():
            read = again.tree[node.path].to_dataset(inherit=False)[name].dtype
            assert read == variable.dtype or (variable.dtype.kind, read.kind) == ("U", "O")  # texts stay texts
    assert again.table() == half_failed.table()
    assert again.first_year_drift() == half_failed.first_year_drift()
    assert again.failed() == half_failed.failed()
    assert again.partial_assumptions == half_failed.partial_assumptions


def test_file_opens_as_plain_xarray(result: Result, tmp_path: Path) -> None:
    with xr.open_datatree(result.save(tmp_path / "r.nc"), engine="h5netcdf") as tree:
        assert tree["cells"]["time"].dtype == np.float64
        assert tree["cells"]["disc_height"].sel(time=10 * YEAR).item() == pytest.approx(8.11)
        assert tree["cells"]["fields"]["glucose"].shape == (1, 2, 689, 3)


def test_arm_that_failed_at_the_start_round_trips(therapy_study: Study, good_records: list[ArmRecord], tmp_path: Path) -> None:
    failure = Failure(Status.UNPHYSICAL, "swelling bound", 0.0, "Lower the load.")
    good_records[1] = ArmRecord("cells", status=Status.UNPHYSICAL, failure=failure)
    result = Result.from_records(therapy_study, good_records)
    again = Result.load(result.save(tmp_path / "r.nc"))
    xr.testing.assert_identical(result.tree, again.tree)
    assert again["cells"].failure == failure
    assert not again["cells"].has_fields
    with pytest.raises(ResultError, match="cells: no fields were kept"):
        _ = again["cells"].fields
    entries = [entry for entry in again.table() if entry.scenario == "cells"]
    assert {(entry.value, entry.difference, entry.word) for entry in entries} == {(None, None, "unphysical")}


def test_existing_file_is_refused_unless_overwritten(result: Result, half_failed: Result, tmp_path: Path) -> None:
    path = result.save(tmp_path / "r.nc")
    before = path.read_bytes()
    with pytest.raises(ResultError, match="exists"):
        half_failed.save(path)
    assert path.read_bytes() == before
    half_failed.save(path, overwrite=True)
    assert set(Result.load(path).failed()) == {"gene"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["r.nc"]


def test_write_that_breaks_leaves_the_old_file(result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = result.save(tmp_path / "r.nc")
    before = path.read_bytes()

    def break_off(tree: xr.DataTree, target: Path, **rest: object) -> None:
        Path(target).write_bytes(before[:1000])
        raise OSError("no space left on device")

    monkeypatch.setattr(xr.DataTree, "to_netcdf", break_off)
    with pytest.raises(OSError, match="no space"):
        result.save(path, overwrite=True)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["r.nc"]


def test_new_file_has_the_usual_permissions(result: Result, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    assert result.save(tmp_path / "r.nc").stat().st_mode == plain.stat().st_mode


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "missing.nc")
    assert "folder" in refusal(tmp_path)
    for name, content in (("empty.nc", b""), ("text.nc", b"scenario,readout\n")):
        (tmp_path / name).write_bytes(content)
        assert "no result of discsim" in refusal(tmp_path / name)
    foreign = tmp_path / "foreign.nc"
    xr.Dataset({"x": ("time", [1.0])}).to_netcdf(foreign, engine="h5netcdf")
    assert "no result of discsim" in refusal(foreign)


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9, 0.999])
def test_truncated_file_is_refused(result: Result, tmp_path: Path, share: float) -> None:
    whole = result.save(tmp_path / "r.nc").read_bytes()
    cut = tmp_path / "cut.nc"
    cut.write_bytes(whole[: int(share * len(whole))])
    assert "damaged" in refusal(cut)


def test_other_schema_is_refused(result: Result, tmp_path: Path) -> None:
    result.tree.attrs["discsim_schema"] = "discsim/9"
    assert "discsim/9" in refusal(result.save(tmp_path / "r.nc"))


# --- records that do not fit ------------------------------------------------------------------------------------------


def test_records_must_be_those_of_the_study(therapy_study: Study, good_records: list[ArmRecord]) -> None:
    with pytest.raises(ValueError, match="records of untreated, cells, gene; the study has"):
        Result.from_records(therapy_study, good_records[:3])
    with pytest.raises(ValueError, match="records of"):
        Result.from_records(therapy_study, [*good_records, good_records[0]])
    good_records[0].readouts["disc_height"].pop()
    with pytest.raises(ValueError, match="untreated: disc_height holds 8 values at 9 times"):
        Result.from_records(therapy_study, good_records)


def test_order_of_records_does_not_matter(therapy_study: Study, good_records: list[ArmRecord]) -> None:
    result = Result.from_records(therapy_study, good_records[::-1])
    assert result.scenario_names == ("untreated", "cells", "gene", "both")
    assert result["gene"].readouts.disc_height.values[0, -1] == good_records[2].readouts["disc_height"][-1]


def test_scenario_cannot_be_called_like_the_parameter_table(therapy_study: Study) -> None:
    with pytest.raises(ValueError, match="no scenario can be called 'parameters'"):
        replace(therapy_study, scenarios={"parameters": therapy_study.scenarios["untreated"]})


def test_fields_without_mesh_are_refused(therapy_study: Study, good_records: list[ArmRecord]) -> None:
    good_records[0].points = None
    with pytest.raises(ValueError, match="untreated: the record holds fields but no mesh"):
        Result.from_records(therapy_study, good_records)


def test_unknown_names_list_what_there_is(result: Result) -> None:
    with pytest.raises(KeyError, match="no scenario 'placebo'; there are untreated, cells, gene, both"):
        result["placebo"]
    with pytest.raises(ResultError, match="no field 'insulin'; there are glucose, ph"):
        result["cells"].field("insulin")
    with pytest.raises(ResultError, match="no readout 'pain'"):
        result.unit("pain")


# --- numbers for tables -----------------------------------------------------------------------------------------------


def entries(result: Result, scenario: str, readout: str) -> dict[float, tuple[object, ...]]:
    found = [e for e in result.table() if (e.scenario, e.readout) == (scenario, readout)]
    return {e.time_years: (e.value, e.difference, e.status, e.word) for e in found}


def test_table_compares_with_the_first_arm(result: Result) -> None:
    assert entries(result, "untreated", "disc_height") == {
        0.0: (8.5, None, "ok", ""),
        1.0: (8.44, None, "ok", ""),
        5.0: (8.2, None, "ok", ""),
        10.0: (pytest.approx(7.9), None, "ok", ""),
    }
    both = entries(result, "both", "disc_height")
    assert both[0.0][:2] == (8.5, 0.0)
    assert both[10.0][:2] == (pytest.approx(8.26), pytest.approx(0.36))


def test_failed_arm_ends_in_its_status(half_failed: Result) -> None:
    gene = entries(half_failed, "gene", "disc_height")
    assert gene[1.0][:2] == (pytest.approx(8.452), pytest.approx(0.012))
    for late in (5.0, 10.0):
        assert gene[late] == (None, None, "nonconverged", "nonconverged")
    assert entries(half_failed, "both", "disc_height")[10.0][2] == "ok"
    numbers = [number for entry in half_failed.table() for number in (entry.value, entry.difference) if number is not None]
    assert np.isfinite(numbers).all()


def test_numbers_after_the_last_good_time_do_not_count(therapy_study: Study, good_records: list[ArmRecord]) -> None:
    good_records[2].status = Status.UNPHYSICAL
    good_records[2].failure = Failure(Status.UNPHYSICAL, "why", 1.0 * YEAR, "what to try")
    gene = entries(Result.from_records(therapy_study, good_records), "gene", "ph_min")
    assert gene[1.0][0] == pytest.approx(6.8968)
    assert gene[5.0] == (None, None, "unphysical", "unphysical")


def test_failed_first_arm_leaves_no_differences(
    therapy_study: Study, good_records: list[ArmRecord], failed_record: FailedRecord
) -> None:
    good_records[0] = failed_record(0, 0.5)
    result = Result.from_records(therapy_study, good_records)
    cells = entries(result, "cells", "disc_height")
    assert cells[0.0][:2] == (8.5, 0.0)
    assert cells[1.0][:2] == (pytest.approx(8.461), None)
    drift = result.first_year_drift()["disc_height"]
    assert (drift.change, drift.word) == (None, "nonconverged")


def test_failures_in_words(half_failed: Result) -> None:
    assert half_failed.failed() == {
        "gene": Failure(Status.NONCONVERGED, "Newton stalled in the mechanics after 6 halvings", 3 * YEAR, "Try a finer mesh.")
    }
    assert half_failed["gene"].status is Status.NONCONVERGED
    assert half_failed["cells"].failure is None


def test_not_finite_value_is_no_number(therapy_study: Study, good_records: list[ArmRecord]) -> None:
    good_records[1].readouts["ph_min"][-1] = math.nan
    cells = entries(Result.from_records(therapy_study, good_records), "cells", "ph_min")
    assert cells[10.0] == (None, None, "ok", "not recorded")


def test_value_at_an_event_is_the_one_after_it(therapy_study: Study, good_records: list[ArmRecord]) -> None:
    record = good_records[1]
    record.times.insert(0, 0.0)
    for values in (*record.readouts.values(), *record.ledger.values()):
        values.insert(0, 1.0)
    result = Result.from_records(therapy_study, good_records)
    assert entries(result, "cells", "disc_height")[0.0][0] == 8.5
    assert result.dosed_at("cells", 0.0)
    assert not result.dosed_at("cells", YEAR)
    assert not result.dosed_at("untreated", 0.0)


def test_first_year_drift(result: Result) -> None:
    drift = result.first_year_drift()
    assert set(drift) == set(result.readout_names)
    height = drift["disc_height"]
    assert (height.scenario, height.unit, height.years) == ("untreated", "mm", 1.0)
    assert height.change == pytest.approx(-0.06)


def test_first_year_drift_between_steps(therapy_study: Study, good_records: list[ArmRecord]) -> None:
    record = good_records[0]
    place = record.times.index(YEAR)
    for values in (record.times, *record.readouts.values(), *record.ledger.values()):
        del values[place]
    record.readouts["disc_height"][place - 1] = 8.48  # at half a year; 8.38 at two years
    drift = Result.from_records(therapy_study, good_records).first_year_drift()["disc_height"]
    assert drift.change == pytest.approx(8.48 - 0.1 / 3 - 8.5)


def test_first_year_drift_of_a_shorter_study(therapy_study: Study) -> None:
    study = replace(therapy_study, scenarios={"untreated": therapy_study.scenarios["untreated"].with_duration("0.5 year")})
    readouts = {name: [1.0, 0.9] for name in study.readouts}
    record = ArmRecord("untreated", [0.0, 0.5 * YEAR], readouts, status=Status.OK)
    result = Result.from_records(study, [record])
    assert result.table_times == (0.0, 0.5 * YEAR)
    drift = result.first_year_drift()["ph_min"]
    assert (drift.years, drift.change) == (0.5, pytest.approx(-0.1))


def test_discretisation_error_is_kept(result: Result, tmp_path: Path) -> None:
    result.state_discretisation_error({"cells": {"disc_height": 0.004}})
    again = Result.load(result.save(tmp_path / "r.nc"))
    assert again.discretisation_error("cells", "disc_height") == 0.004
    assert again.discretisation_error("gene", "disc_height") is None
    assert len(again.tree.attrs["history"].splitlines()) == 2
    for wrong in (math.nan, -1.0):
        with pytest.raises(ResultError, match="finite"):
            result.state_discretisation_error({"cells": {"disc_height": wrong}})


# --- names and units --------------------------------------------------------------------------------------------------


def test_names_are_valid_and_distinct() -> None:
    names = netcdf_names(["a/b", "a.b", "time", "2x", "ok", "a_b_2"], prefix="field_", reserved=["time"])
    assert list(names) == ["a/b", "a.b", "time", "2x", "ok", "a_b_2"]
    assert names["a/b"] == "a_b" and names["time"] == "field_time" and names["2x"] == "field_2x"
    assert len(set(names.values())) == 6 and "time" not in names.values()


def test_amounts_take_the_unit_of_their_field(therapy_study: Study) -> None:
    fields = therapy_study.problem().composition.fields
    assert amount_unit("cell_density:born", fields) == "cell"
    assert amount_unit("gene.TIMP3/free_vector:injected", fields) == "vg"
    assert amount_unit("gene.TIMP3/product:left", fields) == "pg"
    assert amount_unit("added_cell_density:born", fields) is None
