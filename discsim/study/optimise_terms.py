"""What an optimisation asks for, in the words of the command line: a goal, the numbers sought, and constraints."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from discsim.quantities import units
from discsim.scenario.readouts import READOUTS
from discsim.study.messages import nearest
from discsim.study.numbers import file_of, limits, nominal_values
from discsim.study.paths import Spot
from discsim.study.sampling import range_of, scale_of

if TYPE_CHECKING:
    from discsim.study.study import Study

_CONSTRAINT = re.compile(r"\s*(?P<name>\w+)\s*(?:@\s*(?P<time>[^<>=]+?))?\s*(?P<sense>>=|<=)\s*(?P<limit>.+?)\s*")


class OptimiseError(ValueError):
    """A request that cannot be met as it stands; one line."""


@dataclasses.dataclass(frozen=True)
class Goal:
    """The readout to maximise or minimise, at a time (s)."""

    readout: str
    time: float
    maximise: bool


@dataclasses.dataclass(frozen=True)
class Constraint:
    """``readout`` at least (``sense`` ">=") or at most ("<=") ``limit``, in the readout's unit, at each of some times (s)."""

    readout: str
    sense: str
    limit: float
    times: tuple[float, ...]

    def margin(self, value: float) -> float:
        """How far a value lies on the allowed side."""
        return value - self.limit if self.sense == ">=" else self.limit - value

    @property
    def sign(self) -> float:
        """Derivative of the margin by the value."""
        return 1.0 if self.sense == ">=" else -1.0

    @property
    def size(self) -> float:
        """What margins are compared with."""
        return abs(self.limit) or 1.0


@dataclasses.dataclass(frozen=True)
class Variable:
    """A number that is sought within ``low`` and ``high`` (unit of its declaration), evenly on ``scale`` (linear or log).

    ``note``: why the search does not start where the file has the number; empty where it does.
    """

    path: str
    unit: str
    low: float
    high: float
    scale: str
    start: float
    note: str = ""

    def value(self, share: float) -> float:
        """The number at a share 0..1 of the way from low to high."""
        share = min(max(share, 0.0), 1.0)
        if share in (0.0, 1.0):
            return self.high if share else self.low
        if self.scale == "log":
            return self.low * (self.high / self.low) ** share
        return self.low + share * (self.high - self.low)

    def share(self, value: float) -> float:
        """Where a number lies between low and high, 0..1."""
        value = min(max(value, self.low), self.high)
        if self.scale == "log":
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def slope(self, value: float) -> float:
        """Derivative of the number by its share."""
        return value * math.log(self.high / self.low) if self.scale == "log" else self.high - self.low


def parse_goal(text: str, maximise: bool, study: Study) -> Goal:
    """From NAME@TIME, such as gag_nucleus@10 year; the time may be left out: the last."""
    name, _, time = text.partition("@")
    option = "--maximise" if maximise else "--minimise"
    return Goal(_readout(option, text, name.strip()), _time(option, text, time, study), maximise)


def parse_constraint(text: str, at_all_times: bool, goal: Goal, study: Study) -> Constraint:
    """From NAME >= LIMIT, such as glucose_min >= 0.5 mM, or NAME@TIME >= LIMIT; without a time: at that of the goal."""
    option, found = "--subject-to", _CONSTRAINT.fullmatch(text)
    if found is None:
        raise OptimiseError(f'{option}: given "{text}"; allowed: NAME >= LIMIT or NAME <= LIMIT, such as "glucose_min >= 0.5 mM"')
    name = _readout(option, text, found["name"])
    limit = _limit(option, text, found["limit"], READOUTS[name].unit)
    if found["time"]:
        times: tuple[float, ...] = (_time(option, text, found["time"], study),)
    else:
        times = study.problem().output_times if at_all_times else (goal.time,)
    return Constraint(name, found["sense"], limit, times)


def parse_variables(
    study: Study, over: Sequence[str], lows: Mapping[str, str] | None = None, highs: Mapping[str, str] | None = None
) -> tuple[Variable, ...]:
    """The numbers sought, each from where the file has it.

    Range: ``lows`` and ``highs`` (text with unit by path), else that of the path in [design.vary], else the bounds of the
    declaration. Scale: log where [design.vary] says so. A time keeps the length of the first step away from start and end, and
    the search begins no nearer to an output time: steps begin anew there, and readouts have no slope.
    """
    lows, highs = dict(lows or {}), dict(highs or {})
    file = file_of(study)
    spots = file.find(over)
    if not spots:
        raise OptimiseError("--over: name at least one number, such as scenarios.cells.therapy.0.dose")
    for option, table in (("--from", lows), ("--to", highs)):
        for path in table:
            if path not in spots:
                raise OptimiseError(f"{option} {path}: not among the numbers sought ({', '.join(spots)})")
    nominal = nominal_values(study, spots)
    vary = {spot.path: file.design["vary"][path] for path, spot in file.find(file.design.get("vary", ())).items()}
    return tuple(
        _variable(study, path, spot, vary.get(spot.path), lows.get(path), highs.get(path), nominal[path])
        for path, spot in spots.items()
    )


