"""The discretisation as a file: what goes in comes out, what is damaged is refused, and shipped files are those of the meshes."""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from discsim.disc.disc import Disc
from discsim.disc.locate import mesh_path
from discsim.disc.mesh import SURFACES, Mesh, read_mesh
from discsim.problem import tables
from discsim.problem.constraint import free_unknowns
from discsim.problem.discretisation import Discretisation, DiscretisationError, Quadrature, load, save, topology_hash
from discsim.problem.tables import file_name, keep, stored_discretisation

MESHES = ("L4-L5_level1.msh", "L4-L5_level2.msh", "L4-L5_level3.msh", "L4-L5_3d_coarse.msh")


def arrays_of(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every number and array of a discretisation by name."""
    if isinstance(value, Discretisation | Quadrature):
        for field in dataclasses.fields(value):
            yield from arrays_of(getattr(value, field.name), f"{name}.{field.name}")
    elif isinstance(value, dict):
        for key in sorted(value):
            yield from arrays_of(value[key], f"{name}[{key}]")
    else:
        yield name, value


def check_equal(a: Discretisation, b: Discretisation, *, round_off: float = 0.0) -> None:
    first, second = dict(arrays_of(a)), dict(arrays_of(b))
    assert set(first) == set(second)
    for name, value in first.items():
        other = second[name]
        assert np.shape(value) == np.shape(other) and np.asarray(value).dtype.kind == np.asarray(other).dtype.kind, name
        if np.asarray(value).dtype.kind == "f":
            assert np.allclose(value, other, rtol=0.0, atol=round_off), name
        else:
            assert np.array_equal(value, other), name


def coarse() -> Mesh:
    return Disc.preset("L4-L5", mesh_level=1).mesh


@pytest.fixture(scope="module")
def shipped() -> Discretisation:
    found = stored_discretisation(coarse())
    assert found is not None
    return found


def test_round_trip(shipped: Discretisation, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "one.npz"
    save(shipped, path)
    check_equal(load(path), shipped)
    assert [p.name for p in path.parent.iterdir()] == ["one.npz"], "nothing half-written is left"


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _garbled(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for place in range(200, len(content) - 2000, 97):
        content[place] ^= 0xFF
    path.write_bytes(bytes(content))


def _without(member: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with zipfile.ZipFile(path) as old:
            kept = {name: old.read(name) for name in old.namelist() if name != f"{member}.npy"}
        with zipfile.ZipFile(path, "w") as new:
            for name, content in kept.items():
                new.writestr(name, content)

    return change


def _of_another_version(path: Path) -> None:
    with np.load(path) as stored:
        arrays = dict(stored)
    np.savez(path, **{**arrays, "format": np.array(99)})


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("not a table\n"),
    "truncated": _truncated,
    "garbled": _garbled,
    "an array alone": lambda path: np.save(path.open("wb"), np.zeros(3)),
    "an array is missing": _without("cells"),
    "part of a rule is missing": _without("strain.weights"),
    "no version": _without("format"),
    "another version": _of_another_version,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_files_are_refused_in_one_line(damage: str, shipped: Discretisation, tmp_path: Path) -> None:
    path = tmp_path / "one.npz"
    save(shipped, path)
    DAMAGE[damage](path)
    with pytest.raises(DiscretisationError, match="one.npz: .*make it anew with discsim tabulate") as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused_too(tmp_path: Path) -> None:
    with pytest.raises(DiscretisationError, match=r"none\.npz"):
        load(tmp_path / "none.npz")


def test_coordinates_of_another_mesh_are_refused(shipped: Discretisation) -> None:
    with pytest.raises(DiscretisationError, match="that of another mesh"):
        shipped.points_of(Disc.preset("L4-L5", mesh_level=2).mesh)


def test_topology_is_what_is_joined_and_tagged_and_not_where_it_lies() -> None:
    mesh = coarse()
    assert topology_hash(mesh.scaled(0.9, 1.2)) == topology_hash(mesh)
    others = [
        dataclasses.replace(mesh, cells=mesh.cells[::-1].copy(), cell_regions=mesh.cell_regions[::-1].copy()),
        dataclasses.replace(mesh, facet_surfaces=np.where(mesh.facet_surfaces == 1, 2, mesh.facet_surfaces)),
    ]
    hashes = {topology_hash(other) for other in (mesh, *others)}
    assert len(hashes) == 3


def test_a_file_of_another_mesh_under_this_name_is_refused(
    shipped: Discretisation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "mesh_folders", lambda: [tmp_path])
    mesh = Disc.preset("L4-L5", mesh_level=2).mesh
    path = keep(mesh, shipped, tmp_path / tables.FOLDER)
    with pytest.raises(DiscretisationError, match=f"{path.name}: holds another mesh than its name says"):
        stored_discretisation(mesh)


def test_the_cache_is_looked_at_last(shipped: Discretisation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "mesh_folders", lambda: [])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert stored_discretisation(coarse()) is None
    path = keep(coarse(), shipped)
    assert path.is_relative_to(tmp_path)
    found = stored_discretisation(coarse())
    assert found is not None
    check_equal(found, shipped)


@pytest.mark.parametrize("name", MESHES)
def test_every_shipped_mesh_has_one_that_serves_scaled_discs(name: str) -> None:
    mesh = read_mesh(mesh_path(name))
    found = stored_discretisation(mesh)
    assert found is not None and file_name(mesh) == file_name(mesh.scaled(0.8, 1.1))
    scaled = mesh.scaled(0.8, 1.1)
    assert np.array_equal(found.points_of(scaled), scaled.points[found.source_vertex])
    assert np.array_equal(np.sort(found.source_vertex), np.arange(len(mesh.points)))
    # the same cells with the same regions, in another order
    there = {tuple(sorted(cell)): region for cell, region in zip(mesh.cells.tolist(), mesh.cell_regions.tolist(), strict=True)}
    here = zip(found.source_vertex[found.cells].tolist(), found.regions.tolist(), strict=True)
    assert {tuple(sorted(cell)): region for cell, region in here} == there


@pytest.mark.fem
@pytest.mark.parametrize("name", MESHES)
def test_shipped_files_are_those_of_a_fresh_tabulation(name: str) -> None:
    pytest.importorskip("ufl")
    from discsim.fem.tabulate import tabulate

    mesh = read_mesh(mesh_path(name))
    found = stored_discretisation(mesh)
    assert found is not None
    check_equal(found, tabulate(mesh), round_off=1e-14)


@pytest.mark.parametrize("name", ["L4-L5_level1.msh", "L4-L5_3d_coarse.msh"])
def test_rules_integrate_what_they_claim(name: str) -> None:
    """Partition of unity, volume of the reference cell, and facets that close it."""
    d = stored_discretisation(read_mesh(mesh_path(name)))
    assert d is not None
    volume = 1.0 / (2.0 if d.dimension == 2 else 6.0)
    for rule in (d.strain, d.flux):
        assert rule.weights.sum() == pytest.approx(volume, rel=1e-14)
    for rule in (d.strain, d.flux, d.corner, d.facet):
        assert np.allclose(rule.values.sum(axis=-1), 1.0) and np.allclose(rule.displacement_values.sum(axis=-1), 1.0)
        assert np.allclose(rule.displacement_gradients.sum(axis=-2), 0.0, atol=1e-13)
    assert np.allclose(d.linear_gradients, np.vstack([-np.ones(d.dimension), np.eye(d.dimension)]))
    assert np.allclose(d.corner.values, np.eye(d.dimension + 1))
    assert np.allclose(d.facet.weights.sum() * d.facet_normals.sum(axis=0), 0.0, atol=1e-14), "facets do not close the cell"


@pytest.mark.parametrize("plate", ["bonded", "slip", "confined"])
def test_free_unknowns(plate: str, shipped: Discretisation) -> None:
    numbers, count = free_unknowns(shipped.nodes_on, shipped.node_count, shipped.dimension, plate)
    by_node = numbers.reshape(-1, 2)
    top = np.union1d(shipped.nodes_on["endplate"], shipped.nodes_on["annulus_top"])
    assert set(by_node[top, 1]) == {count - 1}, "the plate is rigid and the last unknown"
    assert np.count_nonzero(numbers == count - 1) == len(top)
    assert (by_node[shipped.nodes_on["mid_plane"], 1] == -1).all() and (by_node[shipped.nodes_on["axis"], 0] == -1).all()
    assert (by_node[top, 0] == -1).all() == (plate == "bonded")
    assert (by_node[shipped.nodes_on["rim"], 0] == -1).all() == (plate == "confined")
    single = numbers[(numbers >= 0) & (numbers < count - 1)]
    assert np.array_equal(np.sort(single), np.arange(count - 1)), "every other unknown belongs to one component"
    assert set(shipped.nodes_on) <= set(SURFACES)
