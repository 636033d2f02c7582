"""Both engines go the same way through time: readouts, ledger and fields on the same step list, whatever happens on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

pytest.importorskip("ufl")

from discsim.disc.disc import Disc
from discsim.problem.problem import DAY, YEAR, Problem, build_problem
from discsim.problem.record import ArmRecord
from discsim.problem.status import Status
from discsim.scenario.scenario import Scenario
from discsim.scenario.therapy import GeneTherapy, StemCellInjection
from discsim.sweep.engine import SweepEngine
from discsim.vv.registry import Row, run
from discsim.vv.sweep import ABSOLUTE, CASES, RELATIVE, both, differences, trajectories

pytestmark = pytest.mark.fem
# Those of the experiment, so that all tests but the 3-D one share its compiled functions.
READOUTS = (
    "viable_cells", "viable_cells_nucleus", "native_cells_nucleus", "gag_nucleus", "disc_height", "nucleus_pressure",
    "glucose_min", "ph_min",
)  # fmt: skip
# Where both engines do the same they differ by what Newton's method leaves, far below the bar of the experiment (0.1 %).
TIGHT = 2e-5
STEPS = tuple(float(t) for t in np.concatenate([np.geomspace(0.5, 180.0, 12) * DAY, [0.75 * YEAR, YEAR]]))


@pytest.fixture(scope="module")
def engine() -> SweepEngine:
    """One engine for the module: what is compiled stays."""
    return SweepEngine()


def treated(stem_cells_at: str, gene_at: str, event_at: str, supply: str) -> dict[str, Scenario]:
    """Untreated and treated; load, supply and a regional parameter change on the way, in both."""
    plain = Scenario(Disc.preset("L4-L5", grade=3, mesh_level=1), duration="1 year").with_event(
        event_at,
        {
            "loading.active": "0.28 MPa",
            "nutrition.endplate_clearance": supply,
            "matrix_turnover.gag_synthesis_rate.NP": "0.2 pg/cell/day",
        },
    )
    injected = plain.with_therapy(
        StemCellInjection(at=stem_cells_at, place="centre"), GeneTherapy(vector="scAAV6", transgene="TIMP3", at=gene_at)
    )
    return {"plain": plain, "treated": injected}


def problem_of(scenarios: dict[str, Scenario], field_times: tuple[float, ...] = ()) -> Problem:
    return build_problem(scenarios, readouts=READOUTS, field_times=field_times)


def judge(problem: Problem, pairs: Sequence[tuple[ArmRecord, ArmRecord]], bar: float) -> None:
    for reference, found in pairs:
        assert (reference.status, found.status) == (Status.OK, Status.OK), (reference.failure, found.failure)
        wrong = {name: error for name, error in differences(problem, reference, found).items() if not error <= bar}
        assert not wrong, f"{reference.name}: {wrong}"


def hold(rows: Sequence[Row]) -> None:
    """Rows of the case: eight readouts, and that all runs end well; none outside the bar of the experiment."""
    assert RELATIVE <= 1e-3 and ABSOLUTE <= 0.005
    assert len(rows) == 10 and all(np.isfinite(row.computed) for row in rows)
    assert [row for row in rows if row.inside is not True] == []


def test_all_arms_of_two_samples_of_the_experiment(engine: SweepEngine) -> None:
    hold(trajectories(2, mesh_level=1, years=2.0, sweep=engine))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_case_of_verification() -> None:
    """16 samples, 10 years, default mesh."""
    case = next(case for case in CASES if case.name == "sweep_trajectories")
    hold(run([case])[0].rows)


@pytest.fixture(scope="module")
def eventful(engine: SweepEngine) -> list[tuple[Problem, list[tuple[ArmRecord, ArmRecord]]]]:
    """Three samples whose doses and events fall on other days, run together; fields are kept at two times."""
    keep = (0.25 * YEAR, YEAR)
    problems = [
        problem_of(treated("60 day", "0 day", "100 day", "2e-4 mm/s"), keep),
        problem_of(treated("61.5 day", "30 day", "200 day", "8e-5 mm/s"), keep),
        problem_of(treated("0 day", "200 day", "60 day", "1.2e-4 mm/s"), keep),
    ]
    return list(zip(problems, both(engine, problems, STEPS), strict=True))


def test_doses_and_events_at_other_times_in_every_sample(
    eventful: list[tuple[Problem, list[tuple[ArmRecord, ArmRecord]]]],
) -> None:
    for problem, pairs in eventful:
        judge(problem, pairs, TIGHT)
        for _, found in pairs:  # every event has an end of a step of its own
            assert all(np.abs(np.array(found.times) - t).min() <= 1e-6 for t in problem.breakpoints())
    cells = [pairs[1][1].readouts["viable_cells"][-1] for _, pairs in eventful]
    assert len(set(np.round(cells, 3))) == 3, "the times of the doses make no difference"


def test_events_do_something(eventful: list[tuple[Problem, list[tuple[ArmRecord, ArmRecord]]]]) -> None:
    """The height rises at once where the load falls, in both engines."""
    problem, pairs = eventful[0]
    at = pairs[0][0].times.index(100.0 * DAY)
    for record in pairs[0]:
        height = record.readouts["disc_height"]
        assert height[at] > height[at - 1] + 0.01


def test_ledger(eventful: list[tuple[Problem, list[tuple[ArmRecord, ArmRecord]]]]) -> None:
    for _, pairs in eventful:
        for reference, found in pairs:
            assert set(found.ledger) == set(reference.ledger)
            for key, amounts in reference.ledger.items():
                cells = key.rsplit(":", 1)[0]
                size = max(max(entry) for name, entry in reference.ledger.items() if name.startswith(f"{cells}:"))
                assert np.allclose(found.ledger[key], amounts, rtol=TIGHT, atol=TIGHT * size), key


def test_fields(eventful: list[tuple[Problem, list[tuple[ArmRecord, ArmRecord]]]]) -> None:
    for problem, pairs in eventful:
        for reference, found in pairs:
            assert np.array_equal(reference.cells, found.cells) and np.allclose(
                reference.points, found.points, rtol=0.0, atol=1e-12
            )
            assert [f.time for f in found.frames] == [f.time for f in reference.frames] == list(problem.field_times)
            for a, b in zip(reference.frames, found.frames, strict=True):
                assert set(a.corners) == set(b.corners)
                assert np.abs(a.displacement - b.displacement).max() < TIGHT
                for name, values in a.corners.items():
                    assert np.abs(b.corners[name] - values).max() <= 1e-4 * np.abs(values).max(), name


def test_healthy_start_whose_supply_then_falls(engine: SweepEngine) -> None:
    """Grade I from the steady state of the rates, in both engines; the supply falls after 60 days in which nothing happens."""
    healthy = Scenario(Disc.preset("L4-L5", grade=1, mesh_level=1), duration="0.5 year", start="homeostasis")
    undosed = healthy.with_therapy(StemCellInjection(dose="0 cell"), GeneTherapy(vector="scAAV6", transgene="TIMP3", dose="0 vg"))
    loaded = undosed.with_parameters({"loading.active": "0.33 MPa"})
    problem = problem_of({"starved": loaded.with_event("60 day", {"nutrition.endplate_clearance": "5e-5 mm/s"})})
    steps = (*(t for t in STEPS if t < 0.5 * YEAR), 0.5 * YEAR)
    pairs = both(engine, [problem], steps)[0]
    judge(problem, pairs, TIGHT)
    times, cells = np.array(pairs[0][1].times), np.array(pairs[0][1].readouts["viable_cells"])
    before = times <= 60.0 * DAY
    assert before.sum() > 5 and np.abs(cells[before] / cells[0] - 1.0).max() < 1e-6, "no steady state"
    assert cells[-1] < 0.98 * cells[0]


def test_the_pilot_chooses_nearly_the_same_steps(engine: SweepEngine) -> None:
    """The sweep's own pilot sees the same errors: as many steps, give or take one in twenty."""
    from discsim.fem.engine import FemEngine

    problem = problem_of(treated("0 day", "0 day", "100 day", "2e-4 mm/s"))
    problem = dataclasses.replace(problem, arms=problem.arms[1:])
    mine, theirs = engine.choose_steps(problem), FemEngine().choose_steps(problem)
    assert mine[-1] == theirs[-1] == YEAR
    assert abs(len(mine) - len(theirs)) <= max(1, len(theirs) // 20)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_three_dimensional_disc(engine: SweepEngine) -> None:
    """The quarter disc on the coarse mesh, through a fall of supply and load."""
    change = {"nutrition.endplate_clearance": "1e-4 mm/s", "loading.active": "0.3 MPa"}
    scenario = Scenario(Disc(mesh_name="L4-L5_3d_coarse.msh"), duration="0.25 year").with_event("20 day", change)
    problem = problem_of({"untreated": scenario})
    pairs = both(engine, [problem], (*(t for t in STEPS if t < 0.25 * YEAR), 0.25 * YEAR))[0]
    judge(problem, pairs, TIGHT)
    glucose = pairs[0][1].readouts["glucose_min"]
    assert glucose[-1] < glucose[0] - 0.05


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_stem_cells_in_three_dimensions(engine: SweepEngine) -> None:
    """With a signal. The first step is a day: in half a day the coarse tetrahedra let it fall below zero, which is refused."""
    scenario = Scenario(Disc(mesh_name="L4-L5_3d_coarse.msh"), duration="30 day").with_therapy(StemCellInjection())
    problem = problem_of({"treated": scenario})
    judge(problem, both(engine, [problem], (DAY, 30.0 * DAY))[0], TIGHT)
