"""``discsim explore``: a local page on which the swept numbers are moved and all arms follow at once."""

from __future__ import annotations

import importlib.util
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from discsim.cli.common import BAD_INPUT, ENVIRONMENT, Experiment, Override, Plugin, Stop, guarded, show_error

if TYPE_CHECKING:
    from discsim.study.explore import Explorer
    from discsim.study.study import Study

LOCAL = "127.0.0.1"
PORT = 8050


@guarded
def explore(
    file: Experiment,
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="Port on this machine; 0 takes any free one.")] = PORT,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
    overrides: Override = None,
    plugin: Plugin = False,
) -> None:
    """A page on this machine: sliders for the numbers of design.vary; curves with error bars, a field, the certificate.

    The reduced model of the study draws it, so discsim train comes first. Ctrl-C ends it.
    Example: discsim explore experiments/cells_vs_gene/study.toml
    """
    from discsim.study.config import read_study
    from discsim.study.law_check import check_laws

    study = read_study(file, overrides or (), allow_plugin=plugin)
    check_laws(study)
    if importlib.util.find_spec("dash") is None:
        raise Stop(ENVIRONMENT, "the page needs Dash, which is an extra: pip install 'discsim[explore]'")
    listening = _listen(port)
    with listening:
        explorer = _explorer(study, file, tuple(overrides or ()), plugin)
        _serve(explorer, listening, browser)


def _listen(port: int) -> socket.socket:
    """A socket that only this machine reaches."""
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((LOCAL, port))
        found.listen()
    except OSError as error:
        found.close()
        raise Stop(ENVIRONMENT, f"--port {port}: cannot be used ({error.strerror}); --port 0 takes any free one") from None
    return found


def _explorer(study: Study, file: Path, overrides: tuple[str, ...], plugin: bool) -> Explorer:
    from discsim.study.explore import Explorer
    from discsim.study.toml_text import read_text
    from discsim.study.train import NotTrained

    try:
        found = Explorer(study, read_text(file), overrides, source=str(file), folder=file.parent, allow_plugin=plugin)
    except NotTrained as error:
        raise Stop(BAD_INPUT, str(error)) from None
    show_error("compiling the reduced model ...")
    found.warm()
    return found


def _serve(explorer: Explorer, listening: socket.socket, browser: bool) -> None:
    import webbrowser

    from discsim.report.explore_page import ExplorerPage, serve

    address = f"http://{LOCAL}:{listening.getsockname()[1]}/"
    page = ExplorerPage(explorer)

    def ready() -> None:
        typer.echo(f"{address} (Ctrl-C ends)")
        if browser:
            webbrowser.open(address)

    try:
        serve(page, listening, ready)
    except KeyboardInterrupt:
        show_error("ended")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(explore)
