"""Signals: transient diffusion with implicit Euler at fixed shape; what a change of shape does to them is in ``reshape``."""

from __future__ import annotations

from typing import Any

import numpy as np

from discsim.fem.backend import fem
from discsim.fem.state import FieldState
from discsim.fem.transport import Diffusion
from discsim.problem.status import Status, StepFailed


class Signalling:
    """All signals of one step: (J s - J s_old)/dt + ... = J R, lumped at vertices."""

    def __init__(self, state: FieldState) -> None:
        assert state.signals is not None
        unknown = state.signals
        self.state, model, spaces = state, state.model, state.spaces

        def law(p: Any, pointwise: Any, nodal: Any, jacobian: Any, masks: Any, dt: Any) -> Any:
            return model.signal_rates(model.changes(p, pointwise, nodal, jacobian, masks), nodal)

        rates = state.lowered(law, "signals")
        self.old = fem.Function(state.signals.function_space)
        self.inverse_dt = fem.Constant(spaces.mesh, 0.0)

        def storage(tests: Any, factor: Any) -> Any:
            form = 0
            for i in range(len(model.signals)):
                form += self.inverse_dt * (unknown[i] - self.old[i]) * tests[i] * factor * spaces.dx_vertex
            return form

        self.transport = Diffusion(state, model.signals, state.signals, rates, absolute=0.0, relative=1e-9, storage=storage)

    def solve(self, dt: float) -> None:
        """Advance by ``dt`` (s); raises ``StepFailed``. Nothing is done where there is and comes no signal."""
        state = self.state
        assert state.signals is not None
        self.old.x.array[:] = state.signals.x.array
        self.inverse_dt.value = 1.0 / dt
        # Signals differ by orders of magnitude in size (genomes, ng/mL) and are linear here: one direct solve gets each of
        # them to round-off, and the tolerance follows the present residual.
        start = np.linalg.norm(self.transport.residual(state.signals.x.array.copy()))
        if start == 0.0:
            return
        self.transport.solver.forget()
        report = self.transport.solve()
        if not report.converged:
            raise StepFailed(Status.NONCONVERGED, f"signals did not converge ({report.reason})")
        for name, values in state.signal_values().items():
            worst = values.min()
            if worst < -1e-9 * max(values.max(), 0.0):
                raise StepFailed(Status.UNPHYSICAL, f"{name} is negative ({worst:.3g})")

    def reshape(self, before: np.ndarray, after: np.ndarray) -> None:
        """Keep the amount at every vertex when its current volume goes from ``before`` to ``after`` (mm3)."""
        for values in self.state.signal_values().values():
            values *= before / after
