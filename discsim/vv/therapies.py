"""Therapies: signs and orderings that published models found, cell culture at the level of the laws, the trial's table.

Human data against which a therapy arm could be validated do not exist; M14 and P04 are orderings of independent models.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from discsim.fem.disc_model import DiscModel
from discsim.fem.engine import FemEngine
from discsim.problem.problem import YEAR, build_problem
from discsim.scenario.scenario import Scenario
from discsim.scenario.therapy import GeneTherapy, StemCellInjection
from discsim.vv.discs import model_of, read, scenario, with_values
from discsim.vv.registry import Case, Role, Row

FED, STARVED = 2e-3, 5e-5  # mm/s at grade III: glucose 2.5 and 0.8 mM, pH 7.12 and 6.75 before treatment
DEMANDS = {"no_price": 0.0, "default": 0.3, "high": 1.0}  # nutrition.anabolic_demand: low, default, high
MENDED = 95.0  # % of healthy nucleus GAG
FACTOR = 1.5  # the same relative change of synthesis and of loss in P04


def run_arms(
    base: Scenario, arms: Mapping[str, tuple[Scenario, Mapping[str, Any]]], readouts: tuple[str, ...], years: tuple[float, ...]
) -> dict[str, dict[str, np.ndarray]]:
    """Readouts at some years of several arms of one problem; each arm is a scenario and numbers set by path."""
    times = tuple(year * YEAR for year in years)
    scenarios = {name: one for name, (one, _) in arms.items()}
    problem = build_problem(scenarios, readouts=readouts, output_times=times, field_times=())
    changed = tuple(with_values(arm, arms[arm.name][1]) for arm in problem.arms)
    found = {}
    for record in FemEngine().run(dataclasses.replace(problem, arms=changed)):
        if not record.status.good:
            raise RuntimeError(f"{record.name}: {record.failure}")
        index = [int(np.argmin(np.abs(np.array(record.times) - t))) for t in times]
        found[record.name] = {name: np.array(series)[index] for name, series in record.readouts.items()}
    return found


def anabolic_without_food() -> list[Row]:
    """M14: TGF-beta1 transgene in a fed and in a starved disc, ten years; change against the same disc without vector."""
    rows = []
    for place, clearance in (("fed", FED), ("starved", STARVED)):
        base = scenario(3, 1)
        gene = base.with_therapy(GeneTherapy(transgene="TGFB1"))
        supply = {"nutrition.endplate_clearance": clearance}
        arms: dict[str, tuple[Scenario, Mapping[str, Any]]] = {"untreated": (base, supply)}
        arms |= {name: (gene, supply | {"nutrition.anabolic_demand": price}) for name, price in DEMANDS.items()}
        found = run_arms(base, arms, ("viable_cells_nucleus", "gag_nucleus"), (10.0,))
        for name in DEMANDS:
            change = {key: 100.0 * float(found[name][key][0] / found["untreated"][key][0] - 1.0) for key in found[name]}
            rows += _signs(place, name, change["viable_cells_nucleus"], change["gag_nucleus"])
    return rows


def _signs(place: str, demand: str, cells: float, gag: float) -> list[Row]:
    """Judged at the default price and the high one: no cells lost and GAG gained where fed, cells lost where starved."""
    judged = demand != "no_price"
    cell_band: tuple[float | None, float | None] = (-0.1, None) if place == "fed" else (None, -0.1)
    gag_band: tuple[float | None, float | None] = (0.1, None) if place == "fed" else (None, None)
    role: Role = "validation" if judged else "report"
    cell_band, gag_band = (cell_band, gag_band) if judged else ((None, None), (None, None))
    note = "Travascio 2014, model: sign"
    return [
        Row(f"M14.{place}.{demand}.cells", f"nucleus cells against no vector, {place}, price {demand}", "%", cells, None,
            *cell_band, role, note),
        Row(f"M14.{place}.{demand}.gag", f"nucleus GAG against no vector, {place}, price {demand}", "%", gag, None,
            *gag_band, role if place == "fed" else "report", note),
    ]  # fmt: skip


def mild_and_severe() -> list[Row]:
    """P04: a healthy disc that lost a fifth or seven tenths of its nucleus cells, and GAG with them; 60 years of each repair."""
    one = scenario(1, 1, start="homeostasis").with_therapy(StemCellInjection())
    model = model_of(one)
    healthy, start = read(model, "gag_nucleus")["gag_nucleus"], model.state.copy()
    values = dict(model.parameters.current)
    mends = {"mild": {"none": False, "synthesis": True, "loss": True, "cells": True},
             "severe": {"none": False, "synthesis": False, "loss": False, "cells": True}}  # fmt: skip
    rows = []
    for disc, share in (("mild", 0.8), ("severe", 0.3)):
        for repair, mended in mends[disc].items():
            model.set_parameters(values)
            model.state.restore(start)
            _degenerate(model, share)
            _repair(model, repair, share, values)
            for dt in (*[YEAR / 12.0] * 12, *[YEAR] * 59):
                model.step(dt)
            gag = 100.0 * read(model, "gag_nucleus")["gag_nucleus"] / healthy
            low, high = (MENDED, None) if mended else (None, MENDED)
            judged = repair != "none"
            rows.append(
                Row(f"P04.{disc}.{repair}", f"nucleus GAG after 60 years, {disc} disc, repair: {repair}", "% of healthy", gag,
                    None, low if judged else None, high if judged else None, "validation" if judged else "report",
                    f"Zhu 2016, model: {'mends' if mended else 'does not mend'}; mended from 95 %")
            )  # fmt: skip
    return rows


def _degenerate(model: DiscModel, share: float) -> None:
    """Nucleus cells and GAG at a share of healthy (GAG where it settles with these cells), in equilibrium."""
    nucleus = model.snapshot().values["in_NP"]
    cells, gag = model.state.pointwise["cell_density"].x.array, model.state.pointwise["gag"].x.array
    healthy = cells.copy(), gag.copy()
    for part in np.linspace(1.0, share, 8)[1:]:
        factor = 1.0 - (1.0 - part) * nucleus
        cells[:], gag[:] = healthy[0] * factor, healthy[1] * factor
        model.settle()


def _repair(model: DiscModel, repair: str, share: float, values: Mapping[str, Any]) -> None:
    if repair == "synthesis":
        model.set_parameters({path: _nucleus_times(values[path], FACTOR) for path in ("matrix_turnover.gag_synthesis_rate",)})
    elif repair == "loss":
        model.set_parameters({path: _nucleus_times(values[path], 1.0 / FACTOR) for path in ("matrix_turnover.gag_loss_rate",)})
    elif repair == "cells":
        # the number that is missing, as NP-like cells at once (the target's model starts from a raised density)
        missing = (1.0 / share - 1.0) * model.snapshot().values["in_NP"] * model.state.pointwise["cell_density"].x.array
        model.state.pointwise["stem_cells/np_like"].x.array[:] = missing
        model.settle()


def _nucleus_times(table: Mapping[str, float], factor: float) -> dict[str, float]:
    return {**table, "NP": table["NP"] * factor}


CULTURE_PH = (6.8, 6.7, 6.5, 6.2)


def culture() -> list[Row]:
    """Cells in culture, from the mechanisms' own rates: no tissue around them, the medium everywhere."""
    import jax

    from discsim.biology.mechanisms import CATALOGUE
    from discsim.problem.problem import DAY

    jax.config.update("jax_enable_x64", True)
    fate, turnover, stem = (_bound(CATALOGUE[name]()) for name in ("cell_fate", "matrix_turnover", "stem_cells"))
    starved = float(np.log(20.0) / fate.native_loss_rate(0.0, 7.2) / DAY)
    rows = [Row("C01", "time to 95 % dead without glucose", "day", starved, 3.0, None, 3.0, "validation", "Baumgartner 2020")]
    for ph in CULTURE_PH:
        lost = 1.0 - float(np.exp(-7.0 * DAY * fate.native_loss_rate(5.0, ph)))
        quantity = f"share dead after 7 days at pH {ph}"
        rows.append(Row(f"C02.{ph}", quantity, "1", lost, 0.5, None, None, "report", "culture pH unknown"))
    ratio = float(turnover.synthesis_gate(6.4, 5.0) / turnover.synthesis_gate(7.2, 5.0))
    rows.append(Row("M08", "GAG synthesis at pH 6.4 over 7.2", "1", ratio, 0.10, 0.0, 0.10, "calibration", "Razaq 2003"))
    for target, glucose, measured, what in (
        ("C04", 25.0, 0.90, "normoxia, high glucose"), ("C05", 1.0, 0.37, "normoxia, low glucose"),
        ("C06", 1.0, 0.03, "hypoxia, low glucose"),
    ):  # fmt: skip
        alive = float(np.exp(-28.0 * DAY * _stem_death(stem, glucose, 7.4)))
        rows.append(
            Row(target, f"stem cells alive after 28 days, {what}", "1", alive, measured, None, None, "report",
                "medium taken to reach all cells of the 0.75 mm gel, pH 7.4: only the assumed half-life of 30 days acts")
        )  # fmt: skip
    return rows


