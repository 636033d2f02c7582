"""What an answer rests on: the numbers, with their evidence words, that move it most, from one gradient.

    e_p = d ln r / d ln p

p: a parameter of the scenario (all regions and events together) or the retained share of a dose; r: a readout at a time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from discsim.quantities.parameters import EVIDENCE_WORDS, REGIONS

if TYPE_CHECKING:
    from discsim.study.gradient import DifferentiableRun
    from discsim.study.parameter_table import UsedParameter


@dataclasses.dataclass(frozen=True)
class Rest:
    """A number that an answer rests on: percent by which each readout changes per percent of it, and its weakest evidence."""

    path: str
    evidence: str
    source: str
    elasticities: Mapping[str, float]

    @property
    def size(self) -> float:
        """The largest of its elasticities."""
        return max(abs(value) for value in self.elasticities.values())


def rests_on(
    run: DifferentiableRun, asked: Mapping[str, tuple[str, float]], parameters: Iterable[UsedParameter]
) -> tuple[Rest, ...]:
    """All numbers that move the readouts asked for (name -> readout and time in s), the strongest first."""
    shares = {name: _elasticities(run, *what) for name, what in asked.items()}
    weakest: dict[str, UsedParameter] = {}
    for row in parameters:
        path = row.path.removesuffix("." + row.path.rpartition(".")[2]) if row.path.rpartition(".")[2] in REGIONS else row.path
        known = weakest.get(path)
        if known is None or EVIDENCE_WORDS.index(row.evidence) > EVIDENCE_WORDS.index(known.evidence):
            weakest[path] = row
    found = []
    for path, row in weakest.items():
        own = {name: share[path] for name, share in shares.items() if path in share}
        if any(own.values()):
            found.append(Rest(path, row.evidence, row.source, own))
    return tuple(sorted(found, key=lambda rest: -rest.size))


def _elasticities(run: DifferentiableRun, readout: str, time: float) -> dict[str, float]:
    value = run.value(readout, time)
    by_path, by_dose = run.relative(readout, time)
    found = {path: slope / value for path, slope in by_path.items()} if value else {}
    index = 0
    for number, therapy in enumerate(run.study.scenarios[run.scenario].therapies):
        count = len(therapy.doses())
        if value and "retained_fraction" in therapy.values:
            found[f"scenarios.{run.scenario}.therapy.{number}.retained_fraction"] = (
                float(by_dose[index : index + count].sum()) / value
            )
        index += count
    return found
