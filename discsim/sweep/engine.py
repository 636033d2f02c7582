"""The sweep engine: the same disc in JAX, many samples and arms, without DOLFINx."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax

from discsim.problem.discretisation import Discretisation, DiscretisationError
from discsim.problem.engine import Engine, Progress, ProgressHook
from discsim.problem.problem import SWEEP_TOLERANCES, Arm, Problem
from discsim.problem.record import ArmRecord
from discsim.problem.steps import fallback_steps, steps_through
from discsim.problem.tables import cache_folder, stored_discretisation
from discsim.sweep.batch import BatchRun
from discsim.sweep.block_tridiagonal import BlockTridiagonal
from discsim.sweep.dosing import Deposits
from discsim.sweep.kernels import Kernels, layout_of
from discsim.sweep.linsolve import LinearSolver, SparseDirect
from discsim.sweep.model import LaneModel

SOLVERS: dict[str, type[LinearSolver]] = {"sparse": SparseDirect, "block": BlockTridiagonal}


class SweepEngine(Engine):
    """Finite elements in JAX, on arrays that ``fem.tabulate`` made once per mesh.

    ``lanes``: how many samples of an arm are worked on together (1 on a processor, where each fits the cache; 64 on a GPU);
    ``device``: "cpu" or "gpu"; ``linear_solver``: "sparse" (SciPy, kept factors) or "block" (JAX alone); the default follows
    the device.
    """

    name = "sweep"

    def __init__(self, *, lanes: int | None = None, device: str = "cpu", linear_solver: str | None = None) -> None:
        if lanes is not None and lanes < 1:
            raise ValueError(f"lanes: {lanes}; at least 1")
        solver = linear_solver or ("block" if device == "gpu" else "sparse")
        if solver not in SOLVERS:
            raise ValueError(f"linear solver {solver!r} is not known; there are {', '.join(SOLVERS)}")
        prepare(device)
        self.lanes = lanes or (64 if device == "gpu" else 1)
        self.tolerances = SWEEP_TOLERANCES
        self._solver = SOLVERS[solver]
        self._models: dict[Any, tuple[LaneModel, Discretisation]] = {}

    def choose_steps(self, problem: Problem, report: Callable[[float, int], None] | None = None) -> tuple[float, ...]:
        """The step list of a study (times in s): that of the arm with most events, run once as a pilot."""
        return self._pilot(problem)[0]

    def run_many(
        self, problems: Sequence[Problem], steps: tuple[float, ...], report: Callable[[int], None] | None = None
    ) -> list[list[ArmRecord]]:
        """Every arm of every problem (one per sample, all of one structure) on one step list; ``report(arms done)``.

        Never raises for a failed sample: its records carry status and reason.
        """
        problems = [dataclasses.replace(problem, tolerances=self.tolerances) for problem in problems]
        found: list[list[ArmRecord]] = [[] for _ in problems]
        done = 0
        for chunk in self._chunks(problems):
            for index in range(len(problems[0].arms)):
                lanes = [(problems[i], problems[i].arms[index]) for i in chunk]
                records = self._batch(lanes).follow([steps_through(steps, problem) for problem, _ in lanes])
                for i, record in zip(chunk, records, strict=True):
                    found[i].append(record)
                done += len(chunk)
                if report is not None:
                    report(done)
        return found

    def run(
        self, problem: Problem, progress: ProgressHook | None = None, steps: tuple[float, ...] | None = None
    ) -> list[ArmRecord]:
        """Solve every arm of one problem, on a given step list or on that of a pilot."""
        count = len(problem.arms)
        if steps is None:
            steps, pilot = self._pilot(problem)
            if count == 1:
                return [pilot]
            if pilot.failure is not None:
                steps = fallback_steps(problem, steps)
        records = []
        for index, arm in enumerate(problem.arms):
            hook = _hook(progress, arm, index, count)
            records += self._batch([(problem, arm)]).follow([steps], hook)
        return records

    def batch(self, problem: Problem, arm: Arm) -> BatchRun:
        """One arm ready to run (for gradients)."""
        return self._batch([(problem, arm)])

    def _pilot(self, problem: Problem) -> tuple[tuple[float, ...], ArmRecord]:
        arm = max(enumerate(problem.arms), key=lambda item: (len(item[1].doses) + len(item[1].changes), item[0]))[1]
        run = self._batch([(problem, arm)])
        return run.choose_steps(), run.lanes[0].record

    def _chunks(self, problems: Sequence[Problem]) -> Iterator[list[int]]:
        """Neighbours that share the mesh of each arm, as many as there are lanes."""
        chunk: list[int] = []
        for i, problem in enumerate(problems):
            alike = chunk and [a.mesh.hash for a in problem.arms] == [a.mesh.hash for a in problems[chunk[0]].arms]
            if chunk and (not alike or len(chunk) == self.lanes):
                yield chunk
                chunk = []
            chunk.append(i)
        if chunk:
            yield chunk

    def _batch(self, lanes: list[tuple[Problem, Arm]]) -> BatchRun:
        problem, arm = lanes[0]
        model, discretisation = self.model(problem, arm)
        points = discretisation.points_of(arm.mesh)
        if model.mesh_hash != arm.mesh.hash:
            model.set_points(points)
            model.mesh_hash = arm.mesh.hash
        return BatchRun(model, lanes, Deposits(discretisation))

    def model(self, problem: Problem, arm: Arm) -> tuple[LaneModel, Discretisation]:
        """Solvers and discretisation of an arm, made once for all arms of one structure."""
        layout = layout_of(problem)
        discretisation = discretisation_of(arm.mesh)
        readouts = tuple(readout.name for readout in problem.readouts)
        key = (
            discretisation.topology,
            problem.composition.structure,
            type(problem.material),
            arm.chosen["loading.plate"],
            layout.key,
            readouts,
        )
        if key not in self._models:
            if len(self._models) >= 4:
                self._models.pop(next(iter(self._models)))
            kernels = Kernels(problem, discretisation, layout)
            model = LaneModel(kernels, discretisation.points_of(arm.mesh), self.lanes, self._solver)
            model.mesh_hash = arm.mesh.hash
            self._models[key] = (model, discretisation)
        return self._models[key]


def prepare(device: str = "cpu") -> None:
    """Double precision, device and compile cache; raises ``ValueError`` with the way out where one is not to be had."""
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_cpu_enable_async_dispatch", False)  # one worker, one thread: no second one between driver and kernels
    if not jax.numpy.zeros(1).dtype == jax.numpy.float64:
        raise ValueError("JAX computes in single precision here; unset JAX_ENABLE_X64=0 and start anew")
    jax.config.update("jax_compilation_cache_dir", os.environ.get("JAX_COMPILATION_CACHE_DIR") or str(cache_folder() / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    if device not in ("cpu", "gpu"):
        raise ValueError(f"device {device!r} is not known; there are cpu and gpu")
    try:
        jax.config.update("jax_default_device", jax.devices(device)[0])
    except RuntimeError as error:
        raise ValueError(f"device {device!r}: JAX sees none here; install jax[cuda12], or use --device cpu") from error


_DISCRETISATIONS: dict[str, Discretisation] = {}


def discretisation_of(mesh: Any) -> Discretisation:
    """The stored discretisation of a mesh; raises ``DiscretisationError`` with the way out where there is none."""
    if mesh.hash not in _DISCRETISATIONS:
        found = stored_discretisation(mesh)
        if found is None:
            raise DiscretisationError(
                "no discretisation of this mesh; make it once with discsim tabulate where DOLFINx is installed"
            )
        if len(_DISCRETISATIONS) > 64:
            _DISCRETISATIONS.clear()
        _DISCRETISATIONS[mesh.hash] = found
    return _DISCRETISATIONS[mesh.hash]


def _hook(progress: ProgressHook | None, arm: Arm, index: int, count: int) -> Callable[[float, int], None]:
    def report(time: float, step: int) -> None:
        if progress is not None:
            progress(Progress(arm.name, index, count, time, arm.duration, step, 0.0, "running"))

    return report
