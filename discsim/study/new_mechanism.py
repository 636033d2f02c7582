"""A mechanism to begin with: its file, a test of it, and an experiment that uses it."""

from __future__ import annotations

import importlib.util
import keyword
import re
from pathlib import Path

LONGEST_NAME = 60  # it is part of names of files, and of columns

_MODULE = '''"""TITLE: what happens, in which cells or matrix, and who has seen it.

    d(native cells)/dt = -rate x acid,   acid = max(7 - pH, 0) / 0.5

rate (1/year) death at pH 6.5; pH from lactate. Source and range of validity belong here.
"""

from discsim.biology.mechanism import Mechanism, local, loss
from discsim.quantities.parameters import param


class CLASS(Mechanism):
    """One line that `discsim mechanisms` may show."""

    name = "NAME"
    regions = ("NP",)

    rate = param(
        "0.3 1/year", bounds=("0 1/year", "2 1/year"), source="not sourced yet", evidence="assumed", description="death at pH 6.5"
    )

    @local
    def acid(self, ph):
        """Argument names say what is read (`discsim fields`); no branches on values: jnp.where, jnp.maximum instead of if."""
        import jax.numpy as jnp

        return jnp.maximum(7.0 - ph, 0.0) / 0.5

    def rates(self, acid):
        """Keys say what is changed: a field's net rate, or loss and conversion as first-order rates."""
        return {loss("cell_density"): self.rate * acid}
'''

_TEST = '''"""The mechanism NAME: a law worth what it says, and a disc that feels it."""

import numpy as np
import pytest

from NAME import CLASS

from discsim.disc.disc import Disc
from discsim.problem.problem import build_problem
from discsim.scenario.scenario import Scenario
from discsim.sweep.engine import SweepEngine


def test_law():
    mechanism = CLASS(rate="1 1/year")
    assert float(mechanism.acid(7.2)) == 0.0
    assert float(mechanism.acid(6.5)) == pytest.approx(1.0)


def test_a_disc_feels_it():
    plain = Scenario(Disc.preset("L4-L5", grade=3, mesh_level=1), duration="90 day")
    scenarios = {
        "without": plain,
        "nothing": plain.with_mechanism(CLASS(rate="0 1/year")),
        "with": plain.with_mechanism(CLASS(rate="1 1/year")),
    }
    problem = build_problem(scenarios, readouts=("native_cells_nucleus", "gag_nucleus"), field_times=())
    records = {record.name: record for record in SweepEngine().run(problem)}
    assert all(record.status.good for record in records.values())
    cells = {name: np.array(record.readouts["native_cells_nucleus"]) for name, record in records.items()}
    assert np.array_equal(cells["nothing"], cells["without"])
    assert cells["with"][-1] < cells["without"][-1]
'''

_STUDY = """schema = "discsim/1"
title = "What does NAME change?"
duration = "1 year"

[disc]
preset = "L4-L5"
grade = 3
mesh_level = 1              # coarse, to try things out; 2 is the default

[mechanisms]
use = ["nutrition", "cell_fate", "matrix_turnover", "NAME:CLASS"]

[scenarios.untreated]

[scenarios.cells]           # a second arm, for discsim compare
therapy = [{ kind = "stem_cell_injection", dose = "6e6 cell" }]

[readouts]
use = ["native_cells_nucleus", "gag_nucleus", "ph_min"]

[output]
times = ["0 year", "1 year"]

[design]
kind = "grid"
vary = { "NAME.rate" = { values = ["0 1/year", "0.3 1/year", "2 1/year"] } }
"""


def write_mechanism(name: str, folder: Path, taken: set[str]) -> list[Path]:
    """Write module, test and experiment of a mechanism; ``taken``: names that mechanisms have already.

    Raises ``ValueError`` for a name that cannot be one, and ``FileExistsError`` where a file is there: nothing is written then.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise ValueError(
            f"{name!r} is no name of a mechanism; lower-case letters, digits and _ from a letter on, such as il1_decay"
        )
    if len(name) > LONGEST_NAME:
        raise ValueError(f"{name[:12]}... has {len(name)} letters; a name of a mechanism has {LONGEST_NAME} at most")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--folder {folder}: a file; name a folder")
    if name in taken:
        raise ValueError(f"a mechanism {name!r} is there already (discsim mechanisms); choose another name")
    if importlib.util.find_spec(name) is not None and not (folder / f"{name}.py").exists():
        raise ValueError(f"a Python module {name!r} is there already and would be imported instead; choose another name")
    class_name = "".join(part.capitalize() for part in name.split("_"))
    title = name.replace("_", " ").capitalize()
    files = {f"{name}.py": _MODULE, f"test_{name}.py": _TEST, f"{name}.toml": _STUDY}
    paths = {folder / file: text for file, text in files.items()}
    for path in paths:
        if path.exists():
            raise FileExistsError(f"{path} is there already; nothing was written")
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in paths.items():
        path.write_text(text.replace("CLASS", class_name).replace("TITLE", title).replace("NAME", name), encoding="utf-8")
    return list(paths)
