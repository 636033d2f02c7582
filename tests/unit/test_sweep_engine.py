"""The sweep engine from outside: one trace a study, lanes that do not touch one another, honest failures, clear refusals."""

from __future__ import annotations

import collections
import dataclasses
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from discsim.disc.disc import Disc
from discsim.disc.mesh import Mesh
from discsim.problem.discretisation import DiscretisationError
from discsim.problem.problem import DAY, Arm, Problem, build_problem
from discsim.problem.record import ArmRecord
from discsim.problem.status import Status
from discsim.scenario.scenario import Scenario
from discsim.scenario.therapy import GeneTherapy, StemCellInjection
from discsim.sweep.engine import SweepEngine
from discsim.sweep.kernels import traces

ROOT = Path(__file__).resolve().parents[2]
# Those of the shipped experiment, so that what is compiled for it is found in the cache.
READOUTS = (
    "viable_cells", "viable_cells_nucleus", "native_cells_nucleus", "gag_nucleus", "disc_height", "nucleus_pressure",
    "glucose_min", "ph_min",
)  # fmt: skip
STEPS = tuple(float(t) for t in np.geomspace(0.5, 120.0, 10) * DAY)
ALIKE = 5e-6  # share by which numbers may depend on the size of a batch or the linear solver


def scenarios(
    clearance: str = "1e-4 mm/s", height: str = "8.5 mm", at: str = "0 day", dose: str = "6e6 cell"
) -> dict[str, Scenario]:
    """Untreated and treated; the numbers that samples differ in."""
    plain = Scenario(Disc.preset("L4-L5", grade=3, mesh_level=1), duration="120 day")
    plain = plain.with_parameters({"nutrition.endplate_clearance": clearance, "disc.height": height})
    therapies = StemCellInjection(at=at, dose=dose), GeneTherapy(vector="scAAV6", transgene="TIMP3", at=at)
    return {"untreated": plain, "treated": plain.with_therapy(*therapies)}


def problem_of(given: Mapping[str, Scenario]) -> Problem:
    return build_problem(dict(given), readouts=READOUTS, output_times=(0.0, 120.0 * DAY), field_times=())


def with_numbers(problem: Problem, **values: Any) -> Problem:
    """The problem with numbers put into every arm, whatever their bounds (``__`` stands for the dot)."""
    changed = {path.replace("__", "."): value for path, value in values.items()}
    assert all(path in problem.arms[0].values for path in changed)
    arms = tuple(dataclasses.replace(arm, values={**arm.values, **changed}) for arm in problem.arms)
    return dataclasses.replace(problem, arms=arms)


@pytest.fixture(scope="module")
def engine() -> SweepEngine:
    """One lane, sparse direct: what a processor uses."""
    return SweepEngine(lanes=1)


@pytest.fixture(scope="module")
def wide() -> SweepEngine:
    """Four lanes."""
    return SweepEngine(lanes=4)


@pytest.fixture(scope="module")
def samples() -> list[Problem]:
    """Five samples of one mesh that starve a little or a lot, with doses on other days."""
    clearances = ("2e-4 mm/s", "1e-4 mm/s", "5e-5 mm/s", "1e-3 mm/s", "8e-5 mm/s")
    days = ("0 day", "20 day", "0 day", "33.3 day", "60 day")
    return [problem_of(scenarios(clearance=c, at=at)) for c, at in zip(clearances, days, strict=True)]


@pytest.fixture(scope="module")
def usual(engine: SweepEngine, samples: list[Problem]) -> list[list[ArmRecord]]:
    """Records of the samples, one lane."""
    records = engine.run_many(samples, STEPS)
    assert all(record.status.good for sample in records for record in sample)
    return records


def numbers(records: Sequence[Sequence[ArmRecord]]) -> list[np.ndarray]:
    """Times and readouts of every arm of every sample."""
    return [np.array([record.times, *(record.readouts[name] for name in READOUTS)]) for one in records for record in one]


def apart(first: Sequence[Sequence[ArmRecord]], second: Sequence[Sequence[ArmRecord]]) -> float:
    """Largest relative difference of any readout at any time."""
    pairs = list(zip(numbers(first), numbers(second), strict=True))
    assert all(a.shape == b.shape and np.array_equal(a[0], b[0]) for a, b in pairs), "other times"
    return max(float(np.abs(a[1:] / b[1:] - 1.0).max()) for a, b in pairs)


def identical(first: Sequence[Sequence[ArmRecord]], second: Sequence[Sequence[ArmRecord]]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(numbers(first), numbers(second), strict=True))


# ---- traces


