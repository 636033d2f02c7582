"""Where the order of two arms flips: rules that are there are found, rules that are not there are not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discsim.study.ensemble import SweptInput
from discsim.study.flips import FEWEST, find_flip, place, value_at

MakeInput = Callable[..., SweptInput]


def three(make_input: MakeInput, seed: int, count: int) -> tuple[np.ndarray, tuple[SweptInput, ...]]:
    places = np.random.default_rng(seed).random((count, 3))
    return places, (
        make_input("supply", places[:, 0], 1e-5, 1e-3, scale="log", unit="mm/s"),
        make_input("load", places[:, 1], 0.2, 0.4, unit="MPa"),
        make_input("dose", places[:, 2], 1e6, 1e7, scale="log", unit="cell"),
    )


def test_cut_on_one_input_is_found(make_input: MakeInput) -> None:
    places, inputs = three(make_input, 1, 300)
    gain = places[:, 0] - 0.6
    flip = find_flip("a", "b", inputs, gain, gain > 0.0)
    assert flip.outcome == "one input" and flip.border is None and flip.cut is not None
    assert flip.cut.path == "supply" and flip.screens[0].path == "supply"
    # 60 % of the way from 1e-5 to 1e-3 on a logarithmic scale.
    assert np.log10(flip.cut.threshold) == pytest.approx(-5.0 + 0.6 * 2.0, abs=0.02)
    assert (flip.cut.above.probability, flip.cut.below.probability) == (1.0, 0.0)
    assert flip.cut.accuracy > 0.98
    assert flip.base_rate == pytest.approx(np.mean(gain <= 0.0))


def test_border_between_two_inputs_is_found(make_input: MakeInput) -> None:
    """Supply and dose make up for each other: one of them alone tells little."""
    places, inputs = three(make_input, 2, 400)
    gain = places[:, 0] + places[:, 2] - 1.0
    flip = find_flip("a", "b", inputs, gain, gain > 0.0)
    assert flip.outcome == "two inputs" and flip.border is not None and flip.cut is not None
    border = flip.border
    assert border.paths == ("supply", "dose") and border.more_above
    assert border.accuracy > 0.97 > 0.85 > flip.cut.accuracy
    (x0, y0), (x1, y1) = border.ends  # from the upper left to the lower right corner
    assert (np.log10(x0), np.log10(y0)) == (pytest.approx(-5.0, abs=0.1), pytest.approx(7.0, abs=0.05))
    assert (np.log10(x1), np.log10(y1)) == (pytest.approx(-3.0, abs=0.1), pytest.approx(6.0, abs=0.05))


def test_side_of_a_border_is_told_for_the_arm_that_wins_below(make_input: MakeInput) -> None:
    places, inputs = three(make_input, 3, 400)
    gain = 0.4 + 0.5 * places[:, 0] - places[:, 1]
    flip = find_flip("a", "b", inputs, gain, gain > 0.0)
    assert flip.border is not None and flip.border.paths == ("supply", "load")
    assert not flip.border.more_above
    assert flip.border.more.probability is not None and flip.border.less.probability is not None
    assert flip.border.more.probability > 0.9 > 0.1 > flip.border.less.probability


def test_chance_decides_nothing(make_input: MakeInput) -> None:
    """Winners by lot: the cut and the border are each believed once in twenty repetitions or less."""
    believed = 0
    for seed in range(200):
        _, inputs = three(make_input, seed, 200)
        gain = np.random.default_rng(1000 + seed).normal(size=200)
        flip = find_flip("a", "b", inputs, gain, gain > 0.0)
        believed += flip.outcome != "no input"
        if flip.outcome == "no input":
            assert flip.cut is None and flip.border is None
    assert believed <= 20


def test_noise_on_a_rule_lowers_what_is_claimed(make_input: MakeInput) -> None:
    """One in five winners turned by lot: the accuracy that is claimed is near four in five."""
    places, inputs = three(make_input, 5, 600)
    won = (places[:, 1] > 0.5) ^ (np.random.default_rng(6).random(600) < 0.2)
    flip = find_flip("a", "b", inputs, np.where(won, 1.0, -1.0), won)
    assert flip.cut is not None and flip.cut.path == "load"
    assert flip.cut.accuracy == pytest.approx(0.8, abs=0.04)
    assert flip.gain == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("wins", [0, FEWEST - 1, 100 - FEWEST + 1, 100])
def test_a_handful_of_samples_is_no_region(make_input: MakeInput, wins: int) -> None:
    _, inputs = three(make_input, 7, 100)
    won = np.arange(100) < wins
    flip = find_flip("a", "b", inputs, np.where(won, 1.0, -1.0), won)
    assert flip.outcome == "one-sided" and flip.wins == wins


def test_inputs_that_do_not_vary_decide_nothing(make_input: MakeInput) -> None:
    inputs = (make_input("fixed", np.zeros(100), 1.0, 2.0),)
    won = np.arange(100) % 2 == 0
    assert find_flip("a", "b", inputs, np.where(won, 1.0, -1.0), won).outcome == "no input"


def test_input_of_two_values_can_decide(make_input: MakeInput) -> None:
    carrier = (np.random.default_rng(8).random(200) < 0.5).astype(float)
    other = make_input("other", np.random.default_rng(9).random(200), 1.0, 2.0)
    flip = find_flip("a", "b", (make_input("carrier", carrier, 1.0, 2.0), other), carrier - 0.5, carrier > 0.5)
    assert flip.cut is not None and (flip.cut.path, flip.cut.threshold) == ("carrier", 1.5)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    threshold=st.floats(0.25, 0.75),
    stretch=st.sampled_from([1e-9, 1.0, 1e9]),
)
def test_verdict_is_the_same_in_other_units(seed: int, threshold: float, stretch: float) -> None:
    places = np.random.default_rng(seed).random(120)
    gain = places - threshold
    found = []
    for factor in (1.0, stretch):
        one = SweptInput("x", "mM", "linear", "assumed", factor, 3.0 * factor, factor * (1.0 + 2.0 * places))
        found.append(find_flip("a", "b", (one,), gain, gain > 0.0))
    assert found[0].outcome == found[1].outcome == "one input"
    assert found[0].cut is not None and found[1].cut is not None
    assert found[1].cut.threshold == pytest.approx(stretch * found[0].cut.threshold)
    assert found[1].cut.accuracy == found[0].cut.accuracy
    inside = np.sort(places)
    assert (
        inside[np.searchsorted(inside, threshold) - 1]
        <= (found[0].cut.threshold - 1.0) / 2.0
        <= inside[np.searchsorted(inside, threshold)]
    )


@given(st.floats(1e-6, 1e3), st.floats(1.5, 1e4), st.sampled_from(["linear", "log"]), st.floats(0.0, 1.0))
def test_places_and_values_are_inverse(low: float, ratio: float, scale: str, position: float) -> None:
    one = SweptInput("x", "mM", scale, "assumed", low, low * ratio, np.array([low, low * ratio]))
    value = value_at(one, position)
    again = SweptInput("x", "mM", scale, "assumed", low, low * ratio, np.array([low, value, low * ratio]))
    assert place(again)[1] == pytest.approx(position, abs=1e-9)
