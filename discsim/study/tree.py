"""From the records of an engine to the tree that is kept: one node per scenario, one for the parameter table."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from discsim.disc.mesh import REGIONS
from discsim.problem.problem import YEAR, Problem
from discsim.problem.record import ArmRecord, FieldFrame
from discsim.quantities.fields import DRIVES, POINT_QUANTITIES, Field
from discsim.study.evidence import partial_assumptions
from discsim.study.parameter_table import PARAMETERS, UsedParameter, used_parameters
from discsim.study.provenance import root_attributes

if TYPE_CHECKING:
    from discsim.scenario.readouts import Readout
    from discsim.study.study import Study

LEDGER = "ledger_"
ENGINE = "engine"
BAR = "_bar"
# Units of this project that UDUNITS cannot read, and equal ones that it can: only the word changes, never the number.
UDUNITS = {
    "million": "1e6",
    "cell": "1",
    "cell/mm^3": "mm-3",
    "vg": "1",
    "vg/mm^3": "mm-3",
    "mM": "mmol/L",
    "mEq/mL": "mmol/mL",
    "dimensionless": "1",
    "year": "Julian_year",
}
# Values that mechanisms and materials derive at a point, besides fields: unit and long name.
DERIVED = {
    "ph": ("1", "pH"),
    "osmotic_pressure": ("MPa", "swelling pressure"),
    "fixed_charge_density": ("mEq/mL", "fixed charge per tissue water"),
    "synthesis_gate": ("1", "share of full matrix synthesis that acidity and glucose leave"),
    "native_loss_rate": ("1/s", "death rate of native-like cells"),
    "native_birth_rate": ("1/s", "birth rate of native-like cells"),
}
AMOUNTS = {"cell/mm^3": "cell", "vg/mm^3": "vg", "mg/mL": "ug", "ng/mL": "pg", "mM": "nmol"}  # density times mm^3
STEP_UNITS = {"time": "s", "dt": "s", "seconds": "s"}


def build_tree(study: Study, records: Sequence[ArmRecord]) -> xr.DataTree:
    """The whole result of a study; raises ``ValueError`` where records and scenarios do not match."""
    found = [record.name for record in records]
    if sorted(found) != sorted(study.scenarios):
        raise ValueError(f"records of {', '.join(found) or 'no arm'}; the study has {', '.join(study.scenarios)}")
    problem = study.problem()
    rows = used_parameters(study.scenarios, problem)
    by_name = {record.name: record for record in records}
    nodes: dict[str, xr.Dataset] = {"/": root_dataset(study, problem, rows)}
    for arm in problem.arms:
        record = by_name[arm.name]
        nodes[f"/{arm.name}"] = scenario_dataset(record, problem)
        nodes[f"/{arm.name}/steps"] = steps_dataset(record)
        if record.frames:
            mesh = {
                "mesh_hash": arm.mesh.hash,
                "coordinate_system": arm.mesh.coordinates,
                "symmetry_factor": arm.mesh.symmetry_factor,
            }
            nodes[f"/{arm.name}/fields"] = fields_dataset(record, problem.composition.fields, mesh)
    nodes[f"/{PARAMETERS}"] = parameters_dataset(rows)
    return xr.DataTree.from_dict(nodes, name=None)


def root_dataset(study: Study, problem: Problem, rows: Iterable[UsedParameter]) -> xr.Dataset:
    """What the whole result says of itself, as attributes."""
    attributes = root_attributes(study, problem, repr([dataclasses.astuple(row) for row in rows]))
    attributes["discsim_scenarios"] = " ".join(study.scenarios)
    attributes["discsim_readouts"] = " ".join(readout.name for readout in problem.readouts)
    attributes["discsim_table_times"] = json.dumps(sorted({*problem.output_times, problem.duration}))
    attributes["discsim_duration"] = problem.duration
    attributes["discsim_partial_assumptions"] = json.dumps(
        [dataclasses.asdict(assumption) for assumption in partial_assumptions(study.scenarios)]
    )
    return xr.Dataset(attrs=attributes)


def scenario_dataset(record: ArmRecord, problem: Problem) -> xr.Dataset:
    """Readouts, ledger and status of one arm, with dimensions ``sample`` (one) and ``time``."""
    dataset = samples_dataset([record], problem, samples=[0], times=record.times)
    dataset["sample"].attrs["long_name"] = "sample of the design; 0: nominal values"
    return dataset.assign_attrs(discsim_seconds=json.dumps(record.seconds))


def samples_dataset(
    records: Sequence[ArmRecord], problem: Problem, *, samples: Sequence[int], times: Sequence[float]
) -> xr.Dataset:
    """Readouts, ledger and status of one arm in several samples, with dimensions ``sample`` and ``time``.

    ``records``: one per sample; ``times`` (s): shared by all. A record that ended early is missing (NaN) from there on, and its
    status says why. Error bars and the engine are there where a record tells them. Raises ``ValueError`` where a record has times
    of its own, and for a bar that is none.
    """
    for record in records:
        if not np.allclose(record.times, times[: len(record.times)], rtol=1e-9, atol=1e-3):
            raise ValueError(f"{record.name}: the times of the record are not those of the step list")
    over_time = ("sample", "time")
    variables: dict[str, Any] = {}
    for readout in problem.readouts:
        rows = [_series(record, readout.name, record.readouts.get(readout.name, []), len(times)) for record in records]
        variables[readout.name] = (over_time, np.stack(rows), readout_attributes(readout))
    entries = list(dict.fromkeys(name for record in records for name in record.ledger))
    for name, valid in netcdf_names(entries, prefix=LEDGER, always=True).items():
        unit = amount_unit(name, problem.composition.fields)
        attributes = named(name, unit, f"cumulative amount in the whole disc: {name}") | {"ancillary_variables": "status"}
        empty = [np.nan] * len(times)
        rows = [
            _series(record, name, record.ledger[name], len(times)) if name in record.ledger else np.array(empty)
            for record in records
        ]
        variables[valid] = (over_time, np.stack(rows), attributes)
    variables |= _bars(records, problem.readouts, len(times)) | _engines(records)
    coordinates = {
        "sample": ("sample", np.array(samples, dtype=np.int64), {"long_name": "number of the sample in the design"}),
        "time": ("time", np.array(times, dtype=float), named("", "s", "time since the start")),
        "time_years": (
            "time",
            np.array(times, dtype=float) / YEAR,
            named("", "year", "time since the start, years of 365.25 days"),
        ),
    }
    return xr.Dataset(variables | _endings(records), coordinates, {"discsim_node": "scenario"})


def readout_attributes(readout: Readout) -> dict[str, Any]:
    """Attributes of the variable of a readout."""
    return named(readout.name, readout.unit, readout.description) | {
        "kind": readout.kind,
        "digits": readout.digits,
        "ancillary_variables": "status",
    }


def bar_name(readout: str) -> str:
    """The variable that holds the error bars of a readout."""
    return f"{readout}{BAR}"


def _bars(records: Sequence[ArmRecord], readouts: Sequence[Readout], length: int) -> dict[str, Any]:
    """Half-widths of error; no variable for a readout of which no record has any.

    Missing (NaN) in records without, and at times for which a record vouches for nothing.
    """
    variables: dict[str, Any] = {}
    names = {readout.name for readout in readouts}
    for readout in readouts:
        if not any(record.bars.get(readout.name) for record in records):
            continue
        valid = bar_name(readout.name)
        if valid in names:
            raise ValueError(f"{readout.name}: its error bars would take the name of the readout {valid}")
        rows = []
        for record in records:
            bars = record.bars.get(readout.name, [])
            if any(bar < 0.0 for bar in bars):
                raise ValueError(f"{record.name}: an error bar of {readout.name} is below zero")
            rows.append(_series(record, valid, bars, length) if bars else np.full(length, np.nan))
        long_name = f"half-width of the error bar of {readout.name}; missing at all times of a sample computed at full order"
        attributes = named(valid, readout.unit, long_name) | {"discsim_bar_of": readout.name, "ancillary_variables": "status"}
        variables[valid] = (("sample", "time"), np.stack(rows), attributes)
    return variables


def _engines(records: Sequence[ArmRecord]) -> dict[str, Any]:
    """Which engine computed each sample; nothing where no record says so."""
    if not any(record.engine for record in records):
        return {}
    words = np.array([record.engine for record in records])
    return {ENGINE: (("sample",), words, {"long_name": "engine that computed the numbers; empty where it is not told"})}


def _endings(records: Sequence[ArmRecord]) -> dict[str, Any]:
    """How every sample ended: status, reason, advice, and the time up to which its numbers count."""
    ended = []
    for record in records:
        failure = record.failure
        last = failure.last_good_time if failure else record.times[-1] if record.times else 0.0
        why = (failure.reason, failure.advice) if failure else ("", "")
        ended.append((str(record.status), *why, float(last)))
    status, reasons, advice, last_good = zip(*ended, strict=True)
    words = {
        "status": (status, "how the run ended"),
        "failure_reason": (reasons, "why the run stopped"),
        "advice": (advice, "what to try"),
    }
    variables: dict[str, Any] = {
        name: (("sample",), np.array(column), {"long_name": meaning}) for name, (column, meaning) in words.items()
    }
    variables["last_good_time"] = (("sample",), np.array(last_good), named("", "s", "time up to which the numbers may be used"))
    return variables


def steps_dataset(record: ArmRecord) -> xr.Dataset:
    """Step history, a column per key; ``time`` is called ``step_time``, since the node above has a time of its own."""
    keys = list(dict.fromkeys(key for row in record.history for key in row))
    variables: dict[str, Any] = {}
    for key, valid in netcdf_names(keys, prefix="step_", reserved=("time", "sample")).items():
        column = [row.get(key) for row in record.history]
        unit = STEP_UNITS.get(key)
        variables[valid] = (
            ("sample", "step"),
            _column(column)[None, :],
            named(key, unit, f"{key} of an accepted step"),
        )
    return xr.Dataset(variables, attrs={"discsim_node": "steps"})


def fields_dataset(record: ArmRecord, fields: Mapping[str, Field], mesh: Mapping[str, Any]) -> xr.Dataset:
    """Fields at (cell, corner) pairs, so that jumps between regions are kept, and the mesh they live on.

    Values are current ones (per current volume); ``points`` is the reference shape, to which ``displacement`` is added.
    """
    if record.points is None or record.cells is None or record.cell_regions is None:
        raise ValueError(f"{record.name}: the record holds fields but no mesh")
    names = tuple(record.frames[0].corners)
    if any(tuple(frame.corners) != names for frame in record.frames):
        raise ValueError(f"{record.name}: the field frames hold different fields")
    variables, axes = _mesh_variables(record.points, record.cells, record.cell_regions)
    shape = ("sample", "field_time", "cell", "corner")
    taken = (*variables, "displacement", "axis", "field_time", "sample", "time")
    for name, valid in netcdf_names(names, prefix="field_", reserved=taken).items():
        values = np.stack([frame.corners[name] for frame in record.frames])[None]
        variables[valid] = (shape, values, field_attributes(name, fields))
    moved = np.stack([frame.displacement for frame in record.frames])[None]
    variables["displacement"] = (
        ("sample", "field_time", "vertex", "axis"),
        moved,
        named("", "mm", "displacement of the vertices") | {"mesh": "mesh", "location": "node"},
    )
    return xr.Dataset(variables, axes | _frame_times(record.frames), {"discsim_node": "fields", **mesh})


def _frame_times(frames: Sequence[FieldFrame]) -> dict[str, Any]:
    times = np.array([frame.time for frame in frames], dtype=float)
    return {"field_time": ("field_time", times, named("", "s", "time since the start"))}


def _mesh_variables(points: np.ndarray, cells: np.ndarray, regions: np.ndarray) -> tuple[dict[str, Any], dict[str, Any]]:
    """Mesh variables as in UGRID 1.0, and the axis coordinate."""
    dimension = points.shape[1]
    letters = ("r", "z") if dimension == 2 else ("x", "y", "z")
    element = "face" if dimension == 2 else "volume"
    topology = {
        "cf_role": "mesh_topology",
        "long_name": "mesh of the disc in its reference (in vivo, loaded) shape",
        "topology_dimension": dimension,
        "node_coordinates": " ".join(f"node_{letter}" for letter in letters),
        f"{element}_node_connectivity": "connectivity",
    }
    variables: dict[str, Any] = {
        "mesh": ((), np.int32(0), topology),
        "points": (("vertex", "axis"), points, named("", "mm", "reference position of the vertices")),
        "connectivity": (
            ("cell", "corner"),
            np.asarray(cells, dtype=np.int64),
            {"cf_role": f"{element}_node_connectivity", "start_index": 0, "long_name": "vertices of the cells"},
        ),
        "region": (
            ("cell",),
            np.asarray(regions, dtype=np.int64),
            {
                "long_name": "tissue region",
                "flag_values": np.array(list(REGIONS.values())),
                "flag_meanings": " ".join(REGIONS),
                "mesh": "mesh",
                "location": element,
            },
        ),
    }
    for index, letter in enumerate(letters):  # UGRID wants one variable per axis
        variables[f"node_{letter}"] = (("vertex",), points[:, index], named("", "mm", f"{letter} of the vertices"))
    return variables, {"axis": ("axis", np.array(letters), {"long_name": "axis of a position"})}


def parameters_dataset(rows: Sequence[UsedParameter]) -> xr.Dataset:
    """The parameter table: a variable per column, dimension ``parameter``."""
    names = {
        "path": "owner, parameter and region",
        "scenario": "scenario that used it",
        "value": "value in the row's unit",
        "unit": "unit of value and bounds",
        "source": "source of the value",
        "evidence": "measured, model, recalled or assumed",
        "lower_bound": "lowest admitted value",
        "upper_bound": "highest admitted value",
        "choice": "choice by name, no number",
        "origin": "default, grade, option, user, event or derived",
        "event": "0: from the start; k: from the k-th event on",
        "since": "time from which the value holds",
        "description": "meaning",
    }
    variables: dict[str, Any] = {}
    for name, long_name in names.items():
        column = np.array([getattr(row, name) for row in rows])
        unit = {"since": "s"}.get(name)
        variables[name] = (("parameter",), column, named("", unit, long_name))
    return xr.Dataset(variables, attrs={"discsim_node": PARAMETERS})


def netcdf_names(names: Iterable[str], *, prefix: str, reserved: Iterable[str] = (), always: bool = False) -> dict[str, str]:
    """Valid and distinct NetCDF names.

    ``prefix`` is set before all of them, or before those that are taken or do not start with a letter.
    """
    taken = set(reserved)
    found: dict[str, str] = {}
    for name in names:
        valid = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_")
        if always or valid in taken or not re.match(r"[A-Za-z]", valid):
            valid = prefix + valid
        base, number = valid, 2
        while valid in taken:
            valid, number = f"{base}_{number}", number + 1
        taken.add(valid)
        found[name] = valid
    return found


def amount_unit(name: str, fields: Mapping[str, Field]) -> str | None:
    """Unit of an amount in the whole disc, from the field that it is named after; ``None`` where it names no field."""
    fitting = [field for field in fields if re.search(rf"(?<![\w]){re.escape(field)}(?![\w])", name)]
    if not fitting:
        return None
    unit = fields[max(fitting, key=len)].unit
    return AMOUNTS.get(unit, f"{unit}*mm^3")


def field_attributes(name: str, fields: Mapping[str, Field]) -> dict[str, Any]:
    """Unit and words of a field, a derived value, a drive or a point quantity; no unit where none is declared."""
    short = name.rpartition("/")[2]
    if name in fields:
        field = fields[name]
        attributes = named(name, field.unit, field.description) | {"kind": field.kind, "symbol": field.symbol}
    elif short in DERIVED:
        attributes = named(name, *DERIVED[short]) | {"kind": "derived"}
    elif name in POINT_QUANTITIES:
        attributes = named(name, "1", POINT_QUANTITIES[name]) | {"kind": "derived"}
    elif name in DRIVES:
        unit = "cell/mm^3" if name == "added_cell_density" else "1"
        attributes = named(name, unit, DRIVES[name]) | {"kind": "derived"}
    else:  # a derived value declares no unit, and none is made up for it
        attributes = named(name, None, short.replace("_", " ")) | {"kind": "derived"}
    return attributes | {"mesh": "mesh", "comment": "values at the corners of every cell"}


def named(name: str, unit: str | None, long_name: str) -> dict[str, Any]:
    """Attributes of a variable: unit for machines (UDUNITS) and as this project writes it, name in words, own name."""
    attributes: dict[str, Any] = {"long_name": long_name}
    if unit is not None:
        attributes |= {"units": UDUNITS.get(unit, unit), "discsim_unit": unit}
    return attributes | ({"discsim_name": name} if name else {})


def _series(record: ArmRecord, name: str, values: Sequence[float], length: int) -> np.ndarray:
    """Values over time, missing (NaN) where the record ended before the last of ``length`` times."""
    if len(values) != len(record.times):
        raise ValueError(f"{record.name}: {name} holds {len(values)} values at {len(record.times)} times")
    return np.array([*values, *[np.nan] * (length - len(values))], dtype=float)


def _column(values: Sequence[Any]) -> np.ndarray:
    """A column of numbers, truth values (as 0 and 1) or texts; what a step lacks is NaN or an empty text."""
    if all(isinstance(value, (bool, np.bool_)) for value in values):
        return np.array(values, dtype=np.int8)
    if all(isinstance(value, (int, np.integer)) for value in values):
        return np.array(values, dtype=np.int64)
    if all(value is None or isinstance(value, (int, float, np.number)) for value in values):
        return np.array([np.nan if value is None else value for value in values], dtype=float)
    return np.array(["" if value is None else str(value) for value in values])
