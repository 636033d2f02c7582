"""Whatever options a command is given, it ends with a documented exit code and a short line that says why.

Commands and options are found in the command line itself, so that a new one is covered without being named here. Nothing is
computed: where a computation would begin, it is interrupted as Ctrl-C does it, after all that a command checks before.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import inspect
import json
import shutil
import sys
import tempfile
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import discsim.study.environment as environment
import discsim.study.optimise as optimise_module
import discsim.study.study as study_module
import discsim.study.sweep_run as sweep_run
import discsim.study.sweep_worker as sweep_worker
from discsim.cli import app
from discsim.problem.engine import Engine
from discsim.study.config import read_study
from discsim.study.executor import Executor, Task, no_limit
from discsim.study.result import Result
from discsim.study.sweep_plan import SweepOptions
from discsim.study.sweep_pool import Workers
from discsim.study.sweep_worker import Setup

FAKES = Path(__file__).parents[1] / "fakes"
SAMPLES = 3
EXIT_CODES = {0, 2, 3, 4, 5, 6, 130}  # README.md; 1 is an error of discsim itself
MOST_LINES, MOST_CHARACTERS = 40, 4000  # of what is told on standard error
QUICK = settings(max_examples=50, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=4000, deadline=None, database=None, suppress_health_check=list(HealthCheck))

# No "/" in random text: nothing may be written outside of the folder that a command runs in.
ODD_TEXT = st.text(st.characters(exclude_characters="/\x00", exclude_categories=["Cs"]), max_size=8)
NUMBERS = ("0", "1", "-1", "3", "7", "0.5", "nan", "inf", "1e400", "99999999999999999999", "5 parsec", "1_000", "٥", "0x10")
WORDS = (
    "", " ", "x", "é", "\U0001f9b4", "\udcff", "[red]x[/red]", "a\nb", "x" * 300, "=", "a=b", "--", "-", "failed", "untreated",
    "cells", "viable_cells", "glucose", "glucose_min", "1 year", "2 year", "0 year", "viable_cells@1 year", "@", "x@1 year",
    "viable_cells=0.1", "glucose_min >= 1 mM", "glucose_min >= 1 MPa", "loading.active", "loading.active=0.3 MPa",
    "loading.active=9 mm", "scenarios.cells.therapy.0.dose", "scenarios.cells.therapy.0.dose=1e6 cell", "design=1", "T1", "T3",
    "fem", "sweep", "reduced", "cpu", "gpu", "tcp://", "nutrition", "my_law", "CC-BY-4.0", "0000-0002-1825-0097", "https://",
    "1 (" + "(" * 200,
)  # fmt: skip
PATHS = (
    "study.toml", "bad.toml", "text.txt", "empty", "sweep", "run", "run/result.nc", "junk.nc", "cut", "missing",
    "missing/deep/x.png", "study.toml/inside", "/proc/nowhere/x", ".", "..", "", "é.toml", "\udcff.toml", "x" * 300, "new.svg",
    "new.gif", "new.zip", "golden.json", "sweep/manifest.json",
)  # fmt: skip
# What a place that is asked for by such a word should be.
FITTING = {"FILE": "study.toml", "EXPERIMENT": "study.toml", "FOLDER": "sweep", "DIR": "run", "FILE_OR_DIR": "sweep"}


@dataclasses.dataclass(frozen=True)
class Command:
    """A command by its words, with its parameters as the command line has them."""

    words: tuple[str, ...]
    parameters: tuple[Any, ...]

    def holds(self, option: str) -> bool:
        """Whether it takes an option of that name."""
        return any(option in one.opts for one in self.parameters)


def commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[Command]:
    """All commands that do something."""
    inner = getattr(command, "commands", {})
    if not inner or words == ("mechanisms",):  # lists them where no command follows
        yield Command(words, tuple(command.params))
    for name, one in inner.items():
        yield from commands(one, (*words, name))


COMMANDS = tuple(commands(typer.main.get_command(app)))


def values(parameter: Any) -> st.SearchStrategy[str]:
    """Values of a parameter: mostly of its kind, else anything."""
    kind = parameter.type_descriptor.annotation
    text = st.one_of(st.sampled_from(WORDS), ODD_TEXT)
    if kind is Path:
        fitting = st.just(FITTING.get(parameter.metavar, "new"))
        return st.one_of(fitting, fitting, fitting, st.sampled_from(PATHS), text)
    if kind in (int, float):
        return st.one_of(*[st.integers(-3, 40).map(str)] * 4, st.sampled_from(NUMBERS), text)
    if inspect.isclass(kind) and hasattr(kind, "__members__"):
        return st.one_of(*[st.sampled_from([str(one.value) for one in kind])] * 4, text)
    return st.one_of(text, st.sampled_from(NUMBERS), st.sampled_from(PATHS))


@st.composite
def command_lines(draw: st.DrawFn) -> tuple[Command, list[str]]:
    """A command, what it needs (mostly), and some of its options with values good and bad."""
    command = draw(st.sampled_from(COMMANDS))
    told = list(command.words)
    options = [one for one in command.parameters if one.param_type_name == "option"]
    needed = [one for one in options if one.required and draw(st.integers(0, 9))]
    others = draw(st.lists(st.sampled_from(options), max_size=4)) if options else []
    for one in draw(st.permutations(needed + others)):
        told.append(draw(st.sampled_from([*one.opts, *one.secondary_opts])))
        if not one.is_flag:
            told.append(draw(values(one)))
    for one in command.parameters:
        if one.param_type_name == "argument" and draw(st.integers(0, 19)):
            told.append(draw(values(one)))
    return command, told


def stop(*arguments: object, **keywords: object) -> NoReturn:
    """Ctrl-C where a computation would begin."""
    raise KeyboardInterrupt


class Stopping(Engine):
    """An engine that is interrupted at once."""

    name = "stopping"
    run = stop


class Here(Executor):
    """Tasks of a sweep in this process, which saves the seconds that another takes to start."""

    def __init__(self, setups: Sequence[Setup]) -> None:
        sweep_worker._setup, sweep_worker._model = setups[0], None

    def close(self) -> None:
        sweep_worker._setup = sweep_worker._model = None

    def run(
        self, tasks: collections.deque[Task], tick: Callable[[list[Task]], None], limit: Callable[[Task], float] = no_limit
    ) -> Iterator[tuple[Task, Any]]:
        while tasks:
            task = tasks.popleft()
            tick([task])
            yield task, task.function(*task.arguments)


def write_inputs(place: Path) -> None:
    """An experiment, a run and a sweep of it, and what is none of these."""
    from quick_engine import ENGINE, QUICK_STUDY, QuickEngine

    file = place / "study.toml"
    file.write_text(QUICK_STUDY)
    study = read_study(file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep_run, "Workers", Here)
        sweep_run.run_sweep(study, place / "sweep", SweepOptions(engine=ENGINE, workers=1, samples=SAMPLES, check=False))
    result = Result.from_records(study, QuickEngine().run(study.problem()))
    (place / "run").mkdir()
    result.save(place / "run" / "result.nc")
    for folder in ("empty", "cut"):
        (place / folder).mkdir()
    (place / "cut" / "result.nc").write_bytes((place / "run" / "result.nc").read_bytes()[:5000])
    (place / "bad.toml").write_text(QUICK_STUDY.replace("grade = 3", 'grade = "three"'))
    (place / "text.txt").write_text("no TOML\n")
    (place / "junk.nc").write_bytes(bytes(range(256)))
    (place / "golden.json").write_text("{}")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder of what commands are given; nothing computes while it is there."""
    place = tmp_path_factory.mktemp("inputs")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FAKES))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        write_inputs(place)
        patch.setattr(Workers, "__init__", stop)
        patch.setattr(study_module, "make_engine", lambda name, **keywords: Stopping())
        patch.setattr(optimise_module._Search, "run", stop)
        patch.setattr(environment, "checks", list)
        for name, content in {
            "discsim.fem.tabulate": {"tabulate": stop},
            "discsim.vv.registry": {"groups": dict, "cases": list, "run": stop},
            "discsim.study.machine_checks": {"machine_checks": lambda: [environment.Check("disk", False, "none", "make room")]},
        }.items():
            module = types.ModuleType(name)
            vars(module).update(content)
            patch.setitem(sys.modules, name, module)
        yield place


