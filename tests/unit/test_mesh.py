"""The committed meshes are the default disc, and reading refuses what is none."""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from discsim.disc.locate import mesh_path
from discsim.disc.mesh import REGIONS, SURFACES, Mesh, MeshError, read_mesh

REPOSITORY = Path(__file__).resolve().parents[2]
LEVELS = {level: f"L4-L5_level{level}.msh" for level in (1, 2, 3)}
SOLID = "L4-L5_3d_coarse.msh"

# Written out again here, so that the meshes are held against the disc and not against the script that made them.
RADIUS, NP_RADIUS, INNER_RADIUS, HALF_HEIGHT, BORDER = 22.9, 15.2, 19.0, 5.0, 4.3
RINGS = {
    "NP": math.pi * NP_RADIUS**2 * BORDER,
    "inner_AF": math.pi * (INNER_RADIUS**2 - NP_RADIUS**2) * BORDER,
    "outer_AF": math.pi * (RADIUS**2 - INNER_RADIUS**2) * HALF_HEIGHT,
    "CEP": math.pi * INNER_RADIUS**2 * (HALF_HEIGHT - BORDER),
}
DISCS = {
    "endplate": math.pi * INNER_RADIUS**2,
    "annulus_top": math.pi * (RADIUS**2 - INNER_RADIUS**2),
    "rim": 2 * math.pi * RADIUS * HALF_HEIGHT,
    "mid_plane": math.pi * RADIUS**2,
    "endplate_border": math.pi * INNER_RADIUS**2,
}
SEGMENT = math.pi / 24  # a twelfth of a quarter circle
POLYGON_AREA = math.sin(SEGMENT) / SEGMENT
POLYGON_LENGTH = math.sin(SEGMENT / 2) / (SEGMENT / 2)


@pytest.fixture(scope="module")
def meshes() -> dict[str, Mesh]:
    return {name: read_mesh(mesh_path(name)) for name in [*LEVELS.values(), SOLID]}


def edge_lengths(mesh: Mesh) -> np.ndarray:
    """Mean edge length of each cell."""
    pairs = itertools.combinations(range(mesh.cells.shape[1]), 2)
    corners = mesh.points[mesh.cells]
    return np.mean([np.linalg.norm(corners[:, i] - corners[:, j], axis=1) for i, j in pairs], axis=0)


def surface_area(mesh: Mesh, name: str) -> float:
    corners = mesh.points[mesh.facets[mesh.facet_surfaces == SURFACES[name]]]
    if mesh.dimension == 2:
        lengths = np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1)
        return float(2 * math.pi * np.sum(lengths * corners[:, :, 0].mean(axis=1)))
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return float(np.linalg.norm(normals, axis=1).sum() / 2)


# --- the committed meshes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEVELS.values())
@pytest.mark.parametrize("region", REGIONS)
def test_region_volumes_are_those_of_the_disc(meshes: dict[str, Mesh], name: str, region: str) -> None:
    mesh = meshes[name]
    volume = mesh.cell_volumes()[mesh.cell_regions == REGIONS[region]].sum()
    assert volume == pytest.approx(RINGS[region], rel=1e-10)


@pytest.mark.parametrize("region", REGIONS)
def test_solid_region_volumes_miss_only_the_polygon(meshes: dict[str, Mesh], region: str) -> None:
    mesh = meshes[SOLID]
    volume = 4 * mesh.cell_volumes()[mesh.cell_regions == REGIONS[region]].sum()
    assert volume == pytest.approx(RINGS[region] * POLYGON_AREA, rel=1e-8)
    assert volume == pytest.approx(RINGS[region], rel=3e-3)


@pytest.mark.parametrize("surface", DISCS)
def test_surface_areas_are_those_of_the_disc(meshes: dict[str, Mesh], surface: str) -> None:
    for name in LEVELS.values():
        assert surface_area(meshes[name], surface) == pytest.approx(DISCS[surface], rel=1e-10)
    factor = POLYGON_LENGTH if surface == "rim" else POLYGON_AREA
    assert 4 * surface_area(meshes[SOLID], surface) == pytest.approx(DISCS[surface] * factor, rel=1e-8)


