"""The healthy disc: far levels of the supply, constants that hold it steady, and whether it then stays."""

from __future__ import annotations

import dataclasses

import numpy as np

from discsim.biology.mechanisms import CATALOGUE
from discsim.disc.mesh import REGIONS
from discsim.fem.disc_model import DiscModel
from discsim.fem.engine import FemEngine
from discsim.fem.homeostasis import calibrate
from discsim.problem.problem import YEAR, build_problem
from discsim.scenario.readouts import Readout
from discsim.vv.discs import SurfaceMeans, model_of, scenario
from discsim.vv.registry import Case, Row

# Published boundary set (transport 3.1), kPa and mM: what the far levels must give as area means at grade I.
SURFACE_SET = {
    ("endplate", "oxygen"): 5.1, ("endplate", "lactate"): 0.8, ("endplate", "glucose"): 4.0,
    ("rim", "oxygen"): 5.8, ("rim", "lactate"): 0.9, ("rim", "glucose"): 5.0,
}  # fmt: skip
HEALTHY_CLEARANCE = 2e-3  # mm/s
WET_DENSITY = 1.05  # g/mL, assumed (transport 1.6)
CONSTANTS = ("matrix_turnover.gag_synthesis_rate", "cell_fate.proliferation_rate")


def find_far_levels(model: DiscModel, tolerance: float = 1e-9) -> dict[str, float]:
    """Far-side levels by parameter path for which the area-mean surface levels are the published boundary set.

    With exchange, mean = far + (mean flux)/h and the flux hardly depends on the far level, so that adding what is missing
    converges.
    """
    means = SurfaceMeans(model)
    far = {path: float(model.parameters.current[path]) for path in map(_far_path, SURFACE_SET)}
    for _ in range(60):
        model.set_parameters({**far, "nutrition.endplate_clearance": HEALTHY_CLEARANCE})
        model.settle()
        found = means()
        missing = {key: wanted - found[key] for key, wanted in SURFACE_SET.items()}
        if max(map(abs, missing.values())) < tolerance:
            return far
        for key, value in missing.items():
            far[_far_path(key)] += value
    raise RuntimeError(f"far levels still {max(map(abs, missing.values())):.1e} off")


def _far_path(key: tuple[str, str]) -> str:
    surface, solute = key
    return f"nutrition.{surface}_far_{solute}"


def _declared(path: str, value: float) -> tuple[float, str]:
    """A value of a constant in the unit of its declaration, and that unit."""
    mechanism, key = path.split(".")
    parameter = CATALOGUE[mechanism].parameters()[key]
    return parameter.show(value), parameter.unit


def far_levels(mesh_level: int, tolerance: float) -> list[Row]:
    """Surface means with the shipped far levels, and the far levels found anew."""
    model = model_of(scenario(1, mesh_level), {"nutrition.endplate_clearance": HEALTHY_CLEARANCE})
    shipped = {path: float(model.parameters.current[path]) for path in map(_far_path, SURFACE_SET)}
    rows = []
    for (surface, solute), mean in SurfaceMeans(model)().items():
        wanted = SURFACE_SET[surface, solute]
        unit = "kPa" if solute == "oxygen" else "mM"
        # half of the last digit of the published set
        rows.append(
            Row(f"surface_mean.{surface}.{solute}", f"area-mean {solute} at the {surface}, grade I", unit,
                mean, wanted, wanted - 0.05, wanted + 0.05, "calibration")
        )  # fmt: skip
    for path, value in find_far_levels(model).items():
        unit = "kPa" if path.endswith("oxygen") else "mM"
        rows.append(_agrees(path, "far level found anew", unit, value, shipped[path], tolerance))
    return rows


def constants(mesh_level: int, tolerance: float) -> list[Row]:
    """Synthesis and proliferation constants found anew against those shipped."""
    model = model_of(scenario(1, mesh_level))
    shipped = {path: dict(model.parameters.current[path]) for path in CONSTANTS}
    rows = []
    for path, table in calibrate(model).items():
        for region, value in table.items():
            (found, unit), (given, _) = _declared(path, value), _declared(path, shipped[path][region])
            rows.append(_agrees(f"{path}.{region}", "homeostasis constant found anew", unit, found, given, tolerance))
    return rows


