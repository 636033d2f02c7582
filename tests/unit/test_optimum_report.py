"""What an optimisation prints: every number with its unit."""

from __future__ import annotations

import io

from rich.console import Console

from discsim.problem.problem import YEAR
from discsim.report.optimum import print_optimum
from discsim.study.optimise import Optimum, Trial, _Search
from discsim.study.optimise_terms import Constraint, Goal, Variable

DOSE = "scenarios.cells.therapy.0.dose"


def test_numbers_have_units() -> None:
    limit = Constraint("glucose_min", ">=", 0.5, (0.0, 0.5 * YEAR))
    best = Trial(1, (6e6,), 240.0, (0.5, 0.7), True, "ok")
    active = (_Search._words(limit, 0.0, 0.5004),)
    found = Optimum(
        "cells", Goal("gag_nucleus", YEAR, True), (limit,), (Variable(DOSE, "cell", 1e6, 2e7, "log", 6e6),), (best,), best,
        {DOSE: 2e-6}, {"glucose_min@0 year": {DOSE: -1e-8}}, active, True, "done", 1, 2, 1, (), {"assumed": 3},
    )  # fmt: skip
    stream = io.StringIO()
    print_optimum(found, Console(file=stream, width=200))
    text = stream.getvalue()
    assert "held there by: glucose_min >= 0.5 mM at 0 year (is 0.5004 mM)" in text
    assert "glucose_min, mM" in text and "gag_nucleus, mg" in text and "0.5 year" in text
    assert "slope of gag_nucleus by scenarios.cells.therapy.0.dose: 2e-06 mg per cell" in text
    assert "slope of glucose_min@0 year by scenarios.cells.therapy.0.dose: -1e-08 mM per cell" in text