def test_planes_are_tagged_in_full(meshes: dict[str, Mesh]) -> None:
    for surface in ("symmetry_x", "symmetry_y"):
        assert surface_area(meshes[SOLID], surface) == pytest.approx(RADIUS * HALF_HEIGHT, rel=1e-10)
    for name in LEVELS.values():
        mesh = meshes[name]
        axis = mesh.points[mesh.facets[mesh.facet_surfaces == SURFACES["axis"]]]
        assert np.all(axis[:, :, 0] == 0.0)
        assert np.abs(np.diff(axis[:, :, 1], axis=1)).sum() == pytest.approx(HALF_HEIGHT, rel=1e-10)


def test_symmetry_factor_restores_the_whole_disc(meshes: dict[str, Mesh]) -> None:
    whole = 2 * math.pi * RADIUS**2 * HALF_HEIGHT
    assert [meshes[name].symmetry_factor for name in LEVELS.values()] == [2.0, 2.0, 2.0]
    assert meshes[SOLID].symmetry_factor == 8.0
    for name in LEVELS.values():
        assert meshes[name].symmetry_factor * meshes[name].cell_volumes().sum() == pytest.approx(whole, rel=1e-10)
    solid = meshes[SOLID]
    assert solid.symmetry_factor * solid.cell_volumes().sum() == pytest.approx(whole * POLYGON_AREA, rel=1e-8)


@pytest.mark.parametrize(("level", "least", "most"), [(1, 350, 550), (2, 1300, 1500), (3, 4500, 5500)])
def test_levels_have_their_size_and_are_m_matrices(meshes: dict[str, Mesh], level: int, least: int, most: int) -> None:
    report = meshes[LEVELS[level]].report()
    assert least <= report.vertices <= most
    assert report.minimum_angle > 30.0
    assert report.positive_off_diagonals == 0


def test_solid_mesh_is_small_with_enough_layers(meshes: dict[str, Mesh]) -> None:
    mesh = meshes[SOLID]
    assert 400 <= mesh.report().vertices <= 900
    on_axis = mesh.points[np.hypot(mesh.points[:, 0], mesh.points[:, 1]) < 1e-9, 2]
    assert np.count_nonzero(on_axis <= BORDER) >= 5  # four elements below the border
    assert np.count_nonzero(on_axis >= BORDER) >= 3  # two above


@pytest.mark.parametrize("region", REGIONS)
def test_each_level_halves_the_edges_in_every_region(meshes: dict[str, Mesh], region: str) -> None:
    sizes = []
    for name in LEVELS.values():
        mesh = meshes[name]
        inside = mesh.cell_regions == REGIONS[region]
        sizes.append(math.sqrt(mesh.cell_volumes()[inside].sum() / inside.sum()))
    for coarse, fine in itertools.pairwise(sizes):
        assert 1.6 < coarse / fine < 2.4


@pytest.mark.parametrize("name", LEVELS.values())
def test_edges_are_finer_at_border_rim_and_corner_than_in_the_bulk(meshes: dict[str, Mesh], name: str) -> None:
    mesh = meshes[name]
    size, (r, z) = edge_lengths(mesh), mesh.points[mesh.cells].mean(axis=1).T
    bulk = size[(r < 13.0) & (z < 1.5)].mean()
    at_border = np.isin(mesh.cells, mesh.facets[mesh.facet_surfaces == SURFACES["endplate_border"]]).any(axis=1)
    at_rim = np.isin(mesh.cells, mesh.facets[mesh.facet_surfaces == SURFACES["rim"]]).any(axis=1)
    assert size[at_border].mean() < 0.5 * bulk
    assert size[at_rim].mean() < 0.6 * bulk
    assert size[(r > INNER_RADIUS) & (z > 4.8)].mean() < 0.5 * bulk


@pytest.mark.parametrize("name", LEVELS.values())
def test_no_triangle_has_all_its_vertices_outside(meshes: dict[str, Mesh], name: str) -> None:
    """Displacement (quadratic) and pressure (linear) are a stable pair only where each cell has an inner vertex."""
    mesh = meshes[name]
    outside = np.unique(mesh.facets[mesh.facet_surfaces != SURFACES["endplate_border"]])
    assert not np.isin(mesh.cells, outside).all(axis=1).any()


def test_numbering_is_compact_and_cells_are_positive(meshes: dict[str, Mesh]) -> None:
    for mesh in meshes.values():
        assert np.array_equal(np.unique(mesh.cells), np.arange(len(mesh.points)))
        corners = mesh.points[mesh.cells]
        assert np.all(np.linalg.det(corners[:, 1:] - corners[:, :1]) > 0.0)
        assert len(np.unique(mesh.points, axis=0)) == len(mesh.points)


