"""Whatever was done to the files of a run, of a sweep or of kept numbers, every command says in plain lines what is wrong."""

from __future__ import annotations

import copy
import json
import random
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from discsim.cli import app
from discsim.problem.record import ArmRecord
from discsim.study import study as study_module
from discsim.study.config import study_from_text
from discsim.study.result import Result, ResultError
from discsim.study.stored_shape import check_result
from discsim.study.study import Study
from discsim.study.sweep_plan import SweepOptions
from discsim.study.sweep_run import run_sweep

FAKES = Path(__file__).parents[1] / "fakes"
ENGINE = "quick_engine:QuickEngine"
LONG_SEARCH = 300.0  # seconds
ODD: tuple[Any, ...] = (None, True, -1, 0, 10**30, 1.5, float("nan"), "", "x", [], ["a"], [None], {}, {"a": 1})
ODD_ATTRIBUTES: tuple[Any, ...] = ("", "x", "{}", "[]", "[1]", "null", '{"a": 1}', 3, 1.5, np.nan, np.array([1, 2]))
Commands = tuple[tuple[str, ...], ...]
OF_A_RUN: Commands = (
    ("show", "@/run"),
    ("show", "@/run/result.nc", "--csv", "-"),
    ("show", "@/run", "--provenance"),
    ("report", "@/run", "-o", "@/page.html"),
    ("export", "@/run", "--crate", "@/crate"),
)
OF_ITS_FIELDS: Commands = (
    ("plot", "@/run", "--field", "glucose", "-o", "@/glucose.png"),
    ("export", "@/run", "--vtk", "@/vtk"),
)
OF_A_SWEEP: Commands = (
    ("status", "@/sweep"),
    ("check", "@/sweep"),
    ("show", "@/sweep"),
    ("show", "@/sweep", "--sample", "3"),
    ("show", "@/sweep", "--provenance"),
    ("compare", "@/sweep"),
    ("sensitivity", "@/sweep"),
    ("report", "@/sweep", "-o", "@/page.html"),
    ("export", "@/sweep", "--crate", "@/crate"),
)
REPRODUCE: Commands = (("reproduce", "@", "--engine", ENGINE),)
# An exception in a destructor reaches a user as a traceback, too.
pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with an experiment, its sweep and the numbers kept of it; a command line that offers the quick engine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FAKES))
        import quick_engine

        patch.setattr(study_module, "ENGINES", (*study_module.ENGINES, ENGINE))
        folder = tmp_path_factory.mktemp("swept")
        (folder / "study.toml").write_text(quick_engine.QUICK_STUDY)
        run_sweep(study_from_text(quick_engine.QUICK_STUDY), folder / "sweep", SweepOptions(engine=ENGINE, batch=4, workers=1))
        done = CliRunner().invoke(app, ["reproduce", str(folder), "--engine", ENGINE, "--update", "--reason", "first"])
        assert done.exit_code == 0, done.output
        yield folder


@pytest.fixture
def folder(swept: Path, tmp_path: Path, therapy_study: Study, good_records: list[ArmRecord]) -> Path:
    """A copy of it to spoil, with a run beside it."""
    place = Path(shutil.copytree(swept, tmp_path / "w"))
    Result.from_records(therapy_study, good_records).save(place / "run/result.nc")
    return place


def call(folder: Path, command: tuple[str, ...], what: object, codes: tuple[int, ...] = (0, 2, 3, 5)) -> None:
    """The command ends with a code that is meant, and says what is wrong in plain lines."""
    done = CliRunner().invoke(app, [word.replace("@", str(folder)) for word in command])
    told = f"{what!r}\n{command}\n{done.output}\n{done.exception!r}"
    assert done.exit_code in codes, told
    assert done.exception is None or isinstance(done.exception, SystemExit), told
    assert "Traceback" not in done.output and "unexpected; discsim --debug" not in done.output, told
    if done.exit_code == 2:
        assert len(done.stderr.strip().splitlines()) == 1 and ": " in done.stderr, told
    for made in ("crate", "vtk"):
        shutil.rmtree(folder / made, ignore_errors=True)


