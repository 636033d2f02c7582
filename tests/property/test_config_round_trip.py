"""Whatever study is written as an experiment file, the file gives the same problem again, to the last bit."""

from __future__ import annotations

import dataclasses
import string
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from discsim.biology.mechanisms import CATALOGUE, DEFAULT
from discsim.disc.disc import Disc, Geometry
from discsim.disc.material import OsmoBiphasic
from discsim.problem.problem import StepRule
from discsim.quantities import units
from discsim.quantities.parameters import Parameter, Parameterised
from discsim.scenario.loading import Diurnal
from discsim.scenario.readouts import READOUTS
from discsim.scenario.scenario import Event, Scenario
from discsim.scenario.therapy import THERAPIES, Therapy
from discsim.study.config import resolve, study_from_text
from discsim.study.resolve import differences, number_text
from discsim.study.study import Study
from discsim.study.toml_text import parse_text, write_text

SHARED: tuple[type[Parameterised], ...] = (Geometry, OsmoBiphasic, Diurnal, *(CATALOGUE[name] for name in DEFAULT))
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def quantity(parameter: Parameter, share: float, region: str | None = None) -> str:
    """A value inside the bounds as text, in the unit of the declaration."""
    low, high = (parameter.show(bound) for bound in parameter.bounds_of(region))
    number = min(max(low + share * (high - low), low), high)
    return f"{number!r} {parameter.unit}"


@st.composite
def some_values(draw: st.DrawFn, cls: type[Parameterised], *, options: bool = True, most: int = 4) -> dict[str, Any]:
    """A few parameters and options of a class, as a user gives them."""
    parameters = cls.parameters()
    shares = st.floats(0.0, 1.0, allow_nan=False)
    given: dict[str, Any] = {}
    for key in draw(st.lists(st.sampled_from(sorted(parameters)), unique=True, max_size=most)):
        parameter = parameters[key]
        if parameter.regional:
            regions = draw(st.lists(st.sampled_from(parameter.regions), unique=True, min_size=1))
            given[key] = {region: quantity(parameter, draw(shares), region) for region in regions}
        else:
            given[key] = quantity(parameter, draw(shares))
    for key, choices in cls.options.items() if options else ():
        if draw(st.booleans()):
            given[key] = draw(st.sampled_from(sorted(choices)))
    return given


@st.composite
def therapies(draw: st.DrawFn, label: str) -> Therapy:
    """A therapy with some of its numbers and some of its mechanism's."""
    cls = THERAPIES[draw(st.sampled_from(sorted(THERAPIES)))]
    own = draw(some_values(cls))
    own["at"] = f"{draw(st.floats(0.0, 300.0))!r} day"
    if draw(st.booleans()):
        own["place"] = draw(st.sampled_from(cls.structural_options["place"]))
    brought = draw(some_values(cls.mechanism_class))
    return cls(label=f"{label}.{cls.name}", **own, **{key: value for key, value in brought.items() if key not in own})


@st.composite
def changes(draw: st.DrawFn, classes: tuple[type[Parameterised], ...]) -> dict[str, Any]:
    """Values by path, regional ones region by region or as a table."""
    found: dict[str, Any] = {}
    for cls in classes:
        for key, value in draw(some_values(cls, options=False, most=2)).items():
            if isinstance(value, dict) and draw(st.booleans()):
                found |= {f"{cls.name}.{key}.{region}": text for region, text in value.items()}
            else:
                found[f"{cls.name}.{key}"] = value
    return found


def by_region(found: dict[str, Any]) -> dict[str, Any]:
    """Tables of regions as one path per region, as ``with_parameters`` takes them."""
    flat: dict[str, Any] = {}
    for path, value in found.items():
        flat |= {f"{path}.{region}": text for region, text in value.items()} if isinstance(value, dict) else {path: value}
    return flat


