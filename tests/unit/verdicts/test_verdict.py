"""Verdicts: paired differences, orders, harm, failures; each readout by itself."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from discsim.report.verdict import flip_words
from discsim.scenario.readouts import READOUTS
from discsim.study.directions import DIRECTIONS, Direction
from discsim.study.ensemble import Ensemble, SweptInput
from discsim.study.shares import mean, share, share_of
from discsim.study.verdict import (
    VerdictError,
    compare,
    comparison_from_json,
    contenders,
    order_of,
    usable_rows,
)

YEAR = 365.25 * 86400.0
UP = Direction(True, "cells", "")
DOWN = Direction(False, "cells", "")
MakeEnsemble = Callable[..., Ensemble]


# --- shares and means --------------------------------------------------------------------------------------------------


def test_share_has_wilson_interval() -> None:
    """Newcombe 1998, 10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E, table I: 81 of 263."""
    found = share_of(81, 263)
    assert (found.low, found.high) == (pytest.approx(0.2553, abs=1e-4), pytest.approx(0.3662, abs=1e-4))
    none = share_of(0, 20)
    assert none.probability == 0.0 and none.low == 0.0 and none.high == pytest.approx(0.1611, abs=1e-4)


def test_share_of_nothing_has_no_number() -> None:
    assert dataclasses.astuple(share(np.zeros(0, bool))) == (0, 0, None, None, None)


def test_interval_of_the_mean_covers_it_as_often_as_it_says() -> None:
    """Skewed differences (log-normal, 100 samples): 95 % intervals cover the true mean in 90 to 98 % of 200 ensembles."""
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        found = mean(rng.lognormal(0.0, 0.7, 100))
        assert found.low is not None and found.high is not None
        covered += found.low <= np.exp(0.5 * 0.7**2) <= found.high
    assert 180 <= covered <= 196


def test_pairing_narrows_the_interval(make_ensemble: MakeEnsemble) -> None:
    """What both arms share cancels: discs differ by tens, the arm's effect by a tenth."""
    rng = np.random.default_rng(2)
    discs = rng.normal(40.0, 10.0, 200)
    ensemble = make_ensemble({"untreated": {"viable_cells": discs}, "cells": {"viable_cells": discs + rng.normal(0.5, 0.1, 200)}})
    pair = compare(ensemble).verdicts[0].pair("cells", "untreated")
    assert pair.mean.low is not None and pair.mean.high is not None
    assert 0.48 < pair.mean.low < pair.mean.high < 0.52
    assert pair.better is not None and pair.better.probability == 1.0


def test_mean_of_few_or_equal_numbers() -> None:
    assert dataclasses.astuple(mean(np.array([]))) == (None, None, None)
    assert dataclasses.astuple(mean(np.array([2.0]))) == (2.0, None, None)
    assert dataclasses.astuple(mean(np.full(9, 2.0))) == (2.0, 2.0, 2.0)


# --- orders -------------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-100.0, 100.0), min_size=2, max_size=5))
def test_orders_hold_every_arm_once_and_fall(values: list[float]) -> None:
    arms = {f"arm{i}": value for i, value in enumerate(values)}
    groups = order_of(arms, UP)
    assert sorted(itertools.chain(*groups)) == sorted(arms)
    for before, after in itertools.pairwise(groups):
        assert min(arms[name] for name in before) > max(arms[name] for name in after)
    reverse = order_of({name: -value for name, value in arms.items()}, DOWN)
    assert reverse == groups


def test_round_off_is_no_order() -> None:
    assert order_of({"a": 40.0, "b": 40.0 * (1.0 + 9e-6), "c": 40.1}, UP) == (("c",), ("a", "b"))
    assert order_of({"a": 40.0, "b": 40.0 * (1.0 + 2e-5)}, UP) == (("b",), ("a",))


