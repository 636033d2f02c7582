"""Discs for the cases: a compiled model at its start, readouts of its present state, means over a tagged surface."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from discsim.disc.disc import Disc
from discsim.disc.mesh import SURFACES, Mesh
from discsim.fem.backend import fem, ufl
from discsim.fem.disc_model import DiscModel, disc_model
from discsim.fem.homeostasis import start_from_homeostasis
from discsim.problem.problem import Arm, Problem, build_problem
from discsim.scenario.readouts import READOUTS
from discsim.scenario.scenario import Scenario


def scenario(grade: int, mesh_level: int, **parameters: Any) -> Scenario:
    """A disc of a grade; ``parameters`` are constructor arguments of ``Scenario`` (mechanisms, therapies, duration, ...)."""
    return Scenario(Disc.preset("L4-L5", grade=grade, mesh_level=mesh_level), **parameters)


def with_values(arm: Arm, values: Mapping[str, Any]) -> Arm:
    """The arm with numbers in internal units by path, whatever the bounds of the parameters."""
    unknown = [path for path in values if path not in arm.values]
    if unknown:
        raise KeyError(f"{unknown[0]}: no such number in the arm")
    return dataclasses.replace(arm, values={**arm.values, **values})


def problem_of(one: Scenario, values: Mapping[str, Any] | None = None) -> Problem:
    """The problem of one scenario, with numbers set as in ``with_values``."""
    problem = build_problem({"disc": one}, readouts=(), field_times=())
    return dataclasses.replace(problem, arms=(with_values(problem.arms[0], values or {}),))


def model_of(one: Scenario, values: Mapping[str, Any] | None = None, mesh: Mesh | None = None) -> DiscModel:
    """The compiled model of a scenario, at its start state (no events, no doses), on its own mesh or on another."""
    import jax

    jax.config.update("jax_enable_x64", True)  # as at the door of the engine
    problem = problem_of(one, values)
    if mesh is not None:
        problem = dataclasses.replace(problem, arms=(dataclasses.replace(problem.arms[0], mesh=mesh),))
    model = disc_model(problem, problem.arms[0])
    if one.start == "homeostasis":
        start_from_homeostasis(model)
    else:
        model.start_from_preset()
    return model


def read(model: DiscModel, *names: str) -> dict[str, float]:
    """Readouts of the model's present state."""
    snapshot = model.snapshot()
    return {name: float(READOUTS[name].function(snapshot)) for name in names}


class SurfaceMeans:
    """Area means of the solutes over tagged surfaces of the deformed disc: int c J |F^-T N| w dA / int J |F^-T N| w dA."""

    def __init__(self, model: DiscModel) -> None:
        spaces, F, J = model.spaces, model.mechanics.F, model.mechanics.J
        n = spaces.kinematics.normal(ufl.FacetNormal(spaces.mesh))
        pulled = ufl.inv(F).T * n
        area = J * ufl.sqrt(ufl.inner(pulled, pulled)) * spaces.kinematics.weight
        self._area = {s: spaces.form(area * spaces.ds(SURFACES[s])) for s in ("endplate", "rim")}
        self._amount = {
            (s, name): spaces.form(model.state.solutes[i] * area * spaces.ds(SURFACES[s]))
            for s in self._area for i, name in enumerate(model.point.solutes)
        }  # fmt: skip

    def __call__(self) -> dict[tuple[str, str], float]:
        """Present means by (surface, solute)."""
        areas = {surface: fem.assemble_scalar(form) for surface, form in self._area.items()}
        return {(s, name): float(fem.assemble_scalar(form) / areas[s]) for (s, name), form in self._amount.items()}
