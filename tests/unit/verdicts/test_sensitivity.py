"""Sensitivity: indices that are known in closed form, the dummy, and what is refused."""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console
from scipy.stats import qmc, spearmanr

from discsim.report.sensitivity import print_sensitivities
from discsim.study import sensitivity
from discsim.study.ensemble import Ensemble, SweptInput
from discsim.study.sensitivity import Holes, Sensitivity, sensitivities, sensitivities_from_json, sensitivities_to_json
from discsim.study.sensitivity_designs import morris_cube, runs, saltelli_cube
from discsim.study.verdict import VerdictError

Floats = NDArray[np.float64]
MakeEnsemble = Callable[..., Ensemble]
MakeInput = Callable[..., SweptInput]
# Ishigami function, a = 7, b = 0.1: first-order and total indices in closed form (Homma and Saltelli 1996).
ISHIGAMI = {"x0": (0.3139, 0.5576), "x1": (0.4424, 0.4424), "x2": (0.0, 0.2437), "x3": (0.0, 0.0)}


def ishigami(cube: Floats) -> Floats:
    x = np.pi * (2.0 * cube - 1.0)
    result: Floats = np.sin(x[:, 0]) + 7.0 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])
    return result


def additive(cube: Floats) -> Floats:
    """Variances 16 : 4 : 1 : 0."""
    result: Floats = 4.0 * cube[:, 0] + 2.0 * cube[:, 1] + cube[:, 2]
    return result


@pytest.fixture
def ensemble_of(make_ensemble: MakeEnsemble, make_input: MakeInput) -> Callable[..., Ensemble]:
    """An untreated arm that depends on the last input alone, and one whose difference from it is a function of the cube."""

    def made(kind: str, cube: Floats, function: Callable[[Floats], Floats], **keywords: object) -> Ensemble:
        inputs = tuple(make_input(f"x{i}", cube[:, i], 1.0, 100.0, scale="log") for i in range(cube.shape[1]))
        base = 50.0 + 3.0 * cube[:, -1]
        values = {"untreated": {"gag_nucleus": base}, "cells": {"gag_nucleus": base + function(cube)}}
        return make_ensemble(values, inputs, kind=kind, **keywords)

    return made


def by_path(found: Sensitivity, name: str) -> dict[str, float]:
    return {row.path: row.indices[name].value for row in found.inputs}


# --- designs ------------------------------------------------------------------------------------------------------------


def test_saltelli_blocks_move_one_input_at_a_time() -> None:
    cube = saltelli_cube(16, 3, seed=5)
    assert cube.shape == (runs("saltelli", 16, 3), 3) == (80, 3)
    for block in cube.reshape(16, 5, 3):
        for column in range(3):
            expected = block[0].copy()
            expected[column] = block[-1][column]
            assert np.array_equal(block[1 + column], expected)


@pytest.mark.parametrize("make", [saltelli_cube, morris_cube])
def test_designs_depend_on_the_seed_alone(make: Callable[[int, int, int], Floats]) -> None:
    assert np.array_equal(make(8, 3, 0), make(8, 3, 0))
    assert not np.array_equal(make(8, 3, 0), make(8, 3, 1))
    assert np.array_equal(make(16, 3, 4)[: len(make(8, 3, 4))], make(8, 3, 4))


def test_morris_trajectories_move_every_input_once_by_two_levels() -> None:
    cube = morris_cube(10, 4, seed=2)
    assert cube.shape == (runs("morris", 10, 4), 4) == (50, 4)
    assert set(np.unique(cube)) <= {0.125, 0.375, 0.625, 0.875}
    steps = np.diff(cube.reshape(10, 5, 4), axis=1)
    assert np.array_equal(np.count_nonzero(steps, axis=1), np.ones((10, 4)))
    assert np.allclose(np.abs(steps[steps != 0.0]), 0.5)


def test_sizes_that_make_no_design_are_refused() -> None:
    with pytest.raises(ValueError, match="power of two"):
        saltelli_cube(12, 3, 0)
    with pytest.raises(ValueError, match="at least 2"):
        morris_cube(1, 3, 0)


# --- indices ------------------------------------------------------------------------------------------------------------


