"""What a training came to, as tables: modes, points, errors on runs it has not seen, bars, cost and break-even."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from discsim.study.study import Study
    from discsim.sweep.reduced.engine import Training


def print_training(training: Training, study: Study, console: Console) -> None:
    """Tables of a training."""
    console.print(_modes(training))
    console.print(_errors(training, study))
    for line in cost_lines(training):
        console.print(line, soft_wrap=True)


def _modes(training: Training) -> Table:
    trained, decay = training.trained, training.trained.report["decay"]
    counts = [trained.used.displacement, *trained.used.solutes, *trained.used.signals]
    table = Table("field", "modes", "left by 5", "left by 10", "left by 20", title="Modes, and share of the field left by fewer")
    for (field, values), count in zip(decay.items(), counts, strict=True):
        share = np.sqrt(np.append(np.cumsum((values**2)[::-1])[::-1], 0.0) / max(float((values**2).sum()), 1e-300))
        left = [f"{share[n]:.1e}" if n < len(share) else "0" for n in (5, 10, 20)]
        table.add_row(field, str(count), *left)
    return table


def _errors(training: Training, study: Study) -> Table:
    report, certificate = training.trained.report, training.certificate
    relative, truth = np.asarray(report["calibration_errors"]), np.asarray(report["calibration_values"])
    absolute = relative * np.abs(truth)
    seen = f"{certificate.runs} runs of {certificate.samples} samples that training has not seen"
    title = f"Errors of {seen}; bars for {certificate.coverage:.0%} of errors"
    table = Table("readout", "unit", "usual error", "worst error", "worst, %", "usual bar", title=title)
    bars = certificate.factor * certificate.error * np.sqrt(4.0)
    for index, readout in enumerate(study.problem().readouts):
        own = absolute[:, :, index]
        table.add_row(
            readout.name,
            readout.unit,
            f"{np.median(own):.2g}",
            f"{own.max():.2g}",
            f"{100.0 * relative[:, 1:, index].max():.2g}",
            f"{np.median(bars[:, index]):.2g}",
        )
    return table


def cost_lines(training: Training) -> list[str]:
    """Points, speed and break-even, in words."""
    report = training.trained.report
    points = report["points"]
    sums = ", ".join(f"{points[name]} {name}" for name in ("strain", "flux", "pairs", "facets"))
    full, reduced = float(report["full_order_seconds"]), float(report["seconds"])
    runs = int(report["training_runs"]) + int(report["calibration_runs"])
    overhead = runs * full + float(report["fit_seconds"]) + float(report["calibration_seconds"])
    return [
        f"points: {sums}",
        f"one scenario: {1e3 * reduced:.3g} ms reduced, {full:.3g} s at full order ({full / reduced:.0f} times), on one core",
        f"trained with {report['training_runs']} runs and calibrated with {report['calibration_runs']}; fit "
        f"{report['fit_seconds']:.0f} s, calibration and compilation {report['calibration_seconds']:.0f} s",
        f"break-even after {overhead / (full - reduced):.0f} scenarios",
    ]