def _bound(mechanism: Any) -> Any:
    """A mechanism with its values in the nucleus as attributes."""
    return mechanism.bind({k: v["NP"] if isinstance(v, dict) else v for k, v in mechanism.values.items()})


def _stem_death(stem: Any, glucose: float, ph: float) -> float:
    names = ("undifferentiated", "np_like", "paracrine_factor", "native_loss_rate", "native_birth_rate", "oxygen_use_per_cell",
             "lactate_release_per_cell", "synthesis_gate", "anabolic_drive")  # fmt: skip
    return float(stem.rates(**dict.fromkeys(names, 0.0), glucose=glucose, ph=ph)["undifferentiated@loss"])


VECTORS_PER_CELL = 1e4  # assumed: the multiplicity of Mern 2015 was not seen
CULTURE_DENSITY = 3600.0  # cells/mm3, assumed: vector meets monolayer cells as it meets cells in the nucleus


def transduction() -> list[Row]:
    """G01: share of cells with a working genome two days after the vector, by the mechanism's own rates."""
    import jax
    from scipy.integrate import solve_ivp

    from discsim.biology.mechanisms.gene_expression import GeneExpression
    from discsim.problem.problem import DAY

    jax.config.update("jax_enable_x64", True)
    rows = []
    for vector, measured in (("scAAV6", 98.6), ("scAAV2", 91.5), ("scAAV3", 89.6)):
        gene = _bound(GeneExpression(vector=vector))

        def slope(_: float, y: np.ndarray, gene: Any = gene) -> list[float]:
            rates = gene.rates(y[0], 0.0, 0.0, CULTURE_DENSITY, 0.0, 0.0)
            taken = float(rates["active_genomes"]) - float(rates["active_genomes@loss"]) * y[1]
            return [-float(rates["free_vector@loss"]) * y[0], taken]

        end = solve_ivp(slope, (0.0, 2.0 * DAY), [VECTORS_PER_CELL * CULTURE_DENSITY, 0.0], rtol=1e-8).y[1, -1]
        share = 100.0 * float(gene.transduced_fraction(end, CULTURE_DENSITY))
        rows.append(
            Row(f"G01.{vector}", f"cells transduced, {vector}", "%", share, measured, measured - 0.1, measured + 0.1,
                "calibration", "10,000 vg per cell assumed; Mern 2015")
        )  # fmt: skip
    return rows