def test_sobol_indices_of_ishigami(ensemble_of: Callable[..., Ensemble]) -> None:
    _, found = sensitivities(ensemble_of("saltelli", saltelli_cube(1024, 4, 1), ishigami))
    assert (found.method, found.samples, found.against) == ("sobol", 6144, "untreated")
    for row in found.inputs:
        for name, expected in zip(("first", "total"), ISHIGAMI[row.path], strict=True):
            index = row.indices[name]
            assert index.value == pytest.approx(expected, abs=0.03)
            assert index.low is not None and index.high is not None
            assert index.low - 1e-9 <= expected <= index.high + 1e-9 or abs(index.value - expected) < 0.01
    standing = {row.path: row.stands_out for row in found.inputs}
    assert standing == {"x0": ("first", "total"), "x1": ("first", "total"), "x2": ("total",), "x3": ()}
    assert 0.0 < found.floor["first"] < 0.1 and 0.0 < found.floor["total"] < 0.2


def test_baseline_is_analysed_by_itself(ensemble_of: Callable[..., Ensemble]) -> None:
    """It depends on the last input alone, the difference does not depend on that one at all."""
    base, _ = sensitivities(ensemble_of("saltelli", saltelli_cube(256, 4, 1), ishigami))
    assert (base.scenario, base.against) == ("untreated", None)
    assert by_path(base, "total")["x3"] == pytest.approx(1.0, abs=0.05)
    assert max(by_path(base, "total")[path] for path in ("x0", "x1", "x2")) == pytest.approx(0.0, abs=1e-9)


def test_morris_effects_of_a_linear_function(ensemble_of: Callable[..., Ensemble]) -> None:
    """Half of the distribution is half of the cube: 4, 2, 1, 0 give 2, 1, 0.5, 0."""
    _, found = sensitivities(ensemble_of("morris", morris_cube(12, 4, 3), additive))
    assert found.method == "morris"
    assert by_path(found, "effect") == {
        "x0": pytest.approx(2.0),
        "x1": pytest.approx(1.0),
        "x2": pytest.approx(0.5),
        "x3": pytest.approx(0.0, abs=1e-9),
    }
    assert [row.path for row in found.inputs if row.stands_out] == ["x0", "x1", "x2"]
    assert found.dummy["effect"] == 0.0 and 0.0 < found.floor["effect"] < 0.01


