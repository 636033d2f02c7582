"""Error bars of a reduced engine in verdicts and sensitivities: what stays open is counted; intervals hold all the same."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rich.console import Console

from discsim.report.engines import engine_sentence, engine_shares, engine_words
from discsim.report.sensitivity import print_sensitivities
from discsim.report.sweep_tables import print_sweep, write_sweep
from discsim.report.verdict import print_comparison
from discsim.study.directions import Direction
from discsim.study.ensemble import Ensemble, together
from discsim.study.error_bars import UNNAMED
from discsim.study.orders import order_of, order_shares
from discsim.study.sensitivity import BAR_LIMIT, sensitivities, sensitivities_from_json, sensitivities_to_json
from discsim.study.shares import share_of
from discsim.study.verdict import Comparison, compare, comparison_from_json

Floats = NDArray[np.float64]
MakeEnsemble = Callable[..., Ensemble]
UP = Direction(True, "cells", "")


def with_bars(ensemble: Ensemble, bars: Mapping[str, Mapping[str, Floats | float]]) -> Ensemble:
    """The ensemble with bars (one number, or one per sample), 0 where none is named; "reduced" where a sample has one."""
    shaped, engine = {}, {}
    for name, readouts in ensemble.values.items():
        given_ = bars.get(name, {})
        shaped[name] = {key: np.broadcast_to(np.reshape(given_.get(key, 0.0), (-1, 1)), v.shape) for key, v in readouts.items()}
        some = np.any([bar.any(axis=1) for bar in shaped[name].values()], axis=0)
        engine[name] = np.where(some, "reduced", "sweep")
    return dataclasses.replace(ensemble, bars=shaped, engine=engine)


def text_of(printer: Callable[[Console], None]) -> str:
    stream = io.StringIO()
    printer(Console(file=stream, width=200))
    return stream.getvalue()


def comparison_text(found: Comparison) -> str:
    return text_of(lambda console: print_comparison(found, console))


@pytest.fixture
def ten(make_ensemble: MakeEnsemble) -> Ensemble:
    """Ten discs; cells gain 1 in six of them, lose 0.1 in four."""
    base = np.full(10, 10.0)
    gain = np.array([1.0] * 6 + [-0.1] * 4)
    values = {"untreated": base, "cells": base + gain}
    return make_ensemble({name: {"viable_cells": numbers, "oxygen_min": numbers} for name, numbers in values.items()})


# --- nothing changes without bars ---------------------------------------------------------------------------------------


def test_bars_of_zero_change_nothing(clinic: Ensemble) -> None:
    zero = dataclasses.replace(
        clinic, bars={name: {key: np.zeros_like(v) for key, v in readouts.items()} for name, readouts in clinic.values.items()}
    )
    plain = compare(clinic)
    assert compare(zero) == plain and compare(zero).to_json() == plain.to_json()
    assert comparison_text(compare(zero)) == comparison_text(plain)
    assert "error bar" not in comparison_text(plain) and "computed by" not in comparison_text(plain)
    assert sensitivities(zero) == sensitivities(clinic)


def test_what_was_written_before_there_were_bars_is_still_read(ten: Ensemble) -> None:
    found = compare(ten)
    table = json.loads(found.to_json())
    del table["engines"]
    for verdict in table["verdicts"]:
        for pair in verdict["pairs"]:
            del pair["undecided"], pair["bar"]
    assert comparison_from_json(json.dumps(table)) == found


# --- pairs --------------------------------------------------------------------------------------------------------------


def test_samples_within_the_two_bars_are_counted_and_intervals_widened(ten: Ensemble) -> None:
    """The four losses of 0.1 lie within 0.06 + 0.05, the six gains of 1 do not."""
    barred = with_bars(ten, {"untreated": {"viable_cells": 0.06}, "cells": {"viable_cells": 0.05}})
    plain, pair = (compare(one, readouts=["viable_cells"]).verdicts[0].pair("cells", "untreated") for one in (ten, barred))
    assert (plain.undecided, plain.bar) == (0, 0.0)
    assert pair.undecided == 4 and pair.bar == pytest.approx(0.11)
    assert pair.mean.value == plain.mean.value and pair.median == plain.median
    for found, before, sign in (
        (pair.mean.low, plain.mean.low, -1.0),
        (pair.mean.high, plain.mean.high, 1.0),
        (pair.low, plain.low, -1.0),
        (pair.high, plain.high, 1.0),
    ):
        assert found is not None and before is not None and found == pytest.approx(before + sign * 0.11)
    better, worse, tied = pair.better, pair.worse, pair.tied
    assert better is not None and worse is not None and tied is not None
    assert (better.count, worse.count, tied.count) == (6, 4, 0)  # counted as computed
    assert (better.low, better.high) == (share_of(6, 10).low, share_of(10, 10).high)
    assert (worse.low, worse.high) == (share_of(0, 10).low, share_of(4, 10).high)
    assert (tied.low, tied.high) == (share_of(0, 10).low, share_of(4, 10).high)
    assert pair.harm == worse


def test_the_bars_need_not_be_alike(ten: Ensemble) -> None:
    """Only the fully computed samples are sure, whatever they differ by; a difference of just the bars is open."""
    bar = np.array([0.0, 0.5, 1.0, 1.5, 0.0, 0.0, 0.0, 0.05, 0.2, 0.0])
    pair = compare(with_bars(ten, {"cells": {"viable_cells": bar}})).verdicts[0].pair("cells", "untreated")
    assert pair.undecided == 3  # 1 within 1 and 1.5; 0.1 within 0.2
    assert pair.better is not None and pair.better.low == share_of(4, 10).low and pair.better.high == share_of(7, 10).high
    assert pair.bar == pytest.approx(bar.mean())


def test_harm_is_open_where_the_margin_lies_within_the_bars(ten: Ensemble) -> None:
    barred = with_bars(ten, {"cells": {"viable_cells": 0.06}})
    for margin, (low, count, high) in ((0.15, (0, 0, 4)), (0.05, (0, 4, 4)), (0.03, (4, 4, 4)), (0.2, (0, 0, 0))):
        pair = compare(barred, readouts=["viable_cells"], margins={"viable_cells": margin}).verdicts[0].pair("cells", "untreated")
        assert pair.harm is not None and pair.harm.count == count
        assert (pair.harm.low, pair.harm.high) == (share_of(low, 10).low, share_of(high, 10).high)


def test_a_readout_without_a_direction_has_wider_intervals_too(ten: Ensemble) -> None:
    barred = with_bars(ten, {"cells": {"oxygen_min": 0.2}})
    plain, pair = (compare(one, readouts=["oxygen_min"]).verdicts[0].pair("cells", "untreated") for one in (ten, barred))
    assert pair.undecided == 4 and pair.better is None
    assert pair.mean.low == pytest.approx((plain.mean.low or 0.0) - 0.2)
    assert "cells less untreated: within the error bars the sign may flip in 4 of 10 samples" in comparison_text(
        compare(barred, readouts=["oxygen_min"])
    )


def test_chosen_samples_still_have_no_interval(ten: Ensemble) -> None:
    barred = with_bars(dataclasses.replace(ten, design_kind="grid"), {"cells": {"viable_cells": 0.2}})
    pair = compare(barred).verdicts[0].pair("cells", "untreated")
    assert pair.undecided == 4 and pair.mean.low is None and pair.better is not None and pair.better.low is None


def test_infinite_bars_leave_no_interval_and_come_back_from_json(ten: Ensemble) -> None:
    bar = np.zeros(10)
    bar[:2] = np.inf
    found = compare(with_bars(ten, {"cells": {"viable_cells": bar}}), readouts=["viable_cells"])
    pair = found.verdicts[0].pair("cells", "untreated")
    assert pair.undecided == 2 and pair.bar is None
    assert (pair.mean.low, pair.mean.high, pair.low, pair.high) == (None,) * 4 and pair.median == pytest.approx(1.0)
    assert comparison_from_json(found.to_json()) == found
    assert "some bars are infinite, so that the mean has no interval" in comparison_text(found)


@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.floats(0.01, 2.0))
@settings(max_examples=40, deadline=None)
def test_intervals_hold_for_whatever_values_the_bars_admit(seed: int, arms: int, size: float) -> None:
    """True values anywhere within the bars: counts lie between the sure and the possible ones, shares within the interval."""
    rng = np.random.default_rng(seed)
    names, clear = tuple("abcd"[:arms]), np.ones(20, bool)
    values = {name: rng.normal(10.0, 1.0, 20) for name in names}
    bars = {name: size * rng.random(20) * (rng.random(20) < 0.7) for name in names}
    true = {name: values[name] + bars[name] * rng.uniform(-1.0, 1.0, 20) for name in names}
    orders, first_places = order_shares(values, bars, clear, UP, drawn=True)
    really = [order_of({name: float(true[name][row]) for name in names}, UP) for row in range(20)]
    for order in orders:
        exact = share_of(really.count(order.groups), 20)
        assert exact.low is not None and exact.high is not None and order.share.low is not None and order.share.high is not None
        assert order.share.low <= exact.low <= exact.high <= order.share.high
    for name in names:
        exact, told = share_of(sum(name in groups[0] for groups in really), 20), first_places[name]
        assert exact.low is not None and exact.high is not None and told.low is not None and told.high is not None
        assert told.low <= exact.low <= exact.high <= told.high


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 2.0))
@settings(max_examples=10, deadline=None)
def test_pairs_hold_for_whatever_values_the_bars_admit(make_ensemble: MakeEnsemble, seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    values = {name: rng.normal(10.0, 1.0, 30) for name in ("untreated", "cells")}
    bars = {name: size * rng.random(30) * (rng.random(30) < 0.7) for name in values}
    true = {name: numbers + bars[name] * rng.uniform(-1.0, 1.0, 30) for name, numbers in values.items()}
    told, exact = (
        compare(ensemble, flips=False, margins={"viable_cells": 0.3}).verdicts[0].pair("cells", "untreated")
        for ensemble in (
            with_bars(
                make_ensemble({name: {"viable_cells": v} for name, v in values.items()}),
                {name: {"viable_cells": bar} for name, bar in bars.items()},
            ),
            make_ensemble({name: {"viable_cells": v} for name, v in true.items()}),
        )
    )
    for word in ("better", "tied", "worse", "harm"):
        outer, inner = getattr(told, word), getattr(exact, word)
        assert outer.low <= inner.low <= inner.high <= outer.high
    assert told.mean.low <= exact.mean.value <= told.mean.high
    assert told.low <= exact.low + 1e-12 and exact.high <= told.high + 1e-12


def test_orders_that_bars_leave_open_have_wider_intervals(make_ensemble: MakeEnsemble) -> None:
    base = np.full(10, 10.0)
    one, two = base + 1.0, base + np.array([1.05] * 3 + [2.0] * 7)
    ensemble = make_ensemble({"a": {"gag_disc": base}, "b": {"gag_disc": one}, "c": {"gag_disc": two}})
    verdict = compare(with_bars(ensemble, {"b": {"gag_disc": 0.1}})).verdicts[0]
    (order,) = verdict.orders
    assert str(order) == "c > b > a" and order.share.count == 10
    assert (order.share.low, order.share.high) == (share_of(7, 10).low, share_of(10, 10).high)
    places = verdict.first_places
    assert (places["c"].low, places["b"].high, places["a"].high) == (
        share_of(7, 10).low,
        share_of(3, 10).high,
        share_of(0, 10).high,
    )


# --- words --------------------------------------------------------------------------------------------------------------


def test_the_verdict_says_who_computed_what_and_what_is_open(ten: Ensemble) -> None:
    bar = np.array([0.0] * 2 + [0.2] * 8)
    found = compare(with_bars(ten, {name: {"viable_cells": bar} for name in ten.scenarios}), readouts=["viable_cells"])
    assert found.engines == {name: {"reduced": 8, "sweep": 2} for name in ten.scenarios}
    text = comparison_text(found)
    assert "computed by: reduced 8 samples, sweep 2\n" in text.replace(" \n", "\n")
    (line,) = [line for line in text.splitlines() if "within the error bars" in line]
    assert line.strip() == (
        "within the error bars the order may flip in 4 of 10 samples; intervals include them (0.32 mg to either side of the mean)"
    )
    table = json.loads(found.to_json())
    assert table["engines"]["cells"] == {"reduced": 8, "sweep": 2}
    assert table["verdicts"][0]["pairs"][0]["undecided"] == 4
    assert comparison_from_json(found.to_json()) == found


def test_failed_samples_and_those_of_no_engine_are_counted_apart(make_ensemble: MakeEnsemble) -> None:
    base = np.full(4, 10.0)
    plain = make_ensemble({"a": {"viable_cells": base}, "b": {"viable_cells": base + 1.0}}, failed={"b": {3: "nonconverged"}})
    engine = {"a": np.array(["reduced", "reduced", "", "sweep"]), "b": np.array(["reduced", "sweep", "", "sweep"])}
    found = compare(dataclasses.replace(plain, engine=engine))
    assert found.engines == {"a": {"reduced": 2, UNNAMED: 1, "sweep": 1}, "b": {"reduced": 1, "sweep": 1, UNNAMED: 1}}


def test_engine_words() -> None:
    assert together(["sweep", "", "reduced", "sweep"]) == "reduced and sweep" and together(["", ""]) == ""
    assert engine_words({"reduced": 250, "sweep": 6}) == "reduced 250 samples, sweep 6"
    assert engine_words({"sweep": 1}) == "sweep 1 sample"
    assert engine_shares({"reduced": 250, "sweep": 6}) == "reduced 97.7 % (250), sweep 2.34 % (6)"
    assert engine_sentence({"a": {"reduced": 3, "sweep": 1}, "b": {"sweep": 1, "reduced": 3}, "c": {"reduced": 4}}) == (
        "computed by: reduced 3 samples, sweep 1 in a, b; reduced 4 samples in c"
    )


def test_tables_of_a_sweep_have_bars_and_engines_where_it_has_them(ten: Ensemble) -> None:
    barred = with_bars(ten, {"cells": {"viable_cells": np.array([0.25] + [0.0] * 9)}})
    for ensemble, columns in ((ten, 7), (barred, 9)):
        stream = io.StringIO()
        write_sweep(ensemble, stream)
        rows = list(csv.DictReader(io.StringIO(stream.getvalue())))
        assert len(rows) == 40 and all(len(row) == columns for row in rows)
    first = next(row for row in rows if (row["sample"], row["scenario"], row["readout"]) == ("0", "cells", "viable_cells"))
    assert (float(first["bar"]), first["engine"]) == (0.25, "reduced")
    assert {(row["bar"], row["engine"]) for row in rows if row["scenario"] == "untreated"} == {("0.0", "sweep")}
    assert "computed by: sweep 10 samples in untreated; sweep 9 samples, reduced 1 in cells" in text_of(
        lambda console: print_sweep(barred, 10, console)
    )
    assert "computed by" not in text_of(lambda console: print_sweep(ten, 10, console))


def test_a_sweep_of_one_scenario_is_not_sent_to_compare(ten: Ensemble) -> None:
    names = ten.scenarios
    alone = dataclasses.replace(ten, values={names[0]: ten.values[names[0]]}, status={names[0]: ten.status[names[0]]})
    assert "discsim compare" in text_of(lambda console: print_sweep(ten, 10, console))
    assert len(alone.scenarios) == 1 and "discsim compare" not in text_of(lambda console: print_sweep(alone, 10, console))


# --- sensitivity --------------------------------------------------------------------------------------------------------


def test_sensitivity_tells_engines_and_the_largest_bar_beside_the_spread(clinic: Ensemble) -> None:
    plain = sensitivities(clinic, readouts=["viable_cells"])
    bar = np.zeros(256)
    bar[:200] = 0.02
    barred = with_bars(clinic, {"untreated": {"viable_cells": bar}, "cells": {"viable_cells": 0.5 * bar}})
    found = sensitivities(barred, readouts=["viable_cells"])
    assert [one.bar for one in found] == pytest.approx([0.02, 0.03, 0.02])
    assert found[0].engines == {"reduced": 200, "sweep": 56}
    assert found[1].engines == {"reduced": 197, "sweep": 56}  # three failed
    assert found[2].engines == {"reduced and sweep": 200, "sweep": 56}
    for before, after in zip(plain, found, strict=True):
        assert (after.inputs, after.floor, after.spread) == (before.inputs, before.floor, before.spread)
    text = text_of(lambda console: print_sensitivities(found, console))
    share = f"{100.0 * 0.03 / found[1].spread:.3g} % of the standard deviation"
    assert f"computed by: reduced 77.9 % (197), sweep 22.1 % (56); largest error bar 0.03 mg, {share}" in text
    assert found[1].bar is not None and found[1].bar < BAR_LIMIT * found[1].spread and "warning" not in found[1].note
    assert sensitivities_from_json(sensitivities_to_json(found)) == found
    assert "computed by" not in text_of(lambda console: print_sensitivities(plain, console))


@pytest.mark.parametrize(("factor", "warned"), [(0.99, False), (1.01, True)])
def test_a_bar_above_the_limit_is_pointed_out(clinic: Ensemble, factor: float, warned: bool) -> None:
    spread = sensitivities(clinic, readouts=["gag_nucleus"])[0].spread
    barred = with_bars(clinic, {"untreated": {"gag_nucleus": factor * BAR_LIMIT * spread}})
    found = sensitivities(barred, readouts=["gag_nucleus"])[0]
    assert ("warning: the largest error bar is 5.05 % of the standard deviation (limit 5 %)" in found.note) == warned
    assert ("warning" in text_of(lambda console: print_sensitivities([found], console))) == warned


def test_bars_without_a_bound_or_a_spread_are_pointed_out(clinic: Ensemble) -> None:
    bar = np.zeros(256)
    bar[5] = np.inf
    found = sensitivities(with_bars(clinic, {"untreated": {"gag_nucleus": bar}}), readouts=["gag_nucleus"])
    assert found[0].bar is None and "more than all of the standard deviation" in found[0].note
    assert sensitivities_from_json(sensitivities_to_json(found)) == found
    assert "largest error bar infinite" in text_of(lambda console: print_sensitivities(found, console))
    equal = sensitivities(with_bars(clinic, {"gene": {"viable_cells": 0.1}}), readouts=["viable_cells"])[2]
    assert equal.note.startswith("does not vary in the swept box; warning: the largest error bar is more than all of")
