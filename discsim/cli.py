"""The command line. Rooms that need long to load are imported by the command that needs them.

Exit codes: 0 well, 1 an error of discsim itself, 2 bad input, 3 finished with failed arms, 4 environment, 6 evidence missing,
130 interrupted.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from discsim.problem.engine import Engine, Progress
    from discsim.problem.record import ArmRecord
    from discsim.report.progress import RunProgress
    from discsim.study.result import Result
    from discsim.study.study import Study

BAD_INPUT, FAILED_ARMS, ENVIRONMENT, NO_EVIDENCE, INTERRUPTED = 2, 3, 4, 6, 130
RESULT_FILE = "result.nc"
PLAIN_WIDTH = 320  # columns of a table that is not shown on a terminal

app = typer.Typer(
    name="discsim",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Intervertebral disc: mechanics, nutrition, cells, matrix and therapies over years.",
)
vv_app = typer.Typer(no_args_is_help=True, help="Verification and validation, case by case.")
app.add_typer(vv_app, name="vv")


class Format(enum.StrEnum):
    """How a table is written."""

    TABLE = "table"
    CSV = "csv"


class _Stop(Exception):
    """End of a command with a code and a line on standard error."""

    def __init__(self, code: int, message: str = "") -> None:
        super().__init__(message)
        self.code = code


class _Settings:
    debug = False


Experiment = Annotated[Path, typer.Argument(metavar="FILE", help="Experiment file (TOML).")]
Override = Annotated[
    list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Set a value of the file; may be given again.")
]

Plugin = Annotated[
    bool, typer.Option("--allow-plugin", help="Import mechanisms of other modules that the file names; this runs their code.")
]


def _error(message: str) -> None:
    Console(stderr=True).print(Text(message), soft_wrap=True)


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=PLAIN_WIDTH)


def _guarded(command: Callable[..., None]) -> Callable[..., None]:
    """The command with every error turned into lines and an exit code."""

    @functools.wraps(command)
    def guarded(*args: Any, **keywords: Any) -> None:
        try:
            command(*args, **keywords)
        except (typer.Exit, BrokenPipeError):
            raise
        except _Stop as stop:
            if str(stop):
                _error(str(stop))
            raise typer.Exit(stop.code) from None
        except KeyboardInterrupt:
            _error("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            code, message = _judged(error)
            if code == 1 and _Settings.debug:
                raise
            _error(message)
            raise typer.Exit(code) from None

    return guarded


def _judged(error: Exception) -> tuple[int, str]:
    """Exit code and message of an error. Rooms are loaded here, where something failed anyway."""
    from discsim.study.environment import MissingTool
    from discsim.study.messages import ConfigError

    if isinstance(error, ConfigError):
        return BAD_INPUT, str(error)
    if isinstance(error, MissingTool):
        return ENVIRONMENT, str(error)
    if type(error).__name__ == "ResultError":  # its module loads xarray, which only commands that meet results need
        return BAD_INPUT, str(error)
    reason = next(iter(str(error).splitlines()), "") or "no message"
    return 1, f"{type(error).__name__}: {reason}\nunexpected; discsim --debug COMMAND ... shows where"


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
    _Settings.debug = debug


@app.command()
@_guarded
def validate(file: Experiment, overrides: Override = None, plugin: Plugin = False) -> None:
    """Check an experiment file and tell every mistake at once."""
    from discsim.study.config import read_study

    study = read_study(file, overrides or (), allow_plugin=plugin)
    count, duration = len(study.scenarios), next(iter(study.scenarios.values())).duration
    typer.echo(f"ok: {count} scenario{'s' if count > 1 else ''} ({', '.join(study.scenarios)}), {duration}")
    if study.design:
        typer.echo(f"    design: {study.design['kind']}, {len(study.design['vary'])} varied numbers")


@app.command()
@_guarded
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
        raise _Stop(BAD_INPUT, str(error)) from None
    if output is Format.CSV:
        write_parameters(rows, sys.stdout)
    else:
        print_parameters(rows, _console())


@app.command()
@_guarded
def mechanisms() -> None:
    """What every mechanism reads, changes and is based on."""
    from discsim.report.catalogue import print_mechanisms
    from discsim.study.catalogue import mechanism_entries

    print_mechanisms(mechanism_entries(), _console())


@app.command()
@_guarded
def fields() -> None:
    """Fields, drives and point quantities with their units."""
    from discsim.report.catalogue import print_fields
    from discsim.study.catalogue import field_entries

    print_fields(field_entries(), _console())


@app.command()
@_guarded
def run(
    file: Experiment,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder of the result; out/NAME where left out.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing result.")] = False,
    engine: Annotated[str, typer.Option(help="Engine.")] = "fem",
    overrides: Override = None,
    error_estimate: Annotated[bool, typer.Option(help="State the error by mesh and steps, from two more coarse runs.")] = True,
    plugin: Plugin = False,
) -> None:
    """Solve every scenario once at its nominal values: table, result.nc and pictures."""
    from discsim.report.tables import print_summary
    from discsim.study.config import read_study

    study = read_study(file, overrides or (), allow_plugin=plugin)
    folder = out if out is not None else Path("out") / _name(file)
    _prepare(folder, force)
    solver = _engine(engine)
    left = [f"[{name}]" for name, table in (("design", study.design), ("check", study.check)) if table]
    if left:
        _error(
            f"run solves the scenarios at their nominal values; {' and '.join(left)} {'is' if len(left) == 1 else 'are'} not run"
        )
    began = time.monotonic()
    result = _solve(study, solver, folder, error_estimate)
    took = time.monotonic() - began
    print_summary(result, _console())
    failed = result.failed()
    _error(f"result in {folder / RESULT_FILE}, after {took:.1f} s")
    if failed:
        raise _Stop(FAILED_ARMS, f"{len(failed)} of {len(result.scenario_names)} arms did not finish: {', '.join(failed)}")


def _name(file: Path) -> str:
    """Name of an experiment: its folder's, where the file has the usual name, else the file's."""
    return file.resolve().parent.name or file.stem if file.stem == "study" else file.stem


def _prepare(folder: Path, force: bool) -> None:
    """Refuse a result that exists and a folder that cannot be written to, before anything is computed."""
    target = folder / RESULT_FILE
    if target.exists() and not force:
        raise _Stop(BAD_INPUT, f"{target}: exists; --force replaces it, --out DIR writes elsewhere")
    if target.is_dir():
        raise _Stop(BAD_INPUT, f"{target}: a folder; --out DIR writes elsewhere")
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise _Stop(BAD_INPUT, f"{folder}: {existing} is a file; name a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise _Stop(BAD_INPUT, f"{folder}: {existing} cannot be written to")


def _engine(name: str) -> Engine:
    from discsim.study.environment import MissingTool, need_compiler
    from discsim.study.study import ENGINES, make_engine

    if name not in ENGINES:
        raise _Stop(BAD_INPUT, f"--engine {name}: there is {', '.join(ENGINES)}")
    need_compiler()
    try:
        return make_engine(name)
    except ImportError as error:
        raise MissingTool(str(error)) from None


def _solve(study: Study, engine: Engine, folder: Path, error_estimate: bool) -> Result:
    """Run, save, state the error, draw. The result is kept as soon as there is one."""
    from discsim.report.plots import save_all
    from discsim.report.progress import RunProgress
    from discsim.study.result import Result

    with _interruptible() as check, RunProgress(Console(stderr=True)) as progress:

        def hook(step: Progress) -> None:
            check()
            progress.hook(step)

        records = engine.run(study.problem(), hook)
        stale = _pictures(folder)
        result = Result.from_records(study, study.with_kept_fields(records))
        result.save(folder / RESULT_FILE, overwrite=True)
        if error_estimate:
            _state_error(study, records, result, engine, progress, hook)
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
        _error(f"no error by mesh and steps is stated: {reason}")
    except KeyboardInterrupt:
        _error("the result is kept, without its error by mesh and steps and without pictures")
        raise


@contextlib.contextmanager
def _interruptible() -> Iterator[Callable[[], None]]:
    """Make Ctrl-C hold where a solver's callback swallows it (the next step raises it again) or turns it into its own error."""
    asked = False

    def ask(number: int, frame: Any) -> None:
        nonlocal asked
        asked = True
        raise KeyboardInterrupt

    def check() -> None:
        if asked:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield check
    except Exception:
        if asked:
            raise KeyboardInterrupt from None
        raise
    finally:
        signal.signal(signal.SIGINT, before)


