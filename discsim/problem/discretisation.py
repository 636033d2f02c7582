"""The discretisation as plain arrays: what an engine without DOLFINx needs of mesh and finite elements.

Numbers of cells, vertices and displacement nodes are those of DOLFINx, so that vectors of both engines can be compared entry by
entry. A discretisation depends on which vertices are joined, not on where they lie: the same arrays serve every scaled disc.
"""

from __future__ import annotations

import dataclasses
import hashlib
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from discsim.disc.mesh import Mesh

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FORMAT = 1


class DiscretisationError(ValueError):
    """A file of a discretisation that cannot be used; the message says why and how to mend it."""


@dataclasses.dataclass(frozen=True, eq=False)
class Quadrature:
    """A rule on the reference cell (or, with a leading axis, on each facet of it) and the basis tabulated at its points.

    ``weights`` (points,); ``values`` of the linear basis (..., points, vertices per cell); ``displacement_values`` (..., points,
    nodes per cell) and ``displacement_gradients`` (..., points, nodes per cell, dim) of the quadratic basis, with respect to
    reference coordinates.
    """

    weights: Floats
    values: Floats
    displacement_values: Floats
    displacement_gradients: Floats


@dataclasses.dataclass(frozen=True, eq=False)
class Discretisation:
    """Arrays of one mesh topology.

    ``source_vertex`` (vertices,): number of each vertex in the mesh file; ``cells`` (cells, vertices per cell) and
    ``displacement_nodes`` (cells, nodes per cell): numbers of vertices and of displacement nodes; ``regions`` (cells,): 1..4;
    ``linear_gradients`` (vertices per cell, dim): reference gradients of the linear basis; ``strain``, ``flux``, ``corner``,
    ``facet``: quadratures of finite strain, diffusion, (cell, vertex) pairs, and facets; ``facet_cells``, ``facet_locals``,
    ``facet_surfaces`` (facets,): cell, local number and surface id of every tagged facet; ``facet_normals`` (facets per cell,
    dim): outward reference normal times measure of the reference facet; ``nodes_on`` and ``vertices_on``: displacement nodes
    and vertices of every named surface.
    """

    topology: str
    dimension: int
    symmetry_factor: float
    source_vertex: Integers
    cells: Integers
    displacement_nodes: Integers
    regions: Integers
    linear_gradients: Floats
    strain: Quadrature
    flux: Quadrature
    corner: Quadrature
    facet: Quadrature
    facet_cells: Integers
    facet_locals: Integers
    facet_surfaces: Integers
    facet_normals: Floats
    nodes_on: Mapping[str, Integers]
    vertices_on: Mapping[str, Integers]

    @property
    def vertex_count(self) -> int:
        """Number of vertices."""
        return len(self.source_vertex)

    @property
    def node_count(self) -> int:
        """Number of displacement nodes."""
        return int(self.displacement_nodes.max()) + 1

    @property
    def axial(self) -> int:
        """Component of the displacement along the spine."""
        return self.dimension - 1

    def points_of(self, mesh: Mesh) -> Floats:
        """Coordinates of the vertices in this numbering, (vertices, dim) mm; raises where the mesh is another."""
        if topology_hash(mesh) != self.topology:
            raise DiscretisationError("the discretisation is that of another mesh; make it anew with discsim tabulate")
        return np.asarray(mesh.points[self.source_vertex], dtype=np.float64)


def topology_hash(mesh: Mesh) -> str:
    """SHA-256 of which vertices are joined and how they are tagged, whatever their coordinates."""
    digest = hashlib.sha256(f"{mesh.coordinates} {mesh.symmetry_factor!r} {len(mesh.points)}".encode())
    for array in (mesh.cells, mesh.cell_regions, mesh.facets, mesh.facet_surfaces):
        digest.update(array.astype("<i8").tobytes())
    return digest.hexdigest()


def save(discretisation: Discretisation, path: Path) -> None:
    """Write the one file (npz); a reader never sees half of it."""
    arrays: dict[str, np.ndarray] = {"format": np.array(FORMAT)}
    for field in dataclasses.fields(discretisation):
        value = getattr(discretisation, field.name)
        if isinstance(value, Quadrature):
            arrays |= {f"{field.name}.{part.name}": getattr(value, part.name) for part in dataclasses.fields(value)}
        elif isinstance(value, Mapping):
            arrays |= {f"{field.name}.{name}": numbers.astype(np.int32) for name, numbers in value.items()}
        else:
            array = np.asarray(value)
            arrays[field.name] = array.astype(np.int32) if array.dtype.kind == "i" else array
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    partial.replace(path)


def load(path: Path) -> Discretisation:
    """Read a file; raises ``DiscretisationError`` where it is damaged or of another version."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
        if int(arrays.get("format", -1)) != FORMAT:
            raise DiscretisationError(f"{path}: written by another version of discsim; make it anew with discsim tabulate")
        return _from_arrays(arrays)
    # a cut archive, a flipped bit, an array that is missing or of another kind
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, KeyError, TypeError, AttributeError, NotImplementedError) as error:
        raise _damaged(path, error) from error
    except DiscretisationError:
        raise
    except ValueError as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DiscretisationError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return DiscretisationError(f"{path}: not a readable discretisation ({reason}); make it anew with discsim tabulate")


def _from_arrays(arrays: Mapping[str, np.ndarray]) -> Discretisation:
    given: dict[str, object] = {}
    for field in dataclasses.fields(Discretisation):
        parts = {key.split(".", 1)[1]: a for key, a in arrays.items() if key.startswith(f"{field.name}.")}
        if field.name in ("strain", "flux", "corner", "facet"):
            given[field.name] = Quadrature(**parts)
        elif field.name in ("nodes_on", "vertices_on"):
            given[field.name] = {name: numbers.astype(np.int64) for name, numbers in parts.items()}
        elif field.name in ("topology", "dimension", "symmetry_factor"):
            given[field.name] = arrays[field.name].item()
        else:
            array = arrays[field.name]
            given[field.name] = array.astype(np.int64) if array.dtype.kind == "i" else array
    return Discretisation(**given)  # type: ignore[arg-type]
