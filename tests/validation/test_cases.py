"""The disc against measurements, models and the trial: rows are well formed, and the long cases judge as they state.

The quick cases are judged with all others in ``tests/verification/test_vv_cases.py``; here the quickest are looked at row by row,
and the slow ones are run (``-m slow``, or ``discsim vv run``).
"""

from __future__ import annotations

import math

import pytest

pytest.importorskip("ufl")

from discsim.vv import clearance, default_disc, homeostasis, supply, therapies
from discsim.vv.registry import Case, Outcome, run

CASES = {case.name: case for module in (default_disc, clearance, homeostasis, supply, therapies) for case in module.CASES}
SLOW = [case for case in CASES.values() if case.slow]
QUICKEST = ("gag_loss", "clearance_grade_three", "fixed_charge", "first_site", "culture", "transduction")


def judge(case: Case) -> Outcome:
    """Run a case and hold its rows against what the case states."""
    outcome = run([case])[0]
    ids = [row.id for row in outcome.rows]
    assert ids and len(set(ids)) == len(ids), "no rows, or two of one name"
    assert set(case.known_misses) <= set(ids), "a miss is stated for a row that is not there"
    assert all(math.isfinite(row.computed) for row in outcome.rows)
    assert outcome.unexpected == [], [row for row in outcome.rows if row.id in outcome.unexpected]
    return outcome


@pytest.mark.fem
@pytest.mark.parametrize("name", QUICKEST)
def test_quick_case_is_well_formed(name: str) -> None:
    outcome = judge(CASES[name])
    for row in outcome.rows:
        # what is validation must be judged; a report may be
        assert row.role not in ("validation", "verification") or row.inside is not None, row.id
        assert not row.id.startswith("trial.") or row.role == "report", f"{row.id}: the project's own trial validates nothing"


@pytest.mark.fem
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("case", SLOW, ids=[case.name for case in SLOW])
def test_slow_case_judges_as_stated(case: Case) -> None:
    judge(case)


def test_every_group_is_there() -> None:
    assert {case.group for case in CASES.values()} == {"default_disc", "homeostasis", "supply", "therapies"}
