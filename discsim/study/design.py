"""The design of a sweep: which values each sample gives the varied numbers, the same in every scenario."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from discsim.quantities.parameters import EVIDENCE_WORDS
from discsim.study.correlation import pearson_matrix
from discsim.study.design_table import SAMPLED
from discsim.study.ensemble import Floats, SweptInput
from discsim.study.messages import ConfigError, Mistake, Shown
from discsim.study.numbers import file_of, limits, nominal_values, with_values
from discsim.study.paths import Spot
from discsim.study.sampling import correlated, levels, quantiles, range_of, scale_of, unit_samples
from discsim.study.study import Study

__all__ = ["Design", "draw", "nominal_values", "sample_study", "with_values"]


@dataclasses.dataclass(frozen=True)
class Design:
    """What is varied, and the value of every input in every sample. ``seed``: of kinds that draw, else nothing."""

    kind: str
    seed: int | None
    inputs: tuple[SweptInput, ...]

    @property
    def count(self) -> int:
        """Number of samples."""
        return len(self.inputs[0].values)

    def values(self, index: int) -> dict[str, float]:
        """Values of one sample by path, in the unit of each input; raises ``IndexError`` for a number that is no sample's."""
        if not 0 <= index < self.count:
            raise IndexError(f"sample {index}: the design has samples 0 to {self.count - 1}")
        return {swept.path: float(swept.values[index]) for swept in self.inputs}


def draw(study: Study) -> Design:
    """All samples of the [design] of a study.

    ``random`` and ``sobol``: sample i depends on the seed and i alone, not on how many there are (Sobol: for the same number of
    inputs); ``latin_hypercube``: on the count as well, because its slices do. ``grid``: all combinations, the last input
    fastest. ``list``: values side by side. ``one_at_a_time``: sample 0 is nominal, each other one moves a single input to an end
    of its range, or to one of its values. Raises ``ConfigError`` where there is no design, or where its samples cannot be
    built.
    """
    file = file_of(study)
    table = file.design
    if not table:
        raise ConfigError([Mistake("design", Shown("nothing"), "a table [design] with kind and [design.vary]")], "the study")
    vary: Mapping[str, Mapping[str, Any]] = table["vary"]
    spots = file.find(vary)
    kind = str(table["kind"])
    if kind in SAMPLED:
        columns = _sampled(table, spots)
    elif kind == "one_at_a_time":
        columns = _one_at_a_time(vary, spots, nominal_values(study))
    else:
        named = [levels(entry, spots[path].parameter.unit) for path, entry in vary.items()]
        columns = named if kind == "list" else [axis.ravel() for axis in np.meshgrid(*named, indexing="ij")]
    inputs = tuple(
        _input(spots[path], entry, values, reach=kind == "one_at_a_time")
        for (path, entry), values in zip(vary.items(), columns, strict=True)
    )
    design = Design(kind, int(table["seed"]) if kind in SAMPLED else None, inputs)
    sample_study(study, design, design.count - 1)  # scenarios that cannot agree on what varies are refused here, not in the run
    return design


def sample_study(study: Study, design: Design, index: int) -> Study:
    """The study with the values of one sample in every scenario; all else (title, times, steps, design) is kept.

    One at a time, inputs at their nominal values are left as the file has them, so that sample 0 is the nominal study.
    """
    values = design.values(index)
    if design.kind == "one_at_a_time":
        nominal = nominal_values(study, values)
        values = {path: value for path, value in values.items() if value != nominal[path]}
    return with_values(study, values)


def _sampled(table: Mapping[str, Any], spots: Mapping[str, Spot]) -> list[Floats]:
    cube = unit_samples(table["kind"], table["samples"], len(spots), table["seed"])
    if table.get("correlation"):
        matrix = pearson_matrix(table["correlation"], tuple(spots))
        cube = correlated(cube, matrix, keep_slices=table["kind"] == "latin_hypercube")
    return [
        quantiles(table["vary"][path], spot.parameter.unit, limits(spot), cube[:, column])
        for column, (path, spot) in enumerate(spots.items())
    ]


def _one_at_a_time(
    vary: Mapping[str, Mapping[str, Any]], spots: Mapping[str, Spot], nominal: Mapping[str, float]
) -> list[Floats]:
    steps = {path: levels(entry, spots[path].parameter.unit) for path, entry in vary.items()}
    moves = [{}, *({path: value} for path, values in steps.items() for value in values)]
    return [np.array([move.get(path, nominal[path]) for move in moves]) for path in vary]


def _input(spot: Spot, entry: Mapping[str, Any], values: Floats, *, reach: bool) -> SweptInput:
    """One input of the design; ``reach``: its range is what its values reach, the nominal one included."""
    parameter = spot.parameter
    low, high = range_of(entry, parameter.unit, limits(spot))
    if reach:
        low, high = float(values.min()), float(values.max())
    regions = (spot.region,) if spot.region else parameter.regions or (None,)
    weakest = max((parameter.evidence_of(region) for region in regions), key=EVIDENCE_WORDS.index)
    values = np.array(values, dtype=np.float64)
    values.flags.writeable = False
    return SweptInput(spot.path, parameter.unit, scale_of(entry), weakest, low, high, values)
