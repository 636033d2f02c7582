"""Tables of what is in the model: parameters, mechanisms, fields."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterable
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from discsim.study.catalogue import DeclaredParameter, FieldEntry, MechanismEntry, bounds_text, number_text

MIN_WIDTH = {"reference": 34, "source": 34}  # columns: room for a DOI in one piece


def print_parameters(rows: Iterable[DeclaredParameter], console: Console) -> None:
    """A row per parameter and region."""
    table = _table("path", "region", "default", "unit", "bounds", "evidence", "source", "description")
    for row in rows:
        cells = (
            row.path,
            row.region,
            number_text(row.value),
            row.unit,
            bounds_text(row),
            row.evidence,
            row.source,
            row.description,
        )
        table.add_row(*map(Text, cells))
    console.print(table)


def write_parameters(rows: Iterable[DeclaredParameter], stream: TextIO) -> None:
    """The same as CSV, numbers in full."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([field.name for field in dataclasses.fields(DeclaredParameter)])
    for row in rows:
        writer.writerow([repr(cell) if isinstance(cell, float) else cell for cell in dataclasses.astuple(row)])


def print_mechanisms(entries: Iterable[MechanismEntry], console: Console) -> None:
    """What every mechanism reads, gives and changes, its fields and choices, and where its form is from."""
    whole = ("reads", "gives", "changes", "fields")  # names that are not broken
    table = _table("name", "process", *whole, "choices", "reference", whole=whole)
    for entry in entries:
        choices = "\n".join(f"{key}: {', '.join(options)}" for key, options in entry.choices.items())
        lists = ("\n".join(words) for words in (entry.reads, entry.gives, entry.changes, entry.fields))
        table.add_row(*map(Text, (entry.name, entry.summary, *lists, choices, entry.reference)))
        table.add_section()
    console.print(table)


def print_fields(entries: Iterable[FieldEntry], console: Console) -> None:
    """Fields, drives and point quantities: every name that a mechanism may read, besides derived values."""
    table = _table("name", "symbol", "unit", "kind", "start", "description")
    for entry in entries:
        table.add_row(*map(Text, (entry.name, entry.symbol, entry.unit, entry.kind, entry.initial, entry.description)))
    console.print(table)


def _table(*columns: str, whole: tuple[str, ...] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", vertical="top", no_wrap=column in whole, min_width=MIN_WIDTH.get(column))
    return table
