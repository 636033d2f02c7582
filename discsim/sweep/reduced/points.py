"""Tables of points: everything that the equations of a reduced model need to know of a set of points.

A reduced model sums over four sets: strain points (forces), flux points (diffusion), pairs of cell and vertex (reactions, cells,
matrix, readouts) and facet points (exchange). Here the tables are made with every point of the mesh and the weights of the full
quadrature; ``chosen`` keeps some points with other weights. Arrays of points stand in a column, (points, 1), so that the forms of
the full engine take a point for a cell with one vertex.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.sparse import BCOO

from discsim.disc.mesh import REGIONS
from discsim.sweep import shape
from discsim.sweep.kernels import Kernels
from discsim.sweep.reduced.bases import Bases, Counts

Tables = dict[str, Any]
SETS = ("strain", "flux", "pairs", "facets")


def full_tables(kernels: Kernels, points: Any, bases: Bases) -> Tables:
    """Tables with every point of the mesh."""
    t = kernels.tables
    regions = np.asarray(t["regions"])
    strain_rest = {k: v for k, v in kernels.rest(t, points).items()}
    corners = t["corner"]["values"].shape[0]
    found: Tables = {"always": np.array(True)}
    strain = _per_point(regions, t["strain"]["weights"].shape[0])
    strain |= {
        "positions": tuple(_column(x) for x in strain_rest["positions"]),
        "annulus_position": _column(strain_rest["annulus_position"]),
        "weight": _column(strain_rest["weight"]),
        "strain": _strain(kernels, points, bases.displacement, "strain"),
    }
    kinematics = kernels.forms.mechanics.kinematics
    inverse, measure = shape.cell_geometry(t, points)
    rule = t["flux"]
    count = rule["weights"].shape[0]
    weight = kinematics.weight(shape.positions(t, points, rule["values"])) * rule["weights"][None, :] * measure
    flux = _per_point(regions, count)
    slopes = np.stack([np.asarray(s) for s in shape.basis_gradients(t, inverse)])
    flux |= {"weight": _column(weight), "strain": _strain(kernels, points, bases.displacement, "flux")}
    pairs = _per_point(regions, corners)
    pairs |= {
        "weight": _column(kernels.corner_volume(t, points)),
        "strain": _strain(kernels, points, bases.displacement, "corner"),
    }
    facets = _facets(kernels, points, bases, inverse, measure)
    cells = np.asarray(t["cells"])
    at_flux = np.asarray(rule["values"])
    on_facets = cells[np.asarray(t["facet_cells"])]
    facet_values = np.asarray(t["facet_values"])
    for kind, lifts in (("solutes", bases.solute_lifts), ("signals", bases.signal_lifts)):
        modes = getattr(bases, kind)
        flux[kind] = [_interpolated(m, cells, at_flux) for m in modes]
        flux[f"{kind}_lifts"] = _interpolated(lifts.T, cells, at_flux)
        flux[f"{kind}_slopes"] = [_slopes(m, cells, slopes, count) for m in modes]
        flux[f"{kind}_lift_slopes"] = _slopes(lifts.T, cells, slopes, count)
        pairs[kind] = [m[cells.reshape(-1)] for m in modes]
        pairs[f"{kind}_lifts"] = lifts.T[cells.reshape(-1)]
        facets[kind] = [
            np.einsum("fqv,fvn->fqn", facet_values, m[on_facets]).reshape(len(facets["regions"]), m.shape[1]) for m in modes
        ]
        facets[f"{kind}_lifts"] = np.einsum("fqv,fvn->fqn", facet_values, lifts.T[on_facets]).reshape(
            len(facets["regions"]), len(lifts)
        )
    pairs["cells"] = np.arange(len(pairs["regions"]))[:, None]
    pairs["amount_weight"] = pairs["weight"]
    strain["from_pairs"] = _from_pairs(np.asarray(t["strain"]["values"]), len(cells))
    flux["from_pairs"] = [_from_pairs(at_flux, len(cells))] * len(kernels.forms.pointwise_names)
    found |= {"strain": strain, "flux": flux, "pairs": pairs, "facets": facets}
    for name in SETS:
        found[name]["always"] = found["always"]
    found["plate"] = bases.displacement[-1]
    found["plate_area"] = float(strain_rest["plate_area"])
    found["rest_height"] = float(kernels.forms.mechanics.height(points, np.zeros(1)))
    return found


def chosen(table: Tables, numbers: np.ndarray, factors: np.ndarray) -> Tables:
    """Some points of a set, their weights multiplied by ``factors``."""
    count = len(table["regions"])

    def pick(value: Any) -> Any:
        array = np.asarray(value)
        if array.ndim and array.shape[0] == count:
            return array[numbers]
        if array.ndim > 1 and array.shape[1] == count:
            return array[:, numbers]
        return array

    found: Tables = jax.tree.map(pick, {name: value for name, value in table.items() if name != "from_pairs"})
    found["weight"] = found["weight"] * factors[:, None]
    if "cells" in found:
        found["cells"] = np.arange(len(numbers))[:, None]
    return found


def _from_pairs(basis: np.ndarray, cells: int) -> Any:
    """The linear basis of every cell as one matrix (all points, all pairs)."""
    points, corners = basis.shape
    own = np.arange(cells)[:, None, None]
    rows = np.broadcast_to(own * points + np.arange(points)[None, :, None], (cells, points, corners))
    columns = np.broadcast_to(own * corners + np.arange(corners)[None, None, :], (cells, points, corners))
    places = np.stack([rows.ravel(), columns.ravel()], axis=1)
    values = np.broadcast_to(basis, (cells, points, corners)).ravel()
    return BCOO((jnp.asarray(values), jnp.asarray(places)), shape=(cells * points, cells * corners))


def narrowed(tables: Tables, used: Counts) -> Tables:
    """Tables of the first modes alone."""
    found = {name: dict(value) if isinstance(value, dict) else value for name, value in tables.items()}
    for name in SETS:
        found[name]["strain"] = found[name]["strain"][:, :, : used.displacement]
    for kind in ("solutes", "signals"):
        counts = getattr(used, kind)
        for name in ("flux", "pairs", "facets"):
            found[name][kind] = [m[:, :n] for m, n in zip(found[name][kind], counts, strict=True)]
        slopes = f"{kind}_slopes"
        found["flux"][slopes] = [m[:, :, :n] for m, n in zip(found["flux"][slopes], counts, strict=True)]
    found["plate"] = found["plate"][: used.displacement]
    return found


def _per_point(regions: np.ndarray, count: int) -> Tables:
    own = np.repeat(regions, count)
    return {"regions": own, "masks": {f"in_{name}": (own == tag).astype(float)[:, None] for name, tag in REGIONS.items()}}


def _column(values: Any) -> np.ndarray:
    return np.asarray(values).reshape(-1, 1)


def _strain(kernels: Kernels, points: Any, modes: np.ndarray, rule: str) -> np.ndarray:
    """Components of F - 1 of every mode at the points of a rule, (components, points, modes)."""
    forms, t = kernels.forms.mechanics, kernels.tables
    size = (t["cells"].shape[0], t[rule]["weights"].shape[0]) if rule != "corner" else t["cells"].shape

    def one(q: Any) -> Any:
        return forms.kinematics.pack(forms.deformation(t, points, q, rule), size)

    return _modewise(one, modes)


def _modewise(one: Any, modes: np.ndarray) -> np.ndarray:
    mapped = jax.jit(lambda qs: jax.lax.map(one, qs))
    made = np.asarray(mapped(np.vstack([np.zeros(modes.shape[0]), modes.T])))
    linear = made[1:] - made[:1]
    return np.moveaxis(linear.reshape(len(linear), linear.shape[1], -1), 0, 2)


def _interpolated(values: np.ndarray, cells: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Vertex values (vertices, n) at the points of a rule with linear basis ``basis`` (points, corners): (all points, n)."""
    return np.einsum("pv,cvn->cpn", basis, values[cells]).reshape(len(cells) * len(basis), values.shape[1])


