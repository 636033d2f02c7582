"""The best dose, place, volume or time of a therapy, under constraints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from discsim.cli.common import (
    BAD_INPUT,
    FAILED_ARMS,
    Experiment,
    Override,
    Plugin,
    Stop,
    check_engine_name,
    guarded,
    make_console,
    show_error,
    writable_folder,
)

if TYPE_CHECKING:
    from discsim.study.optimise import Optimum
    from discsim.study.study import Study

OPTIMUM_FILE, OPTIMUM_TEXT = "optimum.json", "optimum.txt"
Texts = list[str] | None


@guarded
def optimise(
    file: Experiment,
    scenario: Annotated[str, typer.Option("--scenario", metavar="NAME", help="Scenario whose readouts count.")],
    over: Annotated[
        list[str], typer.Option("--over", metavar="PATH", help="Number that is sought, as in design.vary; may be given again.")
    ],
    maximise: Annotated[
        str | None,
        typer.Option(
            "--maximise",
            metavar="NAME@TIME",
            help='Readout at an output time: gag_nucleus@"10 year"; the last where @TIME is left out.',
        ),
    ] = None,
    minimise: Annotated[str | None, typer.Option("--minimise", metavar="NAME@TIME", help="The same, the least of it.")] = None,
    subject_to: Annotated[
        Texts,
        typer.Option("--subject-to", metavar="TEXT", help='Constraint such as "glucose_min >= 1 mM"; may be given again.'),
    ] = None,
    at_all_times: Annotated[
        bool, typer.Option("--at-all-times", help="Constraints hold at every output time, not only at that of the readout.")
    ] = False,
    lows: Annotated[Texts, typer.Option("--from", metavar="PATH=VALUE", help="Lower end of a number's range.")] = None,
    highs: Annotated[Texts, typer.Option("--to", metavar="PATH=VALUE", help="Upper end of a number's range.")] = None,
    tolerance: Annotated[
        float, typer.Option(min=1e-6, max=0.1, help="Where the search ends, as a share of range, readout and limit.")
    ] = 1e-3,
    evaluations: Annotated[int, typer.Option(min=1, metavar="N", help="Points after which the search ends.")] = 40,
    engine: Annotated[
        str, typer.Option(metavar="sweep|reduced", help="reduced: search with the reduced model, end at full order.")
    ] = "sweep",
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON to standard output, and nothing else.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help=f"Write {OPTIMUM_FILE} and {OPTIMUM_TEXT} here.")
    ] = None,
    overrides: Override = None,
    plugin: Plugin = False,
) -> None:
    """The best dose, place, volume or time of a therapy under constraints, by gradients.

    Example: discsim optimise experiments/cells_vs_gene/study.toml --scenario cells --maximise gag_nucleus@"10 year"
    --over scenarios.cells.therapy.0.dose --subject-to "glucose_min >= 1 mM" --at-all-times
    """
    from discsim.report.optimum import closest, print_optimum, to_json
    from discsim.study.config import read_study
    from discsim.study.law_check import check_laws

    check_engine_name(engine)
    if engine not in ("sweep", "reduced"):
        raise Stop(BAD_INPUT, f"--engine {engine}: has no gradients; allowed: sweep, reduced")
    if (maximise is None) == (minimise is None):
        raise Stop(BAD_INPUT, "--maximise or --minimise: give exactly one of the two")
    study = read_study(file, overrides or (), allow_plugin=plugin)
    check_laws(study)
    if out is not None:
        writable_folder(out)
    asked = maximise if maximise is not None else minimise
    assert asked is not None
    found = _search(
        study, scenario, (asked, maximise is not None), over, (subject_to or [], at_all_times),
        (_pairs("--from", lows), _pairs("--to", highs)), (tolerance, evaluations),
        engine == "reduced",
    )  # fmt: skip
    if as_json:
        typer.echo(to_json(found))
    else:
        print_optimum(found, make_console())
    if out is not None:
        _write(out, found)
    if found.best is None:
        raise Stop(FAILED_ARMS, f"no feasible point was found: {closest(found)}")
    if not found.converged:
        raise Stop(FAILED_ARMS, f"the search did not converge: {found.ended}; the best point so far is shown")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(optimise)


def _search(
    study: Study,
    scenario: str,
    asked: tuple[str, bool],
    over: list[str],
    constraints: tuple[list[str], bool],
    ends: tuple[dict[str, str], dict[str, str]],
    limits: tuple[float, int],
    reduced: bool,
) -> Optimum:
    from discsim.report.optimum import trial_line
    from discsim.study.gradient import GradientError
    from discsim.study.optimise import optimise as search
    from discsim.study.optimise_terms import OptimiseError, parse_constraint, parse_goal, parse_variables
    from discsim.study.reduced_run import ReducedRuns
    from discsim.study.train import NotTrained

    try:
        goal = parse_goal(*asked, study)
        texts, everywhere = constraints
        wanted = [parse_constraint(text, everywhere, goal, study) for text in texts]
        variables = parse_variables(study, over, *ends)
        for variable in variables:
            if variable.note:
                show_error(variable.note)
        return search(
            study,
            scenario,
            goal,
            variables,
            wanted,
            tolerance=limits[0],
            most=limits[1],
            report=lambda trial: show_error(trial_line(trial)),
            reduced=ReducedRuns(study, scenario) if reduced else None,
        )
    except (OptimiseError, GradientError, NotTrained) as error:
        raise Stop(BAD_INPUT, str(error)) from None


def _pairs(option: str, texts: list[str] | None) -> dict[str, str]:
    found = {}
    for text in texts or ():
        path, sign, value = text.partition("=")
        if not sign or not value.strip():
            raise Stop(
                BAD_INPUT, f'{option}: given "{text}"; allowed: PATH=VALUE, such as scenarios.cells.therapy.0.dose="1e6 cell"'
            )
        found[path.strip()] = value.strip()
    return found


def _write(out: Path, found: Optimum) -> None:
    from discsim.report.optimum import print_optimum, to_json

    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / OPTIMUM_FILE).write_text(to_json(found) + "\n", encoding="utf-8")
        with (out / OPTIMUM_TEXT).open("w", encoding="utf-8") as stream:
            print_optimum(found, Console(file=stream, width=160))
    except OSError as error:
        raise Stop(BAD_INPUT, f"{out}: cannot be written ({error.strerror})") from None
    show_error(f"wrote {OPTIMUM_FILE} and {OPTIMUM_TEXT} in {out}")
