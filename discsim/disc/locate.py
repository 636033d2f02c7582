"""Where the disc meshes lie: the repository's ``meshes/`` or, in an installed package, ``discsim/_meshes``.

A wheel holds a copy of ``meshes/`` under ``discsim/_meshes``; a checkout (and an editable install) has only the
original. The repository is asked first, so that an edited mesh is the one that is used.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def mesh_folders(package: Path = _PACKAGE) -> list[Path]:
    """Folders in which meshes are looked for, in this order.

    ``package`` is the folder of the ``discsim`` package. The folder beside it counts as the repository only when
    discsim's own ``pyproject.toml`` stands there: beside an installed package lie other packages, one of which may
    be called ``meshes``.
    """
    repository = package.parent
    folders = [package / "_meshes"]
    if (repository / "pyproject.toml").is_file():
        folders.insert(0, repository / "meshes")
    return folders


def mesh_path(name: str, package: Path = _PACKAGE) -> Path:
    """Path of the mesh file called ``name`` (a file name with its ending, such as ``"disc.msh"``).

    Raises ``ValueError`` when ``name`` is not a bare file name, and ``FileNotFoundError`` with the folders that were
    searched and the meshes that are there when no such mesh exists.
    """
    if not name or name in {".", ".."} or "/" in name or "\\" in name:
        raise ValueError(f"a mesh is named by its file name alone, got {name!r}")
    folders = mesh_folders(package)
    for folder in folders:
        path = folder / name
        if path.is_file():
            return path
    present = sorted({path.name for folder in folders if folder.is_dir() for path in folder.glob("*.msh")})
    searched = ", ".join(str(folder) for folder in folders)
    raise FileNotFoundError(f"no mesh {name!r} in {searched}; meshes there: {', '.join(present) or 'none'}")
