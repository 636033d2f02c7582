"""One state of one disc in both engines: random admissible states, and every quantity of a step by either of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import scipy.sparse as sparse

from discsim.disc.disc import Disc
from discsim.fem.disc_model import DiscModel, disc_model
from discsim.fem.nutrients import LEDGER
from discsim.fem.ranks import Ranks, SharedMatrix
from discsim.problem.problem import Arm, Problem, build_problem
from discsim.quantities.parameters import REGIONS, Parameter
from discsim.scenario.readouts import READOUTS
from discsim.scenario.scenario import Scenario
from discsim.scenario.therapy import GeneTherapy, StemCellInjection
from discsim.sweep.engine import discretisation_of, prepare
from discsim.sweep.kernels import Kernels, layout_of
from discsim.sweep.linsolve import Pattern

# Where solutes and states are drawn; the ranges of the laws' own tests (``test_lowering``).
FIELD_RANGES = {
    "oxygen": (0.1, 7.0),
    "glucose": (0.1, 5.0),
    "lactate": (0.1, 8.0),
    "cell_density": (100.0, 6e3),
    "gag": (5.0, 60.0),
}
KIND_RANGES = {"cells": (0.0, 3e3), "matrix": (0.0, 1e7), "per_cell": (0.0, 1.0), "signal": (0.1, 50.0)}
NOISE = 0.004  # mm, of single nodes
DRAWS = 20
PARAMETER_SHARE = 0.3  # of the way from the default to a random place within the bounds


def everything(disc: Disc, **changes: str) -> Problem:
    """Every mechanism of the catalogue (gene expression twice), every readout; ``changes`` are paths with ``__`` for the dot."""
    scenario = Scenario(disc, duration="1 year").with_therapy(
        StemCellInjection(), GeneTherapy(vector="scAAV6", transgene="TIMP3"), GeneTherapy(vector="scAAV6", transgene="TGFB1")
    )
    scenario = scenario.with_parameters({path.replace("__", "."): value for path, value in changes.items()})
    return build_problem({"all": scenario}, readouts=tuple(READOUTS), field_times=())


class Twins:
    """A compiled model of the reference engine and the kernels of the sweep engine, given one state at a time.

    Each method returns (reference, sweep), arrays in one numbering; ``kernels`` are those that a run of one lane uses.
    """

    def __init__(self, problem: Problem) -> None:
        prepare()
        arm = problem.arms[0]
        self.problem, self.declared = problem, declared_parameters(problem)
        self.model: DiscModel = disc_model(problem, arm)
        self.discretisation = discretisation_of(arm.mesh)
        self.kernels = Kernels(problem, self.discretisation, layout_of(problem))
        self.points = jnp.asarray(self.discretisation.points_of(arm.mesh))
        self.corners = self.model.spaces.corner_dofs
        self.solute_names, self.signal_names = self.model.point.solutes, self.model.point.signals

    # ---- states

    def draw(self, random: np.random.Generator) -> None:
        """Random parameters within their bounds, random fields, a random finite deformation with a random prestress."""
        for _ in range(DRAWS):
            self._draw(random)
            if self.margins()[0].min() > 0.0:  # the laws have no value where all fluid is pressed out
                return
        raise AssertionError(f"no admissible state in {DRAWS} draws")

    def _draw(self, random: np.random.Generator) -> None:
        names = self.kernels.forms.pointwise_names
        self._set_arm(random)
        fields, size = self.problem.composition.fields, self.corners.shape

        def within(name: str, shape: Any) -> np.ndarray:
            return random.uniform(*(FIELD_RANGES.get(name) or KIND_RANGES[fields[name].kind]), shape)

        self.pointwise = np.stack([within(name, size) for name in names])
        vertices = len(self.points)
        self.solutes = np.stack([within(name, vertices) for name in self.solute_names], 1)
        self.signals = np.stack([within(name, vertices) for name in self.signal_names], 1)
        self.old_signals = np.stack([within(name, vertices) for name in self.signal_names], 1)
        self.load, self.ramp, self.dt = random.uniform(0.05, 0.5), random.uniform(0.3, 1.0), random.uniform(1e4, 1e7)
        self.q = self._deformation(random)
        self._draw_prestress(random)
        self._store()

    def _set_arm(self, random: np.random.Generator) -> None:
        arm = self.problem.arms[0]
        values = {
            path: _drawn(parameter, arm.values[path], random) for path, parameter in self.declared.items() if path in arm.values
        }
        self.arm: Arm = dataclasses.replace(arm, values={**arm.values, **values})
        self.model.start_arm(self.problem, self.arm)
        self.row = self.kernels.layout.pack(self.arm.values)[None]

    def _deformation(self, random: np.random.Generator) -> np.ndarray:
        """Stretches of a few per cent, bulging away from the plate, and on top of them displacements of single nodes."""
        spaces, constraint = self.model.spaces, self.model.mechanics.constraint
        x = spaces.displacement.tabulate_dof_coordinates()[:, : spaces.dim]
        moved = x * random.uniform(-0.02, 0.02, spaces.dim) * (1.0 - (x[:, -1:] / x[:, -1].max()) ** 2)
        moved[:, -1] = random.uniform(-0.04, 0.04) * x[:, -1]
        moved += random.uniform(-NOISE, NOISE, x.shape)
        ones = constraint.T @ np.ones(constraint.shape[0])
        mean: np.ndarray = (constraint.T @ moved.reshape(-1)) / ones
        return mean

    def _draw_prestress(self, random: np.random.Generator) -> None:
        pattern = self.kernels.forms.mechanics.kinematics.pattern
        like = self.kernels.forms.mechanics.no_prestress(self.kernels.tables)
        self.prestress = np.asarray(like) + random.uniform(-0.02, 0.02, like.shape)
        full = self.model.mechanics.prestress.x.array.reshape(*like.shape[1:], 3, 3)
        full[:] = 0.0
        for (i, j), component in zip(pattern, self.prestress, strict=True):
            full[:, :, i, j] = component

    def _store(self) -> None:
        """The state drawn, in the reference engine."""
        model, state = self.model, self.model.state
        for name, values in zip(self.kernels.forms.pointwise_names, self.pointwise, strict=True):
            state.pointwise[name].x.array[self.corners] = values
        state.solutes.x.array[:] = self.solutes.reshape(-1)
        assert state.signals is not None and model.signalling is not None
        state.signals.x.array[:] = self.signals.reshape(-1)
        model.signalling.old.x.array[:] = self.old_signals.reshape(-1)
        model.signalling.inverse_dt.value = 1.0 / self.dt
        state.dt.value, model.mechanics.ramp.value = self.dt, self.ramp
        model.mechanics.set_state(self.q)
        kernels = self.kernels
        self.deformed = kernels.deformed(kernels.tables, self.points, self.q[None])
        self.rest = kernels.rest(kernels.tables, self.points)

    # ---- mechanics

    def forces(self) -> tuple[np.ndarray, np.ndarray]:
        """Out-of-balance force of every free displacement, N."""
        mechanics = self.model.mechanics
        mechanics._load[:] = 0.0
        mechanics._load[mechanics.plate_column] = -self.load * mechanics.area
        found, _ = self._mechanics()
        return mechanics._reduced_residual(self.q), found

    def margins(self) -> tuple[np.ndarray, np.ndarray]:
        """Least distance of the volume ratio from its bound, at the strain points and at vertices."""
        mechanics, kernels = self.model.mechanics, self.kernels
        reference = [mechanics._margin().min(), mechanics._corner_margin().min()]
        deformed = kernels.deformed(kernels.tables, self.points, self.q[None])
        at_corners = kernels.corner_margin(kernels.tables, self.row, deformed["corner_jacobian"])
        return np.array(reference), np.array([float(self._mechanics()[1]), float(at_corners[0])])

    def _mechanics(self) -> tuple[np.ndarray, Any]:
        kernels, gag = self.kernels, self.pointwise[self.kernels.forms.gag][None]
        force, margin = kernels.mechanics_residual(
            kernels.tables, self.rest, self.row, gag, self._setting(), self.q[None], np.array([self.load]), self.ramp
        )
        return np.asarray(force[0]), margin[0]

    def _setting(self) -> Any:
        return self.kernels.mechanics_setting(self.kernels.tables, self.rest, self.row, self.prestress[None])

    def stiffness(self) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
        """Derivative of the forces."""
        kernels, gag = self.kernels, self.pointwise[self.kernels.forms.gag][None]
        entries = kernels.mechanics_tangent(kernels.tables, self.rest, self.row, gag, self._setting(), self.q[None], self.ramp)
        return _csr(self.model.mechanics._reduced_jacobian(self.q)), assembled(kernels.mechanics_pattern(), entries[0])

    def prestresses(self) -> tuple[np.ndarray, np.ndarray]:
        """Prestress after the present shape became the reference shape."""
        mechanics, kernels = self.model.mechanics, self.kernels
        full = mechanics._update().reshape(*self.prestress.shape[1:], 3, 3)
        pattern = kernels.forms.mechanics.kinematics.pattern
        renewed = kernels.renewed_prestress(kernels.tables, self.points, self.prestress[None], self.q[None])[0]
        return np.stack([full[:, :, i, j] for i, j in pattern]), np.asarray(renewed)

    # ---- solutes and signals

    def solute_balances(self) -> tuple[np.ndarray, np.ndarray]:
        """Balance of every solute at every vertex, (vertices, solutes)."""
        kernels, like = self.kernels, self.solutes.shape
        reference = self.model.nutrients.transport.residual(self.solutes.reshape(-1)).reshape(like).copy()
        return reference, np.asarray(kernels.solute_residual(*self._solute_arguments())[0]).reshape(like)

    def solute_tangents(self) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
        """Derivative of the balances of the solutes, with the cells eliminated."""
        kernels = self.kernels
        diffusion = kernels.forms.solutes
        pattern = kernels.nodal_pattern(len(self.solute_names), diffusion.fixed, diffusion.coupled)
        entries = kernels.solute_tangent(*self._solute_arguments())
        return _tangent(self.model.nutrients.transport, self.solutes), assembled(pattern, entries[0])

    def _solute_arguments(self) -> tuple[Any, ...]:
        pointwise, signals, c = self.pointwise[None], self.signals[None], self.solutes.reshape(1, -1)
        shape = self.deformed
        if self.kernels.fixed_solute_spread:  # as a run has it: worked out once a solve, at whatever values that began with
            given = (self.kernels.tables, self.row, shape, pointwise, signals, 0.6 * self.solutes[None])
            shape = shape | {"spread": self.kernels.solute_spread(*given)}
        return self.kernels.tables, self.row, shape, pointwise, signals, c, np.array([self.dt])

    def signal_balances(self) -> tuple[np.ndarray, np.ndarray]:
        """Balance of every signal at every vertex over a step, (vertices, signals)."""
        kernels, like = self.kernels, self.signals.shape
        assert self.model.signalling is not None
        reference = self.model.signalling.transport.residual(self.signals.reshape(-1)).reshape(like).copy()
        found = kernels.signal_residual(*self._signal_arguments(), self.old_signals[None], np.array([1.0 / self.dt]))
        return reference, np.asarray(found[0]).reshape(like)

    def signal_tangents(self) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
        """Derivative of the balances of the signals."""
        kernels = self.kernels
        assert self.model.signalling is not None and kernels.forms.signals is not None
        diffusion = kernels.forms.signals
        pattern = kernels.nodal_pattern(len(self.signal_names), diffusion.fixed, diffusion.coupled)
        entries = kernels.signal_tangent(*self._signal_arguments(), np.array([1.0 / self.dt]))
        return _tangent(self.model.signalling.transport, self.signals), assembled(pattern, entries[0])

    def _signal_arguments(self) -> tuple[Any, ...]:
        pointwise, c, shape = self.pointwise[None], self.solutes[None], self.deformed
        if self.kernels.fixed_signal_spread:
            given = (self.kernels.tables, self.row, shape, pointwise, c, 0.6 * self.signals[None])
            shape = shape | {"spread": self.kernels.signal_spread(*given)}
        return self.kernels.tables, self.row, shape, pointwise, c, self.signals.reshape(1, -1)

    def volumes(self) -> tuple[np.ndarray, np.ndarray]:
        """Current volume of every vertex, mm3."""
        found = self.kernels.volumes(self.kernels.tables, self.deformed, self.solutes[None, :, 0])
        return self.model._vertex_volumes(), np.asarray(found[0])

    # ---- pointwise advance and readouts

    def advanced(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Cells, matrix and per-cell states after ``dt``, and the ledger of every kind of cells."""
        kernels, model = self.kernels, self.model
        given = (kernels.tables, self.row, self.deformed, self.pointwise[None], self.signals[None], self.solutes[None])
        new, ledger = (np.asarray(part[0]) for part in kernels.advance(*given, np.array([self.dt])))
        rows, names = model.nutrients._advance(), kernels.forms.pointwise_names
        reference = dict(zip(model.point.cells, rows, strict=False))
        for name, values in reference.items():
            model.state.pointwise[name].x.array[:] = values
        reference |= dict(zip(model.point.others, model._others(), strict=True))
        found = {name: (values[self.corners], new[names.index(name)]) for name, values in reference.items()}
        totals = rows[len(model.point.cells) :] @ model.spaces.corner_volume
        found |= {
            f"ledger of {name}": (totals[len(LEDGER) * i : len(LEDGER) * (i + 1)], ledger[i])
            for i, name in enumerate(model.point.cells)
        }
        for name, values in zip(names, self.pointwise, strict=True):
            model.state.pointwise[name].x.array[self.corners] = values
        return found

    def named_values(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Every field, drive and derived value that a picture may show, at (cell, vertex) pairs."""
        kernels = self.kernels
        state = (self.pointwise[None], self.solutes[None], self.signals[None], self.q[None])
        found = kernels.values(kernels.tables, self.points, self.row, self.deformed, state)
        reference = dict(zip(self.model.value_names, self.model.values_at_corners(), strict=True))
        return {name: (values[self.corners], np.asarray(found[name][0])) for name, values in reference.items()}

    def readouts(self) -> tuple[np.ndarray, np.ndarray]:
        """Every readout that there is."""
        kernels = self.kernels
        state = (self.pointwise[None], self.solutes[None], self.signals[None], self.q[None])
        found = kernels.read(kernels.tables, self.points, self.row, self.deformed, state)[0]
        snapshot = self.model.snapshot()
        return np.array([float(readout.function(snapshot)) for readout in self.problem.readouts]), np.asarray(found)


def declared_parameters(problem: Problem) -> dict[str, Parameter]:
    """Declared parameters of mechanisms and material by path."""
    material = problem.material
    return dict(problem.composition.parameters) | {f"{material.label}.{k}": p for k, p in material.parameters().items()}


def _drawn(parameter: Parameter, value: Any, random: np.random.Generator) -> Any:
    """A random value between bounds, nearer to the given one: bounds of many parameters at once leave what discs are."""

    def one(number: float, region: str | None) -> float:
        low, high = parameter.bounds_of(region)
        return number + PARAMETER_SHARE * (random.uniform(low, high) - number)

    if isinstance(value, Mapping):
        return {region: one(value[region], region) for region in REGIONS}
    return one(value, None)


def assembled(pattern: Pattern, entries: Any) -> sparse.csr_matrix:
    """The matrix of some element entries, held rows included."""
    given = np.concatenate([np.asarray(entries).reshape(-1)[pattern.keep], np.ones(len(pattern.held))])
    return sparse.csr_matrix((given, pattern.keys()), shape=(pattern.size, pattern.size))


def _tangent(transport: Any, values: np.ndarray) -> sparse.csr_matrix:
    """As the solver takes it: with the rows of fixed levels replaced by those of the identity."""
    part = transport._jacobian(values.reshape(-1))
    matrix = SharedMatrix(Ranks(), part)
    matrix.take(part, transport._rows)
    return _csr(matrix.whole)


def _csr(matrix: Any) -> sparse.csr_matrix:
    indptr, indices, data = matrix.getValuesCSR()
    return sparse.csr_matrix((data.copy(), indices.copy(), indptr.copy()), shape=matrix.getSize())
