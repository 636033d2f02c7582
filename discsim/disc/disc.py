"""A disc: geometry, mesh, material, and what its grade changes elsewhere."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, Self

from discsim.disc.locate import mesh_path
from discsim.disc.material import OsmoBiphasic
from discsim.disc.mesh import Mesh, read_mesh
from discsim.disc.presets import LEVELS, grade_overrides
from discsim.quantities.parameters import Parameterised, param

# Dimensions of the committed meshes; other discs are scaled copies.
MESH_HEIGHT, MESH_RADIUS = 10.0, 22.9


class Geometry(Parameterised):
    """Size of the disc in the loaded in vivo shape; the committed mesh is scaled to it."""

    name = "disc"
    height = param(
        "10.0 mm",
        bounds=("4 mm", "13 mm"),
        source="derived: NP height 8.6 mm (41 young adults, Spine 2014) + two endplates of 0.7 mm",
        evidence="measured",
        description="soft height at the daily mean load",
    )
    radius = param(
        "22.9 mm",
        bounds=("18 mm", "27 mm"),
        source="derived: area 1500-1800 mm2, Gruber 2024 10.3389/fbioe.2024.1391957",
        evidence="model",
        description="radius of the axisymmetric disc",
    )


@functools.cache
def _load(name: str) -> Mesh:
    return read_mesh(mesh_path(name))


@dataclasses.dataclass(frozen=True)
class Disc:
    """One disc. ``preset`` builds it; ``with_parameters`` returns a changed copy.

    ``overrides`` are what the grade sets in mechanisms (path -> text), applied before what the user sets.
    """

    level: str = "L4-L5"
    grade: int = 1
    mesh_level: int = 2
    geometry: Geometry = dataclasses.field(default_factory=Geometry)
    material: OsmoBiphasic = dataclasses.field(default_factory=OsmoBiphasic)
    overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    mesh_name: str | None = None

    @classmethod
    def preset(cls, level: str = "L4-L5", *, grade: int = 1, mesh_level: int = 2) -> Self:
        """The shipped disc of a lumbar level and Pfirrmann grade; ``mesh_level`` 1 coarse, 2 default, 3 fine."""
        if level not in LEVELS:
            raise ValueError(f"disc.preset: {level!r} is not shipped; there is {', '.join(LEVELS)}")
        if mesh_level not in (1, 2, 3):
            raise ValueError(f"disc.mesh_level: {mesh_level!r}; allowed are 1, 2 and 3")
        changes = {path: override.value for path, override in grade_overrides(grade).items()}
        geometry = Geometry(**_pick(changes, "disc"))
        material = OsmoBiphasic(**_pick(changes, "materials"))
        return cls(level, grade, mesh_level, geometry, material, changes)

    def with_parameters(self, changes: Mapping[str, Any]) -> Self:
        """A copy with ``disc.*`` and ``materials.*`` paths changed (text with units)."""
        return dataclasses.replace(
            self,
            geometry=self.geometry.with_parameters(**_pick(changes, "disc")),
            material=self.material.with_parameters(**_pick(changes, "materials")),
        )

    @property
    def mesh(self) -> Mesh:
        """The mesh in the reference (in vivo, loaded) shape, mm."""
        name = self.mesh_name or f"{self.level}_level{self.mesh_level}.msh"
        height, radius = self.geometry.values["height"], self.geometry.values["radius"]
        assert isinstance(height, float) and isinstance(radius, float)
        return _load(name).scaled(radius / MESH_RADIUS, height / MESH_HEIGHT)


def _pick(changes: Mapping[str, Any], owner: str) -> dict[str, Any]:
    return {path.split(".", 1)[1]: value for path, value in changes.items() if path.split(".", 1)[0] == owner}