def spoilt_json(path: Path, place: tuple[str | int, ...], value: Any, delete: bool = False) -> None:
    """Change or drop one value of a JSON file."""
    table = json.loads(path.read_text())
    holder = table
    for part in place[:-1]:
        holder = holder[part]
    if delete:
        del holder[place[-1]]
    else:
        holder[place[-1]] = value
    path.write_text(json.dumps(table))


def test_unspoilt_files_are_read(folder: Path) -> None:
    for command in (*OF_A_RUN[:2], *OF_A_SWEEP[:4], *REPRODUCE):
        call(folder, command, "nothing", (0,))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("values", "cells", "viable_cells", 0), ["a"]),
        (("values", "cells", "viable_cells"), []),
        (("values", "cells"), None),
        (("values",), True),
        (("status",), 0),
        (("status",), {"cells": "ok"}),
        (("units", "viable_cells"), 3),
        (("history", 0), {"date": "today"}),
        (("times",), "long"),
    ],
)
def test_kept_numbers_of_a_wrong_type(place: tuple[str | int, ...], value: Any, folder: Path) -> None:
    spoilt_json(folder / "golden.json", place, value)
    call(folder, REPRODUCE[0], place, (2,))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"discsim_schema": "discsim-sweep/1"}'])
def test_a_manifest_that_is_none(content: bytes, folder: Path) -> None:
    (folder / "sweep/manifest.json").write_bytes(content)
    for command in OF_A_SWEEP:
        call(folder, command, content[:40], (0,) if "--provenance" in command else (2,))


@pytest.mark.parametrize(
    ("place", "value"), [(("title",), 3), (("design", "inputs"), None), (("steps",), []), (("identity", "batch"), "four")]
)
def test_an_edited_manifest_is_told_and_a_sweep_does_not_go_on_with_it(
    place: tuple[str | int, ...], value: Any, folder: Path
) -> None:
    spoilt_json(folder / "sweep/manifest.json", place, value)
    again = ("sweep", "@/study.toml", "--out", "@/sweep", "--engine", ENGINE)
    for command in (*OF_A_SWEEP, again):
        call(folder, command, place, (0,) if "--provenance" in command else (2,))


def test_a_manifest_from_before_there_was_a_hash_is_read(folder: Path) -> None:
    spoilt_json(folder / "sweep/manifest.json", ("content_hash",), None, delete=True)
    call(folder, OF_A_SWEEP[0], "no hash", (0,))


def test_notes_and_checks_that_are_none(folder: Path) -> None:
    for name, contents in (
        ("state.json", ("{", "[]", '{"phase": 3, "done": "x"}')),
        ("lock", ("{", "[1]", '{"pid": "x"}')),
        ("check.json", ("{", "[]", '{"engine": 3}')),
    ):
        for content in contents:
            (folder / "sweep" / name).write_text(content)
            for command in OF_A_SWEEP:
                call(folder, command, (name, content))
        (folder / "sweep" / name).unlink()


