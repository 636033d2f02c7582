"""Which fields' balances read which fields: found from the laws themselves, so that matrices hold no needless zeros."""

from __future__ import annotations

from typing import Any

import jax
import jax.extend.core
import jax.numpy as jnp
import numpy as np

from discsim.quantities.parameters import REGIONS
from discsim.sweep.forms import LaneForms


def couplings(forms: LaneForms, names: tuple[str, ...]) -> np.ndarray:
    """(fields, fields): whether rate or diffusivity of the first can depend on the second; the diagonal is always true."""
    rates, diffusivities = _reads(forms, names)
    found: np.ndarray = rates | diffusivities | np.eye(len(names), dtype=bool)
    return found


def diffusivities_read(forms: LaneForms, names: tuple[str, ...]) -> bool:
    """Whether any diffusivity of these fields can depend on one of them."""
    return bool(_reads(forms, names)[1].any())


def _reads(forms: LaneForms, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Two masks (fields, fields): whether the rate of the first can depend on the second, and whether its diffusivity can."""
    model = forms.model
    number = jnp.ones(())
    parameters = {path: number for path in forms.layout.columns}
    masks = {f"in_{region}": number for region in REGIONS}
    others = {name: number for name in (*model.solutes, *model.signals) if name not in names}
    pointwise = {name: number for name in forms.pointwise_names}

    def laws(values: list[Any]) -> list[Any]:
        nodal = dict(zip(names, values, strict=True)) | others
        changes = model.changes(parameters, pointwise, nodal, number, masks)
        diffusivity = model.composition.diffusivities(parameters, changes.values)
        if names == model.solutes:  # the cells after the step are eliminated: whoever reads them reads what they die of
            cells, _ = model.advance_cells(parameters, pointwise, nodal, number, masks, number)
            changes = model.changes(parameters, {**pointwise, **cells}, nodal, number, masks)
        rates = model.solute_rates(changes) | (model.signal_rates(changes, nodal) if model.signals else {})
        return [number * (rates[name] + 0.0) for name in names] + [number * diffusivity[name] for name in names]

    jaxpr = jax.make_jaxpr(laws)([number] * len(names)).jaxpr
    reads: dict[Any, frozenset[int]] = {variable: frozenset([i]) for i, variable in enumerate(jaxpr.invars)}
    for equation in jaxpr.eqns:
        known = [reads.get(v, frozenset()) for v in equation.invars if not isinstance(v, jax.extend.core.Literal)]
        together = frozenset().union(*known)
        reads |= dict.fromkeys(equation.outvars, together)
    found = np.zeros((2 * len(names), len(names)), dtype=bool)
    for row, variable in enumerate(jaxpr.outvars):
        if not isinstance(variable, jax.extend.core.Literal):
            found[row, list(reads.get(variable, frozenset()))] = True
    return found[: len(names)], found[len(names) :]
