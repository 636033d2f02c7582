"""Sweeps with an engine that takes no time: resume, failures, damage, changes, locks."""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from discsim.problem.problem import YEAR
from discsim.study import sweep_folder, sweep_pool
from discsim.study.config import read_study, resolve, study_from_text
from discsim.study.design import draw
from discsim.study.environment import MissingTool
from discsim.study.sample_history import sample_history
from discsim.study.store import ResultError
from discsim.study.study import Study
from discsim.study.sweep_branch import branch_of, extension_of, longer_study
from discsim.study.sweep_folder import Lock, SweepBusy, SweepChanged, SweepError, SweepUnwritable, holder, load_manifest
from discsim.study.sweep_plan import BATCH_OF, BadOption, SweepOptions, plan_sweep, setups
from discsim.study.sweep_pool import Workers
from discsim.study.sweep_run import SweepOutcome, SweepProgress, open_ensemble, open_sweep, run_sweep
from discsim.study.sweep_state import load_state
from discsim.study.sweep_worker import Setup

FAKES = Path(__file__).parents[1] / "fakes"
SHIPPED = Path(__file__).resolve().parents[2] / "experiments" / "cells_vs_gene" / "study.toml"
Run = Callable[..., SweepOutcome]


@pytest.fixture(scope="module")
def quick() -> object:
    """The module of the quick engine, where worker processes find it too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FAKES))
        import quick_engine

        yield quick_engine


@pytest.fixture(scope="module")
def study(quick: object) -> Study:
    """Two scenarios, a list of ten samples."""
    return study_from_text(quick.QUICK_STUDY)


@pytest.fixture
def orders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of the files that tell the engine what happens."""
    place = tmp_path / "orders"
    place.mkdir()
    monkeypatch.setenv("QUICK_ENGINE", str(place))
    return place


@pytest.fixture
def run(study: Study, quick: object, tmp_path: Path) -> Run:
    """Run the sweep in ``tmp_path / "s"``: one worker, batches of four."""

    def go(
        changed: Study | None = None, hook: Callable[[SweepProgress], None] = lambda p: None, **options: object
    ) -> SweepOutcome:
        given = {"engine": quick.ENGINE, "batch": 4, "workers": 1} | options
        return run_sweep(changed or study, tmp_path / "s", SweepOptions(**given), hook)

    return go


@pytest.fixture(scope="module")
def finished(study: Study, quick: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished sweep; tests that change it work on a copy."""
    folder = tmp_path_factory.mktemp("finished") / "s"
    run_sweep(study, folder, SweepOptions(engine=quick.ENGINE, batch=4, workers=2))
    return folder


@pytest.fixture
def done(finished: Path, tmp_path: Path) -> Path:
    """A copy of a finished sweep where ``run`` works."""
    return Path(shutil.copytree(finished, tmp_path / "s"))


def shards(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Time of writing and content of every shard."""
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in (folder / "shards").iterdir()}


def begun(orders: Path) -> list[int]:
    """Samples that the engine began, in turn."""
    return [int(line.split()[0]) for line in (orders / "ran").read_text().splitlines()] if (orders / "ran").exists() else []


def test_a_sweep_solves_every_sample_in_every_scenario(finished: Path, study: Study, quick: object) -> None:
    ensemble = open_ensemble(finished)
    assert ensemble.numbers.tolist() == list(range(10))
    assert ensemble.scenarios == ("untreated", "cells") and ensemble.good().all()
    rising = 20.0 + np.arange(10)
    np.testing.assert_array_equal(ensemble.values["untreated"]["viable_cells"][:, 0], rising)
    np.testing.assert_allclose(ensemble.values["cells"]["viable_cells"][:, 1], 0.95 * (rising + 1.0), rtol=1e-14)
    assert ensemble.units == {"viable_cells": "million", "glucose_min": "mM"}
    np.testing.assert_allclose(ensemble.inputs[0].values, 0.2 + 0.005 * np.arange(10), rtol=1e-12)
    assert [swept.path for swept in ensemble.inputs] == ["loading.active", "stem_cells.undifferentiated_demand"]
    manifest = load_manifest(finished)
    assert len(manifest.steps) == 5 and manifest.steps[-1] == study.problem().duration
    assert (manifest.identity["engine"], manifest.identity["batch"], manifest.count) == (quick.ENGINE, 4, 10)
    assert (finished / "study.toml").read_text() == resolve(study)
    assert len(shards(finished)) == 3