@app.command()
@_guarded
def show(
    path: Annotated[Path, typer.Argument(metavar="FILE_OR_DIR", help="Result file, or the folder that it lies in.")],
    csv: Annotated[
        str | None, typer.Option("--csv", metavar="PATH", help="Write the numbers as CSV; - for standard output.")
    ] = None,
) -> None:
    """The table of a result."""
    from discsim.report.tables import print_summary, to_csv
    from discsim.study.result import Result

    result = Result.load(path / RESULT_FILE if path.is_dir() else path)
    if csv is None:
        print_summary(result, _console())
    elif csv == "-":
        to_csv(result, sys.stdout)
    else:
        try:
            to_csv(result, csv)
        except OSError as error:
            raise _Stop(BAD_INPUT, f"{csv}: cannot be written ({error.strerror})") from None


@app.command()
@_guarded
def doctor() -> None:
    """Whether this machine can run a study."""
    from discsim.study.environment import checks

    found = checks()
    for check in found:
        typer.echo(f"{'ok' if check.good else 'MISSING':8}{check.name}: {check.found}")
        if not check.good:
            typer.echo(f"{'':8}{check.remedy}")
    if not all(check.good for check in found):
        raise _Stop(ENVIRONMENT)


@vv_app.command("list")
@_guarded
def vv_list() -> None:
    """Groups and cases."""
    groups = _registry().groups()
    for group, cases in groups.items():
        typer.echo(group)
        for case in cases:
            typer.echo(f"  {case.name}: {case.description}{' (slow)' if case.slow else ''}")


