"""The material point: pure functions that both engines evaluate, one lowered to UFL, the other mapped over points.

Amounts (cells, matrix) are kept per *reference* mixture volume; laws see current densities and return rates per current
mixture volume; the factor J between them stands here and nowhere else. Over a step of length ``dt`` every pointwise field
follows dy/dt = P - L y with P and L frozen, solved exactly, so a field stays positive whatever the step.

``parameters`` maps paths to the value at the point, including ``materials.*``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from discsim.biology.mechanism import Changes, Composition
from discsim.disc.material import OsmoBiphasic

TINY = 1e-30
CHAIN = 3


def bound_material(material: OsmoBiphasic, parameters: Mapping[str, Any]) -> OsmoBiphasic:
    """The material with its parameters at the point."""
    return material.bind({key: parameters[f"{material.label}.{key}"] for key in material.parameters()})


class PointModel:
    """Composition and material together, as functions of one point's state.

    ``pointwise``: reference amounts of cells and matrix, values of per-cell states; ``nodal``: solutes and signals;
    ``masks``: ``in_<region>``.
    """

    def __init__(self, composition: Composition, material: OsmoBiphasic) -> None:
        self.composition, self.material = composition, material
        self.cells = composition.of_kind("cells")
        self.others = composition.of_kind("matrix", "per_cell")
        self.solutes = composition.of_kind("solute")
        self.signals = composition.of_kind("signal")

    def changes(
        self,
        parameters: Mapping[str, Any],
        pointwise: Mapping[str, Any],
        nodal: Mapping[str, Any],
        jacobian: Any,
        masks: Mapping[str, Any],
    ) -> Changes:
        """Everything that happens at the point, from current values."""
        point = dict(nodal) | dict(masks) | {"jacobian": jacobian}
        point |= bound_material(self.material, parameters).point(jacobian)
        for name, value in pointwise.items():
            point[name] = value if self.composition.fields[name].kind == "per_cell" else value / jacobian
        return self.composition.evaluate(parameters, point)

    def advance_cells(
        self,
        parameters: Mapping[str, Any],
        pointwise: Mapping[str, Any],
        nodal: Mapping[str, Any],
        jacobian: Any,
        masks: Mapping[str, Any],
        dt: Any,
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Cells after ``dt`` and the ledger per field (born, died, gained, left: amounts per reference volume).

        Conversions are integrated over the step: what leaves one field enters the other as a production at the mean rate.
        """
        changes = self.changes(parameters, pointwise, nodal, jacobian, masks)
        return self._advance(self.cells, changes, pointwise, jacobian, dt)

    def advance_others(
        self,
        parameters: Mapping[str, Any],
        pointwise: Mapping[str, Any],
        nodal: Mapping[str, Any],
        jacobian: Any,
        masks: Mapping[str, Any],
        dt: Any,
    ) -> dict[str, Any]:
        """Matrix and per-cell states after ``dt``; ``pointwise`` holds the cells after the step, the rest before it.

        Production and loss are evaluated at the end of the step. The states feed one another in chains (genomes, transcript,
        expression), which ``CHAIN`` passes resolve whatever the order of the mechanisms; without them a state that follows
        another would lag it by a step, and by another length each time the step changes.
        """
        new = {name: pointwise[name] for name in self.others}
        for _ in range(CHAIN):
            new = self.pass_over_others(parameters, pointwise, new, nodal, jacobian, masks, dt)
        return new

    def pass_over_others(
        self,
        parameters: Mapping[str, Any],
        pointwise: Mapping[str, Any],
        new: Mapping[str, Any],
        nodal: Mapping[str, Any],
        jacobian: Any,
        masks: Mapping[str, Any],
        dt: Any,
    ) -> dict[str, Any]:
        """One of the ``CHAIN`` passes of ``advance_others``, from the values ``new`` of the pass before."""
        changes = self.changes(parameters, {**pointwise, **new}, nodal, jacobian, masks)
        return self._advance(self.others, changes, pointwise, jacobian, dt, new)[0]

    def solute_rates(self, changes: Changes) -> dict[str, Any]:
        """Net rate of every solute per current mixture volume (mM/s, kPa/s)."""
        return {name: sum((r for _, r in changes.sources.get(name, [])), 0.0) for name in self.solutes}

    def signal_rates(self, changes: Changes, nodal: Mapping[str, Any]) -> dict[str, Any]:
        """Net rate of every signal per current mixture volume and second."""
        rates = {}
        for name in self.signals:
            gain = sum((r for _, r in changes.sources.get(name, [])), 0.0)
            rates[name] = gain - nodal[name] * sum((k for _, k in changes.losses.get(name, [])), 0.0)
        return rates

    def derived(
        self, changes: Changes, parameters: Mapping[str, Any], pointwise: Mapping[str, Any], jacobian: Any
    ) -> dict[str, Any]:
        """Named values for readouts and pictures: derived values, drives, swelling pressure, fixed charge per tissue water."""
        material = bound_material(self.material, parameters)
        named = {n: v for n, v in changes.values.items() if n not in self.composition.fields and not n.startswith("in_")}
        named["osmotic_pressure"] = material.osmotic_pressure(jacobian, pointwise["gag"])
        named["fixed_charge_density"] = material.charge(pointwise["gag"]) / (jacobian * named["porosity"])
        return named

    def _advance(
        self,
        names: tuple[str, ...],
        changes: Changes,
        pointwise: Mapping[str, Any],
        jacobian: Any,
        dt: Any,
        current: Mapping[str, Any] | None = None,
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        from discsim.laws.relaxation import exponential_mean, exponential_step

        new: dict[str, Any] = {}
        ledger: dict[str, dict[str, Any]] = {}
        gained: dict[str, list[Any]] = {name: [] for name in names}
        for name in self._conversion_order(names, changes):
            old = pointwise[name]
            per_volume = 1.0 if self.composition.fields[name].kind == "per_cell" else jacobian
            production, death = _split(changes, name, (current or pointwise)[name] / per_volume)
            production = per_volume * production
            leaving = [(into, k) for source, into, k in changes.conversions if source == name]
            inflow = sum(gained[name], 0.0)
            loss = death + sum((k for _, k in leaving), 0.0)
            new[name] = exponential_step(old, production + inflow, loss, dt)
            mean = exponential_mean(old, production + inflow, loss, dt)
            for into, k in leaving:
                gained[into].append(k * mean)
            ledger[name] = {
                "born": production * dt,
                "died": death * mean * dt,
                "gained": inflow * dt,
                "left": sum((k for _, k in leaving), 0.0) * mean * dt,
            }
        return new, ledger

    @staticmethod
    def _conversion_order(names: tuple[str, ...], changes: Changes) -> tuple[str, ...]:
        import graphlib

        sorter = graphlib.TopologicalSorter({name: [] for name in names})
        for source, into, _ in changes.conversions:
            if source in names:
                sorter.add(into, source)
        return tuple(sorter.static_order())


def _split(changes: Changes, name: str, current: Any) -> tuple[Any, Any]:
    """Production (>= 0) and first-order loss (1/s) of a field; a negative plain rate becomes a loss."""
    import jax.numpy as jnp

    production: Any = 0.0 * current
    loss: Any = 0.0 * current
    for _, rate in changes.sources.get(name, []):
        production = production + jnp.maximum(rate, 0.0)
        loss = loss + jnp.maximum(-rate, 0.0) / jnp.maximum(current, TINY)
    for _, rate in changes.losses.get(name, []):
        loss = loss + rate
    return production, loss
