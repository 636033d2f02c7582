"""What a sweep found, as tables: the spread of every readout over the samples, failures, and the forecast of a sweep."""

from __future__ import annotations

import csv
from typing import TextIO

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from discsim.problem.problem import YEAR
from discsim.report.engines import engine_sentence
from discsim.report.sweep_progress import duration_words
from discsim.report.tables import time_words
from discsim.study.ensemble import Ensemble
from discsim.study.messages import counted
from discsim.study.sweep_plan import SweepPlan
from discsim.study.verdict import engines_of

CSV_COLUMNS = ("sample", "scenario", "readout", "unit", "time_years", "value", "status")
BAR_COLUMNS = ("bar", "engine")  # where the sweep has them
SPREAD = (5.0, 95.0)  # percent of the samples that the shown range lies between
MOST_FAILURES = 10


def print_sweep(ensemble: Ensemble, total: int, console: Console) -> None:
    """Median and range of every readout over the good samples of each scenario, and which samples failed."""
    console.print(Text(ensemble.title, style="bold"))
    inputs = ", ".join(swept.path for swept in ensemble.inputs)
    console.print(Text(f"{ensemble.numbers.size} of {total} samples ({ensemble.design_kind}) over {inputs}"), soft_wrap=True)
    engines = engines_of(ensemble, np.ones(ensemble.numbers.size, bool))
    if engines:
        console.print(Text(engine_sentence(engines)), soft_wrap=True)
    for readout, unit in ensemble.units.items():
        console.print()
        console.print(Text(spread_words(readout, unit), style="bold"))
        console.print(spread_table(ensemble, readout))
    print_failures(failures(ensemble), console)
    if len(ensemble.scenarios) > 1:
        console.print(Text("which scenario is better, in which discs, how sure: discsim compare"))


def spread_words(readout: str, unit: str) -> str:
    """What ``spread_table`` shows."""
    shown_unit = "" if unit in ("", "1", "dimensionless") else f" ({unit})"
    return f"{readout}{shown_unit}: median [{SPREAD[0]:g} % .. {SPREAD[1]:g} %]"


def spread_table(ensemble: Ensemble, readout: str) -> Table:
    """A readout at each time of the table, over the good samples of each scenario."""
    digits = ensemble.digits[readout]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("scenario", vertical="bottom")
    for time in ensemble.times:
        table.add_column(time_words(float(time)), justify="right")
    table.add_column("good", justify="right")
    for name in ensemble.scenarios:
        good = ensemble.good(name)
        numbers = ensemble.values[name][readout][good]
        cells = [_spread(numbers[:, column], digits) for column in range(ensemble.times.size)]
        table.add_row(name, *cells, f"{int(good.sum())} of {good.size}")
    return table


def _spread(numbers: np.ndarray, digits: int) -> str:
    finite = numbers[np.isfinite(numbers)]
    if not finite.size:
        return "no good sample"
    low, middle, high = np.percentile(finite, (SPREAD[0], 50.0, SPREAD[1]))
    return f"{middle:.{digits}f} [{low:.{digits}f} .. {high:.{digits}f}]"


def failures(ensemble: Ensemble) -> dict[int, str]:
    """Samples that are not good in every scenario, and why the first such scenario is not."""
    found: dict[int, str] = {}
    for name in ensemble.scenarios:
        for row in np.flatnonzero(~ensemble.good(name)):
            words = f"{name}: {ensemble.status[name][row]}, {ensemble.reasons[name][row]}"
            found.setdefault(int(ensemble.numbers[row]), words)
    return dict(sorted(found.items()))


def print_failures(failed: dict[int, str], console: Console) -> None:
    """The first failed samples, each with its reason."""
    if not failed:
        return
    console.print(Text(f"{counted(len(failed), 'sample')} failed", style="bold red"))
    for sample, why in list(failed.items())[:MOST_FAILURES]:
        console.print(Text(f"  sample {sample}: {why}"), soft_wrap=True)
    if len(failed) > MOST_FAILURES:
        console.print(Text(f"  and {len(failed) - MOST_FAILURES} more"))


