"""The fields of one disc as DOLFINx functions, and the laws lowered on them once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from discsim.fem.backend import fem
from discsim.fem.lower import lower
from discsim.fem.mechanics import Mechanics
from discsim.fem.parameters import FormParameters
from discsim.fem.spaces import Spaces
from discsim.problem.point import PointModel


class FieldState:
    """Pointwise fields (DG1: reference amounts), solutes and signals (P1), and the step length, as symbols and arrays."""

    def __init__(self, spaces: Spaces, model: PointModel, parameters: FormParameters, mechanics: Mechanics) -> None:
        self.spaces, self.model, self.parameters, self.mechanics = spaces, model, parameters, mechanics
        self.dt = fem.Constant(spaces.mesh, 0.0)
        self.pointwise: dict[str, Any] = {}
        for name in (*model.cells, *model.others):
            # the mechanics reads the charge-carrying field: one function, not two that must be kept equal
            self.pointwise[name] = mechanics.gag if name == "gag" else fem.Function(spaces.corner, name=name)
        self.solutes = _vector(spaces, len(model.solutes))
        self.signals = _vector(spaces, len(model.signals)) if model.signals else None
        self.masks = {f"in_{region}": mask for region, mask in spaces.masks.items()}

    def nodal_symbols(self) -> dict[str, Any]:
        """Solutes and signals by name, in UFL."""
        symbols = {name: self.solutes[i] for i, name in enumerate(self.model.solutes)}
        if self.signals is not None:
            symbols |= {name: self.signals[i] for i, name in enumerate(self.model.signals)}
        return symbols

    def lowered(self, law: Any, name: str) -> Any:
        """``law(parameters, pointwise, nodal, jacobian, masks, dt)`` on this state, in UFL."""
        return lower(
            law, self.parameters.symbols, self.pointwise, self.nodal_symbols(), self.mechanics.J, self.masks, self.dt, name=name
        )

    def solute_values(self) -> dict[str, np.ndarray]:
        """Solutes by name, at vertices (views)."""
        return {name: self.solutes.x.array[i :: len(self.model.solutes)] for i, name in enumerate(self.model.solutes)}

    def signal_values(self) -> dict[str, np.ndarray]:
        """Signals by name, at vertices (views)."""
        if self.signals is None:
            return {}
        return {name: self.signals.x.array[i :: len(self.model.signals)] for i, name in enumerate(self.model.signals)}

    def copy(self) -> dict[str, np.ndarray]:
        """Everything that a step may change, for retry from the same state."""
        saved = {name: function.x.array.copy() for name, function in self.pointwise.items()}
        saved["*solutes"] = self.solutes.x.array.copy()
        if self.signals is not None:
            saved["*signals"] = self.signals.x.array.copy()
        saved["*mechanics"] = self.mechanics.q.copy()
        return saved

    def restore(self, saved: Mapping[str, np.ndarray]) -> None:
        """Back to a copy."""
        for name, function in self.pointwise.items():
            function.x.array[:] = saved[name]
        self.solutes.x.array[:] = saved["*solutes"]
        if self.signals is not None:
            self.signals.x.array[:] = saved["*signals"]
        self.mechanics.set_state(saved["*mechanics"])


def _vector(spaces: Spaces, size: int) -> Any:
    return fem.Function(fem.functionspace(spaces.mesh, ("Lagrange", 1, (size,))))
