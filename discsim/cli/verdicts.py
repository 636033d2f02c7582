"""What a sweep means: comparison of its arms, and which inputs its readouts depend on."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from discsim.cli.common import BAD_INPUT, FAILED_ARMS, Stop, guarded, make_console, show_error, writable_folder

if TYPE_CHECKING:
    from discsim.study.check import Confirmation
    from discsim.study.ensemble import Ensemble
    from discsim.study.evidence import PartialAssumption
    from discsim.study.verdict import Comparison

COMPARISON_FILE = "comparison.json"

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of a sweep.")]
Readouts = Annotated[list[str] | None, typer.Option("--readout", metavar="NAME", help="Only this readout; may be given again.")]
Times = Annotated[
    list[str] | None,
    typer.Option(
        "--time", metavar="TIME", help='A time of the tables such as "10 year"; may be given again; the last if left out.'
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Write JSON to standard output, and nothing else.")]


@guarded
def compare(
    folder: Folder,
    readouts: Readouts = None,
    times: Times = None,
    margins: Annotated[
        list[str] | None,
        typer.Option(
            "--margin",
            metavar="READOUT=NUMBER",
            help="Difference, in the readout's unit, beyond which worse counts as harm; 0 where left out.",
        ),
    ] = None,
    as_json: Json = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Write comparison.txt, comparison.json and pictures here.")
    ] = None,
) -> None:
    """Which arm, by how much, in which discs, how sure: a verdict for each readout.

    Example: discsim compare out/cells_vs_gene --readout gag_nucleus --time "10 year"
    """
    from discsim.report.verdict import print_comparison
    from discsim.study import verdict
    from discsim.study.check import load_confirmation
    from discsim.study.held import held_assumptions

    ensemble = _ensemble(folder)
    if out is not None:  # before anything is computed and printed
        writable_folder(out)
    held = held_assumptions(folder, [one.path for one in ensemble.inputs])
    try:
        confirmation = load_confirmation(folder)
        found = verdict.compare(ensemble, readouts=_unique(readouts), times=_seconds(times), margins=_margins(margins))
    except verdict.VerdictError as error:
        raise Stop(BAD_INPUT, str(error)) from None
    if as_json:
        typer.echo(_joined(found.to_json(), confirmation, held))
    else:
        print_comparison(found, make_console(), confirmation, held)
    if out is not None:
        _write(out, ensemble, found, confirmation, held)
    if found.clear == 0:
        raise Stop(FAILED_ARMS, f"{folder}: no sample is good in every scenario; discsim compare can order nothing")


@guarded
def sensitivity(
    folder: Folder,
    readouts: Readouts = None,
    times: Times = None,
    given_data: Annotated[
        bool, typer.Option("--given-data", help="Of a Saltelli design with failed samples: first-order indices of the good ones.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Which inputs each readout, and each arm's difference from the first, depends on, beside a dummy input.

    Example: discsim sensitivity out/cells_vs_gene --readout gag_nucleus
    """
    from discsim.report.sensitivity import print_sensitivities
    from discsim.study.sensitivity import Holes, sensitivities, sensitivities_to_json
    from discsim.study.verdict import VerdictError

    ensemble = _ensemble(folder)
    try:
        found = sensitivities(
            ensemble, readouts=_unique(readouts), times=_seconds(times), given_data=given_data, planned=_planned(folder)
        )
    except Holes as error:
        raise Stop(FAILED_ARMS, str(error)) from None
    except VerdictError as error:
        raise Stop(BAD_INPUT, str(error)) from None
    if as_json:
        typer.echo(sensitivities_to_json(found))
    else:
        print_sensitivities(found, make_console())


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(compare)
    app.command()(sensitivity)


def _ensemble(folder: Path) -> Ensemble:
    if not folder.is_dir():
        raise Stop(BAD_INPUT, f"{folder}: no such folder; name the folder that discsim sweep wrote")
    from discsim.study.sweep_run import open_ensemble

    return open_ensemble(folder)


def _planned(folder: Path) -> int:
    from discsim.study.sweep_folder import load_manifest

    return load_manifest(folder).count


def _unique(names: list[str] | None) -> list[str] | None:
    return list(dict.fromkeys(names)) if names else None


def _seconds(texts: list[str] | None) -> list[float] | None:
    from discsim.quantities import units

    if not texts:
        return None
    try:
        return list(dict.fromkeys(units.parse(text, "s") for text in texts))
    except units.UnitError as error:
        raise Stop(BAD_INPUT, f'--time: {error}; write a time such as "10 year"') from None


def _margins(texts: list[str] | None) -> dict[str, float]:
    found = {}
    for text in texts or ():
        name, _, number = text.partition("=")
        try:
            found[name.strip()] = float(number)
        except ValueError:
            found[name.strip()] = math.nan
        if not found[name.strip()] >= 0.0:
            raise Stop(BAD_INPUT, f"--margin: given {text!r}; allowed: READOUT=NUMBER, zero or more, such as viable_cells=0.05")
    return found


def _joined(comparison: str, confirmation: Confirmation | None, held: tuple[PartialAssumption, ...]) -> str:
    """One JSON object: the comparison, the check where there is one, and the assumed numbers held fixed on some arms only."""
    check = "null" if confirmation is None else confirmation.to_json()
    rest = json.dumps([dataclasses.asdict(one) for one in held])
    return f'{{"comparison": {comparison},\n"check": {check},\n"held": {rest}}}'


def _write(
    out: Path,
    ensemble: Ensemble,
    found: Comparison,
    confirmation: Confirmation | None,
    held: tuple[PartialAssumption, ...],
) -> None:
    from discsim.report.verdict import print_comparison
    from discsim.report.verdict_plots import save_all

    try:
        paths = save_all(ensemble, found, out)
        (out / COMPARISON_FILE).write_text(_joined(found.to_json(), confirmation, held) + "\n", encoding="utf-8")
        with (out / "comparison.txt").open("w", encoding="utf-8") as stream:
            print_comparison(found, Console(file=stream, width=160), confirmation, held)
    except OSError as error:
        raise Stop(BAD_INPUT, f"{out}: cannot be written ({error.strerror})") from None
    show_error(f"wrote {', '.join(path.name for path in paths)}, {COMPARISON_FILE} and comparison.txt in {out}")
