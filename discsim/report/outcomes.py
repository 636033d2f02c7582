"""Tables of verification cases that ran."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_outcome(outcome: Any, console: Console) -> None:
    """The rows of a verification case that ran: computed and expected number, band, role, verdict."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in ("row", "quantity", "computed", "expected", "band", "unit", "role", "verdict", "note"):
        table.add_column(name, overflow="fold")
    for row in outcome.rows:
        miss = outcome.case.known_misses.get(row.id)
        verdict = {None: "", True: "inside", False: "outside"}[row.inside] + (" (stated)" if miss and row.inside is False else "")
        band = "" if row.inside is None else f"{_bound(row.low)} to {_bound(row.high)}"
        cells = (
            row.id,
            row.quantity,
            f"{row.computed:.6g}",
            _bound(row.expected),
            band,
            row.unit,
            row.role,
            verdict,
            miss or row.note,
        )
        table.add_row(*(Text(str(cell)) for cell in cells))
    console.print(
        Text(f"{outcome.case.group}/{outcome.case.name}: {outcome.case.description} ({outcome.seconds:.1f} s)", style="bold")
    )
    console.print(table)
    console.print()


def _bound(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
