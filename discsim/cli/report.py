"""One page about a run or a sweep, for who did not run it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from discsim.cli.common import BAD_INPUT, OfSweep, Stop, guarded, show_error, writable_folder
from discsim.study.folder_files import PAGE_FILE, RESULT_FILE

if TYPE_CHECKING:
    from discsim.report.page import Page
    from discsim.study.ensemble import Ensemble
    from discsim.study.sensitivity import Sensitivity
    from discsim.study.sweep_folder import Manifest


@guarded
def report(
    path: Annotated[Path, typer.Argument(metavar="FILE_OR_DIR", help="Result file, or the folder of a run or a sweep.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="The page; report.html in the folder where left out.")
    ] = None,
    of_sweep: OfSweep = False,
) -> None:
    """One self-contained HTML page: question, methods, numbers, verdict, limits, what is assumed, what failed.

    Example: discsim report out/cells_vs_gene -o cells_vs_gene.html
    """
    from discsim.study.store import write_text_file
    from discsim.study.sweep_folder import is_sweep

    target = out or (path if path.is_dir() else path.parent) / PAGE_FILE
    if target.is_dir():
        raise Stop(BAD_INPUT, f"{target}: is a folder; name a file such as {target / PAGE_FILE}")
    if target.exists() and not target.is_file():  # a device would be replaced
        raise Stop(BAD_INPUT, f"{target}: is no ordinary file; name one such as {PAGE_FILE}")
    if out is not None:  # before anything is drawn
        writable_folder(target.parent)
    sweeps, runs = path.is_dir() and is_sweep(path), not path.is_dir() or (path / RESULT_FILE).exists()
    about_sweep = of_sweep or (sweeps and not runs)
    page = _sweep_page(path) if about_sweep else _run_page(path / RESULT_FILE if path.is_dir() else path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_text_file(target, page.html)
    except OSError as error:
        raise Stop(BAD_INPUT, f"{target}: cannot be written ({error.strerror})") from None
    typer.echo(f"report in {target}")
    if sweeps and runs and not of_sweep:
        show_error(f"the report is about the run; {path} holds a sweep too: --sweep reports that")


def _run_page(path: Path) -> Page:
    from discsim.report.pages import run_page
    from discsim.study.result import Result

    return run_page(Result.load(path))


def _sweep_page(folder: Path) -> Page:
    from discsim.report.pages import sweep_page
    from discsim.study import verdict
    from discsim.study.check import load_confirmation
    from discsim.study.held import held_assumptions
    from discsim.study.stored_shape import read_nominal
    from discsim.study.sweep_folder import load_manifest
    from discsim.study.sweep_result import open_ensemble

    manifest, nominal = load_manifest(folder), read_nominal(folder)
    ensemble = open_ensemble(folder)
    held = held_assumptions(folder, [one.path for one in ensemble.inputs])
    try:
        comparison, confirmation = verdict.compare(ensemble, alone=True), load_confirmation(folder)
    except verdict.VerdictError as error:
        raise Stop(BAD_INPUT, str(error)) from None
    return sweep_page(ensemble, comparison, confirmation, held, _sensitivity(ensemble, manifest), manifest, nominal)


def _sensitivity(ensemble: Ensemble, manifest: Manifest) -> tuple[Sensitivity, ...] | str:
    """What ``discsim sensitivity`` tells of the sweep, or why it tells nothing."""
    from discsim.study.sensitivity import sensitivities
    from discsim.study.verdict import VerdictError

    try:
        return sensitivities(ensemble, planned=manifest.count)
    except VerdictError as error:
        return str(error)


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(report)
