"""Solutes with the cells that live on them: quasi-steady diffusion, implicit death.

Death is stiff (days against years) and tied to glucose, so the cells after the step are eliminated pointwise inside the solute
equations: rho(c) = exact exponential of the rates at c. The rates of the solutes see rho(c). With dt = 0 this is the plain
quasi-steady solve. (sweep_engine 3.2; default_disc c: a plain one-day step overkills.)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from discsim.fem.state import FieldState
from discsim.fem.transport import Diffusion
from discsim.problem.status import Status, StepFailed

LEDGER = ("born", "died", "gained", "left")


class Nutrients:
    """Solutes and cells of one step."""

    def __init__(self, state: FieldState) -> None:
        self.state, model = state, state.model

        def law(p: Any, pointwise: Any, nodal: Any, jacobian: Any, masks: Any, dt: Any) -> Any:
            new, ledger = model.advance_cells(p, pointwise, nodal, jacobian, masks, dt)
            changes = model.changes(p, {**pointwise, **new}, nodal, jacobian, masks)
            return model.solute_rates(changes), new, ledger

        rates, new, ledger = state.lowered(law, "nutrients")
        self.transport = Diffusion(state, model.solutes, state.solutes, rates, absolute=1e-10, relative=1e-14)
        entries = [new[name] for name in model.cells]
        entries += [ledger[name][key] for name in model.cells for key in LEDGER]
        self._advance = state.spaces.at_corners(entries)

    def solve(self, dt: float) -> tuple[dict[str, np.ndarray], dict[str, dict[str, float]]]:
        """Solve for the solutes; returns the cells after ``dt`` (not yet stored) and the ledger as totals of the part.

        Raises ``StepFailed`` where Newton fails or a concentration is negative.
        """
        state = self.state
        state.dt.value = dt
        report = self.transport.solve()
        if not report.converged:
            raise StepFailed(
                Status.NONCONVERGED, f"nutrients did not converge ({report.reason}, residual {report.norm:.2g} nmol/s)"
            )
        for name, values in state.solute_values().items():
            if values.min() < 0.0:
                raise StepFailed(Status.UNPHYSICAL, f"{name} is negative ({values.min():.3g})")
        values = self._advance()
        cells = {name: values[i] for i, name in enumerate(state.model.cells)}
        for name, amount in cells.items():
            if not np.isfinite(amount).all() or amount.min() < 0.0:
                raise StepFailed(Status.UNPHYSICAL, f"{name} is negative or not finite")
        rows = iter(values[len(cells) :])
        volume = state.spaces.corner_volume
        ledger = {name: {key: float(next(rows) @ volume) for key in LEDGER} for name in state.model.cells}
        return cells, ledger
