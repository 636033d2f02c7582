"""Where the iterations of a step start: a guess from the states before."""

from __future__ import annotations

import numpy as np


def extrapolation(dt: float, lengths: tuple[float, ...]) -> tuple[float, float, float]:
    """Weights of the last three states for a guess ``dt`` ahead; ``lengths`` of the steps between them, the latest first.

    Through two states a line, through three a parabola; far ahead a line, and never further than twice the last step.
    """
    if not lengths:
        return 1.0, 0.0, 0.0
    ahead = min(dt, 2.0 * lengths[0])
    if len(lengths) == 1 or lengths[1] < 0.25 * ahead:
        return 1.0 + ahead / lengths[0], -ahead / lengths[0], 0.0
    t = (0.0, -lengths[0], -lengths[0] - lengths[1])
    first, second, third = (np.prod([(ahead - t[j]) / (t[i] - t[j]) for j in range(3) if j != i]) for i in range(3))
    return float(first), float(second), float(third)
