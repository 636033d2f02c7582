"""The reference pages, written from the code at every build, so that they cannot go stale."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterable, Sequence
from types import ModuleType

import click
import typer.main

import discsim.laws
from discsim import cli
from discsim.biology.mechanism import Mechanism
from discsim.biology.mechanisms import CATALOGUE
from discsim.problem.status import ADVICE, Status
from discsim.scenario.readouts import READOUTS
from discsim.study.catalogue import (
    OWNERS,
    DeclaredParameter,
    MechanismEntry,
    bounds_text,
    declared_parameters,
    field_entries,
    mechanism_entries,
    number_text,
)

HELP_WIDTH = 100  # columns of a command's help


def pages() -> dict[str, str]:
    """Every generated page: name without ending -> MyST text."""
    return {
        "parameters": parameters_page(),
        "mechanisms": mechanisms_page(),
        "laws": laws_page(),
        "fields": fields_page(),
        "commands": commands_page(),
        "outcomes": outcomes_page(),
    }


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; cells are shown as they are, whatever marks they hold."""
    lines = [head, ["---"] * len(head), *([_cell(word) for word in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def code(text: str) -> str:
    """A name as code; nothing where there is none."""
    return f"`{text}`" if text else ""


def _cell(text: str) -> str:
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    shown = (part if part.startswith("`") else re.sub(r"([\\*_\[\]<>^~$#])", r"\\\1", part) for part in parts)
    return "".join(shown).replace("|", r"\|")


def _literal(text: str) -> str:
    """Text as it stands, with its line breaks."""
    return f"```text\n{text.strip()}\n```\n"


def parameters_page() -> str:
    """Every declared number by owner, as it is in a healthy disc (grade I)."""
    parts = [
        "# Parameters\n",
        "Every number of the model as declared, that is for a healthy disc; `discsim params --grade 3` shows those of a grade. "
        "Evidence: *measured*, *model* (a published model or its code), *recalled* (not read again) or *assumed* (ours). "
        "Bounds say where a number may lie; they are no intervals of confidence.\n",
    ]
    rows = list(declared_parameters())
    for owner in OWNERS:
        own = [row for row in rows if row.path.partition(".")[0] == owner]
        parts += [f"## {owner}\n", table(("number", "default", "bounds", "evidence", "what and from where"), map(_number, own))]
    return "\n".join(parts)


def _number(row: DeclaredParameter) -> tuple[str, ...]:
    name = code(row.path) + (f" in {row.region}" if row.region else "")
    unit = "" if row.unit == "dimensionless" else f" {row.unit}"
    source = f"{row.description}; {row.source}" if row.description else row.source
    return name, f"{number_text(row.value)}{unit}", bounds_text(row), row.evidence, source


def mechanisms_page() -> str:
    """Every mechanism of the catalogue: its equations, what it reads and changes, its functions."""
    parts = [
        "# Mechanisms\n",
        "Each is one class. Its equations and the meaning of its symbols are those of its docstring; `(x)+` is the positive part "
        "of x. The [laws](laws.md) it calls, its [parameters](parameters.md) and the [fields](fields.md) it reads have pages of "
        "their own.\n",
    ]
    for entry in mechanism_entries():
        parts += [f"## {entry.name}\n", _mechanism(entry, CATALOGUE[entry.name])]
    return "\n".join(parts)


def _mechanism(entry: MechanismEntry, cls: type[Mechanism]) -> str:
    lists = {"reads": entry.reads, "gives": entry.gives, "changes": entry.changes, "brings the fields": entry.fields}
    lines = [f"{entry.summary}\n", _literal(inspect.getdoc(cls) or "")]
    lines += [f"- {head}: {', '.join(map(code, names)) or 'nothing'}" for head, names in lists.items()]
    lines += [f"- choice `{key}`: {', '.join(map(code, options))}" for key, options in entry.choices.items()]
    lines += [f"- form from: {_cell(entry.reference)}"] if entry.reference else []
    functions = [
        (code(name), inspect.getdoc(function) or "")
        for name, function in vars(cls).items()
        if getattr(function, "role", "") and inspect.getdoc(function)
    ]
    if functions:
        lines += ["", table(("value", "what it is"), functions)]
    return "\n".join(lines) + "\n"


def law_modules() -> list[ModuleType]:
    """The modules of ``discsim.laws``."""
    found = pkgutil.iter_modules(discsim.laws.__path__)
    return [importlib.import_module(f"discsim.laws.{module.name}") for module in found]


def laws_of(module: ModuleType) -> dict[str, str]:
    """Public functions written in a module, with their docstrings."""
    return {
        name: inspect.getdoc(function) or ""
        for name, function in vars(module).items()
        if inspect.isfunction(function) and function.__module__ == module.__name__ and not name.startswith("_")
    }


def laws_page() -> str:
    """Every law with its equation, symbols, source and range."""
    parts = ["# Laws\n", _literal(inspect.getdoc(discsim.laws) or "")]
    for module in law_modules():
        parts += [f"## {module.__name__.rpartition('.')[2]}\n", _literal(inspect.getdoc(module) or "")]
        for name, text in laws_of(module).items():
            parts += [f"### {name}\n", _literal(text)]
    return "\n".join(parts)


def fields_page() -> str:
    """Fields, drives, quantities of a point, and readouts."""
    fields = [(code(e.name), e.symbol, e.unit, e.kind, e.initial, e.description) for e in field_entries()]
    readouts = [(code(r.name), "" if r.unit == "1" else r.unit, r.kind, r.description) for r in READOUTS.values()]
    return "\n".join([
        "# Fields and readouts\n",
        "## Fields, drives, quantities of a point\n",
        "Every name that a mechanism may read, besides what other mechanisms give.\n",
        table(("name", "symbol", "unit", "kind", "start", "what it is"), fields),
        "## Readouts\n",
        table(("name", "unit", "kind", "what it is"), readouts),
    ])  # fmt: skip


def commands(command: click.Command | None = None, path: tuple[str, ...] = ("discsim",)) -> dict[str, click.Command]:
    """Every command under its full name, groups before what they hold."""
    command = command or typer.main.get_command(cli.app)
    found = {" ".join(path): command}
    for name, inner in getattr(command, "commands", {}).items():
        found |= commands(inner, (*path, name))
    return found


def commands_page() -> str:
    """Every command with its help, and the exit codes."""
    parts = ["# Commands\n", "What `discsim COMMAND --help` says. Exit codes are under [outcomes](outcomes.md).\n"]
    for name, command in commands().items():
        parts += [f"## {name}\n", _help(name, command)]
    return "\n".join(parts)


def _help(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=name, terminal_width=HELP_WIDTH, max_content_width=HELP_WIDTH)
    text, rows = inspect.cleandoc(command.help or ""), []
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None:
            rows.append((code(record[0]), record[1]))
        elif isinstance(parameter, click.Argument):
            rows.append((code(parameter.make_metavar(context)), getattr(parameter, "help", None) or ""))
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    return "\n".join([_literal(f"{usage}\n\n{textwrap.dedent(text)}"), table(("option", "what it does"), rows) if rows else ""])


def exit_codes() -> dict[int, str]:
    """Exit codes of the command line, as its module states them."""
    stated = (inspect.getdoc(cli) or "").partition("Exit codes:")[2].split("\n\n")[0]
    items = re.findall(r"(\d+) ([^,.]+)", " ".join(stated.split()))
    return {int(number): words for number, words in items}


def outcomes_page() -> str:
    """Exit codes and the closed list of statuses."""
    statuses = [(code(s), "yes" if s.good else "no", ADVICE.get(s, "")) for s in Status]
    return "\n".join([
        "# Outcomes\n",
        "## Exit codes\n",
        table(("code", "meaning"), [(str(number), words) for number, words in exit_codes().items()]),
        "## Statuses\n",
        _cell(inspect.getdoc(importlib.import_module(Status.__module__)) or "") + "\n",
        table(("status", "numbers may be used", "what to try"), statuses),
    ])  # fmt: skip
