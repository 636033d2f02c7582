"""Mechanisms that only some scenarios of a study have: they act there and nowhere else, though all arms share one composition.

What comes with a therapy is neutral where nothing is dosed and needs none of this. Any other mechanism that a scenario lacks
is multiplied by its gate: rates, losses, conversions and drives, 1 in the arms that have it and 0 in the others. Boundaries,
diffusivities, cells that are there from the start and values that others read cannot be multiplied away: they are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from discsim.biology.mechanism import Composition, CompositionError, Mechanism, gate_path
from discsim.quantities.parameters import ParameterError
from discsim.scenario.scenario import Scenario


def gated_labels(scenarios: Mapping[str, Scenario]) -> tuple[str, ...]:
    """Labels of the mechanisms that some scenarios have and others lack, those of therapies left out, in order."""
    dosed = {therapy.label for scenario in scenarios.values() for therapy in scenario.therapies}
    carried = [{mechanism.label for mechanism in scenario.mechanisms} for scenario in scenarios.values()]
    everywhere = set.intersection(*carried) if carried else set()
    labels = dict.fromkeys(mechanism.label for scenario in scenarios.values() for mechanism in scenario.mechanisms)
    return tuple(label for label in labels if label not in everywhere and label not in dosed)


def gates(scenario: Scenario, labels: tuple[str, ...]) -> dict[str, float]:
    """The gates of one arm by path: 1 where the scenario has the mechanism, 0 where it lacks it."""
    own = {mechanism.label for mechanism in scenario.mechanisms}
    return {gate_path(label): float(label in own) for label in labels}


def shared_composition(scenarios: Mapping[str, Scenario], union: Mapping[str, Mechanism]) -> Composition:
    """The composition of all arms, with gates; raises ``ParameterError`` where one mechanism cannot be kept out of an arm."""
    labels = gated_labels(scenarios)
    try:
        composition = Composition(union.values(), gated=labels)
    except CompositionError:
        for name, scenario in scenarios.items() if labels else ():
            _compose(name, scenario)
        raise
    for label in labels:
        has = [name for name, scenario in scenarios.items() if label in {m.label for m in scenario.mechanisms}]
        lacks = [name for name in scenarios if name not in has]
        reason = next(_obstacles(union[label], composition, {name: scenarios[name] for name in lacks}), None)
        if reason is not None:
            raise ParameterError(
                f"mechanism {label!r} is in {', '.join(has)} and not in {', '.join(lacks)}, but {reason}, which cannot be kept "
                "out of an arm; give it to every scenario (with a number that makes it do nothing), or make two studies"
            )
    return composition


def _compose(name: str, scenario: Scenario) -> None:
    try:
        Composition(scenario.all_mechanisms())
    except CompositionError as error:
        raise CompositionError(f"scenario {name}: {error}") from None


def _obstacles(mechanism: Mechanism, composition: Composition, lacking: Mapping[str, Scenario]) -> Iterator[str]:
    """What a mechanism does that no gate can undo."""
    if hasattr(mechanism, "diffusivities"):
        yield "it gives diffusivities"
    if type(mechanism).boundaries is not Mechanism.boundaries:
        yield "it gives boundaries"
    brought = _fields_of_its_own(mechanism, lacking)
    for name in brought:
        field = composition.fields[name]
        if field.kind == "cells" and field.initial != 0.0:
            yield f"its cells {name!r} are there from the start"
    given = {*composition.reads_and_gives(mechanism.label)[1], *brought}
    for scenario, what in lacking.items():
        for other in what.all_mechanisms():
            read = [name for name in composition.reads_and_gives(other.label)[0] if name in given]
            if read:
                yield f"{other.label} in {scenario} reads its {read[0]!r}"


def _fields_of_its_own(mechanism: Mechanism, lacking: Mapping[str, Scenario]) -> list[str]:
    """Full names of the fields that the scenarios without the mechanism would not have."""
    elsewhere = {m.full_name(field.name) for s in lacking.values() for m in s.all_mechanisms() for field in m.fields()}
    own = [mechanism.full_name(field.name) for field in mechanism.fields()]
    return [name for name in own if name not in elsewhere]
