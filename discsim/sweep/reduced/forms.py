"""The equations of a reduced model for one lane: those of the full engine at points, projected on modes.

    displacement  q = U b         forces    sum_p w_p B_p^T sigma(F_p) + load x area x U_plate = 0,  F_p = 1 + B_p b
    solutes       c = lift + C a  balance   sum_p w_p grad(C)^T D M grad(c) + exchange - sum_p w_p C^T rate = 0
    signals       s = lift + S d  the same over a step, implicit Euler

Laws, rates and integration in time are those of ``LaneForms``; only the sums are new. With every point of the mesh the residuals
are the projections of the full ones (there is a test). Galerkin projection with cubature: Hernandez et al., empirical cubature
(2017), 10.1016/j.cma.2016.10.022 (DOI recalled, unverified); Farhat et al., ECSW (2014), 10.1002/nme.4668 (recalled, unverified).

State of a lane: ``pointwise`` (fields, pairs, 1), ``a`` and ``d`` coefficients of solutes and signals, one field after the other,
``b`` of displacement; ``prestress`` (components, strain points, 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from discsim.problem.point import bound_material
from discsim.sweep import tensors
from discsim.sweep.forms import LaneForms
from discsim.sweep.inputs import at_cells, by_region
from discsim.sweep.reduced.points import Tables
from discsim.sweep.staged import stage
from discsim.sweep.transport import Diffusion, pulled_back, stretched_area


class ReducedForms:
    """Pure functions of tables ``t`` (see ``points``), a parameter row and the state of one lane."""

    def __init__(self, full: LaneForms, solute_modes: Sequence[int], signal_modes: Sequence[int]) -> None:
        self.full, self.model, self.layout = full, full.model, full.layout
        self.kinematics = full.mechanics.kinematics
        self.solute_ends = np.cumsum([0, *solute_modes])
        self.signal_ends = np.cumsum([0, *signal_modes])

    # ---- what the coefficients say at points

    def deformation(self, table: Tables, b: Any) -> tuple[Any, ...]:
        """Components of F at the points of a set, each (points, 1)."""
        moved = jnp.einsum("kpn,n->kp", table["strain"], b)[:, :, None]
        return tuple(moved[k] + (1.0 if i == j else 0.0) for k, (i, j) in enumerate(self.kinematics.pattern))

    def shape(self, t: Tables, b: Any) -> dict[str, Any]:
        """What diffusion and reactions need of the present shape."""
        dim = t["flux"]["solutes_lift_slopes"].shape[0]
        F = self.kinematics.unpack(self.deformation(t["flux"], b))
        flux_jacobian, metric = pulled_back(F, t["flux"]["weight"], dim)
        corner = self.kinematics.unpack(self.deformation(t["pairs"], b))
        on_facets = self.kinematics.unpack(self.deformation(t["facets"], b))
        return {
            "flux_jacobian": flux_jacobian,
            "metric": metric,
            "corner_jacobian": tensors.determinant(corner),
            "area": stretched_area(on_facets, self.kinematics.vector(t["facets"]["normals"])) * t["facets"]["weight"],
        }

    def pairs_shape(self, t: Tables, shape: Any, weight: str = "weight") -> dict[str, Any]:
        """The shape as the pointwise functions of ``LaneForms`` read it."""
        return {"corner_jacobian": shape["corner_jacobian"], "corner_volume": t["pairs"][weight]}

    def solutes_at(self, t: Tables, row: Any, a: Any, where: str) -> Any:
        """Solutes at the points of a set, (points, fields)."""
        return self._fields(t[where], "solutes", self.full.solutes, row, a, self.solute_ends)

    def signals_at(self, t: Tables, row: Any, d: Any, where: str) -> Any:
        """Signals at the points of a set, (points, fields)."""
        if self.full.signals is None:
            return jnp.zeros((t[where]["regions"].shape[0], 0))
        return self._fields(t[where], "signals", self.full.signals, row, d, self.signal_ends)

    def _fields(self, table: Tables, kind: str, diffusion: Diffusion, row: Any, x: Any, ends: Any) -> Any:
        levels = self.levels(diffusion, row)
        found = []
        for index, modes in enumerate(table[kind]):
            value = modes @ x[ends[index] : ends[index + 1]]
            for number, (field, _) in enumerate(diffusion.levels):
                if field == index:
                    value = value + levels[number] * table[f"{kind}_lifts"][:, number]
            found.append(value)
        return jnp.stack(found, axis=1)

    def levels(self, diffusion: Diffusion, row: Any) -> list[Any]:
        """Level of every (field, surface) that is held."""
        rules = self.model.composition.boundaries(by_region(self.layout.unpack(row)))
        return [jnp.asarray(rules[diffusion.names[index]][surface].level) for index, surface in diffusion.levels]

    # ---- displacement

    def stress(self, t: Tables, row: Any, gag: Any, prestress: Any, ramp: Any = 1.0) -> Any:
        """The stress law at the strain points; ``gag`` (pairs, 1)."""
        table = t["strain"]
        parameters = at_cells(self.layout.unpack(row), table["regions"])
        charged, setting = table["from_pairs"] @ gag, self.full.mechanics.setting(table, parameters, prestress)
        return self.full.mechanics.stress_law(table, table, parameters, charged, setting, ramp)

    def forces(self, t: Tables, row: Any, gag: Any, prestress: Any, b: Any) -> Any:
        """Out-of-balance force on every mode (N)."""
        F = self.deformation(t["strain"], b)
        weighted, _ = self.stress(t, row, gag, prestress)(*F)
        # component by component: XLA works an expensive law out anew for every part of an array that is stacked from it
        inner = sum(t["strain"]["strain"][k].T @ stress[:, 0] for k, stress in enumerate(weighted))
        return inner + self.full.load(row) * t["plate_area"] * t["plate"]

    def stiffness(self, t: Tables, row: Any, gag: Any, prestress: Any, b: Any) -> Any:
        """Slope of the forces by the coefficients, (modes, modes)."""
        F = self.deformation(t["strain"], b)
        stress = self.stress(t, row, gag, prestress)
        slopes = stage(t["always"], lambda *F: self.full.mechanics.moduli(stress, F), *F)
        B, whole = t["strain"]["strain"], range(len(F))
        moved = [sum(slopes[j][k] * B[j] for j in whole) for k in whole]
        return sum(B[k].T @ moved[k] for k in whole)

    def lowest_margin(self, t: Tables, row: Any, b: Any) -> Any:
        """Least distance of J from the bound of the swelling law at the strain points and pairs."""
        found = []
        for where in ("strain", "pairs"):
            material = bound_material(self.model.material, at_cells(self.layout.unpack(row), t[where]["regions"]))
            J = tensors.determinant(self.kinematics.unpack(self.deformation(t[where], b)))
            found.append(jnp.min(J - material.lowest_jacobian()))
        return jnp.minimum(*found)

    # ---- solutes and signals

    def solute_balance(self, t: Tables, row: Any, shape: Any, pointwise: Any, d: Any, a: Any, dt: Any) -> Any:
        """Balance of every solute mode; cells after ``dt`` are eliminated pointwise."""
        gain = self.solute_gain(t, row, shape, pointwise, d, dt)
        c = self.solutes_at(t, row, a, "pairs")
        return self._balance(t, "solutes", row, shape, pointwise, a, d, gain(c))

    def solute_slope(self, t: Tables, row: Any, shape: Any, pointwise: Any, d: Any, a: Any, dt: Any) -> Any:
        """Slope of ``solute_balance``, diffusivities held."""
        gain = self.solute_gain(t, row, shape, pointwise, d, dt)
        c = self.solutes_at(t, row, a, "pairs")
        return self._slope(t, "solutes", row, shape, pointwise, a, d, gain, c)

    def signal_balance(self, t: Tables, row: Any, shape: Any, pointwise: Any, a: Any, d: Any, old: Any, inverse_dt: Any) -> Any:
        """Balance of every signal mode over a step; ``old`` (pairs, signals) values before it."""
        assert self.full.signals is not None
        gain = self.signal_gain(t, row, shape, pointwise, a, old, inverse_dt)
        s = self.signals_at(t, row, d, "pairs")
        return self._balance(t, "signals", row, shape, pointwise, a, d, gain(s))

    def signal_slope(self, t: Tables, row: Any, shape: Any, pointwise: Any, a: Any, d: Any, inverse_dt: Any) -> Any:
        """Slope of ``signal_balance``."""
        assert self.full.signals is not None
        s = self.signals_at(t, row, d, "pairs")
        gain = self.signal_gain(t, row, shape, pointwise, a, jnp.zeros_like(s), inverse_dt)
        return self._slope(t, "signals", row, shape, pointwise, a, d, gain, s)

    def solute_gain(self, t: Tables, row: Any, shape: Any, pointwise: Any, d: Any, dt: Any) -> Any:
        """Function of solutes (pairs, fields): weighted rates (pairs, fields)."""
        values, named, others = self.full.lane(t["pairs"], row, pointwise, self.signals_at(t, row, d, "pairs"))
        rates = self.full.solute_gain(t["pairs"], values, self.pairs_shape(t, shape), named, dt)
        names = self.model.solutes
        return lambda c: _columns(rates({n: c[:, i : i + 1] for i, n in enumerate(names)} | others), names)

    def signal_gain(self, t: Tables, row: Any, shape: Any, pointwise: Any, a: Any, old: Any, inverse_dt: Any) -> Any:
        values = self.layout.unpack(row)
        named = {name: pointwise[i] for i, name in enumerate(self.full.pointwise_names)}
        c = self.solutes_at(t, row, a, "pairs")
        others = {name: c[:, i : i + 1] for i, name in enumerate(self.model.solutes)}
        rates = self.full.signal_gain(t["pairs"], values, self.pairs_shape(t, shape), named, old, inverse_dt)
        names = self.model.signals
        return lambda s: _columns(rates({n: s[:, i : i + 1] for i, n in enumerate(names)} | others), names)

    def diffusion(self, t: Tables, diffusion: Diffusion, row: Any, shape: Any, pointwise: Any, a: Any, d: Any) -> Any:
        """Diffusivity of the fields of ``diffusion`` at the flux points, each (points,)."""
        flux = t["flux"]
        c, s = self.solutes_at(t, row, a, "flux"), self.signals_at(t, row, d, "flux")
        nodal = {name: c[:, i : i + 1] for i, name in enumerate(self.model.solutes)}
        nodal |= {name: s[:, i : i + 1] for i, name in enumerate(self.model.signals)}
        amounts = {n: flux["from_pairs"][i] @ pointwise[i] for i, n in enumerate(self.full.pointwise_names)}
        found = diffusion.diffusivities(flux, self.layout.unpack(row), amounts, nodal, shape["flux_jacobian"])
        return [found[name][:, 0] for name in diffusion.names]

    def flows(self, t: Tables, kind: str, row: Any, shape: Any, pointwise: Any, a: Any, d: Any) -> tuple[list[Any], Any]:
        """Weighted flux of every field of a kind at the flux points, each (dim, points), and weighted outflow (facet points,
        fields)."""
        diffusion, x, ends = self._kind(kind, a, d)
        flux, facets = t["flux"], t["facets"]
        spread = self.diffusion(t, diffusion, row, shape, pointwise, a, d)
        coefficient, far = diffusion.exchange(facets, self.layout.unpack(row))
        out = coefficient * (self._fields(facets, kind, diffusion, row, x, ends) - far) * shape["area"]
        levels = self.levels(diffusion, row)
        found = []
        for index, modes in enumerate(flux[f"{kind}_slopes"]):
            grad = jnp.einsum("dpn,n->dp", modes, x[ends[index] : ends[index + 1]])
            for number, (field, _) in enumerate(diffusion.levels):
                if field == index:
                    grad = grad + levels[number] * flux[f"{kind}_lift_slopes"][:, :, number]
            found.append(jnp.einsum("ijp,jp->ip", shape["metric"][:, :, :, 0], grad) * spread[index])
        return found, out

    def _kind(self, kind: str, a: Any, d: Any) -> tuple[Diffusion, Any, Any]:
        if kind == "solutes":
            return self.full.solutes, a, self.solute_ends
        assert self.full.signals is not None
        return self.full.signals, d, self.signal_ends

    def _balance(self, t: Tables, kind: str, row: Any, shape: Any, pointwise: Any, a: Any, d: Any, gain: Any) -> Any:
        moved, out = self.flows(t, kind, row, shape, pointwise, a, d)
        flux, facets, pairs = t["flux"], t["facets"], t["pairs"]
        found = []
        for index, modes in enumerate(flux[f"{kind}_slopes"]):
            inner = jnp.einsum("dpn,dp->n", modes, moved[index])
            found.append(inner + facets[kind][index].T @ out[:, index] - pairs[kind][index].T @ gain[:, index])
        return jnp.concatenate(found)

    def _slope(self, t: Tables, kind: str, row: Any, shape: Any, pointwise: Any, a: Any, d: Any, gain: Any, at: Any) -> Any:
        diffusion, _, ends = self._kind(kind, a, d)
        flux, facets, pairs = t["flux"], t["facets"], t["pairs"]
        spread = self.diffusion(t, diffusion, row, shape, pointwise, a, d)
        coefficient, _ = diffusion.exchange(facets, self.layout.unpack(row))
        colours = diffusion.colours

        def by_colour(at: Any) -> list[Any]:
            _, push = jax.linearize(gain, at)
            groups = [jnp.asarray(colours == group, dtype=float) for group in range(colours.max() + 1)]
            return [push(jnp.broadcast_to(group, at.shape)) for group in groups]

        pushed = stage(t["always"], by_colour, at)
        blocks = []
        for of, modes in enumerate(flux[f"{kind}_slopes"]):
            line = []
            for by in range(len(diffusion.names)):
                if not diffusion.coupled[of, by]:
                    line.append(jnp.zeros((ends[of + 1] - ends[of], ends[by + 1] - ends[by])))
                    continue
                slope = pushed[colours[by]][:, of]
                block = -pairs[kind][of].T @ (slope[:, None] * pairs[kind][by])
                if of == by:
                    moved = jnp.einsum("ijp,jpn->ipn", shape["metric"][:, :, :, 0] * spread[of], modes)
                    block = block + jnp.einsum("dpm,dpn->mn", modes, moved)
                    block = block + facets[kind][of].T @ ((coefficient[:, of] * shape["area"][:, 0])[:, None] * facets[kind][of])
                line.append(block)
            blocks.append(jnp.concatenate(line, axis=1))
        return jnp.concatenate(blocks)

    # ---- time and readouts

    def advance(self, t: Tables, row: Any, shape: Any, pointwise: Any, d: Any, a: Any, dt: Any) -> tuple[Any, Any]:
        """Pointwise fields after ``dt`` with the solutes of its end, and the ledger of the modelled part."""
        s, c = self.signals_at(t, row, d, "pairs"), self.solutes_at(t, row, a, "pairs")
        return self.full.advance(t["pairs"], row, self.pairs_shape(t, shape, "amount_weight"), pointwise, s, c, dt)

    def ledger_density(self, t: Tables, row: Any, pointwise: Any, a: Any, d: Any, b: Any, dt: Any) -> Any:
        """What a step of ``dt`` adds to the ledger at every pair, (cell fields x 4, pairs)."""
        s, c = self.signals_at(t, row, d, "pairs"), self.solutes_at(t, row, a, "pairs")
        there = self.pairs_shape(t, self.shape(t, b), "amount_weight")
        found = self.full.ledger_density(t["pairs"], row, there, pointwise, s, c, dt)
        return found.reshape(-1, found.shape[2])

    def amounts(self, t: Tables, row: Any, shape: Any, d: Any) -> Any:
        """Moments of every signal with its own modes over the current volume: what a change of shape must keep."""
        s = self.signals_at(t, row, d, "pairs")
        weight = (shape["corner_jacobian"] * t["pairs"]["weight"])[:, 0]
        return jnp.concatenate([m.T @ (weight * s[:, i]) for i, m in enumerate(t["pairs"]["signals"])])

    def moments(self, t: Tables, shape: Any) -> Any:
        """Slope of ``amounts`` by the coefficients (block diagonal)."""
        weight = (shape["corner_jacobian"] * t["pairs"]["weight"])[:, 0]
        return jax.scipy.linalg.block_diag(*[m.T @ (weight[:, None] * m) for m in t["pairs"]["signals"]])

    def snapshot(self, t: Tables, row: Any, pointwise: Any, a: Any, d: Any, b: Any) -> Any:
        """The state as readouts see it; a concentration that modes take a little below zero is zero."""
        shape = self.shape(t, b)
        height = t["rest_height"] + 2.0 * (t["plate"] @ b)
        c, s = (jnp.maximum(x, 0.0) for x in (self.solutes_at(t, row, a, "pairs"), self.signals_at(t, row, d, "pairs")))
        there = self.pairs_shape(t, shape, "amount_weight")
        return self.full.seen(t["pairs"], row, there, pointwise, c, s, height, t["plate_area"])[0]

    def readouts(self, readouts: Any, t: Tables, row: Any, pointwise: Any, a: Any, d: Any, b: Any) -> Any:
        """Readouts in their own units, in order."""
        snapshot = self.snapshot(t, row, pointwise, a, d, b)
        return jnp.stack([jnp.asarray(readout.function(snapshot)) for readout in readouts])


def _columns(found: dict[str, Any], names: Sequence[str]) -> Any:
    return jnp.concatenate([found[name] for name in names], axis=1)