def test_probabilities_of_the_orders(make_ensemble: MakeEnsemble) -> None:
    base = np.full(10, 10.0)
    one, two = base + np.array([1.0] * 6 + [-1.0] * 4), base + np.array([2.0] * 3 + [0.5] * 7)
    ensemble = make_ensemble({"untreated": {"gag_nucleus": base}, "one": {"gag_nucleus": one}, "two": {"gag_nucleus": two}})
    verdict = compare(ensemble).verdicts[0]
    assert {str(order): order.share.count for order in verdict.orders} == {
        "two > one > untreated": 3,
        "one > two > untreated": 3,
        "two > untreated > one": 4,
    }
    assert sum(order.share.count for order in verdict.orders) == verdict.samples == 10
    assert {name: found.count for name, found in verdict.first_places.items()} == {"untreated": 0, "one": 3, "two": 7}
    better = verdict.pair("two", "one").better
    assert better is not None and (better.count, better.of) == (7, 10)


def test_contenders_are_two_different_arms(make_ensemble: MakeEnsemble) -> None:
    """An arm that always equals the first one competes with nobody."""
    base, won = np.full(8, 10.0), 10.0 + np.array([1.0] * 5 + [-1.0] * 3)
    values = {"untreated": base, "cells": won, "gene": base - 0.5, "both": won}
    ensemble = make_ensemble({name: {"viable_cells": numbers} for name, numbers in values.items()})
    assert set(contenders(ensemble, "viable_cells", 0)) == {"cells", "untreated"}
    dominated = make_ensemble({name: {"viable_cells": base + i} for i, name in enumerate(("a", "b", "c"))})
    assert contenders(dominated, "viable_cells", 0) == ("c", "b")


# --- verdicts -----------------------------------------------------------------------------------------------------------


def test_known_clinic(clinic: Ensemble) -> None:
    found = compare(clinic)
    cells, gag, oxygen = found.verdicts
    supply = np.array([one.values for one in clinic.inputs])[0]
    threshold = 4e-5 * 50.0**0.4
    good = clinic.good()
    pair = cells.pair("cells", "untreated")
    assert pair.better is not None and pair.better.count == np.sum((supply > threshold) & good)
    assert pair.flip is not None and pair.flip.outcome == "one input" and pair.flip.cut is not None
    assert pair.flip.cut.path == "nutrition.endplate_clearance"
    assert pair.flip.cut.threshold == pytest.approx(threshold, rel=0.05)
    equal = cells.pair("gene", "untreated")
    assert equal.tied is not None and equal.tied.probability == 1.0
    assert equal.flip is not None and equal.flip.outcome == "one-sided"
    assert gag.pair("gene", "untreated").low == pytest.approx(2.0 + 0.05 * 20.0, abs=0.6)
    assert oxygen.orders == () and oxygen.first_places == {} and oxygen.pair("cells", "untreated").better is None
    assert oxygen.pair("cells", "untreated").mean.value == pytest.approx(-0.3)


def test_flip_is_told_of_the_arm_that_wins_more_often(clinic: Ensemble) -> None:
    pair = compare(clinic, readouts=["viable_cells"]).verdicts[0].pair("gene", "cells")
    assert pair.better is not None and pair.worse is not None and pair.worse.count > pair.better.count
    assert pair.flip is not None and (pair.flip.first, pair.flip.second) == ("cells", "gene")
    assert pair.flip.wins == pair.worse.count


def test_failed_samples_are_left_out_counted_and_named(clinic: Ensemble) -> None:
    found = compare(clinic, flips=False)
    assert (found.samples, found.clear) == (256, 253)
    assert [(one.scenario, one.status, one.samples, one.reason) for one in found.failed] == [
        ("cells", "nonconverged", (3, 17), "why 3"),
        ("cells", "unphysical", (40,), "why 40"),
    ]
    verdict = found.verdicts[0]
    assert verdict.samples == 253
    against = {(pair.first, pair.second): (pair.samples, pair.missing) for pair in verdict.pairs}
    assert against == {("cells", "untreated"): (253, 3), ("gene", "untreated"): (256, 0), ("gene", "cells"): (253, 3)}


