"""Linear solvers with kept factors: exact on matrices of the real patterns, each lane on its own, transposed too."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from discsim.disc.disc import Disc
from discsim.problem.problem import Problem, build_problem
from discsim.scenario.scenario import Scenario
from discsim.scenario.therapy import GeneTherapy, StemCellInjection
from discsim.sweep.engine import SOLVERS, discretisation_of, prepare
from discsim.sweep.kernels import Kernels, layout_of
from discsim.sweep.linsolve import LinearSolver, Pattern

LANES = 3
EXACT = 1e-10  # of the solution, for matrices of condition below 1e4


@pytest.fixture(scope="module")
def patterns() -> dict[str, Pattern]:
    """Those of the coarse disc with all mechanisms, with and without fixed levels."""
    prepare()
    return patterns_of("perfusion") | {f"{name}, levels": p for name, p in patterns_of("levels").items() if name == "solutes"}


def patterns_of(supply: str) -> dict[str, Pattern]:
    scenario = Scenario(Disc.preset("L4-L5", grade=3, mesh_level=1)).with_parameters({"nutrition.supply": supply})
    problem: Problem = build_problem(
        {"one": scenario.with_therapy(StemCellInjection(), GeneTherapy())}, readouts=("viable_cells",), field_times=()
    )
    kernels = Kernels(problem, discretisation_of(problem.arms[0].mesh), layout_of(problem))
    solutes, signals = kernels.forms.solutes, kernels.forms.signals
    assert signals is not None
    return {
        "mechanics": kernels.mechanics_pattern(),
        "solutes": kernels.nodal_pattern(len(solutes.names), solutes.fixed, solutes.coupled),
        "signals": kernels.nodal_pattern(len(signals.names), signals.fixed, signals.coupled),
    }


NAMES = ("mechanics", "solutes", "signals", "solutes, levels")


def random_entries(pattern: Pattern, random: np.random.Generator) -> NDArray[np.float64]:
    """Entries without symmetry, made dominant on the diagonal so that the condition is mild."""
    entries = random.uniform(-1.0, 1.0, (LANES, len(pattern.rows)))
    rows = np.where(pattern.keep, pattern.rows, 0)
    crowd = np.bincount(rows[pattern.keep], minlength=pattern.size)  # how many entries each row gets
    return np.where(pattern.rows == pattern.columns, entries + 1.5 * crowd[rows], entries)


def dense(pattern: Pattern, entries: NDArray[np.float64]) -> NDArray[np.float64]:
    """The matrix that the entries of one lane add up to, by the plainest way."""
    matrix = np.zeros((pattern.size, pattern.size))
    np.add.at(matrix, (pattern.rows[pattern.keep], pattern.columns[pattern.keep]), entries[pattern.keep])
    matrix[pattern.held, pattern.held] = 1.0
    return matrix


def worst(found: object, wanted: NDArray[np.float64]) -> float:
    return float(np.abs(np.asarray(found) - wanted).max() / np.abs(wanted).max())


@pytest.fixture(params=SOLVERS)
def kind(request: pytest.FixtureRequest) -> type[LinearSolver]:
    return SOLVERS[request.param]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_exact_on_random_matrices_of_the_real_patterns(
    name: str, transposed: bool, kind: type[LinearSolver], patterns: dict[str, Pattern]
) -> None:
    pattern, random = patterns[name], np.random.default_rng(11)
    entries, every = random_entries(pattern, random), np.ones(LANES, dtype=bool)
    vectors = random.standard_normal((LANES, pattern.size))
    solver = kind(pattern, LANES)
    solver.factor(entries, every)
    found = solver.solve(vectors, every, transposed=transposed)
    for lane in range(LANES):
        matrix = dense(pattern, entries[lane])
        wanted = np.linalg.solve(matrix.T if transposed else matrix, vectors[lane])
        assert worst(found[lane], wanted) < EXACT
    other = solver.solve(vectors, every, transposed=not transposed)
    assert worst(other[0], np.asarray(found[0])) > 1e-3, "the matrix is symmetric: transposing it proves nothing"


def test_held_rows_are_rows_of_the_identity(kind: type[LinearSolver], patterns: dict[str, Pattern]) -> None:
    pattern, random = patterns["solutes, levels"], np.random.default_rng(12)
    assert len(pattern.held) > 20
    solver, every = kind(pattern, LANES), np.ones(LANES, dtype=bool)
    solver.factor(random_entries(pattern, random), every)
    vectors = random.standard_normal((LANES, pattern.size))
    found = np.asarray(solver.solve(vectors, every))
    assert np.allclose(found[:, pattern.held], vectors[:, pattern.held], rtol=1e-12, atol=0.0)


def test_lanes_keep_their_own_factors(kind: type[LinearSolver], patterns: dict[str, Pattern]) -> None:
    """New factors for one lane leave the solutions of its neighbours bit for bit, and idle lanes get zeros."""
    pattern, random = patterns["solutes"], np.random.default_rng(13)
    first, second = random_entries(pattern, random), random_entries(pattern, random)
    vectors = random.standard_normal((LANES, pattern.size))
    every, middle = np.ones(LANES, dtype=bool), np.array([False, True, False])
    solver = kind(pattern, LANES)
    solver.factor(first, every)
    before = np.asarray(solver.solve(vectors, every))
    solver.factor(second, middle)
    after = np.asarray(solver.solve(vectors, every))
    assert np.array_equal(before[[0, 2]], after[[0, 2]])
    assert worst(after[1], np.linalg.solve(dense(pattern, second[1]), vectors[1])) < EXACT
    alone = np.asarray(solver.solve(vectors, middle))
    assert np.array_equal(alone[1], after[1]) and not alone[[0, 2]].any()


@pytest.mark.parametrize("spoilt", ["not a number", "singular"])
def test_a_lane_without_factor_gives_no_number_and_spoils_no_other(
    spoilt: str, kind: type[LinearSolver], patterns: dict[str, Pattern]
) -> None:
    pattern, random = patterns["solutes"], np.random.default_rng(14)
    entries, every = random_entries(pattern, random), np.ones(LANES, dtype=bool)
    vectors = random.standard_normal((LANES, pattern.size))
    entries[1] = np.nan if spoilt == "not a number" else 0.0
    solver = kind(pattern, LANES)
    solver.factor(entries, every)
    found = np.asarray(solver.solve(vectors, every))
    assert not np.isfinite(found[1]).all()
    for lane in (0, 2):
        assert worst(found[lane], np.linalg.solve(dense(pattern, entries[lane]), vectors[lane])) < EXACT


def test_before_any_factor_there_is_no_number(kind: type[LinearSolver], patterns: dict[str, Pattern]) -> None:
    pattern = patterns["solutes"]
    found = np.asarray(kind(pattern, LANES).solve(np.ones((LANES, pattern.size)), np.array([True, False, False])))
    assert np.isnan(found[0]).all()


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("transposed", [False, True])
def test_rough_factors_are_good_to_some_digits_at_any_size(
    size: float, transposed: bool, kind: type[LinearSolver], patterns: dict[str, Pattern]
) -> None:
    """Also where single precision could not hold the numbers themselves; exact ones made afterwards are exact again."""
    pattern, random = patterns["solutes"], np.random.default_rng(15)
    entries, every = random_entries(pattern, random), np.ones(LANES, dtype=bool)
    vectors = random.standard_normal((LANES, pattern.size)) / size
    matrix = dense(pattern, entries[0])
    wanted = np.linalg.solve(matrix.T if transposed else matrix, vectors[0]) / size
    solver = kind(pattern, LANES)
    solver.factor(size * entries, every, rough=True)
    found = np.asarray(solver.solve(vectors, every, transposed=transposed))
    assert worst(found[0], wanted) < 1e-4
    solver.factor(size * entries, every)
    assert worst(np.asarray(solver.solve(vectors, every, transposed=transposed))[0], wanted) < EXACT
