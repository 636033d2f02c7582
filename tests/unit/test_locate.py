"""Meshes are found in a checkout and in an installed package."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from discsim.disc.locate import mesh_path

ROOT = Path(__file__).resolve().parents[2]


def lay(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_repository_comes_before_the_packaged_copy(tmp_path: Path) -> None:
    lay(tmp_path / "pyproject.toml")
    packaged = lay(tmp_path / "discsim" / "_meshes" / "disc.msh")
    assert mesh_path("disc.msh", package=tmp_path / "discsim") == packaged
    original = lay(tmp_path / "meshes" / "disc.msh")
    assert mesh_path("disc.msh", package=tmp_path / "discsim") == original


def test_folder_beside_an_installed_package_is_not_the_repository(tmp_path: Path) -> None:
    lay(tmp_path / "meshes" / "disc.msh")
    with pytest.raises(FileNotFoundError):
        mesh_path("disc.msh", package=tmp_path / "discsim")


def test_missing_mesh_names_the_folders_and_what_is_there(tmp_path: Path) -> None:
    lay(tmp_path / "pyproject.toml")
    lay(tmp_path / "meshes" / "coarse.msh")
    with pytest.raises(FileNotFoundError) as caught:
        mesh_path("fine.msh", package=tmp_path / "discsim")
    message = str(caught.value)
    assert "no mesh 'fine.msh'" in message
    assert str(tmp_path / "meshes") in message
    assert str(tmp_path / "discsim" / "_meshes") in message
    assert message.endswith("meshes there: coarse.msh")


@pytest.mark.parametrize("name", ["", ".", "..", "../disc.msh", "/disc.msh", "meshes\\disc.msh"])
def test_only_a_bare_file_name_is_accepted(name: str) -> None:
    with pytest.raises(ValueError, match="file name alone"):
        mesh_path(name)


def test_wheel_holds_the_package_and_every_mesh(tmp_path: Path) -> None:
    meshes = {path.name for path in (ROOT / "meshes").glob("*.msh")}
    assert meshes, "the repository holds no mesh"
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"discsim/_meshes/{name}" for name in meshes} <= names
    assert "discsim/disc/locate.py" in names
    assert not [name for name in names if name.startswith(("meshes/", "tests/"))]
