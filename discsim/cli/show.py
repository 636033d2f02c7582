"""``discsim show``: what a result or a sweep holds, where it came from, what happened to a sample."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from discsim.cli.common import BAD_INPUT, OfSweep, Stop, guarded, make_console, show_error
from discsim.study.folder_files import RESULT_FILE


@guarded
def show(
    path: Annotated[Path, typer.Argument(metavar="FILE_OR_DIR", help="Result file, or the folder that it lies in.")],
    csv: Annotated[
        str | None, typer.Option("--csv", metavar="PATH", help="Write the numbers as CSV; - for standard output.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option("--sample", metavar="N", help="What happened to sample N of a sweep, attempt by attempt.")
    ] = None,
    provenance: Annotated[
        bool, typer.Option("--provenance", help="Where it came from: code, experiment, lock file, versions, machine.")
    ] = False,
    of_sweep: OfSweep = False,
) -> None:
    """The table of a result, or of a sweep so far.

    Example: discsim show out/cells_vs_gene --sample 7
    """
    from discsim.study.sweep_folder import is_sweep

    if sum((csv is not None, sample is not None, provenance)) > 1:
        raise Stop(BAD_INPUT, "--csv, --sample and --provenance: one of them at a time")
    sweeps, runs = path.is_dir() and is_sweep(path), not path.is_dir() or (path / RESULT_FILE).exists()
    if sample is not None:
        _show_sample(path, sample)
    elif of_sweep or (sweeps and not runs):
        _show_sweep(path, csv, provenance)
    else:
        _show_result(path / RESULT_FILE if path.is_dir() else path, csv, provenance)
    if sweeps and runs and sample is None and not of_sweep:
        show_error(f"{path} holds a sweep too: --sweep shows it; discsim status, discsim compare")


def _show_result(path: Path, csv: str | None, provenance: bool) -> None:
    from discsim.report.tables import print_summary, to_csv
    from discsim.study.result import Result

    result = Result.load(path)
    if provenance:
        _print_origin(result.tree.attrs)
    elif csv is None:
        print_summary(result, make_console())
    else:
        with _csv_target(csv) as stream:
            to_csv(result, stream)


def _show_sweep(folder: Path, csv: str | None, provenance: bool) -> None:
    from discsim.report.sweep_tables import print_sweep, write_sweep
    from discsim.study.stored_shape import read_nominal
    from discsim.study.sweep_folder import load_manifest
    from discsim.study.sweep_result import open_ensemble

    if provenance:
        _print_origin(read_nominal(folder).attrs)
        return
    ensemble = open_ensemble(folder)
    if csv is None:
        print_sweep(ensemble, load_manifest(folder).count, make_console())
    else:
        with _csv_target(csv) as stream:
            write_sweep(ensemble, stream)


def _show_sample(folder: Path, sample: int) -> None:
    from discsim.report.sample_tables import print_sample
    from discsim.study.sample_history import sample_history

    if not folder.is_dir():
        raise Stop(BAD_INPUT, f"--sample {sample}: {folder} is no folder of a sweep, and a single run has no samples")
    print_sample(sample_history(folder, sample), make_console())


def _print_origin(attributes: Mapping[Any, Any]) -> None:
    from discsim.report.origin import origin_facts

    for name, value in origin_facts(attributes):
        typer.echo(f"{name}: {value}")


@contextlib.contextmanager
def _csv_target(path: str) -> Iterator[TextIO]:
    """Standard output for ``-``, else a new file."""
    if path == "-":
        yield sys.stdout
        return
    try:
        with Path(path).open("w", encoding="utf-8", newline="") as stream:
            yield stream
    except OSError as error:
        raise Stop(BAD_INPUT, f"{path}: cannot be written ({error.strerror})") from None


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(show)
