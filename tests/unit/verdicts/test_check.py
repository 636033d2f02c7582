"""[check]: which samples are rerun, and what counts as confirmed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from discsim.problem.record import ArmRecord
from discsim.problem.status import Status
from discsim.study.check import CHECK_FILE, _ranking, choose, confirm, confirmation_from_json, load_confirmation
from discsim.study.ensemble import Ensemble
from discsim.study.verdict import VerdictError

YEAR = 365.25 * 86400.0
MakeEnsemble = Callable[..., Ensemble]


def record(name: str, times: list[float], readouts: Mapping[str, list[float]], status: Status = Status.OK) -> ArmRecord:
    return ArmRecord(name, times, {key: list(values) for key, values in readouts.items()}, status=status)


def same_as(ensemble: Ensemble, number: int, factor: float = 1.0, **changed: float) -> list[ArmRecord]:
    """What the reference engine gives where it agrees but for a factor, and for the value of an arm."""
    row = int(np.flatnonzero(ensemble.numbers == number)[0])
    records = []
    for arm, readouts in ensemble.values.items():
        values = {key: [changed.get(arm, factor * float(v[row, -1]))] for key, v in readouts.items()}
        records.append(record(arm, [float(ensemble.times[-1])], values))
    return records


@pytest.fixture
def ranked(make_ensemble: MakeEnsemble) -> Ensemble:
    """Twenty discs; cells beat untreated by ever less, and lose from sample 13 on; 12 is a near tie; gene is far behind."""
    base = 40.0 + np.arange(20.0)
    lead = 1.2 - 0.1 * np.arange(20) + 0.001
    values = {
        "untreated": {"viable_cells": base, "oxygen_min": base / 20.0},
        "cells": {"viable_cells": base + lead, "oxygen_min": base / 20.0},
        "gene": {"viable_cells": base - 20.0, "oxygen_min": base / 20.0},
    }
    return make_ensemble(
        values, failed={"gene": {2: "timeout", 4: "timeout", 7: "nonconverged"}}, units={"viable_cells": "million"}
    )


# --- choice -------------------------------------------------------------------------------------------------------------


def test_choice_holds_closest_extremes_and_failures(ranked: Ensemble) -> None:
    chosen = choose(ranked, 8, "viable_cells")
    assert len(chosen) == len({number for number, _ in chosen}) == 8
    why = dict(chosen)
    # One failure of each kind; the four closest pairs; smallest and largest value of all arms.
    assert {number for number, words in chosen if words.startswith("failed")} == {2, 7}
    assert why[2] == "failed: gene timeout" and why[7] == "failed: gene nonconverged"
    assert {number for number, words in chosen if words.startswith("closest")} == {
        12,
        13,
        11,
        14,
    }  # 0.001, 0.099, 0.101, 0.199 apart
    assert why[12].startswith("closest: untreated less cells") or why[12].startswith("closest: cells less untreated")
    assert why[0].startswith("smallest viable_cells: 20 million in gene")
    assert why[19].startswith("largest viable_cells: 59 million in untreated")


def test_choice_fills_up_with_closest_pairs(make_ensemble: MakeEnsemble) -> None:
    lead = np.arange(1.0, 13.0)
    ensemble = make_ensemble({"untreated": {"viable_cells": np.full(12, 40.0)}, "cells": {"viable_cells": 40.0 + lead}})
    chosen = choose(ensemble, 8, "viable_cells")
    assert {number for number, why in chosen if why.startswith("closest")} == {0, 1, 2, 3, 4, 5, 6} - {
        number for number, why in chosen if not why.startswith("closest")
    }
    assert {number for number, why in chosen if why.startswith("largest")} == {11}
    assert len(choose(ensemble, 100, "viable_cells")) == 12


@given(count=st.integers(1, 40), seed=st.integers(0, 1000))
def test_choice_is_as_long_as_asked_and_without_repetition(make_ensemble: MakeEnsemble, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = {name: {"viable_cells": rng.normal(40.0, 1.0, 30), "gag_nucleus": rng.normal(200.0, 9.0, 30)} for name in "abc"}
    ensemble = make_ensemble(values, failed={"b": {int(number): "timeout" for number in rng.integers(0, 30, 4)}})
    chosen = choose(ensemble, count, "viable_cells")
    numbers = [number for number, _ in chosen]
    assert len(numbers) == len(set(numbers)) == min(count, 30)
    assert set(numbers) <= set(range(30))


def test_readout_without_a_direction_decides_no_ranking(ranked: Ensemble) -> None:
    with pytest.raises(VerdictError, match="oxygen_min: neither more nor less of it is better"):
        choose(ranked, 4, "oxygen_min")


# --- confirmation -------------------------------------------------------------------------------------------------------


def test_agreeing_engines_confirm(ranked: Ensemble) -> None:
    chosen = [(0, "a"), (12, "b"), (19, "c")]
    found = confirm(ranked, chosen, {number: same_as(ranked, number, 1.0 + 1e-3) for number, _ in chosen})
    end = float(ranked.times[-1])
    assert found.count("viable_cells", end) == found.count("viable_cells", end, "confirmed") == 3
    difference, relative = found.largest_difference("viable_cells", end) or (0.0, 0.0)
    assert (difference, relative) == (pytest.approx(59.0e-3), pytest.approx(1e-3, rel=2e-3))
    assert [sample.why for sample in found.samples] == ["a", "b", "c"]
    assert found.samples[0].compared[1].ranking is None  # oxygen has no direction


def test_order_that_turns_by_much_is_reversed(ranked: Ensemble) -> None:
    """Cells lead by 1.2 of 40 in the sweep and lose by 2 in the reference engine: no tolerance of 1 % explains it."""
    found = confirm(ranked, [(0, "")], {0: same_as(ranked, 0, cells=38.0)}, readouts=["viable_cells"])
    assert found.samples[0].compared[0].ranking == "reversed"
    assert found.samples[0].compared[0].difference == pytest.approx(41.201 - 38.0)


def test_order_that_turns_by_little_is_too_close_to_call(ranked: Ensemble) -> None:
    """Cells lead by 0.001 of 52 in the sweep and lose by 0.05 in the reference engine."""
    found = confirm(ranked, [(12, "")], {12: same_as(ranked, 12, cells=51.95)}, readouts=["viable_cells"])
    assert found.samples[0].compared[0].ranking == "too close to call"
    strict = confirm(ranked, [(12, "")], {12: same_as(ranked, 12, cells=51.95)}, readouts=["viable_cells"], tolerance=1e-4)
    assert strict.samples[0].compared[0].ranking == "reversed"


def test_failed_samples_are_compared_as_far_as_they_go(ranked: Ensemble) -> None:
    """Gene failed in the sweep; the reference engine finished: no ranking, but the other arms are compared."""
    records = same_as(ranked, 2, gene=22.0)
    found = confirm(ranked, [(2, "failed")], {2: records}, readouts=["viable_cells"])
    sample = found.samples[0]
    assert sample.sweep_status["gene"] == "timeout" and sample.reference_status["gene"] == "ok"
    assert sample.compared[0].ranking == "not finished" and sample.compared[0].difference == 0.0
    assert sample.compared[0].sweep["gene"] is None and sample.compared[0].reference["gene"] == 22.0
    end = float(ranked.times[-1])
    assert (found.count("viable_cells", end), found.count("viable_cells", end, "not finished")) == (0, 1)


def test_reference_that_fails_confirms_nothing(ranked: Ensemble) -> None:
    records = same_as(ranked, 0)
    records[1].status = Status.NONCONVERGED
    found = confirm(ranked, [(0, "")], {0: records}, readouts=["viable_cells"])
    assert found.samples[0].compared[0].ranking == "not finished"
    assert found.samples[0].compared[0].reference["cells"] is None


def test_value_after_an_event_counts(make_ensemble: MakeEnsemble) -> None:
    base = np.array([[40.0, 30.0]])
    ensemble = make_ensemble({"a": {"viable_cells": base}, "b": {"viable_cells": base + 6.0}}, times=(0.0, 10.0))
    records = [
        record("a", [0.0, 0.0, 5.0 * YEAR, 10.0 * YEAR], {"viable_cells": [1.0, 40.0, 35.0, 30.0]}),
        record("b", [0.0, 0.0, 5.0 * YEAR, 10.0 * YEAR], {"viable_cells": [1.0, 46.0, 41.0, 36.0]}),
    ]
    found = confirm(ensemble, [(0, "")], {0: records})
    assert [one.difference for one in found.samples[0].compared] == [0.0, 0.0]


@given(
    st.lists(st.floats(1.0, 100.0), min_size=2, max_size=5),
    st.floats(0.0, 0.1),
    st.integers(0, 100),
)
def test_ranking_is_symmetric_and_sure_of_itself(sweep: list[float], noise: float, seed: int) -> None:
    reference = (np.array(sweep) * (1.0 + noise * np.random.default_rng(seed).uniform(-1.0, 1.0, len(sweep)))).tolist()
    assert _ranking(sweep, sweep, 0.01) == "confirmed"
    one, other = _ranking(sweep, reference, 0.01), _ranking(reference, sweep, 0.01)
    assert one == other
    if noise <= 0.004:  # two values that change places were then closer than 1 % in both engines
        assert one != "reversed"


def test_records_of_other_arms_are_refused(ranked: Ensemble) -> None:
    with pytest.raises(VerdictError, match="sample 0: records of nothing; wanted untreated, cells, gene"):
        confirm(ranked, [(0, "")], {})
    with pytest.raises(VerdictError, match="sample 99: not in the ensemble"):
        confirm(ranked, [(99, "")], {99: same_as(ranked, 0)})


def test_confirmation_is_kept_and_read(ranked: Ensemble, tmp_path: Path) -> None:
    found = confirm(ranked, [(0, "a"), (2, "b")], {number: same_as(ranked, number) for number in (0, 2)})
    assert load_confirmation(tmp_path) is None
    assert found.save(tmp_path) == tmp_path / CHECK_FILE
    assert load_confirmation(tmp_path) == found == confirmation_from_json(found.to_json())
    assert [path.name for path in tmp_path.iterdir()] == [CHECK_FILE]
    (tmp_path / CHECK_FILE).write_text("{}")
    with pytest.raises(VerdictError, match="not a check of this version"):
        load_confirmation(tmp_path)


# --- every readout in turn ----------------------------------------------------------------------------------------------


@pytest.fixture
def unlike(make_ensemble: MakeEnsemble) -> Ensemble:
    """Two readouts with a direction whose close pairs are different samples: the first are apart, 15 to 19 are near in GAG."""
    lead = np.arange(20.0)
    cells, gag = 40.0 + np.zeros(20), 200.0 + np.zeros(20)
    return make_ensemble(
        {
            "untreated": {"viable_cells": cells, "gag_nucleus": gag},
            "cells": {"viable_cells": cells + 1.0 + lead, "gag_nucleus": gag + 20.5 - lead},
        }
    )


def test_closest_pairs_of_every_readout_come_in_turn(unlike: Ensemble) -> None:
    chosen = choose(unlike, 8, ["viable_cells", "gag_nucleus"])
    close = [choice for choice in chosen if choice.why.startswith("closest")]
    assert [choice.number for choice in close[:4]] == [0, 19, 1, 18]
    assert [" of viable_cells," in choice.why for choice in close[:4]] == [True, False, True, False]
    assert all(" of gag_nucleus," in choice.why for choice in close[1:4:2])
    alone = choose(unlike, 8, "gag_nucleus")
    assert all(" of gag_nucleus," in choice.why for choice in alone if choice.why.startswith("closest"))


def test_equal_arms_come_last_among_the_closest(make_ensemble: MakeEnsemble) -> None:
    """Where two arms are equal there is no order that an error could turn."""
    lead = np.array([0.0, 0.0, 3.0, 1.0, 2.0, 0.0])
    ensemble = make_ensemble({"untreated": {"viable_cells": np.full(6, 40.0)}, "cells": {"viable_cells": 40.0 + lead}})
    close = [choice.number for choice in choose(ensemble, 6, "viable_cells") if choice.why.startswith("closest")]
    assert close[:2] == [3, 4]