def cut(path: Path, share: float) -> None:
    """Keep a part of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def test_files_that_are_cut_short(folder: Path) -> None:
    for name, commands in (("run/result.nc", OF_A_RUN + OF_ITS_FIELDS), ("sweep/study.nc", OF_A_SWEEP[2:3] + OF_A_SWEEP[4:])):
        whole = (folder / name).read_bytes()
        for share in (0.0, 0.001, 0.3, 0.99):
            (folder / name).write_bytes(whole)
            cut(folder / name, share)
            for command in commands:
                call(folder, command, (name, share), (2,))
        (folder / name).write_bytes(whole)
    shard = min((folder / "sweep/shards").iterdir())
    cut(shard, 0.5)
    for command in OF_A_SWEEP:
        call(folder, command, shard.name, (5,) if command[0] == "check" else (0,) if "--provenance" in command else (2,))


def without(tree: xr.DataTree, part: str, variable: str) -> None:
    """Drop a variable of a part of a tree."""
    tree[part].dataset = tree[part].to_dataset(inherit=False).drop_vars(variable)


def filled(tree: xr.DataTree, part: str, variable: str, value: float) -> None:
    """One value everywhere."""
    own = tree[part].to_dataset(inherit=False)
    own[variable] = own[variable].copy(data=np.full_like(own[variable].values, value))
    tree[part].dataset = own


# What somebody may do to a result with another program.
EDITS: dict[str, Callable[[xr.DataTree], Any]] = {
    "no list of scenarios": lambda tree: tree.attrs.pop("discsim_scenarios"),
    "another scenario": lambda tree: tree.attrs.update(discsim_scenarios="cells other"),
    "no scenario": lambda tree: tree.attrs.update(discsim_scenarios=""),
    "times that are no JSON": lambda tree: tree.attrs.update(discsim_table_times="10 year"),
    "times that are no numbers": lambda tree: tree.attrs.update(discsim_table_times='["x"]'),
    "a calendar without arms": lambda tree: tree.attrs.update(discsim_calendar="{}"),
    "assumptions of another form": lambda tree: tree.attrs.update(discsim_partial_assumptions='[{"path": 3}]'),
    "machine that is no table": lambda tree: tree.attrs.update(discsim_environment="[1]"),
    "numbers for a title": lambda tree: tree.attrs.update(title=np.array([1, 2])),
    "a duration in words": lambda tree: tree.attrs.update(discsim_duration="ten years"),
    "no parameters": lambda tree: tree.children["parameters"].orphan(),
    "no column of the parameters": lambda tree: without(tree, "parameters", "evidence"),
    "no readout": lambda tree: without(tree, "cells", "viable_cells"),
    "no status": lambda tree: without(tree, "cells", "status"),
    "another status": lambda tree: tree["cells"]["status"].values.__setitem__(0, "fine"),
    "no times": lambda tree: filled(tree, "cells", "time", np.nan),
    "no times of fields": lambda tree: filled(tree, "cells/fields", "field_time", np.nan),
    "a cell of no vertex": lambda tree: filled(tree, "cells/fields", "connectivity", 10**6),
    "a region that there is not": lambda tree: filled(tree, "cells/fields", "region", 9),
    "a field without its name": lambda tree: tree["cells/fields"].dataset["glucose"].attrs.pop("discsim_name"),
    "no steps": lambda tree: tree["cells"].children["steps"].orphan(),
    "no unit": lambda tree: tree["cells"].dataset["disc_height"].attrs.pop("discsim_unit"),
    "digits in words": lambda tree: tree["cells"].dataset["disc_height"].attrs.update(digits="two"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_result_that_was_edited(edit: str, therapy_study: Study, good_records: list[ArmRecord]) -> None:
    tree = Result.from_records(therapy_study, good_records).tree
    assert check_result(tree, "result.nc") is tree
    EDITS[edit](tree)
    with pytest.raises(
        ResultError, match=r"^result\.nc: damaged or edited \(.*\); fetch it anew, or run the study again$"
    ) as told:
        check_result(tree, "result.nc")
    assert len(str(told.value).splitlines()) == 1


def test_an_edited_file_is_told_by_every_command(folder: Path) -> None:
    with h5py.File(folder / "run/result.nc", "r+") as file:
        file.attrs["discsim_table_times"] = "10 year"
    for command in OF_A_RUN + OF_ITS_FIELDS:
        call(folder, command, "times", (2,))


@pytest.mark.parametrize(
    "command",
    [
        ("show", "@/study.toml"), ("show", "@/nothing"), ("show", "@"), ("report", "@/study.toml"), ("report", "@"),
        ("plot", "@/study.toml", "--field", "glucose"), ("plot", "@/sweep", "--field", "glucose"),
        ("export", "@", "--vtk", "@/v"), ("export", "@/study.toml", "--crate", "@/c"),
        ("compare", "@/study.toml"), ("compare", "@/run"), ("sensitivity", "@/run"), ("status", "@/study.toml"),
        ("status", "@/run"), ("check", "@/run"), ("check", "@/study.toml"),
        ("reproduce", "@/run"), ("reproduce", "@/run/result.nc"), ("reproduce", "@", "--against", "@/study.toml"),
        ("reproduce", "@", "--against", "@/nothing.nc"), ("reproduce", "@", "--against", "@/sweep/study.nc"),
        ("show", "@/run", "--csv", "@/sweep"), ("report", "@/run/result.nc", "-o", "@/study.toml/page.html"),
    ],
)  # fmt: skip
def test_another_file_or_folder_than_is_meant(command: tuple[str, ...], folder: Path) -> None:
    call(folder, command, "another", (2,))


def places(table: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Paths of all values in nested tables and lists."""
    inner = table.items() if isinstance(table, dict) else enumerate(table) if isinstance(table, list) else ()
    for key, value in inner:
        yield (*path, key)
        yield from places(value, (*path, key))


