"""Units: one pint registry, and the one internal unit of every dimension.

Values enter as text with a unit ("0.059 1/year") and leave as numbers in internal units: mm, s, N, MPa, K, mM, kPa for
oxygen, cells/mm3, mEq/mL for charge, mg/mL for glycosaminoglycan, vg/mm3 for vector genomes. Nothing inside the engines
knows a unit.
"""

from __future__ import annotations

import functools
import math
import re
import tokenize

import pint

# Each internal unit stands for its dimension; a quantity of any other dimension is an error at declaration.
_INTERNAL_UNITS = (
    "dimensionless", "mm", "mm^2", "mm^3", "s", "1/s", "N", "MPa", "K", "mM", "1/mM", "mm/s", "mm^2/s", "1/mm",
    "mm^4/(N*s)", "rad", "cell", "cell/mm^3", "mEq/mL", "mg/mL", "g/mol_charge", "mg", "mg/cell/s", "vg", "vg/mm^3",
    "vg/cell", "cell/vg", "mm^3/cell/s", "nmol/cell/s", "mM/kPa", "cell/s",
)  # fmt: skip


# What a unit may be made of: names with an exponent of one digit, "1", products, quotients and brackets. Anything else is refused
# before pint sees it, since pint evaluates numbers in units, and powers of powers of them for ever.
_NAME = r"(?:[^\W\d_][\w°]*(?![\w°])|%|°\w*(?!\w))(?:\s*(?:\^|\*\*)\s*(?:[-+]?\d(?:\.\d)?|\([-+]?\d(?:[./]\d)?\)))?"
_UNIT = re.compile(rf"(?:\s*(?:{_NAME}|1(?![\w.])|\*(?!\*)|/(?!\s*/)|[()]))+\s*")
_LONGEST_UNIT = 80


class UnitError(ValueError):
    """A text that is no quantity, or a quantity of the wrong dimension; the message says what is allowed."""


@functools.cache
def registry() -> pint.UnitRegistry:
    """The one unit registry, with the words of this field added (cell, vg, Eq)."""
    ureg = pint.UnitRegistry(cache_folder=None)
    ureg.define("cell = [cell_count] = cell = cells")
    ureg.define("vg = [vector_genome] = vg")
    ureg.define("Eq = [charge_equivalent] = Eq")
    ureg.define("mol_charge = Eq")
    return ureg


@functools.cache
def _internal_by_dimension() -> dict[str, str]:
    ureg = registry()
    return {str(ureg.Unit(text).dimensionality): text for text in _INTERNAL_UNITS}


@functools.cache
def internal_unit(unit: str) -> str:
    """The internal unit of the dimension of ``unit``; raises ``UnitError`` for a dimension the project does not use."""
    dimension = str(registry().Unit(unit).dimensionality)
    if dimension == "dimensionless":  # angles have no dimension of their own
        return "rad" if unit in ("deg", "rad") else "dimensionless"
    try:
        return _internal_by_dimension()[dimension]
    except KeyError:
        raise UnitError(f"unit {unit!r} has dimension {dimension}, which no internal unit stands for") from None


def split(text: str) -> tuple[float, str]:
    """Number and unit of a text such as "0.059 1/year" (dimensionless: "0.75"); raises ``UnitError``."""
    number, _, unit = text.strip().partition(" ")
    try:
        return float(number), unit.strip() or "dimensionless"
    except ValueError:
        raise UnitError(f"{text!r} is not a number followed by a unit") from None


@functools.cache
def factor(unit: str, target: str) -> float:
    """Number by which a value in ``unit`` is multiplied to be in ``target``; raises ``UnitError`` where none exists."""
    ureg = registry()
    if len(unit) > _LONGEST_UNIT or not _UNIT.fullmatch(unit):
        raise UnitError(f"{unit[:_LONGEST_UNIT]!r} is not a known unit")
    try:
        value = float(ureg.Quantity(1.0, unit).to(target).magnitude)
        zero = float(ureg.Quantity(0.0, unit).to(target).magnitude)
    except pint.DimensionalityError:
        raise UnitError(
            f"got {unit!r} {ureg.Unit(unit).dimensionality}, want a unit of {target!r} {ureg.Unit(target).dimensionality}"
        ) from None
    except (pint.PintError, AssertionError, AttributeError, SyntaxError, TypeError, ValueError, tokenize.TokenError) as error:
        unknown = f" ({error})" if isinstance(error, pint.UndefinedUnitError) else ""
        raise UnitError(f"{unit!r} is not a known unit{unknown}") from None
    if zero != 0.0:
        raise UnitError(f"{unit!r} has a zero of its own; write a unit of {target!r}")
    return value


@functools.cache
def _has_no_dimension(unit: str) -> bool:
    return str(registry().Unit(unit).dimensionality) == "dimensionless"


def parse(text: object, target: str) -> float:
    """Value of ``text`` in ``target`` units.

    A bare number is accepted only where ``target`` is dimensionless. Raises ``UnitError`` for text that is no quantity, a
    wrong dimension, a missing unit, NaN or infinity.
    """
    if isinstance(text, str):
        return _parsed(text, target)
    bare_allowed = _has_no_dimension(target)
    if isinstance(text, bool) or not isinstance(text, (int, float)):
        wanted = "a number" if bare_allowed else f'text such as "1 {target}"'
        raise UnitError(f"{text!r} is no quantity; write {wanted}")
    try:
        number = float(text)
    except OverflowError:
        raise UnitError("a whole number of that size is no quantity") from None
    return _in_target(text, number, "dimensionless", target)


@functools.lru_cache(maxsize=1 << 14)
def _parsed(text: str, target: str) -> float:
    """``parse`` of a text: a sweep reads the same few hundred defaults and bounds for every sample."""
    return _in_target(text, *split(text), target)


def _in_target(text: object, number: float, unit: str, target: str) -> float:
    if not math.isfinite(number):
        raise UnitError(f"{text!r} is not finite")
    if unit == "dimensionless" and not _has_no_dimension(target):
        raise UnitError(f'{text!r} has no unit; write for example "{number:g} {target}"')
    return number * factor(unit, target)


def time_words(seconds: float) -> str:
    """A time as people write it: in years, months or days, whichever gives a short number, and in days below a month."""
    day, month, year = (factor(unit, "s") for unit in ("day", "month", "year"))
    if 0.0 < seconds < 30.0 * day:
        return f"{seconds / day:.4g} day"
    for size, word, parts in ((year, "year", 1000), (month, "month", 1), (day, "day", 1)):
        number = parts * seconds / size
        if abs(number - round(number)) < 1e-8 * max(1.0, abs(number)):
            return f"{round(number) / parts:.10g} {word}"
    return f"{seconds / year:.4g} year"