def _slopes(values: np.ndarray, cells: np.ndarray, slopes: np.ndarray, count: int) -> np.ndarray:
    """Gradients of vertex values, the same at all ``count`` points of a cell: (dim, all points, n)."""
    found = np.einsum("dcv,cvn->dcn", slopes, values[cells])
    return np.repeat(found, count, axis=1)


def _facets(kernels: Kernels, points: Any, bases: Bases, inverse: Any, measure: Any) -> Tables:
    t, kinematics = kernels.tables, kernels.forms.mechanics.kinematics
    x = shape.facet_positions(t, points)
    count = np.asarray(t["facet_weights"]).shape[0]
    surfaces = np.repeat(np.asarray(t["facet_surfaces"]), count)
    normal = shape.facet_normals(t, inverse, measure)
    like = np.asarray(x[0])

    def one(q: Any) -> Any:
        u = shape.cell_displacement(t, q)
        return kinematics.pack(shape.facet_deformation_gradient(t, kinematics, u, inverse, x), like.shape)

    weight = np.broadcast_to(np.asarray(kinematics.weight(x)) * np.asarray(t["facet_weights"])[None, :], like.shape)
    return {
        "regions": np.repeat(np.asarray(t["regions"])[np.asarray(t["facet_cells"])], count),
        "facet_surfaces": surfaces,
        "normals": tuple(_column(np.broadcast_to(np.asarray(n), like.shape)) for n in normal),
        "weight": _column(weight),
        "strain": _modewise(one, bases.displacement),
    }
