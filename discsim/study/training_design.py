"""Samples from which a reduced engine is trained: the whole box of a design, evenly, whatever distributions it has."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from discsim.study.design import Design, draw
from discsim.study.ensemble import SweptInput
from discsim.study.numbers import file_of, limits
from discsim.study.paths import Spot
from discsim.study.sampling import quantiles, unit_samples
from discsim.study.study import Study

# A distribution without ends is trained between the quantiles that one sample in 5,000 lies beyond on either side: with five such
# inputs one sample in 500 is left to the full order.
TAIL = 2e-4
ENDLESS = ("normal", "lognormal")  # the others go from end to end, whichever way they are written
TRAINING_SEED = 20_011


def training_design(study: Study, count: int, seed: int = TRAINING_SEED) -> Design:
    """``count`` Sobol samples, even on the scale of every input, from end to end of what the [design] of a study can draw.

    Correlations are left aside: they leave parts of the box empty, and what is trained for the box holds for these too.
    Raises ``ConfigError`` like ``draw``.
    """
    design = draw(study)
    whole = 2 ** math.ceil(math.log2(count))  # of which the first are taken: SciPy warns of other numbers
    cube = unit_samples("sobol", whole, len(design.inputs), seed)[:count]
    ends = box(study, design)
    columns = []
    for column, (swept, (low, high)) in enumerate(zip(design.inputs, ends, strict=True)):
        share = cube[:, column]
        columns.append(low * (high / low) ** share if swept.scale == "log" else low + (high - low) * share)
    inputs = tuple(
        dataclasses.replace(swept, low=low, high=high, values=values)
        for swept, (low, high), values in zip(design.inputs, ends, columns, strict=True)
    )
    return Design("sobol", seed, inputs)


def box(study: Study, design: Design) -> list[tuple[float, float]]:
    """Least and greatest value of every input that the design can draw, tails cut off at ``TAIL``, in the input's unit."""
    table = file_of(study).design
    spots = file_of(study).find(table["vary"])
    return [_ends(table["vary"].get(swept.path), spots.get(swept.path), swept) for swept in design.inputs]


def _ends(entry: Mapping[str, Any] | None, spot: Spot | None, swept: SweptInput) -> tuple[float, float]:
    if entry is not None and spot is not None and entry.get("dist") in ENDLESS:
        tails = quantiles(entry, spot.parameter.unit, limits(spot), np.array([TAIL, 1.0 - TAIL]))
        return float(tails[0]), float(tails[1])
    if np.isfinite([swept.low, swept.high]).all():
        return swept.low, swept.high
    return float(swept.values.min()), float(swept.values.max())
