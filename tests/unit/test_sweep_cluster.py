"""A sweep on a Dask cluster: the numbers of local processes, faults that cost their sample alone, clusters that are not right."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from discsim.study import sweep_cluster, sweep_worker
from discsim.study.config import resolve, study_from_text
from discsim.study.design import draw
from discsim.study.environment import MissingTool
from discsim.study.executor import Task
from discsim.study.study import Study
from discsim.study.sweep_cluster import BadAddress, ClusterWorkers, NoCluster, connected
from discsim.study.sweep_plan import SweepOptions
from discsim.study.sweep_run import open_ensemble, run_sweep
from discsim.study.sweep_state import SweepProgress

ROOT = Path(__file__).resolve().parents[2]
FAKES = ROOT / "tests/fakes"


@pytest.fixture(scope="module")
def quick() -> Iterator[object]:
    """The module of the quick engine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FAKES))
        import quick_engine

        yield quick_engine


@pytest.fixture(scope="module")
def study(quick: object) -> Study:
    """Two scenarios, a list of ten samples."""
    return study_from_text(quick.QUICK_STUDY)


class Cluster:
    """A scheduler and its workers as a user starts them, each a process."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.address = folder, ""
        self.processes: list[subprocess.Popen[bytes]] = []
        self.environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(FAKES), os.environ.get("PYTHONPATH", "")])}
        self.scheduler = self.start("dask_scheduler", "--port", "0", "--host", "127.0.0.1", "--scheduler-file", folder / "told")
        end = time.monotonic() + 60.0
        while not self.address:
            assert time.monotonic() < end and self.scheduler.poll() is None, (folder / "log").read_text()
            with contextlib.suppress(FileNotFoundError, ValueError):
                self.address = json.loads((folder / "told").read_text())["address"]
            time.sleep(0.1)

    def start(self, module: str, *options: str | Path) -> subprocess.Popen[bytes]:
        """One process more; its output is in the log."""
        command = [sys.executable, "-m", f"distributed.cli.{module}", "--no-dashboard", *options]
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def worker(self) -> None:
        """A worker of two threads, with Dask's nanny, as is usual."""
        self.start("dask_worker", self.address, "--nthreads", "2", "--local-directory", self.folder)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster without a worker; ended with its processes."""
    pytest.importorskip("distributed", reason="Dask is not installed (extra dask)")
    found = Cluster(tmp_path_factory.mktemp("cluster"))
    yield found
    for process in found.processes:
        process.terminate()
    for process in found.processes:
        process.wait(30.0)


def test_a_sweep_waits_for_workers_and_a_killed_process_costs_its_sample(
    cluster: Cluster, study: Study, quick: object, tmp_path: Path
) -> None:
    told: list[str] = []

    def hook(progress: SweepProgress) -> None:
        told.append(progress.phase)
        if told.count("waiting for workers") == 2 and told[-1] == "waiting for workers":
            cluster.worker()

    options = SweepOptions(engine=quick.ENGINE, batch=2, samples=4, address=cluster.address, faults={1: "kill"})
    outcome = run_sweep(study, tmp_path / "s", options, hook)
    assert list(outcome.failed) == [1]
    assert "crashed, its process ended without a word (killed, most likely by the system" in outcome.failed[1]
    assert "waiting for workers" in told and "running" in told
    found, rest = open_ensemble(tmp_path / "s"), [0, 2, 3]
    assert found.status["cells"].tolist() == ["ok", "crashed", "ok", "ok"]
    np.testing.assert_array_equal(found.values["cells"]["viable_cells"][rest, 0], [21.0, 23.0, 24.0])  # as in local processes
    assert not list((tmp_path / "s/log").glob("worker*"))  # workers need no folder of the sweep


def test_a_task_that_takes_too_long_is_ended_and_a_scheduler_that_goes_is_told(
    cluster: Cluster, study: Study, quick: object, tmp_path: Path
) -> None:
    if len(cluster.processes) == 1:  # this test alone
        cluster.worker()
    setup = sweep_worker.Setup(resolve(study), draw(study), quick.ENGINE, "cpu", tmp_path / "log", faults={0: "hang"})
    tasks = collections.deque([Task("hangs", sweep_worker.solve_samples, ((0,), (1.0,), 1))])
    with connected(cluster.address) as client, ClusterWorkers(client, setup, sweep_worker.code_of(setup.config)) as workers:
        ((_, outcome),) = workers.run(tasks, lambda running: None, lambda task: 1.0)
        assert str(outcome).startswith("not done after 1 s, so its process was ended") and outcome.machine
        tasks.append(Task("hangs", sweep_worker.solve_samples, ((0,), (1.0,), 1)))
        with pytest.raises(NoCluster, match=f"the scheduler at {cluster.address} is gone; what is done is kept"):
            for _ in workers.run(tasks, lambda running: cluster.scheduler.kill()):
                pass
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep_cluster, "CONNECT", 0.5)
        options = SweepOptions(engine=quick.ENGINE, address=cluster.address)
        with pytest.raises(NoCluster, match="no scheduler answers there"):
            run_sweep(study, tmp_path / "s", options)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("address", ["", "host", "host:8786", "http://host:8786", "tcp://host", "tcp://host:"])
def test_what_is_no_address_is_told(address: str) -> None:
    with pytest.raises(BadAddress, match="write tcp://HOST:PORT"), connected(address):
        pass


def test_a_worker_with_another_discsim_is_refused(study: Study, quick: object, tmp_path: Path) -> None:
    code = sweep_worker.code_of(resolve(study))
    assert "library numpy" in code
    for key in ("code of discsim and mechanisms", "library numpy"):
        other = sweep_worker.Setup(resolve(study), draw(study), quick.ENGINE, "cpu", tmp_path, code=code | {key: "other"})
        with pytest.raises(MissingTool, match=f"^{key} on the worker .* is {code[key]}, here it is other"):
            sweep_worker._Model(other)
    sweep_worker._Model(sweep_worker.Setup(resolve(study), draw(study), quick.ENGINE, "cpu", tmp_path, code=code))


def test_a_call_travels_without_the_module_that_is_called() -> None:
    packed = sweep_cluster._packed(sweep_worker.one_line, ValueError("a\n b"))
    assert pickle.loads(packed) == "ValueError: a b"
    script = f"import pickle, sys\nsys.modules['discsim'] = None\npickle.loads({packed!r})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "ModuleNotFoundError" in done.stderr.splitlines()[-1]
