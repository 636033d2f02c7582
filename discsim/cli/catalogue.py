"""What there is to choose from: parameters, mechanisms, fields."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from discsim.cli.common import BAD_INPUT, ENVIRONMENT, Format, Stop, guarded, make_console

mechanisms_app = typer.Typer(invoke_without_command=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (params, fields):
        app.command()(guarded(command))
    app.add_typer(mechanisms_app, name="mechanisms")


def params(
    grade: Annotated[int, typer.Option(help="Pfirrmann grade whose values are shown.")] = 1,
    output: Annotated[Format, typer.Option("--format", help="How to write the table.")] = Format.TABLE,
    mechanism: Annotated[
        str | None, typer.Option(help="Only this mechanism, therapy, disc, materials, loading or solver.")
    ] = None,
) -> None:
    """Every parameter: default, unit, bounds, evidence, source.

    Example: discsim params --grade 3 --mechanism nutrition --format csv
    """
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


@mechanisms_app.callback()
@guarded
def mechanisms(context: typer.Context) -> None:
    """What every mechanism reads, changes and is based on.

    Example: discsim mechanisms
    """
    if context.invoked_subcommand is not None:
        return
    from discsim.report.catalogue import print_mechanisms
    from discsim.study.catalogue import mechanism_entries

    print_mechanisms(mechanism_entries(), make_console())


@mechanisms_app.command()
@guarded
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the mechanism, such as il1_decay.")],
    folder: Annotated[Path, typer.Option("--folder", metavar="DIR", help="Where its files are written.")] = Path("."),
) -> None:
    """Write a mechanism to begin with: its file, a test of it, and an experiment that uses it.

    Example: discsim mechanisms new il1_decay && python -m pytest test_il1_decay.py
    """
    from discsim.biology.mechanisms import CATALOGUE
    from discsim.study.new_mechanism import write_mechanism

    try:
        paths = write_mechanism(name, folder, set(CATALOGUE))
    except (ValueError, FileExistsError) as error:
        raise Stop(BAD_INPUT, str(error)) from None
    except OSError as error:
        raise Stop(ENVIRONMENT, f"--folder {folder}: cannot be written to: {error.strerror}") from None
    for path in paths:
        typer.echo(f"wrote {path}")
    python = os.path.relpath(sys.executable) if Path(sys.executable).is_relative_to(Path.cwd()) else sys.executable
    typer.echo(f"try: {python} -m pytest {paths[1]}, then discsim sweep {paths[2]} --allow-plugin")


def fields() -> None:
    """Fields, drives and point quantities with their units.

    Example: discsim fields
    """
    from discsim.report.catalogue import print_fields
    from discsim.study.catalogue import field_entries

    print_fields(field_entries(), make_console())
