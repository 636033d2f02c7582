"""An ensemble: what a sweep found, as arrays. Verdicts, sensitivities and checks read this and nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class SweptInput:
    """One number that the design varies: path in the experiment file, unit of ``values``, scale on which it was drawn.

    ``evidence``: evidence word of the parameter (measured, model, recalled, assumed); ``low`` and ``high``: range that the
    design can draw from (infinite where a distribution has no end), in ``unit``; ``values``: one per sample.
    """

    path: str
    unit: str
    scale: str
    evidence: str
    low: float
    high: float
    values: Floats


@dataclasses.dataclass(frozen=True)
class Ensemble:
    """Readouts of all samples of all scenarios, paired: sample i has the same inputs in every scenario.

    ``numbers``: sample numbers (0 .. n-1, those that are there); ``times``: s, table times; ``values[scenario][readout]``:
    shape (samples, times), NaN where the status of that sample and scenario is not good; ``units``, ``digits`` by readout;
    ``status[scenario]`` and ``reasons[scenario]``: one word and one line per sample; ``inputs``: what was varied.
    ``baseline``: the first scenario, which others are compared with.
    ``bars[scenario][readout]``: half-widths of error in the shape of ``values``, 0 where computed at full order, infinite where
    nothing is vouched for; no entries where no number of the sweep has one. ``engine[scenario]``: which engine computed each
    sample, "" where unknown; no entries where no sample says so.
    """

    title: str
    design_kind: str
    seed: int | None
    numbers: NDArray[np.int64]
    times: Floats
    values: Mapping[str, Mapping[str, Floats]]
    units: Mapping[str, str]
    digits: Mapping[str, int]
    status: Mapping[str, NDArray[np.str_]]
    reasons: Mapping[str, NDArray[np.str_]]
    inputs: tuple[SweptInput, ...]
    bars: Mapping[str, Mapping[str, Floats]] = dataclasses.field(default_factory=dict)
    engine: Mapping[str, NDArray[np.str_]] = dataclasses.field(default_factory=dict)

    @property
    def scenarios(self) -> tuple[str, ...]:
        """Names, the baseline first."""
        return tuple(self.values)

    @property
    def baseline(self) -> str:
        """The scenario that the others are compared with."""
        return next(iter(self.values))

    def good(self, *scenarios: str) -> NDArray[np.bool_]:
        """Samples whose numbers may be used in all these scenarios (all scenarios where none is named)."""
        masks = [np.isin(self.status[name], ("ok", "ok_retried")) for name in scenarios or self.scenarios]
        return np.logical_and.reduce(masks)

    def bar(self, scenario: str, readout: str) -> Floats:
        """Half-widths of error (samples, times), in the readout's unit; 0 where computed at full order."""
        found = self.bars.get(scenario, {}).get(readout)
        return np.zeros(np.shape(self.values[scenario][readout])) if found is None else np.asarray(found, float)


def together(engines: Iterable[str]) -> str:
    """The engines of several records in one word or more ("reduced and sweep"), each once; "" where none is named."""
    return " and ".join(dict.fromkeys(sorted(name for name in engines if name)))
