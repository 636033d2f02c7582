"""Which way of a readout is better, and what it speaks of. A readout that is not named here gets numbers but no ranking.

Structure (what a scan or a pressure needle sees) and pain are different things: a taller disc need not hurt less. Every readout
therefore has its own verdict, and nothing adds, averages or weighs readouts.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

Domain = Literal["cells", "structure", "nutrition", "pain"]


@dataclasses.dataclass(frozen=True)
class Direction:
    """``higher_is_better`` and ``why``, a reason in words; ``domain`` is what the readout speaks of."""

    higher_is_better: bool
    domain: Domain
    why: str

    @property
    def word(self) -> str:
        """How tables say it."""
        return "higher is better" if self.higher_is_better else "lower is better"

    @property
    def sign(self) -> float:
        """+1 where higher is better, -1 where lower is."""
        return 1.0 if self.higher_is_better else -1.0


DIRECTIONS: dict[str, Direction] = {
    "viable_cells": Direction(True, "cells", "only living cells make matrix"),
    "viable_cells_nucleus": Direction(True, "cells", "only living cells make matrix"),
    "native_cells_nucleus": Direction(True, "cells", "a therapy that costs the disc its own cells harms it"),
    "gag_nucleus": Direction(True, "structure", "glycosaminoglycan holds the water; its loss is what grades describe"),
    "gag_disc": Direction(True, "structure", "glycosaminoglycan holds the water; its loss is what grades describe"),
    "disc_height": Direction(True, "structure", "height is lost with degeneration"),
    "nucleus_pressure": Direction(
        True, "structure", "a nucleus that keeps its pressure carries the load that else goes to the annulus"
    ),
    "glucose_min": Direction(True, "nutrition", "cells die within days below about 0.5 mM"),
    "ph_min": Direction(True, "nutrition", "acid kills cells and slows synthesis"),
}
# Without a direction on purpose: lowest oxygen (the nucleus lives hypoxic), highest lactate (its harm is told by pH), volume and
# fixed charge of the nucleus (either rises where water or height goes the wrong way).


def direction_of(readout: str) -> Direction | None:
    """The direction of a readout, or nothing where more is neither better nor worse."""
    return DIRECTIONS.get(readout)
