"""What all commands share: exit codes, messages, options, and what Ctrl-C does."""

from __future__ import annotations

import contextlib
import enum
import errno
import functools
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup
from typer.exceptions import TyperException

from discsim.study.folder_files import RESULT_FILE

if TYPE_CHECKING:
    from discsim.problem.engine import Engine

BAD_INPUT, FAILED_ARMS, ENVIRONMENT, MISMATCH, NO_EVIDENCE, INTERRUPTED = 2, 3, 4, 5, 6, 130
CLOSED = 141  # as the shell names the end by a closed pipe
# What the system says of a path that a user named, not of a fault in discsim.
UNUSABLE_PATH = {
    errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.EACCES, errno.EPERM, errno.EROFS,
}  # fmt: skip
NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
PATH_SHOWN = 120  # characters of a path in a message
PLAIN_WIDTH = 320  # columns of a table that is not shown on a terminal


class Format(enum.StrEnum):
    """How a table is written."""

    TABLE = "table"
    CSV = "csv"


class Stop(Exception):
    """End of a command with a code and a line on standard error."""

    def __init__(self, code: int, message: str = "") -> None:
        super().__init__(message)
        self.code = code


class Settings:
    """What the options before the command ask for."""

    debug = False


Experiment = Annotated[Path, typer.Argument(metavar="FILE", help="Experiment file (TOML).")]
Override = Annotated[
    list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Set a value of the file; may be given again.")
]
Plugin = Annotated[
    bool, typer.Option("--allow-plugin", help="Import mechanisms of other modules that the file names; this runs their code.")
]
OfSweep = Annotated[
    bool, typer.Option("--sweep", help="Of a folder that holds a run and a sweep: the sweep. The run where left out.")
]


