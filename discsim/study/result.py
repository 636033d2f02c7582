"""The result of a study: readouts, fields, steps, status and provenance of every scenario, as one xarray tree.

A number of a scenario that failed counts up to its last good time; from there on its status word stands in its place.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import xarray as xr

from discsim.problem.problem import YEAR
from discsim.problem.record import ArmRecord
from discsim.problem.status import Failure, Status
from discsim.study.evidence import PartialAssumption, assumptions_from_json
from discsim.study.parameter_table import PARAMETERS
from discsim.study.provenance import now
from discsim.study.store import ResultError, read_tree, write_tree
from discsim.study.tree import LEDGER, build_tree

if TYPE_CHECKING:
    from discsim.study.study import Study

__all__ = ["Change", "Result", "ResultError", "ScenarioResult", "TableEntry"]
NOT_RECORDED = "not recorded"
# Steps hit the output times; this is the round-off that their sum may have, relative to the duration.
TIME_TOLERANCE = 1e-9


@dataclasses.dataclass(frozen=True)
class TableEntry:
    """A readout of one scenario at one time (s), and its difference from the first scenario.

    ``value`` and ``difference`` are ``None`` where there is no such number; ``word`` says why there is no value.
    ``status`` is that of the scenario's whole run. The first scenario has no difference.
    """

    scenario: str
    readout: str
    unit: str
    time: float
    value: float | None
    difference: float | None
    status: str
    word: str = ""

    @property
    def time_years(self) -> float:
        """Time in years of 365.25 days."""
        return self.time / YEAR


@dataclasses.dataclass(frozen=True)
class Change:
    """Change of a readout of ``scenario`` in its first ``years``; ``None`` where it ended before (see ``word``)."""

    scenario: str
    readout: str
    unit: str
    years: float
    change: float | None
    word: str = ""


class ScenarioResult:
    """One scenario of a result, nominal sample."""

    def __init__(self, name: str, node: xr.DataTree) -> None:
        self.name, self.node = name, node

    def __repr__(self) -> str:
        return f"<ScenarioResult {self.name}: {self.status}, {self.times.size} times, {len(self.readouts)} readouts>"

    @property
    def status(self) -> Status:
        """How the run ended."""
        return Status(str(self.node.dataset["status"].values[0]))

    @property
    def failure(self) -> Failure | None:
        """Why it failed, up to when its numbers count, and what to try; ``None`` for a good run."""
        if self.status.good:
            return None
        reason, advice = (str(self.node.dataset[name].values[0]) for name in ("failure_reason", "advice"))
        return Failure(self.status, reason or "no reason given", self.last_good_time, advice)

    @property
    def last_good_time(self) -> float:
        """Time (s) up to which the numbers count."""
        return float(self.node.dataset["last_good_time"].values[0])

    @property
    def times(self) -> np.ndarray:
        """Times of readouts and ledger, s."""
        return np.asarray(self.node.dataset["time"].values)

    @property
    def readouts(self) -> xr.Dataset:
        """Readouts over time."""
        return self._select(lambda name, variable: "kind" in variable.attrs)

    @property
    def ledger(self) -> xr.Dataset:
        """Cumulative amounts of the whole disc over time (born, died, ...); names start with ``ledger_``."""
        return self._select(lambda name, variable: name.startswith(LEDGER))

    @property
    def fields(self) -> xr.Dataset:
        """Fields and mesh; raises ``ResultError`` where none were kept."""
        if "fields" not in self.node.children:
            raise ResultError(f"{self.name}: no fields were kept")
        return self.node.children["fields"].to_dataset(inherit=False)

    @property
    def has_fields(self) -> bool:
        """Whether fields were kept."""
        return "fields" in self.node.children

    @property
    def steps(self) -> xr.Dataset:
        """Step history."""
        return self.node.children["steps"].to_dataset(inherit=False)

    def field(self, name: str) -> xr.DataArray:
        """A field by the name it has in the problem, such as ``gene.TIMP3/product``."""
        fields = self.fields
        for valid, variable in fields.data_vars.items():
            if variable.attrs.get("discsim_name") == name:
                return fields[valid]
        known = [v.attrs["discsim_name"] for v in fields.data_vars.values() if "discsim_name" in v.attrs]
        raise ResultError(f"{self.name}: no field {name!r}; there are {', '.join(known)}")

    def series(self, readout: str) -> tuple[np.ndarray, np.ndarray]:
        """Times (s) and values of a readout, up to the last good time."""
        times, values = self.times, np.asarray(self.node.dataset[readout].values[0])
        if self.failure is None:
            return times, values
        counts = times <= self.last_good_time * (1.0 + TIME_TOLERANCE)
        return times[counts], values[counts]

    def value_at(self, readout: str, time: float) -> float | None:
        """A readout at a recorded time (s); where an event falls on it, the value after the event."""
        times, values = self.series(readout)
        hits = np.flatnonzero(np.isclose(times, time, rtol=TIME_TOLERANCE, atol=1e-3))
        return float(values[hits[-1]]) if hits.size and np.isfinite(values[hits[-1]]) else None

    def word_at(self, time: float) -> str:
        """Why there is no value at a time: the status of a run that failed."""
        return NOT_RECORDED if self.status.good else str(self.status)

    def _select(self, wanted: Any) -> xr.Dataset:
        dataset = self.node.to_dataset(inherit=False)
        return dataset[[name for name, variable in dataset.data_vars.items() if wanted(str(name), variable)]]


class Result:
    """What a study gave. ``tree`` holds everything; nothing else is needed to show, draw or compare it."""

    def __init__(self, tree: xr.DataTree) -> None:
        self.tree = tree

    @classmethod
    def from_records(
        cls, study: Study, records: Sequence[ArmRecord], *, begun: str = "", engine: str = "", processes: int = 1
    ) -> Self:
        """From what an engine gave back; raises ``ValueError`` where records and scenarios do not match.

        ``begun``: when the engine was started (UTC, as in ISO 8601); ``engine``: the word it is made from, on so
        many ``processes``; each where it is known.
        """
        tree = build_tree(study, records)
        if begun:
            tree.attrs["discsim_begun"] = begun
        if engine:
            tree.attrs["discsim_engine"], tree.attrs["discsim_processes"] = engine, processes
        return cls(tree)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a result file; raises ``ResultError`` (one line) for a missing, foreign, damaged or edited file."""
        from discsim.study.stored_shape import check_result

        return cls(check_result(read_tree(path), path))

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write one NetCDF file, under a passing name first; raises ``ResultError`` where it exists already."""
        return write_tree(self.tree, path, overwrite=overwrite)

    def __repr__(self) -> str:
        runs = ", ".join(f"{name}: {self[name].status}" for name in self.scenario_names)
        return f"<Result {self.title!r}; {runs}>"

    def __getitem__(self, name: str) -> ScenarioResult:
        if name not in self.scenario_names:
            raise KeyError(f"no scenario {name!r}; there are {', '.join(self.scenario_names)}")
        return ScenarioResult(name, self.tree.children[name])

    @property
    def title(self) -> str:
        """Title of the study."""
        return str(self.tree.attrs["title"])

    @property
    def scenario_names(self) -> tuple[str, ...]:
        """Scenarios in the order of the study; the first is what the others are compared with."""
        return tuple(str(self.tree.attrs["discsim_scenarios"]).split())

    @property
    def readout_names(self) -> tuple[str, ...]:
        """Readouts in the order of the study."""
        return tuple(str(self.tree.attrs["discsim_readouts"]).split())

    @property
    def parameters(self) -> xr.Dataset:
        """The parameter table: path, scenario, value, unit, source, evidence, bounds."""
        return self.tree.children[PARAMETERS].to_dataset(inherit=False)

    @property
    def config(self) -> str:
        """The experiment file with every default written out; empty for a study that was built in Python."""
        return str(self.tree.attrs["discsim_config"])

    @property
    def table_times(self) -> tuple[float, ...]:
        """Times (s) of the table: the study's, and the end."""
        return tuple(json.loads(self.tree.attrs["discsim_table_times"]))

    @property
    def duration(self) -> float:
        """Duration that was asked for, s."""
        return float(self.tree.attrs["discsim_duration"])

    @property
    def partial_assumptions(self) -> tuple[PartialAssumption, ...]:
        """Assumed numbers that act on some arms and not on others."""
        return assumptions_from_json(self.tree.attrs["discsim_partial_assumptions"])

    def failed(self) -> dict[str, Failure]:
        """Scenarios that did not finish, and why."""
        found = {name: self[name].failure for name in self.scenario_names}
        return {name: failure for name, failure in found.items() if failure is not None}

    def dosed_at(self, scenario: str, time: float) -> bool:
        """Whether a dose is given at a time (s): readouts and fields of that time are those just after it."""
        doses = json.loads(self.tree.attrs["discsim_calendar"])["arms"][scenario]["doses"]
        return any(dose["amount"] > 0.0 and math.isclose(dose["at"], time, abs_tol=1e-3) for dose in doses)

    def attributes(self, readout: str) -> Mapping[str, Any]:
        """Unit (``discsim_unit``), ``long_name``, ``kind`` and ``digits`` of a readout."""
        if readout not in self.readout_names:
            raise ResultError(f"no readout {readout!r}; there are {', '.join(self.readout_names)}")
        return dict(self[self.scenario_names[0]].node.dataset[readout].attrs)

    def unit(self, readout: str) -> str:
        """Unit of a readout as tables show it."""
        return str(self.attributes(readout)["discsim_unit"])

    def table(self) -> tuple[TableEntry, ...]:
        """Every readout of every scenario at the study's times, and its difference from the first scenario."""
        first, *_ = self.scenario_names
        views = {name: self[name] for name in self.scenario_names}
        entries = []
        for readout in self.readout_names:
            unit = self.unit(readout)
            for name, view in views.items():
                for time in self.table_times:
                    value, base = view.value_at(readout, time), views[first].value_at(readout, time)
                    difference = None if name == first or value is None or base is None else value - base
                    word = "" if value is not None else view.word_at(time)
                    entries.append(TableEntry(name, readout, unit, time, value, difference, str(view.status), word))
        return tuple(entries)

    def first_year_drift(self) -> dict[str, Change]:
        """Change of every readout of the first (untreated) scenario in its first year, or in all of a shorter study.

        It stands beside the effect of a therapy: an effect below it is small against what happens anyway. Where no step
        ends at one year, the value is interpolated between the steps around it.
        """
        view = self[self.scenario_names[0]]
        end = min(YEAR, self.duration)
        changes = {}
        for readout in self.readout_names:
            times, values = view.series(readout)
            reached = times.size > 0 and times[-1] >= end * (1.0 - TIME_TOLERANCE)
            number = float(np.interp(end, times, values) - values[0]) if reached else math.nan
            change = number if math.isfinite(number) else None
            word = "" if change is not None else view.word_at(end)
            changes[readout] = Change(view.name, readout, self.unit(readout), end / YEAR, change, word)
        return changes

    def discretisation_error(self, scenario: str, readout: str) -> float | None:
        """Stated error of a readout by mesh and steps, in its unit; ``None`` where none was stated."""
        stated = self[scenario].node.dataset[readout].attrs.get("discretisation_error")
        return None if stated is None else float(stated)

    def state_discretisation_error(self, errors: Mapping[str, Mapping[str, float]]) -> None:
        """Keep the error by mesh and steps (scenario -> readout -> absolute error in the readout's unit)."""
        for scenario, by_readout in errors.items():
            node = self[scenario].node
            for readout, error in by_readout.items():
                self.attributes(readout)
                if not (math.isfinite(error) and error >= 0.0):
                    raise ResultError(f"{scenario}: error of {readout} is {error}; it must be finite and not negative")
                node.dataset[readout].attrs["discretisation_error"] = float(error)
        self.tree.attrs["history"] += f"\n{now()} error by mesh and steps stated for {', '.join(errors)}"
