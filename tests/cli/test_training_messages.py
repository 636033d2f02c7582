"""Trainings that are there but of no use, and studies that have none: what the commands say, and with which exit code."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from discsim.cli import app
from discsim.study import enrichment, sweep_run
from discsim.study import train as trainings
from discsim.study.config import read_study
from discsim.study.design import draw
from discsim.study.ensemble import Ensemble
from discsim.study.messages import ConfigError
from discsim.study.study import Study
from discsim.study.train import NotTrained, differences, place_of
from discsim.sweep.reduced.bases import Counts
from discsim.sweep.reduced.certificate import calibrated
from discsim.sweep.reduced.engine import Training
from discsim.sweep.reduced.regression import fitted
from discsim.sweep.reduced.shapes import Shapes
from discsim.sweep.reduced.store import load, save
from discsim.sweep.reduced.training import Trained

TEXT = """
schema = "discsim/1"
title = "small"
duration = "1 year"
[disc]
preset = "L4-L5"
grade = 3
mesh_level = 1
[scenarios.untreated]
[[scenarios.cells.therapy]]
kind = "stem_cell_injection"
dose = "6e6 cell"
at = "1 day"
[readouts]
use = ["viable_cells", "gag_nucleus"]
[output]
times = ["0 year", "1 year"]
"""
DESIGN = """
[design]
kind = "sobol"
samples = 4
seed = 1
[design.vary]
"loading.active" = { low = "0.25 MPa", high = "0.3 MPa" }
"""
GOAL = ("--scenario", "cells", "--maximise", "gag_nucleus@1 year", "--over", "scenarios.cells.therapy.0.dose")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of our own, without any training."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A study of two arms that one number varies in."""
    path = tmp_path / "study.toml"
    path.write_text(TEXT + DESIGN)
    return path


