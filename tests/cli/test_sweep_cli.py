"""discsim sweep, status and show of a sweep: exit codes, messages, interruption."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner, Result

from discsim.cli import app
from discsim.study import study as study_module
from discsim.study import sweep_cluster
from discsim.study.sweep_folder import Lock
from discsim.study.sweep_run import open_ensemble
from discsim.study.sweep_state import Teller

ROOT = Path(__file__).parents[2]
FAKES = ROOT / "tests/fakes"
ENGINE = "quick_engine:QuickEngine"
# The command line as it is, with the quick engine among those it offers.
COMMAND = f"""
import sys
from discsim.study import study
study.ENGINES = (*study.ENGINES, {ENGINE!r})
if __name__ == "__main__":
    from discsim.cli import app
    app(sys.argv[1:])
"""


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An experiment of ten samples, and a command line that offers the quick engine."""
    monkeypatch.syspath_prepend(str(FAKES))
    import quick_engine

    monkeypatch.setattr(study_module, "ENGINES", (*study_module.ENGINES, ENGINE))
    path = tmp_path / "quick.toml"
    path.write_text(quick_engine.QUICK_STUDY)
    return path


@pytest.fixture
def orders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of the files that tell the engine what happens."""
    place = tmp_path / "orders"
    place.mkdir()
    monkeypatch.setenv("QUICK_ENGINE", str(place))
    return place


def call(*arguments: str | Path) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def sweep(experiment: Path, *more: str) -> Result:
    """Sweep into the folder beside the experiment."""
    return call(
        "sweep", experiment, "--out", experiment.parent / "s", "--engine", ENGINE, "--batch", "4", "--workers", "1", *more
    )


def heed_interrupts() -> None:
    """A shell's background job ignores Ctrl-C and hands that on; a user at a terminal does not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def started(experiment: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """The command in a process group of its own, as a terminal has it."""
    script = experiment.parent / "command.py"
    script.write_text(COMMAND)
    command = [sys.executable, script, "sweep", experiment, "--out", experiment.parent / "s", "--engine", ENGINE, *more]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{FAKES}"}
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=heed_interrupts
    ) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def wait_until(condition: object, seconds: float = 60.0) -> None:
    """Until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def workers(orders: Path) -> set[int]:
    """Processes that ever began a sample."""
    return {int(line.split()[1]) for line in (orders / "ran").read_text().splitlines()}


def gone(process: int) -> bool:
    """Whether a process is no more (or waits for its parent to take notice)."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_sweep_status_show_and_compare(experiment: Path) -> None:
    folder = experiment.parent / "s"
    done = sweep(experiment)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("10 samples of 2 scenarios, 0 failed; 10 computed now, in ")
    assert "choosing steps: 0 of 10 samples" in done.stderr and "done: 10 of 10 samples" in done.stderr
    assert sweep(experiment).stdout.startswith("10 samples of 2 scenarios, 0 failed; 0 computed now")
    status = call("status", folder)
    assert (status.exit_code, status.stdout) == (0, "quick: 10 of 10 samples of the design are computed, 0 failed\n")
    told = json.loads(call("status", folder, "--json").stdout)
    assert (told["computed"], told["samples"], told["wanted"], told["failed"], told["driver"]) == (10, 10, 10, {}, None)
    assert told["progress"]["phase"] == "done"
    shown = call("show", folder)
    assert shown.exit_code == 0
    assert "10 of 10 samples (list) over loading.active, stem_cells.undifferentiated_demand" in shown.stdout
    assert re.search(r"cells\s+25\.50 \[21\.45 \.\. 29\.55\]", shown.stdout)
    rows = list(csv.DictReader(io.StringIO(call("show", folder, "--csv", "-").stdout)))
    assert len(rows) == 10 * 2 * 2 * 3
    last = next(row for row in rows if (row["sample"], row["scenario"], row["time_years"]) == ("9", "cells", "2"))
    assert (float(last["value"]), last["unit"], last["status"]) == (pytest.approx(27.0), "million", "ok")
    compared = call("compare", folder)
    assert compared.exit_code == 0 and "cells beats untreated" in compared.stdout