def test_a_study_is_traced_once() -> None:
    """Pilot, samples with other numbers, disc heights, dose times and doses, and both arms: every function is traced once."""
    before = collections.Counter(traces)
    engine = SweepEngine(lanes=1)
    study = problem_of(scenarios())
    engine.choose_steps(study)
    varied = [
        problem_of(scenarios(clearance="2e-4 mm/s")),
        problem_of(scenarios(height="7.8 mm")),
        problem_of(scenarios(height="9.1 mm", at="33.3 day")),
        problem_of(scenarios(dose="1e7 cell", at="20 day")),
        with_numbers(study, loading__active=0.26),
    ]
    records = engine.run_many(varied, STEPS)
    assert all(record.status.good for sample in records for record in sample)
    heights = {sample[0].readouts["disc_height"][0] for sample in records}
    assert len(heights) >= 3, "the discs are not of three sizes"
    made = traces - before
    assert {"mechanics", "mechanics_tangent", "solutes", "solutes_tangent", "signals", "advance", "readouts"} <= set(made)
    assert {name: count for name, count in made.items() if count != 1} == {}


# ---- steps in pieces


def test_shorter_steps_change_the_numbers_by_their_error_alone(
    engine: SweepEngine, samples: list[Problem], usual: list[list[ArmRecord]]
) -> None:
    found = engine.run_in_pieces(samples[:1], STEPS, 2)
    assert all(record.status.good and len(record.history) >= 2 * len(STEPS) for record in found[0])
    assert [set(map(len, record.readouts.values())) for record in found[0]] == [{1 + len(STEPS)}] * 2
    assert 1e-6 < apart(found, usual[:1]) < 0.05  # times are those of the list, or this raises


# ---- lanes


def test_the_number_of_lanes_does_not_matter(wide: SweepEngine, samples: list[Problem], usual: list[list[ArmRecord]]) -> None:
    """Five samples fill no multiple of four lanes: some stay idle."""
    assert apart(wide.run_many(samples, STEPS), usual) < ALIKE


@pytest.mark.slow
@pytest.mark.parametrize("lanes", [16, 64])
def test_many_lanes(lanes: int, samples: list[Problem], usual: list[list[ArmRecord]]) -> None:
    """Mostly idle ones; idle lanes repeat the first sample's parameters and are worked on by the kernels all the same."""
    assert apart(SweepEngine(lanes=lanes).run_many(samples, STEPS), usual) < ALIKE


def test_both_linear_solvers_give_the_same_numbers(samples: list[Problem], usual: list[list[ArmRecord]]) -> None:
    other = SweepEngine(lanes=1, linear_solver="block")
    assert apart(other.run_many(samples[1:2], STEPS), usual[1:2]) < ALIKE


def test_neither_order_nor_company_of_samples_matters(
    engine: SweepEngine, samples: list[Problem], usual: list[list[ArmRecord]]
) -> None:
    """Bit for bit: backwards, and one alone."""
    assert identical(engine.run_many(samples[::-1], STEPS)[::-1], usual)
    assert identical(engine.run_many(samples[2:3], STEPS), usual[2:3])


def test_discs_of_other_sizes_in_one_run(engine: SweepEngine, wide: SweepEngine) -> None:
    """Samples of different meshes cannot share a batch; they are solved as if alone."""
    discs = [problem_of(scenarios(height=height)) for height in ("8.5 mm", "7.5 mm", "8.5 mm")]
    together = wide.run_many(discs, STEPS)
    for problem, records in zip(discs, together, strict=True):
        assert apart([records], engine.run_many([problem], STEPS)) < ALIKE
    assert abs(together[1][0].readouts["disc_height"][0] - 7.5) < 0.02


# ---- arms


def test_dose_zero_equals_untreated(engine: SweepEngine) -> None:
    """Bit for bit where nothing is given on the first day; within the solver's tolerance where it is given later."""
    plain = scenarios()["untreated"]
    nothing = StemCellInjection(dose="0 cell"), GeneTherapy(vector="scAAV6", transgene="TIMP3", dose="0 vg")
    given = {"untreated": plain, "zero": plain.with_therapy(*nothing)}
    untreated, zero = engine.run_many([problem_of(given)], STEPS)[0]
    assert identical([[untreated]], [[zero]])
    late = (
        StemCellInjection(dose="0 cell", at="20 day"),
        GeneTherapy(vector="scAAV6", transgene="TIMP3", dose="0 vg", at="20 day"),
    )
    untreated, zero = engine.run_many([problem_of({"untreated": plain, "zero": plain.with_therapy(*late)})], STEPS)[0]
    elsewhere = np.abs(np.array(zero.times) - 20.0 * DAY) > 1.0  # at the dose itself solutes settle on the present shape
    a, b = numbers([[untreated]])[0][:, elsewhere], numbers([[zero]])[0][:, elsewhere]
    assert a.shape[1] == len(zero.times) - 1 and np.abs(a[1:] / b[1:] - 1.0).max() < ALIKE


