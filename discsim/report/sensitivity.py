"""Sensitivity of a sweep in tables: indices with their intervals beside what a dummy input gets."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from discsim.report.engines import engine_shares
from discsim.report.tables import time_words
from discsim.study.sensitivity import Index, Sensitivity

METHODS = {
    "sobol": "shares of the variance (Sobol indices of a Saltelli design)",
    "morris": "mean absolute change when an input moves by half of its distribution (Morris)",
    "class_means": "first-order shares of the variance (means over equal classes of an input)",
}
COLUMNS = {"first": "alone\n(first order)", "total": "with interactions\n(total)", "effect": "change"}


def print_sensitivities(found: Iterable[Sensitivity], console: Console) -> None:
    """A table per readout, time and arm, the most influential input first."""
    for one in found:
        console.print()
        console.print(Text(heading(one), style="bold"), soft_wrap=True)
        console.print(Text(summary(one)), soft_wrap=True)
        if one.engines or one.bar != 0.0:
            console.print(Text(bar_line(one)), soft_wrap=True)
        if one.inputs:
            console.print(table(one))
        if one.note:
            console.print(Text(one.note, style="bold red" if "warning: " in one.note else ""), soft_wrap=True)


def heading(one: Sensitivity) -> str:
    """What is analysed."""
    unit = "" if one.unit in ("1", "dimensionless") else f" ({one.unit})"
    return f"{one.readout}{unit} at {time_words(one.time)}, {subject(one)}"


def subject(one: Sensitivity) -> str:
    """The scenario, or the two whose difference it is."""
    return one.scenario if one.against is None else f"{one.scenario} less {one.against}"


def summary(one: Sensitivity) -> str:
    """How, of how many samples, and which inputs stand out."""
    line = f"{METHODS[one.method]}; {one.samples} samples"
    if one.left_out:
        line += f" ({one.left_out} failed ones left out)"
    line += f"; standard deviation {one.spread:.3g}"
    if one.inputs:
        standing = [row.path for row in one.inputs if row.stands_out]
        line += f"; above the dummy: {', '.join(standing)}" if standing else "; no input rises above the dummy"
    return line


def bar_line(one: Sensitivity) -> str:
    """Which engines computed the samples, and the largest error bar beside the spread."""
    parts = [f"computed by: {engine_shares(one.engines)}"] if one.engines else []
    if one.bar is None:
        parts.append("largest error bar infinite")
    elif one.bar > 0.0:
        unit = "" if one.unit in ("1", "dimensionless") else f" {one.unit}"
        of = f", {100.0 * one.bar / one.spread:.3g} % of the standard deviation" if one.spread > 0.0 else ""
        parts.append(f"largest error bar {one.bar:.3g}{unit}{of}")
    else:
        parts.append("no error bars")
    return "; ".join(parts)


def table(one: Sensitivity) -> Table:
    """A row per input, then the dummy; what does not rise above the dummy's floor is dim."""
    drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    drawn.add_column("input", vertical="bottom")
    drawn.add_column("evidence", vertical="bottom")
    for name in one.floor:
        interval = " (95 %)" if any(row.indices[name].low is not None for row in one.inputs) else ""
        drawn.add_column(f"{COLUMNS[name]}{interval}", justify="right", vertical="bottom")
    for row in one.inputs:
        cells = [Text(_index(row.indices[name], name), style="" if name in row.stands_out else "dim") for name in one.floor]
        drawn.add_row(Text(row.path), Text(row.evidence), *cells)
    floor = [
        Text(f"{_number(one.dummy[name], name)} (below {_number(one.floor[name], name)})", style="dim") for name in one.floor
    ]
    drawn.add_row(Text("a dummy input", style="dim"), Text(""), *floor)
    return drawn


def _index(one: Index, name: str) -> str:
    if one.low is None or one.high is None:
        return _number(one.value, name)
    return f"{_number(one.value, name)} ({_number(one.low, name)} to {_number(one.high, name)})"


def _number(value: float, name: str) -> str:
    """Two decimals of a share of the variance; three significant figures of a change."""
    return f"{value:.3g}" if name == "effect" else f"{value + 0.0:.2f}".replace("-0.00", "0.00")