@vv_app.command("run")
@_guarded
def vv_run(
    names: Annotated[list[str] | None, typer.Argument(metavar="[GROUP]...", help="Groups or cases; all where left out.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out slow cases.")] = False,
) -> None:
    """Run cases and compare their numbers with what is expected."""
    from discsim.report.outcomes import print_outcome

    registry = _registry()
    groups = registry.groups()
    cases = {case.name: case for group in groups.values() for case in group}
    chosen: dict[str, Any] = {}
    for name in names or groups:
        if name not in groups and name not in cases:
            raise _Stop(BAD_INPUT, f"no group or case {name!r}; groups are {', '.join(groups)}")
        chosen |= {case.name: case for case in groups.get(name, [cases.get(name)])}
    console, unexpected = _console(), []
    running = [case for case in chosen.values() if not (quick and case.slow)]
    for case in running:
        outcome = registry.run([case])[0]
        print_outcome(outcome, console)
        unexpected += [f"{case.name}: {row}" for row in outcome.unexpected]
    typer.echo(f"{len(running)} cases, {len(unexpected)} unexpected rows")
    if unexpected:
        raise _Stop(NO_EVIDENCE, "\n".join(["rows whose verdict is not the stated one:", *unexpected]))


def _registry() -> Any:
    import importlib

    from discsim.study.environment import MissingTool

    registry = importlib.import_module("discsim.vv.registry")
    try:
        registry.cases()
    except ImportError as error:
        raise MissingTool(f"the cases need DOLFINx and the tools of the developers ({error})") from None
    return registry
