"""Sweeps: run or resume one, how far one is, and whether what it stored is sound."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from discsim.cli.common import (
    BAD_INPUT,
    ENVIRONMENT,
    FAILED_ARMS,
    INTERRUPTED,
    MISMATCH,
    Experiment,
    Override,
    Plugin,
    Stop,
    check_engine_name,
    experiment_name,
    guarded,
    make_console,
    show_error,
    writable_folder,
)

if TYPE_CHECKING:
    from discsim.study.study import Study
    from discsim.study.sweep_accepted import Again
    from discsim.study.sweep_branch import Branch
    from discsim.study.sweep_plan import SweepOptions

DEVICES = ("cpu", "gpu")


@guarded
def sweep(
    file: Experiment,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder of the sweep; out/NAME where left out.")
    ] = None,
    workers: Annotated[int | None, typer.Option(metavar="N", help="Processes; as many as cores where left out.")] = None,
    batch: Annotated[
        int | None, typer.Option(metavar="N", help="Samples of a batch: what an interruption loses per worker.")
    ] = None,
    device: Annotated[str | None, typer.Option(metavar="cpu|gpu", help="What the sweep engine computes on.")] = None,
    samples: Annotated[int | None, typer.Option(metavar="N", help="Only the first N samples of the design.")] = None,
    engine: Annotated[str | None, typer.Option(metavar="sweep|reduced|fem", help="Engine; sweep where left out.")] = None,
    overrides: Override = None,
    check: Annotated[bool, typer.Option(help="Have the reference engine rerun some samples, as the check table asks.")] = True,
    force: Annotated[
        bool, typer.Option("--force", help="Where the folder holds a sweep of something else: put it aside, begin anew.")
    ] = False,
    retry: Annotated[
        str | None,
        typer.Option(
            metavar="failed",
            help="Run the samples that failed once more, exactly as before: for crashes and time limits. What they gave is kept.",
        ),
    ] = None,
    restart: Annotated[
        str | None,
        typer.Option(
            metavar="failed",
            help="Run them from scratch with every step cut in two (in four the next time), attempts counted anew: for a solver "
            "that does not converge. What they gave is kept.",
        ),
    ] = None,
    branch: Annotated[
        bool,
        typer.Option(
            "--branch",
            help="Where the folder holds a sweep of something else: leave it as it is and sweep beside it, in DIR-ID; the same "
            "command resumes there.",
        ),
    ] = False,
    extend: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help='Take the finished sweep of the folder to a longer duration ("20 year"), beside it like --branch. All of it is '
            "computed from the start, for states are not kept; on the same steps up to the old end.",
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="What a sample may take; ten times the slowest one so far where left out."),
    ] = None,
    memory: Annotated[
        float | None, typer.Option(metavar="GIB", help="What a process may hold before it is ended; any amount where left out.")
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(metavar="tcp://HOST:PORT", help="Run on the workers of this Dask scheduler, not on this machine's cores."),
    ] = None,
    ranks: Annotated[
        int, typer.Option(min=1, metavar="K", help="Processes that share a solve of --engine fem, for large meshes.")
    ] = 1,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="End at the first sample that fails.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only time the first sample and say what the sweep will take.")] = False,
    plugin: Plugin = False,
) -> None:
    """Solve every scenario for all samples of the design; the same command again resumes.

    Example: discsim sweep experiments/cells_vs_gene/study.toml --workers 2
    """
    from discsim.study.environment import need_gpu
    from discsim.study.law_check import check_laws
    from discsim.study.sweep_plan import SweepOptions

    study = _read(file, overrides, plugin)
    check_laws(study)
    if engine is not None:
        check_engine_name(engine)
    if device is not None and device not in DEVICES:
        raise Stop(BAD_INPUT, f"--device {device}: there is {', '.join(DEVICES)}")
    folder = out if out is not None else Path("out") / experiment_name(file)
    again = _again(retry, restart)
    if again and plan:
        raise Stop(BAD_INPUT, f"--plan times a whole sweep; leave --{again} failed out")
    if again:
        _need_sweep(folder, f"--{again} failed")
    ways = [name for name, given in (("--branch", branch), ("--extend", extend), ("--force", force)) if given]
    if len(ways) > 1:
        raise Stop(
            BAD_INPUT, f"{' and '.join(ways)}: one of them; --force puts the earlier sweep aside, the others leave it there"
        )
    faults = _faults(study)
    plugins = file.resolve().parent if plugin else None
    options = SweepOptions(
        engine, device, batch, workers, samples, check, force, again, plugins, timeout, fail_fast, faults, memory, address, ranks
    )
    if branch:
        folder, options = _branched(study, folder, options)
    elif extend is not None:
        study, folder, options = _extended(partial(_read, file, overrides, plugin), study, extend, folder, options)
    if not plan:
        writable_folder(folder)
    if plan and address is not None:
        raise Stop(BAD_INPUT, "--plan times this machine; leave --address out and give --workers N, the threads of the cluster")
    if device == "gpu" and address is None:  # before anything is written
        need_gpu()
    if plan:
        _plan(study, options)
        return
    _run(study, folder, options)


def _read(file: Path, overrides: Sequence[str] | None, plugin: bool, more: Sequence[str] = ()) -> Study:
    from discsim.study.config import read_study

    return read_study(file, [*(overrides or ()), *more], allow_plugin=plugin)


def _again(retry: str | None, restart: str | None) -> Again:
    """What is to become of failed samples."""
    given = {"retry": retry, "restart": restart}
    for name, word in given.items():
        if word not in (None, "failed"):
            raise Stop(BAD_INPUT, f"--{name} {word}: there is --{name} failed")
    if retry and restart:
        raise Stop(BAD_INPUT, "--retry failed runs failed samples as before, --restart failed with shorter steps: one of them")
    return "retry" if retry else "restart" if restart else ""


def _need_sweep(folder: Path, option: str) -> None:
    """Refuse to take up a sweep that is not there: a mistyped folder must not begin one of hours."""
    from discsim.study.sweep_folder import is_sweep

    if not is_sweep(folder):
        raise Stop(
            BAD_INPUT, f"{option}: no sweep lies in {folder}; name its folder with --out, or leave {option} out to begin one"
        )


def _branched(study: Study, folder: Path, options: SweepOptions) -> tuple[Path, SweepOptions]:
    """Where a branch of the sweep in a folder lies, and its options; says what it branches from."""
    from discsim.study.sweep_branch import branch_of

    found = branch_of(study, folder, options)
    if not found.changes:
        show_error(f"{folder}: holds this very sweep; it goes on there")
        return folder, options
    show_error(f"a branch of the sweep in {folder}, which stays as it is; in {found.folder}")
    _tell_changes(found)
    return found.folder, found.options


def _extended(
    read: Callable[[Sequence[str]], Study], study: Study, duration: str, folder: Path, options: SweepOptions
) -> tuple[Study, Path, SweepOptions]:
    """The longer study, where its sweep lies and its options; says what that takes."""
    from discsim.report.sweep_progress import duration_words
    from discsim.study.sweep_branch import extension_of, longer_study
    from discsim.study.sweep_result import core_seconds

    with _stops():
        longer = longer_study(read, study, duration)
        found = extension_of(study, longer, folder, options)
    show_error(f"the sweep in {folder}, which stays as it is, to {duration}; in {found.folder}")
    _tell_changes(found)
    took = duration_words(core_seconds(folder))
    show_error(f"states are not kept, so that every sample is computed from the start: the shorter sweep took {took} of one core")
    if not found.options.first_steps:
        show_error("the reduced engine has a step list of its own training: up to the old end numbers may differ a little")
    return longer, found.folder, found.options


def _tell_changes(branch: Branch) -> None:
    from discsim.study.sweep_folder import in_words

    for line in in_words(branch.changes):
        show_error(f"  {line}")


def _faults(study: Study) -> dict[int, str]:
    """Faults on purpose that the environment asks for."""
    from discsim.study.design import draw
    from discsim.study.faults import VARIABLE, FaultError, read_faults

    text = os.environ.get(VARIABLE, "")
    if not text:
        return {}
    try:
        return read_faults(text, draw(study).count)
    except FaultError as error:
        raise Stop(BAD_INPUT, str(error)) from None


def _plan(study: Study, options: SweepOptions) -> None:
    from discsim.report.sweep_tables import print_plan
    from discsim.study.sweep_plan import plan_sweep

    with tempfile.TemporaryDirectory() as scratch, _stops():
        print_plan(plan_sweep(study, Path(scratch), options), make_console())


def _run(study: Study, folder: Path, options: SweepOptions) -> None:
    from discsim.report.sweep_progress import SweepBar, duration_words
    from discsim.report.sweep_tables import print_failures
    from discsim.study.messages import counted
    from discsim.study.sweep_run import run_sweep

    began = time.monotonic()
    try:
        with _stops(), SweepBar(Console(stderr=True)) as bar:
            outcome = run_sweep(study, folder, options, bar.hook)
    except KeyboardInterrupt:
        raise Stop(INTERRUPTED, f"interrupted; what is done is kept in {folder}, and the same command resumes") from None
    for note in outcome.notes:
        show_error(note)
    console = make_console()
    done = f"{counted(outcome.total, 'sample')} of {counted(len(study.scenarios), 'scenario')}, {len(outcome.failed)} failed"
    typer.echo(f"{done}; {outcome.computed} computed now, in {duration_words(time.monotonic() - began)}; in {folder}")
    print_failures(dict(outcome.failed), console)
    if outcome.failed:
        ways = "--retry failed runs them once more, --restart failed with shorter steps"
        raise Stop(FAILED_ARMS, f"{counted(len(outcome.failed), 'sample')} failed; {ways}")


@contextlib.contextmanager
def _stops() -> Iterator[None]:
    """What keeps a sweep from going on, as exit codes."""
    from discsim.study.sweep_cluster import BadAddress, NoCluster
    from discsim.study.sweep_folder import SweepBusy, SweepChanged, SweepError, SweepUnwritable
    from discsim.study.sweep_plan import BadOption

    try:
        yield
    except (SweepBusy, SweepUnwritable, NoCluster) as error:
        raise Stop(ENVIRONMENT, str(error)) from None
    except (SweepChanged, BadOption, BadAddress) as error:
        raise Stop(BAD_INPUT, str(error)) from None
    except SweepError as error:
        raise Stop(FAILED_ARMS, str(error)) from None


@guarded
def status(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of a sweep.")],
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON to standard output, and nothing else.")] = False,
) -> None:
    """How far a sweep is; may be asked while it runs.

    Example: discsim status out/cells_vs_gene
    """
    from discsim.report.engines import engine_words
    from discsim.report.sweep_progress import words
    from discsim.report.sweep_tables import print_failures
    from discsim.study.sweep_folder import holder, is_sweep, load_manifest
    from discsim.study.sweep_result import sweep_counts, sweep_engines
    from discsim.study.sweep_state import load_state

    driver = holder(folder)
    state = load_state(folder)
    if driver is None and state is not None and state.phase != "done":  # of a driver that is no more
        state = dataclasses.replace(state, phase="stopped", running=0, rate=None, left=None)
    told: dict[str, Any] = {"driver": driver, "progress": None if state is None else dataclasses.asdict(state)}
    if driver is not None and not as_json:
        typer.echo(f"process {driver['pid']} on {driver['host']} works here since {driver['since']}")
        if state is not None:
            typer.echo(f"{state.phase}: {words(state)}")
    if driver is not None and not is_sweep(folder):  # it chooses the steps, or waits for workers to do so
        if as_json:
            typer.echo(json.dumps(told))
        return
    manifest = load_manifest(folder)
    counts = sweep_counts(folder, manifest)
    failed = {sample: why for sample, shard in counts.items() for bad, why in shard.failed().items() if bad == sample}
    engines = sweep_engines(counts)
    wanted = state.total if state is not None and state.phase != "training" else manifest.count
    if as_json:
        told |= {"title": manifest.title, "samples": manifest.count, "wanted": wanted, "computed": len(counts)}
        typer.echo(json.dumps(told | {"failed": dict(sorted(failed.items())), "engines": engines}))
        return
    first = f" (the first {wanted} were asked for)" if wanted < manifest.count else ""
    done = f"{len(counts)} of {manifest.count} samples of the design are computed"
    typer.echo(f"{manifest.title}: {done}{first}, {len(failed)} failed")
    if engines:
        typer.echo(f"computed by: {engine_words(engines)}")
    print_failures(dict(sorted(failed.items())), make_console())
    if driver is None and len(counts) < manifest.count:
        same = "the same discsim sweep command" + (" without --samples" if first and len(counts) >= wanted else "")
        typer.echo(f"nothing works here now; {same} goes on with it")


@guarded
def check(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of a sweep.")],
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON to standard output, and nothing else.")] = False,
) -> None:
    """Whether every stored shard of a sweep still holds what was written; changes nothing. Exit code 5 where one does not.

    Example: discsim check out/cells_vs_gene
    """
    from discsim.report.sweep_tables import print_failures
    from discsim.study.shard_check import check_folder

    found = check_folder(folder)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(found) | {"sound": found.sound}))
    else:
        typer.echo(f"{found.title}: {len(found.intact)} of {len(found.intact) + len(found.damaged)} shards are intact")
        for name, reason in found.damaged.items():
            typer.echo(f"damaged: {name}: {reason}")
        held = found.count - len(found.missing)
        typer.echo(f"{held} of {found.count} samples are stored, {len(found.failed)} of them failed")
        print_failures(found.failed, make_console())
        if found.damaged or found.missing:
            typer.echo("the same discsim sweep command computes what is missing, and keeps damaged files in damaged/")
    if not found.sound:
        raise typer.Exit(MISMATCH)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (sweep, status, check):
        app.command()(command)
