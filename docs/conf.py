"""Settings of the documentation site: `sphinx-build -W docs out/site`. Reference and tutorial are made here, at every build."""

from __future__ import annotations

import logging
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE), str(ROOT)]

import discsim  # noqa: E402

# Sphinx shows what libraries log at every level; of these two only mistakes are of interest.
for library in ("pint", "jax"):
    logging.getLogger(library).setLevel(logging.ERROR)

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "discsim"
version = release = discsim.__version__
copyright = "discsim authors"
language = "en"
extensions = ["myst_nb"]
exclude_patterns = ["conf.py", "reference_pages.py", "__pycache__"]

html_theme = "furo"
html_title = f"discsim {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

# The stories of notebooks/ are run once, here.
nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_timeout = 300
nb_execution_show_tb = True  # which cell, and why; with -W the warning that a cell failed ends the build
nb_merge_streams = True


def write_sources(app: Sphinx) -> None:
    """Copy the notebooks to docs/tutorial/ and write the reference to docs/reference/; both are ignored by git."""
    from reference_pages import pages

    tutorial, reference = HERE / "tutorial", HERE / "reference"
    for folder in (tutorial, reference):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    for notebook in sorted((ROOT / "notebooks").glob("*.py")):
        shutil.copy(notebook, tutorial)
    for name, text in pages().items():
        (reference / f"{name}.md").write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Sources are made before Sphinx looks for them."""
    app.connect("builder-inited", write_sources)
