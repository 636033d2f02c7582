"""Tagged simplex meshes of the disc: the container, its quality report, and reading from gmsh files.

Coordinates are millimetres. An axisymmetric mesh is the half disc (r, z) with the mid-plane at z = 0 and the axis at
r = 0; a three-dimensional mesh is (x, y, z) with the mid-plane at z = 0 and, where only a part of the circumference is
modelled, mirror planes x = 0 and y = 0.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from discsim.disc.simplex import (
    Floats,
    Integers,
    cell_faces,
    longest_edges,
    minimum_angle,
    positive_off_diagonals,
    positively_oriented,
    signed_measures,
)

REGIONS = {"NP": 1, "inner_AF": 2, "outer_AF": 3, "CEP": 4}
SURFACES = {
    "endplate": 1,
    "annulus_top": 2,
    "rim": 3,
    "mid_plane": 4,
    "axis": 5,
    "endplate_border": 6,
    "symmetry_x": 7,
    "symmetry_y": 8,
}
OPEN_SURFACES = ("endplate", "annulus_top", "rim")  # through which solutes and signals may come and go
NEEDED_SURFACES = {
    "axisymmetric": ("endplate", "annulus_top", "rim", "mid_plane", "axis", "endplate_border"),
    "cartesian": ("endplate", "annulus_top", "rim", "mid_plane", "endplate_border"),
}
OPTIONAL_SURFACES: dict[str, tuple[str, ...]] = {"axisymmetric": (), "cartesian": ("symmetry_x", "symmetry_y")}
DIMENSION = {"axisymmetric": 2, "cartesian": 3}

# Diameter 10 to 80 mm, full height 3 to 20 mm. Largest human lumbar discs reach about 30 mm radius and 8 mm half height; the
# limits are wider, because they are meant to catch wrong units (metres, inches), not unusual anatomy.
RADIUS_LIMITS_MM = (5.0, 40.0)
HALF_HEIGHT_LIMITS_MM = (1.5, 10.0)

# A cell flatter than this (volume over longest edge to the power of the dimension) is no cell but round-off.
FLATNESS_LIMIT = 1e-6
# Distance to a symmetry plane, as a share of the disc radius, that still counts as lying on it.
PLANE_TOLERANCE = 1e-9


class MeshError(ValueError):
    """A mesh that cannot be used; the message says what is wrong and how to mend it."""


@dataclass(frozen=True)
class MeshReport:
    """Size and quality of a mesh.

    ``minimum_angle`` is the smallest angle of a triangle or the smallest dihedral angle of a tetrahedron (degrees).
    ``positive_off_diagonals`` counts entries K_ij > 0, i != j (both of a symmetric pair), of the linear stiffness
    matrix K_ij = integral of grad phi_i . grad phi_j dV with unit diffusivity (dV = r dr dz if axisymmetric). With
    none, K is an M-matrix and a diffusing concentration stays within its bounds; this is sufficient, not necessary.
    """

    vertices: int
    cells: int
    minimum_angle: float
    positive_off_diagonals: int


@dataclass(frozen=True, eq=False)
class Mesh:
    """Simplex mesh of a disc with tissue regions and named surfaces.

    ``points`` (n, 2 or 3) in mm; ``cells`` (m, 3 or 4) and ``facets`` (k, 2 or 3) hold vertex numbers;
    ``cell_regions`` are values of ``REGIONS`` and ``facet_surfaces`` of ``SURFACES``. ``symmetry_factor`` is the volume
    of the whole disc over that of the modelled part: 2 for the axisymmetric half disc, 8 for the upper half of a
    quarter of its circumference in 3-D. The arrays are read-only copies, so that ``hash`` stays true.
    """

    points: Floats
    cells: Integers
    cell_regions: Integers
    facets: Integers
    facet_surfaces: Integers
    coordinates: str
    symmetry_factor: float

    def __post_init__(self) -> None:
        if self.coordinates not in DIMENSION:
            raise MeshError(f"coordinates are {self.coordinates!r}; allowed: {', '.join(DIMENSION)}")
        if not (np.isfinite(self.symmetry_factor) and self.symmetry_factor >= 1.0):
            raise MeshError(f"symmetry factor is {self.symmetry_factor}; it is whole disc / modelled part, at least 1")
        dimension = DIMENSION[self.coordinates]
        # Adding zero turns -0.0 into 0.0, which would otherwise change the hash of an equal mesh.
        self._freeze("points", np.array(self.points, dtype=np.float64) + 0.0, dimension)
        self._freeze("cells", _integers("cells", self.cells), dimension + 1)
        self._freeze("cell_regions", _integers("cell_regions", self.cell_regions), None)
        self._freeze("facets", _integers("facets", self.facets), dimension)
        self._freeze("facet_surfaces", _integers("facet_surfaces", self.facet_surfaces), None)
        for name, tags in (("cells", "cell_regions"), ("facets", "facet_surfaces")):
            numbers, count = getattr(self, name), len(getattr(self, tags))
            if len(numbers) != count:
                raise MeshError(f"{len(numbers)} {name} but {count} {tags}; one tag each is needed")
            if numbers.size and not (numbers.min() >= 0 and numbers.max() < len(self.points)):
                raise MeshError(f"{name} refer to vertices outside 0..{len(self.points) - 1}")

    def _freeze(self, name: str, array: NDArray[Any], columns: int | None) -> None:
        if array.shape[1:] != (() if columns is None else (columns,)) or array.ndim == 0:
            wanted = "(count,)" if columns is None else f"(count, {columns})"
            raise MeshError(f"{name} have shape {array.shape}; {self.coordinates} meshes need {wanted}")
        array = np.ascontiguousarray(array)
        array.flags.writeable = False
        object.__setattr__(self, name, array)

    @property
    def dimension(self) -> int:
        """Number of coordinates of a point: 2 (r, z) or 3 (x, y, z)."""
        return DIMENSION[self.coordinates]

    @cached_property
    def hash(self) -> str:
        """SHA-256 of all arrays and of the meaning of the coordinates, the same on every platform."""
        digest = hashlib.sha256()
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                digest.update(f"{field.name} {value.shape}\n".encode())
                digest.update(value.astype("<f8" if value.dtype.kind == "f" else "<i8").tobytes())
            else:
                digest.update(f"{field.name} {value if isinstance(value, str) else float(value)!r}\n".encode())
        return digest.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mesh) and self.hash == other.hash

    def __hash__(self) -> int:
        return int(self.hash[:16], 16)

    def scaled(self, radius_factor: float, height_factor: float) -> Mesh:
        """Mesh of a wider or higher disc: r (or x and y) times ``radius_factor``, z times ``height_factor``.

        Angles change, so the M-matrix property is not inherited; ask ``report`` of the scaled mesh.
        """
        for name, factor in (("radius", radius_factor), ("height", height_factor)):
            if not (np.isfinite(factor) and factor > 0.0):
                raise MeshError(f"{name} factor is {factor}; it must be a positive number")
        factors = np.full(self.dimension, radius_factor, dtype=np.float64)
        factors[-1] = height_factor
        return Mesh(
            self.points * factors,
            self.cells,
            self.cell_regions,
            self.facets,
            self.facet_surfaces,
            self.coordinates,
            self.symmetry_factor,
        )

    def cell_volumes(self) -> Floats:
        """Volumes of the cells of the modelled part in mm3; a triangle counts as its full ring, 2 pi integral r dA.

        Exact for straight-edged cells, because r is linear in each.
        """
        measures = np.abs(signed_measures(self.points, self.cells))
        return measures * self._radial_weights() * (2.0 * np.pi if self.coordinates == "axisymmetric" else 1.0)

    def report(self) -> MeshReport:
        """Counts, smallest angle and number of positive off-diagonal entries of the stiffness matrix."""
        return MeshReport(
            vertices=len(self.points),
            cells=len(self.cells),
            minimum_angle=minimum_angle(self.points, self.cells),
            positive_off_diagonals=positive_off_diagonals(self.points, self.cells, self._radial_weights()),
        )

    def _radial_weights(self) -> Floats:
        """Mean radius of each cell in axisymmetric coordinates, one otherwise."""
        if self.coordinates == "axisymmetric":
            return np.asarray(self.points[self.cells, 0].mean(axis=1), dtype=np.float64)
        return np.ones(len(self.cells))


def _integers(name: str, values: ArrayLike) -> Integers:
    array = np.array(values)
    if array.size and array.dtype.kind not in "iu":
        raise MeshError(f"{name} have type {array.dtype}; whole numbers are needed")
    return array.astype(np.int64)


def read_mesh(path: str | Path) -> Mesh:
    """Read and check a gmsh 2.2 ASCII mesh: triangles (axisymmetric, in the plane z = 0) or tetrahedra (3-D).

    Physical groups carry the ids of ``REGIONS`` and ``SURFACES``. Unused points are dropped, the order of the others is
    kept, cells are turned to positive orientation, and the symmetry factor is two per mirror plane of the file. Raises
    ``MeshError`` with one line that names the file, what is wrong and how to mend it.
    """
    try:
        mesh = _parse(Path(path))
        _check_size(mesh)
        _check_cells(mesh)
        _check_facets(mesh)
        _check_planes(mesh)
    except MeshError as error:
        raise MeshError(f"{path}: {error}") from error.__cause__
    return mesh


def _read_blocks(path: Path) -> tuple[Floats, dict[str, Integers], dict[str, Integers], dict[str, Any]]:
    """Points, vertices and physical ids by kind of element, and the named physical groups of a gmsh 2.2 ASCII file."""
    import meshio  # here, because it is slow to import and only reading needs it

    try:
        content = path.read_bytes()
    except OSError as error:
        raise MeshError(f"cannot be read ({error.strerror})") from error
    if content[:64].split()[:3] != [b"$MeshFormat", b"2.2", b"0"]:
        raise MeshError("is not gmsh 2.2 ASCII; write it with 'gmsh FILE -save -format msh22' (without -bin)")
    if b"$EndElements" not in content:
        raise MeshError("is cut short, for it has no $EndElements; save it again")
    try:
        raw = meshio.gmsh.read(path)
        kinds = {block.type: np.asarray(raw.get_cells_type(block.type), dtype=np.int64) for block in raw.cells}
        tagged = "gmsh:physical" in raw.cell_data
        tags = {kind: np.asarray(raw.get_cell_data("gmsh:physical", kind)) for kind in kinds} if tagged else {}
    except Exception as error:  # meshio lets many kinds through: of parsing, of shapes, of look-up
        reason = " ".join(f"{type(error).__name__} {error}".split())
        raise MeshError(f"is damaged or incomplete as a gmsh file ({reason})") from error
    if not tagged:
        raise MeshError("holds no elements with physical groups; name the regions and surfaces before saving")
    strange = sorted(set(kinds) - {"vertex", "line", "triangle", "tetra"})
    if strange:
        raise MeshError(f"holds {', '.join(strange)} elements; only straight triangles or tetrahedra are read")
    if any(elements.size and elements.min() < 0 for elements in kinds.values()):
        raise MeshError("holds elements with vertices that the file lacks; save it again")
    return np.asarray(raw.points, dtype=np.float64), kinds, tags, raw.field_data


def _parse(path: Path) -> Mesh:
    """The file as a mesh with compact numbering and positive orientation, its shape not yet checked."""
    points, kinds, tags, groups = _read_blocks(path)
    solid = "tetra" in kinds
    dimension = 3 if solid else 2
    cell_kind, facet_kind, coordinates = ("tetra", "triangle", "cartesian") if solid else ("triangle", "line", "axisymmetric")
    if cell_kind not in kinds:
        raise MeshError("holds no triangles or tetrahedra; save the regions as physical groups")
    _check_names(groups, dimension)
    facets = kinds.get(facet_kind, np.empty((0, dimension), dtype=np.int64))
    facet_tags = tags.get(facet_kind, np.empty(0, dtype=np.int64))
    _check_tags(tags[cell_kind], facet_tags, coordinates)
    used, cells = np.unique(kinds[cell_kind], return_inverse=True)
    if not np.isin(facets, used).all():
        raise MeshError("holds facets with vertices that belong to no cell; save all regions as physical groups")
    if not np.isfinite(points[used]).all():
        raise MeshError("holds coordinates that are not numbers; save it again")
    if not solid and np.any(points[used, 2] != 0.0):
        raise MeshError("holds triangles outside the plane z = 0; an axisymmetric mesh has x = r, y = z, z = 0")
    points = points[used, :dimension]
    cells = positively_oriented(points, cells.reshape(-1, dimension + 1))
    planes = ("mid_plane", "symmetry_x", "symmetry_y") if solid else ("mid_plane",)
    factor = 2.0 ** sum(SURFACES[name] in facet_tags for name in planes)
    return Mesh(points, cells, tags[cell_kind], np.searchsorted(used, facets), facet_tags, coordinates, factor)


def _check_names(groups: dict[str, Any], dimension: int) -> None:
    """Refuse physical groups that bear one of our names but another id: the id alone would be misread."""
    for known, group_dimension, what in ((REGIONS, dimension, "region"), (SURFACES, dimension - 1, "surface")):
        for name, (identifier, _) in ((n, g) for n, g in groups.items() if n in known and g[1] == group_dimension):
            if identifier != known[name]:
                raise MeshError(f"gives {what} {name} the id {identifier}; it must be {known[name]}")


def _check_tags(cell_tags: Integers, facet_tags: Integers, coordinates: str) -> None:
    """Every tag known, every region and needed surface present."""
    needed = NEEDED_SURFACES[coordinates]
    surfaces = {name: SURFACES[name] for name in needed + OPTIONAL_SURFACES[coordinates]}
    for what, found, known, wanted in (
        ("region", cell_tags, REGIONS, tuple(REGIONS)),
        ("surface", facet_tags, surfaces, needed),
    ):
        groups = f"{coordinates} meshes have {', '.join(f'{name} = {number}' for name, number in known.items())}"
        unknown = sorted(set(found.tolist()) - set(known.values()))
        if unknown:
            raise MeshError(f"holds {what} id {unknown[0]}, which means nothing; {groups}")
        missing = [name for name in wanted if known[name] not in found]
        if missing:
            raise MeshError(f"holds no {what} {missing[0]}; add it as a physical group; {groups}")


def _check_size(mesh: Mesh) -> None:
    """Refuse sizes no disc has, and name the unit that would explain them."""
    radius = float(np.linalg.norm(mesh.points[:, :-1], axis=1).max())
    half_height = float(np.ptp(mesh.points[:, -1]))

    def allowed(factor: float) -> bool:
        return all(
            low <= factor * size <= high
            for size, (low, high) in ((radius, RADIUS_LIMITS_MM), (half_height, HALF_HEIGHT_LIMITS_MM))
        )

    if allowed(1.0):
        return
    units = {"metres": 1e3, "centimetres": 10.0, "inches": 25.4, "micrometres": 1e-3}
    hint = next(
        (f"are these {unit}? then multiply by {factor:g}" for unit, factor in units.items() if allowed(factor)),
        "coordinates must be millimetres, and the half above the mid-plane is meshed",
    )
    raise MeshError(
        f"radius {radius:.4g} and half height {half_height:.4g} found; allowed are "
        f"{RADIUS_LIMITS_MM[0]:g}..{RADIUS_LIMITS_MM[1]:g} mm and "
        f"{HALF_HEIGHT_LIMITS_MM[0]:g}..{HALF_HEIGHT_LIMITS_MM[1]:g} mm; {hint}"
    )


def _check_cells(mesh: Mesh) -> None:
    """No flat cells, and no cells that fold over each other."""
    smallest = FLATNESS_LIMIT * longest_edges(mesh.points, mesh.cells) ** mesh.dimension
    flat = np.flatnonzero(signed_measures(mesh.points, mesh.cells) <= smallest)
    if flat.size:
        raise MeshError(f"holds {flat.size} flat cells, one at {_place(mesh, mesh.cells[flat[0]])}; mesh it again")
    sides, _, senses = cell_faces(mesh.cells)
    _, first, counts = np.unique(np.column_stack([sides, senses]), axis=0, return_index=True, return_counts=True)
    if counts.max() > 1:
        place = _place(mesh, sides[first[counts.argmax()]])
        raise MeshError(f"holds cells that overlap, at {place}; mesh it again")


def _check_facets(mesh: Mesh) -> None:
    """Tagged facets are single faces of cells; the outside is tagged throughout; the border lies below the CEP."""
    sides, owners, _ = cell_faces(mesh.cells)
    faces, inverse, counts = np.unique(sides, axis=0, return_inverse=True, return_counts=True)
    number = {tuple(face): index for index, face in enumerate(faces.tolist())}
    tagged = np.array([number.get(tuple(facet), -1) for facet in np.sort(mesh.facets, axis=1).tolist()], dtype=np.int64)
    names = {identifier: name for name, identifier in SURFACES.items()}

    def refuse(wrong: NDArray[np.bool_], text: str) -> None:
        if wrong.any():
            facet = int(np.flatnonzero(wrong)[0])
            name, place = names[int(mesh.facet_surfaces[facet])], _place(mesh, mesh.facets[facet])
            raise MeshError(f"{text} (surface {name}, {int(wrong.sum())} facets, one at {place})")

    refuse(tagged < 0, "holds facets that are not faces of cells; mesh surfaces and regions together")
    repeated = np.bincount(tagged, minlength=len(faces))[tagged] > 1
    refuse(repeated, "holds facets tagged twice; each belongs to one physical group")
    border = mesh.facet_surfaces == SURFACES["endplate_border"]
    refuse(~border & (counts[tagged] > 1), "holds an outer surface inside the disc; tag boundary facets only")
    in_cep = (mesh.cell_regions == REGIONS["CEP"])[owners]
    cep_sides = np.bincount(inverse.ravel(), weights=in_cep, minlength=len(faces))
    detached = border & ~((counts[tagged] == 2) & (cep_sides[tagged] == 1))
    refuse(detached, "holds border facets without the CEP on one side and tissue on the other; merge doubled points")
    bare = np.setdiff1d(np.flatnonzero(counts == 1), tagged)
    if bare.size:
        place = _place(mesh, faces[bare[0]])
        raise MeshError(f"holds {bare.size} outer facets without surface, one at {place}; tag them, or merge doubled points")


def _check_planes(mesh: Mesh) -> None:
    """Mirror planes and axis lie at coordinate zero with the disc on the positive side."""
    axes = {"mid_plane": (mesh.dimension - 1, "z"), "axis": (0, "r"), "symmetry_x": (0, "x"), "symmetry_y": (1, "y")}
    tolerance = PLANE_TOLERANCE * float(np.abs(mesh.points).max())
    for name, (column, letter) in axes.items():
        facets = mesh.facets[mesh.facet_surfaces == SURFACES[name]]
        if not facets.size:
            continue
        off = float(np.abs(mesh.points[facets, column]).max())
        if off > tolerance:
            raise MeshError(f"surface {name} is off {letter} = 0 by {off:.3g} mm; move the mesh")
        lowest = float(mesh.points[:, column].min())
        if lowest < -tolerance:
            raise MeshError(f"reaches {letter} = {lowest:.3g} mm; with surface {name}, only {letter} >= 0 is meshed")


def _place(mesh: Mesh, vertices: Integers) -> str:
    centre = mesh.points[vertices].mean(axis=0)
    letters = "rz" if mesh.coordinates == "axisymmetric" else "xyz"
    return ", ".join(f"{letter} = {value:.4g}" for letter, value in zip(letters, centre, strict=True))
