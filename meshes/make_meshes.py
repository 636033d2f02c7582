"""Make the meshes of the default disc (L4-L5, grade I): three axisymmetric levels and one coarse 3-D mesh.

How to run, from the root of the repository:

    python meshes/make_meshes.py [--output FOLDER]

Needs the ``gmsh`` Python package (``pip install gmsh``), which itself needs system libraries that a plain Python
installation lacks (on Debian and Ubuntu: libglu1-mesa libxrender1 libxcursor1 libxft2 libxinerama1). That is why the
meshes are committed: nobody has to run this script to use discsim. Running it twice with one gmsh version gives the
same files byte for byte; another gmsh version may place vertices elsewhere.

Exit codes: 0 done, 4 gmsh cannot be used.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from a plain checkout

from discsim.disc.mesh import REGIONS, SURFACES, read_mesh
from discsim.disc.simplex import Floats, Integers, cell_faces, positively_oriented

try:
    import gmsh
except (ImportError, OSError) as error:  # OSError: the wheel is there, its system libraries are not
    print(f"make_meshes: gmsh cannot be used ({error}); see the head of {Path(__file__).name}", file=sys.stderr)
    sys.exit(4)

# Geometry of the grade I disc in its in vivo shape, mm.
RADIUS = 22.9  # disc of 1647 mm2
NP_RADIUS = 15.2  # 44 % of the area
INNER_AF_RADIUS = 19.0  # half of the annulus width; also the edge of the CEP
HALF_HEIGHT = 5.0  # mid-plane to bone
CEP_THICKNESS = 0.7
BORDER_HEIGHT = HALF_HEIGHT - CEP_THICKNESS

# Edge lengths of level 2, mm: a value on each line of interest and its growth per mm of distance from it.
BULK_SIZE = 0.60
BORDER_SIZE, BORDER_GROWTH_BELOW, BORDER_GROWTH_CEP = 0.20, 0.16, 0.05  # CEP to NP: steepest nutrient gradients
RIM_SIZE, RIM_GROWTH = 0.25, 0.14  # outer supply
CORNER_SIZE, CORNER_GROWTH = 0.14, 0.20  # top of the outer annulus: its edges are singular
LEVELS = {1: 2.0, 2: 1.0, 3: 0.5}  # factor on all edge lengths

# 3-D quarter: plan edge lengths and heights of the vertex layers, mm.
ARC_SEGMENTS = 12  # per quarter circle; the polygon misses 0.29 % of the area
PLAN_SIZE_NP, PLAN_SIZE_NP_EDGE, PLAN_GROWTH, PLAN_SIZE_AF = 2.6, 2.0, 0.2, 2.5
LAYERS = (0.0, 1.3, 2.5, 3.5, 4.3, 4.65, 5.0)  # four in the NP, two in the CEP

FRONTAL_DELAUNAY = 6  # of gmsh's algorithms the one with the fewest obtuse angles opposite to edges
SMOOTHING_STEPS = 10
ROUNDING = 9  # decimals kept, mm: beyond the last one platforms differ
TOLERANCE = 1e-6  # mm, for deciding on which line a vertex lies


def start_gmsh(size: Callable[[float, float], float]) -> None:
    """Start gmsh with every option that shapes the mesh fixed, and edge lengths from ``size`` alone."""
    gmsh.initialize([], readConfigFiles=False, interruptible=False)
    for option, value in {
        "General.Terminal": 0,
        "General.NumThreads": 1,
        "Mesh.Algorithm": FRONTAL_DELAUNAY,
        "Mesh.Smoothing": SMOOTHING_STEPS,
        "Mesh.RandomSeed": 1,
        "Mesh.RandomFactor": 1e-9,
        "Mesh.MeshSizeFactor": 1,
        "Mesh.MeshSizeExtendFromBoundary": 0,
        "Mesh.MeshSizeFromPoints": 0,
        "Mesh.MeshSizeFromCurvature": 0,
    }.items():
        gmsh.option.setNumber(option, value)
    gmsh.model.mesh.setSizeCallback(lambda _dim, _tag, x, y, _z, _size: size(x, y))


def triangulate(region_of_surface: dict[int, int]) -> tuple[Floats, Integers, Integers]:
    """Points (x, y), triangles and regions of the surfaces of the current gmsh model; ends gmsh."""
    gmsh.model.mesh.generate(2)
    tags, coordinates, _ = gmsh.model.mesh.getNodes()
    triangles, regions = [], []
    for surface, region in region_of_surface.items():
        (nodes,) = gmsh.model.mesh.getElements(2, surface)[2]
        triangles.append(nodes.astype(np.int64).reshape(-1, 3))
        regions.append(np.full(len(triangles[-1]), region))
    gmsh.finalize()
    order = np.argsort(tags)
    used, cells = np.unique(np.concatenate(triangles), return_inverse=True)
    rows = order[np.searchsorted(tags[order].astype(np.int64), used)]
    points = np.round(coordinates.reshape(-1, 3)[rows, :2], ROUNDING)
    return points, cells.reshape(-1, 3), np.concatenate(regions)


def axisymmetric_size(r: float, z: float) -> float:
    """Edge length of level 2 at (r, z), mm."""
    above_border = r <= INNER_AF_RADIUS and z > BORDER_HEIGHT
    border_growth = BORDER_GROWTH_CEP if above_border else BORDER_GROWTH_BELOW
    to_border = math.hypot(max(r - INNER_AF_RADIUS, 0.0), z - BORDER_HEIGHT)
    to_corner = math.hypot(max(INNER_AF_RADIUS - r, 0.0), HALF_HEIGHT - z)
    return min(
        BULK_SIZE,
        BORDER_SIZE + border_growth * to_border,
        RIM_SIZE + RIM_GROWTH * (RADIUS - r),
        CORNER_SIZE + CORNER_GROWTH * to_corner,
    )


def axisymmetric_mesh(factor: float) -> tuple[Floats, Integers, Integers]:
    """Half disc (r, z) with edge lengths ``factor`` times those of level 2."""
    start_gmsh(lambda r, z: factor * axisymmetric_size(r, z))
    outlines = {
        "NP": [(0, 0), (NP_RADIUS, 0), (NP_RADIUS, BORDER_HEIGHT), (0, BORDER_HEIGHT)],
        "inner_AF": [
            (NP_RADIUS, 0),
            (INNER_AF_RADIUS, 0),
            (INNER_AF_RADIUS, BORDER_HEIGHT),
            (NP_RADIUS, BORDER_HEIGHT),
        ],
        "outer_AF": [
            (INNER_AF_RADIUS, 0),
            (RADIUS, 0),
            (RADIUS, HALF_HEIGHT),
            (INNER_AF_RADIUS, HALF_HEIGHT),
            (INNER_AF_RADIUS, BORDER_HEIGHT),
        ],
        "CEP": [
            (0, BORDER_HEIGHT),
            (NP_RADIUS, BORDER_HEIGHT),
            (INNER_AF_RADIUS, BORDER_HEIGHT),
            (INNER_AF_RADIUS, HALF_HEIGHT),
            (0, HALF_HEIGHT),
        ],
    }
    kernel = gmsh.model.geo
    points: dict[tuple[float, float], int] = {}
    lines: dict[tuple[int, int], int] = {}
    surfaces: dict[int, int] = {}
    for name, outline in outlines.items():
        for point in outline:
            if point not in points:
                points[point] = kernel.addPoint(*point, 0)
        corners = [points[point] for point in outline]
        loop = []
        for start, end in zip(corners, corners[1:] + corners[:1], strict=True):
            if (end, start) in lines:  # shared with an earlier region, which ran it the other way
                loop.append(-lines[end, start])
            else:
                lines[start, end] = kernel.addLine(start, end)
                loop.append(lines[start, end])
        surfaces[kernel.addPlaneSurface([kernel.addCurveLoop(loop)])] = REGIONS[name]
    kernel.synchronize()
    return triangulate(surfaces)


def plan_size(x: float, y: float) -> float:
    """Edge length in the plan view of the 3-D mesh, mm."""
    radius = math.hypot(x, y)
    if radius >= NP_RADIUS:
        return PLAN_SIZE_AF
    return min(PLAN_SIZE_NP, PLAN_SIZE_NP_EDGE + PLAN_GROWTH * (NP_RADIUS - radius))


def plan_mesh() -> tuple[Floats, Integers, Integers]:
    """Quarter of the disc seen from above: triangles with the regions below the CEP."""
    start_gmsh(plan_size)
    kernel = gmsh.model.geo
    radii = (NP_RADIUS, INNER_AF_RADIUS, RADIUS)
    centre = kernel.addPoint(0, 0, 0)
    on_x = [kernel.addPoint(radius, 0, 0) for radius in radii]
    on_y = [kernel.addPoint(0, radius, 0) for radius in radii]
    arcs = [kernel.addCircleArc(start, centre, end) for start, end in zip(on_x, on_y, strict=True)]
    along_x = [kernel.addLine(start, end) for start, end in zip([centre, *on_x], on_x, strict=False)]
    along_y = [kernel.addLine(start, end) for start, end in zip([centre, *on_y], on_y, strict=False)]
    surfaces: dict[int, int] = {}
    for ring, name in enumerate(("NP", "inner_AF", "outer_AF")):
        inner = [-arcs[ring - 1]] if ring else []
        loop = kernel.addCurveLoop([along_x[ring], arcs[ring], -along_y[ring], *inner])
        surfaces[kernel.addPlaneSurface([loop])] = REGIONS[name]
    for arc in arcs:
        kernel.mesh.setTransfiniteCurve(arc, ARC_SEGMENTS + 1)
    kernel.synchronize()
    return triangulate(surfaces)


def extrude(points: Floats, triangles: Integers, regions: Integers) -> tuple[Floats, Integers, Integers]:
    """Stack the plan mesh on ``LAYERS`` and split every prism into three tetrahedra.

    Vertices are numbered outwards and each prism is split along its vertex numbers, so that neighbours agree on the
    diagonal of their common side.
    """
    outwards = np.lexsort((np.arctan2(points[:, 1], points[:, 0]), np.round(np.hypot(*points.T), 6)))
    points = points[outwards]
    triangles = np.sort(np.argsort(outwards)[triangles], axis=1)
    count = len(points)
    solid = np.concatenate([np.column_stack([points, np.full(count, height)]) for height in LAYERS])
    cells, cell_regions = [], []
    for layer, bottom_height in enumerate(LAYERS[:-1]):
        bottom, top = triangles + layer * count, triangles + (layer + 1) * count
        a, b, c = bottom.T
        for corners in ((a, b, c, top[:, 2]), (a, b, top[:, 1], top[:, 2]), (a, *top.T)):
            cells.append(np.column_stack(corners))
            in_cep = (regions != REGIONS["outer_AF"]) & (bottom_height >= BORDER_HEIGHT)
            cell_regions.append(np.where(in_cep, REGIONS["CEP"], regions))
    tetrahedra = np.concatenate(cells)
    return solid, positively_oriented(solid, tetrahedra), np.concatenate(cell_regions)


def tag_facets(points: Floats, cells: Integers, regions: Integers) -> tuple[Integers, Integers]:
    """Facets on the surfaces of the disc and their ids; every outer facet has one, the border lies inside."""
    sides, owners, _ = cell_faces(cells)
    owner_regions = regions[owners]
    facets, first, inverse = np.unique(sides, axis=0, return_index=True, return_inverse=True)
    counts = np.bincount(inverse.ravel())
    highest = np.zeros(len(facets), dtype=np.int64)
    np.maximum.at(highest, inverse.ravel(), owner_regions)

    radius, height = np.linalg.norm(points[:, :-1], axis=1), points[:, -1]

    def lies_on(values: Floats, level: float) -> np.ndarray:
        return np.all(np.abs(values[facets] - level) < TOLERANCE, axis=1)

    outer = counts == 1
    top = outer & lies_on(height, HALF_HEIGHT)
    conditions = {
        "endplate": top & (owner_regions[first] == REGIONS["CEP"]),
        "annulus_top": top & (owner_regions[first] == REGIONS["outer_AF"]),
        "rim": outer & lies_on(radius, RADIUS),
        "mid_plane": outer & lies_on(height, 0.0),
        "endplate_border": ~outer & lies_on(height, BORDER_HEIGHT) & (highest == REGIONS["CEP"]),
    }
    if points.shape[1] == 2:
        conditions["axis"] = outer & lies_on(radius, 0.0)
    else:
        conditions["symmetry_x"] = outer & lies_on(points[:, 0], 0.0)
        conditions["symmetry_y"] = outer & lies_on(points[:, 1], 0.0)
    chosen = [np.flatnonzero(condition) for condition in conditions.values()]
    ids = [np.full(len(rows), SURFACES[name]) for name, rows in zip(conditions, chosen, strict=True)]
    return facets[np.concatenate(chosen)], np.concatenate(ids)


def write_gmsh22(path: Path, points: Floats, cells: Integers, regions: Integers) -> None:
    """Write gmsh 2.2 ASCII with physical groups by name and id; the facets come first, as gmsh itself does."""
    facets, surfaces = tag_facets(points, cells, regions)
    dimension = points.shape[1]
    element_type = {2: (1, 2), 3: (2, 4)}[dimension]  # gmsh's numbers: line, triangle; triangle, tetrahedron
    groups = [(dimension - 1, SURFACES[name], name) for name in SURFACES if SURFACES[name] in surfaces]
    groups += [(dimension, REGIONS[name], name) for name in REGIONS]
    lines = ["$MeshFormat", "2.2 0 8", "$EndMeshFormat", "$PhysicalNames", str(len(groups))]
    lines += [f'{group_dimension} {identifier} "{name}"' for group_dimension, identifier, name in groups]
    lines += ["$EndPhysicalNames", "$Nodes", str(len(points))]
    padded = np.zeros((len(points), 3))
    padded[:, :dimension] = points + 0.0  # turns -0.0 into 0.0
    lines += [f"{n} {x:.12g} {y:.12g} {z:.12g}" for n, (x, y, z) in enumerate(padded, start=1)]
    lines += ["$EndNodes", "$Elements", str(len(facets) + len(cells))]
    number = 0
    for kind, simplices, tags in zip(element_type, (facets, cells), (surfaces, regions), strict=True):
        for vertices, tag in zip((simplices + 1).tolist(), tags.tolist(), strict=True):
            number += 1
            lines.append(f"{number} {kind} 2 {tag} {tag} {' '.join(map(str, vertices))}")
    lines += ["$EndElements", ""]
    path.write_text("\n".join(lines), encoding="ascii")


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the meshes of the default L4-L5 disc.")
    parser.add_argument("--output", type=Path, default=Path(__file__).resolve().parent, help="folder to write to")
    folder: Path = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    meshes = {f"L4-L5_level{level}.msh": axisymmetric_mesh(factor) for level, factor in LEVELS.items()}
    meshes["L4-L5_3d_coarse.msh"] = extrude(*plan_mesh())
    print("mesh                  vertices  cells  minimum angle  positive off-diagonals")
    for name, arrays in meshes.items():
        write_gmsh22(folder / name, *arrays)
        report = read_mesh(folder / name).report()
        print(
            f"{name:<21} {report.vertices:>8} {report.cells:>6} {report.minimum_angle:>14.1f} {report.positive_off_diagonals:>23}"
        )


if __name__ == "__main__":
    main()
