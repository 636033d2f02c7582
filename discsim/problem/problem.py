"""The problem: what an engine is given. Both engines get the same one.

A study's arms share one composition (the union of their mechanisms), one event calendar and one rule for steps; an arm
without a therapy has dose zero, and one without a mechanism has its gate closed (``presence``). Amounts are those of the
whole disc; a half model takes its share.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from discsim.biology.mechanism import Composition, Mechanism
from discsim.disc.material import OsmoBiphasic
from discsim.disc.mesh import Mesh
from discsim.problem.presence import gates, shared_composition
from discsim.quantities.fields import GAG, Field
from discsim.quantities.parameters import ParameterError
from discsim.scenario.readouts import READOUTS, Readout
from discsim.scenario.scenario import Scenario, gather_regions
from discsim.scenario.therapy import Dose

DAY = 86400.0
YEAR = 365.25 * DAY

# The healthy steady state is sought with very long steps, until no field changes by more than a share of itself.
HOMEOSTASIS_STEP = 60.0 * YEAR
HOMEOSTASIS_TOLERANCE = 1e-10
HOMEOSTASIS_STEPS = 300


def same_time(a: float, b: float) -> bool:
    """Whether two times (s) are one: text with units may give a month in two ways that differ in the last digits."""
    return abs(a - b) <= 1e-9 * max(abs(a), abs(b)) + 1e-6 * DAY


@dataclasses.dataclass(frozen=True)
class StepRule:
    """How a pilot chooses the step list (times in s). ``tolerance``: local error per step, relative to a field's size."""

    first: float = 0.1 * DAY
    largest: float = 0.5 * YEAR
    growth: float = 2.0
    tolerance: float = 1e-2
    halvings: int = 8

    def halved(self) -> StepRule:
        """The rule whose list has about twice the steps: for the stated discretisation error."""
        return dataclasses.replace(self, first=0.5 * self.first, largest=0.5 * self.largest, tolerance=0.25 * self.tolerance)


@dataclasses.dataclass(frozen=True)
class Tolerances:
    """Where Newton's method stops, the same in both engines: out-of-balance ``force`` (N), solute balance ``rate`` (nmol/s).

    ``rough``: kept factors of some five digits will do on the way there. They end less far below the goal than exact ones.
    """

    force: float = 1e-7
    rate: float = 1e-10
    rough: bool = False


# For thousands of samples: changes no readout by more than 3e-5 of itself in ten years (benchmarks/sweep.py), and takes half of
# the iterations.
SWEEP_TOLERANCES = Tolerances(1e-3, 1e-7, rough=True)


@dataclasses.dataclass(frozen=True)
class Arm:
    """One scenario as numbers: parameter values by path (scalar, or by region), doses, parameter changes in time."""

    name: str
    mesh: Mesh
    values: Mapping[str, Any]
    chosen: Mapping[str, str]
    doses: tuple[Dose, ...]
    changes: tuple[tuple[float, Mapping[str, Any]], ...]
    start: str
    duration: float


@dataclasses.dataclass(frozen=True)
class Problem:
    """Arms that run together, and what is wanted of them."""

    composition: Composition
    material: OsmoBiphasic
    arms: tuple[Arm, ...]
    readouts: tuple[Readout, ...]
    output_times: tuple[float, ...]
    field_times: tuple[float, ...]
    steps: StepRule = StepRule()
    tolerances: Tolerances = Tolerances()

    @property
    def duration(self) -> float:
        """End time, s."""
        return max(arm.duration for arm in self.arms)

    def breakpoints(self) -> tuple[float, ...]:
        """Times that every arm must hit: doses, parameter changes, output times, the end; the shared calendar.

        Times that are one stand there once: an event happens at every end of a step that is its time.
        """
        times = {0.0, self.duration, *self.output_times, *self.field_times}
        for arm in self.arms:
            times |= {dose.at for dose in arm.doses} | {at for at, _ in arm.changes}
        kept = [0.0]
        for t in sorted(t for t in times if t <= self.duration):
            if not same_time(kept[-1], t):
                kept.append(t)
            elif t == self.duration:
                kept[-1] = t
        return tuple(kept)

    def event_times(self) -> tuple[float, ...]:
        """Times at which some arm's dose or parameter change falls: all arms restart their steps there."""
        times = {dose.at for arm in self.arms for dose in arm.doses} | {at for arm in self.arms for at, _ in arm.changes}
        return tuple(sorted(t for t in times if t <= self.duration))


