"""Laws to UFL: trace a ``jax.numpy`` function on scalars and replay its primitives on UFL expressions.

Parameters and fields stay symbols, so a new value never recompiles a form, and UFL differentiates the result exactly. A
primitive without counterpart is refused by name. ``traces`` counts every trace, for the test that a second run makes none.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from discsim.fem.backend import ufl

traces = 0


class LoweringError(TypeError):
    """A law that UFL cannot express; the message names the primitive and the law."""


def _select(which: Any, *cases: Any) -> Any:
    if len(cases) != 2:
        raise LoweringError("a select of more than two cases has no UFL counterpart")
    return ufl.conditional(which, cases[1], cases[0])


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv, "neg": operator.neg,
    "pow": operator.pow, "abs": abs, "add_any": operator.add,
    "exp": ufl.exp, "exp2": lambda x: ufl.exp(math.log(2.0) * x), "log": ufl.ln, "log1p": lambda x: ufl.ln(1.0 + x),
    "expm1": lambda x: ufl.exp(x) - 1.0, "sqrt": ufl.sqrt, "rsqrt": lambda x: 1.0 / ufl.sqrt(x), "square": lambda x: x * x,
    "tanh": ufl.tanh, "sinh": ufl.sinh, "cosh": ufl.cosh, "sin": ufl.sin, "cos": ufl.cos, "tan": ufl.tan,
    # bounded, so that the derivative exp/(1 + exp)^2 cannot become inf/inf; at -350 the value is 1e-152
    "logistic": lambda x: 1.0 / (1.0 + ufl.exp(-ufl.max_value(x, -350.0))), "erf": ufl.erf, "sign": ufl.sign,
    "max": ufl.max_value, "min": ufl.min_value, "clamp": lambda low, x, high: ufl.min_value(ufl.max_value(x, low), high),
    "lt": ufl.lt, "le": ufl.le, "gt": ufl.gt, "ge": ufl.ge, "eq": ufl.eq, "ne": ufl.ne,
    "and": ufl.And, "or": ufl.Or, "not": ufl.Not, "select_n": _select,
}  # fmt: skip
_CALLS = ("jit", "pjit", "custom_jvp_call", "custom_vjp_call", "closed_call", "core_call", "remat")
_SAME = ("convert_element_type", "stop_gradient", "copy", "copy_p", "reduce_precision")


def lower(law: Callable[..., Any], *arguments: Any, name: str | None = None) -> Any:
    """``law(*arguments)`` as UFL: arguments are trees of UFL expressions or numbers, the result the law's own tree."""
    global traces
    import jax
    import jax.numpy as jnp

    leaves, tree = jax.tree.flatten(arguments, is_leaf=lambda x: isinstance(x, ufl.core.expr.Expr))
    scalar = jax.ShapeDtypeStruct((), jnp.result_type(float))
    traces += 1
    traced, shape = jax.make_jaxpr(lambda *xs: law(*jax.tree.unflatten(tree, xs)), return_shape=True)(*[scalar] * len(leaves))
    try:
        outputs = _replay(traced, leaves)
    except LoweringError as error:
        raise LoweringError(f"{name or getattr(law, '__name__', 'law')}: {error}") from None
    return jax.tree.unflatten(jax.tree.structure(shape), outputs)


def _replay(closed: Any, arguments: list[Any]) -> list[Any]:
    from jax.extend.core import Literal

    env: dict[Any, Any] = {}

    def read(variable: Any) -> Any:
        return _number(variable.val) if isinstance(variable, Literal) else env[variable]

    jaxpr = closed.jaxpr
    env.update(zip(jaxpr.constvars, map(_number, closed.consts), strict=True))
    env.update(zip(jaxpr.invars, arguments, strict=True))
    for equation in jaxpr.eqns:
        inputs = [read(v) for v in equation.invars]
        env.update(zip(equation.outvars, _apply(equation, inputs), strict=True))
    return [read(v) for v in jaxpr.outvars]


def _apply(equation: Any, inputs: list[Any]) -> list[Any]:
    name = equation.primitive.name
    if name in _CALLS:
        inner = equation.params.get("jaxpr") or equation.params["call_jaxpr"]
        return _replay(inner, inputs)
    if name in _SAME:
        return inputs[:1]
    if name == "integer_pow":
        return [inputs[0] ** equation.params["y"]]
    if name in _OPERATIONS:
        return [_OPERATIONS[name](*inputs)]
    raise LoweringError(f"{name!r} has no UFL counterpart")


def _number(value: Any) -> Any:
    return bool(value) if np.asarray(value).dtype.kind == "b" else float(value)
