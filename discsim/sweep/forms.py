"""Everything an engine evaluates for one lane (one sample of one arm), as pure functions on arrays; mapped over lanes elsewhere.

State of a lane: ``pointwise`` (fields, cells, vertices per cell) reference amounts of cells and matrix and values of per-cell
states, in the order of ``PointModel.cells`` and ``others``; ``solutes`` and ``signals`` (vertices, fields); ``q`` (free
displacement unknowns,).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from discsim.problem.discretisation import Discretisation
from discsim.problem.point import CHAIN, PointModel, bound_material
from discsim.scenario.loading import effective_load
from discsim.scenario.readouts import Readout
from discsim.scenario.snapshot import Snapshot
from discsim.sweep import shape
from discsim.sweep.inputs import Layout, at_cells, by_region
from discsim.sweep.kinematics import KINEMATICS
from discsim.sweep.mechanics import MechanicsForms
from discsim.sweep.shape import Tables
from discsim.sweep.staged import stage
from discsim.sweep.transport import Deformed, Diffusion

LEDGER = ("born", "died", "gained", "left")


class LaneForms:
    """The equations of one problem on one discretisation. ``row`` is a lane's parameter row (see ``Layout``)."""

    def __init__(self, model: PointModel, d: Discretisation, layout: Layout, rules: Any, count: int) -> None:
        self.model, self.layout = model, layout
        kinematics = KINEMATICS[d.dimension]
        self.mechanics = MechanicsForms(model, kinematics, count)
        self.deformed = Deformed(kinematics)
        self.solutes = Diffusion(model, model.solutes, d, rules)
        self.signals = Diffusion(model, model.signals, d, rules) if model.signals else None
        self.share = d.symmetry_factor
        self.pointwise_names = (*model.cells, *model.others)
        self.gag = self.pointwise_names.index("gag")

    def load(self, row: Any) -> Any:
        """Effective load, MPa."""
        v = self.layout.unpack(row)
        return effective_load(v["loading.rest"], v["loading.active"], v["loading.rest_share"])

    def mechanics_setting(self, t: Tables, rest: Any, row: Any, prestress: Any) -> dict[str, Any]:
        """What the row and the prestress decide in the mechanics; ``rest`` as from ``mechanics.rest``."""
        return self.mechanics.setting(rest, at_cells(self.layout.unpack(row), t["regions"]), prestress)

    def mechanics_residual(
        self, t: Tables, rest: Any, row: Any, gag: Any, setting: Any, q: Any, load: Any, ramp: Any
    ) -> tuple[Any, Any]:
        """Out-of-balance forces (N), and the least distance of J from its bound; ``setting`` from ``mechanics_setting``."""
        return self.mechanics.residual(t, rest, self.layout.unpack(row), gag, setting, q, load, ramp)

    def mechanics_tangent(self, t: Tables, rest: Any, row: Any, gag: Any, setting: Any, q: Any, ramp: Any) -> Any:
        """Element tangents (cells, own, own)."""
        return self.mechanics.tangent(t, rest, self.layout.unpack(row), gag, setting, q, ramp)

    def solute_residual(self, t: Tables, row: Any, deformed: Any, pointwise: Any, signals: Any, c: Any, dt: Any) -> Any:
        """Balance of every solute at every vertex, with the cells after ``dt`` eliminated pointwise."""
        values, named, others = self.lane(t, row, pointwise, signals)
        rates = self.solute_gain(t, values, deformed, named, dt)
        return self.solutes.residual(t, values, deformed, named, others, c, rates)

    def solute_tangent(
        self, t: Tables, row: Any, deformed: Any, pointwise: Any, signals: Any, c: Any, dt: Any
    ) -> tuple[Any, Any]:
        """Element and facet matrices of the solutes."""
        values, named, others = self.lane(t, row, pointwise, signals)
        rates = self.solute_gain(t, values, deformed, named, dt)
        return self.solutes.tangent(t, values, deformed, named, others, c, rates)

    def solute_spread(self, t: Tables, row: Any, deformed: Any, pointwise: Any, signals: Any, c: Any) -> Any:
        """``Diffusion.spread`` of the solutes at the shape ``deformed``."""
        values, named, others = self.lane(t, row, pointwise, signals)
        return self.solutes.spread(t, values, deformed, named, others, c[t["cells"]])

    def signal_spread(self, t: Tables, row: Any, deformed: Any, pointwise: Any, c: Any, s: Any) -> Any:
        """``Diffusion.spread`` of the signals."""
        assert self.signals is not None
        values, named, others = self._signal_lane(t, row, pointwise, c)
        return self.signals.spread(t, values, deformed, named, others, s[t["cells"]])

    def advance(self, t: Tables, row: Any, deformed: Any, pointwise: Any, signals: Any, c: Any, dt: Any) -> tuple[Any, Any]:
        """All pointwise fields after ``dt`` with the solutes ``c`` of its end, and the ledger (cell fields, 4) of the part."""
        values, named, others = self.lane(t, row, pointwise, signals)
        parameters, J = at_cells(values, t["regions"]), deformed["corner_jacobian"]
        nodal = {name: c[t["cells"]][:, :, i] for i, name in enumerate(self.model.solutes)} | others
        like = pointwise[0]

        def whole(found: Any) -> Any:
            return jax.tree.map(lambda value: jnp.broadcast_to(value, like.shape), found)

        def cells_after(nodal: Any) -> Any:
            return whole(self.model.advance_cells(parameters, named, nodal, J, t["masks"], dt))

        def others_after(cells: Any, new: Any, nodal: Any) -> Any:
            return whole(self.model.pass_over_others(parameters, {**named, **cells}, new, nodal, J, t["masks"], dt))

        cells, ledger = stage(t["always"], cells_after, nodal)
        after = {name: named[name] for name in self.model.others}
        for _ in range(CHAIN):
            after = stage(t["always"], others_after, cells, after, nodal)
        new = jnp.stack([{**cells, **after}[name] for name in self.pointwise_names])
        volume = deformed["corner_volume"]
        totals = [[jnp.sum(ledger[n][k] * volume) for k in LEDGER] for n in self.model.cells]
        return new, jnp.array(totals)

    def ledger_density(self, t: Tables, row: Any, deformed: Any, pointwise: Any, signals: Any, c: Any, dt: Any) -> Any:
        """What ``advance`` sums to the ledger, at every pair: (cell fields, 4, cells, vertices)."""
        values, named, others = self.lane(t, row, pointwise, signals)
        parameters, J = at_cells(values, t["regions"]), deformed["corner_jacobian"]
        nodal = {name: c[t["cells"]][:, :, i] for i, name in enumerate(self.model.solutes)} | others
        _, ledger = self.model.advance_cells(parameters, named, nodal, J, t["masks"], dt)
        volume = deformed["corner_volume"]
        return jnp.stack([jnp.stack([ledger[n][k] * volume for k in LEDGER]) for n in self.model.cells])

    def signal_residual(
        self, t: Tables, row: Any, deformed: Any, pointwise: Any, c: Any, s: Any, old: Any, inverse_dt: Any
    ) -> Any:
        """Balance of every signal at every vertex over a step (implicit Euler at fixed shape)."""
        assert self.signals is not None
        values, named, others = self._signal_lane(t, row, pointwise, c)
        rates = self.signal_gain(t, values, deformed, named, old, inverse_dt)
        return self.signals.residual(t, values, deformed, named, others, s, rates)

    def signal_tangent(
        self, t: Tables, row: Any, deformed: Any, pointwise: Any, c: Any, s: Any, inverse_dt: Any
    ) -> tuple[Any, Any]:
        """Element and facet matrices of the signals."""
        assert self.signals is not None
        values, named, others = self._signal_lane(t, row, pointwise, c)
        rates = self.signal_gain(t, values, deformed, named, jnp.zeros_like(s), inverse_dt)
        return self.signals.tangent(t, values, deformed, named, others, s, rates)

    def vertex_volumes(self, t: Tables, deformed: Any, like: Any) -> Any:
        """Current volume of every vertex, mm3; ``like`` has one entry per vertex."""
        return jnp.zeros(like.shape[0]).at[t["cells"]].add(deformed["corner_jacobian"] * deformed["corner_volume"])

    def start(self, t: Tables, points: Any, row: Any) -> tuple[Any, Any, Any]:
        """Pointwise fields, solutes and signals at the start: the disc's composition, highest supply level, no signal."""
        values = self.layout.unpack(row)
        fields = self.model.composition.fields
        material = bound_material(self.model.material, at_cells(values, t["regions"]))
        like = jnp.zeros(t["cells"].shape)
        found = []
        for name in self.pointwise_names:
            found.append(jnp.broadcast_to(material.initial(fields[name].initial), like.shape))
        rules = self.model.composition.boundaries(by_region(values))
        columns = []
        for name in self.model.solutes:
            levels = [rule.level for rule in rules[name].values()] or [jnp.asarray(fields[name].initial)]
            columns.append(jnp.full(points.shape[0], jnp.max(jnp.stack([jnp.asarray(level) for level in levels]))))
        signals = [jnp.full(points.shape[0], jnp.asarray(fields[name].initial, dtype=float)) for name in self.model.signals]
        return jnp.stack(found), jnp.stack(columns, 1), jnp.stack(signals, 1) if signals else jnp.zeros((points.shape[0], 0))

    def snapshot(
        self, t: Tables, points: Any, row: Any, deformed: Any, pointwise: Any, c: Any, signals: Any, q: Any
    ) -> tuple[Snapshot, dict[str, Any]]:
        """The state as readouts see it, and every named value at (cell, vertex) pairs."""
        area = shape.plate_area(t, self.mechanics.kinematics, points)
        return self.seen(t, row, deformed, pointwise, c, signals, self.mechanics.height(points, q), area)

    def seen(
        self, t: Tables, row: Any, deformed: Any, pointwise: Any, c: Any, signals: Any, height: Any, area: Any
    ) -> tuple[Snapshot, dict[str, Any]]:
        """The same at any set of pairs, of a disc of soft height ``height`` (mm) whose modelled part has a plate of ``area``."""
        values, named, others = self.lane(t, row, pointwise, signals)
        parameters, J = at_cells(values, t["regions"]), deformed["corner_jacobian"]
        nodal = {name: c[t["cells"]][:, :, i] for i, name in enumerate(self.model.solutes)} | others
        changes = self.model.changes(parameters, named, nodal, J, t["masks"])
        found = {name: changes.values[name] for name in self.model.composition.fields}
        found |= self.model.derived(changes, parameters, named, J)
        found |= t["masks"]
        at_corners = {name: jnp.broadcast_to(value, J.shape) for name, value in found.items()}
        flat = {name: value.reshape(-1) for name, value in at_corners.items()}
        kinds = {name: field.kind for name, field in self.model.composition.fields.items()}
        weight = (deformed["corner_volume"] * self.share).reshape(-1)
        force = self.load(row) * area * (self.share / 2.0)
        return Snapshot(flat, weight, kinds, height, force), at_corners

    def readouts(self, readouts: tuple[Readout, ...], t: Tables, points: Any, row: Any, deformed: Any, state: Any) -> Any:
        """Readouts in their own units, in order."""
        snapshot, _ = self.snapshot(t, points, row, deformed, *state)
        return jnp.stack([jnp.asarray(readout.function(snapshot)) for readout in readouts])

    def lane(self, t: Tables, row: Any, pointwise: Any, signals: Any) -> tuple[Any, dict[str, Any], dict[str, Any]]:
        named = {name: pointwise[i] for i, name in enumerate(self.pointwise_names)}
        at = signals[t["cells"]]
        return self.layout.unpack(row), named, {name: at[:, :, i] for i, name in enumerate(self.model.signals)}

    def _signal_lane(self, t: Tables, row: Any, pointwise: Any, c: Any) -> tuple[Any, dict[str, Any], dict[str, Any]]:
        named = {name: pointwise[i] for i, name in enumerate(self.pointwise_names)}
        at = c[t["cells"]]
        return self.layout.unpack(row), named, {name: at[:, :, i] for i, name in enumerate(self.model.solutes)}

    def solute_gain(self, t: Tables, values: Any, deformed: Any, named: Any, dt: Any) -> Any:
        parameters, J = at_cells(values, t["regions"]), deformed["corner_jacobian"]

        def cells(nodal: dict[str, Any]) -> dict[str, Any]:
            return self.model.advance_cells(parameters, named, nodal, J, t["masks"], dt)[0]

        def gain(cells: dict[str, Any], nodal: dict[str, Any]) -> dict[str, Any]:
            changes = self.model.changes(parameters, {**named, **cells}, nodal, J, t["masks"])
            found = self.model.solute_rates(changes)
            return {k: jnp.broadcast_to(v, J.shape) * J * deformed["corner_volume"] for k, v in found.items()}

        def rates(nodal: dict[str, Any]) -> dict[str, Any]:
            return stage(t["always"], gain, stage(t["always"], cells, nodal), nodal)

        return rates

    def signal_gain(self, t: Tables, values: Any, deformed: Any, named: Any, old: Any, inverse_dt: Any) -> Any:
        parameters, J = at_cells(values, t["regions"]), deformed["corner_jacobian"]
        before = old[t["cells"]]

        def rates(nodal: dict[str, Any]) -> dict[str, Any]:
            changes = self.model.changes(parameters, named, nodal, J, t["masks"])
            gain = self.model.signal_rates(changes, nodal)
            stored = {n: inverse_dt * (nodal[n] - before[:, :, i]) for i, n in enumerate(self.model.signals)}
            return {n: (gain[n] - stored[n]) * J * deformed["corner_volume"] for n in self.model.signals}

        return rates
