"""Whether a number of the experiment file acts on a scenario at all, told from what an engine is given; nothing is solved."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from discsim.problem.problem import Arm
from discsim.scenario.therapy import Dose, Place
from discsim.study.messages import ConfigError
from discsim.study.numbers import file_of, limits, nominal_values, with_values

if TYPE_CHECKING:
    from discsim.study.paths import Spot
    from discsim.study.study import Study

CENTRE = "centre"
VOLUME_WORDS = f'a volume acts only with place = "{CENTRE}"'


def acts(study: Study, scenario: str, path: str, value: float) -> bool:
    """Whether an engine is given anything else for a scenario where the number at ``path`` is ``value`` (declared unit)."""
    try:
        arms = (study.problem().arms, with_values(study, {path: value}).problem().arms)
    except ConfigError:  # other scenarios do not agree with this value: it is not for this question to say so
        return True
    one, other = (_given(next(arm for arm in found if arm.name == scenario)) for found in arms)
    return one != other


def _given(arm: Arm) -> tuple[Any, ...]:
    return arm.mesh.hash, arm.values, arm.chosen, tuple(map(_felt, arm.doses)), arm.changes, arm.start, arm.duration


def _felt(dose: Dose) -> Dose:
    """The dose without what its place does not use."""
    return dose if dose.place.kind == CENTRE else dataclasses.replace(dose, place=Place(dose.place.kind, dose.place.region))


def idle_volumes(study: Study, raw: Mapping[str, Any]) -> Iterator[str]:
    """A line for every volume that a file (``raw``: as it stands there) gives or varies, and that acts on nothing."""
    for name, table in raw.get("scenarios", {}).items():
        own = table.get("therapy", ())
        therapies = study.scenarios[name].therapies[len(study.scenarios[name].therapies) - len(own) :]
        for index, (given, therapy) in enumerate(zip(own, therapies, strict=True)):
            if "volume" in given and therapy.chosen.get("place") != CENTRE:
                yield _line(f"scenarios.{name}.therapy.{index}.volume", f"given {given['volume']}", therapy.chosen["place"])
    vary = study.design.get("vary", {})
    for path, spot in file_of(study).find(vary).items() if vary else ():
        if path.endswith(".volume") and not any(acts(study, name, path, _other(study, path, spot)) for name in study.scenarios):
            yield _line(f"design.vary.{path}", "varied", "nucleus")


def _other(study: Study, path: str, spot: Spot) -> float:
    """A value within the bounds of a number that it does not have."""
    low, high = limits(spot)
    return high if nominal_values(study, [path])[path] < 0.5 * (low + high) else low


def _line(path: str, what: str, place: str) -> str:
    return f'warning: {path}: {what}, but {VOLUME_WORDS}; here place = "{place}", and the dose fills the region'
