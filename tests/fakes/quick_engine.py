"""An engine that takes no time, for tests of what surrounds engines. Worker processes import it by name.

Sample i of ``QUICK_STUDY`` has the active load 0.20 + 0.005 i MPa. Files in the folder ``QUICK_ENGINE`` tell what happens
to it: ``kill-i`` (the process is killed as often as the file holds characters), ``raise-i``, ``fail-i`` (stops half way),
``coarse-i`` (stops half way on fewer steps than the number in the file), ``crash-steps`` (the process is killed while it
chooses steps), ``wait-i`` (it does not end while that is there). ``ran`` gets a line per sample that is begun: sample,
process, time (s).
"""

from __future__ import annotations

import math
import os
import signal
import time
from pathlib import Path

from discsim.problem.engine import Engine, ProgressHook
from discsim.problem.problem import Arm, Problem
from discsim.problem.record import ArmRecord
from discsim.problem.status import Failure, Status

ENGINE = "quick_engine:QuickEngine"
MANY_ENGINE = "quick_engine:ManyEngine"
BARRED_ENGINE = "quick_engine:BarredEngine"
COUNT = 10
QUICK_STUDY = f"""
schema = "discsim/1"
title = "quick"
duration = "2 year"
[disc]
preset = "L4-L5"
grade = 3
mesh_level = 1
[scenarios.untreated]
[[scenarios.cells.therapy]]
kind = "stem_cell_injection"
at = "0 day"
[readouts]
use = ["viable_cells", "glucose_min"]
[output]
times = ["0 year", "1 year"]
[design]
kind = "list"
[design.vary]
"loading.active" = {{ values = [{", ".join(f'"{0.2 + 0.005 * i:.3f} MPa"' for i in range(COUNT))}] }}
"stem_cells.undifferentiated_demand" = {{ values = [{", ".join(str(1.0 + 0.1 * i) for i in range(COUNT))}] }}
"""


def folder() -> Path | None:
    """Where the files lie that tell what happens."""
    return Path(os.environ["QUICK_ENGINE"]) if "QUICK_ENGINE" in os.environ else None


class QuickEngine(Engine):
    """Readouts by formula; both arms of a sample end alike."""

    name = "quick"
    spacing = 0.005  # MPa, between one sample and the next
    pause = 0.0  # s, for every sample

    def choose_steps(self, problem: Problem) -> tuple[float, ...]:
        place = folder()
        if place and (place / "crash-steps").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return tuple(problem.duration * share for share in (0.1, 0.25, 0.5, 0.75, 1.0))

    def run(
        self, problem: Problem, progress: ProgressHook | None = None, steps: tuple[float, ...] | None = None
    ) -> list[ArmRecord]:
        sample = round((problem.arms[0].values["loading.active"] - 0.2) / self.spacing)
        time.sleep(self.pause)
        steps = steps or self.choose_steps(problem)
        fails = happen(sample) or len(steps) < least_steps(sample)
        return [record(arm, sample, steps, fails) for arm in problem.arms]


class ManyEngine(QuickEngine):
    """For up to 200 samples, and slow enough to be met at work."""

    spacing, pause = 0.002, 0.03


class BarredEngine(QuickEngine):
    """The same numbers with error bars, as a reduced engine gives them.

    Samples 0 to 5 are "reduced"; 6 is recomputed by "sweep", 7 in the treated arm alone; 8 and 9 name no engine. ``bar_of``: the
    bar of the viable cells, which have none at the first end of a step; in sample 0 not in the middle either. The lowest glucose
    has none.
    """

    name = "barred"

    def run(
        self, problem: Problem, progress: ProgressHook | None = None, steps: tuple[float, ...] | None = None
    ) -> list[ArmRecord]:
        found = super().run(problem, progress, steps)
        sample = round((problem.arms[0].values["loading.active"] - 0.2) / 0.005)
        for arm, one in zip(problem.arms, found, strict=True):
            if sample <= 7:
                one.engine = "sweep" if sample == 6 or (sample == 7 and arm.doses) else "reduced"
            if one.engine == "reduced":
                bars = [bar_of(sample) * (1.0 + number) for number in range(len(one.times))]
                bars[1] = math.nan
                if sample == 0:
                    bars[len(bars) // 2] = math.nan
                one.bars = {"viable_cells": bars}
        return found


def bar_of(sample: int) -> float:
    """Half-width at the first time, million; it grows by as much at every step."""
    return 0.01 * (1.0 + sample)


def happen(sample: int) -> bool:
    """Do what the files tell; whether the sample is to fail."""
    place = folder()
    if place is None:
        return False
    with (place / "ran").open("a") as stream:
        stream.write(f"{sample} {os.getpid()} {time.time()}\n")
    while (place / f"wait-{sample}").exists():
        time.sleep(0.02)
    kill = place / f"kill-{sample}"
    if kill.exists() and (left := kill.read_text()):
        kill.write_text(left[1:])
        os.kill(os.getpid(), signal.SIGKILL)
    if (place / f"raise-{sample}").exists():
        raise ArithmeticError(f"no number for sample {sample}\nand more")
    return (place / f"fail-{sample}").exists()


def least_steps(sample: int) -> int:
    """On how many steps the sample comes to its end."""
    place = folder()
    coarse = place / f"coarse-{sample}" if place else None
    return int(coarse.read_text()) if coarse and coarse.exists() else 0


def record(arm: Arm, sample: int, steps: tuple[float, ...], fails: bool) -> ArmRecord:
    """Values that rise with the sample and fall with time; a failed sample still has numbers after its end."""
    times = [0.0, *steps]
    bonus = 1.0 if arm.doses else 0.0
    fade = [1.0 - time / (10.0 * steps[-1]) for time in times]
    found = ArmRecord(
        arm.name,
        times,
        {"viable_cells": [(20.0 + sample + bonus) * share for share in fade], "glucose_min": [share for share in fade]},
        {"cell_density:died": [100.0 * (1.0 - share) for share in fade]},
        status=Status.OK,
        history=[
            {"time": end, "dt": 1.0, "iterations": 3 * number, "factorisations": number, "cuts": 0}
            for number, end in enumerate(steps, start=1)
        ],
        seconds={"total": 0.25},
    )
    if fails:
        found.status = Status.NONCONVERGED
        found.failure = Failure(Status.NONCONVERGED, "Newton stalled", times[len(times) // 2], "Try something.")
    return found
