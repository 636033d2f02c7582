"""Numbers by path: a value, and a sample, changes exactly the numbers that it names, as ``--set`` does."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from discsim.disc.disc import Disc
from discsim.problem.problem import Problem, StepRule
from discsim.scenario.scenario import Scenario
from discsim.scenario.therapy import THERAPIES
from discsim.study.config import ConfigError, NotWritable, read_study, study_from_text
from discsim.study.design import draw, nominal_values, sample_study, with_values
from discsim.study.numbers import file_of, limits
from discsim.study.resolve import differences
from discsim.study.study import Study
from discsim.study.toml_text import parse_text

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "experiments" / "cells_vs_gene" / "study.toml"
FILE = (ROOT / "tests" / "data" / "swept.toml").read_text()
PLAIN = study_from_text(FILE)
ALL = ("untreated", "cells", "gene", "both", "fasting", "hungry", "late", "acid")
YEAR = 365.25 * 86400.0


def with_design(table: str) -> str:
    """The file with a design."""
    return f"{FILE}\n{table}"


def one_by_one(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by path, a regional one region by region."""
    flat: dict[str, Any] = {}
    for path, value in values.items():
        flat |= {f"{path}.{region}": one for region, one in value.items()} if isinstance(value, Mapping) else {path: value}
    return flat


def changed(one: Problem, other: Problem) -> set[str]:
    """In which numbers two problems differ: "scenario: path", "scenario: doses", "scenario: mesh", "scenario: events"."""
    assert not {"output_times", "field_times", "steps", "readouts", "mechanisms", "scenarios"} & set(differences(one, other))
    found = set()
    for mine, theirs in zip(one.arms, other.arms, strict=True):
        before, after = one_by_one(mine.values), one_by_one(theirs.values)
        assert before.keys() == after.keys()
        found |= {f"{mine.name}: {path}" for path in before if before[path] != after[path]}
        pairs: dict[str, tuple[Any, Any]] = {"doses": (mine.doses, theirs.doses), "events": (mine.changes, theirs.changes)}
        pairs |= {"mesh": (mine.mesh.hash, theirs.mesh.hash), "choices": (mine.chosen, theirs.chosen)}
        found |= {f"{mine.name}: {word}" for word, (first, second) in pairs.items() if first != second}
    return found


def everywhere(*words: str, without: tuple[str, ...] = ()) -> set[str]:
    """The same in all scenarios."""
    return {f"{name}: {word}" for name in ALL if name not in without for word in words}


REGIONS = ("NP", "inner_AF", "outer_AF", "CEP")
LOSS = tuple(f"matrix_turnover.gag_loss_rate.{region}" for region in REGIONS)
# path, value in the unit of the declaration, what it changes
CASES: dict[str, tuple[str, float, set[str]]] = {
    "mechanism": ("nutrition.endplate_clearance", 3e-4, everywhere("nutrition.endplate_clearance")),
    "long form": ("mechanisms.nutrition.rim_clearance_ratio", 0.7, everywhere("nutrition.rim_clearance_ratio")),
    "what a scenario sets itself stays": (
        "nutrition.oxygen_demand_factor",
        1.7,
        everywhere("nutrition.oxygen_demand_factor", without=("hungry",)),
    ),
    "all regions": ("matrix_turnover.gag_loss_rate", 0.07, everywhere(*LOSS, without=("acid",))),
    "one region": ("matrix_turnover.gag_loss_rate.NP", 0.07, everywhere(LOSS[0], without=("acid",))),
    "material": ("materials.osmotic_coefficient", 0.95, everywhere("materials.osmotic_coefficient")),
    "material of a region": ("materials.CEP.diffusivity_factor", 0.3, everywhere("materials.diffusivity_factor.CEP")),
    "material of all regions": (
        "materials.shear_modulus",
        0.2,
        everywhere(*(f"materials.shear_modulus.{region}" for region in REGIONS)),
    ),
    "loading": ("loading.active", 0.35, everywhere("loading.active", "loading.effective_load")),
    "geometry": ("disc.height", 7.0, everywhere("disc.height", "mesh")),
    "dose by place": ("scenarios.cells.therapy.0.dose", 1.2e7, {"cells: doses", "both: doses"}),
    "time by place": ("scenarios.gene.therapy.0.at", 400.0, {"gene: doses", "both: doses"}),
    "retained share": ("scenarios.cells.therapy.0.retained_fraction", 0.6, {"cells: doses", "both: doses"}),
    "dose by label": ("stem_cells.dose", 1.2e7, {"cells: doses", "both: doses", "late: doses"}),
    # arms without the therapy carry its mechanism as well, undosed
    "mechanism of a therapy by label": ("gene.TIMP3.loss_effect", 0.1, everywhere("gene.TIMP3.loss_effect")),
    "mechanism of a therapy by place": (
        "scenarios.late.therapy.0.undifferentiated_demand",
        1.25,
        {"late: stem_cells.undifferentiated_demand"},
    ),
    "set": ("scenarios.hungry.set.nutrition.oxygen_demand_factor", 1.5, {"hungry: nutrition.oxygen_demand_factor"}),
    "set that was not there": (
        "scenarios.cells.set.nutrition.demand_factor",
        2.0,
        {"cells: nutrition.demand_factor", "both: nutrition.demand_factor"},
    ),
    "set of a combination": ("scenarios.both.set.stem_cells.dose", 1e6, {"both: doses"}),
    "set of all regions": (
        "scenarios.late.set.matrix_turnover.gag_loss_rate",
        0.05,
        {f"late: {path}" for path in LOSS},
    ),
    "set of a material": (
        "scenarios.gene.set.materials.fixed_charge_density.NP",
        0.3,
        {"gene: materials.fixed_charge_density.NP", "both: materials.fixed_charge_density.NP"},
    ),
    "mechanism table of a scenario": (
        "scenarios.acid.mechanisms.nutrition.demand_factor",
        0.9,
        {"acid: nutrition.demand_factor"},
    ),
    "region of a mechanism table of a scenario": (
        "scenarios.acid.mechanisms.matrix_turnover.gag_loss_rate.CEP",
        0.2,
        {f"acid: {LOSS[3]}"},
    ),
    "time of an event": ("scenarios.fasting.events.0.at", 900.0, {"fasting: events"}),
    "number of an event": ("scenarios.fasting.events.0.set.nutrition.endplate_clearance", 5e-5, {"fasting: events"}),
    "number that an event did not set": ("scenarios.fasting.events.0.set.loading.active", 0.5, {"fasting: events"}),
}


