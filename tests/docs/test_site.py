"""The site builds without a warning, every notebook runs from its first cell to its last, and links lead somewhere.

The notebooks are executed here, by the build, and nowhere else.
"""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import jupytext
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
STORIES = {"first_disc", "cells_vs_genes", "add_a_mechanism", "sweep_and_sensitivity", "what_is_assumed"}
SECONDS = 540

pytestmark = pytest.mark.timeout(SECONDS + 30)


class Seen(HTMLParser):
    """Anchors of a page, what it links to or loads, how many cells had an output, and its pictures' count."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.inputs = self.outputs = self.pictures = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        self.links += [given[name] for name in ("href", "src") if name in given]
        words = given.get("class", "").split()
        self.inputs += "cell_input" in words
        self.outputs += "cell_output" in words
        self.pictures += tag == "img" and "/_images/" in f"/{given.get('src', '')}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(folder / "jupyter"),
    }
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-E", "-d", str(folder / "doctrees"), "docs", str(folder / "html")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "html"


def test_the_stories_are_there() -> None:
    assert {path.stem for path in NOTEBOOKS} == STORIES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_ran(site: Path, path: Path) -> None:
    cells = [cell for cell in jupytext.read(path, fmt="py:percent").cells if cell.cell_type == "code"]
    page = Seen((site / "tutorial" / f"{path.stem}.html").read_text(encoding="utf-8"))
    assert page.inputs == len(cells) > 0
    assert page.outputs >= len([cell for cell in cells if re.search(r"^\s*print\(", cell.source, re.MULTILINE)]) > 0
    assert page.pictures == len([cell for cell in cells if "plt.show()" in cell.source])


def test_links_lead_somewhere(site: Path) -> None:
    pages = {path: Seen(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    assert len(pages) >= 18
    dead = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            missing = not target.exists() or (target in pages and parts.fragment and parts.fragment not in pages[target].anchors)
            # furo writes the links "#" (top of the page) and, without a source link, none else that are special
            if missing and link != "#":
                dead.append(f"{path.name}: {link}")
    assert dead == []