def union_of_mechanisms(scenarios: Mapping[str, Scenario]) -> dict[str, Mechanism]:
    """The mechanisms of all scenarios by label; raises ``ParameterError`` where a label stands for two things."""
    if not scenarios:
        raise ParameterError("no scenario to run")
    union: dict[str, Mechanism] = {}
    for scenario in scenarios.values():
        for mechanism in scenario.all_mechanisms():
            twin = union.setdefault(mechanism.label, mechanism)
            if type(twin) is not type(mechanism):
                raise ParameterError(f"label {mechanism.label!r} stands for {twin.name} and for {mechanism.name}")
            if any(twin.chosen[key] != mechanism.chosen[key] for key in mechanism.structural_options):
                raise ParameterError(f"{mechanism.label}: arms of one study must share structural options such as supply")
    return union


def build_problem(
    scenarios: Mapping[str, Scenario],
    *,
    readouts: tuple[str, ...],
    output_times: tuple[float, ...] = (),
    field_times: tuple[float, ...] | None = None,
    steps: StepRule = StepRule(),
) -> Problem:
    """Arms, union of mechanisms and calendar of some scenarios; raises ``ParameterError`` where they cannot share one."""
    union = union_of_mechanisms(scenarios)
    material = next(iter(scenarios.values())).resolved_disc().material
    composition = shared_composition(scenarios, union)
    arms = tuple(_arm(name, scenario, union, composition.gated) for name, scenario in scenarios.items())
    _check_names(scenarios, arms, readouts)
    end = max(arm.duration for arm in arms)
    if field_times is None:
        field_times = (0.0, end)
    return Problem(
        composition, material, arms, tuple(READOUTS[name] for name in readouts), tuple(output_times), tuple(field_times), steps
    )


def _check_names(scenarios: Mapping[str, Scenario], arms: tuple[Arm, ...], readouts: tuple[str, ...]) -> None:
    unknown = [name for name in readouts if name not in READOUTS]
    if unknown:
        raise ParameterError(f"readout {unknown[0]!r} is not known; there are {', '.join(READOUTS)}")
    durations = {arm.duration for arm in arms}
    if len(durations) > 1:
        raise ParameterError("arms of one study must last equally long")
    plates = {arm.chosen["loading.plate"] for arm in arms}
    if len(plates) > 1:
        raise ParameterError("loading.plate: arms of one study must share it")


def _arm(name: str, scenario: Scenario, union: Mapping[str, Mechanism], gated: tuple[str, ...]) -> Arm:
    values = scenario.values() | gates(scenario, gated)
    for label, mechanism in union.items():  # another arm's mechanism stays at its values: undosed, or its gate closed
        for key, value in mechanism.values.items():
            values.setdefault(f"{label}.{key}", value)
    doses = tuple(dose for therapy in scenario.therapies for dose in therapy.doses())
    declared = {f"{m.label}.{key}": (m, key) for m in union.values() for key in m.parameters()}
    changes, current = [], dict(values)
    for event in sorted(scenario.events, key=lambda event: event.at):
        changes.append((event.at, _numbers(event.changes, declared, current)))
        current |= changes[-1][1]
    numbers = {path: value for path, value in values.items() if not isinstance(value, str)}
    chosen = {path: value for path, value in values.items() if isinstance(value, str)}
    return Arm(name, scenario.resolved_disc().mesh, numbers, chosen, doses, tuple(changes), scenario.start, scenario.seconds)


def _numbers(changes: Mapping[str, Any], declared: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, Any]:
    """An event's changes in internal units; loads and mechanism parameters may change, a person's disc may not.

    ``current`` holds the values before the event: regions that it does not name keep theirs.
    """
    from discsim.scenario.loading import Diurnal

    numbers: dict[str, Any] = {}
    for path, given in gather_regions(changes).items():
        if path in declared:
            mechanism, key = declared[path]
            numbers[path] = mechanism.parameters()[key].value(given, current[path])
        elif path.startswith("loading.") and path[8:] in Diurnal.parameters():
            numbers[path] = Diurnal.parameters()[path[8:]].value(given)
        else:
            raise ParameterError(f"event: {path} cannot change in time; mechanism and loading parameters can")
    return numbers


def matrix_gag_name(fields: Mapping[str, Field]) -> str:
    """Name of the field that carries the fixed charge; raises ``ParameterError`` where no mechanism brings it."""
    if GAG.name not in fields:
        raise ParameterError("no mechanism brings the field 'gag', which carries the fixed charge; add matrix_turnover")
    return GAG.name