@st.composite
def studies(draw: st.DrawFn) -> Study:
    """A study of one to three scenarios that share a disc and mechanisms."""
    disc = Disc.preset(grade=draw(st.sampled_from([1, 3])), mesh_level=1)
    disc = disc.with_parameters({f"materials.{key}": value for key, value in draw(some_values(OsmoBiphasic)).items()})
    structural = {"supply": draw(st.sampled_from(CATALOGUE["nutrition"].structural_options["supply"]))}
    mechanisms = tuple(
        CATALOGUE[name](**draw(some_values(CATALOGUE[name])), **(structural if name == "nutrition" else {})) for name in DEFAULT
    )
    plate = draw(st.sampled_from(Diurnal.structural_options["plate"]))
    base = Scenario(
        disc,
        mechanisms,
        Diurnal(**draw(some_values(Diurnal)), plate=plate),
        duration=f"{draw(st.floats(1.0, 50.0))!r} year",
        start=draw(st.sampled_from(["preset", "homeostasis"])),
    )
    can_change: tuple[type[Parameterised], ...] = (Diurnal, *(CATALOGUE[name] for name in DEFAULT))
    scenarios = {}
    for name in draw(st.lists(st.text(string.ascii_letters, min_size=1, max_size=9), min_size=1, max_size=3, unique=True)):
        scenario = base.with_parameters(by_region(draw(changes(SHARED))))
        for index in range(draw(st.integers(0, 2))):
            scenario = scenario.with_therapy(draw(therapies(f"{name}{index}")))
        events = [
            Event(draw(st.floats(0.0, scenario.seconds)), found)
            for found in draw(st.lists(changes(can_change), max_size=2))
            if found
        ]
        scenarios[name] = dataclasses.replace(scenario, events=tuple(events))
    readouts = draw(st.lists(st.sampled_from(sorted(READOUTS)), min_size=1, unique=True))
    first, largest = sorted(draw(st.tuples(st.floats(3600.0, 1e6), st.floats(3600.0, 1e6))))
    steps = StepRule(first=first, largest=largest, tolerance=draw(st.floats(1e-5, 0.1)))
    title = draw(st.text(max_size=40).filter(str.isprintable))
    return Study(scenarios, tuple(readouts), title=title, steps=steps)


@QUICK
@given(study=studies())
def test_written_study_gives_the_same_problem(study: Study) -> None:
    text = resolve(study)
    again = study_from_text(text)
    assert differences(study.problem(), again.problem()) == []
    for mine, theirs in zip(study.problem().arms, again.problem().arms, strict=True):
        assert mine.values == theirs.values and mine.chosen == theirs.chosen
        assert mine.doses == theirs.doses and mine.changes == theirs.changes
    assert (again.title, again.readouts, again.steps) == (study.title, study.readouts, study.steps)
    assert again.resolved == text  # written a second time it is the same text


def test_differences_see_every_kind() -> None:
    study = Study({"one": Scenario(Disc.preset(grade=3, mesh_level=1))})
    scenario = study.scenarios["one"]
    dosed = scenario.with_therapy(THERAPIES["gene_therapy"](label="gene"))
    others = {
        "values": scenario.with_parameters({"nutrition.demand_factor": 1.1}),
        "mesh": scenario.with_parameters({"disc.radius": "23 mm"}),
        "chosen": scenario.with_parameters({"nutrition.ph_law": "soukane"}),
        "changes": scenario.with_event("1 day", {"nutrition.demand_factor": 1.1}),
        "start": dataclasses.replace(scenario, start="homeostasis"),
        "duration": scenario.with_duration("9 year"),
        "mechanisms": dosed,
    }
    for word, other in others.items():
        found = differences(study.problem(), dataclasses.replace(study, scenarios={"one": other}).problem())
        assert any(entry.startswith(word) for entry in found), (word, found)
    later = scenario.with_therapy(THERAPIES["gene_therapy"](label="gene", at="1 day"))
    assert differences(
        dataclasses.replace(study, scenarios={"one": dosed}).problem(),
        dataclasses.replace(study, scenarios={"one": later}).problem(),
    ) == ["doses of one"]
    assert differences(study.problem(), study.problem()) == []


@QUICK
@given(share=st.floats(0.0, 1.0), which=st.integers(0, 10_000))
def test_numbers_are_written_without_loss(share: float, which: int) -> None:
    parameters = [p for cls in (*SHARED, *CATALOGUE.values(), *THERAPIES.values()) for p in cls.parameters().values()]
    parameter = parameters[which % len(parameters)]
    region = parameter.regions[0] if parameter.regional else None
    low, high = parameter.bounds_of(region)
    value = low + share * (high - low)
    assert units.parse(number_text(parameter, value), parameter.internal) == value


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        number_text(Geometry.parameters()["height"], float("nan"))


TEXTS = st.text(max_size=12)
LEAVES = st.one_of(TEXTS, st.integers(-(2**60), 2**60), st.floats(allow_nan=False, allow_infinity=False), st.booleans())
TABLES = st.recursive(
    st.dictionaries(TEXTS, LEAVES | st.lists(LEAVES, max_size=3), max_size=4),
    lambda inner: st.dictionaries(TEXTS, inner | LEAVES | st.lists(inner, min_size=1, max_size=2), max_size=3),
    max_leaves=12,
)


@given(table=TABLES)
def test_tables_are_written_without_loss(table: dict[str, Any]) -> None:
    text = write_text(table)
    assert parse_text(text) == table
    assert write_text(parse_text(text)) == text