def write_sweep(ensemble: Ensemble, stream: TextIO) -> None:
    """Every readout of every sample at the study's times, a row each. Numbers that do not exist are left empty.

    Error bar (0 at full order) and engine stand in every row where the sweep tells them.
    """
    writer = csv.writer(stream, lineterminator="\n")
    told = bool(ensemble.bars or ensemble.engine)
    writer.writerow((*CSV_COLUMNS, *BAR_COLUMNS) if told else CSV_COLUMNS)
    for name in ensemble.scenarios:
        engines = ensemble.engine.get(name, np.full(ensemble.numbers.size, ""))
        for readout, unit in ensemble.units.items():
            bars = ensemble.bar(name, readout)
            for row, number in enumerate(ensemble.numbers):
                for column, time in enumerate(ensemble.times):
                    value = float(ensemble.values[name][readout][row, column])
                    shown = repr(value) if np.isfinite(value) else ""
                    status = ensemble.status[name][row]
                    bar = repr(float(bars[row, column])) if shown else ""
                    more = (bar, engines[row]) if told else ()
                    writer.writerow((int(number), name, readout, unit, f"{time / YEAR:.10g}", shown, status, *more))


def print_plan(plan: SweepPlan, console: Console) -> None:
    """What a sweep will take."""
    console.print(Text(f"{plan.samples} samples x {plan.arms} scenarios in {plan.batches} batches, {plan.steps} steps each"))
    each = "core" if plan.ranks == 1 else f"{plan.ranks} cores"
    console.print(Text(f"{plan.seconds:.3g} s per sample and {each}, {duration_words(plan.startup)} to start a worker"))
    wall = duration_words(3600.0 * plan.hours)
    plural = "s" if plan.workers > 1 else ""
    console.print(Text(f"about {plan.core_hours:.3g} core-hours: {wall} with {plan.workers} worker{plural}"))
    if plan.memory is not None:
        total = f"{plan.busy * plan.memory:.1f} GiB in all with {plan.busy} worker{'s' if plan.busy > 1 else ''}"
        console.print(
            Text(f"a process held up to {plan.memory:.1f} GiB of memory, {total} (--memory limits each)"), soft_wrap=True
        )
    if plan.disk is not None:
        size = f"{plan.disk / 1e9:.1f} GB" if plan.disk >= 1e9 else f"{plan.disk / 1e6:.1f} MB"
        console.print(Text(f"about {size} on disk"))
    if plan.busy < plan.workers:
        smaller = -(-plan.samples // plan.workers)
        plural, verb = ("es", "keep") if plan.batches > 1 else ("", "keeps")
        few = f"{plan.batches} batch{plural} of {plan.batch} samples {verb}"
        advice = f"; --batch {smaller} would give all of them work" if smaller < plan.batch else ""
        console.print(Text(f"{few} {plan.busy} of {plan.workers} workers busy{advice}"), soft_wrap=True)
    if plan.training:
        console.print(
            Text(
                f"--engine reduced: {plan.training} samples at full order once, to train; then each some hundred times as "
                "fast, with an error bar, or at full order where that is too wide"
            ),
            soft_wrap=True,
        )
    if plan.checked:
        console.print(Text(_check_words(plan)), soft_wrap=True)


def _check_words(plan: SweepPlan) -> str:
    """What comes on top of the sweep."""
    runs = f"[check] comes on top: the reference engine reruns {plan.checked} samples x {plan.arms} scenarios"
    if plan.check_hours is None:
        return f"{runs}; how long it takes is not known here (--no-check leaves it out)"
    took = duration_words(3600.0 * plan.check_hours)
    return f"{runs}, about {took} more (estimated), and a minute or two where it has yet to compile (--no-check leaves it out)"
