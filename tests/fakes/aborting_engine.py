"""The reference engine, which MPI ends amid a sample, as an error handler of PETSc may. Worker processes import it."""

from __future__ import annotations

from discsim.fem.backend import MPI
from discsim.fem.engine import FemEngine
from discsim.problem.engine import ProgressHook
from discsim.problem.problem import Problem
from discsim.problem.record import ArmRecord

ENGINE = "aborting_engine:AbortingEngine"
LOAD = 0.205  # MPa of active load: sample 1 of the quick study
CODE = 77


class AbortingEngine(FemEngine):
    """Ends its process after the first accepted step of a sample whose disc is loaded by ``LOAD``."""

    def run(
        self, problem: Problem, progress: ProgressHook | None = None, steps: tuple[float, ...] | None = None
    ) -> list[ArmRecord]:
        def abort(report: object) -> None:
            if abs(problem.arms[0].values["loading.active"] - LOAD) < 1e-9:
                MPI.COMM_WORLD.Abort(CODE)

        return super().run(problem, abort, steps)
