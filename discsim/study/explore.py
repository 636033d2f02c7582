"""What the explorer shows, without any page: values of the swept numbers in; curves, error bars, fields, a file out.

All arms are lanes of one call of the reduced model, which is compiled before anything is shown. What the model was not trained
for has no curve; ``full_order`` computes it with the sweep engine.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from discsim.study.config import study_from_text
from discsim.study.design import draw
from discsim.study.messages import Complaints, ConfigError, Mistake, Shown
from discsim.study.numbers import file_of, limits, nominal_values, with_values
from discsim.study.overrides import apply_overrides
from discsim.study.resolve import differences
from discsim.study.toml_text import Inline, parse_text, write_text
from discsim.study.train import trained
from discsim.study.training_design import box
from discsim.study.tree import DERIVED, field_attributes

if TYPE_CHECKING:
    from discsim.problem.problem import Problem
    from discsim.problem.record import ArmRecord, FieldFrame
    from discsim.study.study import Study
    from discsim.sweep.reduced.engine import ReducedEngine

Floats = NDArray[np.float64]
DIGITS = 4  # significant ones that a slider gives a number


@dataclasses.dataclass(frozen=True)
class Knob:
    """One swept number, all values in ``unit``: the trained range ``low`` to ``high``, the bounds ``least`` to ``most`` of the
    parameter, the value ``nominal`` of the file."""

    path: str
    unit: str
    scale: str
    evidence: str
    description: str
    low: float
    high: float
    least: float
    most: float
    nominal: float

    def at(self, share: float) -> float:
        """The value at a place from 0 (low) to 1 (high) on the scale of the range, to ``DIGITS`` digits."""
        ratio = self.high / self.low if self.scale == "log" else 1.0
        found = self.low * ratio**share if self.scale == "log" else self.low + (self.high - self.low) * share
        return min(max(float(f"{found:.{DIGITS}g}"), self.low), self.high)

    def share(self, value: float) -> float:
        """Where a value lies between low (0) and high (1); beyond the ends, the end."""
        if self.high <= self.low:
            return 0.0
        held = min(max(value, self.low), self.high)
        if self.scale == "log":
            return math.log(held / self.low) / math.log(self.high / self.low)
        return (held - self.low) / (self.high - self.low)


@dataclasses.dataclass
class ArmCourse:
    """One arm at some values. ``inside``: in the trained box; ``trouble``: why it has no numbers, or an empty text.

    By readout ``numbers`` (times,), and at the certified times half-widths ``bars`` and those ``allowed`` (certified,), in the
    readout's unit; full-order courses have no bars.
    """

    name: str
    inside: bool
    trouble: str = ""
    numbers: dict[str, Floats] = dataclasses.field(default_factory=dict)
    bars: dict[str, Floats] = dataclasses.field(default_factory=dict)
    allowed: dict[str, Floats] = dataclasses.field(default_factory=dict)

    def vouched(self, readout: str, record: int) -> bool:
        """Whether the bar of a readout at a certified time is as narrow as a sweep asks for."""
        return bool(self.bars[readout][record] <= self.allowed[readout][record])


@dataclasses.dataclass
class Look:
    """All arms at some values. ``times`` (s) of the numbers, ``certified``: those of ``times`` that have bars and fields;
    ``engine`` that made the numbers, in ``seconds``; ``frames``: fields by arm at the certified times that were asked for."""

    values: dict[str, float]
    engine: str
    times: Floats
    certified: list[int]
    arms: dict[str, ArmCourse]
    seconds: float
    frames: dict[int, dict[str, FieldFrame]]
    lanes: list[str] = dataclasses.field(default_factory=list)
    states: list[Any] = dataclasses.field(default_factory=list)
    rows: list[Any] = dataclasses.field(default_factory=list)


class Explorer:
    """A study with its reduced model, ready to be looked at.

    ``text``: the experiment file that the study was read from, with ``overrides``; ``folder``: where it may name other files;
    ``engine``: with the reduced model of the study, that of its training where left out.
    Raises ``NotTrained`` where there is no training, ``ConfigError`` where the study has no design that one can be made for.
    """

    def __init__(
        self,
        study: Study,
        text: str,
        overrides: Sequence[str] = (),
        *,
        source: str = "study.toml",
        folder: Path | None = None,
        allow_plugin: bool = False,
        engine: ReducedEngine | None = None,
    ) -> None:
        self.study, self.source = study, source
        self._text, self._overrides, self._folder, self._plugin = text, tuple(overrides), folder, allow_plugin
        self.arms = tuple(study.scenarios)
        self.engine = engine or _engine_of(study)
        self.training = self.engine.training
        self.problem = study.problem()
        self.knobs = knobs_of(study)

    @property
    def nominal(self) -> dict[str, float]:
        """Values of the swept numbers in the file."""
        return {knob.path: knob.nominal for knob in self.knobs}

    @property
    def records(self) -> tuple[float, ...]:
        """Times (s) that have error bars and fields."""
        return tuple((0.0, *self.training.steps)[index] for index in self.training.certified)

    def warm(self) -> None:
        """Compile everything that a redraw needs."""
        self.frames(self.look(self.nominal), 0)

    def look(self, values: Mapping[str, float]) -> Look:
        """Curves and bars of all arms by the reduced model; raises ``ConfigError`` for values out of bounds."""
        from discsim.sweep.reduced.lanes import course_of

        began = time.perf_counter()
        problem = self._problem(values)
        reduced, training = self.engine.reduced(problem), self.training
        arms = {arm.name: ArmCourse(arm.name, self.engine.inside(reduced.kernels, problem, arm)) for arm in problem.arms}
        inside = [arm for arm in problem.arms if arms[arm.name].inside]
        courses = [course_of(problem, arm, reduced.kernels, training.steps, training.records) for arm in inside]
        times = np.array([0.0, *training.steps])
        found = Look(dict(values), self.engine.name, times, training.certified, arms, 0.0, {}, [arm.name for arm in inside])
        for arm in arms.values():
            arm.trouble = "" if arm.inside else "outside of the trained box"
        if courses:
            solved = reduced.solve(courses)
            bars = training.certificate.bars(solved.indicators, solved.lacking)
            allowed = self.engine.allowed(problem, solved.values[:, training.certified])
            for lane, course in enumerate(courses):
                own = arms[course.arm.name]
                if not (solved.good[lane] and (solved.margin[lane] > 0.0).all()):
                    own.trouble = "the reduced model did not converge"
                    continue
                for index, readout in enumerate(problem.readouts):
                    own.numbers[readout.name] = solved.values[lane, :, index]
                    own.bars[readout.name] = bars[lane, :, index]
                    own.allowed[readout.name] = allowed[lane, :, index]
            stops = [number for number, (_, certified) in enumerate(courses[0].stops) if certified]
            found.states = solved.states
            found.rows = [np.stack([course.rows[stop] for course in courses]) for stop in stops]
        found.seconds = time.perf_counter() - began
        return found

    def frames(self, look: Look, record: int) -> dict[str, FieldFrame]:
        """Fields of every arm that has numbers, at a certified time (by number); none at full order where they were not kept."""
        from discsim.sweep.reduced.shapes import frames

        if record not in look.frames and look.states:
            made = frames(self.engine.reduced(self.problem), look.states[record], look.rows[record], self.records[record])
            look.frames[record] = {
                name: frame for name, frame in zip(look.lanes, made, strict=True) if not look.arms[name].trouble
            }
        return look.frames.get(record, {})

    def full_order(self, values: Mapping[str, float]) -> Look:
        """The same by the sweep engine, without bars; seconds instead of milliseconds, in and out of the trained box."""
        began = time.perf_counter()
        problem = dataclasses.replace(self._problem(values), field_times=self.records)
        reduced = self.engine.reduced(problem)
        records = self.engine.full.run_many([problem], self.training.steps)[0]
        times = np.array([0.0, *self.training.steps])
        arms = {
            arm.name: _full_course(record, self.engine.inside(reduced.kernels, self._problem(values), arm), len(times))
            for arm, record in zip(problem.arms, records, strict=True)
        }
        kept: dict[int, dict[str, FieldFrame]] = {number: {} for number in range(len(self.records))}
        for record in records:
            for number, when in enumerate(self.records):
                for frame in record.frames:
                    if abs(frame.time - when) <= 1e-6 * times[-1]:
                        kept[number][record.name] = frame
        seconds = time.perf_counter() - began
        return Look(dict(values), self.engine.full.name, times, self.training.certified, arms, seconds, kept)

    def _problem(self, values: Mapping[str, float]) -> Problem:
        bad = [path for path, value in values.items() if not math.isfinite(value)]
        if bad:
            raise ConfigError([Mistake(bad[0], Shown("no number"), "a number")], "the page")
        return dataclasses.replace(with_values(self.study, values).problem(), field_times=())

    # ---- the mesh and its fields

    def mesh(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Vertices (vertices, dim) mm, cells (cells, corners) and their regions, in the order of the frames."""
        reduced = self.engine.reduced(self.problem)
        own = reduced.kernels.discretisation
        return np.asarray(reduced.doses.points), np.asarray(own.cells), np.asarray(own.regions)

    def quantities(self, frame: FieldFrame) -> dict[str, tuple[str, str]]:
        """Fields of a frame that can be shown, by name: words and unit; those that the model holds, then what follows of them."""
        fields = self.problem.composition.fields
        found = {}
        for name in (*fields, *(name for name in frame.corners if name not in fields)):
            attributes = field_attributes(name, fields)
            if name in frame.corners and (name in fields or name.rpartition("/")[2] in DERIVED):
                found[name] = (str(attributes["long_name"]), str(attributes["discsim_unit"]))
        return found

    # ---- what is on the screen as a file

    def experiment_text(self, values: Mapping[str, float]) -> str:
        """An experiment file with these values in place of its own; all else, [design] included, is that of the file.

        Raises ``ConfigError`` for values out of bounds.
        """
        wanted = with_values(self.study, values)
        units = {knob.path: knob.unit for knob in self.knobs}
        changed = [path for path, value in values.items() if value != self.nominal[path]]
        head = [f"# Saved by discsim explore, from {self.source}."]
        head += [f"# {path}: {self.nominal[path]:.6g} there, {values[path]:.6g} here ({units[path]})" for path in changed]
        for paths in (changed, list(values)):
            text = self._moved([f"{path}={_number_text(values[path], units[path])}" for path in paths])
            if self._gives(text, wanted):
                return "\n".join([*head, "", text])
        return "\n".join([*head, "", wanted.resolved])  # every default written out, where the short file says something else

    def _moved(self, overrides: Sequence[str]) -> str:
        """The file with some numbers set as ``--set`` does it."""
        tables = apply_overrides(parse_text(self._text, self.source), (*self._overrides, *overrides), Complaints())
        vary = tables.get("design", {}).get("vary")
        if isinstance(vary, dict):
            tables["design"]["vary"] = {path: Inline(entry) for path, entry in vary.items()}
        return write_text(tables)

    def _gives(self, text: str, wanted: Study) -> bool:
        try:
            read = study_from_text(text, source=self.source, folder=self._folder, allow_plugin=self._plugin)
        except ConfigError:
            return False
        return not differences(wanted.problem(), read.problem())


