"""What ``discsim COMMAND --help`` shows."""

from __future__ import annotations

import inspect

import click
import pytest
import typer
from typer.testing import CliRunner

from discsim.cli import app

WIDTH = 500  # columns: no help text of an option is broken at this width
FRAME = str.maketrans("│╭╮╰╯─", "      ")


def commands(command: click.Command, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], click.Command]:
    """Every command under its words, groups included."""
    found = {path: command}
    for name, inner in getattr(command, "commands", {}).items():
        found |= commands(inner, (*path, name))
    return found


COMMANDS = commands(typer.main.get_command(app))


def shown(path: tuple[str, ...]) -> str:
    """Help as it is printed, in one line without its frame."""
    result = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": str(WIDTH), "TERMINAL_WIDTH": str(WIDTH)})
    assert result.exit_code == 0
    return " ".join(result.output.translate(FRAME).split())


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_shows_every_word_that_the_code_states(path: tuple[str, ...]) -> None:
    """The renderer takes words in square brackets for a style and drops them."""
    command, page = COMMANDS[path], shown(path)
    stated = [inspect.cleandoc(command.help or ""), *(getattr(parameter, "help", None) or "" for parameter in command.params)]
    assert [text for text in stated if " ".join(text.split()) not in page] == []


@pytest.mark.parametrize("path", [path for path in COMMANDS if path not in ((), ("vv",))], ids=" ".join)
def test_help_gives_an_example_that_begins_with_the_command(path: tuple[str, ...]) -> None:
    assert f"Example: discsim {' '.join(path)}" in shown(path)