def test_report_of_a_sweep(experiment: Path) -> None:
    folder = experiment.parent / "s"
    sweep(experiment)
    done = call("report", folder)
    assert done.exit_code == 0 and done.stdout == f"report in {folder / 'report.html'}\n"
    html = (folder / "report.html").read_text(encoding="utf-8")
    for words in (
        "loading.active",
        "stem_cells.undifferentiated_demand",
        "cells beats untreated",
        "Failed samples",
        "has not checked",
        "What the readouts depend on",
        "No sensitivity is stated: ",
    ):
        assert words in html
    assert "http" not in html.replace("http-equiv", "") and 'src="data:image/png;base64,' in html
    assert call("report", folder, "-o", experiment.parent).exit_code == 2
    device = call("report", folder, "-o", "/dev/null")  # which would be replaced by the page
    assert device.exit_code == 2 and "is no ordinary file" in device.stderr and Path("/dev/null").is_char_device()
    assert call("report", experiment.parent / "nowhere").exit_code == 2


def test_status_of_a_sweep_that_was_asked_for_less(experiment: Path) -> None:
    sweep(experiment, "--samples", "4")
    status = call("status", experiment.parent / "s")
    first, second = status.stdout.splitlines()
    assert first == "quick: 4 of 10 samples of the design are computed (the first 4 were asked for), 0 failed"
    assert second == "nothing works here now; the same discsim sweep command without --samples goes on with it"
    assert json.loads(call("status", experiment.parent / "s", "--json").stdout)["wanted"] == 4
    assert "engine: quick_engine:QuickEngine\n" in call("show", experiment.parent / "s", "--provenance").stdout


def test_report_of_one_scenario(experiment: Path) -> None:
    """Nothing to compare, but readouts, what they depend on, and where it came from."""
    text = experiment.read_text()
    first, last = text.index("[[scenarios.cells"), text.index("[readouts]")
    experiment.write_text(text[:first] + text[last:].replace(text[text.index('"stem_cells') :], ""))
    assert sweep(experiment).exit_code == 0
    done = call("report", experiment.parent / "s")
    assert done.exit_code == 0, done.output
    html = (experiment.parent / "s" / "report.html").read_text(encoding="utf-8")
    assert "One scenario: nothing to compare" in html and "viable_cells (million): median [5 % .. 95 %]" in html
    refused = call("compare", experiment.parent / "s")
    assert refused.exit_code == 2 and "one scenario only" in refused.stderr


