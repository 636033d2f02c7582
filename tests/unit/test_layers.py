"""The layers of discsim: which room may import which, read from the source text of every module.

cli -> report -> study -> fem | sweep -> problem -> scenario -> disc, biology -> laws, quantities: only to the right.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FRONT = "discsim"  # the top package itself: what users import, above the rooms it re-exports

# An import is allowed when it goes to a room of lower rank, or stays in its own room.
RANK = {
    "cli": 10,
    "vv": 9,
    FRONT: 8,
    "report": 7,
    "study": 6,
    "fem": 5,
    "sweep": 5,
    "problem": 4,
    "scenario": 3,
    "disc": 2,
    "biology": 2,
    "laws": 1,
    "quantities": 1,
}
FEM_LIBRARIES = {"basix", "dolfinx", "dolfinx_solver", "ffcx", "mpi4py", "petsc4py", "slepc4py", "ufl"}
FEM_LIBRARY_ROOMS = {"fem", "vv"}
JAX = {"jax", "jaxlib"}
JAX_ROOMS = {"laws", "fem", "sweep"}


@dataclass(frozen=True)
class Import:
    """One imported name: its full dotted path, its line, and whether it is imported when the module is."""

    target: str
    line: int
    at_import: bool


class ImportVisitor(ast.NodeVisitor):
    """Collects every import of a module: statements at any depth, and import_module("...") with a literal name."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.found: list[Import] = []
        self._deferred = 0

    def _add(self, node: ast.stmt | ast.expr, target: str) -> None:
        self.found.append(Import(target, node.lineno, at_import=self._deferred == 0))

    def _absolute(self, name: str, level: int) -> str:
        if level == 0:
            return name
        parts = self.package.split(".")
        if level > len(parts):
            return f"<beyond the top package>.{name}"
        base = parts[: len(parts) - level + 1]
        return ".".join([*base, name] if name else base)

    def _defer(self, nodes: list[ast.stmt] | list[ast.expr]) -> None:
        self._deferred += 1
        for node in nodes:
            self.visit(node)
        self._deferred -= 1

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(node, alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = self._absolute(node.module or "", node.level)
        for alias in node.names:
            self._add(node, f"{base}.{alias.name}")

    def visit_Call(self, node: ast.Call) -> None:
        called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if called in {"import_module", "__import__"} and node.args and isinstance(node.args[0], ast.Constant):
            name = str(node.args[0].value)
            bare = name.lstrip(".")
            self._add(node, self._absolute(bare, len(name) - len(bare)))
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for outer in [*node.decorator_list, node.args]:
            self.visit(outer)
        self._defer(node.body)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._defer([node.body])

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            self._defer(node.body)
            for other in node.orelse:
                self.visit(other)
        else:
            self.generic_visit(node)


def imports(module: str, source: str, *, is_package: bool = False) -> list[Import]:
    """Every import in ``source``, the text of ``module``, with relative names made absolute."""
    package = module if is_package else module.rpartition(".")[0]
    visitor = ImportVisitor(package)
    visitor.visit(ast.parse(source))
    return visitor.found


def room(dotted: str) -> str:
    """The room a dotted name of ours lies in; a name that is no room and no module belongs to the front."""
    parts = dotted.split(".")
    if parts == ["discsim", "__main__"]:
        return "cli"
    if len(parts) == 1 or (len(parts) == 2 and parts[1] not in RANK):
        return FRONT
    return parts[1]


def complaint(source_room: str, found: Import) -> str | None:
    """What is wrong with one import made in ``source_room``; None when nothing is."""
    library = found.target.split(".")[0]
    if library in FEM_LIBRARIES and source_room not in FEM_LIBRARY_ROOMS:
        return f"only fem imports {library}"
    if library in JAX and found.at_import and source_room not in JAX_ROOMS:
        return f"imports {library} when it is imported itself; import it inside the function that needs it"
    if library.startswith("<beyond"):
        return "goes beyond the top package"
    if library != "discsim" or found.target == "discsim.__version__":
        return None
    target_room = room(found.target)
    if target_room == source_room:
        return None
    if target_room not in RANK:
        return f"imports {target_room}, which is no room of the house"
    if source_room == "laws":
        return f"laws imports nothing of ours, here {target_room}"
    if RANK[target_room] > RANK[source_room]:
        return f"goes up, from {source_room} to {target_room}"
    if RANK[target_room] == RANK[source_room]:
        return f"goes sideways, from {source_room} to {target_room}"
    return None


def violations(module: str, source: str, *, is_package: bool = False) -> list[str]:
    """One line for each import of ``module`` that breaks the layers."""
    source_room = room(module)
    if source_room == FRONT and module != FRONT:
        return [f"{module}: lies in no room of the house"]
    if source_room not in RANK:
        return [f"{module}: {source_room} is no room of the house"]
    lines = []
    for found in imports(module, source, is_package=is_package):
        problem = complaint(source_room, found)
        if problem is not None:
            lines.append(f"{module}:{found.line}: import of {found.target} {problem}")
    return lines


def modules(root: Path) -> Iterator[tuple[str, Path]]:
    """Dotted name and path of every module of the package."""
    for path in sorted((root / "discsim").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def test_every_module_keeps_the_layers() -> None:
    found = list(modules(ROOT))
    assert {room(name) for name, _ in found} >= {"fem", "laws", "problem", "quantities", "study"}, "rooms not found"
    wrong = [
        line
        for name, path in found
        for line in violations(name, path.read_text(encoding="utf-8"), is_package=path.name == "__init__.py")
    ]
    assert not wrong, "\n".join(wrong)


PLANTED = {
    "absolute, up": ("discsim.problem.grid", "import discsim.fem.solve", "goes up, from problem to fem"),
    "absolute from, up": ("discsim.disc.regions", "from discsim.scenario import Scenario", "from disc to scenario"),
    "room as a name": ("discsim.problem.grid", "from discsim import fem", "goes up, from problem to fem"),
    "second name of a list": ("discsim.study.run", "from discsim import problem, report", "from study to report"),
    "relative, up": ("discsim.problem.grid", "from ..study.run import run", "goes up, from problem to study"),
    "relative, room as a name": ("discsim.fem.solve", "from .. import sweep", "goes sideways, from fem to sweep"),
    "sideways fem to sweep": ("discsim.fem.solve", "from discsim.sweep.step import step", "goes sideways"),
    "sideways sweep to fem": ("discsim.sweep.step", "import discsim.fem", "goes sideways, from sweep to fem"),
    "sideways disc to biology": ("discsim.disc.grades", "import discsim.biology", "goes sideways"),
    "sideways quantities to laws": ("discsim.quantities.units", "import discsim.laws", "goes sideways"),
    "local": ("discsim.problem.grid", "def f():\n    from discsim.fem import solve", "from problem to fem"),
    "local in a method": (
        "discsim.biology.mechanism",
        "class A:\n    async def f(self):\n        from ..problem import grid",
        "goes up, from biology to problem",
    ),
    "guarded": ("discsim.problem.grid", "try:\n    import discsim.fem\nexcept ImportError:\n    pass", "goes up"),
    "for types only": (
        "discsim.problem.grid",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from discsim.fem import solve",
        "from problem to fem",
    ),
    "import_module": (
        "discsim.problem.grid",
        "import importlib\ndef f():\n    importlib.import_module('discsim.fem.solve')",
        "from problem to fem",
    ),
    "relative import_module": ("discsim.problem.grid", "m = import_module('..fem', __package__)", "problem to fem"),
    "laws import quantities": ("discsim.laws.death", "from discsim.quantities import units", "nothing of ours"),
    "laws import relative": ("discsim.laws.death", "from ..quantities.units import mM", "nothing of ours"),
    "laws import the front": ("discsim.laws.death", "import discsim", "nothing of ours"),
    "front from below": ("discsim.problem.grid", "from discsim import Study", "goes up, from problem to discsim"),
    "vv seen by report": ("discsim.report.html", "from discsim.vv import cases", "goes up, from report to vv"),
    "vv seen by the front": ("discsim", "from discsim.vv import cases", "goes up, from discsim to vv"),
    "dolfinx in study": ("discsim.study.run", "import dolfinx", "only fem imports dolfinx"),
    "ufl in laws": ("discsim.laws.energies", "from ufl import exp", "only fem imports ufl"),
    "petsc local": ("discsim.sweep.step", "def f():\n    from petsc4py import PETSc", "only fem imports petsc4py"),
    "mpi in cli": ("discsim.cli", "def f():\n    import mpi4py.MPI", "only fem imports mpi4py"),
    "jax at import": ("discsim.problem.grid", "import jax.numpy as jnp", "imports jax when"),
    "jax in a class body": ("discsim.biology.mechanism", "class A:\n    from jax import grad", "imports jax when"),
    "jax in a default": ("discsim.study.run", "def f(x=__import__('jax')):\n    return x", "imports jax when"),
    "jax behind else": (
        "discsim.study.run",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    pass\nelse:\n    import jax",
        "imports jax when",
    ),
    "unknown room": ("discsim.helpers.misc", "import math", "helpers is no room of the house"),
    "module beside the rooms": ("discsim.misc", "import math", "lies in no room of the house"),
    "import of an unknown room": ("discsim.cli", "from discsim.helpers.misc import f", "helpers, which is no room"),
    "beyond the top": ("discsim.fem.solve", "from ....other import f", "goes beyond the top package"),
}


@pytest.mark.parametrize("planted", PLANTED, ids=str)
def test_planted_violation_is_caught(planted: str) -> None:
    module, source, expected = PLANTED[planted]
    lines = violations(module, source)
    assert len(lines) == 1, lines
    assert expected in lines[0]


def test_planted_violation_in_a_package_file_is_caught() -> None:
    # In discsim/fem/__init__.py one dot is discsim.fem itself; two dots are discsim.
    lines = violations("discsim.fem", "from ..sweep import step\nfrom .solve import solve", is_package=True)
    assert lines == ["discsim.fem:1: import of discsim.sweep.step goes sideways, from fem to sweep"]


ALLOWED = {
    "down": ("discsim.fem.solve", "from discsim.problem.grid import Grid\nfrom ..laws import death\nimport dolfinx"),
    "down over several rooms": ("discsim.report.tables", "from discsim.quantities.units import ureg"),
    "own room": (
        "discsim.laws.death",
        "from discsim.laws.dose import hill\nfrom .dose import hill\nfrom . import dose",
    ),
    "laws import jax": ("discsim.laws.death", "import jax.numpy as jnp"),
    "jax local": ("discsim.biology.mechanism", "def f():\n    import jax\n    return lambda: jax"),
    "jax for types only": (
        "discsim.problem.grid",
        "import typing\nif typing.TYPE_CHECKING:\n    from jax import Array",
    ),
    "vv sees all": ("discsim.vv.cases", "import dolfinx\nfrom discsim import fem, sweep, report, laws, Study"),
    "cli sees vv and the front": ("discsim.cli", "import discsim\ndef f():\n    from discsim.vv import cases"),
    "the version": ("discsim.laws.death", "from discsim import __version__\nfrom .. import __version__"),
    "main sees cli": ("discsim.__main__", "from discsim.cli import app"),
    "names that only begin alike": ("discsim.problem.grid", "import jaxtyping\nimport discsimulator\nimport uflx"),
}


@pytest.mark.parametrize("allowed", ALLOWED, ids=str)
def test_allowed_import_is_not_reported(allowed: str) -> None:
    module, source = ALLOWED[allowed]
    assert imports(module, source), "the sample holds no import"
    assert violations(module, source) == []
