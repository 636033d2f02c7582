"""Rerun a published experiment and say how far its numbers are from those that were kept."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from discsim.cli.common import (
    BAD_INPUT,
    MISMATCH,
    Override,
    Plugin,
    Stop,
    guarded,
    interruptible,
    make_console,
    show_error,
    solving_engine,
)

if TYPE_CHECKING:
    from discsim.problem.engine import Progress
    from discsim.study.reproduction import Numbers
    from discsim.study.study import Study

STUDY_FILE = "study.toml"


@guarded
def reproduce(
    place: Annotated[Path, typer.Argument(metavar="EXPERIMENT", help="Experiment file, or a folder with study.toml.")],
    tier: Annotated[
        str, typer.Option(help="What may differ: T1 nothing (same machine, same lock), T2 the machine, T3 library versions.")
    ] = "T2",
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="PATH", help="Kept numbers: golden.json or a result.nc; golden.json beside the file."),
    ] = None,
    engine: Annotated[str | None, typer.Option(help="Engine; the one of the kept numbers where left out.")] = None,
    overrides: Override = None,
    update: Annotated[bool, typer.Option("--update", help="Keep the numbers of this run from now on; needs --reason.")] = False,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why kept numbers change; stays in their history.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON to standard output, and nothing else.")] = False,
    plugin: Plugin = False,
) -> None:
    """Rerun an experiment at its nominal values; differences from the kept numbers per readout. Exit code 5 beyond the tier.

    Example: discsim reproduce experiments/cells_vs_gene --tier T2
    """
    from discsim.report.reproduction import print_differences
    from discsim.study import reproduction
    from discsim.study.config import read_study

    if tier not in reproduction.TIERS:
        raise Stop(BAD_INPUT, f"--tier {tier}: there is {', '.join(reproduction.TIERS)}")
    if update and not reason.strip():
        raise Stop(BAD_INPUT, '--update: say why the kept numbers change, with --reason "..."')
    if reason and not update:  # else one would think that the numbers were kept
        raise Stop(BAD_INPUT, "--reason: is for --update, which keeps new numbers; give both or neither")
    if update and (against is not None or overrides):
        raise Stop(BAD_INPUT, "--update keeps the numbers of the experiment as it stands; leave out --against and --set")
    file = place / STUDY_FILE if place.is_dir() else place
    study = read_study(file, overrides or (), allow_plugin=plugin)
    path = against or file.with_name(reproduction.GOLDEN)
    kept = None if update and not path.exists() else _kept(path)
    found = _numbers(study, engine or (kept.engine if kept and kept.engine else "fem"))
    if update:
        reproduction.write_golden(path, found, kept, reason.strip())
        typer.echo(f"kept in {path}")
        return
    assert kept is not None
    if kept.config_hash != found.config_hash:
        show_error("the experiment is not the one whose numbers were kept (the file, a default or an override differs)")
    rows = reproduction.differences(kept, found, tier)
    status = reproduction.changed_status(kept, found)
    outside = [row for row in rows if not row.within]
    if as_json:
        told = {"tier": tier, "rows": [dataclasses.asdict(row) for row in rows], "status": status, "outside": len(outside)}
        typer.echo(json.dumps(told | {"same_experiment": kept.config_hash == found.config_hash}))
    else:
        print_differences(kept, rows, status, tier, make_console())
    if outside or status:
        raise typer.Exit(MISMATCH)


def _kept(path: Path) -> Numbers:
    from discsim.study.reproduction import numbers_of, read_golden
    from discsim.study.result import Result

    return read_golden(path) if path.suffix == ".json" else numbers_of(Result.load(path))


def _numbers(study: Study, engine: str) -> Numbers:
    """The numbers of a run."""
    from discsim.report.progress import RunProgress
    from discsim.study.law_check import check_laws
    from discsim.study.reproduction import numbers_of
    from discsim.study.result import Result

    check_laws(study)
    solver = solving_engine(engine)
    with interruptible() as check, RunProgress(Console(stderr=True)) as progress:

        def hook(step: Progress) -> None:
            check()
            progress.hook(step)

        return numbers_of(Result.from_records(study, solver.run(study.problem(), hook), engine=engine))


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(reproduce)
