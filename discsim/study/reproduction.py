"""Golden results: the numbers an experiment gave, kept small beside its file, and how far a rerun is from them.

Tiers say what may differ between the two runs, and so by how much numbers may: T1 the run alone (nothing may), T2 batch, threads
or processor (5.5e-6 of the largest value that a readout has in that arm), T3 versions of libraries (1e-3 of it).
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypedDict

from discsim.problem.problem import YEAR
from discsim.study.provenance import code_state, now
from discsim.study.result import Result
from discsim.study.store import ResultError, write_text_file

GOLDEN, SCHEMA = "golden.json", "discsim-golden/1"
TIERS = {"T1": 0.0, "T2": 5.5e-6, "T3": 1e-3}
_MEND = "; fetch it anew, or keep the numbers of this version with --update --reason"


class Kept(TypedDict):
    """When, by which code and why numbers were kept, and how far they moved from those before."""

    date: str
    code: str
    reason: str
    largest_relative_change: str


@dataclasses.dataclass(frozen=True)
class Numbers:
    """Readouts of every arm at the times of the study's table. ``values[arm][readout]``: one number or none per time;
    ``config_hash``: SHA-256 of the experiment with every default written out; ``times``: s."""

    config_hash: str
    engine: str
    times: tuple[float, ...]
    units: dict[str, str]
    status: dict[str, str]
    values: dict[str, dict[str, list[float | None]]]
    history: tuple[Kept, ...] = ()

    def __post_init__(self) -> None:
        """Every arm has a status, and of every readout a number or none per time; raises ``ValueError`` where not."""
        if self.status.keys() != self.values.keys():
            raise ValueError(f"status of {', '.join(self.status)}, but values of {', '.join(self.values)}")
        for arm, readouts in self.values.items():
            if readouts.keys() != self.units.keys():
                raise ValueError(f"{arm} has {', '.join(readouts)}, but there are units of {', '.join(self.units)}")
            for readout, column in readouts.items():
                if len(column) != len(self.times):
                    raise ValueError(f"{arm} has {len(column)} values of {readout} at {len(self.times)} times")


@dataclasses.dataclass(frozen=True)
class Difference:
    """A readout of an arm at a time (years), kept and found; ``relative``: over the largest kept value of that readout there
    (none where one of the two has no number)."""

    arm: str
    readout: str
    unit: str
    years: float
    kept: float | None
    found: float | None
    relative: float | None
    within: bool


def numbers_of(result: Result) -> Numbers:
    """The numbers of a result."""
    arms = result.scenario_names
    return Numbers(
        str(result.tree.attrs["discsim_config_hash"]),
        str(result.tree.attrs.get("discsim_engine", "")),
        result.table_times,
        {readout: result.unit(readout) for readout in result.readout_names},
        {arm: str(result[arm].status) for arm in arms},
        {arm: {r: [result[arm].value_at(r, t) for t in result.table_times] for r in result.readout_names} for arm in arms},
    )


def differences(kept: Numbers, found: Numbers, tier: str) -> list[Difference]:
    """Every number of ``kept`` against its counterpart; raises ``ResultError`` where the two are not of one experiment."""
    for what in ("times", "units", "values"):
        mine, other = (sorted(map(str, getattr(numbers, what))) for numbers in (kept, found))
        if mine != other:
            raise ResultError(f"the kept numbers have other {what} ({', '.join(mine)}) than the run ({', '.join(other)})")
    rows = []
    for arm, readouts in kept.values.items():
        for readout, column in readouts.items():
            size = max((abs(value) for value in column if value is not None), default=0.0)
            for time, a, b in zip(kept.times, column, found.values[arm][readout], strict=True):
                relative = None if a is None or b is None else _share(abs(b - a), size)
                within = a is b is None if relative is None else relative <= TIERS[tier]
                rows.append(Difference(arm, readout, kept.units[readout], time / YEAR, a, b, relative, within))
    return rows


def _share(difference: float, size: float) -> float:
    return difference / size if size > 0.0 else (0.0 if difference == 0.0 else math.inf)


def changed_status(kept: Numbers, found: Numbers) -> dict[str, tuple[str, str]]:
    """Arms that ended otherwise than they did: kept and found status."""
    return {arm: (word, found.status[arm]) for arm, word in kept.status.items() if found.status[arm] != word}


def largest(rows: Iterable[Difference]) -> dict[tuple[str, str], Difference]:
    """By arm and readout the row with the largest difference; one without a number counts as the largest."""
    found: dict[tuple[str, str], Difference] = {}
    for row in rows:
        before = found.get((row.arm, row.readout))
        if before is None or _size(row) > _size(before):
            found[row.arm, row.readout] = row
    return found


def _size(row: Difference) -> float:
    if row.relative is None:
        return -1.0 if row.within else math.inf
    return row.relative


def read_golden(path: Path) -> Numbers:
    """Kept numbers; raises ``ResultError`` where there are none, or none that this version reads."""
    if not path.is_file():
        raise ResultError(f'{path}: no golden result; discsim reproduce FILE --update --reason "..." makes one')
    from pydantic import TypeAdapter, ValidationError

    try:
        text = path.read_text(encoding="utf-8")
        table = json.loads(text)
        if not isinstance(table, dict) or table.get("schema") != SCHEMA:
            raise ResultError(f"{path}: no golden result that this discsim reads (schema {SCHEMA})")
        return TypeAdapter(Numbers).validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ResultError(f"{path}: damaged ({f'{place}: ' if place else ''}{first['msg']}){_MEND}") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ResultError(f"{path}: damaged ({' '.join(str(error).split())[:120]}){_MEND}") from None


def write_golden(path: Path, found: Numbers, before: Numbers | None, reason: str) -> Path:
    """Keep numbers, with date, code and reason, and how far they moved from those before."""
    moved = "first"
    if before is not None:
        try:
            sizes = [row.relative for row in differences(before, found, "T3") if row.relative is not None]
            moved = f"{max(sizes, default=0.0):.2g}"
        except ResultError as error:
            moved = f"not comparable: {error}"
    entry: Kept = {"date": now(), "code": str(code_state()), "reason": reason, "largest_relative_change": moved}
    kept: dict[str, Any] = dataclasses.asdict(found) | {"history": [*(before.history if before else ()), entry]}
    write_text_file(path, json.dumps({"schema": SCHEMA, **kept}, indent=1) + "\n")
    return path