# --- the container ----------------------------------------------------------------------------------------------------


def pair_of_triangles(left: float, right: float, shift: float = 1.0) -> Mesh:
    """Two triangles on both sides of a unit edge at r = ``shift``, their tips ``left`` and ``right`` away from it."""
    points = np.array([[shift, 0.0], [shift, 1.0], [shift - left, 0.5], [shift + right, 0.5]])
    cells = np.array([[1, 2, 0], [0, 3, 1]])
    return Mesh(points, cells, [1, 2], [[0, 2], [0, 3]], [4, 3], "axisymmetric", 2.0)  # type: ignore[arg-type]


def test_report_of_two_right_triangles() -> None:
    square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    mesh = Mesh(square, np.array([[0, 1, 2], [0, 2, 3]]), np.array([1, 1]), np.empty((0, 2), int), np.empty(0, int),
                "axisymmetric", 2.0)  # fmt: skip
    report = mesh.report()
    assert (report.vertices, report.cells, report.positive_off_diagonals) == (4, 2, 0)
    assert report.minimum_angle == pytest.approx(45.0, abs=1e-9)


def test_report_counts_both_entries_of_an_obtuse_pair() -> None:
    obtuse = pair_of_triangles(0.3, 0.3)  # both tips see the common edge under 118 deg
    assert obtuse.report().positive_off_diagonals == 2
    assert obtuse.report().minimum_angle == pytest.approx(math.degrees(math.atan(0.6)), abs=1e-9)
    assert pair_of_triangles(0.6, 0.6).report().positive_off_diagonals == 0


def test_report_weighs_triangles_by_radius() -> None:
    """Angles of 77 and 103 deg: Delaunay in the plane, but near the axis the outer triangle counts more."""
    acute, obtuse = 0.634, 0.4
    assert pair_of_triangles(acute, obtuse, shift=1.0).report().positive_off_diagonals == 2
    assert pair_of_triangles(obtuse, acute, shift=1.0).report().positive_off_diagonals == 0
    assert pair_of_triangles(acute, obtuse, shift=100.0).report().positive_off_diagonals == 0


def tetrahedron(height: float) -> Mesh:
    """Tip above the centre of an equilateral triangle of unit edges."""
    points = np.array([[0, 0, 0], [1, 0, 0], [0.5, math.sqrt(0.75), 0], [0.5, math.sqrt(1 / 12), height]])
    none = np.empty((0, 3), int)
    return Mesh(points, np.array([[0, 1, 2, 3]]), np.array([1]), none, np.empty(0, int), "cartesian", 8.0)


def test_report_of_tetrahedra() -> None:
    regular = tetrahedron(math.sqrt(2 / 3))
    assert regular.report().minimum_angle == pytest.approx(math.degrees(math.acos(1 / 3)), abs=1e-9)
    assert regular.report().positive_off_diagonals == 0
    assert regular.cell_volumes() == pytest.approx([1 / (6 * math.sqrt(2))], rel=1e-12)
    # Faces at the three upper edges of a flat one are obtuse: the three lower vertices repel each other.
    flat = tetrahedron(0.1)
    assert flat.report().minimum_angle == pytest.approx(math.degrees(math.atan(0.1 / math.sqrt(1 / 12))), abs=1e-9)
    assert flat.report().positive_off_diagonals == 6


def test_ring_volume_of_a_triangle() -> None:
    """Pappus: area 0.3, centroid at r = 1.2, and its mirror image at 0.8."""
    assert pair_of_triangles(0.6, 0.6).cell_volumes() == pytest.approx([0.6 * 0.8 * math.pi, 0.6 * 1.2 * math.pi])


def test_hash_is_stable_and_sees_every_field() -> None:
    mesh = pair_of_triangles(0.6, 0.6)
    # A changed value here means that stored discretisations of unchanged meshes no longer match.
    assert mesh.hash == "bb4338ac127d18aa819b21aab186d675835b0bd5d21a2473d0f7b4ebbbca1f1b"
    assert mesh == pair_of_triangles(0.6, 0.6) and hash(mesh) == hash(pair_of_triangles(0.6, 0.6))
    changed = {
        "points": mesh.points + np.array([0.0, 1e-12]),
        "cells": mesh.cells[::-1],
        "cell_regions": mesh.cell_regions[::-1],
        "facets": mesh.facets[:, ::-1],
        "facet_surfaces": mesh.facet_surfaces[::-1],
        "symmetry_factor": 1.0,
    }
    hashes = {dataclasses.replace(mesh, **{name: value}).hash for name, value in changed.items()}
    assert len(hashes | {mesh.hash}) == len(changed) + 1
    assert mesh != dataclasses.replace(mesh, symmetry_factor=1.0)


