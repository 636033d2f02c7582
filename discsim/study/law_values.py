"""The user's own laws at a few states that every disc comes near: a rate that is no number, or a loss that makes more, is told
before an engine starts. An engine would say of the first that it does not converge, and of the second nothing.

States are those of the composition at the start, in every region: as it is, with solutes at a hundredth, and with an amount of
what is not there yet (an injected cell, a vector). A law may still fail at others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from discsim.biology.mechanism import Changes, Mechanism
from discsim.problem.point import PointModel, bound_material
from discsim.quantities.parameters import REGIONS
from discsim.study.messages import Mistake, Shown

if TYPE_CHECKING:
    from discsim.problem.problem import Problem

STARVED = 0.01  # of the solutes at the start
NUMBER, NO_GAIN = "a number", "0 or more: what makes a field grow is a rate, not a loss or a conversion"


def wrong_values(states: Iterable[tuple[str, Changes]], mechanism: Mechanism, where: str) -> Iterator[Mistake]:
    """The first rate of each kind and field of a mechanism that is no number, and the first loss or conversion below zero."""
    seen: set[tuple[str, bool]] = set()
    for at, changes in states:
        for what, rate, signed in _own(changes, mechanism):
            number = float(rate)
            missing = not math.isfinite(number)
            if (not missing and (signed or number >= 0.0)) or (what, missing) in seen:
                continue
            seen.add((what, missing))
            yield Mistake(where, Shown(f"{what} of {number:.3g} {at}"), NUMBER if missing else NO_GAIN)


def _own(changes: Changes, mechanism: Mechanism) -> Iterator[tuple[str, Any, bool]]:
    """What, the rate, and whether it may be below zero."""
    for kind, table in (("a rate of", changes.sources), ("a loss of", changes.losses)):
        for field, rates in table.items():
            for label, rate in rates:
                if label == mechanism.label:
                    yield f"{kind} {field}", rate, kind == "a rate of"
    for source, into, rate in changes.conversions:
        if {source, into} & {mechanism.full_name(field.name) for field in mechanism.fields()}:
            yield f"a conversion of {source} into {into}", rate, False


def looked_at(problem: Problem) -> Iterator[tuple[str, Changes]]:
    """Every state, where it is, and all that happens there."""
    import jax

    jax.config.update("jax_enable_x64", True)  # as at the door of an engine
    model = PointModel(problem.composition, problem.material)
    fields, values = problem.composition.fields, problem.arms[0].values
    rules = problem.composition.boundaries(values)
    for region in REGIONS:
        parameters = {path: _there(value, region) for path, value in values.items()}
        material = bound_material(problem.material, parameters)
        start = {name: float(material.initial(field.initial)) for name, field in fields.items()}
        for name in model.solutes:
            start[name] = max([float(rule.level) for rule in rules[name].values()] or [start[name]])
        starved = start | {name: STARVED * start[name] for name in model.solutes}
        present = {name: value or 1.0 for name, value in start.items()}
        masks = {f"in_{name}": float(name == region) for name in REGIONS}
        for state, words in ((start, "at the start"), (starved, "without nutrients"), (present, "with some of every field")):
            nodal = {name: state[name] for name in (*model.solutes, *model.signals)}
            pointwise = {name: state[name] for name in (*model.cells, *model.others)}
            yield f"in {region} {words}", model.changes(parameters, pointwise, nodal, 1.0, masks)


def _there(value: Any, region: str) -> Any:
    return value[region] if isinstance(value, Mapping) else value
