"""The reference is written from the code: nothing that is registered may be missing in it."""

import importlib.util
import inspect
from pathlib import Path
from types import ModuleType

import pytest

from discsim.biology.mechanisms import CATALOGUE
from discsim.problem.status import Status
from discsim.scenario.readouts import READOUTS
from discsim.study.catalogue import declared_parameters, field_entries

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference_pages", ROOT / "docs" / "reference_pages.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(reference: ModuleType) -> dict[str, str]:
    found: dict[str, str] = reference.pages()
    return found


def test_every_parameter(pages: dict[str, str]) -> None:
    lines = [line for line in pages["parameters"].splitlines() if line.startswith("| `")]
    rows = list(declared_parameters())
    assert len(lines) == len(rows) > 100
    for row, line in zip(rows, lines, strict=True):
        assert line.startswith(f"| `{row.path}`") and f" {row.evidence} |" in line


def test_every_mechanism_with_its_equations(pages: dict[str, str]) -> None:
    for name, cls in CATALOGUE.items():
        assert f"## {name}\n" in pages["mechanisms"]
        assert (inspect.getdoc(cls) or "?") in pages["mechanisms"]


def test_every_law_with_its_equation(reference: ModuleType, pages: dict[str, str]) -> None:
    laws = {name: text for module in reference.law_modules() for name, text in reference.laws_of(module).items()}
    assert len(laws) > 20
    for name, text in laws.items():
        assert text, f"{name} has no docstring"
        assert f"### {name}\n\n```text\n{text}" in pages["laws"]


def test_every_field_and_readout(pages: dict[str, str]) -> None:
    for name in [*(entry.name for entry in field_entries()), *READOUTS]:
        assert f"| `{name}` |" in pages["fields"]


def test_every_command_and_option(pages: dict[str, str]) -> None:
    for name in ("run", "sweep", "mechanisms new", "vv run", "reproduce"):
        assert f"## discsim {name}\n" in pages["commands"]
    for option in ("--workers", "--retry", "--restart", "--branch", "--extend", "--allow-plugin", "--provenance", "--subject-to"):
        assert f"{option}" in pages["commands"]


def test_every_exit_code_and_status(reference: ModuleType, pages: dict[str, str]) -> None:
    from discsim.cli import common

    codes = reference.exit_codes()
    named = (common.BAD_INPUT, common.FAILED_ARMS, common.ENVIRONMENT, common.MISMATCH, common.NO_EVIDENCE)
    assert set(codes) == {0, 1, *named, common.INTERRUPTED, common.CLOSED}
    for status in Status:
        assert f"| `{status}` |" in pages["outcomes"]


def test_a_cell_shows_what_it_holds(reference: ModuleType) -> None:
    assert reference.table(("a",), [("x_1|*y* `m_2`",)]).splitlines()[-1] == r"| x\_1\|\*y\* `m_2` |"
