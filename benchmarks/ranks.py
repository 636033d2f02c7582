"""The reference engine on one and on two processes: seconds of a disc, and how far its numbers are apart.

    python benchmarks/ranks.py [--ranks 2] [--meshes NAME ...]

Two discs of other loads run in turn; the second is timed (prestress, start and steps), since the first also loads compiled forms.
Nothing here is asserted.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from discsim.disc.disc import Disc
from discsim.problem.problem import Problem, build_problem
from discsim.problem.record import ArmRecord
from discsim.scenario.scenario import Scenario
from discsim.study.ranked_engine import RankedEngine

MESHES = ("L4-L5_level2.msh", "L4-L5_level3.msh", "L4-L5_3d_coarse.msh")
READOUTS = ("viable_cells", "gag_nucleus", "disc_height", "nucleus_pressure", "glucose_min", "ph_min")
STEPS = (0.5, 2.0, 8.0, 30.0)  # days


def problem(mesh: str) -> Problem:
    """Two discs, one under a higher load of the day."""
    plain = Scenario(Disc(mesh_name=mesh), duration="30 day")
    loaded = plain.with_parameters({"loading.active": "0.22 MPa"})
    return build_problem({"first": plain, "second": loaded}, readouts=READOUTS, output_times=(), field_times=())


def solved(mesh: str, ranks: int) -> ArmRecord:
    """The second disc."""
    with tempfile.TemporaryDirectory() as folder:
        engine = RankedEngine(ranks, Path(folder) / "ranks.log")
        record = engine.run(problem(mesh), steps=tuple(days * 86400.0 for days in STEPS))[1]
    if record.failure is not None:
        raise SystemExit(f"{mesh} on {ranks} processes: {record.failure}")
    return record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--meshes", nargs="+", default=MESHES)
    arguments = parser.parse_args()
    table = Table("mesh", "vertices", "one process, s", f"{arguments.ranks} processes, s", "ratio", "numbers apart, relative")
    for mesh in arguments.meshes:
        solved(mesh, 1), solved(mesh, arguments.ranks)  # compile
        one, many = solved(mesh, 1), solved(mesh, arguments.ranks)
        apart = max(
            float(np.max(np.abs(np.subtract(values, many.readouts[name])) / np.max(np.abs(values))))
            for name, values in one.readouts.items()
        )
        took = one.seconds["total"], many.seconds["total"]
        assert one.points is not None
        table.add_row(mesh, str(len(one.points)), f"{took[0]:.2f}", f"{took[1]:.2f}", f"{took[0] / took[1]:.2f}", f"{apart:.1e}")
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
