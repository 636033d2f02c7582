"""The command line. Heavy rooms are imported where they are used: ``--help``, ``validate`` and ``params`` answer at once.

Exit codes: 0 well, 1 unexpected error, 2 bad input, 3 finished with failed arms, 4 environment, 6 evidence missing, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from discsim.problem.engine import ProgressHook
    from discsim.study.result import Result
    from discsim.study.study import Study

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
vv_app = typer.Typer(no_args_is_help=True, help="Verification and validation, case by case.")
app.add_typer(vv_app, name="vv")
out, err = Console(highlight=False), Console(stderr=True, highlight=False)

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="experiment file (TOML)", show_default=False)]
SetOption = Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="override a key of the file; may be repeated")]
RESULT = "result.nc"


def _stop(code: int, *lines: str) -> NoReturn:
    for line in lines:
        err.print(line, markup=False, soft_wrap=True)
    raise typer.Exit(code)


@app.callback()
def _main(
    context: typer.Context, debug: Annotated[bool, typer.Option("--debug", help="show tracebacks of unexpected errors")] = False
) -> None:
    context.obj = debug


def _read(file: Path, overrides: list[str]) -> Study:
    from discsim.study.config import ConfigError, read_study

    try:
        return read_study(file, overrides)
    except ConfigError as error:
        _stop(2, *[str(problem) for problem in error.problems])


@app.command()
def validate(file: FileArgument, overrides: SetOption = []) -> None:  # noqa: B006 (typer reads the default only)
    """Check an experiment file: all mistakes at once, nothing started."""
    study = _read(file, overrides)
    first = next(iter(study.scenarios.values()))
    out.print(f"ok: {len(study.scenarios)} scenarios ({', '.join(study.scenarios)}), {first.duration}")
    if study.design:
        out.print(f"    design: {study.design.get('kind', '?')}, {len(study.design.get('vary', {}))} varied parameters")


@app.command()
def params(
    grade: Annotated[int, typer.Option(help="grade whose presets are shown")] = 1,
    form: Annotated[str, typer.Option("--format", help="table or csv")] = "table",
    mechanism: Annotated[str | None, typer.Option(help="only this mechanism, therapy or part")] = None,
) -> None:
    """Every parameter: value, unit, bounds, evidence, source."""
    from discsim.cli_tables import ParameterRow, owners, parameter_rows

    if form not in ("table", "csv"):
        _stop(2, f"--format: {form!r} is neither table nor csv")
    if mechanism is not None and mechanism not in owners():
        _stop(2, f"--mechanism: {mechanism!r} is not known; there are {', '.join(owners())}")
    try:
        rows = [row for row in parameter_rows(grade) if mechanism in (None, row.owner)]
    except ValueError as error:
        _stop(2, f"--grade: {error}")
    names = [field.name for field in dataclasses.fields(ParameterRow)]
    if form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(dataclasses.astuple(row) for row in rows)
        return
    table = Table("parameter", "region", "value", "unit", "bounds", "evidence", "source", "description")
    for row in rows:
        table.add_row(
            f"{row.owner}.{row.parameter}", row.region, f"{row.value:.5g}", row.unit, f"{row.low:.4g} to {row.high:.4g}",
            row.evidence, row.source, row.description,
        )  # fmt: skip
    _wide(table)


def _wide(table: Table) -> None:
    """Print a table; without a terminal, as wide as it needs, so that nothing is cut."""
    (out if out.is_terminal else Console(width=250, highlight=False)).print(table)


@app.command()
def mechanisms() -> None:
    """The mechanisms: what each reads and changes, and where it comes from."""
    from discsim.cli_tables import mechanism_rows

    table = Table("mechanism", "reads", "changes and gives", "reference", show_lines=True)
    for row in mechanism_rows():
        table.add_row(row.name, row.reads, row.changes, row.reference)
    _wide(table)


@app.command()
def fields() -> None:
    """The table of fields: unit, kind, meaning."""
    from discsim.cli_tables import field_rows

    table = Table("field", "symbol", "unit", "kind", "description")
    for name, field in field_rows():
        table.add_row(name, field.symbol, field.unit, field.kind, field.description)
    _wide(table)


@app.command()
def run(
    context: typer.Context,
    file: FileArgument,
    folder: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="where results go [out/<name>]")] = None,
    force: Annotated[bool, typer.Option("--force", help="replace an existing result")] = False,
    engine: Annotated[str, typer.Option(help="fem: the reference engine")] = "fem",
    error_estimate: Annotated[bool, typer.Option(help="state the discretisation error (a coarser mesh, halved steps)")] = True,
    overrides: SetOption = [],  # noqa: B006
) -> None:
    """Run every scenario once at nominal values: table, result file, pictures."""
    study = _read(file, overrides)
    target = folder or Path("out") / (file.resolve().parent.name if file.stem == "study" else file.stem)
    if (target / RESULT).exists() and not force:
        _stop(2, f"{target / RESULT} exists; give --force to replace it, or --out for another folder")
    if study.design or study.check:
        out.print("[design] and [check] are valid and are not run here: run solves each scenario once at nominal values")
    started = time.perf_counter()
    with _errors(bool(context.obj)):
        result = _solve(study, engine, error_estimate)
        target.mkdir(parents=True, exist_ok=True)
        result.save(target / RESULT, overwrite=force)
        _report(result, target)
    out.print(f"{time.perf_counter() - started:.0f} s; result and pictures in {target}", soft_wrap=True)
    if result.failed():
        raise typer.Exit(3)


def _solve(study: Study, name: str, error_estimate: bool) -> Result:
    from discsim.study.discretisation import NoEstimate, estimate
    from discsim.study.result import Result
    from discsim.study.study import make_engine

    try:
        engine = make_engine(name)
    except ValueError as error:
        _stop(2, f"--engine: {error}")
    except ImportError as error:
        _stop(4, str(error))
    with _progress("") as hook:
        records = engine.run(study.problem(), hook)
    result = Result.from_records(study, records)
    if error_estimate:
        try:
            with _progress("error estimate: ") as hook:
                result.state_discretisation_error(estimate(study, records, engine, hook))
        except NoEstimate as reason:
            out.print(f"no discretisation error is stated: {reason}")
    return result


def _report(result: Result, target: Path) -> None:
    from discsim.report.plots import save_all
    from discsim.report.tables import print_summary

    save_all(result, target)
    print_summary(result, out)


@contextlib.contextmanager
def _errors(debug: bool) -> Iterator[None]:
    """One line for what a user can mend; a traceback only with ``--debug``."""
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except KeyboardInterrupt:
        _stop(130, "interrupted; nothing was written")
    except Exception as error:
        if debug:
            raise
        text = f"{type(error).__name__}: {error}".splitlines()[0]
        if _compiler_missing(error):
            _stop(4, "no C compiler: the form compiler needs gcc (or CC=...) at run time; install gcc and the Python headers")
        _stop(1, text, "unexpected; discsim --debug run ... shows where")


def _compiler_missing(error: BaseException) -> bool:
    import shutil
    import sysconfig

    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    return shutil.which(compiler) is None and shutil.which("gcc") is None


@contextlib.contextmanager
def _progress(prefix: str) -> Iterator[ProgressHook]:
    """A bar on a terminal (arm, simulated time, step, dt, time left); elsewhere a line per arm."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    if not out.is_terminal:
        yield _plain_progress(prefix)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[detail]}"), TimeRemainingColumn())
    with Progress(*columns, console=out, transient=True) as bar:
        task = bar.add_task(f"{prefix}compiling forms", total=1.0, detail="")

        def show(at: Any) -> None:
            share = (at.index + at.time / at.duration) / at.count
            detail = f"{at.time / 31557600.0:.2f} of {at.duration / 31557600.0:.4g} year, step {at.step}, dt {at.dt / 86400.0:.3g} day"
            what = f"{prefix}{at.arm} ({at.index + 1}/{at.count}, {at.stage})"
            bar.update(task, completed=share, description=what, detail=detail)

        yield show