class Words(TyperGroup):
    """The commands; tells what is wrong with a command line in one line, and refuses an empty word before any of them begins.

    That is most often a shell variable that is not set, and ``--out ""`` would be the folder one stands in.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line."""
        for number, word in enumerate(args):
            before = args[number - 1] if number else ""
            if not word:
                place = before if before.startswith("-") else f"word {number + 1} of the command"
            elif word.startswith("--") and word.endswith("=") and word.count("=") == 1:
                place = word[:-1]
            else:
                continue
            show_error(f'{place}: given ""; allowed: a value; is a variable of the shell not set?')
            raise typer.Exit(BAD_INPUT)
        return self._told(ctx, lambda: super(Words, self).parse_args(ctx, args))

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the words name."""
        return self._told(ctx, lambda: super(Words, self).invoke(ctx))

    def _told[T](self, ctx: Any, action: Callable[[], T]) -> T:
        try:
            return action()
        except TyperException as error:
            if type(error).__name__ == "NoArgsIsHelpError":  # the help itself
                raise
            path = (getattr(error, "ctx", None) or ctx).command_path
            show_error(f"{path}: {' '.join(error.format_message().split())} ({path} --help)")
            raise typer.Exit(BAD_INPUT) from None


def show_error(message: str) -> None:
    """A line on standard error."""
    Console(stderr=True).print(Text(message), soft_wrap=True)


def make_console() -> Console:
    """Standard output: as wide as the terminal, or wide enough for every table."""
    console = Console()
    return console if console.is_terminal else Console(width=PLAIN_WIDTH)


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """The command with every error turned into lines and an exit code."""

    @functools.wraps(command)
    def guarded_command(*args: Any, **keywords: Any) -> None:
        try:
            command(*args, **keywords)
        except typer.Exit:
            raise
        except BrokenPipeError:  # whoever reads has enough, such as head; the rest goes nowhere
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(CLOSED) from None
        except Stop as stop:
            if str(stop):
                show_error(str(stop))
            raise typer.Exit(stop.code) from None
        except KeyboardInterrupt:
            show_error("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            code, message = judged(error)
            if code == 1 and Settings.debug:
                raise
            show_error(message)
            raise typer.Exit(code) from None

    return guarded_command


def judged(error: Exception) -> tuple[int, str]:
    """Exit code and message of an error. Rooms are loaded here, where something failed anyway."""
    from discsim.problem.discretisation import DiscretisationError
    from discsim.study.environment import MissingTool, cache_folder
    from discsim.study.messages import ConfigError, first_line

    if isinstance(error, ConfigError):
        return BAD_INPUT, str(error)
    if isinstance(error, (MissingTool, DiscretisationError)):
        return ENVIRONMENT, str(error)
    if type(error).__name__ == "ResultError":  # its module loads xarray, which only commands that meet results need
        return BAD_INPUT, str(error)
    place = getattr(error, "filename", None)
    if isinstance(error, OSError) and isinstance(place, str) and Path(place).is_relative_to(cache_folder()):
        remedy = "set XDG_CACHE_HOME to a folder that you may write to, with room"
        return ENVIRONMENT, f"{place}: compiled forms cannot be kept there ({error.strerror}); {remedy}"
    if isinstance(error, OSError) and place is not None and error.errno in UNUSABLE_PATH | NO_ROOM:
        path = os.fsdecode(place)
        named = path if len(path) <= PATH_SHOWN else f"{path[:PATH_SHOWN]}..."
        return ENVIRONMENT if error.errno in NO_ROOM else BAD_INPUT, f"{named}: cannot be used ({error.strerror})"
    return 1, f"{type(error).__name__}: {first_line(error)}\nunexpected; discsim --debug COMMAND ... shows where"


def experiment_name(file: Path) -> str:
    """Name of an experiment: its folder's, where the file has the usual name, else the file's."""
    return file.resolve().parent.name or file.stem if file.stem == "study" else file.stem


def prepare_folder(folder: Path, force: bool) -> None:
    """Refuse a result that exists and a folder that cannot be written to, before anything is computed."""
    target = folder / RESULT_FILE
    if target.exists() and not force:
        raise Stop(BAD_INPUT, f"{target}: exists; --force replaces it, --out DIR writes elsewhere")
    if target.is_dir():
        raise Stop(BAD_INPUT, f"{target}: a folder; --out DIR writes elsewhere")
    writable_folder(folder)


def writable_folder(folder: Path) -> None:
    """Refuse a folder that cannot be written to."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise Stop(BAD_INPUT, f"{folder}: {existing} is a file; name a folder")
    try:  # only an attempt tells: not every place that a user may write to takes folders
        os.rmdir(tempfile.mkdtemp(dir=existing))
    except OSError as error:
        raise Stop(BAD_INPUT, f"{folder}: {existing} cannot be written to ({error.strerror})") from None


def check_engine_name(name: str) -> None:
    """Refuse an engine that there is not."""
    from discsim.study.study import ENGINES

    if name not in ENGINES:
        raise Stop(BAD_INPUT, f"--engine {name}: there is {', '.join(ENGINES)}")


def solving_engine(name: str, ranks: int = 1, log: Path | None = None) -> Engine:
    """The engine of that name, on several ``ranks`` (with a ``log``) where asked; raises ``MissingTool`` where this machine lacks
    what it needs."""
    from discsim.study.environment import MissingTool, check_ranks, need_compiler
    from discsim.study.study import make_engine

    check_engine_name(name)
    if name == "fem":
        need_compiler()
    try:
        check_ranks(ranks)
    except ValueError as error:
        raise Stop(BAD_INPUT, f"--ranks {error}") from None
    try:
        return make_engine(name, ranks=ranks, log=log)
    except ImportError as error:
        raise MissingTool(str(error)) from None
    except ValueError as error:
        raise Stop(BAD_INPUT, f"--engine {name}: {error}") from None


@contextlib.contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Make Ctrl-C hold where a solver's callback swallows it (the next step raises it again) or turns it into its own error.

    So does what ``kill`` and batch systems send, which PETSc would answer with pages of advice.
    """
    asked = False

    def ask(number: int, frame: Any) -> None:
        nonlocal asked
        asked = True
        raise KeyboardInterrupt

    def check() -> None:
        if asked:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield check
    except Exception:
        if asked:
            raise KeyboardInterrupt from None
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
