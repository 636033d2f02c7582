"""Mistakes in an experiment file: each is one line with key, what was given, what is allowed, and a hint."""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
from collections.abc import Iterable, Sequence

from discsim.quantities import units
from discsim.quantities.parameters import Parameter, ParameterError

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_GIVEN = 60
_MOST_NAMES = 16


@dataclasses.dataclass(frozen=True)
class Mistake:
    """One mistake. ``key`` is the path in the file, ``hint`` the nearest valid word or the reason; it may be empty."""

    key: str
    given: str
    allowed: str
    hint: str = ""

    def __str__(self) -> str:
        line = f"{self.key}: given {self.given}; allowed: {self.allowed}"
        return " ".join((f"{line}; {self.hint}" if self.hint else line).split())


class ConfigError(ValueError):
    """An experiment file that cannot be used; ``problems`` holds every mistake, the message one line for each."""

    def __init__(self, problems: Iterable[Mistake], source: str = "") -> None:
        self.problems = tuple(problems)
        self.source = source
        super().__init__("\n".join(map(str, self.problems)))


class Complaints:
    """Collects mistakes, so that all are told at once."""

    def __init__(self) -> None:
        self.problems: list[Mistake] = []

    def add(self, key: str, given: object, allowed: str, hint: str = "") -> None:
        """Note a mistake; ``given`` is shown as it stands in the file."""
        self.problems.append(Mistake(key, given if isinstance(given, Shown) else shown(given), allowed, hint))

    def told(self, key: str) -> bool:
        """Whether something is noted for this very key."""
        return any(mistake.key == key for mistake in self.problems)

    def unknown(self, key: str, word: str, known: Sequence[str], *, hint: str = "") -> str | None:
        """Note an unknown name (the last part of ``key``); returns the nearest valid one, by which to go on."""
        found = nearest(word, known)
        meant = f"did you mean {found}?" if found else hint
        self.add(key, Shown("an unknown key"), names(known, word), meant)
        return found

    def choice(self, key: str, given: object, choices: Sequence[str]) -> str | None:
        """``given`` where it is one of ``choices``; else notes a mistake and returns the nearest choice, or nothing."""
        if isinstance(given, str) and given in choices:
            return given
        found = nearest(given, choices) if isinstance(given, str) else None
        self.add(key, given, names(choices, str(given)), f"did you mean {quoted(found)}?" if found else "")
        return found

    def value(self, key: str, parameter: Parameter, given: object, region: str | None = None) -> str | float | None:
        """``given`` as it is kept (see ``canonical``); notes a mistake and returns nothing where it is not admitted."""
        low, high = bounds_text(parameter, region)
        default = default_text(parameter, region)
        plain = parameter.unit == "dimensionless"
        wanted = f"a number such as {default}" if plain else f"text with a unit such as {quoted(default)}"
        try:
            units.parse(given, parameter.internal)
            parameter.number(given, region)
        except units.UnitError as error:
            self.add(key, given, f"{wanted}, {low} to {high}", reason(error, given, parameter))
        except ParameterError:
            self.add(key, given, f"{low} to {high}", "outside its bounds")
        else:
            return canonical(parameter, given)
        return None


class Shown(str):
    """Text that is shown as it is, without quotation marks."""


def canonical(parameter: Parameter, given: object) -> str | float:
    """How an admitted value is kept: a plain number where there is no unit, else number, one space and unit."""
    if not isinstance(given, str):
        return float(given)  # type: ignore[arg-type]  # units.parse has accepted it
    number, unit = units.split(given)
    if unit == "dimensionless":
        return number
    return f"{given.split()[0]} {' '.join(unit.split())}"


def default_text(parameter: Parameter, region: str | None = None) -> str:
    """The declared default, of one region where there are several."""
    if isinstance(parameter.default, str):
        return parameter.default
    return parameter.default[region or parameter.regions[0]]


def bounds_text(parameter: Parameter, region: str | None = None) -> tuple[str, str]:
    """The declared bounds as text."""
    pair = parameter.bounds
    return pair if isinstance(pair, tuple) else pair[region or parameter.regions[0]]


def first_line(error: BaseException) -> str:
    """The first line of an error that says something; those of some libraries begin with an empty one."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")


def nearest(word: str, known: Sequence[str]) -> str | None:
    """The valid word that looks most like ``word``."""
    folded = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower()[:200], list(folded), n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def names(known: Sequence[str], word: str = "") -> str:
    """Valid names; of many only those that look most like ``word``."""
    if not known:
        return "nothing here"
    if len(known) <= _MOST_NAMES:
        return ", ".join(known)
    close = difflib.get_close_matches(word, list(known), n=6, cutoff=0.0)
    return f"{', '.join(close)} and {len(known) - len(close)} more"


def key_path(*parts: str | int) -> str:
    """A path in the file; parts that are no bare keys of TOML are quoted."""
    words = [str(part) for part in parts]
    return ".".join(w if _BARE_KEY.fullmatch(w) else quoted(w) for w in words)


def counted(count: int, word: str) -> str:
    """So many of a thing, in the singular for one."""
    return f"{count} {word}{'' if count == 1 else 's'}"


def quoted(text: str | None) -> str:
    """Text in quotation marks, on one line."""
    return json.dumps(text, ensure_ascii=False)


def shown(given: object) -> str:
    """A value as it stands in the file, on one line and not too long."""
    if isinstance(given, dict):
        return "a table" if given else "an empty table"
    if isinstance(given, list):
        text = "[" + ", ".join(shown(item) for item in given[:9]) + (", ..." if len(given) > 9 else "") + "]"
    elif isinstance(given, str):
        text = quoted(given)
    elif isinstance(given, bool):
        text = str(given).lower()
    elif isinstance(given, int) and given.bit_length() > 200:
        return f"a whole number of {given.bit_length()} bits"
    else:
        text = str(given)
    return text if len(text) <= _LONGEST_GIVEN else text[: _LONGEST_GIVEN - 3] + "..."


def reason(error: units.UnitError, given: object, parameter: Parameter) -> str:
    """Why a text is no quantity, without the value, which the line shows already, and in the unit of the declaration."""
    text = str(error).removeprefix(repr(given)).strip()
    if text.startswith("has no unit"):
        return f"has no unit; write for example {quoted(f'{given} {parameter.unit}')}"
    return text
