"""Newton's method with a lagged factor: PETSc SNES, line search, MUMPS.

A factor is kept, over iterations, steps and solves, until the residual falls by less than ``slow`` in an iteration (a chord
method); then the Jacobian is assembled and factored anew. A residual callback refuses a state by returning NaN; the
backtracking line search then shortens the step. A solve is accepted only on a converged reason and a finite norm.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from discsim.fem.backend import PETSc
from discsim.fem.ranks import Ranks, SharedMatrix

_REASONS = {value: name for name, value in vars(PETSc.SNES.ConvergedReason).items() if isinstance(value, int)}


@dataclasses.dataclass
class Report:
    """Outcome of one solve."""

    converged: bool
    reason: str
    iterations: int
    factorisations: int
    norm: float


class LaggedNewton:
    """Solves F(x) = 0. ``residual(x) -> F`` on numpy arrays; ``jacobian(x) -> PETSc matrix`` (same object every time).

    With several ``ranks``, x and F are whole on each of them and the matrix is its part of a sum. ``held() -> rows`` whose
    equation is x = value, as the residual has it.
    """

    def __init__(
        self,
        size: int,
        residual: Callable[[np.ndarray], np.ndarray],
        jacobian: Callable[[np.ndarray], PETSc.Mat],
        *,
        ranks: Ranks,
        held: Callable[[], np.ndarray] = lambda: np.empty(0, dtype=np.int32),
        absolute: float,
        relative: float = 1e-10,
        slow: float = 0.3,
        most: int = 40,
    ) -> None:
        self._residual, self._jacobian, self._held, self._slow = residual, jacobian, held, slow
        self._ranks = ranks
        self._matrix: SharedMatrix | None = None
        self._size, self.absolute, self._relative, self._most = size, absolute, relative, most
        self._snes: PETSc.SNES | None = None
        self._refresh, self._last_norm, self.factorisations, self.iterations = True, np.inf, 0, 0

    def forget(self) -> None:
        """Drop the factor: the next solve starts with a fresh one (so that arms do not depend on one another)."""
        self._refresh = True

    def solve(self, x: np.ndarray) -> tuple[np.ndarray, Report]:
        """Solution from the start value ``x`` (which is not changed), with a report; never raises."""
        stale = not self._refresh
        solution, report = self._attempt(x)
        if not report.converged and stale:  # an old factor may be to blame: once more with a fresh one
            self._refresh = True
            solution, report = self._attempt(x)
        if not report.converged:
            self._refresh = True
        return solution, report

    def _attempt(self, x: np.ndarray) -> tuple[np.ndarray, Report]:
        snes: Any = self._snes or self._build(x)
        snes.setTolerances(rtol=self._relative, atol=self.absolute, stol=0.0, max_it=self._most)
        before = self.factorisations
        self._last_norm = np.inf
        vector = self._vector()
        vector.getArray()[:] = x[slice(*vector.getOwnershipRange())]
        try:
            snes.solve(None, vector)
            reason, norm = int(snes.getConvergedReason()), snes.getFunctionNorm()
        except PETSc.Error:  # MUMPS refuses to solve with a factor that could not be made
            reason, norm = int(PETSc.SNES.ConvergedReason.DIVERGED_LINEAR_SOLVE), np.inf
        good = reason > 0 and np.isfinite(norm)
        self.iterations += snes.getIterationNumber()
        report = Report(good, _REASONS.get(reason, str(reason)), snes.getIterationNumber(), self.factorisations - before, norm)
        solution = self._ranks.joined(vector.getArray().copy())
        vector.destroy()
        if reason == PETSc.SNES.ConvergedReason.DIVERGED_LINEAR_SOLVE:
            self._drop()  # a failed factor is never mended: the next attempt builds a new one
        return solution, report

    def _build(self, x: np.ndarray) -> PETSc.SNES:
        snes = PETSc.SNES().create(self._ranks.comm)
        snes.setType("newtonls")
        part = self._jacobian(x)
        self._matrix = SharedMatrix(self._ranks, part)
        self._matrix.take(part, self._held())
        self.factorisations += 1
        self._refresh = False
        snes.setFunction(self._on_residual, self._vector())
        snes.setJacobian(self._on_jacobian, self._matrix.whole, self._matrix.whole)
        snes.getLineSearch().setType("bt")
        ksp = snes.getKSP()
        ksp.setType("preonly")
        ksp.getPC().setType("lu")
        ksp.getPC().setFactorSolverType("mumps")
        self._snes = snes
        return snes

    def _drop(self) -> None:
        if self._snes is not None and self._matrix is not None:
            self._snes.destroy()
            self._matrix.destroy()
        self._snes = self._matrix = None

    def _vector(self) -> Any:
        vector: Any = PETSc.Vec().create(comm=self._ranks.comm)
        vector.setSizes(self._size)
        vector.setType(PETSc.Vec.Type.STANDARD)
        return vector

    def _on_residual(self, snes: PETSc.SNES, x: PETSc.Vec, f: PETSc.Vec) -> None:
        whole = self._residual(self._ranks.joined(x.getArray(readonly=True)))
        f.getArray()[:] = whole[slice(*f.getOwnershipRange())]

    def _on_jacobian(self, snes: PETSc.SNES, x: PETSc.Vec, matrix: PETSc.Mat, _: PETSc.Mat) -> None:
        norm = self._ranks.agreed(snes.getFunctionNorm())  # what follows is for all or for none
        if self._refresh or norm > self._slow * self._last_norm:
            assert self._matrix is not None
            self._matrix.take(self._jacobian(self._ranks.joined(x.getArray(readonly=True))), self._held())
            self.factorisations += 1
            self._refresh = False
        self._last_norm = norm
