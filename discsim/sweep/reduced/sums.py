"""What every point of the mesh contributes to every sum of a reduced model: what cubature is fitted to."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from discsim.problem.problem import Problem
from discsim.scenario.snapshot import Snapshot
from discsim.sweep.kernels import Kernels
from discsim.sweep.reduced.bases import Counts
from discsim.sweep.reduced.cubature import Sketch
from discsim.sweep.reduced.forms import ReducedForms
from discsim.sweep.reduced.points import SETS, Tables
from discsim.sweep.reduced.rule import TrainingRule
from discsim.sweep.reduced.states import States

STEP = 30.0 * 86400.0  # s; over which flows of cells are looked at


class _Recording(Snapshot):
    """A snapshot that keeps what readouts integrate."""

    def integral(self, values: Any, *regions: str) -> Any:
        volume = self.weight * self.values["jacobian"]
        if regions:
            volume = volume * self.region(*regions)
        self.__dict__.setdefault("seen", []).append(values * volume)
        return self.xp.sum(values * volume)


def integrands(reduced: ReducedForms, problem: Problem, t: Tables, row: Any, pointwise: Any, a: Any, d: Any, b: Any) -> Any:
    """What the readouts and the amounts of the ledger integrate, at every pair: (integrals, pairs)."""
    seen = reduced.snapshot(t, row, pointwise, a, d, b)
    recording = _Recording(**{field.name: getattr(seen, field.name) for field in dataclasses.fields(seen)})
    for readout in problem.readouts:
        readout.function(recording)
    for kind in ("cells", "matrix"):
        for name in seen.of_kind(kind):
            recording.integral(seen.values[name])
            for region in t["pairs"]["masks"]:
                recording.integral(seen.values[name], region.removeprefix("in_"))
    for region in t["pairs"]["masks"]:
        recording.integral(0.0 * seen.weight + 1.0, region.removeprefix("in_"))
    return jnp.stack(recording.__dict__["seen"])


def contributions(
    kernels: Kernels,
    problem: Problem,
    reduced: ReducedForms,
    t: Tables,
    states: States,
    coefficients: tuple[np.ndarray, np.ndarray, np.ndarray],
    picked: np.ndarray,
    rule: TrainingRule,
    used: Counts,
) -> tuple[dict[str, Sketch], dict[str, Sketch]]:
    """Sketches, by set, of what every point of the mesh contributes to every sum of the reduced model, and of its check.

    The model's hold the sums with its own modes (those of pairs with the further ones too), the check's those with all modes.
    """
    b, a, d = coefficients
    layout_prestress = [p.reshape(p.shape[0], -1, 1) for p in states.prestress]

    @jax.jit
    def of_state(t: Any, row: Any, pointwise: Any, prestress: Any, b: Any, a: Any, d: Any) -> Any:
        gag = pointwise[reduced.full.gag]
        F = reduced.deformation(t["strain"], b)
        strain = []
        for ramp in (0.0, 1.0):  # matrix and fibres alone, and with the osmotic pressure that balances them
            weighted, _ = reduced.stress(t, row, gag, prestress, ramp)(*F)
            parts = [t["strain"]["strain"][k].T * stress[:, 0] for k, stress in enumerate(weighted)]
            strain.append(sum(parts[1:], start=parts[0]))
        shape = reduced.shape(t, b)
        flux, facets, pairs = [], [], []
        for kind in ("solutes", "signals"):
            if kind == "signals" and reduced.full.signals is None:
                continue
            moved, out = reduced.flows(t, kind, row, shape, pointwise, a, d)
            at = reduced.solutes_at(t, row, a, "pairs") if kind == "solutes" else reduced.signals_at(t, row, d, "pairs")
            volume = shape["corner_jacobian"] * t["pairs"]["weight"]
            if kind == "solutes":
                gain = reduced.solute_gain(t, row, shape, pointwise, d, 0.0)(at)
            else:
                gain = reduced.signal_gain(t, row, shape, pointwise, a, jnp.zeros_like(at), 0.0)(at)
            for index, slopes in enumerate(t["flux"][f"{kind}_slopes"]):
                flux.append(jnp.einsum("dpn,dp->np", slopes, moved[index]))
                facets.append(t["facets"][kind][index].T * out[:, index])
                pairs.append(t["pairs"][kind][index].T * gain[:, index])
                if kind == "signals":
                    pairs.append(t["pairs"][kind][index].T * (at[:, index : index + 1] * volume)[:, 0])
        seen = integrands(reduced, problem, t, row, pointwise, a, d, b)
        return strain, flux, facets, pairs, seen, reduced.ledger_density(t, row, pointwise, a, d, b, STEP)

    found, check = (
        {name: Sketch(len(t[name]["regions"]), rule.seed + 10 * more + k) for k, name in enumerate(SETS)} for more in (0, 1)
    )
    own = _own_modes(used, signals=reduced.full.signals is not None)
    blocks: list[Any] = []
    for i in picked:
        pointwise = states.pointwise[i].reshape(states.pointwise.shape[1], -1, 1)
        blocks.append((states.rows[i], pointwise, layout_prestress[states.course[i]], b[i], a[i], d[i]))
    sizes, flows = _usual_sizes(of_state(t, *block) for block in blocks[:: max(1, len(blocks) // 24)])
    for block in blocks:
        parts = of_state(t, *block)
        for name, families in zip(SETS, (parts[0], parts[1], parts[3], parts[2]), strict=True):
            for index, family in enumerate(families):
                size = sizes[name][index]
                if size > 0.0:
                    rows = np.asarray(family) / size
                    found[name].add(rows if name == "pairs" else rows[: own[name][index]])
                    if name != "pairs":
                        check[name].add(rows)
        totals = np.asarray(parts[4])
        sums = np.abs(totals.sum(axis=1))
        found["pairs"].add(totals[sums > 0.0] / sums[sums > 0.0, None])
        # a flow of cells that is small now matters as the largest does: the ledger adds them up
        ledger = np.asarray(parts[5])
        found["pairs"].add(ledger[flows > 0.0] / flows[flows > 0.0, None])
    return found, check


def _own_modes(used: Counts, *, signals: bool) -> dict[str, list[int]]:
    """By set, how many rows of every family belong to the model's own modes, in the order in which families come."""
    fields = [*used.solutes, *(used.signals if signals else ())]
    return {"strain": [used.displacement] * 2, "flux": fields, "facets": fields}


