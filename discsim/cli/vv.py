"""Verification and validation, case by case."""

from __future__ import annotations

import importlib
from typing import Annotated, Any

import typer

from discsim.cli.common import BAD_INPUT, NO_EVIDENCE, Stop, guarded, make_console

vv_app = typer.Typer(no_args_is_help=True, help="Verification and validation, case by case.")


def register(app: typer.Typer) -> None:
    """Add ``vv``."""
    app.add_typer(vv_app, name="vv")


@vv_app.command("list")
@guarded
def vv_list() -> None:
    """Groups and cases.

    Example: discsim vv list
    """
    groups = _registry().groups()
    for group, cases in groups.items():
        typer.echo(group)
        for case in cases:
            typer.echo(f"  {case.name}: {case.description}{' (slow)' if case.slow else ''}")


@vv_app.command("run")
@guarded
def vv_run(
    names: Annotated[list[str] | None, typer.Argument(metavar="[GROUP]...", help="Groups or cases; all where left out.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out slow cases.")] = False,
) -> None:
    """Run cases and compare their numbers with what is expected.

    Example: discsim vv run transport --quick
    """
    from discsim.report.outcomes import print_outcome
    from discsim.study.messages import nearest

    registry = _registry()
    groups = registry.groups()
    cases = {case.name: case for group in groups.values() for case in group}
    chosen: dict[str, Any] = {}
    for name in names or groups:
        if name not in groups and name not in cases:
            found = nearest(name, [*groups, *cases])
            meant = f"; did you mean {found}?" if found else ""
            raise Stop(
                BAD_INPUT, f"no group or case {name!r}; groups are {', '.join(groups)}; discsim vv list names the cases{meant}"
            )
        chosen |= {case.name: case for case in groups.get(name, [cases.get(name)])}
    console, unexpected = make_console(), []
    running = [case for case in chosen.values() if not (quick and case.slow)]
    for case in running:
        outcome = registry.run([case])[0]
        print_outcome(outcome, console)
        unexpected += [f"{case.name}: {row}" for row in outcome.unexpected]
    typer.echo(f"{len(running)} cases, {len(unexpected)} unexpected rows")
    if unexpected:
        raise Stop(NO_EVIDENCE, "\n".join(["rows whose verdict is not the stated one:", *unexpected]))


def _registry() -> Any:
    from discsim.study.environment import MissingTool

    registry = importlib.import_module("discsim.vv.registry")
    try:
        registry.cases()
    except ImportError as error:
        raise MissingTool(f"the cases need DOLFINx and the tools of the developers ({error})") from None
    return registry
