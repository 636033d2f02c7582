"""Reduced engine against full order on samples that no training has seen: errors, error bars, fallbacks.

    python benchmarks/accuracy.py [--mesh-level 2] [--samples 200] [--seed 977] [--workers 2]

Two whole sweeps of `experiments/cells_vs_gene` on the same samples and the same steps, one by each engine (trains first where
there is no training; minutes to half an hour). Nothing here is asserted.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from discsim.scenario.readouts import READOUTS
from discsim.study.config import read_study
from discsim.study.ensemble import Ensemble
from discsim.study.sweep_folder import load_manifest
from discsim.study.sweep_plan import SweepOptions
from discsim.study.sweep_result import open_ensemble
from discsim.study.sweep_run import run_sweep

EXPERIMENT = Path(__file__).resolve().parents[1] / "experiments" / "cells_vs_gene" / "study.toml"
console = Console(width=120)


def swept(folder: Path, engine: str, arguments: argparse.Namespace) -> Ensemble:
    """The sweep of the samples by one engine."""
    study = read_study(
        EXPERIMENT,
        [
            f"disc.mesh_level={arguments.mesh_level}",
            f"design.seed={arguments.seed}",
            f"design.samples={1 << (arguments.samples - 1).bit_length()}",
        ],
    )
    run_sweep(study, folder, SweepOptions(engine=engine, workers=arguments.workers, samples=arguments.samples, check=False))
    return open_ensemble(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mesh-level", type=int, default=2)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--seed", type=int, default=977)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folders = Path(scratch) / "reduced", Path(scratch) / "full"
        reduced, full = (swept(folder, engine, arguments) for folder, engine in zip(folders, ("reduced", "sweep"), strict=True))
        steps = [load_manifest(folder).steps for folder in folders]
    same = len(steps[0]) == len(steps[1]) and np.allclose(*steps, rtol=1e-9)
    console.print(f"{arguments.samples} samples, seed {arguments.seed}, the same steps: {same}")
    report(reduced, full)


def report(reduced: Ensemble, full: Ensemble) -> None:
    """Errors at the times of the table, of what the reduced engine computed itself; all scenarios together."""
    own = np.concatenate([reduced.engine[name] == "reduced" for name in reduced.values])
    good = np.concatenate([np.isin(full.status[name], ("ok", "ok_retried")) for name in full.values])
    left = np.concatenate([reduced.engine[name] != "reduced" for name in reduced.values]).reshape(len(reduced.values), -1)
    console.print(
        f"{int(own.sum())} of {own.size} scenarios by the reduced engine; {left.any(axis=0).mean():.2%} of the samples have one "
        f"at full order; {int((~good).sum())} failed at full order"
    )
    table = Table("readout", "error, median", "99 %", "worst", "allowed", "beyond", "within their bars", "bar, median")
    for readout in next(iter(full.values.values())):
        found, truth, bars = (
            np.concatenate([part[name][readout] for name in full.values])[own & good]
            for part in (reduced.values, full.values, reduced.bars)
        )
        accuracy = READOUTS[readout].accuracy
        allowed = np.full_like(truth, accuracy) if accuracy else 0.01 * np.abs(truth)
        error = np.abs(found - truth)
        unit = full.units[readout] if accuracy else "%"
        scale = np.ones_like(truth) if accuracy else np.abs(truth) / 100.0
        shown = error / scale
        table.add_row(
            readout,
            *(f"{number:.2g} {unit}" for number in (np.median(shown), np.quantile(shown, 0.99), shown.max())),
            f"{accuracy or 1.0:g} {unit}",
            str(int((error > allowed).any(axis=1).sum())),
            f"{(error <= bars).mean():.2%}",
            f"{np.median(bars / scale):.2g} {unit}",
        )
    console.print(table)


if __name__ == "__main__":
    main()