def test_arms_that_are_alike_get_the_same_numbers(engine: SweepEngine, samples: list[Problem]) -> None:
    """Common random numbers: an arm differs from another by its scenario alone, in every sample."""
    for problem in samples[:2]:
        untreated, treated = problem.arms
        shared = [path for path in untreated.values if path in treated.values]
        assert [path for path in shared if untreated.values[path] != treated.values[path]] == []
        twin = dataclasses.replace(untreated, name="twin")
        records = engine.run_many([dataclasses.replace(problem, arms=(untreated, treated, twin))], STEPS)[0]
        assert identical([[records[0]]], [[records[2]]])
        assert apart([[records[0]]], [[records[1]]]) > 1e-3


# ---- failures


def crushed(problem: Problem) -> Problem:
    return with_numbers(problem, loading__active=60.0)


def poisoned(problem: Problem) -> Problem:
    return with_numbers(problem, nutrition__endplate_clearance=float("nan"))


def crushed_later(problem: Problem) -> Problem:
    def late(arm: Arm) -> Arm:
        return dataclasses.replace(arm, changes=((35.0 * DAY, {"loading.active": 60.0}),))

    return dataclasses.replace(problem, arms=tuple(late(arm) for arm in problem.arms))


def poisoned_later(problem: Problem) -> Problem:
    def late(arm: Arm) -> Arm:
        return dataclasses.replace(arm, changes=((35.0 * DAY, {"matrix_turnover.gag_loss_rate": float("nan")}),))

    return dataclasses.replace(problem, arms=tuple(late(arm) for arm in problem.arms))


BAD = {"crushed": crushed, "poisoned": poisoned, "crushed later": crushed_later, "poisoned later": poisoned_later}


def check_failure(name: str, records: Sequence[ArmRecord]) -> None:
    for record in records:
        assert record.status in (Status.NONCONVERGED, Status.UNPHYSICAL)
        assert record.failure is not None and record.failure.status == record.status
        assert record.failure.reason and record.failure.advice and "\n" not in str(record.failure)
        if name.endswith("later"):
            assert 0.0 < record.failure.last_good_time <= 36.0 * DAY
            assert record.times and record.times[-1] <= record.failure.last_good_time
        else:
            assert record.failure.last_good_time == 0.0 and record.times == []
        for values in record.readouts.values():
            assert len(values) == len(record.times) and np.isfinite(values).all(), "what was written before it failed is good"


@pytest.mark.parametrize("name", BAD)
def test_a_failed_sample_says_why_and_leaves_no_trace_in_the_next(
    name: str, engine: SweepEngine, samples: list[Problem], usual: list[list[ArmRecord]]
) -> None:
    records = engine.run_many([BAD[name](samples[0]), samples[1]], STEPS)
    check_failure(name, records[0])
    assert identical(records[1:], usual[1:2])


def test_failed_lanes_leave_their_neighbours_unchanged(wide: SweepEngine, samples: list[Problem]) -> None:
    """Bit for bit, whether the lane beside fails at the start, on the way, or not at all."""
    wide.run_many(samples[:4], STEPS)  # the prestress of the disc is known from here on: one and the same in every run below
    good = wide.run_many(samples[:4], STEPS)
    records = wide.run_many([samples[0], BAD["crushed"](samples[1]), samples[2], BAD["poisoned later"](samples[3])], STEPS)
    check_failure("crushed", records[1])
    check_failure("poisoned later", records[3])
    assert identical([records[0], records[2]], [good[0], good[2]])


def test_a_pilot_that_fails_is_told(engine: SweepEngine, samples: list[Problem]) -> None:
    record = engine.run(dataclasses.replace(crushed(samples[0]), arms=crushed(samples[0]).arms[:1]))[0]
    check_failure("crushed", [record])


# ---- records


def test_records_are_complete(samples: list[Problem], usual: list[list[ArmRecord]]) -> None:
    for problem, records in zip(samples, usual, strict=True):
        assert [record.name for record in records] == [arm.name for arm in problem.arms]
        for record in records:
            assert record.times[0] == 0.0 and record.times == sorted(set(record.times))
            assert all(min(abs(t - s) for s in record.times) < 1e-6 for t in (*problem.breakpoints(), *STEPS))
            assert all(len(values) == len(record.times) for values in (*record.readouts.values(), *record.ledger.values()))
            assert [row["time"] for row in record.history][-1] == record.times[-1]
            assert all(row["dt"] > 0.0 and row["iterations"] > 0 for row in record.history)