def test_the_tree_of_all_samples(finished: Path, study: Study) -> None:
    tree = open_sweep(finished)
    assert set(tree.children) == {"untreated", "cells", "parameters"}
    assert tree.attrs["discsim_config"] == resolve(study)
    assert tree["cells"]["viable_cells"].shape == (10, 6)
    assert tree["cells"]["steps"]["iterations"].values.tolist() == [15.0] * 10


def test_the_same_command_again_does_nothing(done: Path, orders: Path, run: Run) -> None:
    before = shards(done)
    outcome = run()
    assert (outcome.total, outcome.computed, dict(outcome.failed)) == (10, 0, {})
    assert shards(done) == before and begun(orders) == []


def test_only_what_is_missing_is_computed(done: Path, orders: Path, run: Run) -> None:
    before = shards(done)
    lost = next(name for name in before if name.startswith("batch-00001"))
    (done / "shards" / lost).unlink()
    (done / "shards" / ".batch-00001.0.nc.x.part").write_bytes(b"half")
    assert open_ensemble(done).numbers.tolist() == [0, 1, 2, 3, 8, 9]  # a sweep that is not finished can be read
    assert run().computed == 4
    assert begun(orders) == [4, 5, 6, 7]
    after = shards(done)
    assert {name: after[name] for name in before if name != lost} == {name: before[name] for name in before if name != lost}
    assert not list((done / "shards").glob(".*"))
    assert open_ensemble(done).numbers.tolist() == list(range(10))


def test_one_worker_gives_the_same_numbers_as_two(finished: Path, tmp_path: Path, run: Run) -> None:
    run()
    one, two = open_ensemble(tmp_path / "s"), open_ensemble(finished)
    for scenario in one.scenarios:
        for readout in one.units:
            np.testing.assert_array_equal(one.values[scenario][readout], two.values[scenario][readout])
    assert load_manifest(tmp_path / "s").steps == load_manifest(finished).steps