def test_hash_ignores_the_sign_of_zero_and_the_layout_of_arrays() -> None:
    mesh = pair_of_triangles(0.6, 0.6)
    points = np.asfortranarray(mesh.points)
    points[points == 0.0] = -0.0
    assert dataclasses.replace(mesh, points=points, cells=mesh.cells.astype(np.int32)).hash == mesh.hash


def test_reading_twice_gives_the_same_hash(meshes: dict[str, Mesh]) -> None:
    assert read_mesh(str(mesh_path(SOLID))).hash == meshes[SOLID].hash
    assert len({mesh.hash for mesh in meshes.values()}) == 4


def test_arrays_are_read_only_copies() -> None:
    points = np.array([[1.0, 0.0], [2.0, 0.0], [1.0, 1.0]])
    mesh = Mesh(points, np.array([[0, 1, 2]]), np.array([1]), np.empty((0, 2), int), np.empty(0, int),
                "axisymmetric", 2.0)  # fmt: skip
    before = mesh.hash
    points[0, 0] = 7.0
    assert mesh.points[0, 0] == 1.0 and dataclasses.replace(mesh).hash == before
    with pytest.raises(ValueError, match="read-only"):
        mesh.points[0, 0] = 7.0


@given(radius=st.floats(0.2, 5.0), height=st.floats(0.2, 5.0))
def test_scaling_multiplies_volumes_and_keeps_the_rest(radius: float, height: float) -> None:
    for mesh in (pair_of_triangles(0.6, 0.9), tetrahedron(0.5)):
        scaled = mesh.scaled(radius, height)
        assert scaled.cell_volumes() == pytest.approx(radius**2 * height * mesh.cell_volumes(), rel=1e-12)
        assert scaled.points[:, -1] == pytest.approx(height * mesh.points[:, -1], rel=1e-15)
        for name in ("cells", "cell_regions", "facets", "facet_surfaces"):
            assert np.array_equal(getattr(scaled, name), getattr(mesh, name))
        assert (scaled.coordinates, scaled.symmetry_factor) == (mesh.coordinates, mesh.symmetry_factor)
    assert mesh.scaled(1.0, 1.0) == mesh


@pytest.mark.parametrize("factor", [0.0, -1.0, math.inf, math.nan])
def test_scaling_refuses_what_is_no_size(factor: float) -> None:
    with pytest.raises(MeshError, match=r"radius factor is .*; it must be a positive number"):
        pair_of_triangles(0.6, 0.6).scaled(factor, 1.0)
    with pytest.raises(MeshError, match=r"height factor is .*; it must be a positive number"):
        pair_of_triangles(0.6, 0.6).scaled(1.0, factor)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"coordinates": "polar"}, "coordinates are 'polar'; allowed: axisymmetric, cartesian"),
        ({"coordinates": "cartesian"}, r"points have shape \(4, 2\); cartesian meshes need \(count, 3\)"),
        ({"cells": [[0, 1]]}, r"cells have shape \(1, 2\)"),
        ({"cells": [[0, 1, 4], [0, 1, 2]]}, r"cells refer to vertices outside 0\.\.3"),
        ({"facets": [[0, -1], [0, 1]]}, r"facets refer to vertices outside 0\.\.3"),
        ({"cells": [[0.0, 1.0, 2.0]]}, "cells have type float64; whole numbers are needed"),
        ({"cell_regions": [1]}, "2 cells but 1 cell_regions; one tag each"),
        ({"facet_surfaces": 4}, r"facet_surfaces have shape \(\)"),
        ({"symmetry_factor": 0.5}, "symmetry factor is 0.5"),
        ({"symmetry_factor": math.nan}, "symmetry factor is nan"),
    ],
)
def test_container_refuses_arrays_that_do_not_fit(change: dict[str, object], message: str) -> None:
    with pytest.raises(MeshError, match=message):
        dataclasses.replace(pair_of_triangles(0.6, 0.6), **change)  # type: ignore[arg-type]


