"""Fields of a run as files for ParaView: VTU with a PVD collection, or XDMF with HDF5.

Every cell has corners of its own, so that jumps between cells and regions are kept as they are. Positions are those of the
reference shape in mm; the displacement (mm) moves them to the current shape (*Warp By Vector*). An axisymmetric mesh lies in the
plane y = 0 with the axis along z, as *Rotational Extrusion* wants it. Times are years.
"""

from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

from discsim.problem.problem import YEAR
from discsim.report.field_choice import kept_times
from discsim.study.result import Result, ResultError, ScenarioResult

CELLS = {(2, 3): "triangle", (3, 4): "tetra"}  # dimension and corners -> name of the cell in meshio


@dataclasses.dataclass(frozen=True)
class Frames:
    """Fields of one scenario as files hold them.

    ``times``: years; ``points``: (cells * corners, 3) mm; ``cells``: (cells, corners) rows of ``points``; ``regions``: a number
    per cell; ``fields``: one table per time, name with unit -> a value per point, or three for a vector.
    """

    scenario: str
    times: tuple[float, ...]
    kind: str
    points: np.ndarray
    cells: np.ndarray
    regions: np.ndarray
    fields: tuple[dict[str, np.ndarray], ...]


def frames_of(view: ScenarioResult) -> Frames:
    """Fields of a scenario up to its last good time; raises ``ResultError`` where none were kept."""
    stored = view.fields
    times, points, cells = (stored[name].values for name in ("field_time", "points", "connectivity"))
    shape = (points.shape[1], cells.shape[1])
    if shape not in CELLS:
        raise ResultError(f"{view.name}: cells of {shape[1]} corners in {shape[0]} dimensions have no place in these files")
    kept = range(kept_times(view).size)
    return Frames(
        view.name,
        tuple(float(times[frame]) / YEAR for frame in kept),
        CELLS[shape],
        _spatial(points[cells].reshape(-1, shape[0])),
        np.arange(cells.size, dtype=np.int64).reshape(cells.shape),
        stored["region"].values.astype(np.int32),
        tuple(_values(stored, frame, cells) for frame in kept),
    )


def write_vtk(result: Result, folder: Path) -> list[Path]:
    """Write ``SCENARIO.pvd`` of each scenario that kept fields, and ``SCENARIO/SCENARIO_0000.vtu`` of each of its times.

    Returns the collections. Raises ``ResultError`` where no scenario kept fields.
    """
    import meshio

    written = []
    for frames in _all_frames(result):
        entries = []
        (folder / frames.scenario).mkdir()
        for number, (time, fields) in enumerate(zip(frames.times, frames.fields, strict=True)):
            name = f"{frames.scenario}/{frames.scenario}_{number:04d}.vtu"
            blocks = [(frames.kind, frames.cells)]
            mesh = meshio.Mesh(frames.points, blocks, point_data=fields, cell_data={"region": [frames.regions]})
            mesh.write(folder / name, file_format="vtu")
            entries.append((time, name))
        written.append(_write_collection(folder / f"{frames.scenario}.pvd", entries))
    return written


def write_xdmf(result: Result, folder: Path) -> list[Path]:
    """Write ``SCENARIO.xdmf`` with ``SCENARIO.h5`` of each scenario that kept fields; returns the XDMF files.

    Raises ``ResultError`` where no scenario kept fields.
    """
    import meshio

    written = []
    for frames in _all_frames(result):
        path = folder / f"{frames.scenario}.xdmf"
        writer = meshio.xdmf.TimeSeriesWriter(path)
        # Its own way to begin would put the HDF5 file into the current folder.
        writer.h5_filename = path.with_suffix(".h5")
        writer.h5_file = h5py.File(writer.h5_filename, "w")
        try:
            writer.write_points_cells(frames.points, [(frames.kind, frames.cells)])
            for time, fields in zip(frames.times, frames.fields, strict=True):
                writer.write_data(time, point_data=fields, cell_data={"region": [frames.regions]})
        finally:
            writer.__exit__(None, None, None)
        written.append(path)
    return written


def _all_frames(result: Result) -> list[Frames]:
    views = [result[name] for name in result.scenario_names]
    if not any(view.has_fields for view in views):
        raise ResultError("no scenario of this result kept fields; run it again with an engine and an [output] that keep some")
    return [frames_of(view) for view in views if view.has_fields]


def _values(stored: xr.Dataset, frame: int, cells: np.ndarray) -> dict[str, np.ndarray]:
    """Every field at one time, and the displacement, under names that hold their units."""
    moved = stored["displacement"]
    found = {_label("displacement", moved): _spatial(moved.values[0, frame][cells].reshape(-1, moved.shape[-1]))}
    for variable in stored.data_vars.values():
        if variable.dims == ("sample", "field_time", "cell", "corner"):
            found[_label(str(variable.attrs["discsim_name"]), variable)] = variable.values[0, frame].astype(float).ravel()
    return found


def _label(name: str, variable: xr.DataArray) -> str:
    """``glucose [mM]``, ``ph [1]``; a derived value that declares no unit has none here either."""
    unit = variable.attrs.get("discsim_unit")
    return name if unit is None else f"{name} [{'1' if unit == 'dimensionless' else unit}]"


def _spatial(vectors: np.ndarray) -> np.ndarray:
    """Vectors in space: (r, z) becomes (r, 0, z)."""
    if vectors.shape[1] == 3:
        return np.ascontiguousarray(vectors, dtype=float)
    return np.column_stack([vectors[:, 0], np.zeros(len(vectors)), vectors[:, 1]])


def _write_collection(path: Path, entries: Sequence[tuple[float, str]]) -> Path:
    """A PVD file: which VTU file holds which time."""
    root = ET.Element("VTKFile", type="Collection", version="1.0", byte_order="LittleEndian")
    collection = ET.SubElement(root, "Collection")
    for time, name in entries:
        attributes: dict[str, Any] = {"timestep": repr(time), "group": "", "part": "0", "file": name}
        ET.SubElement(collection, "DataSet", attributes)
    ET.indent(root)
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    return path