def _engine_of(study: Study) -> ReducedEngine:
    from discsim.sweep.reduced.engine import ReducedEngine

    return ReducedEngine(trained(study), lanes=len(study.scenarios), fallback=False)


def knobs_of(study: Study) -> tuple[Knob, ...]:
    """What a study sweeps, with the range that its reduced model is trained in. Raises ``ConfigError`` without a design."""
    design = draw(study)
    paths = [swept.path for swept in design.inputs]
    spots, nominal = file_of(study).find(paths), nominal_values(study, paths)
    found = []
    for swept, (low, high) in zip(design.inputs, box(study, design), strict=True):
        spot = spots[swept.path]
        bounds = limits(spot)
        value = float(f"{nominal[swept.path]:.6g}")
        found.append(
            Knob(
                swept.path,
                swept.unit,
                swept.scale,
                swept.evidence,
                spot.parameter.description,
                low,
                high,
                *bounds,
                value,
            )  # fmt: skip
        )
    return tuple(found)


def _full_course(record: ArmRecord, inside: bool, count: int) -> ArmCourse:
    """The course of a full-order record; a failed one ends where it failed."""
    trouble = "" if record.failure is None else f"{record.status}: {record.failure.reason}"
    numbers = {
        name: np.array([*values, *[math.nan] * (count - len(values))], dtype=np.float64)
        for name, values in record.readouts.items()
    }
    return ArmCourse(record.name, inside, trouble, {} if trouble else numbers)


def _number_text(value: float, unit: str) -> str:
    return repr(float(value)) if unit == "dimensionless" else f'"{float(value)!r} {unit}"'
