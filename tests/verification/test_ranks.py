"""Several processes that share a solve: the numbers of one process, and an end of all where one of them fails."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

pytest.importorskip("ufl")

from discsim.biology.mechanism import Mechanism, loss
from discsim.disc.disc import Disc
from discsim.fem.engine import FemEngine
from discsim.problem.engine import Progress
from discsim.problem.problem import DAY, Problem, build_problem
from discsim.problem.record import ArmRecord
from discsim.problem.status import Status
from discsim.scenario.scenario import Scenario
from discsim.scenario.therapy import GeneTherapy, StemCellInjection
from discsim.study.config import study_from_text
from discsim.study.environment import cores, find_mpiexec
from discsim.study.ranked_engine import RankedEngine
from discsim.study.reproduction import TIERS
from discsim.study.study import Study
from discsim.study.sweep_plan import BadOption, SweepOptions
from discsim.study.sweep_run import SweepOutcome, open_ensemble, run_sweep

pytestmark = [
    pytest.mark.fem,
    pytest.mark.skipif(find_mpiexec() is None or len(cores()) < 2, reason="no mpiexec, or a single core on this machine"),
]

STEPS = tuple(days * DAY for days in (0.5, 2.0, 8.0, 30.0))
READOUTS = ("viable_cells", "gag_nucleus", "disc_height", "nucleus_pressure", "glucose_min", "ph_min")


@pytest.fixture
def rank_fault(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module with a mechanism, on the path of this process alone."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "fakes"))
    return importlib.import_module("rank_fault")


def plain(disc: Disc | None = None) -> Scenario:
    return Scenario(disc or Disc.preset("L4-L5", grade=3, mesh_level=1), duration="30 day")


def problem(*scenarios: Scenario) -> Problem:
    return build_problem({f"arm{i}": one for i, one in enumerate(scenarios)}, readouts=READOUTS, output_times=(STEPS[-1],))


def same(mine: ArmRecord, theirs: ArmRecord) -> None:
    """Every number within the tier of another machine; the mesh and the numbering of its fields the same."""
    assert mine.status is theirs.status is Status.OK
    assert mine.times == theirs.times and np.array_equal(mine.cells, theirs.cells)
    for series, others in ((mine.readouts, theirs.readouts), (mine.ledger, theirs.ledger)):
        assert series.keys() == others.keys()
        for name, values in series.items():
            np.testing.assert_allclose(values, others[name], rtol=TIERS["T2"], atol=1e-9, err_msg=name)
    for frame, other in zip(mine.frames, theirs.frames, strict=True):
        for name, values in frame.corners.items():
            size = np.abs(other.corners[name]).max()
            np.testing.assert_allclose(values, other.corners[name], rtol=0, atol=TIERS["T2"] * size, err_msg=name)
        np.testing.assert_allclose(frame.displacement, other.displacement, rtol=0, atol=1e-6)


def test_two_ranks_give_the_numbers_of_one(tmp_path: Path) -> None:
    """Doses, signals, and levels that are held at the rim; own steps are cut the same way, so the same list is followed."""
    both = plain().with_therapy(StemCellInjection(dose="6e6 cell"), GeneTherapy(at="8 day"))
    asked = problem(plain(), both)
    told: list[Progress] = []
    shared = RankedEngine(2, tmp_path / "ranks.log").run(asked, told.append, STEPS)
    for mine, theirs in zip(shared, FemEngine().run(asked, steps=STEPS), strict=True):
        same(mine, theirs)
    assert [(one.arm, one.time) for one in told] == [(arm, t) for arm in ("arm0", "arm1") for t in STEPS]
    assert not (tmp_path / "ranks.log").exists()


def test_a_step_list_chosen_by_two_ranks(tmp_path: Path) -> None:
    asked = problem(plain())
    (mine,), (theirs,) = RankedEngine(2, tmp_path / "ranks.log").run(asked), FemEngine().run(asked)
    np.testing.assert_allclose(mine.times, theirs.times, rtol=1e-6)
    for name, values in mine.readouts.items():
        np.testing.assert_allclose(values, theirs.readouts[name], rtol=TIERS["T2"])


def test_three_dimensions(tmp_path: Path) -> None:
    asked = problem(plain(Disc(mesh_name="L4-L5_3d_coarse.msh")))
    engines = RankedEngine(2, tmp_path / "ranks.log"), FemEngine()
    (mine,), (theirs,) = (engine.run(asked, steps=STEPS[:2]) for engine in engines)
    same(mine, theirs)


def test_failed_and_cut_steps(tmp_path: Path) -> None:
    """An arm that no solver brings to its end, one whose steps are too coarse, and one after them: as on one process."""
    well = problem(plain())
    crushed = dataclasses.replace(well.arms[0], name="crushed", changes=((8.0 * DAY, {"loading.active": 80.0}),))
    cut = dataclasses.replace(well.arms[0], name="cut", changes=((2.0 * DAY, {"nutrition.endplate_clearance": 2e-5}),))
    asked = dataclasses.replace(well, arms=(crushed, cut, *well.arms))
    steps = (2.0 * DAY, 8.0 * DAY, 30.0 * DAY)
    shared, alone = RankedEngine(2, tmp_path / "ranks.log").run(asked, steps=steps), FemEngine().run(asked, steps=steps)
    for mine, theirs in zip(shared, alone, strict=True):
        assert (mine.status, mine.times) == (theirs.status, theirs.times)
        assert [row["cuts"] for row in mine.history] == [row["cuts"] for row in theirs.history]
    assert shared[0].failure is not None and not shared[0].status.good
    assert shared[1].history[-1]["cuts"] > 0
    same(shared[2], alone[2])


def test_sums_and_rows_of_three_ranks() -> None:
    """Shares that differ in size, and one of nothing; more ranks than a solve would get here."""
    code = (
        "import numpy as np; from discsim.fem.backend import MPI; from discsim.fem.ranks import Ranks\n"
        "ranks = Ranks(MPI.COMM_WORLD)\n"
        "for cells in (8, 2):\n"
        "    mine = ranks.mine(cells)\n"
        "    whole = ranks.joined(np.stack([mine, 10.0 * mine], axis=1))\n"
        "    assert np.array_equal(whole, np.stack([np.arange(cells), 10.0 * np.arange(cells)], axis=1)), whole\n"
        "part = np.full((2, 2), 2.0**ranks.number)\n"
        "ranks.add_up(part)\n"
        "assert np.array_equal(part, np.full((2, 2), 7.0)), part\n"
        "assert ranks.least(3.0 - ranks.number) == 1.0 and np.isnan(ranks.least([1.0, np.nan, 2.0][ranks.number]))\n"
        "assert ranks.agreed(float(ranks.number)) == 0.0 and ranks.total(1.0) == 3.0\n"
    )
    command = [str(find_mpiexec()), "-n", "3", sys.executable, "-m", "mpi4py", "-c", code]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_mechanism_of_ones_own_travels(rank_fault: Any, tmp_path: Path) -> None:
    asked = problem(plain().with_mechanism(rank_fault.RankFault()))
    (mine,), (theirs,) = RankedEngine(2, tmp_path / "ranks.log").run(asked, steps=STEPS), FemEngine().run(asked, steps=STEPS)
    same(mine, theirs)


@pytest.mark.parametrize("fault", ["raise", "kill"])
def test_one_rank_fails(fault: str, rank_fault: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All end within seconds, every arm is ``crashed``, and the log has the traceback of the one that raised."""
    monkeypatch.setenv(rank_fault.FAULT, fault)
    began = time.monotonic()
    asked = problem(plain().with_mechanism(rank_fault.RankFault()))
    records = RankedEngine(2, tmp_path / "ranks.log").run(asked, steps=STEPS)
    assert [record.status for record in records] == [Status.CRASHED]
    text = (tmp_path / "ranks.log").read_text()
    assert "see ranks.log" in str(records[0].failure)
    assert time.monotonic() - began < 60.0  # they start in some seconds; without an end of all, rank 0 would wait for ever
    if fault == "raise":
        assert f"ArithmeticError: {rank_fault.SAYING}" in str(records[0].failure) and "Traceback" in text
    else:
        assert "Killed" in text  # what mpiexec says of it


