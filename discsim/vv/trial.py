"""Rows against the project's own trial of the default disc (facts: default disc), made with another code on other elements.

Its numbers are rounded: a row agrees within 2 % or one unit of the last digit given, whichever is larger. These rows are reports.
"""

from __future__ import annotations

from discsim.vv.registry import Row


def trial_row(name: str, quantity: str, unit: str, computed: float, trial: float, digit: float) -> Row:
    """A row against the trial: within 2 % or one unit (``digit``) of its last digit."""
    width = max(0.02 * abs(trial), digit)
    return Row(f"trial.{name}", quantity, unit, computed, trial, trial - width, trial + width, "report")


def ph_row(name: str, quantity: str, found: float, trial: float) -> Row:
    """A row of pH against the trial: within one unit of the last digit (2 % would be 0.14)."""
    return Row(f"trial.{name}", quantity, "1", found, trial, trial - 0.01, trial + 0.01, "report")
