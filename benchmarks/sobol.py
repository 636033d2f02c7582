"""Sobol indices of eight parameters from the reduced engine, and what full order says of them on a smaller design.

    python benchmarks/sobol.py [--mesh-level 2] [--samples 16384] [--smaller 64] [--workers 2]

Trains `benchmarks/sobol.toml` where it has no training yet, sweeps its Saltelli design (ten runs a base sample), works out the
indices with their bootstrap intervals, and then does the same on the smaller design by both engines. Nothing here is asserted.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from training import training_of

from discsim.study.config import read_study
from discsim.study.ensemble import Ensemble
from discsim.study.sensitivity import Sensitivity, sensitivities
from discsim.study.sweep_plan import SweepOptions
from discsim.study.sweep_result import open_ensemble
from discsim.study.sweep_run import run_sweep

EXPERIMENT = Path(__file__).resolve().with_name("sobol.toml")
BATCH = 960  # samples of a shard: some hundred shards, each a minute's work or less
console = Console(width=140)


def analysed(
    engine: str, samples: int, arguments: argparse.Namespace, batch: int | None
) -> tuple[Ensemble, tuple[Sensitivity, ...]]:
    """The sweep of a design by one engine and its indices; tells what either took."""
    study = read_study(EXPERIMENT, [f"disc.mesh_level={arguments.mesh_level}", f"design.samples={samples}"])
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "sweep"
        began = time.perf_counter()
        run_sweep(study, folder, SweepOptions(engine=engine, workers=arguments.workers, batch=batch, check=False))
        swept = time.perf_counter()
        ensemble = open_ensemble(folder)
        opened = time.perf_counter()
        found = sensitivities(ensemble, planned=ensemble.numbers.size)
    runs = ensemble.numbers.size
    words = ensemble.engine.get("both")  # only sweeps of the reduced engine say so
    own = runs if words is None else int((words == engine).sum())
    console.print(
        f"{engine}, {samples} base samples: {runs} runs in {swept - began:.1f} s on {arguments.workers} processes, start and "
        f"fallback included ({runs - own} runs not by this engine); read in {opened - swept:.1f} s, indices and intervals in "
        f"{time.perf_counter() - opened:.1f} s"
    )
    return ensemble, found


def compared(small: Sequence[Sensitivity], full: Sequence[Sensitivity], large: Sequence[Sensitivity]) -> Table:
    """By readout, how far the engines' indices lie apart on the smaller design and how many of the large one's lie in the
    intervals of full order there."""
    table = Table("readout", "first, apart", "total, apart", "large design in full-order intervals", "most influential, total")
    for few, truth, many in zip(small, full, large, strict=True):
        ours, theirs, whole = ({one.path: one for one in found.inputs} for found in (few, truth, many))
        apart = {
            kind: max(abs(ours[path].indices[kind].value - theirs[path].indices[kind].value) for path in theirs)
            for kind in ("first", "total")
        }
        inside, of = 0, 0
        for path, one in theirs.items():
            for kind, index in one.indices.items():
                if index.low is None or index.high is None:
                    continue
                of += 1
                inside += index.low <= whole[path].indices[kind].value <= index.high
        first = many.inputs[0]
        total = first.indices["total"]
        table.add_row(
            truth.readout,
            f"{apart['first']:.4f}",
            f"{apart['total']:.4f}",
            f"{inside} of {of}",
            f"{first.path} {total.value:.3f} ({total.low:.3f} to {total.high:.3f})",
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mesh-level", type=int, default=2)
    parser.add_argument("--samples", type=int, default=16_384)
    parser.add_argument("--smaller", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    # before the clock runs
    training_of(read_study(EXPERIMENT, [f"disc.mesh_level={arguments.mesh_level}"]), console)
    _, large = analysed("reduced", arguments.samples, arguments, BATCH)
    _, small = analysed("reduced", arguments.smaller, arguments, None)
    _, full = analysed("sweep", arguments.smaller, arguments, None)
    console.print(compared(small, full, large))


if __name__ == "__main__":
    main()
