"""Where the discretisations of meshes lie: shipped beside the meshes, or in the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

from discsim.disc.locate import mesh_folders
from discsim.disc.mesh import Mesh
from discsim.problem.discretisation import Discretisation, DiscretisationError, load, save, topology_hash

FOLDER = "discretisations"


def cache_folder() -> Path:
    """Folder for files that can be made anew: ``$XDG_CACHE_HOME/discsim`` or ``~/.cache/discsim``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "discsim"


def file_name(mesh: Mesh) -> str:
    """Name of the file for a mesh and all its scaled copies."""
    return f"{topology_hash(mesh)[:16]}.npz"


def stored_discretisation(mesh: Mesh) -> Discretisation | None:
    """The discretisation of a mesh from a file, or none; raises ``DiscretisationError`` where the file is of no use."""
    for folder in (*(folder / FOLDER for folder in mesh_folders()), cache_folder() / FOLDER):
        path = folder / file_name(mesh)
        if path.is_file():
            found = load(path)
            if found.topology != topology_hash(mesh):
                raise DiscretisationError(f"{path}: holds another mesh than its name says; delete it")
            return found
    return None


def keep(mesh: Mesh, discretisation: Discretisation, folder: Path | None = None) -> Path:
    """Write the file of a mesh (into the cache where no folder is named)."""
    path = (folder or cache_folder() / FOLDER) / file_name(mesh)
    save(discretisation, path)
    return path