def unit_of(path: str) -> str:
    """The unit of the declaration."""
    (spot,) = file_of(PLAIN).find([path]).values()
    return spot.parameter.unit


def setting(path: str, value: float) -> str:
    """The override that says the same."""
    unit = unit_of(path)
    return f"{path}={value!r}" + ("" if unit == "dimensionless" else f" {unit}")


@pytest.mark.parametrize("name", CASES)
def test_value_by_path_changes_exactly_what_set_changes(name: str) -> None:
    path, value, expected = CASES[name]
    study = with_values(PLAIN, {path: value})
    assert changed(PLAIN.problem(), study.problem()) == expected
    again = study_from_text(FILE, [setting(path, value)])
    assert differences(study.problem(), again.problem()) == []
    assert parse_text(study.resolved) == parse_text(again.resolved)
    assert differences(study.problem(), study_from_text(study.resolved).problem()) == []
    assert nominal_values(study, [path]) == {path: value}


def test_what_a_grade_sets_stays_below() -> None:
    graded = PLAIN.scenarios["untreated"].disc.overrides
    assert {"nutrition.endplate_clearance", "matrix_turnover.gag_loss_rate", "disc.height"} <= set(graded)
    overridden = ("nutrition.endplate_clearance", "matrix_turnover.gag_loss_rate.NP", "disc.height")
    values = dict(zip(overridden, (3e-4, 0.07, 7.0), strict=True))
    found = one_by_one(with_values(PLAIN, values).scenarios["untreated"].values())
    assert found["nutrition.endplate_clearance"] == 3e-4 and found["disc.height"] == 7.0
    assert found["matrix_turnover.gag_loss_rate.NP"] * YEAR == pytest.approx(0.07)
    assert found["matrix_turnover.gag_loss_rate.CEP"] * YEAR == pytest.approx(0.092)


def test_all_values_together_are_the_overrides_together() -> None:
    taken = [case for name, case in CASES.items() if name not in ("one region", "dose by label", "set of a combination")]
    values = {path: value for path, value, _ in taken}
    study = with_values(PLAIN, values)
    again = study_from_text(FILE, [setting(path, value) for path, value in values.items()])
    assert differences(study.problem(), again.problem()) == []
    assert with_values(with_values(PLAIN, dict(list(values.items())[:9])), values).resolved == study.resolved


