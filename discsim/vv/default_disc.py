"""The default disc, grade I: this code against the project's own trial of it and against measurements.

Rows ``trial.*`` compare with the trial, rows with a target's id with the target. A target that was looked at when a default was
picked is calibration (the load for CMP05, the annulus matrix for TIS12), others validation. Grade III is in ``clearance``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from discsim.fem.backend import fem, ufl
from discsim.fem.disc_model import DiscModel
from discsim.fem.lower import lower
from discsim.problem.point import bound_material
from discsim.vv.discs import model_of, read, scenario
from discsim.vv.registry import Case, Role, Row
from discsim.vv.trial import ph_row, trial_row

LOAD_STEP = 0.04  # MPa, largest change of load in one solve
# Load (MPa) -> whole height mm, NP pressure MPa, pressure/load, mid-plane bulge mm of the trial (None: not given).
TRIAL_LOADS: dict[float, tuple[float, float, float | None, float]] = {
    0.0: (12.3, 0.245, None, -1.3),
    0.10: (11.4, 0.271, 2.7, -0.75),
    0.36: (9.0, 0.396, 1.10, 0.52),
    0.50: (8.0, 0.491, 0.98, 0.95),
}


def load_to(model: DiscModel, load: float) -> None:
    """Drained equilibrium at a load, in small changes from the present one."""
    count = max(1, int(np.ceil(abs(load - model.load) / LOAD_STEP - 1e-9)))
    for value in np.linspace(model.load, load, count + 1)[1:]:
        model.mechanics.solve(float(value))
    model.load = load


def bulge(model: DiscModel) -> float:
    """Radial displacement of the rim at the mid-plane, mm."""
    points = model.spaces.positions()
    corner = int(np.argmin(np.abs(points[:, 0] - points[:, 0].max()) + np.abs(points[:, 1])))
    return float(model.frame_arrays()[1][corner, 0])


class FibreStretch:
    """Mean stretch of the first fibre family (both are alike here) over a region, with the prestress."""

    def __init__(self, model: DiscModel) -> None:
        spaces, mechanics = model.spaces, model.mechanics
        prefix = f"{model.material.label}."
        mine = {path: s for path, s in model.parameters.symbols.items() if path.startswith(prefix)}
        position = mechanics.annulus_position()
        angle = lower(lambda p, s: bound_material(model.material, p).fibre_angle(s), mine, position, name="fibre_angle")
        stretched = mechanics.F * mechanics.prestress * spaces.kinematics.fibres(angle)[0]
        stretch = ufl.sqrt(ufl.inner(stretched, stretched))
        weight = {region: spaces.masks[region] * spaces.kinematics.weight for region in ("inner_AF", "outer_AF")}
        self._forms = {
            region: (spaces.form(stretch * w * spaces.dx_strain), spaces.form(w * spaces.dx_strain))
            for region, w in weight.items()
        }

    def __call__(self) -> dict[str, float]:
        """Present means by region."""
        return {r: float(fem.assemble_scalar(a) / fem.assemble_scalar(b)) for r, (a, b) in self._forms.items()}


def drained(mesh_level: int) -> list[Row]:
    """Grade I on the year clock at several loads."""
    model = model_of(scenario(1, mesh_level))
    reference, stretch = model.load, FibreStretch(model)
    start = read(model, "disc_height", "nucleus_pressure")
    ratio = start["nucleus_pressure"] / reference
    rows = [
        Row("CMP05", "NP pressure over load at the reference", "1", ratio, 1.37, 1.27, 1.47, "calibration", "load chosen for it"),
        trial_row("ratio.0.24", "NP pressure over load at the reference", "1", ratio, 1.37, 0.01),
    ]
    trial_stretch = {0.10: (1.020, 1.020), reference: (1.008, 1.015), 0.50: (0.990, 1.016)}
    for load in (reference, *TRIAL_LOADS):
        load_to(model, load)
        if load in TRIAL_LOADS:
            rows += _load_rows(model, load)
        if load in trial_stretch:
            for (region, found), wanted in zip(stretch().items(), trial_stretch[load], strict=True):
                strain, trial = 100.0 * (found - 1.0), 100.0 * (wanted - 1.0)
                name = f"fibre_strain.{region}.{load:.2f}"
                rows.append(trial_row(name, f"mean fibre stretch - 1, {region}, {load:.2f} MPa", "%", strain, trial, 0.1))
    return rows


def _load_rows(model: DiscModel, load: float) -> list[Row]:
    height, pressure, ratio, wide = TRIAL_LOADS[load]
    found, out = read(model, "disc_height", "nucleus_pressure"), bulge(model)
    name = f"{load:.2f}"
    rows = [
        trial_row(f"height.{name}", f"height at {name} MPa", "mm", found["disc_height"], height, 0.1),
        trial_row(f"pressure.{name}", f"NP pressure at {name} MPa", "MPa", found["nucleus_pressure"], pressure, 0.001),
        trial_row(f"bulge.{name}", f"mid-plane bulge at {name} MPa", "mm", out, wide, 0.1 if load == 0.0 else 0.01),
    ]
    if ratio is not None:
        digit = 0.1 if load == 0.10 else 0.01
        rows.append(
            trial_row(
                f"ratio.{name}", f"NP pressure over load at {name} MPa", "1", found["nucleus_pressure"] / load, ratio, digit
            )
        )
    if load == 0.0:
        pressure = found["nucleus_pressure"]
        rows.append(
            Row("TIS33", "NP pressure, unloaded in saline", "MPa", pressure, 0.2, 0.16, 0.24, "validation", "model target")
        )
    if load == 0.50:
        rows.append(Row("CMP08", "bulge at 0.50 MPa (823 N)", "mm", out, None, 0.0, 2.7, "validation", "measured to 800 N"))
    return rows


def gag_loss(mesh_level: int) -> list[Row]:
    """Height after a loss of nucleus GAG, against models with 80 % and 40 % viable cells (whose GAG follows the cells)."""
    model = model_of(scenario(1, mesh_level))
    before, start = read(model, "disc_height")["disc_height"], model.mechanics.gag.x.array.copy()
    nucleus = model.snapshot().values["in_NP"]
    rows = []
    for share, trial, target, low, high in ((0.8, 3.1, "T26", 1.8, 2.8), (0.4, 10.7, "T27", 7.5, 11.0)):
        for part in np.linspace(1.0, share, 6)[1:]:
            model.mechanics.gag.x.array[:] = start * (1.0 - (1.0 - part) * nucleus)
            model.mechanics.solve(model.load)
        lost = 100.0 * (1.0 - read(model, "disc_height")["disc_height"] / before)
        quantity = f"height lost at {100 * share:.0f} % of nucleus GAG"
        rows += [
            Row(target, quantity, "%", lost, {"T26": 2.3, "T27": 9.3}[target], low, high, "validation", "PMC5097704, model"),
            trial_row(f"gag.{share}", quantity, "%", lost, trial, 0.1),
        ]
    return rows


class TissueLaw:
    """Confined compression of one region's tissue from the laws alone: matrix and swelling at F = diag(1, 1, stretch)."""

    def __init__(self, region: str) -> None:
        import jax

        from discsim.disc.material import OsmoBiphasic

        jax.config.update("jax_enable_x64", True)
        values: dict[str, Any] = {k: v[region] if isinstance(v, dict) else v for k, v in OsmoBiphasic().values.items()}
        self.material = OsmoBiphasic().bind(values)
        self.gag = self.material.initial("gag")

    def swelling(self, stretch: Any) -> Any:
        """Swelling pressure, MPa."""
        return self.material.osmotic_pressure(stretch, self.gag)

    def pressure(self, stretch: Any) -> Any:
        """Axial pressure that holds the tissue at a stretch, MPa (fibres do not take part: radial samples)."""
        import jax

        def energy(x: Any) -> Any:
            return self.material.energy(2.0 + x * x, x, 1.0, 1.0, 0.0, 0.0)

        return self.swelling(stretch) - jax.grad(energy)(stretch)

    def stretch_at(self, pressure: float) -> float:
        """Equilibrium stretch under an axial pressure."""
        import scipy.optimize

        low = float(self.material.lowest_jacobian()) + 1e-3
        return float(scipy.optimize.brentq(lambda x: float(self.pressure(x)) - pressure, low, 6.0, xtol=1e-12))

    def modulus(self) -> float:
        """Effective aggregate modulus at the reference, -d pressure/d stretch, MPa."""
        import jax

        return -float(jax.grad(self.pressure)(1.0))


