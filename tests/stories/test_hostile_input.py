"""Files that try to run code or to lead elsewhere, tables of samples that are none, values that no disc has: told in one line,
exit code 2, nothing run, nothing written."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from discsim.cli import app

GOOD = (Path(__file__).resolve().parents[1] / "data" / "good.toml").read_text()
BEFORE_DESIGN = GOOD[: GOOD.index("[design]")]


class Canary:
    """Whoever unpickles it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def validate(path: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["validate", str(path), *options])


def told(done: Result, *words: str) -> None:
    """One line that says all the words, and exit code 2."""
    assert done.exit_code == 2, done.output
    assert done.stdout == "" and len(done.stderr.strip().splitlines()) == 1, done.stderr
    for word in words:
        assert word in done.stderr


def design_of(file: str, folder: Path) -> Path:
    """An experiment whose samples are those of a table."""
    path = folder / "study.toml"
    path.write_text(f'{BEFORE_DESIGN}[design]\nkind = "csv"\nfile = "{file}"\n')
    return path


def test_the_canary_sings(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Canary(tmp_path / "canary")))
    assert (tmp_path / "canary").exists()


@pytest.mark.parametrize("kind", ["yaml", "pickle", "npy"])
def test_data_that_would_run_code_is_refused_and_does_not_run(kind: str, tmp_path: Path) -> None:
    canary, path = tmp_path / "canary", tmp_path / f"samples.{kind}"
    if kind == "yaml":
        path.write_text(f'!!python/object/apply:os.mkdir ["{canary}"]\n')
    elif kind == "pickle":
        path.write_bytes(pickle.dumps(Canary(canary)))
    else:
        np.save(path, np.array([Canary(canary)], dtype=object), allow_pickle=True)
    told(validate(path), str(path), "TOML")
    told(validate(design_of(path.name, tmp_path)), path.name)
    assert not canary.exists()


@pytest.mark.parametrize("text", ['__import__("os").mkdir("canary")', "1 MPa; import os", "(lambda: 1)() MPa", "${HOME} MPa"])
def test_a_load_is_a_number_with_a_unit_and_no_program(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "study.toml"
    path.write_text(GOOD)
    told(validate(path, "--set", f"loading.active={text}"), "loading.active", "0.1 MPa to 0.6 MPa")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("way", ["above", "absolute", "link"])
def test_a_table_outside_the_folder_of_the_experiment_is_not_read(way: str, tmp_path: Path) -> None:
    folder = tmp_path / "experiment"
    folder.mkdir()
    outside = tmp_path / "samples.csv"
    outside.write_text("loading.active\n0.3 MPa\n")
    name = {"above": "../samples.csv", "absolute": str(outside), "link": "samples.csv"}[way]
    if way == "link":
        (folder / name).symlink_to(outside)
    told(validate(design_of(name, folder)), "design.file", "in the folder of the experiment file, or below")
    if way == "link":
        (folder / name).unlink()
        (folder / name).write_text(outside.read_text())
        assert validate(design_of(name, folder)).exit_code == 0, "the same table in its place is read"


TABLES = {
    "missing column": ("loading.active,nutrition.demand_factor\n0.3 MPa,1\n0.3 MPa\n", ("row 3 has 1", "2 cells in every row")),
    "same column twice": ("loading.active,loading.active\n0.3 MPa,0.3 MPa\n", ("line 1", "every number once")),
    "unknown column": ("loading.aktive\n0.3 MPa\n", ("line 1", "loading.active")),
    "units that do not fit": ("loading.active\n0.3 MPa\n0.3 mm\n", ("line 3", "0.3 mm", "MPa")),
    "one without its unit": ("loading.active\n0.3 MPa\n0.3\n", ("line 3", "0.3")),
    "empty cell": ("loading.active,nutrition.demand_factor\n0.3 MPa,\n", ("line 2", "nutrition.demand_factor")),
    "no number": ("loading.active\nnan MPa\n", ("line 2", "nan MPa")),
    "beyond its bounds": ("loading.active\n30 MPa\n", ("line 2", "0.1 MPa to 0.6 MPa")),
    "only a header": ("loading.active\n", ("a header of paths and 1 to",)),
    "nothing": ("", ("a header of paths and 1 to",)),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_samples_that_is_none_is_told_with_its_line(name: str, tmp_path: Path) -> None:
    text, words = TABLES[name]
    (tmp_path / "samples.csv").write_text(text)
    told(validate(design_of("samples.csv", tmp_path)), "samples.csv", *words)


def test_units_of_one_dimension_may_be_mixed(tmp_path: Path) -> None:
    (tmp_path / "samples.csv").write_text("loading.active\n0.3 MPa\n300 kPa\n")
    assert validate(design_of("samples.csv", tmp_path)).exit_code == 0


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("materials.temperature=37 K", ("materials.temperature", "293 K to 311 K")),  # degrees Celsius, most likely
        ("materials.temperature=37 degC", ("zero of its own", "310 K")),
        ("materials.fluid_fraction.NP=1.0", ("materials.NP.fluid_fraction", "0.6 to 0.88")),
        ("materials.fluid_fraction.NP=0", ("materials.NP.fluid_fraction", "0.6 to 0.88")),
        ("materials.shear_modulus.NP=-1 MPa", ("materials.NP.shear_modulus", "0.005 MPa to 0.2 MPa")),
        ("materials.diffusivity_factor=-0.5", ("materials.diffusivity_factor", "0.1 to 1.2")),
        ("loading.active=1e400 MPa", ("loading.active", "not finite")),
        ("loading.active=inf MPa", ("loading.active", "not finite")),
        ("loading.active=0.5 mm", ("loading.active", "'mm'", "'MPa'")),
    ],
)
def test_values_that_no_disc_has(setting: str, words: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(GOOD)
    told(validate(path, "--set", setting), *words)


@pytest.mark.parametrize("command", ["run", "sweep", "train", "optimise"])
def test_nothing_is_started_with_a_misspelt_key(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text(GOOD.replace("diffusivity_factor", "diffusivty_factor"))
    options = ["--scenario", "cells", "--maximise", "viable_cells", "--over", "stem_cells.dose"] if command == "optimise" else []
    done = CliRunner().invoke(app, [command, "study.toml", *options])
    told(done, "diffusivty_factor", "did you mean diffusivity_factor?")
    assert [path.name for path in tmp_path.iterdir()] == ["study.toml"]
