"""The user's own laws in a study, traced once without an engine: one that no engine could use is told before one starts.

Each method is traced on its own, so that the message names it; nothing is compiled. Then their rates are worked out
at a few states.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from discsim.biology.mechanism import Composition, Mechanism, law_methods
from discsim.biology.mechanisms import CATALOGUE
from discsim.disc.mesh import OPEN_SURFACES
from discsim.study.law_values import looked_at, wrong_values
from discsim.study.messages import ConfigError, Mistake, Shown, first_line, names, shown
from discsim.study.plugins import PluginError, line_of, word_of

if TYPE_CHECKING:
    from discsim.study.study import Study


def check_laws(study: Study) -> None:
    """Trace every law of the user's own mechanisms, then look at their rates at a few states (``law_values``); raises
    ``ConfigError`` with a line for each that no engine can use.

    Those that ship are traced by the tests; without any others nothing needs JAX here.
    """
    problem = study.problem()
    composition = problem.composition
    own = [mechanism for mechanism in composition.mechanisms if CATALOGUE.get(mechanism.name) is not type(mechanism)]
    if not own:
        return
    found = [mistake for mechanism in own for mistake in _mistakes(composition, mechanism)]
    if not found:
        without = [name for name in composition.of_kind("solute", "signal") if name not in _diffusing(composition)]
        found = [Mistake("mechanisms.use", Shown(f"field {n!r}"), "a mechanism that gives its diffusivity") for n in without]
    if not found:
        states = list(looked_at(problem))
        rated = [mechanism for mechanism in own if "rates" in law_methods(mechanism)]
        found = [mistake for one in rated for mistake in wrong_values(states, one, _where(one, "rates"))]
    if found:
        raise ConfigError(found, "the laws")


def _mistakes(composition: Composition, mechanism: Mechanism) -> Iterator[Mistake]:
    for method in (*law_methods(mechanism), "boundaries"):
        where = _where(mechanism, method)
        try:
            result = _trace(mechanism, method)
        except Exception as error:  # whatever a law of the user's does with a traced number
            yield Mistake(where, Shown(_told(error, mechanism)), *_way_out(error))
            continue
        if method in ("rates", "diffusivities", "boundaries"):
            yield from _wrong_keys(composition, mechanism, method, result)
        elif not _is_number(result):
            yield Mistake(where, shown(str(result)), "one number at a point", "return the value")


def _where(mechanism: Mechanism, method: str) -> str:
    """Class and method, with the module where it is the user's own."""
    try:
        word = word_of(type(mechanism))
    except PluginError:
        word = type(mechanism).__qualname__
    return f"{word}.{method}"


def _trace(mechanism: Mechanism, method: str) -> Any:
    """The result of a method on traced numbers: shapes in place of values."""
    import jax
    import jax.numpy as jnp

    number = jax.ShapeDtypeStruct((), jnp.result_type(float))
    parameters = dict.fromkeys(mechanism.parameters(), number)
    if method == "boundaries":
        return jax.eval_shape(lambda values: _plain(mechanism.bind(values).boundaries()), parameters)
    count = len(law_methods(mechanism)[method])
    return jax.eval_shape(lambda values, read: getattr(mechanism.bind(values), method)(*read), parameters, [number] * count)


def _plain(rules: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {field: {surface: vars(rule) for surface, rule in surfaces.items()} for field, surfaces in rules.items()}


def _is_number(result: Any) -> bool:
    return getattr(result, "shape", None) == ()


def _wrong_keys(composition: Composition, mechanism: Mechanism, method: str, result: Any) -> Iterator[Mistake]:
    """Keys that name no field, or no surface, and values that are no number."""
    where, fields = _where(mechanism, method), tuple(composition.fields)
    moving = composition.of_kind("solute", "signal")
    if not isinstance(result, Mapping):
        yield Mistake(where, shown(str(result)), "a table of fields", 'such as {loss("cell_density"): rate}')
        return
    for key, value in result.items():
        field, _, rule = str(key).partition("@")
        named = [mechanism.full_name(name) for name in (field, rule.removeprefix("into:")) if name not in ("", "loss")]
        wrong = [name for name in named if name not in (fields if method == "rates" else moving)]
        if wrong:
            yield Mistake(where, shown(wrong[0]), names(fields if method == "rates" else moving, wrong[0]), "no such field")
        elif method == "boundaries":
            other = [surface for surface in value if surface not in OPEN_SURFACES]
            if other:
                yield Mistake(where, shown(other[0]), ", ".join(OPEN_SURFACES), f"no such surface for {field}")
        elif not _is_number(value):
            yield Mistake(where, shown(str(value)), f"one number for {field}", "a law gives a number at a point")


def _diffusing(composition: Composition) -> set[str]:
    found: set[str] = set()
    for mechanism in composition.mechanisms:
        if "diffusivities" in law_methods(mechanism):
            found |= {mechanism.full_name(key) for key in _trace(mechanism, "diffusivities")}
    return found


def _told(error: Exception, mechanism: Mechanism) -> str:
    """An error in a line, and where in the user's file; JAX's own words on traced numbers run over pages."""
    if _branches(error):
        return "a Python branch on a value of the disc"
    if type(error).__name__ == "TracerArrayConversionError":
        return "a call of numpy (or of another library) on a value of the disc"
    file = getattr(sys.modules.get(type(mechanism).__module__), "__file__", None)
    return f"{type(error).__name__}: {first_line(error)}{line_of(error, lambda name: name == file)}"


def _branches(error: Exception) -> bool:
    return type(error).__name__ in ("TracerBoolConversionError", "ConcretizationTypeError", "TracerIntegerConversionError")


def _way_out(error: Exception) -> tuple[str, str]:
    """What is allowed instead, and how to write it."""
    allowed = "a law of jax.numpy functions without branches"
    if _branches(error):
        return allowed, "jnp.where(condition, this, that) instead of if, and, or, min, max"
    if type(error).__name__ == "TracerArrayConversionError":
        return allowed, "import jax.numpy as jnp, and jnp.maximum instead of np.maximum"
    return allowed, ""
