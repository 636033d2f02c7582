"""The shape of an experiment file (schema discsim/1): which tables and keys there are. Values are the parameters' affair.

Tables whose keys depend on other keys (loading, mechanisms, therapies) are kept as they are and checked where they are read.
"""

from __future__ import annotations

import copy
import typing
from collections.abc import Callable, Mapping
from typing import Any

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from discsim.quantities.parameters import Parameterised, param
from discsim.scenario.loading import Diurnal
from discsim.scenario.readouts import DEFAULT_READOUTS
from discsim.study.messages import Complaints, key_path

SCHEMA = "discsim/1"
_NUMERICS = "numerical setting; its error is stated beside every readout"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class DiscTable(_Table):
    """[disc]"""

    preset: str = "L4-L5"
    grade: int = 1
    mesh_level: int = 2
    start: str = "preset"
    height: Any = None
    radius: Any = None


class EventTable(_Table):
    """[[scenarios.NAME.events]]"""

    at: Any = None
    changes: dict[str, Any] | None = Field(None, alias="set")


class ScenarioTable(_Table):
    """[scenarios.NAME]"""

    therapy: list[Any] = []
    combine: list[str] = []
    mechanisms: dict[str, Any] = {}
    changes: dict[str, Any] = Field({}, alias="set")
    events: list[EventTable] = []


class MechanismsUse(_Table):
    """The one key of [mechanisms] that is no mechanism."""

    use: list[str] | None = None


class DesignTable(_Table):
    """[design]"""

    kind: str | None = None
    samples: int | None = None
    seed: int | None = None
    file: str | None = None
    vary: dict[str, Any] | None = None
    correlation: dict[str, Any] | None = None


class ReadoutsTable(_Table):
    """[readouts]"""

    use: list[str] = list(DEFAULT_READOUTS)


class CheckTable(_Table):
    """[check]"""

    engine: str = "fem"
    samples: int = 8
    tolerance: float = 0.01
    readout: str | None = None


class OutputTable(_Table):
    """[output]"""

    times: list[Any] | None = None
    fields: list[str] | None = None
    field_times: list[Any] | None = None


class SolverTable(_Table):
    """[solver]"""

    first_step: Any = None
    largest_step: Any = None
    step_tolerance: Any = None


class ExperimentFile(_Table):
    """The whole file."""

    version: Any = Field(None, alias="schema")
    title: str = ""
    duration: Any = None
    disc: DiscTable = DiscTable()
    loading: dict[str, Any] = {}
    mechanisms: dict[str, Any] = {}
    materials: dict[str, Any] = {}
    scenarios: dict[str, ScenarioTable] = {}
    design: DesignTable | None = None
    readouts: ReadoutsTable = ReadoutsTable()
    check: CheckTable | None = None
    output: OutputTable = OutputTable()
    solver: SolverTable = SolverTable()


class Solver(Parameterised):
    """How a pilot chooses the step list (see ``problem.StepRule``)."""

    name = "solver"
    first_step = param(
        "0.1 day",
        bounds=("1 minute", "30 day"),
        source=_NUMERICS,
        evidence="assumed",
        description="first step after the start and after every event; the shortest that accuracy asks for",
    )
    largest_step = param(
        "0.5 year", bounds=("1 hour", "5 year"), source=_NUMERICS, evidence="assumed", description="longest step"
    )
    step_tolerance = param(
        "5e-3",
        bounds=("1e-5", "0.1"),
        source=_NUMERICS,
        evidence="assumed",
        description="local error of a step, relative to a field's size",
    )


class ConstantLoad(Parameterised):
    """[loading] of kind "constant": the active load of a day without rest."""

    name = "loading"
    structural_options = Diurnal.structural_options
    load = param(
        "0.24 MPa",
        bounds=("0.1 MPa", "0.6 MPa"),
        source="time mean of the default day (default_disc a1)",
        evidence="assumed",
        description="force per disc area, at all times",
    )


LOADINGS: dict[str, type[Parameterised]] = {"diurnal": Diurnal, "constant": ConstantLoad}


class Clock(Parameterised):
    """Times of the file."""

    name = "clock"
    duration = param(
        "10 year", bounds=("1 hour", "100 year"), source="user's choice", evidence="assumed", description="simulated time"
    )
    time = param(
        "0 day", bounds=("0 day", "100 year"), source="user's choice", evidence="assumed", description="a time of the simulation"
    )


_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "dict_type": "a table",
    "model_type": "a table",
    "list_type": "a list",
    "model_attributes_type": "a table",
}


def read_structure(raw: Mapping[str, Any], complaints: Complaints) -> ExperimentFile:
    """The file as tables; what does not fit is noted and left out, so that the rest is checked in the same go."""
    rest = copy.deepcopy(dict(raw))
    while True:
        try:
            return ExperimentFile.model_validate(rest)
        except pydantic.ValidationError as error:
            found = error.errors(include_url=False)
        for mistake in found:
            _note(mistake, complaints)
        for path in sorted((mistake["loc"] for mistake in found), key=_position, reverse=True):
            _remove(rest, path)


def _note(mistake: Mapping[str, Any], complaints: Complaints) -> None:
    path = tuple(mistake["loc"])
    if mistake["type"] == "extra_forbidden":
        complaints.unknown(key_path(*path), str(path[-1]), keys_of(_model_at(path[:-1])))
    else:
        complaints.add(key_path(*path), mistake["input"], _WANTED.get(mistake["type"], mistake["msg"]))


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys of a table as they are written in the file."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_at(path: tuple[str | int, ...]) -> type[BaseModel]:
    """The model of the table at a path of the file."""
    model: Any = ExperimentFile
    for part in path:
        if isinstance(model, type) and issubclass(model, BaseModel):
            fields = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
            model = fields[str(part)]
        else:
            model = typing.get_args(model)[-1]  # of a list or a table of tables
        options = [option for option in typing.get_args(model) if option is not type(None)]
        if type(None) in typing.get_args(model):
            model = options[0]
    assert issubclass(model, BaseModel)
    return model


def _position(path: tuple[str | int, ...]) -> tuple[tuple[int, str], ...]:
    """Order in which later list entries come last, so that removing from the end keeps the numbers of the others."""
    return tuple((part, "") if isinstance(part, int) else (0, part) for part in path)


def _remove(table: Any, path: tuple[str | int, ...]) -> None:
    for part in path[:-1]:
        table = table[part]
    del table[path[-1]]


def flattened(table: Mapping[str, Any], leaf: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any]:
    """Nested tables as one with dotted keys, down to ``leaf``: ``a.b = 1`` may stand with and without quotation marks."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping) and value and not leaf(value):
            flat |= {f"{key}.{inner}": item for inner, item in flattened(value, leaf).items()}
        else:
            flat[key] = value
    return flat
