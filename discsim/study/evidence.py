"""Assumed numbers that act on some arms and not on others: they alone may decide which arm comes out first."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from discsim.problem.presence import gated_labels
from discsim.study.parameter_table import UsedParameter, mechanism_rows, therapy_rows

if TYPE_CHECKING:
    from discsim.scenario.scenario import Scenario

# What is injected, how much and when is decided by whoever treats; it is no assumption about nature.
PROTOCOL = ("dose", "volume", "at")


@dataclasses.dataclass(frozen=True)
class PartialAssumption:
    """An assumed number and the arms it acts on (some of the study's, not all)."""

    path: str
    arms: tuple[str, ...]
    source: str


def partial_assumptions(scenarios: Mapping[str, Scenario]) -> tuple[PartialAssumption, ...]:
    """Parameters with evidence "assumed" of therapies and mechanisms that act in some arms but not in all.

    They belong to the therapy (``retained_fraction``), to the mechanism that it brings, or to one that only some scenarios
    have. A therapy whose doses are all zero does not act. A parameter with one value per region is named once per region.
    """
    partial = gated_labels(scenarios)
    arms: dict[str, list[str]] = {}
    sources: dict[str, str] = {}
    for name, scenario in scenarios.items():
        for row in _assumed_rows(name, scenario, partial):
            acting = arms.setdefault(row.path, [])
            if name not in acting:
                acting.append(name)
            sources.setdefault(row.path, row.source)
    return tuple(
        PartialAssumption(path, tuple(acting), sources[path]) for path, acting in arms.items() if len(acting) < len(scenarios)
    )


def assumptions_from_json(text: str) -> tuple[PartialAssumption, ...]:
    """What a result says of itself in ``discsim_partial_assumptions``."""
    return tuple(PartialAssumption(row["path"], tuple(row["arms"]), row["source"]) for row in json.loads(text))


def evidence_line(assumptions: Iterable[PartialAssumption]) -> str:
    """One line that names the assumed numbers, by the arms that they act on; empty where there are none."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for assumption in assumptions:
        groups.setdefault(assumption.arms, []).append(assumption.path)
    if not groups:
        return ""
    parts = [f"only on {', '.join(arms)}: {', '.join(paths)}" for arms, paths in groups.items()]
    return f"assumed numbers acting {'; '.join(parts)}; which of them reverse the order the sweep decides"


def _assumed_rows(name: str, scenario: Scenario, partial: tuple[str, ...]) -> list[UsedParameter]:
    resolved = {mechanism.label: mechanism for mechanism in scenario.all_mechanisms()}
    rows: list[UsedParameter] = []
    for label in partial:
        if label in resolved:
            rows += mechanism_rows(resolved[label], name, scenario.disc.grade)
    for therapy in scenario.therapies:
        if not any(dose.amount > 0.0 for dose in therapy.doses()):
            continue
        protocol = {f"{therapy.label}.{key}" for key in PROTOCOL}
        rows += [row for row in therapy_rows(therapy, name, therapy.label) if row.path not in protocol]
        rows += mechanism_rows(resolved[therapy.label], name, scenario.disc.grade)
    return [row for row in rows if row.evidence == "assumed"]
