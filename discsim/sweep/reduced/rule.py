"""How fine a reduced model is, and how far its numbers may be off before they are computed at full order."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class TrainingRule:
    """How a reduced model is made.

    ``displacement``, ``solutes``, ``signals``: share of the root mean square that the modes may leave, and at most how many;
    ``further``: how many times as many modes the residual is checked with; ``cubature``: relative error of the sums, with
    ``most_points`` at most; ``snapshots``: how many states the sums are fitted for, ``most_states`` the modes; ``coverage``:
    share of true errors that bars are to cover; ``seed`` of the sketches.
    """

    displacement: float = 3e-3
    solutes: float = 1e-4
    signals: float = 2e-3
    most_displacement: int = 24
    most_solutes: int = 22
    most_signals: int = 16
    further: float = 1.4
    cubature: float = 6e-4
    most_points: int = 320
    snapshots: int = 200
    most_states: int = 1200
    coverage: float = 0.95
    seed: int = 1
