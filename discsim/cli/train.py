"""``discsim train``: a reduced model of a study, made from full-order runs over its box."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from discsim.cli.common import (
    BAD_INPUT,
    FAILED_ARMS,
    INTERRUPTED,
    Experiment,
    Override,
    Plugin,
    Stop,
    guarded,
    make_console,
)

if TYPE_CHECKING:
    from discsim.study.study import Study
    from discsim.study.train import Place
    from discsim.sweep.reduced.engine import Training


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(train)


@guarded
def train(
    file: Experiment,
    workers: Annotated[int | None, typer.Option(metavar="N", min=1, help="Processes; as many as cores where left out.")] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Only show the training there is: modes, points, errors, bars, cost.")
    ] = False,
    anew: Annotated[bool, typer.Option("--anew", help="Train even where the study has a training already.")] = False,
    enrich: Annotated[
        Path | None,
        typer.Option(
            metavar="SWEEP", help="Train again, with the samples that this sweep had to leave to the full order (20 at most)."
        ),
    ] = None,
    overrides: Override = None,
    plugin: Plugin = False,
) -> None:
    """Make the reduced model of a study from full-order runs over its table design.vary; discsim sweep --engine reduced uses it.

    The same command again resumes after an interruption. Example: discsim train experiments/cells_vs_gene/study.toml
    """
    from discsim.report.training import print_training
    from discsim.study.config import read_study
    from discsim.study.law_check import check_laws
    from discsim.study.train import REMEDY, NotTrained, trained

    study = read_study(file, overrides or (), allow_plugin=plugin)
    check_laws(study)
    if enrich is not None:
        if report or anew:
            raise Stop(BAD_INPUT, "--enrich trains by itself; leave --report and --anew out")
        _enrich(study, enrich)
    place = _place(study)
    found: Training | None = None
    if not anew:
        try:
            found = trained(study)
        except NotTrained as error:
            if report:
                raise Stop(BAD_INPUT, str(error)) from None
            typer.echo(f"{str(error).removesuffix(REMEDY)}; trained now", err=True)
    if found is None:
        found = _train(study, workers, file.resolve().parent if plugin else None)
    elif not report:
        typer.echo(f"trained already ({place.path}); --anew trains once more", err=True)
    print_training(found, study, make_console())


def _place(study: Study) -> Place:
    from discsim.study.train import NotTrained, place_of

    try:
        return place_of(study)
    except NotTrained as error:
        raise Stop(BAD_INPUT, str(error)) from None


def _enrich(study: Study, sweep: Path) -> None:
    """Let the samples of a sweep that ran at full order join the training, and say how many do."""
    from discsim.study.enrichment import add

    found = add(study, sweep, _place(study).listed)
    words = [
        (found.new, "join the training"),
        (found.already, "are in it already"),
        (found.outside, "lie outside of the trained box and stay at full order: a wider range in [design.vary] takes them in"),
        (found.room, "find no room"),
    ]
    told = "; ".join(f"{count} {what}" for count, what in words if count)
    typer.echo(f"samples left to the full order: {told or 'none'}", err=True)


def _train(study: Study, workers: int | None, plugins: Path | None) -> Training:
    from discsim.report.sweep_progress import SweepBar
    from discsim.study.sweep_state import SweepProgress
    from discsim.study.train import NotTrained, train_study

    with SweepBar(Console(stderr=True)) as bar:

        def tell(stage: str, done: int, of: int) -> None:
            bar.hook(SweepProgress("training", done, 0, 0, of))

        try:
            return train_study(study, tell, workers=workers, plugins=plugins)
        except NotTrained as error:
            raise Stop(FAILED_ARMS, str(error)) from None
        except KeyboardInterrupt:
            raise Stop(INTERRUPTED, "interrupted; the runs that are done are kept, and the same command resumes") from None
