"""Drained equilibrium at finite strain on arrays: the weak form of ``fem.mechanics``, its tangent and its guards, for one lane.

    int [ d psi(F F_p)/J_p - pi(J, gag) dJ ] w dX + N d_plate = 0

psi matrix and fibre energy per stress-free volume (MPa), F_p prestress per point with J_p = det F_p, pi swelling pressure (MPa),
w = 2 pi r or 1, N axial compressive force on the modelled part (N). Source: mechanics 1.1; default_disc b.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from discsim.problem.point import PointModel, bound_material
from discsim.sweep import shape, tensors
from discsim.sweep.inputs import at_cells
from discsim.sweep.kinematics import Kinematics
from discsim.sweep.shape import Tables
from discsim.sweep.staged import stage
from discsim.sweep.tensors import Tensor


class MechanicsForms:
    """Pure functions of tables ``t``, vertex coordinates, parameter values, and state arrays of one lane.

    ``gag`` (cells, vertices per cell) reference amount; ``setting`` as from the method of that name; ``q`` (free unknowns,), the
    last one the axial displacement of the plate.
    """

    def __init__(self, model: PointModel, kinematics: Kinematics, count: int) -> None:
        self.model, self.kinematics, self.count = model, kinematics, count

    def rest(self, t: Tables, points: Any) -> dict[str, Any]:
        """What the reference shape decides: computed once, handed to every residual and tangent."""
        inverse, measure = shape.cell_geometry(t, points)
        rule = t["strain"]
        x = shape.positions(t, points, rule["values"])
        return {
            "inverse": inverse,
            "positions": x,
            "weight": self.kinematics.weight(x) * rule["weights"][None, :] * measure,
            "annulus_position": self.annulus_position(t, points, x),
            "plate_area": shape.plate_area(t, self.kinematics, points),
        }

    def setting(self, rest: Any, parameters: Any, prestress: Any) -> dict[str, Any]:
        """What parameters and prestress (components, cells, points) decide: once per lane and prestress, not per residual.

        ``rest`` and ``parameters`` at any set of points, as for ``stress_law``.
        """
        angle = bound_material(self.model.material, parameters).fibre_angle(rest["annulus_position"])
        return {
            "prestress": prestress,
            "stored": rest["weight"] / tensors.determinant(self.kinematics.unpack(prestress)),
            "cosine": jnp.cos(angle),
            "sine": jnp.sin(angle),
        }

    def residual(
        self, t: Tables, rest: Any, values: Any, gag: Any, setting: Any, q: Any, load: Any, ramp: Any
    ) -> tuple[Any, Any]:
        """Out-of-balance forces on the free unknowns (N), and the least distance of J from its bound at the strain points."""
        deformation, stress = self._element(t, rest, values, gag, setting, ramp)
        F, pull = jax.vjp(deformation, shape.cell_displacement(t, q))
        weighted, J = stage(t["always"], stress, *F)
        (forces,) = pull(weighted)
        margin = self.margin(t, values, J)
        assembled = jnp.zeros(self.count + 1).at[t["unknown"]].add(forces)[: self.count]
        return assembled.at[self.count - 1].add(load * rest["plate_area"]), margin

    def tangent(self, t: Tables, rest: Any, values: Any, gag: Any, setting: Any, q: Any, ramp: Any) -> Any:
        """Derivative of the element forces by the element displacements, (cells, own, own) with own = nodes per cell x dim."""
        u = shape.cell_displacement(t, q)
        own = u.shape[1] * u.shape[2]
        deformation, stress = self._element(t, rest, values, gag, setting, ramp)
        F, push = jax.linearize(deformation, u)
        pull = jax.linear_transpose(push, u)

        slopes = stage(t["always"], lambda *F: self.moduli(stress, F), *F)

        def column(direction: Any) -> Any:
            moved = push(jnp.broadcast_to(direction, u.shape))
            answer = tuple(sum(slopes[k][i] * moved[k] for k in range(len(moved))) for i in range(len(moved)))
            return pull(answer)[0]

        columns = jax.vmap(column)(jnp.eye(own).reshape(own, 1, u.shape[1], u.shape[2]))
        return jnp.moveaxis(columns.reshape(own, u.shape[0], own), 0, 2)

    def _element(self, t: Tables, rest: Any, values: Any, gag: Any, setting: Any, ramp: Any) -> tuple[Any, Any]:
        """Two functions: components of F at the points from the displacements of the cells (linear), and ``stress_law``."""
        rule = t["strain"]

        def deformation(u: Any) -> tuple[Any, ...]:
            F = shape.deformation_gradient(self.kinematics, rule, u, rest["inverse"], rest["positions"])
            return tuple(F[i][j] for i, j in self.kinematics.pattern)

        parameters = at_cells(values, t["regions"])
        return deformation, self.stress_law(t, rest, parameters, gag @ rule["values"].T, setting, ramp)

    def stress_law(self, t: Tables, rest: Any, parameters: Any, charged: Any, setting: Any, ramp: Any) -> Any:
        """At any set of points: from the components of F the weighted stress that is their virtual-work partner, with J.

        ``rest``: ``positions``, ``weight`` and ``annulus_position`` of the points; ``charged``: GAG there, per reference volume.
        """
        x, weight, place = rest["positions"], rest["weight"], rest["annulus_position"]
        material = bound_material(self.model.material, parameters)
        resting, stored = self.kinematics.unpack(setting["prestress"]), setting["stored"]
        families = self.kinematics.fibres(setting["cosine"], setting["sine"], x)
        in_annulus = t["masks"]["in_inner_AF"] + t["masks"]["in_outer_AF"]

        def invariants(*F: Any) -> tuple[Any, ...]:
            elastic = tensors.product(self.kinematics.unpack(F), resting)
            stretch = [tensors.dot(v, v) for v in (tensors.apply(elastic, fibre) for fibre in families)]
            return (
                tensors.determinant(self.kinematics.unpack(F)),
                tensors.squared(elastic),
                tensors.determinant(elastic),
                *stretch,
            )

        def energy(first: Any, volume: Any, *stretch: Any) -> Any:
            both = (stretch[0], stretch[-1])  # one direction stands for both families where they stretch alike
            return jnp.sum(material.energy(first, volume, *both, place, in_annulus) * stored)

        def slopes(J: Any, *elastic: Any) -> Any:
            pressure = ramp * material.osmotic_pressure(J, charged)
            return -pressure * weight, *jax.grad(energy, argnums=tuple(range(len(elastic))))(*elastic)

        def stress(*F: Any) -> Any:
            found, pull = jax.vjp(invariants, *F)
            return pull(stage(t["always"], slopes, *found)), found[0]

        return stress

    @staticmethod
    def moduli(stress: Any, F: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """Slopes of the stress by each component of F: few, and the law is worked out for these alone."""
        _, by = jax.linearize(lambda *F: stress(*F)[0], *F)
        units = [tuple(jnp.ones_like(f) if i == k else jnp.zeros_like(f) for i, f in enumerate(F)) for k in range(len(F))]
        return [by(*unit) for unit in units]

    def annulus_position(self, t: Tables, points: Any, x: tuple[Any, ...]) -> Any:
        """0 at the rim, 1 at the nucleus: linear in radius, clipped inside the nucleus."""
        vertex_radius = self.kinematics.radius(tuple(points.T))
        rim = jnp.max(vertex_radius)
        nucleus = jnp.max(jnp.where(t["masks"]["in_NP"] > 0.0, vertex_radius[t["cells"]], 0.0))
        width = rim - nucleus
        scale = jnp.where(width > 0.0, 1.0 / jnp.where(width > 0.0, width, 1.0), 0.0)
        return jnp.minimum((rim - self.kinematics.radius(x)) * scale, 1.0)

    def deformation(self, t: Tables, points: Any, q: Any, rule: str) -> Tensor:
        """F at the points of a rule."""
        inverse, _ = shape.cell_geometry(t, points)
        x = shape.positions(t, points, t[rule]["values"])
        return shape.deformation_gradient(self.kinematics, t[rule], shape.cell_displacement(t, q), inverse, x)

    def renewed_prestress(self, t: Tables, points: Any, prestress: Any, q: Any) -> Any:
        """F F_p: the present shape becomes the reference shape."""
        F = self.deformation(t, points, q, "strain")
        return self.kinematics.pack(tensors.product(F, self.kinematics.unpack(prestress)), prestress.shape[1:])

    def no_prestress(self, t: Tables) -> Any:
        """F_p = I."""
        cells, count = t["cells"].shape[0], t["strain"]["weights"].shape[0]
        return self.kinematics.pack(tensors.identity(), (cells, count))

    def margin(self, t: Tables, values: Any, jacobian: Any) -> Any:
        """Least distance of J (cells, points) from its bound."""
        material = bound_material(self.model.material, at_cells(values, t["regions"]))
        return jnp.min(jacobian - material.lowest_jacobian())

    def largest_displacement(self, t: Tables, q: Any) -> Any:
        """Largest component of the displacement at any node, mm."""
        return jnp.max(jnp.abs(q))

    def height(self, points: Any, q: Any) -> Any:
        """Whole soft height, mm."""
        return 2.0 * (jnp.max(points[:, self.kinematics.axial]) + q[-1])