# --- reading ----------------------------------------------------------------------------------------------------------


@dataclass
class GmshFile:
    """A small but complete gmsh 2.2 file, to be spoilt: (type, physical id, vertices from 1) of each element."""

    points: list[list[float]] = field(default_factory=list)
    elements: list[tuple[int, int, list[int]]] = field(default_factory=list)
    names: list[tuple[int, int, str]] = field(default_factory=list)
    header: str = "2.2 0 8"

    def text(self) -> str:
        lines = ["$MeshFormat", self.header, "$EndMeshFormat"]
        if self.names:
            lines += ["$PhysicalNames", str(len(self.names))]
            lines += [f'{dimension} {number} "{name}"' for dimension, number, name in self.names]
            lines += ["$EndPhysicalNames"]
        lines += ["$Nodes", str(len(self.points))]
        lines += [f"{number} {x!r} {y!r} {z!r}" for number, (x, y, z) in enumerate(self.points, start=1)]
        lines += ["$EndNodes", "$Elements", str(len(self.elements))]
        for number, (kind, tag, vertices) in enumerate(self.elements, start=1):
            lines.append(f"{number} {kind} 2 {tag} {tag} {' '.join(map(str, vertices))}")
        return "\n".join([*lines, "$EndElements", ""])

    def write(self, folder: Path) -> Path:
        path = folder / "spoilt.msh"
        path.write_text(self.text(), encoding="ascii")
        return path

    def of(self, kind: int, tag: int) -> list[int]:
        return [n for n, element in enumerate(self.elements) if element[:2] == (kind, tag)]


LINE, TRIANGLE, TETRAHEDRON = 1, 2, 4


def small_disc() -> GmshFile:
    """Default disc in twelve triangles: r = 0, 15.2, 19, 22.9 by z = 0, 4.3, 5; vertex 1 + column + 4 row."""
    file = GmshFile([[r, z, 0.0] for z in (0.0, BORDER, HALF_HEIGHT) for r in (0.0, NP_RADIUS, INNER_RADIUS, RADIUS)])
    for surface, path in {
        "endplate": (9, 10, 11), "annulus_top": (11, 12), "rim": (4, 8, 12), "mid_plane": (1, 2, 3, 4),
        "axis": (1, 5, 9), "endplate_border": (5, 6, 7),
    }.items():  # fmt: skip
        file.elements += [(LINE, SURFACES[surface], [a, b]) for a, b in itertools.pairwise(path)]
        file.names.append((1, SURFACES[surface], surface))
    for row, column in itertools.product((0, 1), (0, 1, 2)):
        region = "outer_AF" if column == 2 else "CEP" if row else ("NP", "inner_AF")[column]
        corner = 1 + column + 4 * row
        file.elements.append((TRIANGLE, REGIONS[region], [corner, corner + 1, corner + 5]))
        file.elements.append((TRIANGLE, REGIONS[region], [corner, corner + 5, corner + 4]))
    file.names += [(2, number, name) for name, number in REGIONS.items()]
    return file


def test_small_disc_is_read(tmp_path: Path) -> None:
    mesh = read_mesh(small_disc().write(tmp_path))
    assert (len(mesh.points), len(mesh.cells), len(mesh.facets)) == (12, 12, 12)
    for region, volume in RINGS.items():
        assert mesh.cell_volumes()[mesh.cell_regions == REGIONS[region]].sum() == pytest.approx(volume, rel=1e-12)


def test_unused_points_and_vertex_elements_are_dropped(tmp_path: Path) -> None:
    file = small_disc()
    expected = read_mesh(file.write(tmp_path))
    file.points.insert(3, [1.0, 1.0, 1.0])
    file.elements = [(kind, tag, [v + (v > 3) for v in vertices]) for kind, tag, vertices in file.elements]
    file.elements.insert(0, (15, 1, [4]))
    assert read_mesh(file.write(tmp_path)) == expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(data=st.data())
