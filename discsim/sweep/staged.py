"""Stages: parts of a computation whose results the compiler must keep instead of working them out anew for every use.

XLA fuses a cheap consumer with everything before it, and so evaluates an expensive law once per component of what is made of it
(measured: the strain energy of the fibres six times per residual). A conditional that always takes the same branch is a wall that
fusion does not cross. Where nothing is mapped over the predicate, it stays a conditional under ``vmap`` too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def stage(always: Any, function: Callable[..., Any], *arguments: Any) -> Any:
    """``function(*arguments)``, worked out once; ``always`` is a true predicate that the compiler cannot see through."""
    shapes = jax.eval_shape(function, *arguments)

    def nothing(*_: Any) -> Any:
        return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)

    return jax.lax.cond(always, function, nothing, *arguments)
