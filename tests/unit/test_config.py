"""The experiment file: every kind of mistake is told in one line with key, what was given, what is allowed and a hint."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from discsim.study.config import ConfigError, Mistake, read_study, study_from_text

DATA = Path(__file__).resolve().parents[1] / "data"
FILE = (DATA / "good.toml").read_text()


def problems(text: str, overrides: Sequence[str] = (), folder: Path | None = None) -> tuple[Mistake, ...]:
    """The mistakes of a file; none where it is good."""
    try:
        study_from_text(text, overrides, folder=folder)
    except ConfigError as error:
        return error.problems
    return ()


def replaced(old: str, new: str) -> str:
    """The good file with one line changed."""
    assert FILE.count(old) == 1, old
    return FILE.replace(old, new)


def test_the_good_file_has_no_mistakes() -> None:
    assert problems(FILE) == ()


MISTAKES: dict[str, dict[str, str]] = tomllib.loads((DATA / "one_mistake.toml").read_text())


def check_one(text: str, key: str, given: str, allowed: str, hint: str = "") -> None:
    """The file gives one message, on one line."""
    found = problems(text)
    assert len(found) == 1, [str(mistake) for mistake in found]
    assert found[0].key == key
    assert given in found[0].given
    assert allowed in found[0].allowed
    assert hint in found[0].hint
    assert hint or not found[0].hint.startswith("did you mean")
    assert "\n" not in str(found[0]) and str(found[0]).startswith(f"{key}: ")


@pytest.mark.parametrize("name", MISTAKES)
def test_one_mistake_gives_one_message(name: str) -> None:
    case = dict(MISTAKES[name])
    text = replaced(case.pop("old"), case.pop("new"))
    if name == "mechanism that carries the charge left out":  # nothing else may name what is not there
        text = text[: text.index("[design]")]
    check_one(text, **case)


@pytest.mark.parametrize(
    ("new", "key", "given", "allowed"),
    [
        (f"grade = {'9' * 5000}", "text", "too many digits", "TOML"),
        (f"grade = {'9' * 400}", "disc.grade", "a whole number of 1329 bits", "1, 3"),
        (f"grade = {'[' * 5000}", "text", "nested too deeply", "TOML"),
        (f"{'.'.join('a' * 5000)} = 3", "text", "nested too deeply", "32"),
    ],
    ids=["thousands of digits", "hundreds of digits", "thousands of brackets", "thousands of tables"],
)
def test_files_that_are_too_much(new: str, key: str, given: str, allowed: str) -> None:
    check_one(replaced("grade = 3", new), key, given, allowed)


def test_all_mistakes_of_a_file_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read_study(DATA / "bad_five.toml")
    keys = {mistake.key for mistake in caught.value.problems}
    assert keys == {
        "duration",
        "loading.active",
        "mechanisms.nutrition.oxygen_demand_factr",
        "scenarios.cells.therapy.0.dose",
        "scenarios.both.combine",
    }
    assert len(caught.value.problems) == 5
    assert str(caught.value).splitlines() == [str(mistake) for mistake in caught.value.problems]


def test_mistakes_of_every_table_do_not_hide_one_another() -> None:
    text = FILE
    planted = (
        "unknown grade",
        "wrong dimension",
        "unknown parameter",
        "region twice",
        "negative",
        "unknown choice",
        "set out of bounds",
        "samples of a sobol design",
        "bounds of a range reversed",
        "unknown readout",
        "tolerance of a check",
        "time after the end",
        "date",
    )
    for name in planted:
        assert text.count(MISTAKES[name]["old"]) == 1
        text = text.replace(MISTAKES[name]["old"], MISTAKES[name]["new"])
    assert sorted(mistake.key for mistake in problems(text)) == sorted(MISTAKES[name]["key"] for name in planted)


@pytest.mark.parametrize(
    ("override", "key", "given", "allowed"),
    [
        ("no equals sign", "--set", '"no equals sign"', "path=value"),
        ("disc.grade=9", "disc.grade", "9", "1, 3"),
        ("loading.active=0.3", "loading.active", "0.3", "0.1 MPa to 0.6 MPa"),
        ("duration=nan", "duration", "nan", "100 year"),
        ("nutrition.demand_facter=2", "mechanisms.nutrition.demand_facter", "unknown", "demand_factor"),
        ("nutritoin.demand_factor=2", "--set nutritoin.demand_factor", "nutritoin", "nutrition"),
        ("scenarios.cells.therapy.3.dose=1 cell", "--set scenarios.cells.therapy.3.dose", '"3"', "0 to 0"),
        ("scenarios.sells.therapy.0.dose=1 cell", "--set scenarios.sells.therapy.0.dose", "sells", "cells"),
        ("scenarios.both.therapy.0.dose=1 cell", "--set scenarios.both.therapy.0.dose", "has none", "exists"),
        ("scenarios.cells.therapy.0.dose=-1 cell", "scenarios.cells.therapy.0.dose", '"-1 cell"', "1e8 cell"),
        ('title=1\nschema = "x"', "title", "a", "one line"),
    ],
)
def test_overrides_go_through_the_same_checks(override: str, key: str, given: str, allowed: str) -> None:
    found = problems(FILE, [override])
    assert len(found) == 1, [str(mistake) for mistake in found]
    assert found[0].key == key
    assert given in found[0].given
    assert allowed in found[0].allowed


def test_overrides_reach_every_number() -> None:
    study = study_from_text(
        FILE,
        [
            "scenarios.cells.therapy.0.dose=1.8e7 cell",
            "gene.TIMP3.loss_effect=0.5",
            "matrix_turnover.gag_loss_rate.NP=0.1 1/year",
            'scenarios.hungry.set."nutrition.demand_factor"=2',
            "materials.CEP.diffusivity_factor=0.2",
            "design.vary.nutrition.endplate_clearance.low=5e-5 mm/s",
            'title="of my own"',
        ],
    )
    arms = {arm.name: arm for arm in study.problem().arms}
    assert arms["cells"].doses == arms["both"].doses[:1]
    assert arms["cells"].doses[0].amount == pytest.approx(1.8e7 * 0.75)
    assert arms["both"].values["gene.TIMP3.loss_effect"] == 0.5
    rate = arms["untreated"].values["matrix_turnover.gag_loss_rate"]
    year = 365.25 * 86400.0
    assert rate["NP"] * year == pytest.approx(0.1)
    assert rate["outer_AF"] * year == pytest.approx(0.092)  # what the grade sets
    assert arms["hungry"].values["nutrition.demand_factor"] == 2.0
    assert arms["untreated"].values["nutrition.demand_factor"] == 1.0
    assert arms["untreated"].values["materials.diffusivity_factor"]["CEP"] == 0.2
    assert study.design["vary"]["nutrition.endplate_clearance"]["low"] == "5e-5 mm/s"
    assert study.title == "of my own"


def test_file_stands_for_the_objects_it_names() -> None:
    study = study_from_text(FILE)
    arms = {arm.name: arm for arm in study.problem().arms}
    assert list(arms) == ["untreated", "cells", "gene", "both", "fasting", "hungry"]
    assert arms["both"].doses == (*arms["cells"].doses, *arms["gene"].doses)
    assert arms["cells"].doses[0].at == 86400.0
    assert arms["fasting"].changes == ((2 * 365.25 * 86400.0, {"nutrition.endplate_clearance": 6e-5}),)
    assert arms["hungry"].values["nutrition.oxygen_demand_factor"] == 2.0
    assert arms["untreated"].values["nutrition.endplate_clearance"] == 1e-4  # grade III
    assert study.readouts == ("viable_cells", "disc_height")
    assert study.design["seed"] == 0 and study.check["engine"] == "fem"


def test_constant_load_is_its_own_time_mean() -> None:
    text = FILE.replace('kind = "diurnal"\nactive = "0.31 MPa"', 'kind = "constant"\nload = "0.2 MPa"')
    arm = study_from_text(text).problem().arms[0]
    assert arm.values["loading.effective_load"] == pytest.approx(0.2)
    assert arm.values["loading.rest_share"] == 0.0


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ('[design]\nkind = "grid"\n[design.vary]\n"nutrition.demand_factor" = { low = 0.5, high = 2.0 }', "count"),
        ('[design]\nkind = "list"\n[design.vary]\n"nutrition.demand_factor" = { low = 0.5, high = 2.0 }', "nutrition"),
        ('[design]\nkind = "csv"\nfile = "../samples.csv"', "design.file"),
        ('[design]\nkind = "csv"\nfile = "/etc/passwd"', "design.file"),
        ('[design]\nkind = "csv"\nfile = "none.csv"', "design.file"),
        ('[design]\nkind = "random"\nsamples = 5', "design.vary"),
        ("[design]\nsamples = 5", "design.kind"),
    ],
)
def test_designs_that_lack_something(table: str, key: str, tmp_path: Path) -> None:
    text = FILE[: FILE.index("[design]")] + table
    found = problems(text, folder=tmp_path)
    assert len(found) >= 1
    assert key in found[0].key, [str(mistake) for mistake in found]
    if key != "design.kind":
        assert len(found) == 1, [str(mistake) for mistake in found]


def test_grid_of_a_billion_samples_is_refused_before_it_is_made() -> None:
    ranges = "\n".join(
        f'"nutrition.{name}" = {{ low = 0.5, high = 2.0, count = 1000 }}'
        for name in ("demand_factor", "oxygen_demand_factor", "rim_clearance_ratio")
    )
    found = problems(FILE[: FILE.index("[design]")] + f'[design]\nkind = "grid"\n[design.vary]\n{ranges}')
    assert len(found) == 1
    assert "1000000000" in found[0].given


def test_samples_of_a_table_are_kept_with_the_study(tmp_path: Path) -> None:
    (tmp_path / "samples.csv").write_text("nutrition.demand_factor,loading.active\n0.5,0.3 MPa\n2,0.4 MPa\n")
    text = FILE[: FILE.index("[design]")] + '[design]\nkind = "csv"\nfile = "samples.csv"\n'
    study = study_from_text(text, folder=tmp_path)
    assert study.design["vary"]["nutrition.demand_factor"]["values"] == [0.5, 2.0]
    assert study.design["vary"]["loading.active"]["values"] == ["0.3 MPa", "0.4 MPa"]
    (tmp_path / "samples.csv").unlink()
    assert study_from_text(study.resolved).design == study.design
    (tmp_path / "samples.csv").write_text("nutrition.demand_factor\n0.5\n50\n")
    found = problems(text, folder=tmp_path)
    assert len(found) == 1
    assert "line 3" in found[0].key and found[0].given == '"50"'
