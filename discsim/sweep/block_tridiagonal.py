"""Sparse direct solution in JAX alone: block-tridiagonal LU in a narrow order, a border for what couples everything.

Reverse Cuthill-McKee orders the unknowns so that each block of them touches only its two neighbours; the factor is a scan over
blocks of dense algebra, for all lanes at once. Unknowns that touch a large part of the mesh (the rigid plate) stand in a border:

    [ T  B ] [x]   [f]          S = D - C T^-1 B,   y = S^-1 (g - C T^-1 f),   x = T^-1 (f - B y)
    [ C  D ] [y] = [g],
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sparse
from scipy.sparse.csgraph import reverse_cuthill_mckee

from discsim.sweep.linsolve import LinearSolver, Pattern

BORDER_SHARE = 0.02  # an unknown that touches more than this share of the others stands in the border


class BlockTridiagonal(LinearSolver):
    """Factors (lanes, blocks, size, size); no processor library is called."""

    xp = jnp

    def __init__(self, pattern: Pattern, lanes: int) -> None:
        rows, columns = pattern.keys()
        n = self.size = pattern.size
        graph = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(n, n))
        graph.data[:] = 1.0
        degree = np.diff((graph + graph.T).tocsr().indptr)
        border = np.flatnonzero(degree > max(BORDER_SHARE * n, 200.0))
        inner = np.setdiff1d(np.arange(n), border)
        inside = sparse.csr_matrix(graph + graph.T)[inner][:, inner].tocsr()
        order = reverse_cuthill_mckee(inside, symmetric_mode=True)
        place = np.empty(len(inner), dtype=np.int64)
        place[order] = np.arange(len(inner))
        link = inside.tocoo()
        width = int(np.abs(place[link.row] - place[link.col]).max()) if link.nnz else 1
        self.block = max(1, width)
        self.blocks = -(-len(inner) // self.block)
        self.order, self.border = inner[order], border
        self._addresses(pattern, rows, columns, inner, place)
        self.lanes = lanes
        self._factor: Any = None
        self._have = np.zeros(lanes, dtype=bool)

    def _addresses(self, pattern: Pattern, rows: np.ndarray, columns: np.ndarray, inner: np.ndarray, place: np.ndarray) -> None:
        """Flat place of every entry in [diagonal | lower | upper | B | C | D] blocks."""
        b, m, k = self.block, self.blocks, len(self.border)
        position = np.full(self.size, -1, dtype=np.int64)
        position[inner] = place
        bordered = np.full(self.size, -1, dtype=np.int64)
        bordered[self.border] = np.arange(k)
        r, c = position[rows], position[columns]
        inside = (r >= 0) & (c >= 0)
        rb, cb = np.where(inside, r // b, 0), np.where(inside, c // b, 0)
        within = (r % b) * b + c % b
        area = m * b * b
        flat = np.where(rb == cb, 0, np.where(rb > cb, area, 2 * area)) + rb * b * b + within
        flat = np.where((r >= 0) & (c < 0), 3 * area + r * k + bordered[columns], flat)
        flat = np.where((r < 0) & (c >= 0), 3 * area + m * b * k + bordered[rows] * m * b + c, flat)
        flat = np.where((r < 0) & (c < 0), 3 * area + 2 * m * b * k + bordered[rows] * k + bordered[columns], flat)
        self._flat = jnp.asarray(flat)
        self._keep = jnp.asarray(np.flatnonzero(pattern.keep))
        self._units = len(pattern.held)
        filler = np.zeros((m, b, b))
        filler.reshape(m * b, b)[np.arange(len(inner), m * b), np.arange(len(inner), m * b) % b] = 1.0
        self._filler = jnp.asarray(filler)

    def factor(self, entries: Any, which: np.ndarray, rough: bool = False) -> None:
        entries = jnp.asarray(entries).reshape(self.lanes, -1)
        fresh = _factor_all(self._shape(), self._flat, self._keep, self._filler, entries)
        if self._factor is None:
            self._factor = fresh
        else:
            mask = jnp.asarray(which)
            self._factor = jax.tree.map(
                lambda new, old: jnp.where(mask.reshape(-1, *([1] * (new.ndim - 1))), new, old), fresh, self._factor
            )
        self._have |= which

    def _shape(self) -> tuple[int, int, int, int]:
        return self.block, self.blocks, len(self.border), self._units

    def solve(self, vectors: Any, which: np.ndarray, transposed: bool = False) -> Any:
        if self._factor is None:
            return jnp.full((self.lanes, self.size), jnp.nan)
        solved = _solve_all(
            self._shape(), transposed, jnp.asarray(self.order), jnp.asarray(self.border), self._factor, jnp.asarray(vectors)
        )
        wanted = jnp.asarray(which)[:, None]
        return jnp.where(wanted, jnp.where(jnp.asarray(self._have)[:, None], solved, jnp.nan), 0.0)


@functools.partial(jax.jit, static_argnums=0)
def _factor_all(shape: tuple[int, int, int, int], flat: Any, keep: Any, filler: Any, entries: Any) -> Any:
    return jax.vmap(functools.partial(_factor_one, shape, flat, keep, filler))(entries)


def _factor_one(shape: tuple[int, int, int, int], flat: Any, keep: Any, filler: Any, entries: Any) -> Any:
    b, m, k, units = shape
    given = jnp.concatenate([entries[keep], jnp.ones(units)])
    area = m * b * b
    everything = jnp.zeros(3 * area + 2 * m * b * k + k * k).at[flat].add(given)
    diagonal, lower, upper = (everything[i * area : (i + 1) * area].reshape(m, b, b) for i in range(3))
    right = everything[3 * area : 3 * area + m * b * k].reshape(m, b, k)
    bottom = everything[3 * area + m * b * k : 3 * area + 2 * m * b * k].reshape(k, m * b)
    last = everything[3 * area + 2 * m * b * k :].reshape(k, k)

    def eliminate(before: Any, here: Any) -> Any:
        D, L, U = here
        pivot = jnp.linalg.inv(D - L @ before)
        return pivot @ U, (pivot, L, pivot @ U)

    _, blocks = jax.lax.scan(eliminate, jnp.zeros((b, b)), (diagonal + filler, lower, upper))
    through = _sweep(blocks, right)
    schur = last - bottom @ through.reshape(m * b, k)
    across = _sweep_transposed(blocks, bottom.T.reshape(m, b, k))
    inverse = jnp.linalg.inv(schur) if k else schur
    return blocks, through, bottom, right, across, inverse


def _sweep(blocks: Any, f: Any) -> Any:
    """T^-1 f for f (blocks, b, columns)."""

    def forward(before: Any, here: Any) -> Any:
        (pivot, L, _), g = here
        z = pivot @ (g - L @ before)
        return z, z

    def backward(after: Any, here: Any) -> Any:
        (_, _, W), z = here
        x = z - W @ after
        return x, x

    zero = jnp.zeros_like(f[0])
    _, z = jax.lax.scan(forward, zero, (blocks, f))
    _, x = jax.lax.scan(backward, zero, (blocks, z), reverse=True)
    return x


def _sweep_transposed(blocks: Any, f: Any) -> Any:
    """T^-T f: with T = (I + L P)(P^-1)(I + W), the same factors the other way about."""
    pivot, L, W = blocks

    def forward(before: Any, here: Any) -> Any:
        W_before, g = here
        z = g - W_before.T @ before
        return z, z

    def backward(after: Any, here: Any) -> Any:
        P, L_after, z = here
        x = P.T @ (z - L_after.T @ after)
        return x, x

    zero = jnp.zeros_like(f[0])
    W_before = jnp.concatenate([jnp.zeros_like(W[:1]), W[:-1]])
    _, z = jax.lax.scan(forward, zero, (W_before, f))
    L_after = jnp.concatenate([L[1:], jnp.zeros_like(L[:1])])
    _, x = jax.lax.scan(backward, zero, (pivot, L_after, z), reverse=True)
    return x


@functools.partial(jax.jit, static_argnums=(0, 1))
def _solve_all(shape: tuple[int, int, int, int], transposed: bool, order: Any, border: Any, factor: Any, vectors: Any) -> Any:
    return jax.vmap(functools.partial(_solve_one, shape, transposed, order, border))(factor, vectors)


def _solve_one(shape: tuple[int, int, int, int], transposed: bool, order: Any, border: Any, factor: Any, vector: Any) -> Any:
    b, m, k, _ = shape
    blocks, through, bottom, right, across, inverse = factor
    count = order.shape[0]
    f = jnp.zeros(m * b).at[:count].set(vector[order]).reshape(m, b, 1)
    x = (_sweep_transposed if transposed else _sweep)(blocks, f).reshape(m * b)
    found = jnp.zeros_like(vector)
    if k:
        rows = right.reshape(m * b, k).T if transposed else bottom
        y = (inverse.T if transposed else inverse) @ (vector[border] - rows @ x)
        x = x - (across if transposed else through).reshape(m * b, k) @ y
        found = found.at[border].set(y)
    return found.at[order].set(x[:count])