def tissue() -> list[Row]:
    """Confined swelling, moduli and fluid loss of the tissues, from the laws."""
    law = {region: TissueLaw(region) for region in ("NP", "inner_AF", "outer_AF", "CEP")}
    trial = {"NP": 2.15, "inner_AF": 1.25, "outer_AF": 1.11, "CEP": 1.24}
    measured: dict[str, tuple[str, float, float, float, Role]] = {
        "NP": ("TIS13", 1.73, 0.99, 2.47, "validation"),
        "inner_AF": ("TIS12.inner_AF", 1.28, 1.12, 1.44, "calibration"),
        "outer_AF": ("TIS12.outer_AF", 1.28, 1.12, 1.44, "calibration"),
        "CEP": ("TIS14", 1.29, 1.03, 1.55, "validation"),
    }
    rows = []
    for region, (target, value, low, high, role) in measured.items():
        found, quantity = law[region].stretch_at(0.0), f"confined free swelling stretch, {region}"
        rows.append(Row(target, quantity, "1", found, value, low, high, role, "Cortes 2014"))
        rows.append(trial_row(f"swelling.{region}", quantity, "1", found, trial[region], 0.01))
    nucleus, annulus = law["NP"], law["outer_AF"]
    water = {p: nucleus.stretch_at(p) - 1.0 + float(nucleus.material.fluid_fraction) for p in (0.165, 0.7)}
    figures: list[tuple[str, str, str, float, float, float, float, float, float]] = [
        ("TIS03", "effective aggregate modulus, NP", "MPa", nucleus.modulus(), 1.01, 0.58, 1.44, 0.81, 0.01),
        ("TIS09", "effective aggregate modulus, outer AF", "MPa", annulus.modulus(), 0.56, 0.35, 0.77, 1.38, 0.01),
        ("TIS01", "swelling stress, NP", "MPa", float(nucleus.swelling(1.0)), 0.138, 0.109, 0.167, 0.328, 0.001),
        ("TIS07", "swelling offset, outer AF", "MPa", float(annulus.swelling(1.0)), 0.13, 0.07, 0.19, 0.136, 0.001),
        ("TIS28", "fluid lost by NP from 0.165 to 0.7 MPa", "%", 100.0 * (1.0 - water[0.7] / water[0.165]), 50.0, 40.0, 60.0,
         51.0, 1.0),
    ]  # fmt: skip
    for target, quantity, unit, found, value, low, high, tried, digit in figures:
        rows.append(Row(target, quantity, unit, found, value, low, high, "validation"))
        rows.append(trial_row(target, quantity, unit, found, tried, digit))
    softer = float(nucleus.swelling(1.4))
    rows.append(trial_row("swelling_stress.1.4", "swelling stress, NP, at stretch 1.4", "MPa", softer, 0.14, 0.01))
    return rows