def spoil_netcdf(path: Path, chance: random.Random) -> object:
    """Cut, flip or edit a NetCDF file at random; what was done."""
    kind = chance.choice(("cut", "flip", "attribute", "attribute of a part", "drop", "numbers"))
    if kind in ("cut", "flip"):
        content = bytearray(path.read_bytes())
        for place in (places_hit := sorted(chance.sample(range(len(content)), 20))):
            content[place] ^= chance.randrange(1, 256)
        path.write_bytes(content[: places_hit[0]] if kind == "cut" else content)
        return kind, places_hit
    with h5py.File(path, "r+") as file:
        parts: list[str] = []
        file.visit(parts.append)
        part = file[chance.choice(parts)] if kind != "attribute" else file
        name = str(part.name)
        if kind == "drop":
            del file[name]
        elif kind == "numbers" and isinstance(part, h5py.Dataset) and part.dtype.kind in "if" and part.size:
            part[...] = np.nan if part.dtype.kind == "f" else -7
        elif own := sorted(set(part.attrs) & {key for key in part.attrs if not key.isupper() and key[0] != "_"}):
            key, value = chance.choice(own), chance.choice((*ODD_ATTRIBUTES, None))
            if value is None:
                del part.attrs[key]
            else:
                part.attrs[key] = value
            return kind, name, key, value
        return kind, name


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_a_long_search_finds_no_traceback(folder: Path) -> None:
    seed = time.time_ns()
    chance, end = random.Random(seed), time.monotonic() + LONG_SEARCH
    jsons: tuple[tuple[str, Commands], ...] = (
        ("golden.json", REPRODUCE),
        ("sweep/manifest.json", OF_A_SWEEP),
        ("sweep/state.json", OF_A_SWEEP[:1]),
    )
    netcdfs: tuple[tuple[str, Commands], ...] = (
        ("run/result.nc", OF_A_RUN + OF_ITS_FIELDS),
        ("sweep/study.nc", OF_A_SWEEP),
    )
    whole = {name: (folder / name).read_bytes() for name, _ in jsons + netcdfs}
    while time.monotonic() < end:
        name, commands = chance.choice(jsons + netcdfs)
        if name.endswith(".json"):
            table = json.loads(whole[name])
            known = [place for place in places(copy.deepcopy(table)) if len(place) <= 4]
            place, value = chance.choice(known), chance.choice(ODD)
            spoilt_json(folder / name, place, value, delete=chance.random() < 0.2)
            what: object = (name, place, value)
        else:
            what = (name, spoil_netcdf(folder / name, chance))
        for command in commands:
            call(folder, command, (seed, what))
        (folder / name).write_bytes(whole[name])
