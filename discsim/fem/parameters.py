"""Parameters in forms: a ``Constant`` each, or one per region summed with the region masks. New values compile nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from discsim.fem.backend import fem
from discsim.fem.spaces import Spaces
from discsim.quantities.parameters import REGIONS


class FormParameters:
    """Symbols by path for the laws, and the setter for their values."""

    def __init__(self, spaces: Spaces, values: Mapping[str, Any]) -> None:
        self.symbols: dict[str, Any] = {}
        self._constants: dict[tuple[str, str | None], Any] = {}
        self.current: dict[str, Any] = {}
        for path, value in values.items():
            if isinstance(value, dict):
                parts = []
                for region in REGIONS:
                    constant = fem.Constant(spaces.mesh, float(value[region]))
                    self._constants[path, region] = constant
                    parts.append(spaces.masks[region] * constant)
                self.symbols[path] = sum(parts[1:], parts[0])
            else:
                self._constants[path, None] = self.symbols[path] = fem.Constant(spaces.mesh, float(value))
        self.set(values)

    def set(self, values: Mapping[str, Any]) -> None:
        """Give parameters new values (paths unknown to the forms are remembered too)."""
        for path, value in values.items():
            self.current[path] = value
            if isinstance(value, dict):
                for region, number in value.items():
                    if (path, region) in self._constants:
                        self._constants[path, region].value = float(number)
            elif (path, None) in self._constants:
                self._constants[path, None].value = float(value)

    def at_cells(self, path: str, regions: np.ndarray) -> np.ndarray:
        """Value of a parameter in each cell, given the cells' region ids 1..4."""
        value = self.current[path]
        if isinstance(value, dict):
            return np.array([0.0, *[value[region] for region in REGIONS]])[regions]
        return np.full(len(regions), float(value))