def _variable(
    study: Study, path: str, spot: Spot, entry: Mapping[str, object] | None, low: str | None, high: str | None, start: float
) -> Variable:
    bounds, unit, given = limits(spot), spot.parameter.unit, start
    least, most = bounds if entry is None else range_of(entry, unit, bounds)
    scale = "linear" if entry is None else scale_of(entry)
    least = least if low is None else _limit("--from", f"{path}={low}", low, unit)
    most = most if high is None else _limit("--to", f"{path}={high}", high, unit)
    if low is not None and high is not None and not least < most:
        raise OptimiseError(
            f"--over {path}: --from {low} --to {high}: the lower end must be below the upper end; exchange the two"
        )
    timed = spot.parameter.internal == "s" and path.endswith(".at")
    if timed:
        apart = units.factor("s", unit) * study.steps.first
        least, most = max(least, apart), min(most, bounds[1] - apart)
        calendar = [units.factor("s", unit) * time for time in study.problem().output_times]
        if any(abs(start - time) < apart for time in calendar):
            start += apart
    if not bounds[0] <= least < most <= bounds[1] * (1.0 + 1e-12):
        raise OptimiseError(
            f"--over {path}: given {least:g} to {most:g} {unit}; allowed: a range within {bounds[0]:g} to {bounds[1]:g} {unit}; "
            "set it with --from and --to"
        )
    if scale == "log" and least <= 0.0:
        raise OptimiseError(f"--over {path}: given {least:g} {unit} as lower end of a log scale; allowed: above zero; set --from")
    start = min(max(start, least), most)
    return Variable(path, unit, least, most, scale, start, "" if start == given else _moved(path, unit, given, start, timed))


def _moved(path: str, unit: str, given: float, start: float, timed: bool) -> str:
    """Why a search starts elsewhere than where the file has a number."""
    plain = "" if unit == "dimensionless" else f" {unit}"
    where = f"{path}: the search starts at {start:g}{plain}, not at the {given:g}{plain} of the file: "
    if timed:
        return (
            where + "at start, end and output times of a run there is no slope by time, and the range ends a first step from them"
        )
    return where + "that lies outside the range"


def _readout(option: str, text: str, name: str) -> str:
    if name not in READOUTS:
        near = nearest(name, tuple(READOUTS))
        hint = f"; did you mean {near}?" if near else ""
        raise OptimiseError(f'{option}: given "{text}"; allowed readouts: {", ".join(READOUTS)}{hint}')
    return name


def _time(option: str, text: str, time: str, study: Study) -> float:
    times = study.problem().output_times
    if not times:
        raise OptimiseError(f'{option}: given "{text}"; the study has no output time; set output.times')
    if not time.strip():
        return times[-1]
    try:
        asked = units.parse(time.strip().strip("\"'"), "s")
    except units.UnitError as error:
        raise OptimiseError(f'{option}: given "{text}"; allowed: NAME@TIME such as gag_nucleus@10 year; {error}') from None
    near = min(times, key=lambda one: abs(one - asked))
    if abs(near - asked) > 1e-6 * asked + 1.0:
        known = ", ".join(f"{units.factor('s', 'year') * one:g} year" for one in times)
        raise OptimiseError(f'{option}: given "{text}"; allowed: an output time ({known}); add it to output.times')
    return near


def _limit(option: str, text: str, limit: str, unit: str) -> float:
    """A number in ``unit``; words that are no unit of physics (million, 1) are taken as they stand."""
    number, _, own = limit.strip().partition(" ")
    try:
        if own.strip() == unit or (not own.strip() and unit in ("1", "dimensionless")):
            found = float(number)
        elif unit in ("1", "million"):
            raise ValueError(f"unit {own!r}")
        else:
            found = units.parse(limit, unit)
    except (units.UnitError, ValueError) as error:
        shown = "" if unit in ("1", "dimensionless") else f" {unit}"
        raise OptimiseError(f'{option}: given "{text}"; allowed: a number such as 0.5{shown}; {error}') from None
    if not math.isfinite(found):
        raise OptimiseError(f'{option}: given "{text}"; allowed: a finite number')
    return found
