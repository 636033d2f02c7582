"""discsim export: what ParaView reads is what was computed; crates keep the MUST rules of their profiles and tell failures."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import meshio
import numpy as np
import pytest
from typer.testing import CliRunner
from typer.testing import Result as Done

from discsim.cli import app
from discsim.problem.problem import YEAR
from discsim.problem.record import ArmRecord
from discsim.report.crate import orcid_address
from discsim.study import study as study_module
from discsim.study.result import Result
from discsim.study.study import Study
from discsim.study.sweep_folder import Lock

FAKES = Path(__file__).parents[1] / "fakes"
ENGINE = "quick_engine:QuickEngine"
WORKFLOW_TYPES = {"File", "SoftwareSourceCode", "ComputationalWorkflow"}
Graph = dict[str, dict[str, Any]]


def export(*arguments: str | Path) -> Done:
    return CliRunner().invoke(app, ["export", *(str(argument) for argument in arguments)])


@pytest.fixture(scope="module")
def stored_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the run is kept once it is made."""
    return tmp_path_factory.mktemp("stored") / "run"


@pytest.fixture
def run_folder(tmp_path: Path, stored_run: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of a run that a test may change."""
    if not stored_run.exists():
        study, records = (request.getfixturevalue(name) for name in ("therapy_study", "good_records"))
        Result.from_records(study, records, begun="2026-01-02T03:04:05Z").save(stored_run / "result.nc")
        (stored_run / "time_courses.png").write_bytes(b"picture")
        (stored_run / "notes.txt").write_text("a file that discsim did not write")
    return Path(shutil.copytree(stored_run, tmp_path / "run"))


@pytest.fixture(scope="module")
def finished_sweep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A sweep of ten samples of which number 3 failed."""
    place = tmp_path_factory.mktemp("sweep")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FAKES))
        import quick_engine

        patch.setattr(study_module, "ENGINES", (*study_module.ENGINES, ENGINE))
        patch.setenv("QUICK_ENGINE", str(place))
        (place / "fail-3").touch()
        (place / "quick.toml").write_text(quick_engine.QUICK_STUDY)
        options = ["--out", str(place / "s"), "--engine", ENGINE, "--batch", "4", "--workers", "1"]
        assert CliRunner().invoke(app, ["sweep", str(place / "quick.toml"), *options]).exit_code == 3
    yield place / "s"


@pytest.fixture
def sweep_folder(finished_sweep: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(finished_sweep, tmp_path / "sweep"))


def stored_corners(folder: Path, scenario: str) -> Any:
    fields = Result.load(folder / "result.nc")[scenario].fields
    return fields, fields["points"].values[fields["connectivity"].values].reshape(-1, 2)


