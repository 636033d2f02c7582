"""An ensemble: what a sweep found, as arrays. Verdicts, sensitivities and checks read this and nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

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
