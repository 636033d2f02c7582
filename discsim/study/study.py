"""A study: scenarios x readouts (x design), run by an engine."""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discsim.problem.engine import Engine, ProgressHook
from discsim.problem.problem import Problem, StepRule, build_problem
from discsim.quantities import units
from discsim.scenario.readouts import DEFAULT_READOUTS
from discsim.scenario.scenario import Scenario

if TYPE_CHECKING:
    from discsim.problem.record import ArmRecord
    from discsim.study.result import Result

DEFAULT_TIMES = ("0 year", "1 year", "5 year", "10 year")
ENGINES = ("fem", "sweep", "reduced")
CHECK_ENGINES = ("fem",)  # engines that may judge the sweep engine


@dataclasses.dataclass(frozen=True)
class Study:
    """Scenarios compared with one another. The first is what the others are compared with.

    ``times``: times of the table (text with units; those beyond the duration are dropped); ``field_times``: times at which
    fields are kept (start and end where left out); ``fields``: which are kept (all where left out); ``design`` and ``check``
    are for the sweep.
    """

    scenarios: Mapping[str, Scenario]
    readouts: tuple[str, ...] = DEFAULT_READOUTS
    title: str = ""
    times: tuple[str, ...] = DEFAULT_TIMES
    field_times: tuple[str, ...] | None = None
    fields: tuple[str, ...] | None = None
    steps: StepRule = StepRule()
    design: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    check: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    resolved: str = ""  # the experiment file with every default written out; filled by study.config

    def __post_init__(self) -> None:
        object.__setattr__(self, "readouts", tuple(self.readouts))
        bad = [name for name in self.scenarios if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name)]
        if bad:
            raise ValueError(f"scenario name {bad[0]!r}: letters, digits and _ only, starting with a letter")
        if "parameters" in self.scenarios:
            raise ValueError("no scenario can be called 'parameters': that is the parameter table; choose another name")

    def problem(self) -> Problem:
        """What an engine is given."""
        end = next(iter(self.scenarios.values())).seconds
        times = tuple(t for t in (units.parse(text, "s") for text in self.times) if t <= end * (1 + 1e-12))
        fields = None if self.field_times is None else tuple(units.parse(text, "s") for text in self.field_times)
        return build_problem(self.scenarios, readouts=self.readouts, output_times=times, field_times=fields, steps=self.steps)

    def run(self, engine: str = "fem", progress: ProgressHook | None = None, *, ranks: int = 1) -> Result:
        """Solve every scenario once at nominal values, with so many processes where the reference engine does."""
        from discsim.study.provenance import now
        from discsim.study.result import Result

        begun = now()
        records = make_engine(engine, ranks=ranks).run(self.problem(), progress)
        return Result.from_records(self, self.with_kept_fields(records), begun=begun, engine=engine, processes=ranks)

    def with_kept_fields(self, records: list[ArmRecord]) -> list[ArmRecord]:
        """The records with only the fields that the study keeps."""
        if self.fields is not None:
            for frame in (frame for record in records for frame in record.frames):
                frame.corners = {name: values for name, values in frame.corners.items() if name in self.fields}
        return records


def make_engine(
    name: str,
    *,
    lanes: int | None = None,
    device: str = "cpu",
    study: Study | None = None,
    ranks: int = 1,
    log: Path | None = None,
) -> Engine:
    """Engine by name; raises ``ValueError`` for an unknown one and ``ImportError`` with advice where it is not installed.

    ``lanes`` (samples that run side by side) and ``device`` ("cpu" or "gpu") are for the engines in JAX; ``study``: whose reduced
    model the reduced engine takes (``NotTrained`` where there is none); ``ranks``: processes that share a solve of the
    reference engine, with the file for what they write where they crash. A caller in Python may name a class of its own that is
    made without arguments, such as ``"mymodule:MyEngine"``; the command line offers ``ENGINES``.
    """
    if name == "fem":
        return _reference_engine(ranks, log)
    if ranks > 1:
        raise ValueError(f"runs in one process; allowed with {ranks} ranks: fem")
    if name == "sweep":
        return _sweep_engine(lanes, device)
    if name == "reduced":
        return _reduced_engine(study, device)
    if ":" in name:
        module, _, attribute = name.partition(":")
        engine: Engine = getattr(importlib.import_module(module), attribute)()
        return engine
    raise ValueError(f"engine {name!r} is not known; there is {', '.join(ENGINES)}")


def _reference_engine(ranks: int, log: Path | None) -> Engine:
    try:
        from discsim.fem.engine import FemEngine
    except ImportError as error:
        raise ImportError(
            f"the reference engine needs DOLFINx ({error}); install it with pip install 'discsim[fem]' or from conda-forge "
            "(fenics-dolfinx)"
        ) from error
    if ranks == 1:
        return FemEngine()
    from discsim.study.ranked_engine import RankedEngine

    return RankedEngine(ranks, log)


def _sweep_engine(lanes: int | None, device: str) -> Engine:
    try:
        from discsim.sweep.engine import SweepEngine
    except ImportError as error:
        raise ImportError(f"the sweep engine needs JAX ({error}); pip install the jax of requirements.lock") from error
    return SweepEngine(lanes=lanes, device=device)


def _reduced_engine(study: Study | None, device: str) -> Engine:
    from discsim.study.train import trained
    from discsim.sweep.reduced.engine import ReducedEngine

    if study is None:
        raise ValueError("the reduced engine belongs to a study: it is for discsim sweep and discsim optimise")
    return ReducedEngine(trained(study), device=device)
