"""The Python code of the README runs as it stands, and the first example is short."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MOST_LINES = 15  # of the first example, blank lines not counted


def python_blocks(text: str) -> list[str]:
    """The contents of the fenced blocks of ``text`` that are marked as Python."""
    return re.findall(r"^```python[^\n]*\n(.*?)^```\s*$", text, flags=re.DOTALL | re.MULTILINE)


def readme_blocks() -> list[str]:
    return python_blocks((ROOT / "README.md").read_text(encoding="utf-8"))


def test_python_blocks_are_found() -> None:
    text = "a\n```python\nx = 1\n\ny = 2\n```\n```toml\nz = 3\n```\n```python title\nw = 4\n```\n"
    assert python_blocks(text) == ["x = 1\n\ny = 2\n", "w = 4\n"]


def test_first_example_is_short() -> None:
    blocks = readme_blocks()
    assert blocks, "README.md holds no Python example"
    lines = [line for line in blocks[0].splitlines() if line.strip()]
    assert 1 <= len(lines) <= MOST_LINES


def test_readme_code_runs(tmp_path: Path) -> None:
    blocks = readme_blocks()
    assert blocks, "README.md holds no Python example"
    for name in ("experiments", "meshes"):
        (tmp_path / name).symlink_to(ROOT / name, target_is_directory=True)
    # One script of all blocks, as a reader would paste them one after the other.
    script = tmp_path / "readme.py"
    script.write_text("\n".join(blocks), encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, script.name], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
