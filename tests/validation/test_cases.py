"""Every case of these groups judges as it says: rows inside their bands, and the stated misses miss. Slow ones with ``-m slow``."""

from __future__ import annotations

import pytest

pytest.importorskip("dolfinx_solver")

from discsim.vv import clearance, default_disc, homeostasis, supply, therapies
from discsim.vv.registry import Case, run

CASES = [case for module in (default_disc, clearance, homeostasis, supply, therapies) for case in module.CASES]


@pytest.mark.fem
@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.name, marks=[pytest.mark.slow] if case.slow else []) for case in CASES]
)
def test_case_judges_as_stated(case: Case) -> None:
    outcome = run([case])[0]
    assert outcome.rows, "a case without rows judges nothing"
    ids = [row.id for row in outcome.rows]
    assert len(set(ids)) == len(ids), "two rows of one name"
    assert set(case.known_misses) <= set(ids), "a miss is stated for a row that is not there"
    assert outcome.unexpected == [], [row for row in outcome.rows if row.id in outcome.unexpected]


def test_some_row_of_every_group_is_validation_or_verification() -> None:
    assert {case.group for case in CASES} == {"default_disc", "homeostasis", "supply", "therapies"}
    assert any(not case.slow for case in CASES if case.group == "supply")
