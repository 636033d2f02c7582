"""Both engines write the same equations: residuals, tangents, advances and readouts on random admissible states.

The bar is 1e-10 of the largest entry of each equation. Parameters are drawn too, so that each is known to reach the same term.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ufl")

from discsim.disc.disc import Disc
from tests.parity.twins import Twins, everything

pytestmark = pytest.mark.fem
BAR = 1e-10
SEEDS = (1, 2, 3)
SUPPLIES = {
    "perfusion": {"nutrition__supply": "perfusion"},
    "diffusion": {"nutrition__supply": "diffusion"},
    "levels": {"nutrition__supply": "levels"},
    "levels at the border": {"nutrition__supply": "levels", "nutrition__level_surface": "endplate_border"},
}


def off(reference: np.ndarray, found: np.ndarray) -> float:
    """Largest difference over the largest entry."""
    assert np.isfinite(reference).all() and np.any(reference), "not an admissible state: nothing to compare"
    assert reference.shape == found.shape
    return float(np.abs(found - reference).max() / np.abs(reference).max())


def matrices_off(pair: Any) -> float:
    reference, found = pair
    return float(abs(found - reference).max() / abs(reference).max())


def plane(grade: int = 3) -> Disc:
    return Disc.preset("L4-L5", grade=grade, mesh_level=1)


def solid() -> Disc:
    """The 3-D disc (a quarter of it) on the coarse mesh."""
    return Disc(mesh_name="L4-L5_3d_coarse.msh")


@pytest.fixture(scope="module")
def twins() -> Twins:
    return Twins(everything(plane()))


@pytest.fixture(scope="module")
def solid_twins() -> Twins:
    return Twins(everything(solid()))


def check_all(twins: Twins, seed: int) -> None:
    """Every equation of a step, in one state."""
    twins.draw(np.random.default_rng(seed))
    wrong = {"forces": off(*twins.forces()), "margins": off(*twins.margins()), "prestress": off(*twins.prestresses())}
    for kind, names, (reference, found) in (
        ("solute", twins.solute_names, twins.solute_balances()),
        ("signal", twins.signal_names, twins.signal_balances()),
    ):
        wrong |= {f"{kind} {name}": off(reference[:, i], found[:, i]) for i, name in enumerate(names)}
    wrong["volumes"] = off(*twins.volumes())
    wrong |= {f"advance of {name}": off(*pair) for name, pair in twins.advanced().items()}
    reference, found = twins.readouts()
    wrong |= {r.name: abs(found[i] / reference[i] - 1.0) for i, r in enumerate(twins.problem.readouts)}
    assert {name: error for name, error in wrong.items() if not error <= BAR} == {}


def check_values(twins: Twins, seed: int) -> None:
    """Every named value at every point: what each mechanism gives, and the drives that they add to."""
    twins.draw(np.random.default_rng(seed))
    pairs = {name: pair for name, pair in twins.named_values().items() if np.any(pair[0])}
    assert {"ph", "anabolic_drive", "catabolic_drive", "added_cell_density", "native_loss_rate", "synthesis_gate"} <= set(pairs)
    assert {name: off(*pair) for name, pair in pairs.items() if not off(*pair) <= BAR} == {}


def check_tangents(twins: Twins, seed: int) -> None:
    twins.draw(np.random.default_rng(seed))
    assert matrices_off(twins.stiffness()) <= BAR
    assert matrices_off(twins.solute_tangents()) <= BAR
    assert matrices_off(twins.signal_tangents()) <= BAR


def test_the_problem_holds_every_mechanism_of_the_catalogue(twins: Twins) -> None:
    from discsim.biology.mechanisms import CATALOGUE

    assert {mechanism.name for mechanism in twins.problem.composition.mechanisms} == set(CATALOGUE)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_equation(twins: Twins, seed: int) -> None:
    check_all(twins, seed)


def test_every_named_value(twins: Twins) -> None:
    check_values(twins, 4)


def test_tangents(twins: Twins) -> None:
    check_tangents(twins, 5)


def test_a_wrong_parameter_is_seen(twins: Twins) -> None:
    """The comparison can fail: a parameter changed in one engine alone moves the balances far beyond the bar."""
    twins.draw(np.random.default_rng(6))
    reference, found = twins.solute_balances()
    assert off(reference, found) <= BAR
    demand = twins.kernels.layout.columns["nutrition.demand_factor"]
    twins.row[0, demand] *= 1.0 + 1e-6
    assert off(*twins.solute_balances()) > 10.0 * BAR


@pytest.mark.parametrize("supply", [name for name in SUPPLIES if name != "perfusion"])
def test_supply_options(supply: str) -> None:
    twins = Twins(everything(plane(grade=1), **SUPPLIES[supply]))
    twins.draw(np.random.default_rng(7))
    reference, found = twins.solute_balances()
    for i, name in enumerate(twins.solute_names):
        assert off(reference[:, i], found[:, i]) <= BAR, name
    assert matrices_off(twins.solute_tangents()) <= BAR
    held = np.asarray(twins.kernels.solute_levels(twins.row, twins.solutes[None]))[0]
    rows = twins.model.nutrients.transport._rows
    assert (len(rows) > 0) == supply.startswith("levels")
    assert np.array_equal(held.reshape(-1)[rows], twins.model.nutrients.transport._values)


@pytest.mark.parametrize("plate", ["slip", "confined"])
def test_plates(plate: str) -> None:
    """Forces of a plate that slips; the rule of the other shipped plate is in ``test_every_equation``."""
    problem = everything(plane())
    arm = problem.arms[0]
    arm = dataclasses.replace(arm, chosen={**arm.chosen, "loading.plate": plate})
    twins = Twins(dataclasses.replace(problem, arms=(arm,)))
    assert twins.kernels.free == twins.model.mechanics.q.size
    twins.draw(np.random.default_rng(8))
    assert off(*twins.forces()) <= BAR
    assert matrices_off(twins.stiffness()) <= BAR


@pytest.mark.parametrize("seed", (9, 10))
def test_every_equation_in_three_dimensions(solid_twins: Twins, seed: int) -> None:
    check_all(solid_twins, seed)


def test_named_values_and_tangents_in_three_dimensions(solid_twins: Twins) -> None:
    check_values(solid_twins, 11)
    check_tangents(solid_twins, 12)
