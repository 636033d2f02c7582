"""[check]: the reference engine reruns the samples that decide the ranking, and says how far it comes to the same.

Chosen are the closest pairs (samples where the two arms that compete for first place differ least: there a small error turns the
order) of every readout that has a better and a worse side, in turn, the extremes (largest and smallest value of each primary
readout: there the engines are most likely to part) and samples that failed in the sweep.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from discsim.problem.record import ArmRecord
from discsim.study.directions import direction_of
from discsim.study.ensemble import Ensemble
from discsim.study.verdict import RESOLUTION, VerdictError, check_readout, contenders, resolution, time_index, values_at

if TYPE_CHECKING:
    from pydantic import TypeAdapter

CHECK_FILE = "check.json"
# Readouts whose extremes are rerun first, as far as the ensemble has them.
PRIMARY = ("viable_cells", "gag_nucleus", "disc_height")
TOLERANCE = 0.01
_TIME_TOLERANCE = 1e-9

Ranking = Literal["confirmed", "too close to call", "reversed", "not finished"]


class Choice(NamedTuple):
    """A sample to rerun, by its number, and why."""

    number: int
    why: str


@dataclasses.dataclass(frozen=True)
class Compared:
    """One readout of one sample at one time (s) in both engines, arms in one order.

    ``sweep`` and ``reference``: value per arm, nothing where there is none. ``difference``: largest difference between the
    engines over the arms, in the readout's unit; ``relative``: the same in units of the reference value. ``ranking``: whether
    the reference engine has the order of the sweep; nothing for a readout without a direction.
    """

    readout: str
    unit: str
    time: float
    sweep: Mapping[str, float | None]
    reference: Mapping[str, float | None]
    difference: float | None
    relative: float | None
    ranking: Ranking | None


@dataclasses.dataclass(frozen=True)
class CheckedSample:
    """A sample that the reference engine ran: its status per arm in both engines, and the readouts compared."""

    number: int
    why: str
    sweep_status: Mapping[str, str]
    reference_status: Mapping[str, str]
    compared: tuple[Compared, ...]


@dataclasses.dataclass(frozen=True)
class Confirmation:
    """What the check found. ``tolerance``: relative difference below which an order is too close to call."""

    engine: str
    tolerance: float
    samples: tuple[CheckedSample, ...]

    def count(self, readout: str, time: float, ranking: Ranking | None = None) -> int:
        """Samples that were finished in both engines, or those with one outcome, for a readout at a time (s)."""
        found = [one for one in self._of(readout, time) if one.ranking is not None]
        if ranking is not None:
            return sum(one.ranking == ranking for one in found)
        return sum(one.ranking != "not finished" for one in found)

    def largest_difference(self, readout: str, time: float) -> tuple[float, float] | None:
        """Largest difference between the engines, in the readout's unit and relative; nothing where none was compared."""
        pairs = [
            (one.difference, one.relative)
            for one in self._of(readout, time)
            if one.difference is not None and one.relative is not None
        ]
        return (max(pair[0] for pair in pairs), max(pair[1] for pair in pairs)) if pairs else None

    def _of(self, readout: str, time: float) -> list[Compared]:
        return [
            one
            for sample in self.samples
            for one in sample.compared
            if one.readout == readout and math.isclose(one.time, time, rel_tol=_TIME_TOLERANCE, abs_tol=1e-3)
        ]

    def to_json(self) -> str:
        """As JSON; ``confirmation_from_json`` reads it back."""
        return _adapter().dump_json(self, indent=2).decode()

    def save(self, folder: Path) -> Path:
        """Write ``check.json`` into the folder of the sweep."""
        path = folder / CHECK_FILE
        passing = path.with_suffix(".json.part")
        passing.write_text(self.to_json(), encoding="utf-8")
        return passing.replace(path)


@functools.cache
def _adapter() -> TypeAdapter[Confirmation]:
    from pydantic import TypeAdapter

    return TypeAdapter(Confirmation)


def confirmation_from_json(text: str | bytes) -> Confirmation:
    """What ``Confirmation.to_json`` wrote; raises ``pydantic.ValidationError`` for other text."""
    return _adapter().validate_json(text)


