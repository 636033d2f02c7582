"""Tables of a result: on a terminal, and as CSV in long format."""

from __future__ import annotations

import csv
import math
import os
from pathlib import Path
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from discsim.problem.problem import YEAR
from discsim.quantities.units import time_words as time_words
from discsim.study.evidence import evidence_line
from discsim.study.result import Result, TableEntry

CSV_COLUMNS = ("scenario", "readout", "unit", "time_years", "value", "difference", "status")
# A stated error above this share of the value is pointed out.
ERROR_LIMIT = 0.01
LOWEST = (("glucose_min", "glucose"), ("ph_min", "pH"))


def print_summary(result: Result, console: Console) -> None:
    """Readouts at the study's times beside those of the first scenario, lowest glucose and pH, failures, evidence."""
    console.print(Text(result.title, style="bold"))
    if any(result.dosed_at(name, time) for name in result.scenario_names for time in result.table_times):
        console.print(Text("(where an injection falls on a time of the tables, the values just after it)"))
    entries = result.table()
    for readout in result.readout_names:
        console.print()
        long_name = result.attributes(readout)["long_name"]
        console.print(Text(f"{readout}{_in_unit(result.unit(readout))}: {long_name}", style="bold"))
        console.print(readout_table(result, readout, [entry for entry in entries if entry.readout == readout]))
        _print_errors(result, readout, console)
    _print_lowest(result, console)
    _print_failures(result, console)
    line = evidence_line(result.partial_assumptions)
    if line:
        console.print(Text(line))


def to_csv(result: Result, target: str | os.PathLike[str] | TextIO) -> None:
    """Every readout of every scenario at the study's times, a row each.

    Numbers that do not exist are left empty; the status stands in every row.
    """
    if isinstance(target, (str, os.PathLike)):
        with Path(target).open("w", encoding="utf-8", newline="") as stream:
            _write_rows(result, stream)
    else:
        _write_rows(result, target)


def _write_rows(result: Result, stream: TextIO) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for entry in result.table():
        value, difference = ("" if number is None else repr(number) for number in (entry.value, entry.difference))
        writer.writerow((entry.scenario, entry.readout, entry.unit, f"{entry.time_years:.10g}", value, difference, entry.status))


def readout_table(result: Result, readout: str, entries: list[TableEntry]) -> Table:
    """Two rows per scenario: values, and differences from the first one beside what that one does in its first year."""
    digits = int(result.attributes(readout)["digits"])
    first = result.scenario_names[0]
    drift = result.first_year_drift()[readout]
    table = _empty_table()
    for time in result.table_times:
        table.add_column(time_words(time), justify="right")
    table.add_column(f"{first},\nfirst {_period(drift.years)}", justify="right")
    for name in result.scenario_names:
        own = [entry for entry in entries if entry.scenario == name]
        table.add_row(name, *[_value(entry, digits) for entry in own], "")
        if name != first:
            beside = signed(drift.change, digits) if drift.change is not None else drift.word
            label = Text("  difference", style="dim")
            table.add_row(label, *[_difference(entry, result, digits) for entry in own], Text(beside, style="dim"))
    return table


def _empty_table() -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("scenario", vertical="bottom")
    return table


def _value(entry: TableEntry, digits: int) -> Text:
    if entry.value is None:
        return Text(entry.word, style="red")
    return Text(f"{entry.value:.{digits}f}")


def _difference(entry: TableEntry, result: Result, digits: int) -> Text:
    """The difference, or the word of the run that lacks its value."""
    if entry.difference is not None:
        return Text(signed(entry.difference, digits), style="cyan")
    return Text(entry.word or result[result.scenario_names[0]].word_at(entry.time), style="red")


def _print_errors(result: Result, readout: str, console: Console) -> None:
    """Stated errors by mesh and steps, as far as they are known."""
    digits = int(result.attributes(readout)["digits"])
    parts = []
    for name in result.scenario_names:
        error = result.discretisation_error(name, readout)
        if error is None:
            continue
        _, values = result[name].series(readout)
        size = abs(float(values[-1])) if values.size else 0.0
        share = error / size if size > 0.0 else math.inf
        warning = "  > 1 %" if share > ERROR_LIMIT else ""
        parts.append((f"{name} +/- {unsigned(error, digits)}{warning}", "bold red" if warning else ""))
    if parts:
        line = Text(f"discretisation error{_in_unit(result.unit(readout))}: ")
        console.print(line + Text("; ").join(Text(text, style=style) for text, style in parts))


def _print_lowest(result: Result, console: Console) -> None:
    """Lowest glucose and pH over the whole of every run, and when."""
    present = [(readout, word) for readout, word in LOWEST if readout in result.readout_names]
    if not present:
        return
    table = _empty_table()
    for readout, word in present:
        table.add_column(f"{word}{_in_unit(result.unit(readout))}", justify="right")
        table.add_column("at", justify="right")
    for name in result.scenario_names:
        cells = [cell for readout, _ in present for cell in _lowest(result, name, readout)]
        table.add_row(name, *cells)
    console.print()
    console.print(Text("lowest over the whole run", style="bold"))
    console.print(table)
    console.print()


def _lowest(result: Result, name: str, readout: str) -> tuple[str, str]:
    times, values = result[name].series(readout)
    if not values.size:
        return str(result[name].status), ""
    index = int(values.argmin())
    return f"{values[index]:.{int(result.attributes(readout)['digits'])}f}", time_words(float(times[index]))


def _print_failures(result: Result, console: Console) -> None:
    for name, failure in result.failed().items():
        console.print(
            Text.assemble(
                (f"{name} did not finish: {failure.status}", "bold red"),
                f"; {failure.reason}; last good time {time_words(failure.last_good_time)}",
                f". {failure.advice}" if failure.advice else "",
            )
        )


def signed(number: float, digits: int) -> str:
    """A difference with sign; where rounding to ``digits`` decimals would hide it, two significant figures instead."""
    if number == 0.0:
        return "0"
    return f"{number:+.{digits}f}" if abs(number) >= 0.5 * 10.0**-digits else f"{number:+.1e}"


def unsigned(number: float, digits: int) -> str:
    """A size, by the same rule."""
    return signed(number, digits).removeprefix("+")


def _period(years: float) -> str:
    return "year" if years == 1.0 else time_words(years * YEAR)


def _in_unit(unit: str) -> str:
    return "" if unit in ("1", "dimensionless") else f" ({unit})"