def _plain_progress(prefix: str) -> ProgressHook:
    seen: set[int] = set()

    def show(at: Any) -> None:
        if at.index not in seen:
            seen.add(at.index)
            print(f"{prefix}arm {at.index + 1} of {at.count}: {at.arm} ({at.stage})", flush=True)

    return show


@app.command()
def show(
    path: Annotated[Path, typer.Argument(metavar="FILE_OR_DIR", help="result file, or folder of a run")],
    csv_target: Annotated[str | None, typer.Option("--csv", metavar="PATH", help="export numbers; - for standard output")] = None,
) -> None:
    """Print the table of a result again, or export it."""
    from discsim.report.tables import print_summary, to_csv
    from discsim.study.result import Result, ResultError

    try:
        result = Result.load(path / RESULT if path.is_dir() else path)
    except ResultError as error:
        _stop(2, str(error))
    if csv_target == "-":
        to_csv(result, sys.stdout)
    elif csv_target is not None:
        to_csv(result, csv_target)
        out.print(f"written: {csv_target}")
    else:
        print_summary(result, out)


@app.command()
def doctor() -> None:
    """Whether this machine can run discsim: interpreter, DOLFINx, compiler, double precision."""
    import platform

    ok = True
    out.print(f"python {platform.python_version()} on {platform.system()} {platform.machine()}")
    try:
        import jax

        jax.config.update("jax_enable_x64", True)
        import jax.numpy as jnp

        out.print(f"jax {jax.__version__}, {jnp.zeros(1).dtype}")
        from discsim.fem.check import compile_small_form

        out.print(compile_small_form())
    except ImportError as error:
        ok = False
        out.print(f"missing: {error}; pip install 'discsim[fem]', or conda-forge fenics-dolfinx")
    except RuntimeError as error:
        ok = False
        out.print(str(error))
    out.print("all well" if ok else "the reference engine cannot run here")
    if not ok:
        raise typer.Exit(4)


