"""The record of one arm: readouts in time, fields at some times, the cell ledger, status and step history."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from discsim.problem.problem import same_time
from discsim.problem.status import Failure, Status


@dataclasses.dataclass
class FieldFrame:
    """Fields at one time (s).

    ``corners``: name -> (cells, vertices per cell) current values; ``displacement``: (vertices, dim) mm.
    """

    time: float
    corners: dict[str, np.ndarray]
    displacement: np.ndarray


@dataclasses.dataclass
class ArmRecord:
    """What an engine gives back for one arm.

    ``times`` (s) are the shared steps; ``readouts`` name -> values at these times; ``ledger`` name -> cumulative amounts of
    the whole disc; ``frames`` fields at the asked times; ``points`` (vertices, dim) mm, ``cells``
    (cells, vertices per cell) and ``cell_regions`` the reference mesh they live on;
    ``history`` one row per accepted step; ``engine`` name of the engine that made the numbers, where a run may use several, and
    ``bars`` its half-widths of error by readout, in the readout's unit, one per time (nothing: solved to the solver's tolerance).
    """

    name: str
    times: list[float] = dataclasses.field(default_factory=list)
    readouts: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    ledger: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    frames: list[FieldFrame] = dataclasses.field(default_factory=list)
    points: np.ndarray | None = None
    cells: np.ndarray | None = None
    cell_regions: np.ndarray | None = None
    status: Status = Status.PENDING
    failure: Failure | None = None
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    engine: str = ""
    bars: dict[str, list[float]] = dataclasses.field(default_factory=dict)

    def at_ends(self, ends: Sequence[float]) -> ArmRecord:
        """The record at those of its times alone that are among ``ends`` (s)."""
        places = [place for place, time in enumerate(self.times) if any(same_time(time, end) for end in ends)]

        def thinned(series: dict[str, list[float]]) -> dict[str, list[float]]:
            return {name: [values[place] for place in places] for name, values in series.items()}

        times = [self.times[place] for place in places]
        readouts, ledger, bars = thinned(self.readouts), thinned(self.ledger), thinned(self.bars)
        return dataclasses.replace(self, times=times, readouts=readouts, ledger=ledger, bars=bars)
