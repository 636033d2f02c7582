"""How far a rerun is from kept numbers, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from discsim.study.reproduction import TIERS, Difference, Numbers, largest


def print_differences(
    kept: Numbers, rows: Sequence[Difference], status: Mapping[str, tuple[str, str]], tier: str, console: Console
) -> None:
    """The largest difference of every readout of every arm, and a line that sums up."""
    table = Table(title=f"rerun against kept numbers, tier {tier}: at most {TIERS[tier]:g} of the largest value")
    for name in ("arm", "readout", "year", "kept", "found", "difference", ""):
        table.add_column(name, justify="left" if name in ("arm", "readout", "") else "right")
    for row in largest(rows).values():
        numbers = ("-" if value is None else f"{value:.8g} {row.unit}" for value in (row.kept, row.found))
        size = "-" if row.relative is None else f"{row.relative:.1e}"
        table.add_row(row.arm, row.readout, f"{row.years:g}", *numbers, size, "" if row.within else "beyond the tier")
    console.print(table)
    for arm, (before, now) in status.items():
        console.print(f"{arm}: was {before}, is {now}")
    outside = sum(not row.within for row in rows)
    told = f"{len(rows) - outside} of {len(rows)} numbers within tier {tier}"
    if kept.history:
        last = kept.history[-1]
        told += f"; kept {last['date']} by {last['code']}: {last['reason']}"
    console.print(told)
