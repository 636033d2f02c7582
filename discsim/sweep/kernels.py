"""The compiled functions of a study: the equations of one lane, mapped over lanes, each traced once."""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from discsim.problem.discretisation import Discretisation
from discsim.problem.point import PointModel
from discsim.problem.problem import Problem
from discsim.sweep.coupling import couplings, diffusivities_read
from discsim.sweep.forms import LaneForms
from discsim.sweep.inputs import Layout
from discsim.sweep.linsolve import Pattern
from discsim.sweep.shape import Tables, corner_volumes, tables_of

# How often each function was traced in this process; a study traces each once (there is a test).
traces: collections.Counter[str] = collections.Counter()


def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, counting how often it is traced."""

    def counting(*arguments: Any) -> Any:
        traces[name] += 1
        return function(*arguments)

    return counting


def flat(function: Callable[..., Any], place: int, fields: int) -> Callable[..., Any]:
    """The function with its unknown, argument number ``place``, as a vector, and with one vector as its result."""

    def flattened(*arguments: Any) -> Any:
        given = list(arguments)
        given[place] = given[place].reshape(-1, fields)
        found = function(*given)
        parts = found if isinstance(found, tuple) else (found,)
        return jnp.concatenate([part.reshape(-1) for part in parts])

    return flattened


def layout_of(problem: Problem) -> Layout:
    """Columns for every number of every arm, those that change in time included."""
    tables = [arm.values for arm in problem.arms]
    return Layout([*tables, *(changes for arm in problem.arms for _, changes in arm.changes)])


class Kernels:
    """Equations of one structure on one discretisation; new numbers, times and coordinates trace nothing.

    Arguments in order: tables, (rest or vertex coordinates), then per lane the parameter row and the state.
    """

    def __init__(self, problem: Problem, d: Discretisation, layout: Layout) -> None:
        arm = problem.arms[0]
        host, self.free = tables_of(d, arm.chosen["loading.plate"])
        self.host_tables: Tables = host
        self.tables: Tables = jax.tree.map(jax.numpy.asarray, host)
        self.discretisation, self.layout = d, layout
        self.model = PointModel(problem.composition, problem.material)
        rules = problem.composition.boundaries(arm.values)
        self.forms = forms = LaneForms(self.model, d, layout, rules, self.free)
        for part in (forms.solutes, forms.signals):
            if part is not None:
                part.separate(couplings(forms, part.names))
        self.fixed_solute_spread = not diffusivities_read(forms, self.model.solutes)
        self.fixed_signal_spread = bool(self.model.signals) and not diffusivities_read(forms, self.model.signals)
        self.readouts = problem.readouts

        def over_lanes(name: str, function: Callable[..., Any], axes: tuple[Any, ...]) -> Any:
            return jax.jit(jax.vmap(counted(name, function), in_axes=axes))

        lane = (0,) * 8
        self.rest = jax.jit(counted("rest", forms.mechanics.rest))
        self.corner_volume = jax.jit(lambda t, x: corner_volumes(t, forms.mechanics.kinematics, x))
        self.start = over_lanes("start", forms.start, (None, None, 0))
        self.load = over_lanes("load", forms.load, (0,))
        self.mechanics_setting = over_lanes("mechanics_setting", forms.mechanics_setting, (None, None, 0, 0))
        self.mechanics_residual = over_lanes("mechanics", forms.mechanics_residual, (None, None, 0, 0, 0, 0, 0, None))
        self.mechanics_tangent = over_lanes(
            "mechanics_tangent", lambda *a: forms.mechanics_tangent(*a).reshape(-1), (None, None, 0, 0, 0, 0, None)
        )
        self.renewed_prestress = over_lanes("prestress", forms.mechanics.renewed_prestress, (None, None, 0, 0))
        self.corner_margin = over_lanes(
            "corner_margin", lambda t, row, J: forms.mechanics.margin(t, layout.unpack(row), J), (None, 0, 0)
        )
        self.deformed = over_lanes("deformed", forms.deformed, (None, None, 0))
        # unknowns and balances are flat, vertex after vertex, as the linear solvers want them
        self.solute_residual = over_lanes("solutes", flat(forms.solute_residual, 5, len(self.model.solutes)), (None, *lane[:6]))
        self.solute_tangent = over_lanes(
            "solutes_tangent", flat(forms.solute_tangent, 5, len(self.model.solutes)), (None, *lane[:6])
        )
        self.solute_spread = over_lanes("solutes_spread", forms.solute_spread, (None, *lane[:5]))
        self.signal_spread = over_lanes("signals_spread", forms.signal_spread, (None, *lane[:5]))
        self.solute_levels = over_lanes("levels", lambda row, c: forms.solutes.with_levels(layout.unpack(row), c), (0, 0))
        self.advance = over_lanes("advance", forms.advance, (None, *lane[:6]))
        self.signal_residual = over_lanes("signals", flat(forms.signal_residual, 5, len(self.model.signals)), (None, *lane[:7]))
        self.signal_tangent = over_lanes(
            "signals_tangent", flat(forms.signal_tangent, 5, len(self.model.signals)), (None, *lane[:6])
        )
        self.volumes = over_lanes("volumes", forms.vertex_volumes, (None, 0, 0))
        self.read = over_lanes(
            "readouts",
            lambda t, x, row, shape, state: forms.readouts(self.readouts, t, x, row, shape, state),
            (None, None, 0, 0, 0),
        )
        self.values = over_lanes(
            "values", lambda t, x, row, shape, state: forms.snapshot(t, x, row, shape, *state)[1], (None, None, 0, 0, 0)
        )

    def mechanics_pattern(self) -> Pattern:
        """Pattern of the tangent of the mechanics."""
        own = self.host_tables["unknown"].reshape(len(self.discretisation.cells), -1)
        return Pattern(*_pairs(own), self.free)

    def nodal_pattern(self, count: int, fixed: np.ndarray, coupled: np.ndarray) -> Pattern:
        """Pattern of ``count`` fields at vertices: element matrices first, facet matrices (diagonal in the fields) after them.

        ``coupled`` (count, count): whether a field's balance reads another field at all; in the order of ``Diffusion.tangent``.
        """
        d = self.discretisation
        of, by = np.nonzero(coupled)
        cell_rows, cell_columns = _pairs(d.cells)
        rows, columns = cell_rows[..., None] * count + of, cell_columns[..., None] * count + by
        on_facets = d.cells[d.facet_cells]
        facet_rows, facet_columns = _pairs(on_facets)
        fields = np.arange(count)
        rows = np.concatenate([rows.reshape(-1), (facet_rows[..., None] * count + fields).reshape(-1)])
        columns = np.concatenate([columns.reshape(-1), (facet_columns[..., None] * count + fields).reshape(-1)])
        return Pattern(rows, columns, d.vertex_count * count, fixed.reshape(-1))


def _pairs(own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row and column number of every entry of every element matrix; ``own`` (elements, unknowns of one)."""
    shape = (*own.shape, own.shape[1])
    return np.broadcast_to(own[:, :, None], shape), np.broadcast_to(own[:, None, :], shape)