def test_the_ledger_closes(usual: list[list[ArmRecord]]) -> None:
    """Injected cells are the dose; what is there at the end is start + injected + born + gained - died - left."""
    record = usual[0][1]
    entries = {key: np.array(values) for key, values in record.ledger.items()}
    injected = entries["stem_cells/undifferentiated:injected"]
    assert injected[-1] == pytest.approx(6e6 * 0.75, rel=1e-12)
    total = np.zeros_like(injected)
    for cells in ("cell_density", "stem_cells/undifferentiated", "stem_cells/np_like"):
        signs = {"start": 1, "injected": 1, "born": 1, "gained": 1, "died": -1, "left": -1}
        total += sum(sign * entries[f"{cells}:{key}"] for key, sign in signs.items())
    assert np.allclose(total, 1e6 * np.array(record.readouts["viable_cells"]), rtol=1e-10, atol=0.0)


def test_progress_is_told(engine: SweepEngine, samples: list[Problem]) -> None:
    done: list[int] = []
    engine.run_many(samples[:2], STEPS[:2], report=done.append)
    assert done == [1, 2, 3, 4]


# ---- refusals


def one_line(error: BaseException) -> str:
    text = str(error)
    assert text and "\n" not in text
    return text


def test_unknown_device() -> None:
    with pytest.raises(ValueError, match="device 'tpu' is not known; there are cpu and gpu") as caught:
        SweepEngine(device="tpu")
    one_line(caught.value)


@pytest.mark.skipif(jax.default_backend() == "gpu", reason="a GPU is here")
def test_missing_gpu() -> None:
    with pytest.raises(ValueError, match="device 'gpu': JAX sees none here; install jax.* or use --device cpu") as caught:
        SweepEngine(device="gpu")
    one_line(caught.value)


def test_unknown_solver_and_no_lane() -> None:
    with pytest.raises(ValueError, match="linear solver 'magic' is not known; there are sparse, block"):
        SweepEngine(linear_solver="magic")
    with pytest.raises(ValueError, match="lanes: 0; at least 1"):
        SweepEngine(lanes=0)


def test_single_precision() -> None:
    with jax.enable_x64(False), pytest.raises(ValueError, match="single precision .* start anew") as caught:
        SweepEngine()
    one_line(caught.value)


def test_mesh_without_discretisation(engine: SweepEngine, samples: list[Problem]) -> None:
    arm = samples[0].arms[0]
    mesh: Mesh = arm.mesh
    turned = dataclasses.replace(mesh, cells=np.roll(mesh.cells, 1, axis=0), cell_regions=np.roll(mesh.cell_regions, 1))
    problem = dataclasses.replace(samples[0], arms=(dataclasses.replace(arm, mesh=turned),))
    with pytest.raises(DiscretisationError, match="no discretisation of this mesh; make it once with discsim tabulate") as caught:
        engine.run_many([problem], STEPS)
    one_line(caught.value)


# ---- without DOLFINx

ALONE = """
import sys
BLOCKED = ("dolfinx", "dolfinx_solver", "basix", "ufl", "ffcx", "petsc4py", "mpi4py")
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocker())
try:
    import ufl
except ImportError:
    print("blocked")
from pathlib import Path
from discsim.study.config import read_study
from discsim.study.design import draw, sample_study
from discsim.study.study import make_engine
study = read_study(Path(sys.argv[1]), ["disc.mesh_level=1", 'duration="30 day"', 'output.times=["30 day"]', "design.samples=2",
                                       "check.samples=1"])
engine, design = make_engine("sweep"), draw(study)
problems = [sample_study(study, design, i).problem() for i in range(2)]
records = engine.run_many(problems, (86400.0, 864000.0, 2592000.0))
for sample in records:
    print(*[f"{record.status} {record.readouts['viable_cells'][-1]:.6f}" for record in sample], sep=", ")
print([name for name in BLOCKED if name in sys.modules])
"""


def test_a_sweep_needs_no_dolfinx() -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    study = ROOT / "experiments" / "cells_vs_gene" / "study.toml"
    command = [sys.executable, "-c", ALONE, str(study)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    first, *samples, last = done.stdout.splitlines()
    assert (first, last) == ("blocked", "[]")
    assert len(samples) == 2 and len(set(samples)) == 2
    assert all(arm.startswith("ok ") for line in samples for arm in line.split(", ")), samples
