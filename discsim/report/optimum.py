"""What an optimisation found: every evaluated point, the best one, what holds it there, and what it rests on."""

from __future__ import annotations

import dataclasses
import json

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from discsim.report.tables import time_words
from discsim.scenario.readouts import READOUTS
from discsim.study.optimise import Optimum, Trial

MOST_RESTS = 10


def trial_line(trial: Trial) -> str:
    """One evaluated point on one line, as it happens."""
    values = ", ".join(f"{value:.6g}" for value in trial.values)
    if trial.objective is None:
        return f"{trial.number}: {values}: {trial.status}: {trial.reason}"
    constraints = "".join(f", {value:.5g}" for value in trial.constraints)
    return f"{trial.number}: {values}: {trial.objective:.6g}{constraints}{'' if trial.feasible else ' (breaks a constraint)'}"


def print_optimum(found: Optimum, console: Console) -> None:
    """Table of all points, and the answer in sentences."""
    console.print(_trial_table(found))
    for trial in found.trials:
        if trial.objective is None:
            console.print(
                Text(f"point {trial.number} failed and was stepped back from: {trial.reason}", style="red"), soft_wrap=True
            )
    console.print()
    for line in sentences(found):
        console.print(Text(line), soft_wrap=True)
    if found.rests:
        console.print(_rest_table(found))


def sentences(found: Optimum) -> list[str]:
    """The answer, what holds it, how it was found, on what evidence."""
    goal, word = found.goal, "most" if found.goal.maximise else "least"
    unit = _in_unit(READOUTS[goal.readout].unit)
    lines = []
    if found.best is None:
        lines.append(f"no feasible point was found: {closest(found)}")
    else:
        numbers = ", ".join(
            f"{v.path} = {value:.6g}{_in_unit(v.unit)}" for v, value in zip(found.variables, found.best.values, strict=True)
        )
        where = f"{goal.readout} at {time_words(goal.time)} in {found.scenario}"
        lines.append(f"{word} {where}: {found.best.objective:.6g}{unit} with {numbers}")
        lines.append("held there by: " + ("; ".join(found.active) or "nothing: it lies within all bounds and constraints"))
        for name, slopes in {goal.readout: found.gradient, **found.constraint_gradients}.items():
            lines += [f"slope of {name} by {path}: {_slope_words(found, name, path, slope)}" for path, slope in slopes.items()]
    state = "converged" if found.converged else "did not converge"
    lines.append(f"the search {state}: {found.ended}; the best point near the start, which need not be the best of all")
    if found.reduced:
        lines.append(_reduced_words(found))
    lines.append(
        f"{len(found.trials)} evaluations: {found.forwards} runs forward, {found.backwards} back, {found.pilots} to choose steps"
    )
    lines.append(
        "numbers of this scenario by evidence: " + ", ".join(f"{count} {word}" for word, count in found.evidence.items())
    )
    return lines


def _reduced_words(found: Optimum) -> str:
    """How the search with the reduced model went, and how far it was off where the full-order search began."""
    start = found.trials[0]
    same = next((t for t in found.reduced if t.values == start.values and t.objective is not None), None)
    words = f"before, {len(found.reduced)} points were tried with the reduced model"
    if same is None or same.objective is None or start.objective is None:
        return f"{words}; none of them was the point that the full-order search began at"
    unit = _in_unit(READOUTS[found.goal.readout].unit)
    both = f"{same.objective:.6g}{unit} by it and {start.objective:.6g}{unit} at full order"
    return f"{words}; at its best {found.goal.readout} is {both}"


def _slope_words(found: Optimum, name: str, path: str, slope: float) -> str:
    """A slope with its unit: that of the readout per that of the number."""
    unit = next(variable.unit for variable in found.variables if variable.path == path)
    return f"{slope:.4g}{_in_unit(READOUTS[name.partition('@')[0]].unit)} per {_in_unit(unit).strip() or '1'}"


def closest(found: Optimum) -> str:
    """Which constraint the best of the infeasible points breaks, and by how much."""
    places = [(constraint, time) for constraint in found.constraints for time in constraint.times]
    done = [trial for trial in found.trials if trial.objective is not None]
    if not done or not places:
        return "every run failed"

    def worst(trial: Trial) -> tuple[float, int]:
        return min((c.margin(v) / c.size, i) for i, ((c, _), v) in enumerate(zip(places, trial.constraints, strict=True)))

    trial = max(done, key=lambda one: worst(one)[0])
    constraint, time = places[worst(trial)[1]]
    value, unit = trial.constraints[worst(trial)[1]], _in_unit(READOUTS[constraint.readout].unit)
    return (
        f"at point {trial.number}, the nearest, {constraint.readout} at {time_words(time)} is {value:.5g}{unit}, "
        f"wanted {constraint.sense} {constraint.limit:g}{unit}"
    )


def to_json(found: Optimum) -> str:
    """All of it as one JSON object; times in s."""
    return json.dumps(dataclasses.asdict(found), indent=1, allow_nan=False)


def _trial_table(found: Optimum) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("point", justify="right", vertical="bottom")
    for variable in found.variables:
        table.add_column(Text(f"{variable.path}{_comma(variable.unit)}"), justify="right")
    table.add_column(_head(found.goal.readout, found.goal.time), justify="right")
    for constraint in found.constraints:
        for time in constraint.times:
            table.add_column(_head(constraint.readout, time), justify="right")
    table.add_column("status", vertical="bottom")
    for trial in found.trials:
        cells = [f"{value:.6g}" for value in trial.values]
        cells.append("-" if trial.objective is None else f"{trial.objective:.6g}")
        count = sum(len(constraint.times) for constraint in found.constraints)
        cells += [f"{value:.5g}" for value in trial.constraints] or ["-"] * count
        words = trial.status if trial.feasible or trial.objective is None else f"{trial.status}, breaks a constraint"
        table.add_row(str(trial.number), *map(Text, cells), Text(words + (", best" if trial is found.best else "")))
    return table


def _head(readout: str, time: float) -> Text:
    return Text(f"{readout}{_comma(READOUTS[readout].unit)}\n{time_words(time)}")


def _rest_table(found: Optimum) -> Table:
    """The numbers that move the answer most: change in percent per percent."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, title="what it rests on (% per %)", title_justify="left")
    table.add_column("number")
    table.add_column("evidence")
    names = list(found.rests[0].elasticities)
    for name in names:
        table.add_column(found.goal.readout if name == "objective" else name, justify="right")
    table.add_column("source")
    for rest in found.rests[:MOST_RESTS]:
        slopes = [f"{rest.elasticities.get(name, 0.0):+.3f}" for name in names]
        table.add_row(Text(rest.path), rest.evidence, *slopes, Text(rest.source[:80]))
    return table


def _in_unit(unit: str) -> str:
    return "" if unit in ("", "1", "dimensionless") else f" {unit}"


def _comma(unit: str) -> str:
    return f",{_in_unit(unit)}" if _in_unit(unit) else ""
