"""The table of fields: what each is called, its unit, and how it evolves on the year clock.

Kinds
- ``solute``: concentration in tissue water, quasi-steady, nodal.
- ``signal``: amount per current mixture volume, transient with implicit Euler, nodal; diffuses, decays, leaves.
- ``cells``: number per reference mixture volume at (cell, vertex) pairs; stiff loss is implicit with the solutes.
- ``matrix``: amount per reference mixture volume at (cell, vertex) pairs; exact exponential over a step.
- ``per_cell``: a state of the average cell (0 to 1, or genomes); deformation does not touch it.
Laws always read *current* densities; only the engines know reference amounts.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

Kind = Literal["solute", "signal", "cells", "matrix", "per_cell"]
KINDS: tuple[str, ...] = ("solute", "signal", "cells", "matrix", "per_cell")


@dataclasses.dataclass(frozen=True)
class Field:
    """One field of the model (data only).

    ``initial`` is a number in ``unit``, or the name of a composition entry of the disc ("cell_density", "gag"). ``scale`` is a
    size (in ``unit``) below which step control does not look for accuracy: fields that grow from zero need one.
    ``shared`` fields have one name in the whole problem; the others are owned by a mechanism instance and are called
    ``label/name``.
    """

    name: str
    symbol: str
    unit: str
    kind: Kind
    description: str
    initial: float | str = 0.0
    shared: bool = True
    scale: float = 1.0


OXYGEN = Field("oxygen", "p", "kPa", "solute", "oxygen partial pressure", 5.0)
GLUCOSE = Field("glucose", "G", "mM", "solute", "glucose concentration in tissue water", 4.0)
LACTATE = Field("lactate", "L", "mM", "solute", "lactate concentration in tissue water", 1.0)
CELL_DENSITY = Field("cell_density", "rho", "cell/mm^3", "cells", "viable native cells", "cell_density", scale=1000.0)
GAG = Field("gag", "G_m", "mg/mL", "matrix", "functional glycosaminoglycan per mixture volume", "gag", scale=10.0)

SHARED_FIELDS: dict[str, Field] = {f.name: f for f in (OXYGEN, GLUCOSE, LACTATE, CELL_DENSITY, GAG)}

# Drives: named pointwise sums with neutral value 0, to which any mechanism adds and which the affected law reads.
DRIVES: dict[str, str] = {
    "anabolic_drive": "added relative matrix synthesis (0: none, 0.5: half as much again)",
    "catabolic_drive": "added relative matrix loss (0: none, -0.3: three tenths less)",
    "added_cell_density": "cells other than native ones that take up room (cells/mm3)",
}

# What the engine knows at a point besides fields, and mechanisms may read.
POINT_QUANTITIES: dict[str, str] = {
    "jacobian": "volume ratio J of the current to the reference (in vivo, loaded) shape",
    "porosity": "current fluid volume fraction",
    "reference_porosity": "fluid volume fraction in the reference shape",
    "diffusivity_factor": "regional factor on every diffusivity",
    "in_NP": "1 in the nucleus, 0 elsewhere",
    "in_inner_AF": "1 in the inner annulus, 0 elsewhere",
    "in_outer_AF": "1 in the outer annulus, 0 elsewhere",
    "in_CEP": "1 in the cartilage endplate, 0 elsewhere",
}