@pytest.mark.slow
def test_two_processes_give_the_numbers_of_one(tmp_path: Path) -> None:
    """With the engine that computes, on the shipped study: not to a tolerance, but the same bits."""
    study = read_study(SHIPPED, ("duration=30 day", 'output.times=["0 day", "30 day"]', "disc.mesh_level=1"))
    found = []
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        run_sweep(study, folder, SweepOptions(engine="sweep", samples=4, batch=1, workers=workers), lambda progress: None)
        found.append(open_ensemble(folder))
    one, two = found
    assert set(one.scenarios) == {"untreated", "cells", "gene", "both"}
    for scenario in one.scenarios:
        for readout in one.units:
            assert np.isfinite(one.values[scenario][readout]).all()
            np.testing.assert_array_equal(one.values[scenario][readout], two.values[scenario][readout])


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_three_faults_on_purpose_cost_three_samples_of_32(tmp_path: Path) -> None:
    """With the engine that computes: a sample of which every number is NaN runs beside others, a kill and a hang end theirs."""
    study = read_study(SHIPPED, ("duration=30 day", 'output.times=["0 day", "30 day"]', "disc.mesh_level=1"))
    options = SweepOptions(engine="sweep", samples=32, batch=4, workers=2, check=False)
    clean = run_sweep(study, tmp_path / "clean", options)
    assert not clean.failed
    struck = dataclasses.replace(options, faults={7: "kill", 11: "nan", 13: "hang"}, timeout=30.0)
    outcome = run_sweep(study, tmp_path / "struck", struck)
    assert sorted(outcome.failed) == [7, 11, 13]
    assert "crashed" in outcome.failed[7] and "timeout" in outcome.failed[13]
    assert "nan" in outcome.failed[11].lower() or "finite" in outcome.failed[11], outcome.failed[11]
    found, wanted = open_ensemble(tmp_path / "struck"), open_ensemble(tmp_path / "clean")
    rest = [sample for sample in range(32) if sample not in (7, 11, 13)]
    for scenario in found.scenarios:
        for readout in found.units:
            np.testing.assert_allclose(
                found.values[scenario][readout][rest], wanted.values[scenario][readout][rest], rtol=5e-6, atol=1e-12
            )
        # batches that were not touched ran as before: not to a tolerance, but the same bits
        same = [sample for sample in rest if sample // 4 not in (1, 3)]
        for readout in found.units:
            np.testing.assert_array_equal(found.values[scenario][readout][same], wanted.values[scenario][readout][same])


def test_a_killed_worker_costs_its_batch_one_more_start(tmp_path: Path, orders: Path, run: Run) -> None:
    (orders / "kill-5").write_text("x")
    outcome = run()
    assert not outcome.failed and outcome.computed == 10
    assert collections.Counter(begun(orders)) == collections.Counter([*range(10), 4, 5])
    attempts = open_sweep(tmp_path / "s")["cells"]["attempts"].values.tolist()
    assert attempts == [1, 1, 1, 1, 2, 2, 2, 2, 1, 1]
    assert "killed, most likely by the system for want of memory" in (tmp_path / "s/log/sweep.log").read_text()


def test_a_sample_that_kills_every_worker_is_given_up_and_harms_no_other(
    tmp_path: Path, orders: Path, finished: Path, run: Run
) -> None:
    (orders / "kill-5").write_text("xx")
    outcome = run(workers=2)
    assert sorted(outcome.failed) == [5]
    assert "crashed, its process ended without a word" in outcome.failed[5] and "2 times" in outcome.failed[5]
    ensemble = open_ensemble(tmp_path / "s")
    assert ensemble.status["cells"].tolist() == ["ok"] * 5 + ["crashed"] + ["ok"] * 4
    assert np.isnan(ensemble.values["cells"]["viable_cells"][5]).all()
    clean, rest = open_ensemble(finished), [0, 1, 2, 3, 4, 6, 7, 8, 9]
    np.testing.assert_array_equal(ensemble.values["cells"]["viable_cells"][rest], clean.values["cells"]["viable_cells"][rest])
    before = shards(tmp_path / "s")
    assert run().computed == 0  # a failure is a result: the plain command does not run it again
    retried = run(again="retry")
    assert not retried.failed and retried.computed == 1
    attempts = open_sweep(tmp_path / "s")["cells"]["attempts"].values.tolist()
    assert attempts == [1] * 4 + [2, 3, 2, 2] + [1] * 2  # those that ran beside it were run again, alone
    assert before.items() < shards(tmp_path / "s").items()  # both runs are kept


def test_a_sample_that_hangs_is_ended_and_named(tmp_path: Path, orders: Path, run: Run) -> None:
    (orders / "wait-5").touch()
    outcome = run(batch=1, timeout=4.0)
    assert list(outcome.failed) == [5]
    assert "timeout, not done after 4 s, so its process was ended" in outcome.failed[5]
    assert begun(orders) == list(range(10))  # once is enough
    processes = {int(line.split()[1]) for line in (orders / "ran").read_text().splitlines()}
    assert len(processes) == 2
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_a_sample_that_takes_too_much_memory_is_ended_and_named(
    tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setattr(sweep_pool, "MEMORY_TICK", 0.05)
    outcome = run(samples=6, memory=1.0, faults={5: "oom"})
    assert list(outcome.failed) == [5]
    assert re.search(r": oom, it held 1\.\d+ GiB of memory, --memory allows 1, so its process was ended", outcome.failed[5])
    found, clean = open_ensemble(tmp_path / "s"), open_ensemble(finished)
    assert found.status["cells"].tolist() == ["ok"] * 5 + ["oom"]
    for readout in found.units:
        np.testing.assert_array_equal(found.values["cells"][readout][:5], clean.values["cells"][readout][:5])
    attempts = open_sweep(tmp_path / "s")["cells"]["attempts"].values.tolist()
    assert attempts == [1, 1, 1, 1, 2, 2]  # alone, in a fresh process, it might have needed less
    assert not run(samples=6, memory=1.0, again="retry").failed


def test_memory_that_no_worker_can_do_with_is_told_at_once(tmp_path: Path, run: Run) -> None:
    with pytest.raises(SweepError, match=r"^choosing the step list: it held 0\.\d+ GiB of memory, --memory allows 0\.01, [^;]*$"):
        run(memory=0.01)


def test_the_first_failure_may_end_a_sweep(tmp_path: Path, orders: Path, run: Run) -> None:
    (orders / "fail-2").touch()
    outcome = run(fail_fast=True)
    assert list(outcome.failed) == [2] and outcome.computed == 4
    assert any("--fail-fast" in note for note in outcome.notes)
    assert begun(orders) == [0, 1, 2, 3]
    assert run(samples=8, fail_fast=True).computed == 4  # that one is known; none of these fails
    assert run().computed == 2  # the same without it goes on


def test_faults_on_purpose_come_every_time_and_are_told(tmp_path: Path, orders: Path, finished: Path, run: Run) -> None:
    outcome = run(faults={1: "raise", 4: "kill", 8: "nan"})
    assert sorted(outcome.failed) == [1, 4, 8]
    assert "ArithmeticError: a fault on purpose" in outcome.failed[1] and "killed" in outcome.failed[4]
    assert "faults on purpose, as DISCSIM_FAULT asks: raise@1, kill@4, nan@8" in outcome.notes
    found, clean, rest = open_ensemble(tmp_path / "s"), open_ensemble(finished), [0, 2, 3, 5, 6, 7, 9]
    for scenario in found.scenarios:
        for readout in found.units:
            np.testing.assert_array_equal(found.values[scenario][readout][rest], clean.values[scenario][readout][rest])
    assert sorted(run(faults={1: "raise"}, again="retry").failed) == [1]


def test_a_disk_that_fills_on_purpose_loses_nothing(tmp_path: Path, run: Run) -> None:
    with pytest.raises(SweepUnwritable, match=r"cannot be written to .*a fault on purpose"):
        run(faults={5: "enospc"})
    assert open_ensemble(tmp_path / "s").numbers.tolist() == [0, 1, 2, 3]
    assert run().computed == 6


def test_an_engine_that_raises_costs_its_sample_only(tmp_path: Path, orders: Path, run: Run) -> None:
    (orders / "raise-0").touch()
    outcome = run(batch=1)
    assert list(outcome.failed) == [0]
    assert "crashed, ArithmeticError: no number for sample 0 and more, 2 times" in outcome.failed[0]
    assert "Traceback" in (tmp_path / "s/log/worker-1.log").read_text()


def test_a_failed_sample_leaves_its_neighbours_alone(tmp_path: Path, orders: Path, finished: Path, run: Run) -> None:
    (orders / "fail-2").touch()
    seen: list[SweepProgress] = []
    outcome = run(hook=seen.append)
    assert dict(outcome.failed) == {2: "untreated: nonconverged, Newton stalled"}
    assert (seen[-1].phase, seen[-1].done, seen[-1].failed, seen[-1].running) == ("done", 10, 1, 0)
    assert seen[-1].last_failure == "sample 2: untreated: nonconverged, Newton stalled"
    assert max(progress.running for progress in seen) == 4
    assert load_state(tmp_path / "s") == seen[-1]
    found, clean = open_ensemble(tmp_path / "s"), open_ensemble(finished)
    rest = [0, 1, 3, 4, 5, 6, 7, 8, 9]
    for readout in found.units:
        np.testing.assert_array_equal(found.values["cells"][readout][rest], clean.values["cells"][readout][rest])
        assert np.isnan(found.values["cells"][readout][2]).all()
    arm = open_sweep(tmp_path / "s")["cells"]
    assert np.isfinite(arm["viable_cells"].values[2, :4]).all() and np.isnan(arm["viable_cells"].values[2, 4:]).all()
    assert [len(json.loads(text)) for text in arm["steps"]["history"].values if text] == [5]


def test_a_damaged_shard_is_named_put_aside_and_computed_again(done: Path, orders: Path, run: Run) -> None:
    path = next((done / "shards").glob("batch-00002*"))
    content = bytearray(path.read_bytes())
    content[5000] ^= 255
    path.write_bytes(content)
    for reader in (open_ensemble, open_sweep):
        with pytest.raises(ResultError, match=f"{path.name}: damaged"):
            reader(done)
    outcome = run()
    assert outcome.computed == 2 and begun(orders) == [8, 9]
    assert (done / "damaged" / path.name).read_bytes() == content
    assert any(path.name in note for note in outcome.notes)
    assert open_ensemble(done).good().all()


def test_a_changed_experiment_is_refused_with_what_changed(done: Path, study: Study, quick: object, run: Run) -> None:
    before = shards(done)
    changed = study_from_text(quick.QUICK_STUDY, ["disc.grade=1"])
    with pytest.raises(SweepChanged, match=r"disc\.grade was 3, is 1; .*--force") as told:
        run(changed)
    assert len(str(told.value).splitlines()) == 1
    assert shards(done) == before
    outcome = run(changed, force=True)
    assert outcome.computed == 10 and any("is kept in" in note for note in outcome.notes)
    (kept,) = (done / "replaced").iterdir()
    assert shards(kept) == before
    assert open_ensemble(kept).good().all()  # it is a sweep of its own


def test_a_branch_lies_beside_and_says_what_it_came_from(done: Path, study: Study, quick: object, run: Run) -> None:
    before = shards(done)
    assert branch_of(study, done, SweepOptions()).folder == done  # nothing differs: it goes on there
    changed = study_from_text(quick.QUICK_STUDY, ["disc.grade=1"])
    branch = branch_of(changed, done, SweepOptions(workers=1, samples=3))
    assert branch.folder.parent == done.parent and branch.folder.name.startswith(f"{done.name}-") and not branch.folder.exists()
    assert branch.changes["disc.grade"] == (3, 1)
    with pytest.raises(SweepChanged, match=rf"--branch begins another one beside it, in {branch.folder}, "):
        run(changed)
    assert run_sweep(changed, branch.folder, branch.options).computed == 3
    assert shards(done) == before
    manifest, old = load_manifest(branch.folder), load_manifest(done)
    assert manifest.sweep != old.sweep and manifest.parent["sweep"] == old.sweep and not old.parent
    assert (manifest.identity["engine"], manifest.identity["batch"]) == (quick.ENGINE, 4)  # as the parent has them
    assert manifest.parent["changes"]["disc.grade"] == [3, 1]
    assert json.loads(open_sweep(branch.folder).attrs["discsim_parents"]) == [dict(manifest.parent)]
    again = branch_of(changed, done, SweepOptions(workers=1, samples=3))
    assert again.folder == branch.folder and run_sweep(changed, again.folder, again.options).computed == 0


def test_a_branch_to_another_engine_has_its_usual_batch(done: Path, study: Study) -> None:
    options = branch_of(study, done, SweepOptions(engine="reduced")).options
    assert (options.engine, options.batch) == ("reduced", BATCH_OF["reduced"])


def test_nothing_branches_from_a_folder_without_a_sweep(tmp_path: Path, study: Study) -> None:
    with pytest.raises(ResultError, match="no sweep lies here"):
        branch_of(study, tmp_path, SweepOptions())


def test_a_finished_sweep_is_taken_to_a_longer_duration(done: Path, study: Study, quick: object) -> None:
    def read(more: Sequence[str]) -> Study:
        return study_from_text(quick.QUICK_STUDY, more)

    before, options = shards(done), SweepOptions(workers=1, samples=3)
    longer = longer_study(read, study, "4 year")
    branch = extension_of(study, longer, done, options)
    assert run_sweep(longer, branch.folder, branch.options).computed == 3
    short, long = load_manifest(done), load_manifest(branch.folder)
    assert long.steps[:5] == short.steps and long.steps[5:] == (3.0 * YEAR, 4.0 * YEAR)  # of a pilot's own 0.4, 1, 2, 3, 4 years
    assert long.table_times == (0.0, YEAR, 2.0 * YEAR, 4.0 * YEAR)  # the old end can be compared
    assert long.parent["sweep"] == short.sweep and long.parent["changes"]["duration"] == ["2 year", "4 year"]
    assert shards(done) == before
    again = extension_of(study, longer, done, options)
    assert again.folder == branch.folder and run_sweep(longer, again.folder, again.options).computed == 0


def test_what_cannot_be_extended_is_told(done: Path, study: Study, quick: object) -> None:
    def read(more: Sequence[str]) -> Study:
        return study_from_text(quick.QUICK_STUDY, more)

    for duration in ("2 year", "300 day"):
        with pytest.raises(BadOption, match=rf"--extend {duration}: the experiment has 2 year already; name a longer"):
            longer_study(read, study, duration)
    longer = longer_study(read, study, "4 year")
    with pytest.raises(SweepChanged, match=r"--extend changes the duration alone; .*: disc\.grade was 3, is 1"):
        extension_of(read(["disc.grade=1"]), longer, done, SweepOptions())
    next((done / "shards").glob("batch-00002*")).unlink()
    assert extension_of(study, longer, done, SweepOptions(samples=8)).changes
    with pytest.raises(BadOption, match="8 of 10 samples in .* are done"):
        extension_of(study, longer, done, SweepOptions())


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_longer_sweep_gives_the_numbers_of_the_shorter_one_up_to_its_end(tmp_path: Path) -> None:
    """With the engine that computes, on the shipped study."""

    def read(more: Sequence[str]) -> Study:
        return read_study(SHIPPED, ("duration=30 day", 'output.times=["0 day", "10 day"]', "disc.mesh_level=1", *more))

    options = SweepOptions(engine="sweep", samples=4, batch=2, workers=1, check=False)
    run_sweep(read(()), tmp_path / "s", options)
    longer = longer_study(read, read(()), "90 day")
    branch = extension_of(read(()), longer, tmp_path / "s", options)
    run_sweep(longer, branch.folder, branch.options)
    short, long = open_sweep(tmp_path / "s"), open_sweep(branch.folder)
    count = len(load_manifest(tmp_path / "s").steps) + 1
    assert long["both"].sizes["time"] > count
    for scenario in load_manifest(branch.folder).scenarios:
        for readout in load_manifest(branch.folder).readouts:
            found, wanted = long[scenario][readout].values[:, :count], short[scenario][readout].values
            np.testing.assert_allclose(found, wanted, rtol=5.5e-6, atol=1e-12, err_msg=f"{scenario} {readout}")
            np.testing.assert_array_equal(found[::2], wanted[::2])  # the first of a batch: the same bits


def test_failed_samples_start_anew_with_shorter_steps(tmp_path: Path, orders: Path, finished: Path, run: Run) -> None:
    (orders / "coarse-2").write_text("10")  # the step list has five
    assert list(run(samples=4).failed) == [2]
    assert list(run(samples=4, again="retry").failed) == [2]
    outcome = run(samples=4, again="restart")
    assert not outcome.failed and outcome.computed == 1
    attempts = sample_history(tmp_path / "s", 2).attempts
    assert [(attempt.number, attempt.pieces, attempt.arms[0].steps) for attempt in attempts] == [(1, 1, 5), (2, 1, 5), (1, 2, 10)]
    found, clean = (open_sweep(folder)["cells"].to_dataset().isel(sample=slice(4)) for folder in (tmp_path / "s", finished))
    assert found["step_pieces"].values.tolist() == [1, 1, 2, 1]
    np.testing.assert_array_equal(found["viable_cells"].values, clean["viable_cells"].values)  # at the ends of the list


@pytest.mark.parametrize(
    ("options", "message"),
    [({"batch": 5}, "--batch was 4, is 5"), ({"engine": "fem"}, "--engine was quick_engine:QuickEngine, is fem")],
)
def test_other_options_are_refused(done: Path, run: Run, options: dict[str, object], message: str) -> None:
    with pytest.raises(SweepChanged, match=message):
        run(**options)


def test_options_left_out_are_those_of_the_folder(done: Path, study: Study) -> None:
    assert run_sweep(study, done).computed == 0


def test_changed_code_is_refused(done: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_folder, "source_hash", lambda mechanisms: "other")
    with pytest.raises(SweepChanged, match="code of discsim and mechanisms was"):
        run()


def test_the_code_is_all_that_computes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "discsim"
    for name in ("laws/death.py", "cli/sweep.py"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text("a = 1\n")
    monkeypatch.setattr(sweep_folder, "_PACKAGE", package)
    before = sweep_folder.source_hash([])
    (package / "cli/sweep.py").write_text("a = 2\n")
    assert sweep_folder.source_hash([]) == before
    (package / "laws/death.py").write_text("a = 2\n")
    assert sweep_folder.source_hash([]) != before


def test_a_check_may_change(done: Path, quick: object, run: Run) -> None:
    assert run(study_from_text(quick.QUICK_STUDY + "[check]\nsamples = 1\n"), check=False).computed == 0


def test_first_samples_and_then_the_rest(tmp_path: Path, orders: Path, run: Run) -> None:
    assert run(samples=6).computed == 6
    first = shards(tmp_path / "s")
    assert open_ensemble(tmp_path / "s").numbers.tolist() == list(range(6))
    assert run().computed == 4
    assert begun(orders) == list(range(10))
    assert first.items() < shards(tmp_path / "s").items()


def test_a_second_driver_is_refused_and_the_first_is_named(done: Path, run: Run) -> None:
    with Lock(done):
        assert holder(done)["pid"] == os.getpid()
        with pytest.raises(SweepBusy, match=f"process {os.getpid()} on {socket.gethostname()}"):
            run()
    assert holder(done) is None
    assert run().computed == 0


def test_a_stale_lock_holds_nobody_up(done: Path, run: Run) -> None:
    left = {"pid": 2**22 + 1, "host": socket.gethostname(), "since": "2026-01-01T00:00:00Z"}
    (done / "lock").write_text(json.dumps(left))  # of a driver that was killed
    assert holder(done) is None
    assert run().computed == 0
    (done / "lock").write_text(json.dumps(left | {"host": "elsewhere"}))  # heard of just now, on another machine
    assert holder(done)["host"] == "elsewhere"
    with pytest.raises(SweepBusy, match="on elsewhere"):
        run()
    old = time.time() - 2.0 * sweep_folder.STALE_AFTER
    os.utime(done / "lock", (old, old))
    assert holder(done) is None
    assert run().computed == 0


def test_a_full_disk_stops_the_sweep_and_room_lets_it_go_on(tmp_path: Path, run: Run) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s/shards").write_text("in the way")
    with pytest.raises(SweepUnwritable, match="cannot be written to"):
        run()
    (tmp_path / "s/shards").unlink()
    assert run().computed == 10


def test_a_worker_that_dies_before_there_are_steps_is_told(tmp_path: Path, orders: Path, run: Run) -> None:
    (orders / "crash-steps").touch()
    with pytest.raises(SweepError, match=r"choosing the step list: .*see log/worker-1\.log"):
        run()
    (orders / "crash-steps").unlink()
    assert run().computed == 10


def test_an_engine_that_is_not_there_is_a_missing_tool(run: Run) -> None:
    with pytest.raises(MissingTool, match="no_such_engine"):
        run(engine="no_such_engine:Engine")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 11}, "the design has 10"),
        ({"workers": 0}, "at least 1"),
        ({"batch": -1}, "at least 1"),
        ({"timeout": 0.0}, "more than 0 s"),
        ({"memory": -2.0}, "more than 0 GiB"),
        ({"faults": {3: "oom"}}, "oom needs --memory GIB"),
    ],
)
def test_senseless_options_are_refused(run: Run, tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(BadOption, match=message):
        run(**options)
    assert not (tmp_path / "s").exists()


def test_check_without_the_reference_engine_is_one_line(
    done: Path, quick: object, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("dolfinx_solver", "dolfinx"):
        (tmp_path / "broken" / name).mkdir(parents=True)
        (tmp_path / "broken" / name / "__init__.py").write_text("raise ImportError('not for this machine')\n")
    monkeypatch.syspath_prepend(str(tmp_path / "broken"))
    outcome = run(study_from_text(quick.QUICK_STUDY + "[check]\nsamples = 1\n"))
    (note,) = outcome.notes
    assert note.startswith("not checked: the reference engine needs DOLFINx") and "\n" not in note
    assert not (done / "check.json").exists() and not outcome.failed


@pytest.mark.fem
def test_check_reruns_deciding_samples_on_the_step_list_of_the_sweep(
    tmp_path: Path, quick: object, orders: Path, run: Run
) -> None:
    from discsim.study.check import load_confirmation

    study = study_from_text(quick.QUICK_STUDY + "[check]\nsamples = 1\n", ["duration=2 day", 'output.times=["0 day"]'])
    assert run(study, samples=2).notes == ()
    confirmation = load_confirmation(tmp_path / "s")
    assert confirmation is not None and len(confirmation.samples) == 1
    assert dict(confirmation.samples[0].reference_status) == {"untreated": "ok", "cells": "ok"}
    written = (tmp_path / "s/check.json").stat().st_mtime_ns
    run(study, samples=2)
    assert (tmp_path / "s/check.json").stat().st_mtime_ns == written
    run(study, samples=3)  # a new sample may decide
    assert (tmp_path / "s/check.json").stat().st_mtime_ns != written


def test_workers_start_beside_the_choice_of_steps(study: Study, quick: object, tmp_path: Path) -> None:
    setup = Setup(resolve(study), draw(study), quick.ENGINE, "cpu", tmp_path / "log/worker")
    with Workers(setups(setup, 3)) as workers:
        workers.warm(2)
        end = time.monotonic() + 60.0
        while not all((tmp_path / f"log/worker-{number}.log").exists() for number in (1, 2)):
            assert time.monotonic() < end, "no process was started"
            time.sleep(0.05)
    assert not (tmp_path / "log/worker-3.log").exists()


@pytest.mark.slow
@pytest.mark.fem
def test_a_reference_engine_that_mpi_aborts_costs_its_sample(tmp_path: Path, quick: object, run: Run) -> None:
    import aborting_engine

    short = study_from_text(quick.QUICK_STUDY, ["duration=2 day", 'output.times=["0 day"]'])
    outcome = run(short, engine=aborting_engine.ENGINE, samples=2, batch=2)
    assert list(outcome.failed) == [1]
    assert f"exit code {aborting_engine.CODE}" in outcome.failed[1]
    found = open_ensemble(tmp_path / "s")
    assert found.status["cells"].tolist() == ["ok", "crashed"]
    assert found.values["cells"]["viable_cells"][0, 0] > 0.0
    assert "Abort(77)" in (tmp_path / "s/log/worker-1.log").read_text()


def test_plan_says_what_a_sweep_takes_and_writes_no_shard(study: Study, quick: object, tmp_path: Path) -> None:
    plan = plan_sweep(study, tmp_path, SweepOptions(engine=quick.ENGINE, batch=4, workers=2))
    assert (plan.samples, plan.arms, plan.batches, plan.steps, plan.workers) == (10, 2, 3, 5, 2)
    assert 0.0 < plan.seconds < plan.startup
    assert plan.memory is not None and 0.05 < plan.memory < 8.0
    assert plan.core_hours == pytest.approx((10 * plan.seconds + 2 * plan.startup) / 3600.0)
    assert [path.name for path in tmp_path.iterdir()] == ["log"]
    assert (plan.checked, plan.check_hours) == (0, None)


def test_folder_without_a_sweep_and_one_without_a_batch_are_told(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="no sweep lies here"):
        open_ensemble(tmp_path)
    shutil.copytree(finished, tmp_path / "s")
    shutil.rmtree(tmp_path / "s/shards")
    with pytest.raises(ResultError, match="no batch of this sweep is finished yet"):
        open_ensemble(tmp_path / "s")
    (tmp_path / "s/manifest.json").write_text("{")
    with pytest.raises(ResultError, match=r"manifest\.json: damaged"):
        open_ensemble(tmp_path / "s")


def test_a_sample_whose_inputs_make_no_study_fails_alone(
    study: Study, quick: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from discsim.quantities.parameters import ParameterError
    from discsim.study import sweep_worker

    real = sweep_worker.sample_study

    def sample_study(study: Study, design: object, index: int) -> Study:
        if index == 1:
            raise ParameterError("the load at rest\nis above the active one")
        return real(study, design, index)

    monkeypatch.setattr(sweep_worker, "sample_study", sample_study)
    setup = sweep_worker.Setup(resolve(study), draw(study), quick.ENGINE, "cpu", tmp_path / "log")
    model = sweep_worker._Model(setup)
    found = sweep_worker._solved(setup, model, (0, 1, 2), model.engine.choose_steps(model.nominal))
    assert [[str(record.status) for record in row] for row in found] == [["ok"] * 2, ["invalid_input"] * 2, ["ok"] * 2]
    assert found[1][0].failure is not None and found[1][0].failure.reason == "the load at rest is above the active one"


def test_records_travel_without_their_mesh(study: Study, quick: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from discsim.study import sweep_worker

    setup = sweep_worker.Setup(resolve(study), draw(study), quick.ENGINE, "cpu", tmp_path / "log")
    model = sweep_worker._Model(setup)
    monkeypatch.setattr(sweep_worker, "_setup", setup)
    monkeypatch.setattr(sweep_worker, "_model", model)
    whole = [quick.record(arm, 0, (1.0,), False) for arm in model.nominal.arms]
    meshed = [dataclasses.replace(record, points=np.zeros((3, 2)), cells=np.zeros((1, 3), dtype=int)) for record in whole]
    monkeypatch.setattr(model.engine, "run_many", lambda problems, steps: [meshed])
    assert sweep_worker.solve_samples((0,), (1.0,), 1) == [whole]  # it would weigh more than all the rest


def test_worker_environment_is_single_threaded_and_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    from discsim.study.sweep_worker import single_threaded

    monkeypatch.setenv("XLA_FLAGS", "--own")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = dict(os.environ)
    with single_threaded():
        assert os.environ["OMP_NUM_THREADS"] == "1"
        assert os.environ["XLA_FLAGS"].startswith("--own --xla_cpu_multi_thread_eigen=false")
    assert dict(os.environ) == before


def test_manifest_is_read_back_as_written(finished: Path, tmp_path: Path) -> None:
    manifest = load_manifest(finished)
    manifest.save(tmp_path)
    assert load_manifest(tmp_path) == manifest
    assert dataclasses.replace(manifest, steps=manifest.steps[:-1]).sweep != manifest.sweep