def _usual_sizes(some: Iterable[Any]) -> tuple[dict[str, list[float]], np.ndarray]:
    """Usual size of the sums of every family of rows (a field, a kind of term): what their errors are compared with; and the
    largest flow of every entry of the ledger."""
    squares: dict[str, list[float]] = {}
    flows, count = np.zeros(1), 0
    for parts in some:
        count += 1
        flows = np.maximum(flows, np.abs(np.asarray(parts[5])).sum(axis=1))
        for name, families in zip(SETS, (parts[0], parts[1], parts[3], parts[2]), strict=True):
            sums = [float((np.asarray(family).sum(axis=1) ** 2).mean()) for family in families]
            if name == "strain":  # out of balance the forces are next to nothing: those of the matrix alone are the measure
                sums = [sums[0]] * len(sums)
            squares[name] = [x + y for x, y in zip(squares.get(name, [0.0] * len(sums)), sums, strict=True)]
    return {name: [(value / count) ** 0.5 for value in values] for name, values in squares.items()}, flows


def extreme_pairs(kernels: Kernels, problem: Problem, points: Any, states: States, picked: np.ndarray) -> np.ndarray:
    """Pairs at which extremes lay in training: where the slope of an extreme readout by the values is not zero."""
    forms, t = kernels.forms, kernels.tables
    wanted = [readout for readout in problem.readouts if readout.kind == "extremum"]
    if not wanted:
        return np.zeros(0, dtype=np.int64)

    @jax.jit
    def slopes(row: Any, pointwise: Any, c: Any, s: Any, q: Any) -> Any:
        deformed = forms.deformed(t, points, q)
        seen, _ = forms.snapshot(t, points, row, deformed, pointwise, c, s, q)
        values = dict(seen.values)
        found = []
        for readout in wanted:
            by = jax.grad(lambda v, r=readout: jnp.asarray(r.function(dataclasses.replace(seen, values=v))))(values)
            found.append(sum(jnp.abs(slope) for slope in by.values()))
        return jnp.stack(found)

    places: set[int] = set()
    for i in picked:
        found = np.asarray(slopes(states.rows[i], states.pointwise[i], states.solutes[i], states.signals[i], states.q[i]))
        for line in found:
            places.add(int(np.argmax(line)))
    return np.array(sorted(places), dtype=np.int64)
