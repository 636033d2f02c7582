"""The healthy start: the coupled steady state of the rates, in the in vivo shape.

Found by marching the engine's own step with a very long step length, the prestress renewed after every step that moves the
shape, so that the mesh is the equilibrium shape of the state found, until neither changes. (Renewing it only after cells and
matrix have come to rest overshoots: cells and GAG settle at a density, whatever the volume, and the soft nucleus follows; the
shape then swings further out every round.) ``calibrate`` finds the constants (one per region) that hold the regional means at
their presets.
"""

from __future__ import annotations

import numpy as np

from discsim.disc.mesh import REGIONS
from discsim.fem.disc_model import DiscModel
from discsim.problem.problem import HOMEOSTASIS_STEP, HOMEOSTASIS_STEPS, HOMEOSTASIS_TOLERANCE
from discsim.problem.status import Status, StepFailed

SHAPE_TOLERANCE = 1e-3  # mm, largest displacement from the in vivo shape


def start_from_homeostasis(model: DiscModel) -> None:
    """Steady state from the disc's presets; raises ``StepFailed`` where there is none nearby."""
    model.start_from_preset()
    change, moved = np.inf, np.inf
    for _ in range(HOMEOSTASIS_STEPS):
        change = _long_step(model)
        moved = float(np.abs(model.mechanics.u.x.array).max())
        if change < HOMEOSTASIS_TOLERANCE and moved < SHAPE_TOLERANCE:
            return
        if moved >= SHAPE_TOLERANCE:
            model.set_prestress()
    raise StepFailed(
        Status.NONCONVERGED,
        f"no healthy steady state after {HOMEOSTASIS_STEPS} steps of 60 years (change {change:.1e}, shape {moved:.1e} mm off)",
    )


def _long_step(model: DiscModel) -> float:
    fields = model.state.pointwise
    before = {name: function.x.array.copy() for name, function in fields.items()}
    model.step(HOMEOSTASIS_STEP)
    return max(
        (float(np.abs(f.x.array - before[n]).max() / np.abs(before[n]).max()) for n, f in fields.items() if np.any(before[n])),
        default=0.0,
    )


def calibrate(model: DiscModel, tolerance: float = 1e-7) -> dict[str, dict[str, float]]:
    """Constants per region (internal units, by parameter path) that hold regional means at their presets in steady state."""
    model.start_from_preset()
    targets = _targets(model)
    found = {path: dict(model.parameters.current[path]) for path in targets}
    for _ in range(HOMEOSTASIS_STEPS):
        change = _long_step(model)
        worst = 0.0
        for path, (field, wanted) in targets.items():
            means = _regional_means(model, field)
            for region in REGIONS:
                ratio = wanted[region] / means[region]
                worst = max(worst, abs(ratio - 1.0))
                found[path][region] *= ratio
            model.set_parameters({path: dict(found[path])})
        if worst < tolerance and change < tolerance:
            return found
        if np.abs(model.mechanics.u.x.array).max() >= SHAPE_TOLERANCE:
            model.set_prestress()
    raise StepFailed(Status.NONCONVERGED, f"calibration of homeostasis still {worst:.1e} off after {HOMEOSTASIS_STEPS} steps")


def _targets(model: DiscModel) -> dict[str, tuple[str, dict[str, float]]]:
    return {
        f"{mechanism.label}.{parameter}": (field, _regional_means(model, field))
        for mechanism in model.composition.mechanisms
        for parameter, field in mechanism.homeostasis.items()
    }


def _regional_means(model: DiscModel, field: str) -> dict[str, float]:
    """Means of a reference amount over the reference volume of each region."""
    values, volume = model.state.pointwise[field].x.array, model.spaces.corner_volume
    masks = {region: model.corner_masks[f"in_{region}"] for region in REGIONS}
    return {region: float((values * volume) @ mask / (volume @ mask)) for region, mask in masks.items()}
