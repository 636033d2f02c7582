"""What there is to choose from: parameters, mechanisms, fields."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from discsim.cli.common import BAD_INPUT, Format, Stop, guarded, make_console


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (params, mechanisms, fields):
        app.command()(guarded(command))


def params(
    grade: Annotated[int, typer.Option(help="Pfirrmann grade whose values are shown.")] = 1,
    output: Annotated[Format, typer.Option("--format", help="How to write the table.")] = Format.TABLE,
    mechanism: Annotated[
        str | None, typer.Option(help="Only this mechanism, therapy, disc, materials, loading or solver.")
    ] = None,
) -> None:
    """Every parameter: default, unit, bounds, evidence, source."""
    from discsim.report.catalogue import print_parameters, write_parameters
    from discsim.study.catalogue import declared_parameters

    try:
        rows = list(declared_parameters(grade, mechanism))
    except ValueError as error:
        raise Stop(BAD_INPUT, str(error)) from None
    if output is Format.CSV:
        write_parameters(rows, sys.stdout)
    else:
        print_parameters(rows, make_console())


def mechanisms() -> None:
    """What every mechanism reads, changes and is based on."""
    from discsim.report.catalogue import print_mechanisms
    from discsim.study.catalogue import mechanism_entries

    print_mechanisms(mechanism_entries(), make_console())


def fields() -> None:
    """Fields, drives and point quantities with their units."""
    from discsim.report.catalogue import print_fields
    from discsim.study.catalogue import field_entries

    print_fields(field_entries(), make_console())