def test_orientation_and_order_of_cells_do_not_matter(tmp_path: Path, data: st.DataObject) -> None:
    file = small_disc()
    lines, triangles = file.elements[:12], file.elements[12:]
    turned = data.draw(st.lists(st.booleans(), min_size=12, max_size=12))
    triangles = [(k, t, v[::-1] if turn else v) for (k, t, v), turn in zip(triangles, turned, strict=True)]
    file.elements = lines + data.draw(st.permutations(triangles))
    mesh = read_mesh(file.write(tmp_path))
    corners = mesh.points[mesh.cells]
    assert np.all(np.linalg.det(corners[:, 1:] - corners[:, :1]) > 0.0)
    for region, volume in RINGS.items():
        assert mesh.cell_volumes()[mesh.cell_regions == REGIONS[region]].sum() == pytest.approx(volume, rel=1e-12)


def scale(file: GmshFile, radius: float, height: float) -> None:
    file.points = [[radius * r, height * z, third] for r, z, third in file.points]


def drop(kind: int, tag: int) -> Callable[[GmshFile], None]:
    def spoil(file: GmshFile) -> None:
        file.elements = [element for element in file.elements if element[:2] != (kind, tag)]

    return spoil


def retag(kind: int, old: int, new: int) -> Callable[[GmshFile], None]:
    def spoil(file: GmshFile) -> None:
        first = file.of(kind, old)[0]
        file.elements[first] = (kind, new, file.elements[first][2])

    return spoil


def move(vertex: int, r: float, z: float, third: float = 0.0) -> Callable[[GmshFile], None]:
    def spoil(file: GmshFile) -> None:
        file.points[vertex - 1] = [r, z, third]

    return spoil


def add(kind: int, tag: int, vertices: list[int]) -> Callable[[GmshFile], None]:
    return lambda file: file.elements.append((kind, tag, vertices))


def add_stray_facet(file: GmshFile) -> None:
    file.points.append([1.0, 1.0, 0.0])
    file.elements.append((LINE, SURFACES["rim"], [4, 13]))


def double_border(file: GmshFile) -> None:
    """Give the CEP and the top of the outer annulus vertices of their own at z = 4.3, as unmerged solids have."""
    file.points += [list(file.points[vertex - 1]) for vertex in (5, 6, 7, 8)]
    own = {5: 13, 6: 14, 7: 15, 8: 16}
    for n, (kind, tag, vertices) in enumerate(file.elements):
        if max(vertices) > 8:  # only what lies above the border reaches the top row
            file.elements[n] = (kind, tag, [own.get(vertex, vertex) for vertex in vertices])


def double_border_above(file: GmshFile) -> None:
    """The same, with the border facets on the side of the CEP."""
    double_border(file)
    for n in file.of(LINE, SURFACES["endplate_border"]):
        kind, tag, vertices = file.elements[n]
        file.elements[n] = (kind, tag, [vertex + 8 for vertex in vertices])


def rename(dimension: int, name: str, number: int) -> Callable[[GmshFile], None]:
    def spoil(file: GmshFile) -> None:
        file.names = [(d, number if (d, n) == (dimension, name) else i, n) for d, i, n in file.names]

    return spoil


def only_header(header: str) -> Callable[[GmshFile], None]:
    return lambda file: setattr(file, "header", header)