@pytest.fixture
def no_runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Training that runs nothing; remembers that it was asked for, and that the study has a design that it can be made for."""
    asked: list[str] = []

    def instead(study: Study, *_: object, **__: object) -> Training:
        place_of(study)
        asked.append("training")
        raise NotTrained("only 1 of 80 training runs came to their end; narrow the ranges in [design.vary]")

    monkeypatch.setattr(trainings, "train_study", instead)
    return asked


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def one_line(done: Result) -> str:
    """The only line on standard error."""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and "Traceback" not in done.output, done.output
    return lines[0]


def small_training(study: Study) -> Training:
    """Numbers that nothing was trained for, in the form of a training of this study."""
    random = np.random.default_rng(0)
    table = {"strain": random.random((3, 4))}
    polynomial = fitted(np.linspace(0.0, 1.0, 5)[:, None], np.linspace(0.0, 2.0, 5)[:, None])
    counts = Counts(7, (5, 4, 3), (2,))
    decay = {name: np.geomspace(1.0, 1e-6, 30) for name in ("displacement", "oxygen", "glucose", "lactate", "factor")}
    errors = np.abs(random.normal(size=(20, 2, 2))) * np.array([0.02, 1.0])
    truth = np.full((20, 2, 2), [40.0, 200.0])
    report = {
        "decay": decay, "points": {"strain": 90, "flux": 80, "pairs": 70, "facets": 6, "check strain": 120},
        "calibration_errors": errors / truth, "calibration_values": truth, "training_runs": 80, "calibration_runs": 20,
        "full_order_seconds": 1.001, "seconds": 0.001, "fit_seconds": 15.0, "calibration_seconds": 5.0,
    }  # fmt: skip
    own = Trained(
        table,
        table,
        counts,
        counts,
        (np.eye(2), np.eye(3)),
        polynomial,
        np.array([0]),
        (1.0, 1.0),
        np.eye(2),
        np.eye(2),
        [],
        Shapes(np.eye(2), [np.eye(2)], [], np.eye(2), np.eye(2), [np.eye(2)], [np.eye(2)]),
        report,
    )
    certificate = calibrated(np.ones((20, 2, 2)), np.ones((20, 2, 2)), errors, np.repeat(np.arange(10), 2), 0.95)
    one = np.zeros(3)
    end = study.problem().duration
    return Training(
        own, certificate, (0.5 * end, end), (0.0, end), place_of(study).identity["meshes"][0], {"untreated": (one, one)}
    )


@pytest.fixture
def keep(cache: Path) -> Callable[[Path, tuple[str, ...]], Path]:
    """Lay a training of a file, with overrides, where the commands look for it."""

    def lay(file: Path, overrides: tuple[str, ...] = ()) -> Path:
        study = read_study(file, overrides)
        place = place_of(study)
        assert cache in place.path.parents
        save(place.path, small_training(study), place.identity)
        return place.path

    return lay


# ---- studies that no reduced model can be made of


@pytest.mark.parametrize("more", [(), ("--report",), ("--anew",)])
@pytest.mark.parametrize(
    ("moving", "named"),
    [
        ('"disc.height" = { low = "9 mm", high = "11 mm" }', 'design.vary."disc.height"'),
        ('"scenarios.cells.therapy.0.at" = { low = "1 day", high = "9 day" }', 'design.vary."scenarios.cells.therapy.0.at"'),
    ],
)
def test_what_moves_mesh_or_calendar(file: Path, cache: Path, more: tuple[str, ...], moving: str, named: str) -> None:
    """Refused before anything else is said: no training can be made of it."""
    file.write_text(file.read_text() + moving + "\n")
    done = call("train", file, *more)
    assert done.exit_code == 2
    line = one_line(done)
    assert line.startswith(named) and "move neither the mesh nor the calendar" in line and "--engine sweep" in line
    assert not (cache / "discsim" / "trained").exists()


@pytest.mark.parametrize("moving", ['"disc.height" = { low = "9 mm", high = "11 mm" }'])
def test_sweep_and_optimise_refuse_it_as_well(file: Path, tmp_path: Path, moving: str) -> None:
    file.write_text(file.read_text() + moving + "\n")
    done = call("sweep", file, "--engine", "reduced", "--out", tmp_path / "s", "--workers", "1")
    assert done.exit_code == 2 and "move neither the mesh nor the calendar" in one_line(done)
    done = call("optimise", file, "--engine", "reduced", *GOAL)
    assert done.exit_code == 2 and "move neither the mesh nor the calendar" in one_line(done)


@pytest.mark.parametrize("more", [(), ("--report",), ("--anew",)])
def test_a_study_without_a_design(file: Path, more: tuple[str, ...]) -> None:
    file.write_text(TEXT)
    done = call("train", file, *more)
    assert done.exit_code == 2 and "a table [design]" in one_line(done)
    done = call("optimise", file, "--engine", "reduced", *GOAL)
    assert done.exit_code == 2 and "a table [design]" in one_line(done)


@pytest.mark.parametrize(("option", "value"), [("--workers", "0"), ("--workers", "two")])
def test_wrong_workers(file: Path, option: str, value: str) -> None:
    done = call("train", file, option, value)
    assert done.exit_code == 2 and option in done.stderr and "Traceback" not in done.stderr


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    done = call("train", tmp_path / "none.toml")
    assert done.exit_code == 2 and "none.toml" in one_line(done)


# ---- no training yet


def test_report_without_a_training(file: Path) -> None:
    done = call("train", file, "--report")
    assert done.exit_code == 2 and done.stdout == ""
    assert one_line(done) == "no reduced model of this study; discsim train makes one"


def test_run_and_optimise_without_a_training(file: Path, tmp_path: Path) -> None:
    done = call("run", file, "--engine", "reduced", "--out", tmp_path / "out")
    assert done.exit_code == 2 and "it is for discsim sweep and discsim optimise" in one_line(done)
    assert not (tmp_path / "out" / "result.nc").exists()
    done = call("optimise", file, "--engine", "reduced", *GOAL)
    assert done.exit_code == 2 and one_line(done) == "no reduced model of this study; discsim train makes one"


def test_a_training_that_comes_to_nothing(file: Path, no_runs: list[str]) -> None:
    done = call("train", file)
    assert done.exit_code == 3 and no_runs == ["training"]
    assert done.stderr.strip().splitlines()[-1].startswith("only 1 of 80 training runs came to their end; narrow the ranges")
    assert done.stdout == "" and "Traceback" not in done.stderr


def test_an_interrupted_training(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> Training:
        raise KeyboardInterrupt

    monkeypatch.setattr(trainings, "train_study", interrupt)
    done = call("train", file)
    assert done.exit_code == 130
    assert done.stderr.strip().splitlines()[-1] == "interrupted; the runs that are done are kept, and the same command resumes"


# ---- a training that is there


def test_the_report(file: Path, keep: Callable[..., Path]) -> None:
    keep(file)
    done = call("train", file, "--report")
    assert done.exit_code == 0 and done.stderr == ""
    assert re.search(r"displacement\W+7\W", done.stdout) and re.search(r"glucose\W+4\W", done.stdout)
    assert "20 runs of 10 samples that training has not seen" in done.stdout
    assert "bars for 91% of errors" in " ".join(done.stdout.split())  # ten samples vouch for 10 / 11
    assert "viable_cells" in done.stdout and "gag_nucleus" in done.stdout
    assert "points: 90 strain, 80 flux, 70 pairs, 6 facets" in done.stdout
    assert "1 ms reduced, 1 s at full order (1001 times)" in done.stdout
    assert "break-even after 120 scenarios" in done.stdout  # (100 runs x 1.001 s + 20 s) / 1 s


def test_training_once_more_only_when_asked(file: Path, keep: Callable[..., Path], no_runs: list[str]) -> None:
    path = keep(file)
    done = call("train", file)
    assert done.exit_code == 0 and no_runs == []
    assert one_line(done) == f"trained already ({path}); --anew trains once more"
    assert "break-even" in done.stdout
    done = call("train", file, "--anew")
    assert done.exit_code == 3 and no_runs == ["training"]


@pytest.mark.parametrize("damage", ["flip", "cut", "foreign", "other"])
def test_a_file_that_is_of_no_use_is_told_and_not_used(file: Path, keep: Callable[..., Path], damage: str) -> None:
    path = keep(file)
    whole = path.read_bytes()
    if damage == "flip":
        path.write_bytes(whole[:500] + bytes([whole[500] ^ 1]) + whole[501:])
    elif damage == "cut":
        path.write_bytes(whole[:-100])
    elif damage == "foreign":
        path.write_bytes(b"something else")
    else:
        study = read_study(file, ())
        save(path, small_training(study), place_of(study).identity | {"code": "another"})
    words = {
        "flip": "damaged",
        "cut": "damaged",
        "foreign": "not a training of this version",
        "other": "a training of something else",
    }
    for arguments, code in ((("train", file, "--report"), 2), (("optimise", file, "--engine", "reduced", *GOAL), 2)):
        done = call(*arguments)
        assert done.exit_code == code
        line = one_line(done)
        assert words[damage] in line and str(path) in line and "remove it, and discsim train" in line


# ---- a training of something else


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("disc.grade=1", "disc.grade was 3, is 1"),
        ("duration=2 year", "duration was 1 year, is 2 year"),
        ("scenarios.cells.therapy.0.dose=5e6 cell", "therapy.0.dose was 6e6 cell, is 5e6 cell"),
    ],
)
def test_another_study_needs_its_own_training_and_says_why(
    file: Path, keep: Callable[..., Path], override: str, told: str
) -> None:
    keep(file)
    done = call("train", file, "--report", "--set", override)
    assert done.exit_code == 2
    line = one_line(done)
    assert line.startswith("no reduced model of this study (another one differs: ") and line.endswith("; discsim train makes one")
    assert told in line


def test_a_wider_box_needs_its_own_training(file: Path, keep: Callable[..., Path]) -> None:
    keep(file)
    file.write_text(file.read_text().replace("0.25 MPa", "0.24 MPa"))
    done = call("train", file, "--report")
    assert done.exit_code == 2 and "another one differs: " in one_line(done) and "0.24" in done.stderr


def test_changed_code_needs_its_own_training(file: Path, keep: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    keep(file)
    monkeypatch.setattr(trainings, "source_hash", lambda mechanisms: "0123456789abcdef")
    done = call("train", file, "--report")
    assert done.exit_code == 2 and "(another one differs: code of discsim and mechanisms)" in one_line(done)


def test_a_damaged_neighbour_is_passed_over(file: Path, keep: Callable[..., Path]) -> None:
    keep(file).write_bytes(b"something else")
    done = call("train", file, "--report", "--set", "disc.grade=1")
    assert done.exit_code == 2 and one_line(done) == "no reduced model of this study; discsim train makes one"


@pytest.mark.parametrize("change", [("title=other",), ("design.samples=32",), ("design.seed=9",), ("design.kind=random",)])
def test_what_moves_no_number_keeps_the_training(file: Path, keep: Callable[..., Path], change: tuple[str, ...]) -> None:
    path = keep(file)
    study = read_study(file, change)
    assert place_of(study).path == path
    load(path, place_of(study).identity)


def test_a_training_is_loaded_from_a_cache_that_was_moved(
    file: Path, keep: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = keep(file)
    (tmp_path / "cache").rename(tmp_path / "moved")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "moved"))
    assert place_of(read_study(file, ())).path.name == path.name
    assert call("train", file, "--report").exit_code == 0


def test_differences_in_words() -> None:
    old = {"study.disc.grade": 3, "study.gone": 1, "code": "a", "box.x": [1.0, 2.0]}
    new = {"study.disc.grade": 4, "code": "b", "box.x": [1.0, 2.0], "study.long": "x" * 100}
    assert differences(old, new) == [
        "disc.grade was 3, is 4",
        "gone was 1, is absent",
        f"long was absent, is {'x' * 57}...",
    ]
    assert differences({"code": "a"}, {"code": "b"}) == ["code of discsim and mechanisms"]
    assert differences(old, dict(old)) == []


def test_a_derivative_by_what_moves_the_calendar_is_refused(file: Path) -> None:
    """A dose that falls between two ends of steps would be left out without a word."""
    from discsim.study.gradient import GradientError
    from discsim.study.reduced_run import ReducedRun

    study = read_study(file, ())
    day, year = 86400.0, study.problem().duration
    run = ReducedRun.__new__(ReducedRun)
    run.study, run.scenario = study, "cells"
    training = SimpleNamespace(mesh=study.problem().arms[0].mesh.hash, steps=(day, year), records=(0.0, year))
    run.runs = SimpleNamespace(training=training)  # type: ignore[assignment]
    for path, value in (("scenarios.cells.therapy.0.at", 2.0), ("disc.height", 9.0)):
        with pytest.raises(GradientError, match=rf"{re.escape(path)}: moves the mesh or the calendar.*--engine sweep"):
            run._moved(path, value)


def test_config_errors_are_one_line_in_python_too(file: Path) -> None:
    file.write_text(file.read_text() + '"disc.height" = { low = "9 mm", high = "11 mm" }\n')
    with pytest.raises(ConfigError) as caught:
        place_of(read_study(file, ()))
    assert len(str(caught.value).splitlines()) == 1


def test_a_sweep_tells_of_the_training_it_waits_for(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def instead(study: Study, tell: Callable[[str, int, int], None], **_: object) -> Training:
        tell("running", 3, 60)
        raise NotTrained("only 1 of 80 training runs came to their end; narrow the ranges in [design.vary]")

    monkeypatch.setattr(sweep_run, "train_study", instead)
    done = call("sweep", file, "--engine", "reduced", "--out", tmp_path / "many")
    assert done.exit_code == 3 and "Traceback" not in done.stderr
    assert "training: 3 of 60 full-order runs" in done.stderr
    assert "only 1 of 80 training runs came to their end" in done.stderr.splitlines()[-1]


# ---- samples that join a training


@pytest.fixture
def ensemble(file: Path, monkeypatch: pytest.MonkeyPatch) -> Ensemble:
    """Four samples of the reduced engine: one arm of the third ran at full order, the fourth did too and lies outside."""
    study = read_study(file, ())
    design = draw(study)
    swept = dataclasses.replace(design.inputs[0], values=np.array([0.26, 0.27, 0.29, 9.0]))
    own, full = np.array(["reduced"] * 4), np.array(["reduced", "reduced", "sweep", "sweep"])
    good = np.array(["ok"] * 4)
    times = np.array([0.0])
    found = Ensemble(
        "four", "sobol", 1, np.arange(4), times, {}, {}, {}, {"untreated": good, "cells": good},
        {"untreated": good, "cells": good}, (swept,), {}, {"untreated": own, "cells": full},
    )  # fmt: skip
    monkeypatch.setattr(enrichment, "open_ensemble", lambda folder: found)
    return found


def test_samples_at_full_order_join_the_training(file: Path, keep: Callable[..., Path], ensemble: Ensemble) -> None:
    path, study = keep(file), read_study(file, ())
    before = place_of(study)
    found = enrichment.add(study, "out/sweep", before.listed)
    assert (found.new, found.already, found.outside, found.room) == (1, 0, 1, 0)
    place = place_of(study)
    assert place.path != path and place.added == ({ensemble.inputs[0].path: 0.29},)
    again = enrichment.add(study, "out/sweep", place.listed)
    assert (again.new, again.already) == (0, 1) and place_of(study).path == place.path
    more = enrichment.with_points(draw(study), place.added)
    assert more.count == draw(study).count + 1 and more.values(more.count - 1) == place.added[0]
    # another training of the same study is told apart by it, and so is a sweep
    assert trainings.added_identity(study, "reduced") == {"added": enrichment.hash_of(place.added)}
    assert trainings.added_identity(study, "sweep") == {}
    done = call("train", file, "--report")
    assert done.exit_code == 2 and "added.0" in one_line(done)


def test_wrong_sweeps_to_enrich_with(
    file: Path, keep: Callable[..., Path], ensemble: Ensemble, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(file)
    other = dataclasses.replace(ensemble, inputs=(dataclasses.replace(ensemble.inputs[0], path="loading.rest"),))
    full = dataclasses.replace(ensemble, engine={"untreated": np.array(["sweep"] * 4)})
    for given, words in ((other, "allowed: a sweep of "), (full, "allowed: a sweep of the reduced engine")):
        monkeypatch.setattr(enrichment, "open_ensemble", lambda folder, given=given: given)
        done = call("train", file, "--enrich", "out/sweep")
        assert done.exit_code == 2 and words in one_line(done)
    done = call("train", file, "--enrich", "out/sweep", "--anew")
    assert done.exit_code == 2 and "leave --report and --anew out" in one_line(done)


def test_a_damaged_list_of_samples_is_told(file: Path, keep: Callable[..., Path], ensemble: Ensemble) -> None:
    keep(file)
    listed = place_of(read_study(file, ())).listed
    for text in ("[1, 2]", "{", '[{"a": "b"}]'):
        listed.write_text(text)
        done = call("train", file, "--report")
        assert done.exit_code == 2 and "damaged; remove it" in one_line(done)