def load_confirmation(folder: Path) -> Confirmation | None:
    """The check of a sweep; nothing where none was made. Raises ``VerdictError`` for a file that is none."""
    from pydantic import ValidationError

    path = folder / CHECK_FILE
    if not path.is_file():
        return None
    try:
        return confirmation_from_json(path.read_bytes())
    except ValidationError:
        raise VerdictError(f"{path}: not a check of this version; delete it, and sweep again to repeat the check") from None


def choose(ensemble: Ensemble, count: int, readouts: str | Sequence[str], time: float | None = None) -> list[Choice]:
    """Up to ``count`` samples that decide the ranking at a time (s; the last where left out), each once, and why.

    Half and what the others leave go to the closest pairs, of each readout in turn, about a quarter each to extremes and
    failures. Fewer come back only where the ensemble has fewer. Raises ``VerdictError`` for a readout without a direction, an
    unknown one or time, and where no sample is good in all arms.
    """
    names = (readouts,) if isinstance(readouts, str) else tuple(readouts)
    for name in names:
        check_readout(ensemble, name)
    index = time_index(ensemble, time) if time is not None else len(ensemble.times) - 1
    close = _in_turn(_closest(ensemble, name, index) for name in names)
    quarter = count // 4
    chosen: dict[int, str] = {}
    _take(chosen, _failed(ensemble), quarter)
    _take(chosen, close, (count + 1) // 2)
    _take(chosen, _extremes(ensemble, names, index), count - len(chosen) if quarter == 0 else quarter)
    _take(chosen, close, count - len(chosen))
    return [Choice(number, why) for number, why in list(chosen.items())[:count]]


def _in_turn(groups: Iterable[list[Choice]]) -> list[Choice]:
    """The first of each group, then the second of each, and so on."""
    return [choice for turn in itertools.zip_longest(*groups) for choice in turn if choice is not None]


def _take(chosen: dict[int, str], offered: Iterable[Choice], most: int) -> None:
    for choice in itertools.islice((one for one in offered if one.number not in chosen), max(0, most)):
        chosen[choice.number] = choice.why


def _failed(ensemble: Ensemble) -> list[Choice]:
    """Samples that failed in an arm, in turn from each combination of status words, so that different failures are seen."""
    groups: dict[str, list[Choice]] = {}
    for row in np.flatnonzero(~ensemble.good()):
        words = [f"{name} {ensemble.status[name][row]}" for name in ensemble.scenarios if not ensemble.good(name)[row]]
        why = f"failed: {', '.join(words)}"
        groups.setdefault(why, []).append(Choice(int(ensemble.numbers[row]), why))
    return _in_turn(groups.values())


def _closest(ensemble: Ensemble, readout: str, index: int) -> list[Choice]:
    """Samples by how little the two arms that compete for first place differ, relative to the spread of their difference.

    Arms that are equal stand last: there is no order that an error could turn.
    """
    first, second = contenders(ensemble, readout, index)
    one, other = (values_at(ensemble, name, readout, index) for name in (first, second))
    difference, equal = one - other, np.abs(one - other) <= resolution(one, other)
    rows = np.flatnonzero(np.isfinite(difference) & ensemble.good())
    spread = float(np.std(difference[rows]))
    order = rows[np.lexsort((np.abs(difference[rows]), equal[rows]))]
    unit = ensemble.units[readout]
    found = []
    for row in order:
        share = f", {abs(difference[row]) / spread:.2g} of the spread" if spread > 0.0 else ""
        why = f"closest: {first} less {second} {difference[row]:+.3g} {unit} of {readout}{share}"
        found.append(Choice(int(ensemble.numbers[row]), why))
    return found


def _extremes(ensemble: Ensemble, readouts: Sequence[str], index: int) -> list[Choice]:
    """Largest and smallest value of each primary readout in any arm; a readout that alone is asked about comes first."""
    found = []
    first = readouts if len(readouts) == 1 else ()
    for name in dict.fromkeys((*first, *PRIMARY, *readouts)):
        if name not in ensemble.units:
            continue
        table = np.column_stack([values_at(ensemble, arm, name, index) for arm in ensemble.scenarios])
        table[~ensemble.good()] = np.nan
        if np.isnan(table).all():
            continue
        for word, flat in (("smallest", np.nanargmin(table)), ("largest", np.nanargmax(table))):
            row, arm = np.unravel_index(int(flat), table.shape)
            why = f"{word} {name}: {table[row, arm]:.4g} {ensemble.units[name]} in {ensemble.scenarios[int(arm)]}"
            found.append(Choice(int(ensemble.numbers[row]), why))
    return found


def confirm(
    ensemble: Ensemble,
    choices: Sequence[tuple[int, str]],
    records: Mapping[int, Sequence[ArmRecord]],
    *,
    readouts: Iterable[str] | None = None,
    times: Iterable[float] | None = None,
    tolerance: float = TOLERANCE,
    engine: str = "fem",
) -> Confirmation:
    """What the reference engine makes of the chosen samples; ``records``: sample number -> its arms, as the engine gave them.

    Compared are the readouts (all where left out) at the times (s; all table times where left out). An order is *confirmed* where
    every two arms stand in it as in the sweep, arms that are equal in one engine being within ``tolerance`` in the other; *too
    close to call* where arms change places but differ, in both engines, by less than ``tolerance`` of their value; else
    *reversed*. Raises ``VerdictError`` where records are missing or those of other arms.
    """
    chosen = tuple(ensemble.units) if readouts is None else tuple(readouts)
    for name in chosen:
        check_readout(ensemble, name)
    indices = [time_index(ensemble, time) for time in (ensemble.times if times is None else times)]
    samples = []
    for number, why in choices:
        rows = np.flatnonzero(ensemble.numbers == number)
        if not rows.size:
            raise VerdictError(f"sample {number}: not in the ensemble")
        arms = {record.name: record for record in records.get(number, ())}
        if tuple(arms) != ensemble.scenarios:
            raise VerdictError(
                f"sample {number}: records of {', '.join(arms) or 'nothing'}; wanted {', '.join(ensemble.scenarios)}"
            )
        row = int(rows[0])
        samples.append(
            CheckedSample(
                number,
                why,
                {name: str(ensemble.status[name][row]) for name in ensemble.scenarios},
                {name: str(record.status) for name, record in arms.items()},
                tuple(
                    _compared(ensemble, row, arms, name, index, tolerance) for name in chosen for index in dict.fromkeys(indices)
                ),
            )
        )
    return Confirmation(engine, tolerance, tuple(samples))


def _compared(
    ensemble: Ensemble, row: int, arms: Mapping[str, ArmRecord], readout: str, index: int, tolerance: float
) -> Compared:
    time = float(ensemble.times[index])
    sweep = {name: _number(values_at(ensemble, name, readout, index)[row]) for name in ensemble.scenarios}
    reference = {name: _recorded(record, readout, time) for name, record in arms.items()}
    both = [(a, b) for a, b in zip(sweep.values(), reference.values(), strict=True) if a is not None and b is not None]
    difference = max((abs(a - b) for a, b in both), default=None)
    relative = max((abs(a - b) / abs(b) if b else (0.0 if a == b else math.inf) for a, b in both), default=None)
    direction = direction_of(readout)
    ranking: Ranking | None = None
    if direction is not None:
        ranking = "not finished"
        if len(both) == len(sweep):
            # Which way is better does not matter here: an order is the same, or not, either way.
            ranking = _ranking([a for a, _ in both], [b for _, b in both], tolerance)
    finite = relative if relative is not None and math.isfinite(relative) else None
    return Compared(readout, ensemble.units[readout], time, sweep, reference, difference, finite, ranking)


def _ranking(sweep: Sequence[float], reference: Sequence[float], tolerance: float) -> Ranking:
    """Whether every two arms stand in the same order in both engines."""
    found: Ranking = "confirmed"
    for i, j in itertools.combinations(range(len(sweep)), 2):
        one, other = _sign(sweep[i], sweep[j]), _sign(reference[i], reference[j])
        if one == other:
            continue
        near = all(abs(v[i] - v[j]) <= tolerance * max(abs(v[i]), abs(v[j])) for v in (sweep, reference))
        if not near:
            return "reversed"
        if one * other < 0:
            found = "too close to call"
    return found


def _sign(first: float, second: float) -> int:
    difference = first - second
    return 0 if abs(difference) <= RESOLUTION * max(abs(first), abs(second)) else int(math.copysign(1, difference))


def _recorded(record: ArmRecord, readout: str, time: float) -> float | None:
    """A readout at a time; where an event falls on it, the value after it. Nothing after the end of a run that failed."""
    if not record.status.good or readout not in record.readouts:
        return None
    hits = np.flatnonzero(np.isclose(record.times, time, rtol=_TIME_TOLERANCE, atol=1e-3))
    return _number(record.readouts[readout][hits[-1]]) if hits.size else None


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
