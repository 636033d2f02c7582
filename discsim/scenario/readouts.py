"""Readouts: pure functions of a snapshot with name, unit and kind (linear functional, extremum, or general)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

from discsim.scenario.snapshot import Snapshot


@dataclasses.dataclass(frozen=True)
class Readout:
    """``function(snapshot)`` in ``unit``. ``digits`` is how many decimals tables show; ``accuracy``: error in ``unit`` that an
    approximate engine may make (0: a share of the value, which the engine is told)."""

    name: str
    unit: str
    kind: Literal["linear", "extremum", "general"]
    description: str
    function: Callable[[Snapshot], Any]
    digits: int = 3
    accuracy: float = 0.0

    def __reduce__(self) -> Any:
        """A readout travels to another process by its name: functions without a name cannot."""
        if READOUTS.get(self.name) is not self:
            return super().__reduce__()
        return _by_name, (self.name,)


def _by_name(name: str) -> Readout:
    return READOUTS[name]


def _cells(s: Snapshot, *regions: str) -> Any:
    return 1e-6 * sum(s.integral(s.values[name], *regions) for name in s.of_kind("cells"))


_LIST = (
    Readout("viable_cells", "million", "linear", "viable cells of all kinds in the whole disc", _cells, 2),
    Readout(
        "viable_cells_nucleus", "million", "linear", "viable cells of all kinds in the nucleus", lambda s: _cells(s, "NP"), 2
    ),
    Readout(
        "native_cells_nucleus",
        "million",
        "linear",
        "viable native cells in the nucleus",
        lambda s: 1e-6 * s.integral(s.values["cell_density"], "NP"),
        2,
    ),
    Readout(
        "gag_nucleus", "mg", "linear", "glycosaminoglycan in the nucleus", lambda s: 1e-3 * s.integral(s.values["gag"], "NP"), 1
    ),
    Readout("gag_disc", "mg", "linear", "glycosaminoglycan in the whole disc", lambda s: 1e-3 * s.integral(s.values["gag"]), 1),
    Readout("disc_height", "mm", "linear", "soft height of the disc at the effective load", lambda s: s.height, 3),
    Readout(
        "nucleus_pressure",
        "MPa",
        "general",
        "intradiscal pressure, mean over the nucleus",
        lambda s: s.mean(s.values["osmotic_pressure"], "NP"),
        4,
    ),
    Readout(
        "nucleus_volume", "mL", "linear", "volume of the nucleus", lambda s: 1e-3 * s.integral(0.0 * s.weight + 1.0, "NP"), 3
    ),
    Readout(
        "fixed_charge_nucleus",
        "mEq/mL",
        "general",
        "fixed charge per tissue water, mean over the nucleus",
        lambda s: s.mean(s.values["fixed_charge_density"], "NP"),
        4,
    ),
    Readout("glucose_min", "mM", "extremum", "lowest glucose in the disc", lambda s: s.xp.min(s.values["glucose"]), 3, 0.02),
    Readout("oxygen_min", "kPa", "extremum", "lowest oxygen in the disc", lambda s: s.xp.min(s.values["oxygen"]), 3, 0.05),
    Readout("lactate_max", "mM", "extremum", "highest lactate in the disc", lambda s: s.xp.max(s.values["lactate"]), 3),
    Readout("ph_min", "1", "extremum", "lowest pH in the disc", lambda s: s.xp.min(s.values["ph"]), 3, 0.005),
)

READOUTS: dict[str, Readout] = {readout.name: readout for readout in _LIST}
DEFAULT_READOUTS: tuple[str, ...] = (
    "viable_cells",
    "viable_cells_nucleus",
    "gag_nucleus",
    "disc_height",
    "nucleus_pressure",
    "glucose_min",
    "ph_min",
)