def test_numbers_of_a_failed_sample_are_not_used_even_where_they_stand(clinic: Ensemble) -> None:
    for numbers in clinic.values["cells"].values():
        numbers[3] = 1e6
    assert compare(clinic, flips=False).verdicts[0].pair("cells", "untreated").high == pytest.approx(4.8, abs=0.4)


def test_ensemble_in_which_everything_failed(make_ensemble: MakeEnsemble) -> None:
    base = np.full(3, 10.0)
    ensemble = make_ensemble(
        {"untreated": {"viable_cells": base}, "cells": {"viable_cells": base + 1.0}},
        failed={"cells": dict.fromkeys(range(3), "timeout")},
    )
    found = compare(ensemble)
    pair = found.verdicts[0].pair("cells", "untreated")
    assert found.clear == 0 and pair.samples == 0 and pair.mean.value is None and pair.median is None
    assert pair.better is not None and pair.better.probability is None
    assert comparison_from_json(found.to_json()) == found


def test_harm_is_beyond_the_margin(make_ensemble: MakeEnsemble) -> None:
    base = np.full(10, 10.0)
    change = np.array([1.0, 1.0, -0.1, -0.1, -0.1, -1.0, -1.0, 0.0, 0.0, 0.0])
    ensemble = make_ensemble({"untreated": {"ph_min": base}, "cells": {"ph_min": base + change}})
    for margin, harmed in ((0.0, 5), (0.1 + 1e-9, 2), (2.0, 0)):
        pair = compare(ensemble, margins={"ph_min": margin}).verdicts[0].pair("cells", "untreated")
        assert pair.harm is not None and pair.harm.count == harmed
        assert pair.better is not None and pair.tied is not None and pair.worse is not None
        assert (pair.better.count, pair.tied.count, pair.worse.count) == (2, 3, 5)


def test_better_tied_and_worse_are_all_samples(clinic: Ensemble) -> None:
    for verdict in compare(clinic, flips=False).verdicts[:2]:
        for pair in verdict.pairs:
            assert pair.better is not None and pair.tied is not None and pair.worse is not None
            assert pair.better.count + pair.tied.count + pair.worse.count == pair.samples


def test_chosen_samples_have_shares_but_no_intervals(clinic: Ensemble) -> None:
    found = compare(dataclasses.replace(clinic, design_kind="grid"), flips=False)
    pair = found.verdicts[0].pair("cells", "untreated")
    assert not found.drawn
    assert pair.better is not None and pair.better.probability is not None and pair.better.low is None
    assert pair.mean.value is not None and pair.mean.low is None
    assert all(order.share.high is None for order in found.verdicts[0].orders)


def test_only_independent_points_of_a_saltelli_design_count(clinic: Ensemble) -> None:
    """Blocks of A, four mixed points, B."""
    rows = usable_rows(dataclasses.replace(clinic, design_kind="saltelli"))
    assert np.flatnonzero(rows)[:4].tolist() == [0, 5, 6, 11]
    assert usable_rows(clinic).all()


def test_times_are_found_and_the_value_after_an_event_counts(make_ensemble: MakeEnsemble) -> None:
    base = np.tile([10.0, 10.0, 5.0], (4, 1))
    cells = base + np.array([0.0, 1.0, -1.0])
    ensemble = make_ensemble({"untreated": {"viable_cells": base}, "cells": {"viable_cells": cells}}, times=(0.0, 0.0, 10.0))
    start, end = compare(ensemble, times=[0.0, 10.0 * YEAR]).verdicts
    assert start.pair("cells", "untreated").mean.value == 1.0
    assert end.pair("cells", "untreated").mean.value == -1.0
    assert compare(ensemble).verdicts == (end,)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"readouts": ["cells"]}, r"readout: given 'cells'; allowed: viable_cells, gag_nucleus"),
        ({"times": [3.0 * YEAR]}, r'time: given "3 year"; allowed: "10 year", the output times'),
        ({"margins": {"viable_cells": -1.0}}, r"margin of viable_cells: given -1.0; allowed: zero or more"),
        ({"margins": {"height": 1.0}}, r"readout: given 'height'"),
    ],
)
def test_questions_that_have_no_answer(clinic: Ensemble, arguments: dict[str, object], words: str) -> None:
    with pytest.raises(VerdictError, match=words):
        compare(clinic, **arguments)  # type: ignore[arg-type]


