"""``discsim tabulate``: the discretisation of a mesh, written once where DOLFINx is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from discsim.cli.common import Experiment, Override, Plugin, guarded, solving_engine, writable_folder


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(tabulate)


@guarded
def tabulate(
    file: Experiment,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder of the files; the user's cache where left out.")
    ] = None,
    overrides: Override = None,
    plugin: Plugin = False,
) -> None:
    """Write what the sweep engine needs of the meshes of an experiment; those that are shipped have it already.

    Example: discsim tabulate study.toml --out tables
    """
    from discsim.problem.tables import keep
    from discsim.study.config import read_study

    problem = read_study(file, overrides or (), allow_plugin=plugin).problem()
    if out is not None:
        writable_folder(out)
    solving_engine("fem")
    from discsim.fem.tabulate import tabulate as discretisation

    for mesh in {arm.mesh.hash: arm.mesh for arm in problem.arms}.values():
        typer.echo(f"{keep(mesh, discretisation(mesh), out)}: {len(mesh.points)} vertices, {len(mesh.cells)} cells")