def test_vtk_holds_what_was_computed(run_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "fields"
    done = export(run_folder, "--vtk", out)
    assert done.exit_code == 0, done.output
    names = ("untreated", "cells", "gene", "both")
    assert done.stdout == f"fields in {', '.join(str(out / f'{name}.pvd') for name in names)}\n"
    assert {path.name for path in out.iterdir()} == {*names, *(f"{name}.pvd" for name in names)}
    entries = ET.parse(out / "cells.pvd").getroot().findall("Collection/DataSet")
    assert [float(entry.attrib["timestep"]) for entry in entries] == [0.0, 10.0]
    fields, corners = stored_corners(run_folder, "cells")
    for frame, entry in enumerate(entries):
        mesh = meshio.read(out / entry.attrib["file"])
        assert np.array_equal(mesh.points[:, [0, 2]], corners) and not mesh.points[:, 1].any()
        assert set(mesh.point_data) == {
            "displacement [mm]",
            "glucose [mM]",
            "ph [1]",
            "cell_density [cell/mm^3]",
            "gag [mg/mL]",
            "fixed_charge_density [mEq/mL]",
            "stem_cells/undifferentiated [cell/mm^3]",
            "gene.TIMP3/product [ng/mL]",
        }
        moved = fields["displacement"].values[0, frame][fields["connectivity"].values].reshape(-1, 2)
        assert np.array_equal(mesh.point_data["displacement [mm]"][:, [0, 2]], moved)
        assert moved.any() == (frame == 1)
        for label, name in (("glucose [mM]", "glucose"), ("gene.TIMP3/product [ng/mL]", "gene_TIMP3_product")):
            assert np.array_equal(mesh.point_data[label], fields[name].values[0, frame].ravel())
        ((kind, cells),) = ((block.type, block.data) for block in mesh.cells)
        assert kind == "triangle" and np.array_equal(cells.ravel(), np.arange(len(corners)))
        assert np.array_equal(mesh.cell_data["region"][0], fields["region"].values)


def test_xdmf_holds_what_was_computed(run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    out = tmp_path / "fields"
    assert export(run_folder / "result.nc", "--xdmf", out).exit_code == 0
    assert not list(elsewhere.iterdir())
    monkeypatch.chdir(out)  # the reader of meshio, unlike ParaView, looks for the HDF5 file in the current folder
    fields, corners = stored_corners(run_folder, "both")
    with meshio.xdmf.TimeSeriesReader("both.xdmf") as reader:
        points, (cells,) = reader.read_points_cells()
        assert np.array_equal(points[:, [0, 2]], corners) and cells.type == "triangle"
        assert reader.num_steps == 2
        for frame, years in enumerate((0.0, 10.0)):
            time, point_data, cell_data = reader.read_data(frame)
            assert time == years
            assert np.array_equal(point_data["gag [mg/mL]"], fields["gag"].values[0, frame].ravel())
            assert point_data["displacement [mm]"].shape == (len(corners), 3)
            assert np.array_equal(cell_data["region"][0], fields["region"].values)


def test_fields_of_a_failed_arm_end_at_its_last_good_time(
    tmp_path: Path, therapy_study: Study, good_records: list[ArmRecord], failed_record: Callable[[int, float], ArmRecord]
) -> None:
    good_records[2] = failed_record(2, 3.0)
    assert good_records[2].failure is not None and [frame.time for frame in good_records[2].frames] == [0.0, 3.0 * YEAR]
    object.__setattr__(good_records[2].failure, "last_good_time", 2.0 * YEAR)
    good_records[3].frames = []
    Result.from_records(therapy_study, good_records).save(tmp_path / "result.nc")
    done = export(tmp_path, "--vtk", tmp_path / "fields")
    assert done.exit_code == 0 and "gene did not finish" in done.stderr and "no fields were kept of both" in done.stderr
    entries = ET.parse(tmp_path / "fields/gene.pvd").getroot().findall("Collection/DataSet")
    assert [entry.attrib["timestep"] for entry in entries] == ["0.0"]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def kinds(entity: dict[str, Any]) -> set[str]:
    return set(listed(entity.get("@type")))


def graph_of(crate: Path) -> Graph:
    entities = json.loads((crate / "ro-crate-metadata.json").read_text(encoding="utf-8"))["@graph"]
    assert len({entity["@id"] for entity in entities}) == len(entities), "an identifier twice"
    return {entity["@id"]: entity for entity in entities}


def broken_rules(crate: Path) -> list[str]:
    """MUST rules of RO-Crate 1.1, Process Run Crate 0.5, Workflow RO-Crate 1.0 and Workflow Run Crate 0.5 that a crate breaks."""
    from rocrate.vocabs import RO_CRATE

    graph = graph_of(crate)
    root, descriptor = graph["./"], graph["ro-crate-metadata.json"]

    def targets(entity: dict[str, Any], name: str) -> list[dict[str, Any]]:
        return [graph.get(value["@id"], {}) for value in listed(entity.get(name)) if isinstance(value, dict)]

    profiles = [profile["@id"] for profile in listed(root.get("conformsTo"))]
    actions = [entity for entity in graph.values() if "CreateAction" in kinds(entity)]
    software = {"SoftwareApplication", "SoftwareSourceCode", "ComputationalWorkflow"}
    files = [entity["@id"] for entity in graph.values() if "File" in kinds(entity)]
    parts = [part["@id"] for part in listed(root.get("hasPart"))]
    known = {*RO_CRATE["@context"], "sha256", "environment", "@id", "@type"}
    rules = {
        "descriptor": kinds(descriptor) == {"CreativeWork"} and descriptor.get("about") == {"@id": "./"},
        "version": {"@id": "https://w3id.org/ro/crate/1.1"} in listed(descriptor.get("conformsTo")),
        "root": kinds(root) == {"Dataset"} and all(root.get(name) for name in ("name", "description", "datePublished")),
        "license": bool(root.get("license")),
        "types": all(kinds(entity) for entity in graph.values()),
        "terms": all(set(entity) <= known for entity in graph.values()),
        "parts": set(files) == set(parts),
        "files": all((crate / name).is_file() and not name.startswith(("/", "..")) for name in files),
        "process profile": any(profile.startswith("https://w3id.org/ro/wfrun/process/") for profile in profiles),
        "profile entities": all("CreativeWork" in kinds(entity) for entity in targets(root, "conformsTo")),
        "instrument": bool(actions) and all(kinds(tool) & software for one in actions for tool in targets(one, "instrument")),
        "instruments": all(targets(action, "instrument") for action in actions),
    }
    if any(profile.startswith("https://w3id.org/ro/wfrun/workflow/") for profile in profiles):
        main = targets(root, "mainEntity")
        languages = [kinds(language) for workflow in main for language in targets(workflow, "programmingLanguage")]
        rules |= {
            "main workflow": len(main) == 1 and kinds(main[0]) >= WORKFLOW_TYPES,
            "language": languages == [{"ComputerLanguage"}],
            "main execution": any(root["mainEntity"] in listed(action["instrument"]) for action in actions) if main else False,
        }
    return [name for name, kept in rules.items() if not kept]


def check_files(crate: Path, source: Path) -> None:
    """Every described file is there, is that of the source where that has one, and is what its hash and size say."""
    for name, entity in graph_of(crate).items():
        if "File" in kinds(entity):
            content = (crate / name).read_bytes()
            assert (str(len(content)), hashlib.sha256(content).hexdigest()) == (entity["contentSize"], entity["sha256"])
            assert not (source / name).exists() or content == (source / name).read_bytes()


def test_crate_of_a_sweep_with_a_failed_sample(sweep_folder: Path, tmp_path: Path) -> None:
    crate = tmp_path / "crate"
    done = export(sweep_folder, "--crate", crate)
    assert done.exit_code == 0, done.output
    assert "10 of 10 samples computed, 1 failed (sample 3, untreated: nonconverged" in done.stderr
    assert broken_rules(crate) == []
    check_files(crate, sweep_folder)
    there = {path.relative_to(crate).as_posix() for path in crate.rglob("*") if path.is_file()}
    shards = {f"shards/{path.name}" for path in (sweep_folder / "shards").glob("*.nc")}
    assert len(shards) == 3 and there == {"ro-crate-metadata.json", "study.toml", "study.nc", "manifest.json", *shards}
    graph = graph_of(crate)
    action, manifest = graph["#sweep"], json.loads((sweep_folder / "manifest.json").read_text())
    assert action["actionStatus"] == "http://schema.org/CompletedActionStatus" and "error" not in action
    assert "sample 3, untreated: nonconverged, Newton stalled" in action["description"] and "agent" not in action
    assert action["startTime"] == manifest["created"].replace("Z", "+00:00") <= action["endTime"]
    assert {result["@id"] for result in action["result"]} == {"manifest.json", *shards}
    varied = [graph[entry["@id"]] for entry in action["object"] if entry["@id"].startswith("#sweep-input")]
    assert [entry["name"] for entry in varied] == ["loading.active", "stem_cells.undifferentiated_demand"]
    told = {graph[one["@id"]]["name"]: graph[one["@id"]]["value"] for one in action["additionalProperty"]}
    assert told["engine"] == ENGINE and told["machine"] and told["python"]
    code = {graph[one["@id"]]["name"] for one in graph["#sweep-discsim"]["additionalProperty"]}
    assert "SHA-256 of requirements.lock" in code and graph["#sweep-discsim"]["softwareVersion"] == "0.1.0"
    assert graph["./"]["license"] == "No license is stated." and "1 failed" in graph["./"]["description"]
    assert str(tmp_path) not in (crate / "ro-crate-metadata.json").read_text()


def test_the_rules_find_what_is_broken(sweep_folder: Path, tmp_path: Path) -> None:
    crate = tmp_path / "crate"
    export(sweep_folder, "--crate", crate)
    whole = (crate / "ro-crate-metadata.json").read_text()

    def spoilt(identifier: str, name: str, value: Any) -> list[str]:
        table = json.loads(whole)
        (entity,) = (entity for entity in table["@graph"] if entity["@id"] == identifier)
        entity[name] = value
        (crate / "ro-crate-metadata.json").write_text(json.dumps(table))
        return broken_rules(crate)

    assert spoilt("#sweep", "instrument", {"@id": "#sweep-discsim"}) == ["main execution"]
    assert spoilt("#sweep", "instrument", {"@id": "study.nc"}) == ["instrument", "main execution"]
    assert spoilt("#sweep", "instrument", []) == ["instruments", "main execution"]
    assert spoilt("study.toml", "@type", ["File", "SoftwareSourceCode"]) == ["main workflow"]
    assert spoilt("study.toml", "programmingLanguage", None) == ["language"]
    assert spoilt("./", "license", None) == ["license"]
    assert spoilt("./", "mentionz", "x") == ["terms"]
    assert spoilt("./", "conformsTo", [{"@id": "https://w3id.org/ro/wfrun/workflow/0.5"}]) == ["process profile"]
    assert spoilt("./", "hasPart", [{"@id": "study.nc"}]) == ["parts"]
    (crate / "study.nc").unlink()
    assert spoilt("./", "name", "x") == ["files"]


def test_crate_of_a_run_as_zip_with_an_author(run_folder: Path, tmp_path: Path) -> None:
    target, crate = tmp_path / "crate.zip", tmp_path / "unpacked"
    options = ("--author", "Ada Lovelace", "--orcid", "0000-0002-1825-0097", "--license", "cc-by-4.0")
    done = export(run_folder, "--crate", target, *options)
    assert done.exit_code == 0 and done.stdout == f"crate in {target}, 3 files\n", done.output
    with zipfile.ZipFile(target) as archive:
        archive.extractall(crate)
    assert broken_rules(crate) == []
    check_files(crate, run_folder)
    assert not (crate / "notes.txt").exists()
    assert (crate / "study.toml").read_text() == Result.load(run_folder / "result.nc").config
    graph = graph_of(crate)
    action, person = graph["#run"], graph["https://orcid.org/0000-0002-1825-0097"]
    assert person["name"] == "Ada Lovelace" and action["agent"] == graph["./"]["author"] == {"@id": person["@id"]}
    assert graph["./"]["license"] == {"@id": "https://spdx.org/licenses/CC-BY-4.0"}
    assert action["startTime"] == "2026-01-02T03:04:05+00:00" < action["endTime"]
    assert [result["@id"] for result in action["result"]] == ["result.nc", "time_courses.png"]


def test_run_and_sweep_in_one_folder(run_folder: Path, sweep_folder: Path, tmp_path: Path) -> None:
    shutil.copy(run_folder / "result.nc", sweep_folder)
    assert export(sweep_folder, "--crate", tmp_path / "crate").exit_code == 0
    assert broken_rules(tmp_path / "crate") == []
    graph = graph_of(tmp_path / "crate")
    assert graph["./"]["mentions"] == [{"@id": "#sweep"}, {"@id": "#run"}]
    assert graph["#sweep"]["instrument"] == graph["./"]["mainEntity"] == {"@id": "study.toml"}
    assert graph["#run"]["instrument"] == {"@id": "study_of_the_run.toml"}


def test_a_study_without_a_file_has_no_workflow(run_folder: Path, tmp_path: Path) -> None:
    result = Result.load(run_folder / "result.nc")
    result.tree.attrs["discsim_config"] = ""
    result.save(run_folder / "result.nc", overwrite=True)
    assert export(run_folder, "--crate", tmp_path / "crate").exit_code == 0
    assert broken_rules(tmp_path / "crate") == []
    graph = graph_of(tmp_path / "crate")
    assert graph["./"]["conformsTo"] == {"@id": "https://w3id.org/ro/wfrun/process/0.5"} and "mainEntity" not in graph["./"]
    assert graph["#run"]["instrument"] == {"@id": "#run-discsim"}


def test_a_sweep_that_is_still_going(sweep_folder: Path, tmp_path: Path) -> None:
    with Lock(sweep_folder):
        done = export(sweep_folder, "--crate", tmp_path / "crate")
    assert done.exit_code == 0 and "sweep: still going" in done.stderr
    action = graph_of(tmp_path / "crate")["#sweep"]
    assert action["actionStatus"] == "http://schema.org/ActiveActionStatus" and "endTime" not in action
    assert "still going when this crate was made" in action["description"]
    assert broken_rules(tmp_path / "crate") == []


def test_a_sweep_that_was_stopped(sweep_folder: Path, tmp_path: Path) -> None:
    next((sweep_folder / "shards").glob("batch-00001*")).unlink()
    state = json.loads((sweep_folder / "state.json").read_text())
    (sweep_folder / "state.json").write_text(json.dumps(state | {"phase": "running"}))
    assert export(sweep_folder, "--crate", tmp_path / "crate").exit_code == 0
    action = graph_of(tmp_path / "crate")["#sweep"]
    assert action["actionStatus"] == "http://schema.org/FailedActionStatus"
    assert action["error"].startswith("stopped before its end, with 6 of 10 samples computed")


def test_a_run_of_which_nothing_finished(
    tmp_path: Path, therapy_study: Study, failed_record: Callable[[int, float], ArmRecord]
) -> None:
    records = [failed_record(index, 1.0) for index in range(4)]
    Result.from_records(therapy_study, records).save(tmp_path / "run/result.nc")
    assert export(tmp_path / "run", "--crate", tmp_path / "crate").exit_code == 0
    action = graph_of(tmp_path / "crate")["#run"]
    assert action["actionStatus"] == "http://schema.org/FailedActionStatus" and "Newton stalled" in action["error"]
    assert "startTime" not in action


def test_a_damaged_shard_gives_no_crate(sweep_folder: Path, tmp_path: Path) -> None:
    shard = next((sweep_folder / "shards").glob("*.nc"))
    shard.write_bytes(shard.read_bytes()[:-1])
    done = export(sweep_folder, "--crate", tmp_path / "crate.zip")
    assert done.exit_code == 2 and f"{shard}: damaged" in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"sweep"}


@pytest.mark.parametrize("option", ["--vtk", "--xdmf", "--crate"])
@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_nothing_is_replaced(option: str, kind: str, run_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "there.zip"
    if kind == "folder":
        target.mkdir()
    elif kind == "file":
        target.write_text("kept")
    else:
        target.symlink_to("nowhere")
    done = export(run_folder, option, target)
    assert done.exit_code == 2 and "exists, and nothing is replaced" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"run", "there.zip"}
    assert kind != "file" or target.read_text() == "kept"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "one of --vtk OUT, --xdmf OUT and --crate OUT"),
        (("--vtk", "a", "--crate", "b"), "given: --vtk, --crate"),
        (("--vtk", "a", "--author", "x"), "--author: for --crate only"),
        (("--xdmf", "a", "--license", "MIT"), "--license: for --crate only"),
        (("--crate", "a", "--orcid", "0000-0002-1825-0097"), "name the author too"),
        (("--crate", "a", "--author", " "), "given an empty name"),
        (("--crate", "a", "--author", "x", "--orcid", "0000-0002-1825-0098"), "no ORCID"),
        (("--crate", "a", "--license", "free"), "neither an address nor one identifier"),
        (("--crate", "a", "--license", "MIT OR Apache-2.0"), "neither an address nor one identifier"),
        (("--crate", "run/notes.txt/a"), "notes.txt is a file"),
    ],
)
def test_wrong_options(
    options: tuple[str, ...], message: str, run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = export(run_folder, *options)
    assert done.exit_code == 2 and message in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.output
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


@pytest.mark.parametrize("option", ["--vtk", "--xdmf", "--crate"])
@pytest.mark.parametrize(
    ("place", "message"),
    [("nowhere", "no such folder"), ("empty", "result.nc"), ("notes.txt", "notes.txt"), ("foreign", "no NetCDF-4 file")],
)
def test_wrong_places(option: str, place: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/result.nc").write_text("nothing of ours")
    done = export(tmp_path / place, option, tmp_path / "out")
    assert done.exit_code == 2 and message in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.output
    assert not (tmp_path / "out").exists()


def test_results_without_fields(sweep_folder: Path, tmp_path: Path, therapy_study: Study, good_records: list[ArmRecord]) -> None:
    for record in good_records:
        record.frames = []
    Result.from_records(therapy_study, good_records).save(tmp_path / "bare/result.nc")
    for place, message in (
        (sweep_folder, "a sweep keeps no fields"),
        (tmp_path / "bare", "no scenario of this result kept fields"),
    ):
        done = export(place, "--xdmf", tmp_path / "out")
        assert done.exit_code == 2 and message in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"sweep", "bare"}


def test_without_rocrate(run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name == "rocrate" or name.startswith("rocrate.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rocrate", None)
    done = export(run_folder, "--crate", tmp_path / "crate")
    assert done.exit_code == 4 and "pip install 'discsim[crate]'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and not (tmp_path / "crate").exists()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0000-0002-1825-0097", "https://orcid.org/0000-0002-1825-0097"),
        ("https://orcid.org/0000-0002-1694-233X", "https://orcid.org/0000-0002-1694-233X"),
        ("0000-0002-1825-0079", None),
        ("0000000218250097", None),
        ("https://example.org/0000-0002-1825-0097", None),
    ],
)
def test_orcids(text: str, address: str | None) -> None:
    assert orcid_address(text) == address
