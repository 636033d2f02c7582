"""Every case that is not slow: no row may miss without a stated reason, nor meet where a miss is stated."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.fem


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case_name" in metafunc.fixturenames:
        from discsim.vv.registry import cases

        metafunc.parametrize("case_name", [case.name for case in cases() if not case.slow])


def test_case(case_name: str) -> None:
    from discsim.vv.registry import cases, run

    case = next(case for case in cases() if case.name == case_name)
    outcome = run([case])[0]
    assert outcome.rows, "a case without rows proves nothing"
    misses = [
        f"{row.id}: {row.computed:.6g}, band {row.low} to {row.high}" for row in outcome.rows if row.id in outcome.unexpected
    ]
    assert not misses, "\n".join(misses)


def test_stated_misses_name_rows_that_exist_and_give_reasons() -> None:
    from discsim.vv.registry import cases

    for case in cases():
        assert all(len(reason) > 20 for reason in case.known_misses.values()), case.name


def test_names_of_cases_are_unique() -> None:
    from discsim.vv.registry import cases

    names = [case.name for case in cases()]
    assert len(names) == len(set(names))