def drawn_cube(kind: str, count: int, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    drawers = {"latin_hypercube": qmc.LatinHypercube, "sobol": qmc.Sobol}
    cube: Floats = rng.random((count, 4)) if kind == "random" else drawers[kind](4, rng=rng).random(count)
    return cube


@pytest.mark.parametrize("count", [256, 1024])
@pytest.mark.parametrize("kind", ["random", "latin_hypercube", "sobol"])
@pytest.mark.parametrize("function", [additive, ishigami])
def test_indices_of_drawn_samples(
    ensemble_of: Callable[..., Ensemble], function: Callable[[Floats], Floats], kind: str, count: int
) -> None:
    """Inside their intervals and what the classes miss of a curve; sin^2 with two waves in 8 classes: up to 19 % of its share."""
    _, found = sensitivities(ensemble_of(kind, drawn_cube(kind, count, 7), function))
    exact = {"x0": 16 / 21, "x1": 4 / 21, "x2": 1 / 21, "x3": 0.0}
    missed = 1.0 / 64.0
    if function is ishigami:
        exact, missed = {path: pair[0] for path, pair in ISHIGAMI.items()}, 0.19 if count < 1024 else 0.05
    assert found.method == "class_means"
    for row in found.inputs:
        index = row.indices["first"]
        assert index.low is not None and index.high is not None
        assert index.low <= exact[row.path] <= index.high + missed * exact[row.path]
        assert index.high - index.low < 5.0 / np.sqrt(count)
    standing = {row.path for row in found.inputs if row.stands_out}
    assert {path for path, value in exact.items() if value > 0.15} <= standing
    assert "x3" not in standing
    assert found.floor["first"] > found.dummy["first"] >= -1e-9


def test_sobol_points_are_no_net_that_catches_waves(ensemble_of: Callable[..., Ensemble]) -> None:
    """Over scramblings, indices of an additive function scatter by less than 0.01 (RBD-FAST: by 0.15)."""
    found = []
    for seed in range(10):
        _, one = sensitivities(ensemble_of("sobol", drawn_cube("sobol", 256, seed), additive))
        found.append([by_path(one, "first")[path] for path in ("x0", "x1", "x2", "x3")])
    assert np.mean(found, axis=0) == pytest.approx([16 / 21, 4 / 21, 1 / 21, 0.0], abs=0.015)
    assert np.std(found, axis=0).max() < 0.01


def test_floor_of_drawn_samples_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """An output of pure chance: of four inputs at least one rises above the floor in about 5 % of 100 ensembles."""
    monkeypatch.setattr(sensitivity, "RESAMPLES", 2)  # intervals are not looked at here
    risen = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        indices, _, floor = sensitivity._class_means(rng.random((128, 4)), rng.normal(size=128), independent=True)
        risen += any(one["first"].value > floor["first"] for one in indices)
    assert risen <= 12  # of a binomial of 100 and 0.05, 12 is exceeded once in 700


def test_named_values_are_no_obstacle(ensemble_of: Callable[..., Ensemble]) -> None:
    """Equal values of an input must not stand in an order that another input made."""
    cube = np.random.default_rng(3).random((512, 3))
    cube = cube[np.argsort(cube[:, 2])]
    cube[:, 0] = np.round(cube[:, 0])
    _, found = sensitivities(ensemble_of("random", cube, lambda c: c[:, 2] + 0.5 * c[:, 1]))
    row = next(row for row in found.inputs if row.path == "x0")
    assert not row.stands_out
    assert by_path(found, "first")["x2"] == pytest.approx(0.8, abs=0.06)


def test_correlated_inputs_are_pointed_out(ensemble_of: Callable[..., Ensemble]) -> None:
    cube = np.random.default_rng(3).random((256, 3))
    _, plain = sensitivities(ensemble_of("random", cube, additive))
    cube[:, 1] = 0.5 * (cube[:, 0] + cube[:, 1])
    _, found = sensitivities(ensemble_of("random", cube, additive))
    expected = spearmanr(cube[:, 0], cube[:, 1]).statistic
    assert plain.note == "" and f"inputs are correlated (x0 and x1: {expected:+.2f})" in found.note


def test_difference_that_is_only_round_off_has_no_indices(ensemble_of: Callable[..., Ensemble]) -> None:
    cube = np.random.default_rng(1).random((128, 3))
    _, found = sensitivities(ensemble_of("random", cube, lambda c: 1e-5 * c[:, 0]))
    assert found.inputs == () and found.note == "does not vary in the swept box"


def test_sensitivities_come_back_from_json(ensemble_of: Callable[..., Ensemble]) -> None:
    found = sensitivities(ensemble_of("saltelli", saltelli_cube(64, 3, 1), additive))
    assert sensitivities_from_json(sensitivities_to_json(found)) == found


# --- refusals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "make"), [("saltelli", saltelli_cube), ("morris", morris_cube)])
def test_holes_are_refused_with_remedies(
    ensemble_of: Callable[..., Ensemble], kind: str, make: Callable[[int, int, int], Floats]
) -> None:
    ensemble = ensemble_of(kind, make(64, 3, 1), additive, failed={"cells": {5: "timeout", 9: "nonconverged"}})
    with pytest.raises(Holes, match=rf"{kind} design: of \d+ samples 2 failed \(2 in cells\); every one counts") as caught:
        sensitivities(ensemble)
    assert "retries" in str(caught.value) and "narrow" in str(caught.value) and "\n" not in str(caught.value)
    assert ("--given-data" in str(caught.value)) == (kind == "saltelli")


def test_good_samples_of_a_saltelli_design_can_be_analysed(ensemble_of: Callable[..., Ensemble]) -> None:
    """Only base points A and B, which are independent; a failed one of them is left out and counted."""
    cube = saltelli_cube(256, 3, 1)
    ensemble = ensemble_of("saltelli", cube, additive, failed={"cells": {0: "timeout", 2: "timeout"}})
    _, found = sensitivities(ensemble, given_data=True)
    assert (found.method, found.samples, found.left_out) == ("class_means", 511, 1)
    assert by_path(found, "first")["x0"] == pytest.approx(16 / 21, abs=0.06)


def test_unfinished_design_is_refused(ensemble_of: Callable[..., Ensemble]) -> None:
    whole = ensemble_of("saltelli", saltelli_cube(16, 3, 1), additive)
    part = np.delete(np.arange(80), [7, 8, 79])
    ensemble = dataclasses.replace(
        whole,
        numbers=whole.numbers[part],
        values={arm: {key: v[part] for key, v in readouts.items()} for arm, readouts in whole.values.items()},
        status={arm: words[part] for arm, words in whole.status.items()},
        inputs=tuple(dataclasses.replace(one, values=one.values[part]) for one in whole.inputs),
    )
    with pytest.raises(Holes, match="of 80 samples 3 are not there yet"):
        sensitivities(ensemble)


def first_samples(whole: Ensemble, count: int) -> Ensemble:
    """The part of a design that an interrupted sweep has."""
    return dataclasses.replace(
        whole,
        numbers=whole.numbers[:count],
        values={arm: {key: v[:count] for key, v in readouts.items()} for arm, readouts in whole.values.items()},
        status={arm: words[:count] for arm, words in whole.status.items()},
        inputs=tuple(dataclasses.replace(one, values=one.values[:count]) for one in whole.inputs),
    )


@pytest.mark.parametrize(("kind", "make", "block"), [("saltelli", saltelli_cube, 5), ("morris", morris_cube, 4)])
def test_a_part_of_a_design_is_counted_against_the_whole(
    ensemble_of: Callable[..., Ensemble], kind: str, make: Callable[[int, int, int], Floats], block: int
) -> None:
    """Whole blocks are analysed and the missing samples told; a block that is begun and not finished is refused."""
    whole = ensemble_of(kind, make(32, 3, 1), additive)
    planned = 32 * block
    assert all("missing" not in one.note for one in sensitivities(whole, planned=planned))
    some = sensitivities(first_samples(whole, 16 * block), planned=planned)
    told = f"warning: {16 * block} of the {planned} samples of the design are missing: indices of the first {16 * block} alone"
    assert all(told in one.note for one in some)
    with pytest.raises(Holes, match=f"of {planned} samples {16 * block + 2} are not there yet"):
        sensitivities(first_samples(whole, 16 * block - 2), planned=planned)


def test_few_trajectories_have_no_interval(ensemble_of: Callable[..., Ensemble]) -> None:
    """A bootstrap of a handful of trajectories is too narrow: none is stated, and it is said why."""
    for count, stated in ((9, False), (10, True)):
        found = sensitivities(ensemble_of("morris", morris_cube(count, 3, 1), additive))
        for one in found:
            limits = [limit for row in one.inputs for index in row.indices.values() for limit in (index.low, index.high)]
            assert limits and all((limit is not None) is stated for limit in limits)
            assert (f"no intervals: {count} trajectories are too few" in one.note) is not stated
        assert sensitivities_from_json(sensitivities_to_json(found)) == found
        stream = io.StringIO()
        print_sensitivities(found, Console(file=stream, width=200))
        assert bool(re.search(r"\(\S+ to \S+\)", stream.getvalue())) is stated
        assert ("(95 %)" in stream.getvalue()) is stated


@pytest.mark.parametrize(("kind", "make"), [("saltelli", saltelli_cube), ("morris", morris_cube)])
def test_samples_in_another_order_are_refused(
    ensemble_of: Callable[..., Ensemble], kind: str, make: Callable[[int, int, int], Floats]
) -> None:
    """SALib reads the order of the outputs alone: shuffled ones would give indices, and wrong ones."""
    cube = make(16, 3, 1)
    with pytest.raises(VerdictError, match="not in the order of such a design"):
        sensitivities(ensemble_of(kind, np.random.default_rng(0).permutation(cube), additive))


@pytest.mark.parametrize("kind", ["grid", "list", "one_at_a_time"])
def test_chosen_samples_have_no_variance_to_share(ensemble_of: Callable[..., Ensemble], kind: str) -> None:
    with pytest.raises(VerdictError, match=f"design {kind}: its samples are chosen, not drawn"):
        sensitivities(ensemble_of(kind, np.random.default_rng(0).random((100, 3)), additive))


def test_too_few_samples_are_refused(ensemble_of: Callable[..., Ensemble]) -> None:
    with pytest.raises(VerdictError, match="63 good samples; indices of drawn samples need at least 64"):
        sensitivities(ensemble_of("random", np.random.default_rng(0).random((63, 3)), additive))


def test_levels_are_no_given_data(ensemble_of: Callable[..., Ensemble]) -> None:
    with pytest.raises(VerdictError, match="four levels"):
        sensitivities(ensemble_of("morris", morris_cube(20, 3, 1), additive), given_data=True)
