"""Mechanisms by the word that stands in ``mechanisms.use``: those that ship, and classes of the user's own modules.

Importing a module runs its code, so a file alone may never cause it: whoever reads the file has to allow it.
"""

from __future__ import annotations

import contextlib
import importlib
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from discsim.biology.mechanism import Mechanism
from discsim.biology.mechanisms import CATALOGUE
from discsim.quantities.parameters import ParameterError

PACKAGE = Path(__file__).parents[1]
_WORD = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class PluginError(ValueError):
    """A word that leads to no mechanism; the message says why."""


def is_plugin(word: str) -> bool:
    """Whether a word names a class of a module, such as ``mymodel:AcidDeath``."""
    return ":" in word


def word_of(cls: type[Mechanism]) -> str:
    """The word that stands for a mechanism in ``mechanisms.use``; raises ``PluginError`` for a class that no module names."""
    if CATALOGUE.get(cls.name) is cls:
        return cls.name
    word = f"{cls.__module__}:{cls.__qualname__}"
    if not _WORD.fullmatch(word):
        raise PluginError(f"mechanism {cls.__qualname__} is made inside a function; a file can name a class of a module only")
    return word


def mechanism_class(word: str, folder: Path | None = None) -> type[Mechanism]:
    """The mechanism that a word stands for; a module is looked for beside the experiment file (``folder``) as well."""
    if not is_plugin(word):
        return CATALOGUE[word]
    if not _WORD.fullmatch(word):
        raise PluginError('write module and class, such as "mymodel:AcidDeath"')
    module, _, name = word.partition(":")
    try:
        with _folder_on_path(folder):
            found: Any = getattr(importlib.import_module(module), name, None)
    except (Exception, SystemExit) as error:  # whatever a module of the user's does when it is imported
        # a mistake of syntax says itself where it is
        where = "" if isinstance(error, SyntaxError) else line_of(error, lambda file: not _of_machinery(file))
        raise PluginError(f"importing {module} failed: {type(error).__name__}: {error}{where}") from error
    if not (isinstance(found, type) and issubclass(found, Mechanism)):
        raise PluginError(f"{module} holds no mechanism {name}")
    _check(found)
    return found


def line_of(error: BaseException, own: Callable[[str], bool]) -> str:
    """The last line that ran in a file of which ``own`` is true, as words to be added; empty where none did."""
    frames = [one for one in traceback.extract_tb(error.__traceback__) if own(one.filename)]
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""


def _of_machinery(filename: str) -> bool:
    """Whether a file is discsim's own or Python's import system."""
    return filename.startswith("<frozen importlib") or Path(filename).is_relative_to(PACKAGE) or importlib.__file__ == filename


def _check(cls: type[Mechanism]) -> None:
    if not _NAME.fullmatch(cls.name):
        raise PluginError(f"{cls.__name__}.name is {cls.name!r}; a name of letters, digits and _ is needed")
    if cls.name in CATALOGUE:
        raise PluginError(f"{cls.__name__}.name is {cls.name!r}, which a mechanism that ships has already")
    try:
        cls()
        for parameter in cls.parameters().values():
            parameter.value(parameter.default)
    except ParameterError as error:  # off its bounds, bounds of another dimension
        raise PluginError(str(error)) from None
    except Exception as error:  # a default without unit
        raise PluginError(f"{cls.__name__} cannot be made: {type(error).__name__}: {error}") from error


@contextlib.contextmanager
def _folder_on_path(folder: Path | None) -> Iterator[None]:
    """The folder last on the search path, so that a module beside the file hides none that is installed."""
    if folder is None:
        yield
        return
    entry = str(folder.resolve())
    sys.path.append(entry)
    try:
        yield
    finally:
        sys.path.remove(entry)
