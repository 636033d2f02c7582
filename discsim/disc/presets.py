"""Presets: what a level and a grade change, each number with its source or "assumed".

Grade I is the default of every parameter. Grade III is a set of overrides; composition holds in its loaded in vivo shape.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

_CODE = "[code] bmmbUPF/abaqusIVD"


@dataclasses.dataclass(frozen=True)
class Override:
    """One parameter of one grade: the value (text with unit, or per region), its source and evidence word."""

    path: str
    value: str | Mapping[str, str]
    source: str
    evidence: str


GRADE_III: tuple[Override, ...] = (
    Override("disc.height", "8.5 mm", "assumed: 85 % of grade I, radii unchanged", "assumed"),
    Override(
        "materials.fixed_charge_density",
        {"NP": "0.22 mEq/mL", "inner_AF": "0.17 mEq/mL", "outer_AF": "0.12 mEq/mL", "CEP": "0.125 mEq/mL"},
        _CODE + " grade III; outer AF assumed",
        "model",
    ),
    Override(
        "materials.fluid_fraction",
        {"NP": "0.77", "inner_AF": "0.74", "outer_AF": "0.71", "CEP": "0.62"},
        _CODE + " grade III; annulus split assumed",
        "model",
    ),
    Override(
        "materials.shear_modulus",
        {"NP": "0.05 MPa", "inner_AF": "0.30 MPa", "outer_AF": "0.42 MPa", "CEP": "0.16 MPa"},
        "assumed; direction measured (Iatridis 1997, 1998)",
        "assumed",
    ),
    Override(
        "materials.excluded_water",
        {"NP": "0.35", "inner_AF": "0.80", "outer_AF": "0.95", "CEP": "0.33"},
        "assumed (default_disc a4)",
        "assumed",
    ),
    Override("materials.viable_fraction", "0.80", "assumed (default_disc a4)", "assumed"),
    Override("nutrition.endplate_clearance", "1e-4 mm/s", "assumed (default_disc f); sweep 4e-5 to 2e-3", "assumed"),
    Override("nutrition.endplate_supply_fraction", "0.75", "assumed; only for supply by levels", "assumed"),
    Override("nutrition.rim_supply_fraction", "0.75", "assumed; only for supply by levels", "assumed"),
    Override(
        "matrix_turnover.gag_loss_rate",
        {"NP": "0.084 1/year", "inner_AF": "0.092 1/year", "outer_AF": "0.092 1/year", "CEP": "0.092 1/year"},
        "Sivan 2006 10.1074/jbc.M600296200, degenerate; CEP assumed as annulus",
        "measured",
    ),
)

GRADES: dict[int, tuple[Override, ...]] = {1: (), 3: GRADE_III}
LEVELS: tuple[str, ...] = ("L4-L5",)


def grade_overrides(grade: int) -> dict[str, Override]:
    """Overrides of a grade by parameter path; raises ``ValueError`` for a grade without preset."""
    if grade not in GRADES:
        raise ValueError(f"disc.grade: {grade!r} has no preset; there are {', '.join(map(str, GRADES))}")
    return {override.path: override for override in GRADES[grade]}
