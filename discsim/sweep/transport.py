"""Diffusion on the deformed disc on arrays: the weak form of ``fem.transport``, for one lane.

    int D J (F^-T grad c).(F^-T grad v) w dX + int h (c - c_far) v |J F^-T N| w dA - sum_Ki w_Ki J R v = 0

D diffusivity (mm2/s), h exchange coefficient (mm/s), R net rate per current mixture volume; reactions use vertex quadrature with
exact weights. Fixed levels replace their rows. Source: transport 1.1; architecture 5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from discsim.biology.mechanism import Level
from discsim.disc.mesh import SURFACES
from discsim.problem.discretisation import Discretisation
from discsim.problem.point import PointModel
from discsim.sweep import shape, tensors
from discsim.sweep.inputs import at_cells, by_region
from discsim.sweep.kinematics import Kinematics
from discsim.sweep.shape import Tables

Rates = Callable[[dict[str, Any]], dict[str, Any]]


class Deformed:
    """What diffusion needs of the shape: J at flux points, the pulled-back metric with weights, J at corners, facet areas."""

    def __init__(self, kinematics: Kinematics) -> None:
        self.kinematics = kinematics

    def __call__(self, t: Tables, points: Any, q: Any) -> dict[str, Any]:
        """``metric`` (dim, dim, cells, points): J F^-1 F^-T x weight; ``area`` (facets, points): |J F^-T N| x weight."""
        kinematics, rule = self.kinematics, t["flux"]
        inverse, measure = shape.cell_geometry(t, points)
        u = shape.cell_displacement(t, q)
        x = shape.positions(t, points, rule["values"])
        F = shape.deformation_gradient(kinematics, rule, u, inverse, x)
        J, metric = pulled_back(F, kinematics.weight(x) * rule["weights"][None, :] * measure, points.shape[1])
        corner = shape.positions(t, points, t["corner"]["values"])
        at_corners = shape.deformation_gradient(kinematics, t["corner"], u, inverse, corner)
        return {
            "jacobian": J,
            "metric": metric,
            "corner_jacobian": tensors.determinant(at_corners),
            "corner_volume": shape.corner_volumes(t, kinematics, points),
            "gradients": jnp.stack(shape.basis_gradients(t, inverse)),
            "area": self._areas(t, points, u, inverse, measure),
        }

    def _areas(self, t: Tables, points: Any, u: Any, inverse: Any, measure: Any) -> Any:
        kinematics = self.kinematics
        x = shape.facet_positions(t, points)
        F = shape.facet_deformation_gradient(t, kinematics, u, inverse, x)
        normal = kinematics.vector(shape.facet_normals(t, inverse, measure))
        return stretched_area(F, normal) * kinematics.weight(x) * t["facet_weights"][None, :]


def pulled_back(F: tensors.Tensor, weight: Any, dimension: int) -> tuple[Any, Any]:
    """J, and the metric J F^-1 F^-T x weight (dim, dim, ...) with which gradients in the reference shape make fluxes."""
    J, back = tensors.determinant(F), tensors.inverse(F)
    dim = range(dimension)
    return J, jnp.stack([jnp.stack([J * weight * tensors.dot(back[i], back[j]) for j in dim]) for i in dim])


def stretched_area(F: tensors.Tensor, normal: tuple[Any, ...]) -> Any:
    """|J F^-T N|: current area of a facet with reference normal times measure N."""
    turned = tensors.apply(tensors.transpose(tensors.inverse(F)), normal)
    return jnp.sqrt(tensors.dot(turned, turned)) * tensors.determinant(F)


class Diffusion:
    """Residual and tangent of the fields ``names``, all at once; unknown ``c`` has shape (vertices, fields)."""

    def __init__(self, model: PointModel, names: tuple[str, ...], d: Discretisation, rules: Any) -> None:
        self.model, self.names = model, names
        # which surfaces hold a field at a level is structure; the level itself is data
        self.levels = [
            (index, surface) for index, name in enumerate(names) for surface, r in rules[name].items() if isinstance(r, Level)
        ]
        self.fixed = np.zeros((d.vertex_count, len(names)), dtype=bool)
        for index, surface in self.levels:
            self.fixed[d.vertices_on[surface], index] = True
        self.separate(np.ones((len(names), len(names)), dtype=bool))
        self.vertices_on = {surface: d.vertices_on[surface] for _, surface in self.levels}

    def separate(self, coupled: np.ndarray) -> None:
        """Say which field's balance reads which field, (fields, fields); by default every one may read every other."""
        self.coupled, self.colours = coupled, np.zeros(len(self.names), dtype=np.int64)
        for field in range(len(self.names)):
            meets = [other for other in range(field) if (coupled[:, field] & coupled[:, other]).any()]
            taken = {int(self.colours[other]) for other in meets}
            self.colours[field] = next(colour for colour in range(field + 1) if colour not in taken)

    def level_values(self, values: Any, like: Any) -> Any:
        """Values of the fixed rows, (vertices, fields); zero elsewhere."""
        rules = self.model.composition.boundaries(by_region(values))
        held = jnp.zeros_like(like)
        for index, surface in self.levels:
            held = held.at[self.vertices_on[surface], index].set(rules[self.names[index]][surface].level)
        return held

    def with_levels(self, values: Any, c: Any) -> Any:
        """``c`` with the fixed rows at their levels."""
        return jnp.where(self.fixed, self.level_values(values, c), c) if self.levels else c

    def residual(self, t: Tables, values: Any, deformed: Any, pointwise: Any, others: Any, c: Any, rates: Rates) -> Any:
        """Balance at every vertex, amount per second; ``rates(nodal at corners)`` gives amount per corner and second."""
        per_cell = self._element(t, values, deformed, pointwise, others, c[t["cells"]], rates)
        balance = jnp.zeros_like(c).at[t["cells"]].add(per_cell)
        facet_vertices = t["cells"][t["facet_cells"]]
        exchange, far = self.exchange(t, values)
        shared = self.exchange_matrix(t, deformed)
        out = jnp.einsum("fvw,fwk->fvk", shared, c[facet_vertices] - far[:, None, :]) * exchange[:, None, :]
        balance = balance.at[facet_vertices].add(out)
        return jnp.where(self.fixed, c - self.level_values(values, c), balance) if self.levels else balance

    def tangent(
        self, t: Tables, values: Any, deformed: Any, pointwise: Any, others: Any, c: Any, rates: Rates
    ) -> tuple[Any, Any]:
        """Element matrices (cells, v, v, pairs) and facet matrices (facets, v, v, fields), v the vertices of a cell or facet.

        A pair (``pairs``) is a field whose balance reads a field; pairs that are not there are no zeros either.
        """
        at = c[t["cells"]]
        corners, fields = at.shape[1], at.shape[2]
        # one direction per corner and colour: fields of one colour never meet in a balance, so their columns come apart again
        groups = jnp.asarray(self.colours[None, :] == np.arange(self.colours.max() + 1)[:, None], dtype=float)
        directions = jnp.einsum("vw,gf->vgwf", jnp.eye(corners), groups).reshape(-1, 1, corners, fields)

        def element(at: Any) -> Any:
            return self._element(t, values, deformed, pointwise, others, at, rates)

        _, push = jax.linearize(element, at)
        pushed = jax.vmap(lambda d: push(jnp.broadcast_to(d, at.shape)))(directions)
        pushed = pushed.reshape(corners, -1, *at.shape)  # (corner, colour, cells, own corner, own field)
        columns = jnp.stack([pushed[:, self.colours[by], :, :, of] for of, by in zip(*self.pairs, strict=True)])
        exchange, _ = self.exchange(t, values)
        facets = self.exchange_matrix(t, deformed)[:, :, :, None] * exchange[:, None, None, :]
        return jnp.transpose(columns, (2, 3, 1, 0)), facets

    @property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the field of a balance and of the field it reads, of every pair."""
        of, by = np.nonzero(self.coupled)
        return of, by

    def exchange_matrix(self, t: Tables, deformed: Any) -> Any:
        """int phi_v phi_w dA on every facet, (facets, v, v)."""
        return jnp.einsum("fqv,fqw,fq->fvw", t["facet_values"], t["facet_values"], deformed["area"])

    def exchange(self, t: Tables, values: Any) -> tuple[Any, Any]:
        """Exchange coefficient and far level of every facet and field (zero where sealed or held)."""
        rules = self.model.composition.boundaries(by_region(values))
        size = max(SURFACES.values()) + 1
        coefficient, far = jnp.zeros((size, len(self.names))), jnp.zeros((size, len(self.names)))
        for index, name in enumerate(self.names):
            for surface, rule in rules[name].items():
                if not isinstance(rule, Level) and surface in shape.FLUID_SURFACES:
                    coefficient = coefficient.at[SURFACES[surface], index].set(rule.coefficient)
                    far = far.at[SURFACES[surface], index].set(rule.level)
        return coefficient[t["facet_surfaces"]], far[t["facet_surfaces"]]

    def _element(self, t: Tables, values: Any, deformed: Any, pointwise: Any, others: Any, at: Any, rates: Rates) -> Any:
        """Contributions of each cell, (cells, vertices per cell, fields); ``at`` has that shape too."""
        spread = deformed.get("spread")
        if spread is None:
            spread = self.spread(t, values, deformed, pointwise, others, at)
        slopes = deformed["gradients"]
        dim = range(slopes.shape[0])
        gain = rates({name: at[:, :, i] for i, name in enumerate(self.names)} | others)
        found = []
        for index, name in enumerate(self.names):
            grad = [jnp.sum(slopes[j] * at[:, :, index], axis=1) for j in dim]
            flux = [sum(spread[index, i, j] * grad[j] for j in dim) for i in dim]
            found.append(sum((slopes[i] * jnp.asarray(flux[i])[:, None] for i in dim), start=-gain[name]))
        return jnp.stack(found, axis=2)

    def spread(self, t: Tables, values: Any, deformed: Any, pointwise: Any, others: Any, at: Any) -> Any:
        """int D J F^-1 F^-T dV of every field over every cell, (fields, dim, dim, cells): with slopes it makes fluxes.

        Where no diffusivity reads the unknowns (``coupling.diffusivities_read``) it is the same in all iterations of a solve and
        may be handed to ``residual`` and ``tangent`` as ``deformed["spread"]``.
        """
        diffusivity, metric = self._diffusivity(t, values, deformed, pointwise, others, at), deformed["metric"]
        return jnp.stack([jnp.sum(diffusivity[name] * metric, axis=3) for name in self.names])

    def _diffusivity(self, t: Tables, values: Any, deformed: Any, pointwise: Any, others: Any, at: Any) -> Any:
        values_there = t["flux"]["values"]
        nodal = {name: at[:, :, i] @ values_there.T for i, name in enumerate(self.names)}
        nodal |= {name: value @ values_there.T for name, value in others.items()}
        amounts = {name: value @ values_there.T for name, value in pointwise.items()}
        return self.diffusivities(t, values, amounts, nodal, deformed["jacobian"])

    def diffusivities(self, t: Tables, values: Any, amounts: Any, nodal: Any, jacobian: Any) -> dict[str, Any]:
        """Diffusivity of every field (mm2/s) at points with these amounts, concentrations and volume ratio."""
        parameters = at_cells(values, t["regions"])
        changes = self.model.changes(parameters, amounts, nodal, jacobian, t["masks"])
        found = self.model.composition.diffusivities(parameters, changes.values)
        return {name: jnp.broadcast_to(value, jacobian.shape) for name, value in found.items()}
