"""A small 3-D disc of revolution, solved by the same forms, against the axisymmetric one."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from discsim.disc.disc import Disc
from discsim.disc.mesh import SURFACES, Mesh
from discsim.fem.disc_model import DiscModel
from discsim.scenario.readouts import READOUTS
from discsim.scenario.scenario import Scenario
from discsim.vv.discs import model_of, read
from discsim.vv.registry import Case, Row

READ = (
    "disc_height",
    "nucleus_pressure",
    "nucleus_volume",
    "gag_nucleus",
    "viable_cells",
    "glucose_min",
    "lactate_max",
    "oxygen_min",
    "ph_min",
)
LOADS = (0.24, 0.36, 0.10)


def _states(model: DiscModel) -> dict[float, dict[str, float]]:
    """Readouts at the reference load and two others, solutes settled at each."""
    found = {}
    for load in LOADS:
        model.load = load
        model.settle()
        found[load] = read(model, *READ)
    return found


def section(mesh: Mesh) -> Mesh:
    """The axisymmetric mesh that a 3-D mesh of revolution has in its plane y = 0: the same resolution in r and z."""
    plane = mesh.facets[mesh.facet_surfaces == SURFACES["symmetry_y"]]
    region_of = {
        tuple(sorted(face)): region
        for cell, region in zip(mesh.cells.tolist(), mesh.cell_regions.tolist(), strict=True)
        for face in itertools.combinations(cell, 3)
        if all(mesh.points[v, 1] < 1e-9 for v in face)
    }
    used = np.unique(plane)
    number = np.full(len(mesh.points), -1)
    number[used] = np.arange(len(used))
    tags: dict[tuple[int, ...], int] = {}
    for facet, surface in zip(mesh.facets.tolist(), mesh.facet_surfaces.tolist(), strict=True):
        for edge in itertools.combinations(sorted(facet), 2):
            if all(number[v] >= 0 for v in edge) and surface not in (SURFACES["symmetry_x"], SURFACES["symmetry_y"]):
                tags[edge] = surface
    for face in plane.tolist():
        for edge in itertools.combinations(sorted(face), 2):
            if all(mesh.points[v, 0] < 1e-9 for v in edge):
                tags[edge] = SURFACES["axis"]
    points = mesh.points[used][:, [0, 2]]
    cells = number[plane]
    a, b, c = (points[cells[:, i]] for i in range(3))
    turned = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) < (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    cells[turned] = cells[turned][:, [0, 2, 1]]
    regions = np.array([region_of[tuple(sorted(face))] for face in plane.tolist()])
    edges = number[np.array(list(tags))]
    return Mesh(points, cells, regions, edges, np.array(list(tags.values())), "axisymmetric", 2.0)


def small_disc() -> list[Row]:
    """A disc of 18 mm radius and 6 mm height, whose gradients the coarse mesh resolves."""
    geometry = {"disc.height": "6 mm", "disc.radius": "18 mm"}
    return compare(Disc.preset("L4-L5", grade=1, mesh_level=2).with_parameters(geometry), "small")


def default_disc() -> list[Row]:
    """The default disc, for which the 3-D mesh is coarse."""
    return compare(Disc.preset("L4-L5", grade=1, mesh_level=2), "3d")


def compare(disc: Disc, label: str) -> list[Row]:
    """Prestress at 0.24 MPa, then drained states with their solutes, in 3-D and on the axisymmetric section of the same mesh.

    Both have the same resolution in r and z, so that what is left is the circumference (a polygon of 48 sides, 0.29 % less
    area) and the split of prisms into tetrahedra. The default mesh stands beside them as a report.
    """
    solid = dataclasses.replace(disc, mesh_name="L4-L5_3d_coarse.msh")
    full = _states(model_of(Scenario(solid)))
    flat = _states(model_of(Scenario(disc), mesh=section(solid.mesh)))
    fine = _states(model_of(Scenario(disc)))
    rows = []
    for load in LOADS:
        for name in READ:
            a, b, c = full[load][name], flat[load][name], fine[load][name]
            note = f"{100.0 * (a / b - 1.0):+.2f} %; {100.0 * (a / c - 1.0):+.2f} % against the default mesh"
            slack = 0.01 * abs(b)
            rows.append(
                Row(
                    f"{label}.{name}.{load:g}",
                    f"{name} at {load:g} MPa, 3-D",
                    READOUTS[name].unit,
                    a,
                    b,
                    b - slack,
                    b + slack,
                    "verification",
                    note,
                )
            )
    return rows


_COARSE = (
    "1.0 to 1.6 % off: too coarse in r and z together, where oxygen falls most steeply (the section is itself 1.5, 3.9 and 6.1 % "
    "off mesh level 3 at 0.10, 0.24 and 0.36 MPa); with 24 rings and 10 layers, 12 segments as here, the two agree within 0.5 %"
)
CASES = [
    Case("small_disc_3d", "revolution", "a small 3-D disc of revolution agrees with the axisymmetric one within 1 %", small_disc),
    Case(
        "default_disc_3d",
        "revolution",
        "the same for the default disc, on the same coarse mesh",
        default_disc,
        slow=True,
        known_misses={f"3d.oxygen_min.{load:g}": _COARSE for load in LOADS},
    ),
]