SOLUTES = ("glucose_min", "oxygen_min", "lactate_max", "ph_min")


def solutes(mesh_level: int) -> list[Row]:
    """Extremes of the solutes at grade I with fixed levels, as in the trial."""
    from discsim.biology.mechanisms import default
    from discsim.biology.mechanisms.nutrition import Nutrition

    found = read(model_of(scenario(1, mesh_level, mechanisms=(Nutrition(supply="levels"), *default()[1:]))), *SOLUTES)
    rows = [
        trial_row("glucose_min", "lowest glucose, fixed levels", "mM", found["glucose_min"], 2.1, 0.1),
        trial_row("oxygen_min", "lowest oxygen, fixed levels", "kPa", found["oxygen_min"], 1.9, 0.1),
        trial_row("lactate_max", "highest lactate, fixed levels", "mM", found["lactate_max"], 3.7, 0.1),
        ph_row("ph_min", "lowest pH, fixed levels", found["ph_min"], 7.07),
    ]
    rows.append(
        Row("T43", "lowest pH, healthy", "1", found["ph_min"], 7.1, None, None, "report", "6.9-7.2 second hand; not gated")
    )
    lactate = found["lactate_max"]
    rows.append(
        Row("T51", "highest lactate", "mM", lactate, 7.5, None, None, "report", "5-10 second hand; out of reach with levels")
    )
    return rows


_BULGE = "3-5 % less than the trial, equal on meshes 1-3; how the trial laid fibres across the annulus is not stated"
CASES = [
    Case(
        "drained", "default_disc", "grade I at several loads, drained", lambda: drained(2),
        known_misses={
            "TIS33": "0.245 MPa: swelling against the prestressed matrix leaves more pressure than the model target; 2 % outside",
            **{f"trial.bulge.{load}": _BULGE for load in ("0.10", "0.36", "0.50")},
            "trial.fibre_strain.outer_AF.0.50": "1.46 for 1.6 %: goes with the smaller bulge",
        },
    ),
    Case(
        "gag_loss", "default_disc", "height after loss of nucleus GAG", lambda: gag_loss(2),
        known_misses={"T26": "3.1 %: a disc prestressed at 0.24 MPa answers small losses of charge more strongly; T27 is met"},
    ),
    Case(
        "tissue", "default_disc", "swelling, moduli and fluid loss of the tissues", tissue,
        known_misses={
            "TIS12.outer_AF": "1.114: the annulus matrix is stiff enough to keep the prestress step stable; "
            "0.006 below the range",
            "TIS09": "1.38 MPa: 2.5 times too stiff, the price of that matrix and of the excluded water",
            "TIS01": "0.328 MPa: charge of the in vivo hydration; samples had swollen after death (0.157 at stretch 1.4)",
            "trial.swelling_stress.1.4": "the trial says about 0.14; the law gives 0.157, and 0.129 net of the matrix",
        },
    ),
    Case("solutes", "default_disc", "extremes of the solutes at grade I", lambda: solutes(2)),
]  # fmt: skip