def test_nothing_else_of_the_study_is_lost() -> None:
    study = study_from_text(
        with_design(
            '[design]\nkind = "random"\nsamples = 4\n[design.vary]\n"loading.active" = { low = "0.2 MPa", high = "0.4 MPa" }'
        )
    )
    sample = sample_study(study, draw(study), 2)
    kept = [field.name for field in dataclasses.fields(Study) if field.name not in ("scenarios", "resolved")]
    assert {name: getattr(sample, name) for name in kept} == {name: getattr(study, name) for name in kept}
    assert sample.title == "Cells or genes?" and sample.times == ("0 year", "4 year") and sample.steps.first == 0.2 * 86400.0
    assert list(sample.scenarios) == list(study.scenarios)
    assert draw(sample).values(2) == draw(study).values(2)


def test_nominal_values_are_those_of_the_file() -> None:
    paths = {
        "nutrition.endplate_clearance": 1e-4,  # what the grade sets
        "materials.CEP.diffusivity_factor": 0.5,
        "matrix_turnover.gag_loss_rate.NP": 0.084,
        "matrix_turnover.gag_loss_rate": (0.084 + 3 * 0.092) / 4,  # regions differ
        "scenarios.cells.therapy.0.dose": 6e6,
        "scenarios.both.set.stem_cells.dose": 6e6,
        "scenarios.late.therapy.0.at": 3 * 365.25,
        "scenarios.hungry.set.nutrition.oxygen_demand_factor": 2.0,
        "scenarios.cells.set.nutrition.oxygen_demand_factor": 1.0,
        "scenarios.acid.set.nutrition.demand_factor": 1.5,
        "scenarios.acid.set.matrix_turnover.gag_loss_rate.CEP": 0.1,
        "scenarios.fasting.events.0.at": 730.5,
        "scenarios.fasting.events.0.set.nutrition.endplate_clearance": 6e-5,
        "scenarios.fasting.events.0.set.nutrition.demand_factor": 1.0,
    }
    for path, value in paths.items():
        assert nominal_values(PLAIN, [path]) == {path: pytest.approx(value, rel=1e-12)}, path
    assert nominal_values(PLAIN) == {}
    study = read_study(SHIPPED)
    assert list(nominal_values(study)) == list(study.design["vary"])
    assert nominal_values(study)["scenarios.cells.therapy.0.dose"] == 6e6


def test_event_takes_what_earlier_ones_set() -> None:
    text = FILE + '[[scenarios.fasting.events]]\nat = "1 year"\nset = { "nutrition.demand_factor" = 1.25 }\n'
    study = study_from_text(text)
    paths = [f"scenarios.fasting.events.{number}.set.nutrition.demand_factor" for number in (0, 1)]
    assert list(nominal_values(study, paths).values()) == [1.25, 1.25]
    later = "scenarios.fasting.events.1.set.nutrition.endplate_clearance"
    assert nominal_values(study, [later]) == {later: 1e-4}