ALLOWED = r"allowed are 5\.\.40 mm and 1\.5\.\.10 mm; "
SPOILS: dict[str, tuple[Callable[[GmshFile], None], str]] = {
    "other version": (only_header("4.1 0 8"), "is not gmsh 2.2 ASCII; write it with 'gmsh FILE -save -format msh22'"),
    "binary": (only_header("2.2 1 8"), r"is not gmsh 2.2 ASCII; .*without -bin"),
    "quadrilaterals": (add(3, 1, [1, 2, 6, 5]), "holds quad elements; only straight triangles or tetrahedra"),
    "second order": (add(9, 1, [1, 2, 6, 3, 7, 5]), "holds triangle6 elements"),
    "no cells": (lambda f: setattr(f, "elements", f.elements[:12]), "holds no triangles or tetrahedra; save the"),
    "no elements": (lambda f: setattr(f, "elements", []), "holds no elements with physical groups; name the regions"),
    "lacking vertex": (add(TRIANGLE, 1, [1, 2, 99]), "is damaged or incomplete"),
    "region name": (rename(2, "NP", 3), "gives region NP the id 3; it must be 1"),
    "surface name": (rename(1, "rim", 1), "gives surface rim the id 1; it must be 3"),
    "not a plane": (move(6, 15.2, 4.3, 0.1), "holds triangles outside the plane z = 0; an axisymmetric mesh has x = r"),
    "not a number": (move(6, math.nan, 4.3), "holds coordinates that are not numbers"),
    "stray facet": (add_stray_facet, "holds facets with vertices that belong to no cell"),
    "metres": (
        lambda f: scale(f, 1e-3, 1e-3),
        rf"radius 0\.0229 and half height 0\.005 found; {ALLOWED}are these metres\? then multiply by 1000$",
    ),
    "centimetres": (lambda f: scale(f, 0.1, 0.1), r"are these centimetres\? then multiply by 10$"),
    "micrometres": (lambda f: scale(f, 1e3, 1e3), r"are these micrometres\? then multiply by 0\.001$"),
    "too flat": (lambda f: scale(f, 1.0, 0.1), rf"half height 0\.5 found; {ALLOWED}coordinates must be millimetres"),
    "too high": (lambda f: scale(f, 1.0, 4.0), rf"half height 20 found; {ALLOWED}.* half above the mid-plane"),
    "whole height": (lambda f: scale(f, 1.0, 2.04), rf"half height 10\.2 found; {ALLOWED}.* half above the mid-plane"),
    "hardly high": (lambda f: scale(f, 1.0, 0.29), rf"half height 1\.45 found; {ALLOWED}"),
    "too narrow": (lambda f: scale(f, 0.21, 1.0), rf"radius 4\.809 and half height 5 found; {ALLOWED}"),
    "too wide": (lambda f: scale(f, 1.75, 1.0), rf"radius 40\.07 and half height 5 found; {ALLOWED}"),
    "unknown region": (retag(TRIANGLE, 1, 9), "holds region id 9, which means nothing; .*NP = 1, inner_AF = 2"),
    "untagged region": (retag(TRIANGLE, 1, 0), "holds region id 0, which means nothing"),
    "unknown surface": (retag(LINE, 3, 12), "holds surface id 12, which means nothing; .*endplate = 1"),
    "solid's surface": (retag(LINE, 3, 7), "holds surface id 7, which means nothing; axisymmetric meshes have"),
    **{
        f"no {name}": (drop(TRIANGLE, number), f"holds no region {name}; add it as a physical group")
        for name, number in REGIONS.items()
    },
    **{
        f"no {name}": (drop(LINE, SURFACES[name]), f"holds no surface {name}; add it as a physical group")
        for name in ("endplate", "annulus_top", "rim", "mid_plane", "axis", "endplate_border")
    },
    "flat cells": (move(6, 15.2, 0.0), r"holds 2 flat cells, one at r = 10\.13, z = 0; mesh it again"),
    "inverted cells": (move(6, 15.2, 5.5), "holds cells that overlap, at r = .*; mesh it again"),
    "doubled cell": (add(TRIANGLE, 1, [1, 2, 6]), "holds cells that overlap"),
    "facet across": (add(LINE, 3, [1, 7]), r"not faces of cells; .*\(surface rim, 1 facets, one at r = 9\.5, z = 2"),
    "facet twice": (add(LINE, 1, [4, 8]), r"tagged twice; each belongs to one .*\(surface rim, 2 facets, one at r"),
    "facet inside": (add(LINE, 3, [2, 6]), r"holds an outer surface inside the disc; .*\(surface rim, 1 facets, one"),
    "border astray": (add(LINE, 6, [2, 6]), "holds border facets without the CEP on one side and tissue on the other"),
    "doubled points": (double_border, r"holds border facets without the CEP .*merge doubled points \(surface end"),
    "doubled points above": (double_border_above, r"holds border facets without the CEP .*merge doubled points"),
    "bare outside": (
        lambda f: f.elements.remove((LINE, 3, [4, 8])),
        r"holds 1 outer facets without surface, one at r = 22\.9, z = 2\.15; tag them",
    ),
    "axis off": (
        lambda f: setattr(f, "points", [[r + 1.0, z, w] for r, z, w in f.points]),
        r"surface axis is off r = 0 by 1 mm; move the mesh",
    ),
    "mid-plane off": (
        lambda f: setattr(f, "points", [[r, z - 5.0, w] for r, z, w in f.points]),
        r"surface mid_plane is off z = 0 by 5 mm; move the mesh",
    ),
}


