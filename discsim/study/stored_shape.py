"""What a stored tree must hold for its readers to find it. A file that was edited by hand, or by another program, is told here in
one line, and not somewhere beneath a command."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from pydantic import BaseModel, Json, ValidationError

from discsim.disc.mesh import REGIONS
from discsim.problem.status import Status
from discsim.study.parameter_table import PARAMETERS
from discsim.study.store import ResultError, read_tree
from discsim.study.sweep_folder import NOMINAL_FILE

_TABLE = ("path", "scenario", "unit", "source", "evidence", "choice")  # texts of the parameter table that readers show
_ENDINGS = ("status", "failure_reason", "advice")
_NUMBERS = "iuf"  # kinds of a column of numbers


class _Assumption(BaseModel):
    path: str
    arms: tuple[str, ...]
    source: str


class _Dose(BaseModel):
    at: float
    amount: float


class _Arm(BaseModel):
    doses: list[_Dose]


class _Calendar(BaseModel):
    arms: dict[str, _Arm]


class _Origin(BaseModel):
    """Attributes of everything that a study gave: of a run, and of the nominal study of a sweep."""

    title: str
    summary: str
    history: str
    discsim_config: str
    discsim_config_hash: str
    discsim_environment: Json[dict[str, Any]]
    discsim_partial_assumptions: Json[tuple[_Assumption, ...]]


class _Head(_Origin):
    """Attributes of a run."""

    discsim_scenarios: str
    discsim_readouts: str
    discsim_table_times: Json[tuple[float, ...]]
    discsim_duration: float
    discsim_calendar: Json[_Calendar]


class _Readout(BaseModel):
    """Attributes of a readout."""

    discsim_unit: str
    long_name: str
    kind: str
    digits: int


class _Field(BaseModel):
    """Attributes of a field; a derived value may have no unit."""

    discsim_name: str
    long_name: str
    discsim_unit: str = ""


def read_nominal(folder: str | os.PathLike[str]) -> xr.DataTree:
    """The nominal study of a sweep; raises ``ResultError`` where there is none, or it lacks what it is read for."""
    source = Path(folder) / NOMINAL_FILE
    tree = read_tree(source)
    _check_attributes(_Origin, tree.attrs, source)
    _check_parameters(tree, source)
    return tree


def check_result(tree: xr.DataTree, source: str | os.PathLike[str]) -> xr.DataTree:
    """A run, as it came; raises ``ResultError`` where it lacks what it is read for."""
    _check_attributes(_Head, tree.attrs, source)
    _check_parameters(tree, source)
    scenarios, readouts = (str(tree.attrs[f"discsim_{name}"]).split() for name in ("scenarios", "readouts"))
    if not scenarios:
        raise _damaged(source, "it names no scenario")
    doses = _Head.model_validate(tree.attrs).discsim_calendar.arms
    for name in scenarios:
        if name not in tree.children or name not in doses:
            raise _damaged(source, f"it lacks scenario {name}")
        node = tree.children[name]
        if "steps" not in node.children:
            raise _damaged(source, f"{name} lacks its steps")
        own = node.to_dataset(inherit=False)
        _check_columns(own, _ENDINGS, ("sample",), "OSU", f"{source}", name)
        _check_columns(own, ("last_good_time",), ("sample",), _NUMBERS, source, name)
        _check_columns(own, ("time",), ("time",), _NUMBERS, source, name)
        _check_columns(own, readouts, ("sample", "time"), _NUMBERS, source, name)
        if not np.isfinite(own["time"].values).all():
            raise _damaged(source, f"{name} has times that are no numbers")
        if own.sizes["sample"] != 1 or str(own["status"].values[0]) not in set(Status):
            raise _damaged(source, f"{name} has no status that there is")
        if "fields" in node.children:
            _check_fields(node.children["fields"].to_dataset(inherit=False), source, f"fields of {name}")
        for readout in readouts:
            _check_attributes(_Readout, own[readout].attrs, source, f"{name}, {readout}")
    return tree


def _check_fields(fields: xr.Dataset, source: str | os.PathLike[str], where: str) -> None:
    """The mesh, the times and the values at the corners of cells."""
    _check_columns(fields, ("field_time",), ("field_time",), _NUMBERS, source, where)
    _check_columns(fields, ("points",), ("vertex", "axis"), _NUMBERS, source, where)
    _check_columns(fields, ("displacement",), ("sample", "field_time", "vertex", "axis"), _NUMBERS, source, where)
    _check_columns(fields, ("connectivity",), ("cell", "corner"), "iu", source, where)
    _check_columns(fields, ("region",), ("cell",), "iu", source, where)
    if not all(np.isfinite(fields[name].values).all() for name in ("field_time", "points", "displacement")):
        raise _damaged(source, f"times or places that are no numbers in the {where}")
    vertices, regions = fields["connectivity"].values, fields["region"].values
    if vertices.size and not 0 <= vertices.min() <= vertices.max() < fields.sizes["vertex"]:
        raise _damaged(source, f"cells with vertices that are not there in the {where}")
    if not np.isin(regions, list(REGIONS.values())).all():
        raise _damaged(source, f"regions that there are not in the {where}")
    for name, variable in fields.data_vars.items():
        if "corner" in variable.dims and name != "connectivity":
            _check_columns(fields, (str(name),), ("sample", "field_time", "cell", "corner"), _NUMBERS, source, where)
            _check_attributes(_Field, variable.attrs, source, f"{name} in the {where}")


def _check_parameters(tree: xr.DataTree, source: str | os.PathLike[str]) -> None:
    if PARAMETERS not in tree.children:
        raise _damaged(source, "it lacks the parameter table")
    table = tree.children[PARAMETERS].to_dataset(inherit=False)
    _check_columns(table, _TABLE, ("parameter",), "OSU", source, PARAMETERS)
    _check_columns(table, ("value",), ("parameter",), _NUMBERS, source, PARAMETERS)


def _check_columns(
    dataset: xr.Dataset, names: Iterable[str], dimensions: tuple[str, ...], kinds: str, source: str | os.PathLike[str], where: str
) -> None:
    """Refuse a variable that is missing, or not of these dimensions and kinds."""
    for name in names:
        if name not in dataset.variables:
            raise _damaged(source, f"{where} lacks {name}")
        variable = dataset[name]
        if variable.dims != dimensions or variable.dtype.kind not in kinds:
            raise _damaged(source, f"{name} of {where} is not what it was")


def _check_attributes(
    model: type[BaseModel], attributes: Mapping[Any, Any], source: str | os.PathLike[str], where: str = "the file"
) -> None:
    """Refuse attributes that are missing or of another type."""
    plain = {str(key): value.item() if isinstance(value, np.generic) else value for key, value in attributes.items()}
    try:
        model.model_validate(plain)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise _damaged(source, f"attribute {'.'.join(map(str, first['loc']))} of {where}: {first['msg']}") from None


def _damaged(source: str | os.PathLike[str], what: str) -> ResultError:
    return ResultError(f"{source}: damaged or edited ({what}); fetch it anew, or run the study again")