def ranks_of_this_process() -> Iterator[psutil.Process]:
    """Its living ranks and their mpiexec; what has ended already, and waits to be noticed, tells no command."""
    for one in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "rank_main" in " ".join(one.cmdline()):
                yield one


def test_arms_that_had_ended_survive_a_crash(tmp_path: Path) -> None:
    asked = problem(plain(), plain())

    def kill(step: Progress) -> None:
        if step.arm == "arm1":
            [*ranks_of_this_process()][-1].kill()

    first, second = RankedEngine(2, tmp_path / "ranks.log").run(asked, kill, STEPS)
    assert first.status is Status.OK and first.times[-1] == STEPS[-1]
    assert second.status is Status.CRASHED and second.times == []


def test_ranks_end_with_a_killed_driver(tmp_path: Path) -> None:
    """Nobody but the driver knows them, so they must not stay."""
    code = (
        "from discsim.study.ranked_engine import RankedEngine\n"
        "from discsim.study.study import Study\n"
        "from discsim import Disc, Scenario\n"
        "study = Study({'untreated': Scenario(Disc.preset(mesh_level=1), duration='10 year')})\n"
        "RankedEngine(2).run(study.problem(), lambda step: print('step', flush=True))\n"
    )
    (tmp_path / "passing").mkdir()
    mark = {"PYTHONPATH": str(Path(__file__).parents[2]), "RANKS_OF_TEST": str(tmp_path), "TMPDIR": str(tmp_path / "passing")}
    driver = subprocess.Popen([sys.executable, "-c", code], env=os.environ | mark, stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None and driver.stdout.readline() == "step\n"
    assert len(marked(tmp_path)) >= 3
    driver.kill()
    driver.wait()
    driver.stdout.close()
    wait_until_gone(tmp_path)
    assert not list((tmp_path / "passing").glob("discsim-ranks-*"))


def wait_until_gone(place: Path) -> None:
    """Until no process with the mark lives, this one aside."""
    deadline = time.monotonic() + 20.0
    while others := set(marked(place)) - {os.getpid()}:
        assert time.monotonic() < deadline, others
        time.sleep(0.2)


def marked(place: Path) -> list[int]:
    """Living ranks and their mpiexec that were started with a mark in their environment."""
    found = []
    for one in Path("/proc").glob("[0-9]*"):
        try:
            words = (one / "environ").read_bytes().split(b"\0")
            command = (one / "cmdline").read_bytes()
        except OSError:
            continue
        if f"RANKS_OF_TEST={place}".encode() in words and b"rank_main" in command:
            found.append(int(one.name))
    return found


SWEEP = """
schema = "discsim/1"
duration = "2 day"
[disc]
grade = 3
mesh_level = 1
[mechanisms]
use = ["nutrition", "cell_fate", "matrix_turnover", "rank_fault:RankFault"]
[scenarios.untreated]
[readouts]
use = ["viable_cells", "disc_height"]
[output]
times = ["0 day"]
[design]
kind = "list"
vary = { "loading.active" = { values = ["0.25 MPa", "0.35 MPa"] } }
"""


@pytest.fixture
def study(rank_fault: Any) -> Study:
    """Two samples of a disc with a mechanism of one's own."""
    return study_from_text(SWEEP, folder=Path(rank_fault.__file__).parent, allow_plugin=True)


def swept(study: Study, folder: Path, fakes: Path, **options: Any) -> SweepOutcome:
    return run_sweep(study, folder, SweepOptions(engine="fem", batch=2, workers=1, plugins=fakes, **options))


def test_a_sweep_on_two_ranks(study: Study, rank_fault: Any, tmp_path: Path) -> None:
    fakes = Path(rank_fault.__file__).parent
    for ranks in (1, 2):
        assert not swept(study, tmp_path / str(ranks), fakes, ranks=ranks).failed
    one, two = (open_ensemble(tmp_path / str(ranks)).values["untreated"] for ranks in (1, 2))
    for name in study.readouts:
        np.testing.assert_allclose(two[name], one[name], rtol=TIERS["T2"])


@pytest.mark.parametrize("fault", ["kill", "hang"])
def test_ranks_that_fail_in_a_sweep(
    fault: str, study: Study, rank_fault: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rank that dies costs its sample; one that hangs is ended with all that belongs to it."""
    monkeypatch.setenv(rank_fault.FAULT, fault)
    monkeypatch.setenv(rank_fault.SPARED, str(tmp_path / "spared"))
    monkeypatch.setenv("RANKS_OF_TEST", str(tmp_path))
    outcome = swept(study, tmp_path / "s", Path(rank_fault.__file__).parent, ranks=2, timeout=20.0, samples=1)
    status = {"kill": "crashed", "hang": "timeout"}[fault]
    assert open_ensemble(tmp_path / "s").status["untreated"].tolist() == [status] and list(outcome.failed) == [0]
    wait_until_gone(tmp_path)
    if fault == "kill":  # twice, as everything that dies, and both times are in the log
        assert (tmp_path / "s/log/worker-1-ranks.log").read_text().count("mpiexec") == 2


@pytest.mark.parametrize(
    ("engine", "ranks", "line"), [("sweep", 2, "other engines run in one process"), ("fem", 5000, "allowed: 1 to")]
)
def test_ranks_that_no_sweep_can_have(engine: str, ranks: int, line: str, study: Study, tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=f"--ranks.* {line}"):
        run_sweep(study, tmp_path / "s", SweepOptions(engine=engine, ranks=ranks))


def test_modules_of_the_present_folder_are_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A study may lie there: reading one runs no code that lies beside it."""
    (tmp_path / "json.py").write_text("raise SystemExit('foreign code')")
    monkeypatch.chdir(tmp_path)
    (record,) = RankedEngine(2, tmp_path / "ranks.log").run(problem(plain()), steps=STEPS[:1])
    assert record.status is Status.OK


def test_more_ranks_than_processors() -> None:
    with pytest.raises(ValueError, match="5000; allowed: 1 to"):
        RankedEngine(5000)


def test_a_mechanism_that_no_other_process_can_import() -> None:
    class Here(Mechanism):
        name = "here"

        def rates(self, gag: Any) -> dict[Any, Any]:
            return {loss("cell_density"): 0.0 * gag}

    asked = problem(plain().with_mechanism(Here()))
    with pytest.raises(ValueError, match="Here: several ranks import it; put it into a module"):
        RankedEngine(2).run(asked, steps=STEPS)
