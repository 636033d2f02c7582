"""What happened to a sample of a sweep, for a terminal."""

from __future__ import annotations

import math

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from discsim.report.tables import time_words
from discsim.study.sample_history import Attempt, SampleHistory


def print_sample(history: SampleHistory, console: Console) -> None:
    """Its inputs, then every attempt with how each scenario ended; why, how far and what to try where it did not end well."""
    console.print(Text(f"sample {history.sample}", style="bold"))
    for path, (value, unit) in history.inputs.items():
        unit = "" if unit == "dimensionless" else unit
        console.print(Text(f"  {path} = {value:.6g} {unit}".rstrip()))
    first = history.attempts[0].number
    if first > 1:
        before = "an earlier attempt" if first == 2 else f"{first - 1} earlier attempts"
        console.print(Text(f"  {before} gave no result (process ended, or another sample of the batch failed): log/sweep.log"))
    for attempt in history.attempts:
        counts = attempt is history.attempts[-1]
        console.print()
        cut = "" if attempt.pieces == 1 else f", every step in {attempt.pieces} pieces"
        title = f"attempt {attempt.number}, {attempt.computed_by}{cut}{'' if counts else ' (replaced by a later one)'}"
        console.print(Text(title, style="bold"), soft_wrap=True)
        console.print(Text(f"  stored in shards/{attempt.shard}"), soft_wrap=True)
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        for name in ("scenario", "status"):
            table.add_column(name)
        for name in ("steps", "iterations", "time (s)"):
            table.add_column(name, justify="right")
        for arm in attempt.arms:
            table.add_row(arm.scenario, arm.status, str(arm.steps), _number(arm.iterations, 0), _number(arm.seconds, 2))
        console.print(table)
        for words, names in _reasons(attempt).items():
            console.print(Text(f"  {', '.join(names)}: {words}"), soft_wrap=True)


def _reasons(attempt: Attempt) -> dict[str, list[str]]:
    """Why scenarios did not end well: words -> scenarios, since what ends a process ends them all."""
    found: dict[str, list[str]] = {}
    for arm in attempt.arms:
        if arm.reason:
            until = f"good until {time_words(arm.last_good_time)}" if arm.last_good_time > 0.0 else "no good time"
            found.setdefault(f"{arm.status}, {arm.reason} ({until}). {arm.advice}", []).append(arm.scenario)
    return found


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"
