"""Transport against exact and own-calculation targets: slabs, the invariant w, the table of supply models, fluxes, spot rates."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from scipy.optimize import brentq

from discsim.disc.mesh import SURFACES
from discsim.fem.backend import PETSc, fem, ufl
from discsim.fem.disc_model import DiscModel
from discsim.vv.columns import Column, column_mesh, per_region
from discsim.vv.discs import model_of, scenario
from discsim.vv.registry import Case, Row

LAYERS = 400
NO_LIMITER = {"nutrition.glucose_half": 1e-9}
SLAB = {
    "materials.fluid_fraction": per_region(0.80),
    "nutrition.endplate_level_oxygen": 5.1,
    "nutrition.endplate_level_lactate": 0.8,
    "nutrition.endplate_level_glucose": 4.0,
    "nutrition.rim_supply_fraction": 1.0,
}


def _density(million_per_ml: float) -> dict[str, Any]:
    return {"materials.cell_density": per_region(1000.0 * million_per_ml)}


class _Slab(Column):
    """A slab of nucleus with fixed levels at the top face; the levels of the side are left out."""

    def __init__(self, height: float, values: dict[str, Any]) -> None:
        super().__init__(column_mesh(height, LAYERS), {**SLAB, **values}, supply="levels")
        rules = self.model.composition.boundaries(self.model.parameters.current)
        self.top = {name: {"endplate": surfaces["endplate"]} for name, surfaces in rules.items()}

    def solve(self, changes: dict[str, Any] | None = None) -> dict[str, dict[str, float]]:  # type: ignore[override]
        self.model.set_parameters(changes or {})
        self.model.nutrients.transport.set_boundaries(self.top)
        return super().solve()


def _critical(slab: _Slab, guess: tuple[float, float]) -> float:
    """Cell density (million/mL) at which the lowest glucose is 0.5 mM."""
    return float(brentq(lambda rho: slab.solve(_density(rho))["centre"]["glucose"] - 0.5, *guess, xtol=1e-6))


def slabs() -> list[Row]:
    """T13, T14 and T15 with the limiter off; then what the default limiter changes."""
    slab = _Slab(5.5, {**_density(4.0), **NO_LIMITER})
    centre = slab.solve()["centre"]
    rows = [
        Row("T13", "glucose at the centre of a slab of 5.5 mm", "mM", centre["glucose"], 2.076, 2.07, 2.08, "verification"),
        Row("T13.lactate", "lactate there", "mM", centre["lactate"], 3.338, 0.99 * 3.338, 1.01 * 3.338, "verification"),
        Row("T13.oxygen", "oxygen there", "kPa", centre["oxygen"], 2.048, 0.99 * 2.048, 1.01 * 2.048, "verification"),
    ]
    for height, guess, target, low, high in (
        (5.5, (8.0, 10.4), 9.81, 9.7, 9.9),
        (4.3, (14.0, 16.8), 16.05, 0.99 * 16.05, 1.01 * 16.05),
        (7.0, (5.2, 6.4), 6.06, 0.99 * 6.06, 1.01 * 6.06),
    ):
        critical = _critical(slab if height == 5.5 else _Slab(height, NO_LIMITER), guess)
        name = "T14" if height == 5.5 else f"T14.{height}"
        rows.append(
            Row(
                name, f"critical cell density, half height {height} mm", "million/mL", critical, target, low, high, "verification"
            )
        )
    rows.append(_viable_depth())
    default = {"nutrition.glucose_half": 0.05}
    shifted = slab.solve({**_density(4.0), **default})["centre"]["glucose"]
    rows.append(
        Row(
            "T13.limiter",
            "T13 with the default limiter",
            "mM",
            shifted,
            2.076,
            None,
            None,
            "report",
            f"shift {shifted - centre['glucose']:+.4f} mM",
        )
    )
    critical = _critical(slab, (7.0, 14.0))
    rows.append(
        Row(
            "T14.limiter",
            "T14 with the default limiter",
            "million/mL",
            critical,
            9.81,
            None,
            None,
            "report",
            f"shift {critical - 9.81:+.2f}",
        )
    )
    return rows


def _viable_depth() -> Row:
    """The height of a sealed slab whose centre is at 0.5 mM: beyond the viable depth there are no cells and hence no flux."""
    chamber = {"materials.fluid_fraction": per_region(0.95), "nutrition.endplate_level_oxygen": 20.0,
               "nutrition.endplate_level_lactate": 0.0, "nutrition.endplate_level_glucose": 5.0,
               "nutrition.oxygen_porosity_weight": 0.0, "nutrition.glucose_porosity_weight": 0.0}  # fmt: skip
    slab = _Slab(9.4, {**NO_LIMITER, **chamber})
    critical = float(brentq(lambda rho: slab.solve(_density(rho))["centre"]["glucose"] - 0.5, 3.0, 4.2, xtol=1e-7))
    return Row(
        "T15",
        "viable depth x sqrt(cell density), chamber at 20 kPa",
        "mm (million/mL)^0.5",
        9.4 * critical**0.5,
        18.81,
        18.6,
        19.0,
        "verification",
        "lactate production is capped at its peak of 13.8 kPa oxygen; the target lets it fall beyond",
    )


# default_disc.md (f): supply model, setting, (surface glucose, surface lactate, centre glucose, centre lactate, centre pH)
# as printed
SUPPLY: tuple[tuple[str, dict[str, float], tuple[str, ...]], ...] = (
    ("levels", {}, ("4.0", "0.8", "2.16", "3.2", "7.11")),
    ("levels", {"nutrition.endplate_supply_fraction": 0.75}, ("3.0", "0.8", "1.31", "3.0", "7.13")),
    ("levels", {"nutrition.endplate_supply_fraction": 0.5}, ("2.0", "0.8", "0.47", "2.8", "7.15")),
    ("diffusion", {"nutrition.endplate_exchange_length": 0.3}, ("2.9", "2.2", "1.42", "4.2", "7.02")),
    ("diffusion", {"nutrition.endplate_exchange_length": 0.12}, ("1.8", "3.7", "0.60", "5.3", "6.92")),
    ("perfusion", {"nutrition.endplate_clearance": 2e-3}, ("3.8", "1.2", "2.06", "3.5", "7.09")),
    ("perfusion", {"nutrition.endplate_clearance": 5e-4}, ("3.4", "2.1", "1.80", "4.1", "7.03")),
    ("perfusion", {"nutrition.endplate_clearance": 2e-4}, ("2.7", "3.4", "1.37", "5.2", "6.94")),
    ("perfusion", {"nutrition.endplate_clearance": 1e-4}, ("1.9", "5.0", "0.79", "6.5", "6.82")),
    ("perfusion", {"nutrition.endplate_clearance": 8e-5}, ("1.6", "5.7", "0.55", "7.0", "6.77")),
    ("perfusion", {"nutrition.endplate_clearance": 6e-5}, ("1.1", "6.6", "0.22", "7.8", "6.70")),
)


def supply_models() -> list[Row]:
    """The one-dimensional table of supply models: each printed number within its last digit or 1 %, whichever is wider."""
    rows = []
    far = {
        f"nutrition.endplate_{kind}_{name}": value
        for kind in ("far", "level")
        for name, value in (("oxygen", 5.1), ("lactate", 0.8), ("glucose", 4.0))
    }
    names = ("surface glucose", "surface lactate", "centre glucose", "centre lactate", "centre pH")
    for supply, setting, printed in SUPPLY:
        column = Column(column_mesh(5.0, LAYERS, endplate=0.7), {"nutrition.glucose_half": 0.02, **far, **setting}, supply=supply)
        if supply == "levels":
            rules = column.model.composition.boundaries(column.model.parameters.current)
            column.model.nutrients.transport.set_boundaries({n: {"endplate": s["endplate"]} for n, s in rules.items()})
        found = column.solve()
        values = (
            found["surface"]["glucose"],
            found["surface"]["lactate"],
            found["centre"]["glucose"],
            found["centre"]["lactate"],
            found["centre"]["ph"],
        )
        label = f"{supply} {next(iter(setting.values()), 'healthy')}"
        for name, value, text in zip(names, values, printed, strict=True):
            target = float(text)
            slack = max(0.5 * 10.0 ** -len(text.partition(".")[2]), 0.0 if "pH" in name else 0.01 * target) + 1e-9
            unit = "1" if "pH" in name else "mM"
            rows.append(
                Row(f"f.{label}.{name}", f"{name}, {label}", unit, value, target, target - slack, target + slack, "verification")
            )
    return rows


def _laplace(model: DiscModel, w: np.ndarray) -> np.ndarray:
    """Solution of the discrete problem that w obeys.

    div(f grad w) = 0, w given at fixed levels, exchange k (w - w_far) elsewhere.
    """
    state, spaces, transport = model.state, model.spaces, model.nutrients.transport
    v, trial = ufl.TestFunction(spaces.vertex), ufl.TrialFunction(spaces.vertex)

    def law(p: Any, pointwise: Any, nodal: Any, jacobian: Any, masks: Any, dt: Any) -> Any:
        changes = model.point.changes(p, pointwise, nodal, jacobian, masks)
        return model.composition.diffusivities(p, changes.values)["glucose"] / p["nutrition.glucose_in_water"]

    F, J, kin = model.mechanics.F, model.mechanics.J, spaces.kinematics
    pull = ufl.inv(F).T
    form = (
        ufl.inner(state.lowered(law, "share") * J * (pull * kin.gradient(trial)), pull * kin.gradient(v))
        * kin.weight
        * spaces.dx_flux
    )
    n = kin.normal(ufl.FacetNormal(spaces.mesh))
    area = J * ufl.sqrt(ufl.inner(pull * n, pull * n)) * kin.weight
    load = fem.Constant(spaces.mesh, 0.0) * v * spaces.dx_flux
    now = model.parameters.current
    water = {name: now[f"nutrition.{name}_in_water"] for name in ("lactate", "glucose")}
    for surface in ("endplate", "rim"):
        h, far = transport.exchange["glucose", surface]
        k = float(h.value) / water["glucose"]
        w_far = water["lactate"] * float(transport.exchange["lactate", surface][1].value) + 2 * water["glucose"] * float(
            far.value
        )
        form += k * trial * v * area * spaces.ds(SURFACES[surface])
        load += k * w_far * v * area * spaces.ds(SURFACES[surface])
    matrix = fem.petsc.assemble_matrix(spaces.form(form))
    matrix.assemble()
    right = fem.assemble_vector(spaces.form(load)).array
    glucose = model.point.solutes.index("glucose")
    rows = transport._rows[transport._rows % len(transport.names) == glucose] // len(transport.names)
    if len(rows):
        matrix.setOption(PETSc.Mat.Option.KEEP_NONZERO_PATTERN, True)
        matrix.zeroRows(rows.astype(np.int32), diag=1.0)
        right[rows] = w[rows]
    solver = PETSc.KSP().create(PETSc.COMM_SELF)
    solver.setOperators(matrix)
    solver.setType("preonly")
    solver.getPC().setType("lu")
    x, b = PETSc.Vec().createWithArray(np.zeros_like(right)), PETSc.Vec().createWithArray(right)
    solver.solve(b, x)
    return np.array(x.getArray())


@functools.cache
def _supplied(supply: str) -> DiscModel:
    one = scenario(1, 1).with_parameters({"nutrition.supply": supply})
    model = model_of(one)
    model.set_parameters({"loading.active": 0.45})  # a deformed disc
    model.settle()
    return model


def _w(model: DiscModel) -> np.ndarray:
    now, values = model.parameters.current, model.state.solute_values()
    return now["nutrition.lactate_in_water"] * values["lactate"] + 2.0 * now["nutrition.glucose_in_water"] * values["glucose"]


def invariant() -> list[Row]:
    """T09: w = D_L L + 2 D_G G against its own discrete Laplace problem, for the three models of supply, on a deformed disc."""
    rows = []
    for supply in ("levels", "diffusion", "perfusion"):
        model = _supplied(supply)
        w = _w(model)
        worst = float(np.abs(w - _laplace(model, w)).max() / np.abs(w).max())
        holds = supply != "perfusion"
        low, high = (0.0, 1e-9) if holds else (1e-3, None)
        note = "holds" if holds else "must not hold: one clearance for both solutes"
        rows.append(
            Row(
                f"T09.{supply}",
                f"distance of w from its Laplace problem, {supply}",
                "relative",
                worst,
                0.0 if holds else None,
                low,
                high,
                "verification",
                note,
            )
        )
        if supply == "levels":
            for name, value, target in (("low", w.min(), 8.4453e-3), ("high", w.max(), 10.4177e-3)):
                rows.append(
                    Row(
                        f"T09.{name}",
                        f"{name} end of w",
                        "mm2/s mM",
                        float(value),
                        target,
                        target - 5e-8,
                        target + 5e-8,
                        "verification",
                    )
                )
    return rows


def fluxes() -> list[Row]:
    """Outflow of lactate over twice the inflow of glucose through the surface, for the three models of supply."""
    rows = []
    for supply in ("levels", "diffusion", "perfusion"):
        transport = _supplied(supply).nutrients.transport
        ratio = transport.total_outflow("lactate") / (-2.0 * transport.total_outflow("glucose"))
        rows.append(
            Row(
                f"flux.{supply}",
                f"lactate out over 2 x glucose in, {supply}",
                "1",
                ratio,
                1.0,
                1.0 - 1e-8,
                1.0 + 1e-8,
                "verification",
            )
        )
    return rows


def spot_rates() -> list[Row]:
    """The four spot values of the rate laws, to the printed digits."""
    from discsim.laws.metabolism import lactate_production_per_cell, oxygen_consumption_per_cell

    spots = (
        (7.4, 5.0, "158.70", "5.4599"),
        (7.0, 2.0, "76.462", "2.5464"),
        (6.9, 1.0, "60.413", "1.3758"),
        (6.8, 1.0, "55.048", "1.3583"),
    )
    rows = []
    for ph, oxygen, lactate, use in spots:
        for name, law, text in (("lactate", lactate_production_per_cell, lactate), ("oxygen", oxygen_consumption_per_cell, use)):
            target, slack = float(text), 0.5 * 10.0 ** -len(text.partition(".")[2])
            rows.append(
                Row(
                    f"spot.{name}.{ph}",
                    f"{name} rate at pH {ph}, {oxygen} kPa",
                    "nmol/(million cells h)",
                    float(law(ph, oxygen)),
                    target,
                    target - slack,
                    target + slack,
                    "verification",
                )
            )
    return rows


CASES = [
    Case("slabs", "transport", "slabs and chamber with the limiter off (T13-T15), then the limiter's shift", slabs),
    Case("supply_models", "transport", "three models of supply in one dimension (default_disc f)", supply_models),
    Case("invariant", "transport", "w is the solution of its own discrete Laplace problem (T09)", invariant),
    Case("fluxes", "transport", "lactate out is twice glucose in", fluxes),
    Case("spot_rates", "transport", "spot values of the rate laws", spot_rates),
]