@pytest.mark.parametrize(("spoil", "message"), SPOILS.values(), ids=SPOILS)
def test_reading_refuses(tmp_path: Path, spoil: Callable[[GmshFile], None], message: str) -> None:
    file = small_disc()
    spoil(file)
    path = file.write(tmp_path)
    with pytest.raises(MeshError, match=message) as caught:
        read_mesh(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_reading_refuses_tissue_beyond_a_mirror_plane(tmp_path: Path) -> None:
    file = small_disc()
    # A bump of the lower rim edge below the mid-plane, without a facet of it tagged as mid-plane.
    file.points.append([RADIUS, -1.0, 0.0])
    n = next(n for n in file.of(LINE, SURFACES["mid_plane"]) if file.elements[n][2] == [3, 4])
    file.elements[n] = (LINE, SURFACES["rim"], [3, 13])
    file.elements += [(LINE, SURFACES["rim"], [13, 4]), (TRIANGLE, REGIONS["outer_AF"], [3, 13, 4])]
    with pytest.raises(MeshError, match=r"reaches z = -1 mm; with surface mid_plane, only z >= 0 is meshed"):
        read_mesh(file.write(tmp_path))


def test_reading_refuses_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(MeshError, match=r"nowhere\.msh: cannot be read \(No such file or directory\)"):
        read_mesh(tmp_path / "nowhere.msh")
    with pytest.raises(MeshError, match=r"cannot be read \(Is a directory\)"):
        read_mesh(tmp_path)


def test_reading_refuses_other_kinds_of_file(tmp_path: Path) -> None:
    path = tmp_path / "picture.msh"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(MeshError, match="is not gmsh 2.2 ASCII"):
        read_mesh(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(share=st.floats(0.0, 1.0))
@example(share=1.0)
def test_a_file_cut_short_is_refused_with_its_name(tmp_path: Path, share: float) -> None:
    text = small_disc().text()
    path = tmp_path / "cut.msh"
    path.write_text(text[: int(share * text.index("$EndElements"))], encoding="ascii")
    with pytest.raises(MeshError) as caught:
        read_mesh(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def solid_with(edit: Callable[[str], str | None], folder: Path) -> Path:
    """The committed 3-D mesh with each element line replaced by ``edit`` or dropped."""
    before, rest = mesh_path(SOLID).read_text().split("$Elements\n")
    lines = [edited for line in rest.split("\n")[1:-2] if (edited := edit(line)) is not None]
    path = folder / "solid.msh"
    path.write_text("\n".join([f"{before}$Elements", str(len(lines)), *lines, "$EndElements", ""]))
    return path


def test_solid_orientation_is_mended(tmp_path: Path, meshes: dict[str, Mesh]) -> None:
    def turn(line: str) -> str:
        number, kind, *rest, last = line.split()
        return " ".join([number, kind, *rest[:-1], last, rest[-1]]) if kind == str(TETRAHEDRON) else line

    assert read_mesh(solid_with(turn, tmp_path)) == meshes[SOLID]


def test_solid_without_its_mirror_plane_is_refused(tmp_path: Path) -> None:
    def drop_plane(line: str) -> str | None:
        return None if line.split()[1:4] == [str(TRIANGLE), "2", str(SURFACES["symmetry_x"])] else line

    with pytest.raises(MeshError, match=r"holds \d+ outer facets without surface, one at x = 0, y = .*; tag them"):
        read_mesh(solid_with(drop_plane, tmp_path))


def test_solid_overlap_is_found(tmp_path: Path) -> None:
    path = mesh_path(SOLID)
    text = path.read_text()
    last = text.rstrip().split("\n")[-2].split()
    count = int(text.split("$Elements\n")[1].split("\n", 1)[0])
    doubled = text.replace(f"$Elements\n{count}\n", f"$Elements\n{count + 1}\n").replace(
        "$EndElements", " ".join([str(count + 1), *last[1:]]) + "\n$EndElements"
    )
    (tmp_path / "doubled.msh").write_text(doubled)
    with pytest.raises(MeshError, match="holds cells that overlap, at x = "):
        read_mesh(tmp_path / "doubled.msh")


# --- the script -------------------------------------------------------------------------------------------------------


def test_script_without_gmsh_says_so_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "gmsh.py").write_text("raise OSError('libGLU.so.1: cannot open shared object file')\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    script = REPOSITORY / "meshes" / "make_meshes.py"
    done = subprocess.run(
        [sys.executable, str(script), "--output", str(tmp_path)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 4
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "gmsh cannot be used (libGLU.so.1" in done.stderr
    assert not list(tmp_path.glob("*.msh"))