def check(inputs: Path, command: Command, told: list[str]) -> None:
    """Run a command line in a copy of the inputs."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "work"
        shutil.copytree(inputs, place)
        with contextlib.chdir(place):
            done = CliRunner().invoke(app, told)
    words = f"discsim {told!r}\n{done.exit_code} {done.exception!r}\n{done.output[:6000]}"
    assert done.exception is None or isinstance(done.exception, SystemExit), words
    assert done.exit_code in EXIT_CODES, words
    assert "Traceback" not in done.output, words
    if done.exit_code:
        assert done.stderr.strip() or done.stdout.strip(), words
    assert len(done.stderr) <= MOST_CHARACTERS and len(done.stderr.splitlines()) <= MOST_LINES, words
    if done.exit_code == 0 and "--json" in told and "--help" not in told and command.holds("--json"):
        json.loads(done.stdout)


@QUICK
@given(line=command_lines())
def test_no_option_ends_in_a_traceback(inputs: Path, line: tuple[Command, list[str]]) -> None:
    check(inputs, *line)


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_a_long_search_finds_no_traceback(inputs: Path) -> None:
    LONG(given(line=command_lines())(lambda line: check(inputs, *line)))()


def test_every_command_is_covered() -> None:
    """A command that the walk did not find would be left out in silence."""
    names = {command.words[0] for command in COMMANDS}
    assert {"run", "sweep", "mechanisms", "vv", "plot"} <= names
    assert ("mechanisms", "new") in [command.words for command in COMMANDS]