def test_one_scenario_is_no_comparison(make_ensemble: MakeEnsemble) -> None:
    with pytest.raises(VerdictError, match="one scenario only"):
        compare(make_ensemble({"untreated": {"viable_cells": np.ones(3)}}))


def test_comparison_comes_back_from_json(clinic: Ensemble) -> None:
    found = compare(clinic)
    assert comparison_from_json(found.to_json()) == found


def test_order_does_not_depend_on_the_unit(make_ensemble: MakeEnsemble) -> None:
    rng = np.random.default_rng(3)
    values = {name: rng.normal(10.0, 1.0, 50) for name in ("a", "b", "c")}
    orders = []
    for factor in (1.0, 1e-6):
        found = compare(make_ensemble({name: {"gag_disc": factor * numbers} for name, numbers in values.items()}))
        orders.append(found.verdicts[0].orders)
    assert orders[0] == orders[1]


# --- directions ---------------------------------------------------------------------------------------------------------


def test_directions_are_of_readouts_that_exist_and_have_a_reason() -> None:
    assert set(DIRECTIONS) <= set(READOUTS)
    assert all(direction.why for direction in DIRECTIONS.values())


@pytest.mark.parametrize(
    ("losses", "words"), [(9, "it loses in 9 samples: too few losing samples (n < 10) to describe a region"), (0, "")]
)
def test_equal_samples_are_no_losses(
    make_ensemble: MakeEnsemble, make_input: Callable[..., SweptInput], losses: int, words: str
) -> None:
    """In half of the box the arms are equal; of the rest the first wins all but a few."""
    count = 120
    difference = np.where(np.arange(count) < 60, 0.0, 1.0)
    difference[count - losses :] = -1.0
    inputs = (make_input("x", np.linspace(0.0, 1.0, count), 1.0, 2.0),)
    values = {"untreated": {"viable_cells": np.full(count, 40.0)}, "cells": {"viable_cells": 40.0 + difference}}
    pair = compare(make_ensemble(values, inputs)).verdicts[0].pair("cells", "untreated")
    assert pair.tied is not None and pair.tied.count == 60
    assert pair.flip is not None and (pair.flip.samples, pair.flip.wins) == (60, 60 - losses)
    assert pair.flip.outcome == "one-sided" and flip_words(pair.flip, 60) == ([words] if words else [])


def test_a_region_is_that_of_the_samples_in_which_arms_differ(
    make_ensemble: MakeEnsemble, make_input: Callable[..., SweptInput]
) -> None:
    """Equal below 0.5, lost from there to 0.75, won above: the border between losing and winning lies at 0.75."""
    place = np.linspace(0.0, 1.0, 201)
    difference = np.select([place < 0.5, place < 0.75], [0.0, -1.0], 1.0)
    inputs = (make_input("x", place, 1.0, 2.0, unit="mm"),)
    values = {"untreated": {"viable_cells": np.full(201, 40.0)}, "cells": {"viable_cells": 40.0 + difference}}
    pair = compare(make_ensemble(values, inputs)).verdicts[0].pair("cells", "untreated")
    assert pair.flip is not None and pair.flip.cut is not None
    assert pair.flip.cut.threshold == pytest.approx(1.75, abs=0.01)
    assert pair.flip.cut.above.probability == 1.0 and pair.flip.cut.below.probability == 0.0
    assert flip_words(pair.flip, 100)[0] == "of the 101 samples in which they differ:"
