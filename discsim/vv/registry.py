"""Verification and validation: cases as data and functions, run by ``discsim vv`` and by tests.

Every row has a role, given before its first run: *input* (a number the model was given), *calibration* (a number it was
fitted to), *verification* (an exact or own-calculation value that the code must reproduce), *validation* (a measurement
or an independent model). Only validation rows count as validation. Bands are those of the target; where a measured
target has none it is +/-20 % for pressures and +/-30 % for the rest.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Iterable
from typing import Literal

Role = Literal["input", "calibration", "verification", "validation", "report"]


@dataclasses.dataclass(frozen=True)
class Row:
    """One compared number.

    ``low``/``high`` is the pass band (None: reported, not judged); ``id`` is the target's where it has one.
    """

    id: str
    quantity: str
    unit: str
    computed: float
    expected: float | None
    low: float | None
    high: float | None
    role: Role
    note: str = ""

    @property
    def inside(self) -> bool | None:
        """Whether the number lies in its band; None where there is none."""
        if self.low is None and self.high is None:
            return None
        above = self.low is None or self.computed >= self.low
        return above and (self.high is None or self.computed <= self.high)


@dataclasses.dataclass(frozen=True)
class Case:
    """A named set of rows. ``slow`` cases run in ``discsim vv`` only; ``known_misses`` are row ids that miss, with the reason."""

    name: str
    group: str
    description: str
    function: Callable[[], list[Row]]
    slow: bool = False
    known_misses: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Rows of a case that ran.

    ``unexpected`` lists rows that miss without a stated reason, or that meet although stated to miss.
    """

    case: Case
    rows: list[Row]
    seconds: float

    @property
    def unexpected(self) -> list[str]:
        """Row ids whose verdict differs from what the case states."""
        return [
            row.id for row in self.rows if (row.inside is False) != (row.id in self.case.known_misses) and row.inside is not None
        ]


def cases() -> list[Case]:
    """All cases: the ``CASES`` of every module of this room."""
    import discsim.vv

    found: list[Case] = []
    for module in pkgutil.iter_modules(discsim.vv.__path__):
        found += getattr(importlib.import_module(f"discsim.vv.{module.name}"), "CASES", [])
    return found


def groups() -> dict[str, list[Case]]:
    """Cases by group."""
    grouped: dict[str, list[Case]] = {}
    for case in cases():
        grouped.setdefault(case.group, []).append(case)
    return grouped


def run(chosen: Iterable[Case]) -> list[Outcome]:
    """Run cases one after another."""
    import time

    outcomes = []
    for case in chosen:
        start = time.perf_counter()
        rows = case.function()
        outcomes.append(Outcome(case, rows, time.perf_counter() - start))
    return outcomes
