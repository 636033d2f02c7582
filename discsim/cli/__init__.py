"""The command line. Rooms that need long to load are imported by the command that needs them.

Exit codes: 0 well, 1 an error of discsim itself, 2 bad input, 3 finished with failed arms, 4 environment,
5 stored and found differ, 6 evidence missing, 130 interrupted, 141 whoever reads closed the pipe.
"""

from __future__ import annotations

import dataclasses
import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from discsim.cli import catalogue, explore, export, optimise, plot, report, reproduce, show, sweep, tabulate, train, verdicts, vv
from discsim.cli.common import (
    ENVIRONMENT,
    FAILED_ARMS,
    Experiment,
    Override,
    Plugin,
    Settings,
    Stop,
    Words,
    experiment_name,
    guarded,
    make_console,
    prepare_folder,
    show_error,
    solving_engine,
)
from discsim.cli.common import interruptible as _interruptible
from discsim.study.folder_files import RANKS_LOG, RESULT_FILE

if TYPE_CHECKING:
    from discsim.problem.engine import Engine, Progress
    from discsim.problem.record import ArmRecord
    from discsim.report.progress import RunProgress
    from discsim.study.result import Result
    from discsim.study.study import Study

app = typer.Typer(
    name="discsim",
    cls=Words,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Intervertebral disc: mechanics, nutrition, cells, matrix and therapies over years.",
)


def _show_version(asked: bool) -> None:
    if asked:
        from discsim import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def main(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an unexpected error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """Which repair helps this disc: cells, genes, both, or neither?"""
    Settings.debug = debug
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal cannot write is shown as an escape, and ends nothing
            stream.reconfigure(errors="backslashreplace")


@app.command()
@guarded
def validate(
    file: Experiment,
    overrides: Override = None,
    plugin: Plugin = False,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Write the file with every default, unit and override in it, and nothing else.")
    ] = False,
) -> None:
    """Check an experiment file and tell every mistake at once.

    Example: discsim validate experiments/cells_vs_gene/study.toml --set disc.grade=1
    """
    from discsim.study.acting import idle_volumes
    from discsim.study.config import read_study
    from discsim.study.law_check import check_laws
    from discsim.study.messages import Complaints, counted
    from discsim.study.overrides import apply_overrides
    from discsim.study.toml_text import parse_text, read_text

    study = read_study(file, overrides or (), allow_plugin=plugin)
    check_laws(study)
    if resolved:
        typer.echo(study.resolved, nl=False)
        return
    duration = next(iter(study.scenarios.values())).duration
    typer.echo(f"ok: {counted(len(study.scenarios), 'scenario')} ({', '.join(study.scenarios)}), {duration}")
    for line in idle_volumes(study, apply_overrides(parse_text(read_text(file)), tuple(overrides or ()), Complaints())):
        show_error(line)
    if study.design:
        typer.echo(f"    design: {study.design['kind']}, {counted(len(study.design['vary']), 'varied number')}")


catalogue.register(app)


@app.command()
@guarded
def run(
    file: Experiment,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder of the result; out/NAME where left out.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing result.")] = False,
    engine: Annotated[str, typer.Option(help="Engine.")] = "fem",
    overrides: Override = None,
    ranks: Annotated[
        int, typer.Option(min=1, metavar="K", help="Processes that share a solve of the reference engine, for large meshes.")
    ] = 1,
    error_estimate: Annotated[bool, typer.Option(help="State the error by mesh and steps, from two more coarse runs.")] = True,
    plugin: Plugin = False,
) -> None:
    """Solve every scenario once at its nominal values: table, result.nc and pictures.

    Example: discsim run experiments/cells_vs_gene/study.toml --set disc.mesh_level=1 --out out/coarse
    """
    from discsim.report.tables import print_summary
    from discsim.study.config import read_study
    from discsim.study.law_check import check_laws

    study = read_study(file, overrides or (), allow_plugin=plugin)
    check_laws(study)
    folder = out if out is not None else Path("out") / experiment_name(file)
    prepare_folder(folder, force)
    began = time.monotonic()
    result = _solve(study, engine, ranks, folder, error_estimate)
    took = time.monotonic() - began
    print_summary(result, make_console())
    failed = result.failed()
    show_error(f"result in {folder / RESULT_FILE}, after {took:.1f} s")
    if failed:
        raise Stop(FAILED_ARMS, f"{len(failed)} of {len(result.scenario_names)} arms did not finish: {', '.join(failed)}")


def _solve(study: Study, engine: str, ranks: int, folder: Path, error_estimate: bool) -> Result:
    """Run, save, state the error, draw. The result is kept as soon as there is one."""
    from discsim.report.plots import save_all
    from discsim.report.progress import RunProgress
    from discsim.study.provenance import now
    from discsim.study.result import Result

    solver, begun = solving_engine(engine, ranks, folder / RANKS_LOG), now()
    left = [f"[{name}]" for name, table in (("design", study.design), ("check", study.check)) if table]
    if left:
        show_error(
            f"run solves the scenarios at their nominal values; {' and '.join(left)} {'is' if len(left) == 1 else 'are'} not run"
        )
    with _interruptible() as check, RunProgress(Console(stderr=True)) as progress:

        def hook(step: Progress) -> None:
            check()
            progress.hook(step)

        records = solver.run(study.problem(), hook)
        stale = _pictures(folder)
        result = Result.from_records(study, study.with_kept_fields(records), begun=begun, engine=engine, processes=ranks)
        result.save(folder / RESULT_FILE, overwrite=True)
        if error_estimate:
            _state_error(study, records, result, solver, progress, hook)
            result.save(folder / RESULT_FILE, overwrite=True)
        drawn = set(save_all(result, folder))
        for path in stale - drawn:  # of the result that was replaced
            path.unlink(missing_ok=True)
    return result


def _pictures(folder: Path) -> set[Path]:
    """Pictures of the result that stands in a folder; none where it cannot be read."""
    from discsim.study.result import Result, ResultError

    if not (folder / RESULT_FILE).exists():
        return set()
    try:
        names = Result.load(folder / RESULT_FILE).scenario_names
    except ResultError:
        return set()
    return {folder / "time_courses.png", *(folder / f"fields_{name}.png" for name in names)}


def _state_error(
    study: Study,
    records: list[ArmRecord],
    result: Result,
    engine: Engine,
    progress: RunProgress,
    hook: Callable[[Progress], None],
) -> None:
    from discsim.study.discretisation import NoEstimate, estimate

    progress.begin("error estimate")
    try:
        result.state_discretisation_error(estimate(study, records, engine, hook))
    except NoEstimate as reason:
        show_error(f"no error by mesh and steps is stated: {reason}")
    except KeyboardInterrupt:
        show_error("the result is kept, without its error by mesh and steps and without pictures")
        raise


sweep.register(app)


@app.command()
@guarded
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON to standard output, and nothing else.")] = False,
) -> None:
    """Whether this machine can run a study.

    Example: discsim doctor
    """
    from discsim.study.environment import checks
    from discsim.study.machine_checks import machine_checks

    found = [*checks(), *machine_checks()]
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(check) for check in found]))
    else:
        for check in found:
            typer.echo(f"{'ok' if check.good else 'MISSING':8}{check.name}: {check.found}")
            if not check.good:
                typer.echo(f"{'':8}{check.remedy}")
    if not all(check.good for check in found):
        raise Stop(ENVIRONMENT)


tabulate.register(app)
train.register(app)
show.register(app)
verdicts.register(app)
optimise.register(app)
explore.register(app)
reproduce.register(app)
report.register(app)
plot.register(app)
export.register(app)
vv.register(app)
