"""The healthy disc: far levels of the supply, constants that hold it steady, and whether it then stays."""

from __future__ import annotations

import functools
from typing import Any

from discsim.disc.material import OsmoBiphasic
from discsim.disc.mesh import REGIONS
from discsim.fem.disc_model import DiscModel
from discsim.fem.engine import FemEngine
from discsim.fem.homeostasis import _regional_means, calibrate
from discsim.problem.problem import YEAR, build_problem
from discsim.quantities import units
from discsim.scenario.readouts import Readout
from discsim.vv.discs import SurfaceMeans, model_of, scenario
from discsim.vv.registry import Case, Row

# Published boundary set (transport 3.1), kPa and mM: what the far levels must give as area means at grade I.
SURFACE_SET = {
    ("endplate", "oxygen"): 5.1, ("endplate", "lactate"): 0.8, ("endplate", "glucose"): 4.0,
    ("rim", "oxygen"): 5.8, ("rim", "lactate"): 0.9, ("rim", "glucose"): 5.0,
}  # fmt: skip
HEALTHY_CLEARANCE = 2e-3  # mm/s
WET_DENSITY = 1.05  # g/mL, assumed (transport 1.6)
# Parameters, and the unit in which they are declared: recomputed values are compared in it.
CONSTANTS = ("matrix_turnover.gag_synthesis_rate", "cell_fate.proliferation_rate")


def find_far_levels(model: DiscModel, tolerance: float = 1e-9) -> dict[str, float]:
    """Far-side levels by parameter path for which the area-mean surface levels are the published boundary set.

    With exchange, mean = far + (mean flux)/h and the flux hardly depends on the far level, so that adding what is missing
    converges.
    """
    means = SurfaceMeans(model)
    far = {path: float(model.parameters.current[path]) for path in map(_far_path, SURFACE_SET)}
    for _ in range(60):
        model.set_parameters({**far, "nutrition.endplate_clearance": HEALTHY_CLEARANCE})
        model.settle()
        found = means()
        missing = {key: wanted - found[key] for key, wanted in SURFACE_SET.items()}
        if max(map(abs, missing.values())) < tolerance:
            return far
        for key, value in missing.items():
            far[_far_path(key)] += value
    raise RuntimeError(f"far levels still {max(map(abs, missing.values())):.1e} off")


def _far_path(key: tuple[str, str]) -> str:
    surface, solute = key
    return f"nutrition.{surface}_far_{solute}"
