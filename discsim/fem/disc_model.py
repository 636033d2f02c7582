"""One compiled disc: spaces, forms, solvers. Built once per mesh and structure; new numbers compile and trace nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from discsim.disc.mesh import REGIONS, Mesh
from discsim.fem.mechanics import Mechanics
from discsim.fem.nutrients import Nutrients
from discsim.fem.parameters import FormParameters
from discsim.fem.ranks import Ranks
from discsim.fem.signalling import Signalling
from discsim.fem.spaces import Spaces
from discsim.fem.state import FieldState
from discsim.problem.point import PointModel
from discsim.problem.problem import Arm, Problem
from discsim.scenario.loading import effective_load
from discsim.scenario.snapshot import Snapshot
from discsim.scenario.therapy import Dose

_CACHE: dict[tuple[Any, ...], DiscModel] = {}


def disc_model(problem: Problem, arm: Arm, ranks: Ranks | None = None) -> DiscModel:
    """The compiled model for an arm: taken from memory where mesh and structure are those of an earlier run."""
    ranks = ranks or Ranks()
    key = (arm.mesh.hash, problem.composition.structure, type(problem.material), arm.chosen["loading.plate"], ranks.count)
    if key not in _CACHE:
        if len(_CACHE) >= 6:  # forms hold meshes and matrices; a study needs one or two
            _CACHE.pop(next(iter(_CACHE)))
        _CACHE[key] = DiscModel(arm.mesh, problem, arm, ranks)
    model = _CACHE[key]
    model.start_arm(problem, arm)
    return model


class DiscModel:
    """The disc as the reference engine sees it: state, parameters, and the four solvers of a step."""

    def __init__(self, mesh: Mesh, problem: Problem, arm: Arm, ranks: Ranks | None = None) -> None:
        self.spaces = Spaces(mesh, ranks)
        self.point = PointModel(problem.composition, problem.material)
        self.parameters = FormParameters(self.spaces, arm.values)
        self.mechanics = Mechanics(self.spaces, self.point, self.parameters, arm.chosen["loading.plate"])
        self.state = FieldState(self.spaces, self.point, self.parameters, self.mechanics)
        self.nutrients = Nutrients(self.state)
        self.signalling = Signalling(self.state) if self.point.signals else None
        self._others = self.spaces.at_corners(self._lower_others())
        self._lower_snapshot()
        self._prestress: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._geometry()

    def _lower_others(self) -> list[Any]:
        advance = self.state.lowered(self.point.advance_others, "advance_others")
        return [advance[name] for name in self.point.others]

    def _lower_snapshot(self) -> None:
        def law(p: Any, pointwise: Any, nodal: Any, jacobian: Any, masks: Any, dt: Any) -> Any:
            changes = self.point.changes(p, pointwise, nodal, jacobian, masks)
            current = {name: changes.values[name] for name in self.point.composition.fields}
            return current | self.point.derived(changes, p, pointwise, jacobian)

        named = self.state.lowered(law, "snapshot")
        self.value_names = tuple(named)
        self.values_at_corners = self.spaces.at_corners(list(named.values()))
        self._jacobian = self.spaces.at_corners([self.mechanics.J])
        self._masks = {
            f"in_{name}": np.repeat((self.spaces.regions == tag)[:, None], self.spaces.corner_dofs.shape[1], 1)
            for name, tag in REGIONS.items()
        }

    def _geometry(self) -> None:
        spaces = self.spaces
        x = spaces.positions()
        distance = x[:, 0] if spaces.dim == 2 else np.hypot(x[:, 0], x[:, 1])
        self._radius, self._height = spaces.corner_array(distance), spaces.corner_array(x[:, -1])
        self.corner_masks = {name: self._scatter(mask.astype(float)) for name, mask in self._masks.items()}
        # lowest lying column of the nucleus: its radius and half height, for boluses
        nucleus = self.corner_masks["in_NP"] > 0.0
        self._nucleus_size = float(self._radius[nucleus].max()), float(self._height[nucleus].max())

    def _scatter(self, by_cell: np.ndarray) -> np.ndarray:
        values = np.empty(self.spaces.corner_dofs.size)
        values[self.spaces.corner_dofs.reshape(-1)] = by_cell.reshape(-1)
        return values

    @property
    def share(self) -> float:
        """Whole disc over modelled part."""
        return self.spaces.source.symmetry_factor

    def start_arm(self, problem: Problem, arm: Arm) -> None:
        """Set an arm's numbers and forget everything of the arm before."""
        self.composition, self.material = problem.composition, problem.material
        self.chosen = dict(arm.chosen)
        self.set_parameters(arm.values)
        self.mechanics.solver.absolute = problem.tolerances.force
        self.nutrients.transport.solver.absolute = problem.tolerances.rate
        for solver in self.solvers():
            solver.forget()

    def solvers(self) -> list[Any]:
        """The Newton solvers, for their counters."""
        found = [self.mechanics.solver, self.nutrients.transport.solver]
        return [*found, self.signalling.transport.solver] if self.signalling else found

    def set_parameters(self, values: Mapping[str, Any]) -> None:
        """New parameter values (all, or those that an event changes)."""
        self.parameters.set(values)
        now = self.parameters.current
        rules = self.composition.boundaries(now)
        self.nutrients.transport.set_boundaries(rules)
        if self.signalling:
            self.signalling.transport.set_boundaries(rules)
        self.load = effective_load(now["loading.rest"], now["loading.active"], now["loading.rest_share"])

    def start_from_preset(self) -> None:
        """Composition and cells of the disc, prestressed at the effective load, quasi-steady solutes."""
        self.set_initial_fields()
        self.set_prestress()
        self.settle()

    def start_undeformed(self) -> None:
        """Composition in the reference shape and quasi-steady solutes there; no mechanics (for tests of transport)."""
        self.set_initial_fields()
        self.mechanics.set_state(np.zeros_like(self.mechanics.q))
        self._solve_solutes(0.0)

    def set_initial_fields(self) -> None:
        """Composition and cells of the disc; solutes at their highest supply level; no signals."""
        prefix = f"{self.material.label}."
        cells = self.spaces.regions
        at_cells = {
            path[len(prefix) :]: self.parameters.at_cells(path, self.spaces.regions)
            for path in self.parameters.current
            if path.startswith(prefix)
        }
        material = self.material.bind(at_cells)
        for name, function in self.state.pointwise.items():
            value = np.broadcast_to(material.initial(self.composition.fields[name].initial), len(cells))
            function.x.array[:] = self._scatter(np.repeat(value[:, None], self.spaces.corner_dofs.shape[1], 1))
        levels = self._start_levels()
        for name, values in self.state.solute_values().items():
            values[:] = levels[name]
        for name, values in self.state.signal_values().items():
            values[:] = float(self.composition.fields[name].initial)

    def _start_levels(self) -> dict[str, float]:
        rules = self.composition.boundaries(self.parameters.current)
        return {
            name: max([float(rule.level) for rule in rules[name].values()], default=float(self.composition.fields[name].initial))
            for name in self.point.solutes
        }

    def set_prestress(self) -> None:
        """Find the prestress, or take it from an earlier arm with the same person (material, composition, load)."""
        digest = hashlib.sha256(self.mechanics.gag.x.array.tobytes() + repr(self.load).encode())
        for path in sorted(self.parameters.current):
            if path.startswith(f"{self.material.label}."):
                digest.update(f"{path}={self.parameters.current[path]}".encode())
        key = digest.hexdigest()
        if key in self._prestress:
            prestress, q = self._prestress[key]
            self.mechanics.prestress.x.array[:] = prestress
            self.mechanics.set_state(q)
            self.mechanics.last_load = self.load
        else:
            self.mechanics.find_prestress(self.load)
            self._prestress[key] = (self.mechanics.prestress.x.array.copy(), self.mechanics.q.copy())
        self.mechanics.solver.forget()

    def settle(self) -> None:
        """Equilibrium and quasi-steady solutes of the present cells and matrix; no time passes."""
        self._solve_mechanics()
        self._solve_solutes(0.0)

    def step(self, dt: float) -> dict[str, dict[str, float]]:
        """Advance by ``dt`` (s): solutes with cells, matrix, signals, shape; returns the ledger of cells.

        First order in time (each part is solved once, with the others as they are). Raises ``StepFailed``; the caller
        restores the state.
        """
        ledger = self._solve_solutes(dt)
        values = self._others()
        for name, new in zip(self.point.others, values, strict=True):
            self.state.pointwise[name].x.array[:] = new
        if self.signalling:
            self.signalling.solve(dt)
        self._solve_mechanics()
        return ledger

    def _solve_solutes(self, dt: float) -> dict[str, dict[str, float]]:
        cells, ledger = self.nutrients.solve(dt)
        for name, new in cells.items():
            self.state.pointwise[name].x.array[:] = new
        return ledger

    def _solve_mechanics(self) -> None:
        before = self._vertex_volumes() if self.signalling else None
        self.mechanics.reach(self.load)
        if self.signalling and before is not None:
            self.signalling.reshape(before, self._vertex_volumes())

    def _vertex_volumes(self) -> np.ndarray:
        volume = self._jacobian()[0] * self.spaces.corner_volume
        index = np.empty(volume.size, dtype=np.int64)
        index[self.spaces.corner_dofs.reshape(-1)] = self.spaces.vertex_of_corner.reshape(-1)
        return np.bincount(index, weights=volume, minlength=self.spaces.positions().shape[0])

    def deposit(self, dose: Dose) -> float:
        """Add a dose; returns the amount of the whole disc found on the mesh by the scheme's own quadrature."""
        shape = dose.place.shape(
            np, self._radius, self._height, *self._nucleus_size, self.corner_masks[f"in_{dose.place.region}"]
        )
        amount = dose.amount / self.share
        if dose.field in self.state.pointwise:
            added = amount * shape / (shape @ self.spaces.corner_volume)
            self.state.pointwise[dose.field].x.array[:] += added
            return float(added @ self.spaces.corner_volume) * self.share
        volume = self._vertex_volumes()
        at_vertices = np.zeros_like(volume)
        index = self.spaces.vertex_of_corner.reshape(-1)
        np.maximum.at(at_vertices, index, shape[self.spaces.corner_dofs.reshape(-1)])
        added = amount * at_vertices / (at_vertices @ volume)
        self.state.signal_values()[dose.field][:] += added
        return float(added @ volume) * self.share

    def totals(self) -> dict[str, float]:
        """Amount of every cells field in the whole disc."""
        return {
            name: float(self.state.pointwise[name].x.array @ self.spaces.corner_volume) * self.share for name in self.point.cells
        }

    def snapshot(self) -> Snapshot:
        """The present state for readouts."""
        values = dict(zip(self.value_names, self.values_at_corners(), strict=True)) | self.corner_masks
        kinds = {name: field.kind for name, field in self.composition.fields.items()}
        force = self.load * self.mechanics.area * (self.share / 2.0)
        return Snapshot(values, self.spaces.corner_volume * self.share, kinds, self.mechanics.height(), force)

    def frame_arrays(self) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Fields as (cells, vertices per cell) in the mesh's own numbering of cells' vertices, and displacement at vertices."""
        named = dict(zip(self.value_names, self.values_at_corners(), strict=True))
        corners = {name: values[self.spaces.corner_dofs] for name, values in named.items()}
        return corners, self._vertex_displacement()

    def _vertex_displacement(self) -> np.ndarray:
        spaces = self.spaces
        blocks = self.mechanics.u.x.array.reshape(-1, spaces.dim)
        corner_blocks = spaces.displacement.dofmap.list[:, : spaces.dim + 1]  # P2: vertices come first
        moved = np.empty((spaces.positions().shape[0], spaces.dim))
        moved[spaces.vertex_of_corner.reshape(-1)] = blocks[corner_blocks.reshape(-1)]
        return moved