# arm -> trial: nucleus GAG over its start after 1 and 10 years at grade III
TRIAL: dict[str, tuple[float, float]] = {
    "untreated": (0.982, 0.875), "cells_6M": (0.997, 0.980), "cells_18M": (1.027, 1.19), "loss_0.059": (1.006, 1.05),
    "loss_halved": (1.02, 1.19), "synthesis_1.5": (1.014, 1.10), "synthesis_2": (1.045, 1.32),
}  # fmt: skip


def grade_three() -> list[Row]:
    """The trial's table "Therapies at grade III", where it maps.

    The trial had no gates of acid and glucose on synthesis, no paracrine effect and a healthy supply; here the gates act, the
    paracrine effect is off and the clearance healthy.
    """
    base = scenario(3, 1)
    rate, loss = "matrix_turnover.gag_synthesis_rate", "matrix_turnover.gag_loss_rate"
    by_label = {m.label: m for m in base.all_mechanisms()}
    synthesis, lost = (by_label["matrix_turnover"].values[path.split(".")[1]] for path in (rate, loss))
    assert isinstance(synthesis, dict) and isinstance(lost, dict)
    supply = {"nutrition.endplate_clearance": FED}
    quiet = supply | {"stem_cells.paracrine_synthesis_effect": 0.0, "stem_cells.paracrine_loss_effect": 0.0}
    arms: dict[str, tuple[Scenario, Mapping[str, Any]]] = {
        "untreated": (base, supply),
        "cells_6M": (base.with_therapy(StemCellInjection(dose="6e6 cell")), quiet),
        "cells_18M": (base.with_therapy(StemCellInjection(dose="1.8e7 cell")), quiet),
        "loss_0.059": (base, supply | {loss: _nucleus_times(lost, 0.059 / 0.084)}),
        "loss_halved": (base, supply | {loss: _nucleus_times(lost, 0.5)}),
        "synthesis_1.5": (base, supply | {rate: _nucleus_times(synthesis, 1.5)}),
        "synthesis_2": (base, supply | {rate: _nucleus_times(synthesis, 2.0)}),
    }
    found = run_arms(base, arms, ("gag_nucleus",), (0.0, 1.0, 10.0))
    rows = []
    for arm, trial in TRIAL.items():
        start, *later = found[arm]["gag_nucleus"]
        for year, value, wanted in zip((1, 10), later, trial, strict=True):
            name, quantity = f"trial.{arm}.{year}y", f"nucleus GAG over start, {arm}, {year} y"
            rows.append(Row(name, quantity, "1", float(value / start), wanted, None, None, "report"))
    return rows


CASES = [
    Case(
        "anabolic_without_food", "therapies", "an anabolic drive helps a fed disc and harms a starved one",
        anabolic_without_food, slow=True,
    ),
    Case("mild_and_severe", "therapies", "which repair mends a mild and a severe disc", mild_and_severe, slow=True),
    Case("culture", "therapies", "cells in culture, from the laws", culture),
    Case(
        "transduction", "therapies", "transduction by three vectors", transduction,
    ),
    Case("grade_three", "therapies", "the trial's therapies at grade III", grade_three, slow=True),
]  # fmt: skip
