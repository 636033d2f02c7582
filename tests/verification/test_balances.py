"""What must hold exactly, whatever the numbers: balances of cells and doses, neutrality, repeatability, honest failure."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ufl")

from discsim.biology.mechanism import Composition
from discsim.disc.disc import Disc
from discsim.disc.material import OsmoBiphasic
from discsim.fem import lower
from discsim.fem.disc_model import DiscModel, disc_model
from discsim.fem.engine import FemEngine
from discsim.problem.point import PointModel
from discsim.problem.problem import DAY, YEAR, Arm, Problem, build_problem
from discsim.problem.record import ArmRecord
from discsim.problem.status import Status, StepFailed
from discsim.scenario.readouts import Readout
from discsim.scenario.scenario import Scenario
from discsim.scenario.therapy import Dose, GeneTherapy, Place, StemCellInjection

pytestmark = pytest.mark.fem

CELLS = ("cell_density", "stem_cells/undifferentiated", "stem_cells/np_like")
SIGNALS = ("stem_cells/paracrine_factor", "gene.TIMP3/free_vector", "gene.TIMP3/product")
OTHERS = ("gene.TIMP3/active_genomes", "gene.TIMP3/transcript", "gene.TIMP3/expression")
STEPS = tuple(float(t) for t in np.concatenate([np.geomspace(0.1, 120.0, 16) * DAY, [0.5 * YEAR, YEAR]]))
# a clearance at which untreated cells and injected ones die of hunger and acid, so that the ledger has something to balance
STARVED = {"nutrition.endplate_clearance": "5e-5 mm/s"}


def base() -> Scenario:
    return Scenario(Disc.preset("L4-L5", grade=3, mesh_level=1), duration="1 year").with_parameters(STARVED)


def total(name: str) -> Readout:
    return Readout(f"total {name}", "1", "linear", f"amount of {name} in the disc", lambda s: s.integral(s.values[name]))


def largest(name: str) -> Readout:
    return Readout(f"largest {name}", "1", "extremum", f"largest {name}", lambda s: float(np.abs(s.values[name]).max()))


def build(arms: Mapping[str, Scenario]) -> Problem:
    """A problem of arms that share all mechanisms of both therapies, with totals of every therapy field."""
    readouts = ("viable_cells", "gag_nucleus", "disc_height", "glucose_min", "ph_min")
    problem = build_problem(dict(arms), readouts=readouts, field_times=())
    extra = [total(name) for name in CELLS] + [largest(name) for name in (*SIGNALS, *OTHERS)]
    return dataclasses.replace(problem, readouts=(*problem.readouts, *extra))


@pytest.fixture(scope="module")
def problem() -> Problem:
    """Untreated; both therapies; twice the cells; both at dose zero."""
    one = base()
    both = one.with_therapy(StemCellInjection(), GeneTherapy())
    twice = one.with_therapy(StemCellInjection(dose="1.2e7 cell"), GeneTherapy())
    nothing = one.with_therapy(StemCellInjection(dose="0 cell"), GeneTherapy(dose="0 vg"))
    return build({"untreated": one, "both": both, "twice": twice, "nothing": nothing})


@pytest.fixture(scope="module")
def records(problem: Problem) -> dict[str, ArmRecord]:
    found = {record.name: record for record in FemEngine().run(problem, steps=STEPS)}
    assert all(record.status.good for record in found.values()), [str(r.failure) for r in found.values() if r.failure]
    return found


def model_of(problem: Problem, name: str) -> DiscModel:
    arm = next(arm for arm in problem.arms if arm.name == name)
    model = disc_model(problem, arm)
    model.start_from_preset()
    return model


@pytest.mark.parametrize("arm", ["untreated", "both", "twice"])
@pytest.mark.parametrize("field", CELLS)
def test_every_cell_is_accounted_for(records: dict[str, ArmRecord], arm: str, field: str) -> None:
    record = records[arm]
    ledger = {key: np.array(record.ledger[f"{field}:{key}"]) for key in ("start", "injected", "born", "died", "gained", "left")}
    expected = ledger["start"] + ledger["injected"] + ledger["born"] - ledger["died"] + ledger["gained"] - ledger["left"]
    counted = np.array(record.readouts[f"total {field}"])
    scale = float((ledger["start"] + ledger["injected"] + ledger["gained"]).max())
    assert np.abs(counted - expected).max() <= 1e-8 * scale
    if field == "cell_density":
        assert ledger["died"][-1] > 0.01 * ledger["start"][0], "nothing died, so that the balance shows nothing"
        assert ledger["born"][-1] > 0.0


def test_what_one_kind_loses_the_other_gains(records: dict[str, ArmRecord]) -> None:
    ledger = records["both"].ledger
    left, gained = np.array(ledger["stem_cells/undifferentiated:left"]), np.array(ledger["stem_cells/np_like:gained"])
    assert left[-1] > 1e5
    np.testing.assert_allclose(gained, left, rtol=1e-12)


@pytest.mark.parametrize("kind", ["nucleus", "centre"])
def test_dose_is_found_on_the_mesh(problem: Problem, kind: str) -> None:
    model = model_of(problem, "both")
    place = Place(kind, "NP", 1000.0)
    before = model.totals()
    assert model.deposit(Dose(CELLS[1], 4.5e6, 0.0, place)) == pytest.approx(4.5e6, rel=1e-10)
    after = model.totals()
    assert after[CELLS[1]] - before[CELLS[1]] == pytest.approx(4.5e6, rel=1e-10)
    assert after["cell_density"] == before["cell_density"]
    assert model.deposit(Dose(SIGNALS[1], 5e10, 0.0, place)) == pytest.approx(5e10, rel=1e-10)
    # counted once more as readouts count: current concentration over current volume of the whole disc
    snapshot = model.snapshot()
    for name, amount in ((CELLS[1], 4.5e6), (SIGNALS[1], 5e10)):
        assert snapshot.integral(snapshot.values[name]) == pytest.approx(amount, rel=1e-10)


def test_dose_of_the_record_is_dose_times_retained(records: dict[str, ArmRecord]) -> None:
    for arm, dose in (("both", 6e6), ("twice", 1.2e7), ("nothing", 0.0), ("untreated", 0.0)):
        assert records[arm].ledger[f"{CELLS[1]}:injected"][-1] == pytest.approx(0.75 * dose, rel=1e-10)


def test_dose_zero_is_untreated_bit_for_bit(records: dict[str, ArmRecord]) -> None:
    untreated, nothing = records["untreated"], records["nothing"]
    assert nothing.times == untreated.times
    for name, series in untreated.readouts.items():
        assert nothing.readouts[name] == series, name
    for name, series in untreated.ledger.items():
        assert nothing.ledger[name] == series, name
    assert untreated.readouts["gag_nucleus"] != records["both"].readouts["gag_nucleus"], "the therapies do nothing at all"


def test_therapy_fields_stay_zero_without_a_dose(records: dict[str, ArmRecord]) -> None:
    for arm in ("untreated", "nothing"):
        for name in (*(f"total {n}" for n in CELLS[1:]), *(f"largest {n}" for n in (*SIGNALS, *OTHERS))):
            assert set(records[arm].readouts[name]) == {0.0}, f"{arm}: {name}"
    for name in (*CELLS[1:],):
        assert max(records["both"].readouts[f"total {name}"]) > 0.0
    for name in (*SIGNALS, *OTHERS):
        assert max(records["both"].readouts[f"largest {name}"]) > 0.0


def test_twice_the_cells_leave_less_glucose_at_once(records: dict[str, ArmRecord]) -> None:
    first = {arm: record.readouts["glucose_min"][0] for arm, record in records.items()}
    assert first["twice"] < first["both"] - 1e-3 < first["untreated"] - 2e-3


def _points(composition: Composition, material: OsmoBiphasic) -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """Parameters, reference amounts and concentrations at some points of the nucleus."""
    random = np.random.default_rng(3)
    values = composition.default_values() | {f"materials.{k}": v for k, v in material.values.items()}
    parameters = {path: v["NP"] if isinstance(v, dict) else v for path, v in values.items()}
    pointwise = composition.of_kind("cells", "matrix", "per_cell")
    for _ in range(5):
        amounts = {n: float(composition.fields[n].scale * random.uniform(0.1, 2.0)) for n in pointwise}
        signals = composition.of_kind("solute", "signal")
        nodal = {n: float(composition.fields[n].scale * random.uniform(0.1, 3.0)) for n in signals}
        yield parameters, amounts, nodal


def test_order_of_mechanisms_does_not_matter() -> None:
    one = base().with_therapy(StemCellInjection(), GeneTherapy(), GeneTherapy(transgene="TGFB1"))
    mechanisms, material = one.all_mechanisms(), OsmoBiphasic()
    masks = {"in_NP": 1.0, "in_inner_AF": 0.0, "in_outer_AF": 0.0, "in_CEP": 0.0}
    reference: list[dict[str, float]] | None = None
    for order in itertools.islice(itertools.permutations(mechanisms), 0, 720, 97):
        model = PointModel(Composition(order), material)
        found = []
        for parameters, amounts, nodal in _points(Composition(mechanisms), material):
            changes = model.changes(parameters, amounts, nodal, 0.93, masks)
            cells, ledger = model.advance_cells(parameters, amounts, nodal, 0.93, masks, 5.0 * DAY)
            others = model.advance_others(parameters, {**amounts, **cells}, nodal, 0.93, masks, 5.0 * DAY)
            rates = model.solute_rates(changes) | model.signal_rates(changes, nodal)
            named = {f"rate {k}": v for k, v in rates.items()} | {f"new {k}": v for k, v in (cells | others).items()}
            named |= {f"{k} {n}": v for k, table in ledger.items() for n, v in table.items()}
            found.append({k: float(v) for k, v in named.items()})
        if reference is None:
            reference = found
        for mine, theirs in zip(found, reference, strict=True):
            assert mine.keys() == theirs.keys()
            for key, value in mine.items():
                assert value == pytest.approx(theirs[key], rel=1e-12, abs=0.0), key


def test_tables_are_the_whole_disc() -> None:
    """The modelled half times two, against the volumes of the cylinders that the preset is made of."""
    disc = Scenario(Disc.preset("L4-L5", grade=1, mesh_level=1))
    problem = build_problem({"disc": disc}, readouts=(), field_times=())
    model = disc_model(problem, problem.arms[0])
    model.start_from_preset()
    assert model.share == 2.0
    nucleus = math.pi * 15.2**2 * 8.6
    inner = math.pi * (19.0**2 - 15.2**2) * 8.6
    plates = math.pi * 19.0**2 * 1.4
    outer = math.pi * (22.9**2 - 19.0**2) * 10.0
    wanted = 3600.0 * nucleus + 5550.0 * (inner + outer) + 13500.0 * plates
    # revolved triangles: volumes are exact
    assert model.totals()["cell_density"] == pytest.approx(wanted, rel=1e-9)
    half = float(model.state.pointwise["cell_density"].x.array @ model.spaces.corner_volume)
    assert model.totals()["cell_density"] == pytest.approx(2.0 * half, rel=1e-14)
    snapshot = model.snapshot()
    assert float(snapshot.weight.sum()) == pytest.approx(math.pi * 22.9**2 * 10.0, rel=1e-9)
    assert snapshot.plate_force == pytest.approx(0.24 * math.pi * 22.9**2, rel=1e-9)


def _cached_files() -> set[tuple[str, int]]:
    from dolfinx.jit import get_options

    return {(path.name, path.stat().st_size) for path in Path(get_options()["cache_dir"]).iterdir()}


def test_second_run_compiles_and_traces_nothing(problem: Problem, records: dict[str, ArmRecord]) -> None:
    files, traces = _cached_files(), lower.traces
    assert files and traces
    changed = base().with_parameters(
        {
            "nutrition.endplate_clearance": "3e-4 mm/s", "matrix_turnover.gag_loss_rate.NP": "0.1 1/year",
            "materials.shear_modulus.NP": "0.06 MPa", "loading.active": "0.28 MPa",
        }
    )  # fmt: skip
    cells = StemCellInjection(dose="1e7 cell", conversion_rate="0.2 1/day")
    both = changed.with_therapy(cells, GeneTherapy(dose="1e10 vg", onset="7 day"))
    again = FemEngine().run(build({"untreated": changed, "both": both}), steps=STEPS[:6])
    assert all(record.status.good for record in again)
    assert again[0].readouts["gag_nucleus"][5] != records["untreated"].readouts["gag_nucleus"][5]
    assert lower.traces == traces
    assert _cached_files() == files


def test_retry_from_the_same_state_gives_the_same_answer(problem: Problem) -> None:
    model = model_of(problem, "both")
    for dose in problem.arms[1].doses:
        model.deposit(dose)
    model.settle()
    for dt in (0.5 * DAY, DAY):
        model.step(dt)
    saved = model.state.copy()
    answers = []
    for _ in range(2):
        for solver in model.solvers():
            solver.forget()
        ledger = model.step(3.0 * DAY)
        answers.append((model.state.copy(), ledger))
        model.step(30.0 * DAY)  # go elsewhere before coming back
        model.state.restore(saved)
    (first, first_ledger), (second, second_ledger) = answers
    assert first_ledger == second_ledger
    assert first.keys() == saved.keys()
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name], err_msg=name)
    assert not np.array_equal(first["cell_density"], saved["cell_density"]), "nothing happened in the step"


def test_a_failed_step_leaves_nothing_behind(problem: Problem) -> None:
    model = model_of(problem, "untreated")
    model.step(DAY)
    saved, load = model.state.copy(), model.load
    model.load = 50.0
    with pytest.raises(StepFailed):
        model.step(DAY)
    model.load = load
    model.state.restore(saved)
    for name, values in model.state.copy().items():
        np.testing.assert_array_equal(values, saved[name], err_msg=name)
    model.step(DAY)


def _with_load(arm: Arm, at: float | None) -> Arm:
    """An arm loaded beyond what any disc bears, from the start or from a time on."""
    crushing = {"loading.active": 80.0}
    if at is None:
        return dataclasses.replace(arm, name="hopeless", values={**arm.values, **crushing})
    return dataclasses.replace(arm, name="hopeless", changes=((at, crushing),))


@pytest.mark.parametrize("at", [None, 30.0 * DAY], ids=["from the start", "after thirty days"])
def test_hopeless_run_ends_with_status_reason_time_and_advice(problem: Problem, at: float | None) -> None:
    arms = (problem.arms[0], _with_load(problem.arms[0], at))
    short = dataclasses.replace(problem, arms=arms)
    well, hopeless = FemEngine().run(short, steps=(1.0 * DAY, 10.0 * DAY, 30.0 * DAY, 40.0 * DAY))
    assert well.status.good and well.times[-1] == 40.0 * DAY, "one arm's failure touched another"
    assert hopeless.status in (Status.NONCONVERGED, Status.UNPHYSICAL)
    failure = hopeless.failure
    assert failure is not None and failure.status is hopeless.status
    assert failure.last_good_time == (at or 0.0)
    assert len(failure.reason) > 10 and len(failure.advice) > 10
    assert f"{(at or 0.0) / DAY:.4g} day" in str(failure)
    good = 0 if at is None else 3
    assert len(hopeless.times) == good and all(len(series) == good for series in hopeless.readouts.values())


def test_an_arm_after_a_hopeless_one_is_as_if_alone(problem: Problem) -> None:
    well = problem.arms[0]
    again = dataclasses.replace(well, name="again")
    arms = (well, _with_load(well, None), _with_load(well, 5.0 * DAY), again)
    arms = tuple(dataclasses.replace(arm, name=f"{arm.name}{i}") for i, arm in enumerate(arms))
    first, _, _, last = FemEngine().run(dataclasses.replace(problem, arms=arms), steps=(1.0 * DAY, 5.0 * DAY, 10.0 * DAY))
    assert first.status.good and last.status.good
    assert first.readouts == last.readouts
