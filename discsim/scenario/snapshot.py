"""A snapshot: the state of one disc at one time, as readouts see it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """Named values at points (any array library).

    ``values``: current densities and concentrations, derived values and point quantities, each of shape ``(points,)``;
    ``weight``: reference volume of each point, mm3, of the *whole* disc (mirror images included), so that the sum over
    points of weight x jacobian is the disc's volume; ``kinds``: kind of every field; ``height`` whole soft height, mm;
    ``plate_force`` N.
    """

    values: Mapping[str, Any]
    weight: Any
    kinds: Mapping[str, str]
    height: Any
    plate_force: Any

    @property
    def xp(self) -> Any:
        """The array namespace of the values (numpy or jax.numpy)."""
        return self.weight.__array_namespace__()

    def region(self, *names: str) -> Any:
        """1 at the points of these regions, 0 elsewhere."""
        return sum(self.values[f"in_{name}"] for name in names)

    def integral(self, values: Any, *regions: str) -> Any:
        """Integral of a current density over the current volume of these regions (all of the disc where none is named)."""
        volume = self.weight * self.values["jacobian"]
        if regions:
            volume = volume * self.region(*regions)
        return self.xp.sum(values * volume)

    def mean(self, values: Any, *regions: str) -> Any:
        """Mean over the current volume of these regions."""
        return self.integral(values, *regions) / self.integral(0.0 * values + 1.0, *regions)

    def of_kind(self, kind: str) -> tuple[str, ...]:
        """Names of the fields of a kind."""
        return tuple(name for name, k in self.kinds.items() if k == kind)