@vv_app.command("list")
def vv_list() -> None:
    """The cases, by group."""
    from discsim.vv.registry import groups

    table = Table("group", "case", "slow", "description")
    for group, cases in groups().items():
        for case in cases:
            table.add_row(group, case.name, "slow" if case.slow else "", case.description)
    _wide(table)


@vv_app.command("run")
def vv_run(
    names: Annotated[list[str] | None, typer.Argument(metavar="[GROUP|CASE]...")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="leave out slow cases")] = False,
) -> None:
    """Run cases (all where none is named); 6 where a row misses without a stated reason."""
    from discsim.vv import registry

    everything = registry.cases()
    unknown = [n for n in names or [] if n not in {c.name for c in everything} | {c.group for c in everything}]
    if unknown:
        _stop(2, f"{unknown[0]!r} is no case or group; see discsim vv list")
    chosen = [c for c in everything if (not names or c.name in names or c.group in names) and not (quick and c.slow)]
    bad: list[str] = []
    for case in chosen:
        outcome = registry.run([case])[0]
        _print_outcome(outcome)
        bad += [f"{case.name}: {row}" for row in outcome.unexpected]
    out.print(f"{len(chosen)} cases, {len(bad)} unexpected rows")
    if bad:
        _stop(6, *bad)


def _print_outcome(outcome: Any) -> None:
    table = Table("row", "quantity", "unit", "computed", "expected", "band", "role", "verdict", "note")
    table.title = f"{outcome.case.group}: {outcome.case.description} ({outcome.seconds:.0f} s)"
    for row in outcome.rows:
        verdict = {True: "inside", False: "MISS", None: "reported"}[row.inside]
        reason = outcome.case.known_misses.get(row.id, "")
        band = "" if row.inside is None else f"{_number(row.low)} to {_number(row.high)}"
        verdict = f"{verdict} (stated)" if reason else verdict
        table.add_row(
            row.id, row.quantity, row.unit, _number(row.computed), _number(row.expected), band, row.role, verdict,
            "; ".join(filter(None, (row.note, reason))),
        )  # fmt: skip
    _wide(table)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.5g}"
