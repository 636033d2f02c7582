"""Small tensors as nested tuples of arrays, one array per component.

Components stand in arrays of their own (all cells and points), so that every operation is a fused loop over points; a component
that is zero by symmetry is the number ``0.0`` and costs nothing.
"""

from __future__ import annotations

from typing import Any

Tensor = tuple[tuple[Any, ...], ...]


def _zero(value: Any) -> bool:
    return isinstance(value, float) and value == 0.0


def times(a: Any, b: Any) -> Any:
    """Product of two components."""
    return 0.0 if _zero(a) or _zero(b) else a * b


def plus(a: Any, b: Any) -> Any:
    """Sum of two components."""
    if _zero(a):
        return b
    return a if _zero(b) else a + b


def minus(a: Any, b: Any) -> Any:
    """Difference of two components."""
    if _zero(b):
        return a
    return -b if _zero(a) else a - b


def total(values: Any) -> Any:
    """Sum of components."""
    found: Any = 0.0
    for value in values:
        found = plus(found, value)
    return found


def product(a: Tensor, b: Tensor) -> Tensor:
    """Matrix product a b."""
    inner, columns = range(len(b)), range(len(b[0]))
    return tuple(tuple(total(times(row[k], b[k][j]) for k in inner) for j in columns) for row in a)


def transpose(a: Tensor) -> Tensor:
    """a^T."""
    return tuple(zip(*a, strict=True))


def apply(a: Tensor, vector: tuple[Any, ...]) -> tuple[Any, ...]:
    """a v."""
    return tuple(total(times(x, v) for x, v in zip(row, vector, strict=True)) for row in a)


def dot(a: tuple[Any, ...], b: tuple[Any, ...]) -> Any:
    """a . b."""
    return total(times(x, y) for x, y in zip(a, b, strict=True))


def squared(a: Tensor) -> Any:
    """a : a."""
    return total(dot(row, row) for row in a)


def _cofactor(a: Tensor, i: int, j: int) -> Any:
    """Signed minor of a 3 x 3 (or 2 x 2) tensor."""
    if len(a) == 2:
        sign = 1.0 if i == j else -1.0
        value = a[1 - i][1 - j]
        return value if sign > 0.0 else minus(0.0, value)
    r, c = [(i + 1) % 3, (i + 2) % 3], [(j + 1) % 3, (j + 2) % 3]  # cyclic rows and columns carry the sign
    return minus(times(a[r[0]][c[0]], a[r[1]][c[1]]), times(a[r[0]][c[1]], a[r[1]][c[0]]))


def determinant(a: Tensor) -> Any:
    """det a of a 2 x 2 or 3 x 3 tensor."""
    return total(times(a[0][j], _cofactor(a, 0, j)) for j in range(len(a)))


def inverse(a: Tensor) -> Tensor:
    """a^-1 of a 2 x 2 or 3 x 3 tensor."""
    scale = 1.0 / determinant(a)
    size = range(len(a))
    return tuple(tuple(times(_cofactor(a, j, i), scale) for j in size) for i in size)


def identity() -> Tensor:
    """The 3 x 3 unit tensor."""
    return tuple(tuple(1.0 if i == j else 0.0 for j in range(3)) for i in range(3))
