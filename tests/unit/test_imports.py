"""What importing discsim needs and brings: neither DOLFINx nor JAX."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("jax", "jaxlib", "dolfinx", "dolfinx_solver", "ufl", "basix", "ffcx", "petsc4py", "mpi4py")
FEM_LIBRARIES = HEAVY[2:]
# Rooms that are loaded to read, check and list, so that they answer at once and on any machine.
LIGHT_ROOMS = ("quantities", "biology", "disc", "scenario", "problem", "study", "cli")

BLOCK_FEM = f"import sys; sys.modules.update(dict.fromkeys({FEM_LIBRARIES!r}))\n"
PRINT_HEAVY = f"\nimport sys; print('loaded:', [name for name in {HEAVY!r} if sys.modules.get(name)])\n"


def run_python(code: str) -> str:
    """Standard output of ``code`` run in a fresh interpreter that sees this checkout."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def module_names(room: str) -> list[str]:
    """Dotted names of the modules of a room, which is a folder or a single file."""
    single = ROOT / "discsim" / f"{room}.py"
    paths = [single] if single.is_file() else sorted((ROOT / "discsim" / room).rglob("*.py"))
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]
    return [name.removesuffix(".__init__") for name in names]


def test_block_makes_dolfinx_missing() -> None:
    code = BLOCK_FEM + "try:\n    import dolfinx\nexcept ModuleNotFoundError:\n    print('missing')"
    assert run_python(code) == "missing\n"


def test_loaded_heavy_module_is_seen() -> None:
    assert run_python("import jax" + PRINT_HEAVY).endswith("loaded: ['jax', 'jaxlib']\n")


def test_discsim_imports_where_dolfinx_is_missing() -> None:
    assert run_python(BLOCK_FEM + "import discsim; print(discsim.__name__)") == "discsim\n"


def test_import_discsim_loads_no_engine_library() -> None:
    assert run_python("import discsim" + PRINT_HEAVY) == "loaded: []\n"


def test_help_loads_no_engine_library() -> None:
    code = (
        "from discsim.cli import app\n"
        "try:\n    app(['--help'], prog_name='discsim')\nexcept SystemExit as end:\n    print('code:', end.code)"
    )
    output = run_python(code + PRINT_HEAVY)
    assert "Usage: discsim" in output
    assert output.endswith("code: 0\nloaded: []\n")


@pytest.mark.parametrize("room", LIGHT_ROOMS)
def test_light_room_loads_no_engine_library(room: str) -> None:
    names = module_names(room)
    assert names, f"no module found in {room}"
    code = "import importlib\n" + "".join(f"importlib.import_module({name!r})\n" for name in names)
    assert run_python(code + PRINT_HEAVY).endswith("loaded: []\n")