def test_check_names_damaged_shards_and_changes_nothing(experiment: Path) -> None:
    folder = experiment.parent / "s"
    sweep(experiment)
    whole = call("check", folder)
    assert whole.exit_code == 0, whole.output
    assert whole.stdout == "quick: 3 of 3 shards are intact\n10 of 10 samples are stored, 0 of them failed\n"
    first, second, _ = sorted((folder / "shards").iterdir())
    content = bytearray(first.read_bytes())
    content[len(content) // 2] ^= 1
    first.write_bytes(content)
    second.rename(second.with_name(second.name.replace("batch-00001", "batch-00004")))  # another name is no damage
    files = {path: path.read_bytes() for path in (folder / "shards").iterdir()}
    spoilt = call("check", folder)
    assert spoilt.exit_code == 5
    assert "2 of 3 shards are intact" in spoilt.stdout and f"damaged: {first.name}: damaged or edited" in spoilt.stdout
    assert "6 of 10 samples are stored" in spoilt.stdout
    told = json.loads(call("check", folder, "--json").stdout)
    assert list(told["damaged"]) == [first.name] and told["missing"] == [0, 1, 2, 3] and told["sound"] is False
    assert {path: path.read_bytes() for path in (folder / "shards").iterdir()} == files
    assert sweep(experiment).exit_code == 0 and call("check", folder).exit_code == 0
    assert (folder / "damaged" / first.name).read_bytes() == bytes(content), "what was damaged is kept"


def test_error_bars_and_engines_are_told(experiment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ENGINE.replace("QuickEngine", "BarredEngine")
    monkeypatch.setattr(study_module, "ENGINES", (*study_module.ENGINES, engine))
    folder = experiment.parent / "s"
    done = call("sweep", experiment, "--out", folder, "--engine", engine, "--batch", "4", "--workers", "1")
    assert done.exit_code == 0, done.output
    assert "done: 10 of 10 samples, 6 by reduced, 1 by sweep, 1 by reduced and sweep" in done.stderr
    assert call("status", folder).stdout.splitlines() == [
        "quick: 10 of 10 samples of the design are computed, 0 failed",
        "computed by: reduced 6 samples, sweep 1, reduced and sweep 1",
    ]
    compared = call("compare", folder).stdout
    assert "computed by: reduced 7 samples, an engine that is not named 2, sweep 1 in untreated; " in compared
    assert "within the error bars the order may flip in 0 of 10 samples" in compared  # the arms differ by at least 0.9
    rows = list(csv.DictReader(io.StringIO(call("show", folder, "--csv", "-").stdout)))
    last = next(row for row in rows if (row["sample"], row["scenario"], row["time_years"]) == ("5", "cells", "2"))
    assert (float(last["bar"]), last["engine"]) == (pytest.approx(0.36), "reduced")


def test_failed_samples_give_exit_3_and_are_named(experiment: Path, orders: Path) -> None:
    (orders / "fail-3").touch()
    done = sweep(experiment)
    assert done.exit_code == 3
    assert "sample 3: untreated: nonconverged, Newton stalled" in done.stdout
    assert (
        done.stderr.splitlines()[-1] == "1 sample failed; --retry failed runs them once more, --restart failed with shorter steps"
    )
    assert "failed: sample 3: untreated: nonconverged" in done.stderr
    folder = experiment.parent / "s"
    assert "sample 3: untreated: nonconverged" in call("status", folder).stdout
    assert "9 of 10" in call("show", folder).stdout
    rows = list(csv.DictReader(io.StringIO(call("show", folder, "--csv", "-").stdout)))
    assert {row["value"] for row in rows if row["sample"] == "3"} == {""}
    (orders / "fail-3").unlink()
    assert sweep(experiment, "--retry", "failed").exit_code == 0
    assert call("status", folder).stdout.endswith("0 failed\n")


def test_faults_on_purpose_of_the_environment(experiment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCSIM_FAULT", "kill@3,melt@4")
    done = sweep(experiment)
    assert done.exit_code == 2 and "'melt@4' is no fault" in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert not (experiment.parent / "s").exists()
    monkeypatch.setenv("DISCSIM_FAULT", "kill@3")
    done = sweep(experiment)
    assert done.exit_code == 3 and "faults on purpose, as DISCSIM_FAULT asks: kill@3" in done.stderr
    assert "sample 3: untreated: crashed" in done.stdout


def test_a_folder_with_a_run_and_a_sweep_shows_either(experiment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``run`` and ``sweep`` write to the same folder where ``--out`` is left out."""
    assert sweep(experiment).exit_code == 0
    folder = experiment.parent / "s"
    (folder / "result.nc").touch()
    assert call("show", folder).exit_code == 2  # the run, which is damaged here
    shown = call("show", folder, "--sweep", "--csv", "-")
    assert shown.exit_code == 0 and "sample" in shown.stdout.splitlines()[0]
    assert call("report", folder, "--sweep", "-o", folder / "s.html").exit_code == 0
    assert "Verdicts" in (folder / "s.html").read_text()
    monkeypatch.setattr("discsim.cli.report._run_page", lambda path: SimpleNamespace(html=""))
    done = call("report", folder)
    assert done.exit_code == 0 and "about the run" in done.stderr and "--sweep" in done.stderr


def test_a_page_that_cannot_be_kept_is_told_before_it_is_drawn(experiment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Path] = []
    monkeypatch.setattr("discsim.cli.report._run_page", drawn.append)
    for target in (experiment.parent, experiment / "page.html"):
        assert call("report", experiment, "-o", target).exit_code == 2
    assert drawn == []


@pytest.mark.parametrize("option", ["--retry", "--restart"])
def test_failed_samples_are_not_looked_for_where_no_sweep_lies(experiment: Path, option: str) -> None:
    """A mistyped folder must not begin a sweep."""
    done = sweep(experiment, option, "failed")
    assert done.exit_code == 2 and f"{option} failed: no sweep lies in" in done.stderr
    assert not (experiment.parent / "s").exists()
    done = sweep(experiment, option, "failed", "--plan")
    assert done.exit_code == 2 and "--plan times a whole sweep" in done.stderr


def test_what_happened_to_a_sample(experiment: Path, orders: Path) -> None:
    (orders / "fail-3").touch()
    folder = experiment.parent / "s"
    sweep(experiment, "--samples", "4")
    (orders / "fail-3").unlink()
    assert sweep(experiment, "--samples", "4", "--retry", "failed").exit_code == 0
    shown = call("show", folder, "--sample", "3")
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    assert lines[0] == "sample 3" and "  loading.active = 0.215 MPa" in lines
    first, second = (next(i for i, line in enumerate(lines) if line.startswith(f"attempt {n}, quick_engine")) for n in (1, 2))
    assert lines[first].endswith("(replaced by a later one)") and not lines[second].endswith("one)")
    reason = "  untreated, cells: nonconverged, Newton stalled (good until 1 year). Try something."
    assert reason in lines[first:second] and not any("nonconverged" in line for line in lines[second:])
    assert sum(line.split()[1:2] == ["ok"] for line in lines[second:]) == 2
    origin = call("show", folder, "--provenance").stdout
    assert "\ncode: discsim " in f"\n{origin}" and "lock file, SHA-256: " in origin and "python" in origin
    for wrong, words in (
        (("--sample", "10"), "the design has samples 0 to 9"),
        (("--sample", "7"), "sample 7 is not computed yet"),
        (("--sample", "3", "--provenance"), "one of them at a time"),
    ):
        done = call("show", folder, *wrong)
        assert done.exit_code == 2 and words in done.stderr and len(done.stderr.strip().splitlines()) == 1
    done = call("show", experiment, "--sample", "3")
    assert done.exit_code == 2 and "a single run has no samples" in done.stderr


def test_only_what_failed_can_be_retried(experiment: Path) -> None:
    done = sweep(experiment, "--retry", "all")
    assert done.exit_code == 2 and "--retry all: there is --retry failed" in done.stderr


def test_changed_experiment_gives_exit_2_and_one_line(experiment: Path) -> None:
    assert sweep(experiment, "--samples", "1").exit_code == 0
    done = sweep(experiment, "--set", "disc.grade=1")
    assert done.exit_code == 2
    assert "disc.grade was 3, is 1" in done.stderr and "--force" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    status = call("status", experiment.parent / "s").stdout
    assert "1 of 10 samples" in status and "the same discsim sweep command without --samples goes on with it" in status


def test_status_of_a_sweep_that_has_no_steps_yet(experiment: Path) -> None:
    folder = experiment.parent / "s"
    folder.mkdir()
    with Lock(folder) as lock:
        Teller(folder, lock, lambda progress: None).tell("waiting for workers", 0, 10, failed=0, running=0)
        status = call("status", folder)
    assert status.exit_code == 0 and "waiting for workers: 0 of 10 samples" in status.stdout
    assert call("status", folder).exit_code == 2


def test_attempts_without_a_result_are_told(experiment: Path, orders: Path) -> None:
    (orders / "kill-3").write_text("x")
    assert sweep(experiment, "--samples", "4").exit_code == 0
    shown = call("show", experiment.parent / "s", "--sample", "3").stdout
    assert "  an earlier attempt gave no result" in shown and "attempt 2, quick_engine" in shown


def test_a_branch_is_told_and_kept_in_the_provenance(experiment: Path) -> None:
    folder = experiment.parent / "s"
    assert sweep(experiment, "--samples", "1").exit_code == 0
    done = sweep(experiment, "--samples", "1", "--set", "disc.grade=1", "--branch")
    assert done.exit_code == 0, done.output
    (branch,) = experiment.parent.glob("s-*")
    assert f"a branch of the sweep in {folder}, which stays as it is; in {branch}" in done.stderr
    assert "  disc.grade was 3, is 1" in done.stderr.splitlines()
    assert done.stdout.splitlines()[0].endswith(f"in {branch}")
    origin = call("show", branch, "--provenance").stdout.splitlines()
    assert "changed: disc.grade: 3 -> 1" in origin and any(line.startswith("branched from: sweep ") for line in origin)
    assert "branched from" not in call("show", folder, "--provenance").stdout


def test_an_extension_says_what_it_takes_before_it_begins(experiment: Path) -> None:
    assert sweep(experiment, "--samples", "1").exit_code == 0
    done = sweep(experiment, "--samples", "1", "--extend", "4 year")
    assert done.exit_code == 0, done.output
    (longer,) = experiment.parent.glob("s-*")
    assert f"to 4 year; in {longer}" in done.stderr and "  duration was 2 year, is 4 year" in done.stderr.splitlines()
    assert "every sample is computed from the start: the shorter sweep took 0 s of one core" in done.stderr
    assert "4 year" in call("show", longer).stdout
    done = sweep(experiment, "--extend", "4 year")
    assert done.exit_code == 2 and "--extend: 1 of 10 samples" in done.stderr


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--branch",), "no sweep lies here"),
        (("--extend", "4 year"), "no sweep lies here"),
        (("--extend", "1 year"), "--extend 1 year: the experiment has 2 year already; name a longer duration"),
        (("--extend", "400 year"), "duration: given"),
        (("--extend", "4 metre"), "--extend 4 metre: "),
        (("--branch", "--force"), "--branch and --force: one of them"),
        (("--retry", "failed", "--restart", "failed"), "--restart failed with shorter steps: one of them"),
        (("--restart", "all"), "--restart all: there is --restart failed"),
    ],
)
def test_ways_on_that_exclude_one_another_give_exit_2(experiment: Path, more: tuple[str, ...], message: str) -> None:
    done = sweep(experiment, *more)
    assert done.exit_code == 2 and message in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert not (experiment.parent / "s").exists()


def test_second_driver_gives_exit_4(experiment: Path) -> None:
    (experiment.parent / "s").mkdir()
    with Lock(experiment.parent / "s"):
        done = sweep(experiment)
    assert done.exit_code == 4
    assert f"process {os.getpid()}" in done.stderr and len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--samples", "11"), "--samples 11: the design has 10"),
        (("--workers", "0"), "--workers 0: at least 1"),
        (("--engine", "best"), "--engine best: there is fem, sweep"),
        (("--device", "tpu"), "--device tpu: there is cpu, gpu"),
        (("--memory", "0"), "--memory 0: more than 0 GiB"),
        (("--address", "host"), "--address host: is no address of a scheduler; write tcp://HOST:PORT"),
        (("--plan", "--address", "tcp://host:8786"), "--plan times this machine"),
        (("--set", "design.kind=hexagon"), "design.kind"),
    ],
)
def test_wrong_options_give_exit_2_and_leave_nothing(experiment: Path, more: tuple[str, ...], message: str) -> None:
    done = sweep(experiment, *more)
    assert done.exit_code == 2
    assert message in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert not (experiment.parent / "s").exists()


def test_a_scheduler_that_does_not_answer_gives_exit_4(experiment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed (extra dask)")
    monkeypatch.setattr(sweep_cluster, "CONNECT", 0.5)
    done = sweep(experiment, "--address", "tcp://127.0.0.1:1")
    assert done.exit_code == 4
    assert "--address tcp://127.0.0.1:1: no scheduler answers there" in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert not (experiment.parent / "s").exists()


def test_experiment_without_design_gives_exit_2(experiment: Path) -> None:
    experiment.write_text(experiment.read_text().partition("[design]")[0])
    done = sweep(experiment)
    assert done.exit_code == 2 and "design" in done.stderr and len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("command", ["status", "show", "compare", "check"])
def test_folder_without_a_sweep_gives_exit_2(command: str, tmp_path: Path) -> None:
    done = call(command, tmp_path)
    assert done.exit_code == 2
    assert str(tmp_path) in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_folder_that_is_a_file_gives_exit_2(experiment: Path) -> None:
    (experiment.parent / "s").touch()
    done = sweep(experiment)
    assert done.exit_code == 2 and "is a file" in done.stderr


def test_plan(experiment: Path) -> None:
    done = sweep(experiment, "--plan")
    assert done.exit_code == 0, done.output
    assert "10 samples x 2 scenarios in 3 batches, 5 steps each" in done.stdout and "core-hours" in done.stdout
    assert not (experiment.parent / "s").exists()
    forecast = re.search(r"about ([\d.]+) (MB|GB) on disk", done.stdout)
    assert forecast is not None and sweep(experiment).exit_code == 0
    held = sum(path.stat().st_size for path in (experiment.parent / "s" / "shards").iterdir())
    assert 0.5 * held < float(forecast[1]) * (1e6 if forecast[2] == "MB" else 1e9) < 2.0 * held


def test_ctrl_c_keeps_what_is_done_and_the_same_command_resumes(experiment: Path, orders: Path) -> None:
    folder = experiment.parent / "s"
    for sample in (4, 6):
        (orders / f"wait-{sample}").touch()
    with started(experiment, "--batch", "2", "--workers", "2") as process:
        wait_until(lambda: len(list(folder.glob("shards/batch-*.nc"))) == 2)  # both workers wait in their second batch
        kept = {path.name: path.stat().st_mtime_ns for path in folder.glob("shards/batch-*.nc")}
        os.killpg(process.pid, signal.SIGINT)
        assert process.stderr is not None
        told = process.stderr.read()
        assert process.wait() == 130
    assert told.splitlines()[-1] == f"interrupted; what is done is kept in {folder}, and the same command resumes"
    assert "Traceback" not in told
    assert all(gone(worker) for worker in workers(orders))
    for sample in (4, 6):
        (orders / f"wait-{sample}").unlink()
    assert call("sweep", experiment, "--out", folder).exit_code == 0  # engine and batch are those of the folder
    after = {path.name: path.stat().st_mtime_ns for path in folder.glob("shards/batch-*.nc")}
    assert kept.items() <= after.items()
    assert open_ensemble(folder).good().sum() == 10


def test_workers_end_with_a_killed_driver_and_the_sweep_resumes(experiment: Path, orders: Path) -> None:
    folder = experiment.parent / "s"
    for sample in (4, 6):
        (orders / f"wait-{sample}").touch()
    with started(experiment, "--batch", "2", "--workers", "2") as process:
        wait_until(lambda: len(list(folder.glob("shards/batch-*.nc"))) == 2)  # both workers wait in their second batch
        kept = {path.name: path.stat().st_mtime_ns for path in folder.glob("shards/batch-*.nc")}
        wait_until(lambda: "running: 4 of 10 samples, 4 running" in call("status", folder).stdout)
        running = call("status", folder).stdout
        process.kill()
        wait_until(lambda: all(gone(worker) for worker in workers(orders)), 20.0)
    assert f"process {process.pid} on " in running
    assert "the same discsim sweep command goes on with it" in call("status", folder).stdout
    told = json.loads(call("status", folder, "--json").stdout)
    assert (told["driver"], told["progress"]["phase"], told["progress"]["running"], told["wanted"]) == (None, "stopped", 0, 10)
    for sample in (4, 6):
        (orders / f"wait-{sample}").unlink()
    assert call("sweep", experiment, "--out", folder).exit_code == 0
    assert kept.items() <= {path.name: path.stat().st_mtime_ns for path in folder.glob("shards/batch-*.nc")}.items()
    checked = call("check", folder)
    assert checked.exit_code == 0 and "10 of 10 samples are stored, 0 of them failed" in checked.stdout
    resumed = open_ensemble(folder)
    whole = experiment.parent / "whole"
    assert call("sweep", experiment, "--out", whole, "--engine", ENGINE, "--batch", "2", "--workers", "1").exit_code == 0
    for scenario, readouts in open_ensemble(whole).values.items():
        for readout, values in readouts.items():
            assert (resumed.values[scenario][readout] == values).all(), "the same bits as without an interruption"


def test_sweep_help_has_an_example() -> None:
    done = call("sweep", "--help")
    assert done.exit_code == 0 and "Example: discsim sweep" in done.stdout
