"""The discretisation on the device, and the geometry of cells and facets from the present coordinates of the vertices."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from discsim.disc.mesh import REGIONS, SURFACES
from discsim.problem.constraint import free_unknowns
from discsim.problem.discretisation import Discretisation, Quadrature
from discsim.sweep import tensors
from discsim.sweep.kinematics import Kinematics
from discsim.sweep.tensors import Tensor

Tables = dict[str, Any]
RULES = ("strain", "flux", "corner")
FLUID_SURFACES = ("endplate", "annulus_top", "rim")  # where fields may be exchanged


def tables_of(d: Discretisation, plate: str) -> tuple[Tables, int]:
    """Arrays handed to every compiled function, and the number of free displacement unknowns.

    ``unknown`` (cells, nodes per cell, dim) holds the free unknown of every displacement component; the number after the last
    stands for components that cannot move.
    """
    numbers, count = free_unknowns(d.nodes_on, d.node_count, d.dimension, plate)
    numbers = np.where(numbers < 0, count, numbers).reshape(d.node_count, d.dimension)
    tables: Tables = {
        "always": np.array(True),
        "cells": d.cells.astype(np.int32),
        "regions": d.regions.astype(np.int32),
        "unknown": numbers[d.displacement_nodes].astype(np.int32),
        "vertex_node": _vertex_nodes(d).astype(np.int32),
        "node_unknown": numbers.astype(np.int32),
        "linear_gradients": d.linear_gradients,
        "facet_cells": d.facet_cells.astype(np.int32),
        "facet_surfaces": d.facet_surfaces.astype(np.int32),
        "facet_normals": d.facet_normals[d.facet_locals],
        "facet_weights": d.facet.weights,
        "facet_values": d.facet.values[d.facet_locals],
        "facet_displacement_values": d.facet.displacement_values[d.facet_locals],
        "facet_displacement_gradients": d.facet.displacement_gradients[d.facet_locals],
        "masks": {f"in_{name}": (d.regions == tag).astype(float)[:, None] for name, tag in REGIONS.items()},
    }
    for name in RULES:
        rule: Quadrature = getattr(d, name)
        tables[name] = {
            "weights": rule.weights,
            "values": rule.values,
            "displacement_values": rule.displacement_values,
            "displacement_gradients": rule.displacement_gradients,
        }
    return tables, count


def _vertex_nodes(d: Discretisation) -> np.ndarray:
    """Displacement node of every vertex (quadratic cells list their vertices first)."""
    nodes = np.empty(d.vertex_count, dtype=np.int64)
    nodes[d.cells.reshape(-1)] = d.displacement_nodes[:, : d.cells.shape[1]].reshape(-1)
    return nodes


def cell_geometry(t: Tables, points: Any) -> tuple[Tensor, Any]:
    """Inverse of the map from reference coordinates, d xi / d X (dim x dim), and its measure; arrays (cells, 1)."""
    x = points[t["cells"]]
    dim = points.shape[1]
    forward = tuple(
        tuple(jnp.einsum("cv,v->c", x[:, :, i], t["linear_gradients"][:, k])[:, None] for k in range(dim)) for i in range(dim)
    )
    return tensors.inverse(forward), jnp.abs(tensors.determinant(forward))


def positions(t: Tables, points: Any, values: Any) -> tuple[Any, ...]:
    """Coordinates at the points of a rule; ``values`` (points, vertices per cell) of the linear basis."""
    x = points[t["cells"]]
    return tuple(x[:, :, i] @ values.T for i in range(points.shape[1]))


def basis_gradients(t: Tables, inverse: Tensor) -> tuple[Any, ...]:
    """Gradients of the linear basis: dim arrays (cells, vertices per cell)."""
    reference = t["linear_gradients"]
    dim = reference.shape[1]
    return tuple(sum(inverse[k][j] * reference[None, :, k] for k in range(dim)) for j in range(dim))


def cell_displacement(t: Tables, q: Any) -> Any:
    """Displacement of the nodes of every cell, (cells, nodes per cell, dim), from the free unknowns."""
    return jnp.concatenate([q, jnp.zeros(1)])[t["unknown"]]


def deformation_gradient(kinematics: Kinematics, rule: Tables, u: Any, inverse: Tensor, x: tuple[Any, ...]) -> Tensor:
    """F at the points of a rule; ``u`` (cells, nodes per cell, dim)."""
    dim = range(u.shape[2])
    slopes = rule["displacement_gradients"]
    reference = [[u[:, :, i] @ slopes[:, :, k].T for k in dim] for i in dim]
    return _assemble(kinematics, reference, inverse, [u[:, :, i] @ rule["displacement_values"].T for i in dim], x)


def facet_deformation_gradient(t: Tables, kinematics: Kinematics, u: Any, inverse: Tensor, x: tuple[Any, ...]) -> Tensor:
    """F at the points of the facet rule, arrays (facets, points)."""
    dim = range(u.shape[2])
    own = u[t["facet_cells"]]
    slopes, values = t["facet_displacement_gradients"], t["facet_displacement_values"]
    reference = [[jnp.einsum("fn,fqn->fq", own[:, :, i], slopes[:, :, :, k]) for k in dim] for i in dim]
    there = tuple(tuple(component[t["facet_cells"]] for component in row) for row in inverse)
    return _assemble(kinematics, reference, there, [jnp.einsum("fn,fqn->fq", own[:, :, i], values) for i in dim], x)


def _assemble(kinematics: Kinematics, reference: Any, inverse: Tensor, u: Any, x: tuple[Any, ...]) -> Tensor:
    gradient = tensors.product(tuple(tuple(row) for row in reference), inverse)
    return kinematics.deformation_gradient(gradient, tuple(u), x)


def facet_positions(t: Tables, points: Any) -> tuple[Any, ...]:
    """Coordinates at the points of the facet rule, arrays (facets, points)."""
    x = points[t["cells"][t["facet_cells"]]]
    return tuple(jnp.einsum("fv,fqv->fq", x[:, :, i], t["facet_values"]) for i in range(points.shape[1]))


def facet_normals(t: Tables, inverse: Tensor, measure: Any) -> tuple[Any, ...]:
    """Normal times measure of every facet (dim arrays (facets, 1)): det(A) A^-T N of the reference facet."""
    dim = range(len(inverse))
    there = tuple(tuple(component[t["facet_cells"]] for component in row) for row in inverse)
    scale = measure[t["facet_cells"]]
    return tuple(scale * sum(there[k][j] * t["facet_normals"][:, k, None] for k in dim) for j in dim)


def corner_volumes(t: Tables, kinematics: Kinematics, points: Any) -> Any:
    """Reference volume of each (cell, vertex) pair in the modelled part, mm3; the sum is the exact volume."""
    _, measure = cell_geometry(t, points)
    rule = t["flux"]
    weight = kinematics.weight(positions(t, points, rule["values"])) * rule["weights"][None, :] * measure
    return weight @ rule["values"]


def plate_area(t: Tables, kinematics: Kinematics, points: Any) -> Any:
    """Reference area under the top plate in the modelled part, mm2."""
    inverse, measure = cell_geometry(t, points)
    normal = facet_normals(t, inverse, measure)
    size = jnp.sqrt(sum(n * n for n in normal)) * kinematics.weight(facet_positions(t, points)) * t["facet_weights"][None, :]
    top = (t["facet_surfaces"] == SURFACES["endplate"]) | (t["facet_surfaces"] == SURFACES["annulus_top"])
    return jnp.sum(size.sum(axis=1) * top)


def moved_vertices(t: Tables, q: Any) -> Any:
    """Displacement of the vertices, (vertices, dim) mm."""
    return jnp.concatenate([q, jnp.zeros(1)])[t["node_unknown"][t["vertex_node"]]]