@pytest.mark.parametrize(
    ("values", "key", "given", "allowed"),
    [
        (
            {"nutrition.endplate_clearence": 1e-4},
            "nutrition.endplate_clearence",
            "an unknown path",
            "nutrition.endplate_clearance",
        ),
        (
            {"scenarios.cells.therapy.0.dos": 1e6},
            "scenarios.cells.therapy.0.dos",
            "an unknown path",
            "scenarios.cells.therapy.0.dose, ",
        ),
        ({"scenarios.sells.therapy.0.dose": 1e6}, "scenarios.sells.therapy.0.dose", "an unknown path", "scenarios.cells"),
        ({"nutrition.ph_law": 1.0}, "nutrition.ph_law", "ph_law", "the path of a number"),
        ({"disc.height": 2.0}, "disc.height", '"2.0 mm"', "4 mm to 13 mm"),
        ({"loading.active": float("nan")}, "loading.active", '"nan MPa"', "0.1 MPa to 0.6 MPa"),
        ({"scenarios.cells.therapy.0.at": 3653.0}, "scenarios.cells.therapy.0.at", "3653", "0 day to 10 year"),
        ({"scenarios.fasting.events.0.at": 3653.0}, "scenarios.fasting.events.0.at", "3653", "0 day to 10 year"),
        ({"materials.CEP.viable_fraction": 0.5}, "materials.CEP.viable_fraction", "an unknown path", "materials.viable_fraction"),
        (
            {"stem_cells.dose": 1e6, "scenarios.cells.therapy.0.dose": 2e6},
            "scenarios.cells.therapy.0.dose",
            "",
            "every number once",
        ),
        (
            {"scenarios.cells.set.loading.active": 0.2, "scenarios.gene.set.loading.active": 0.3},
            "scenarios.both.combine",
            '["cells", "gene"]',
            "scenarios that agree",
        ),
    ],
)
def test_value_that_no_study_can_have(values: dict[str, float], key: str, given: str, allowed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        with_values(PLAIN, values)
    (mistake,) = caught.value.problems
    assert mistake.key == key and given in mistake.given and allowed in mistake.allowed
    assert "\n" not in str(caught.value)


def test_therapies_of_one_label_that_would_differ_are_refused() -> None:
    text = FILE + '[scenarios.twice]\ncombine = ["cells", "late"]\n'
    study = study_from_text(text)
    path = "scenarios.late.therapy.0.undifferentiated_demand"
    with pytest.raises(ConfigError, match="labelled 'stem_cells' differ") as caught:
        with_values(study, {path: 1.25})
    assert caught.value.problems[0].key == path
    assert with_values(study, {"stem_cells.undifferentiated_demand": 1.25}).problem()
    table = f'[design]\nkind = "list"\n[design.vary]\n"{path}" = {{ values = [1.25] }}'
    with pytest.raises(ConfigError, match="labelled 'stem_cells' differ"):  # before a run begins
        draw(study_from_text(f"{text}\n{table}"))


def test_study_made_or_altered_in_python() -> None:
    base = Scenario(Disc.preset(grade=3, mesh_level=1), duration="2 year")
    made = Study(
        {"plain": base, "dosed": base.with_therapy(THERAPIES["gene_therapy"](dose="2e11 vg"))}, steps=StepRule(first=3600.0)
    )
    new = with_values(made, {"gene.TIMP3.dose": 3e11, "disc.radius": 23.0})
    assert new.steps == made.steps and new.times == made.times
    assert nominal_values(made, ["gene.TIMP3.dose"]) == {"gene.TIMP3.dose": 2e11}
    assert changed(made.problem(), new.problem()) == {
        "dosed: doses",
        *(f"{name}: {word}" for name in ("plain", "dosed") for word in ("disc.radius", "mesh")),
    }
    shipped = read_study(SHIPPED)
    coarse = {
        name: dataclasses.replace(scenario, disc=dataclasses.replace(scenario.disc, mesh_level=1))
        for name, scenario in shipped.scenarios.items()
    }
    altered = dataclasses.replace(shipped, scenarios=coarse)  # its text says another mesh
    assert with_values(altered, {"loading.active": 0.3}).scenarios["both"].disc.mesh_level == 1
    other = dataclasses.replace(shipped, design={"kind": "list", "vary": {"loading.active": {"values": ["0.3 MPa", "0.4 MPa"]}}})
    assert draw(other).inputs[0].values.tolist() == [0.3, 0.4]
    wrong = dataclasses.replace(shipped, design={"kind": "list", "vary": {"loading.active": {"values": ["9 MPa"]}}})
    with pytest.raises(NotWritable, match="0.1 MPa to 0.6 MPa"):
        draw(wrong)


def test_one_at_a_time_moves_one_number_and_leaves_the_others_as_they_are() -> None:
    study = study_from_text(
        with_design(
            '[design]\nkind = "one_at_a_time"\n[design.vary]\n"loading.active" = { low = "0.2 MPa", high = "0.4 MPa" }\n'
            '"matrix_turnover.gag_loss_rate" = { values = ["0.05 1/year"] }\n'
            '"scenarios.cells.therapy.0.dose" = { low = "1e7 cell", high = "2e7 cell", scale = "log" }'
        )
    )
    design = draw(study)
    load, rate, dose = design.inputs
    assert load.values.tolist() == [0.31, 0.2, 0.4, 0.31, 0.31, 0.31]
    assert dose.values.tolist() == [6e6] * 4 + [1e7, pytest.approx(2e7)]
    assert [load.low, load.high, dose.low, dose.high] == pytest.approx([0.2, 0.4, 6e6, 2e7])
    nominal = study.problem()
    moved = [changed(nominal, sample_study(study, design, index).problem()) for index in range(design.count)]
    load_words, dose_words = everywhere("loading.active", "loading.effective_load"), {"cells: doses", "both: doses"}
    assert moved == [set(), load_words, load_words, everywhere(*LOSS, without=("acid",)), dose_words, dose_words]
    assert rate.values[0] == pytest.approx(0.09)  # the mean of regions that differ, which sample 0 leaves as they are


def test_limits_hold_for_every_region() -> None:
    (spot,) = file_of(PLAIN).find(["matrix_turnover.gag_loss_rate"]).values()
    assert limits(spot) == (0.02, 0.25)