def _agrees(name: str, quantity: str, unit: str, found: float, shipped: float, tolerance: float) -> Row:
    low, high = sorted((shipped * (1.0 - tolerance), shipped * (1.0 + tolerance)))
    note = f"{100.0 * (found / shipped - 1.0):+.4f} % of the shipped value"
    return Row(name, quantity, unit, found, shipped, low, high, "verification", note)


def _regional(field: str, region: str) -> Readout:
    return Readout(
        f"{field}.{region}", "1", "linear", f"amount of {field} in {region}", lambda s: s.integral(s.values[field], region)
    )


def steady_start(mesh_level: int) -> list[Row]:
    """Largest change in ten years of the amounts in every region, from the steady start of grade I."""
    one = scenario(1, mesh_level, start="homeostasis", duration="10 year")
    times = tuple(YEAR * t for t in range(11))
    problem = build_problem({"disc": one}, readouts=(), output_times=times, field_times=())
    wanted = tuple(_regional(field, region) for field in ("gag", "cell_density") for region in REGIONS)
    record = FemEngine().run(dataclasses.replace(problem, readouts=wanted))[0]
    rows = []
    for readout in wanted:
        series = np.array(record.readouts[readout.name])
        drift = 100.0 * float(np.abs(series / series[0] - 1.0).max())
        rows.append(
            Row(f"drift.{readout.name}", f"largest change in ten years, {readout.description}", "%", drift, 0.0, None, 1.0,
                "verification", f"status {record.status}, {len(record.times) - 1} steps")
        )  # fmt: skip
    return rows


# Measured fixed charge, mEq per gram wet: target, lowest, highest, which source.
MEASURED_CHARGE = {
    "NP": ("T35", 0.18, 0.28, "Urban & Maroudas 1979: 0.28 young, 0.18-0.24 old"),
    "outer_AF": ("T35", 0.07, 0.13, "Urban & Maroudas 1979"),
    "CEP": ("T34", 0.09, 0.15, "PMC5509527: 0.12 +- 0.03"),
}


def charge_profile(mesh_level: int) -> list[Row]:
    """Fixed charge per wet mass in the healthy steady state: means (held at the presets) and the spread within a region."""
    snapshot = model_of(scenario(1, mesh_level, start="homeostasis")).snapshot()
    charge = snapshot.values["fixed_charge_density"] * snapshot.values["porosity"] / WET_DENSITY
    rows = []
    for region in REGIONS:
        target, low, high, note = MEASURED_CHARGE.get(region, ("", None, None, "none found"))
        mean = float(snapshot.mean(charge, region))
        inside = charge[snapshot.values[f"in_{region}"] > 0.0]
        name = f"{target or 'charge'}.{region}"
        rows.append(
            Row(f"{name}.mean", f"fixed charge of {region}, mean", "mEq/g wet", mean, None, low, high, "calibration", note)
        )
        for word, value in (("lowest", inside.min()), ("highest", inside.max())):
            rows.append(
                Row(f"{name}.{word}", f"fixed charge of {region}, {word} in the steady state", "mEq/g wet", float(value),
                    None, None, None, "report", note)
            )  # fmt: skip
    return rows


CASES = [
    Case("far_levels_coarse", "homeostasis", "far levels found anew on mesh 1", lambda: far_levels(1, 0.01)),
    Case("far_levels", "homeostasis", "far levels found anew on mesh 2", lambda: far_levels(2, 0.001), slow=True),
    Case("constants_coarse", "homeostasis", "homeostasis constants found anew on mesh 1", lambda: constants(1, 0.01)),
    Case("constants", "homeostasis", "homeostasis constants found anew on mesh 2", lambda: constants(2, 0.001), slow=True),
    Case("steady_start_coarse", "homeostasis", "a healthy disc stays healthy, mesh 1", lambda: steady_start(1)),
    Case("steady_start", "homeostasis", "a healthy disc stays healthy, mesh 2", lambda: steady_start(2), slow=True),
    Case("fixed_charge", "homeostasis", "fixed charge of the healthy steady state", lambda: charge_profile(1)),
]
