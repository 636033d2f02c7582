"""The reference engine: a pilot chooses the step list, then every arm follows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from discsim.fem.disc_model import disc_model
from discsim.fem.ranks import Ranks
from discsim.fem.run_arm import ArmRun
from discsim.problem.engine import Engine, Progress, ProgressHook
from discsim.problem.problem import Arm, Problem
from discsim.problem.record import ArmRecord
from discsim.problem.steps import fallback_steps


class FemEngine(Engine):
    """Finite elements with DOLFINx; an arm of 1,300 vertices takes seconds. ``ranks``: the processes that share it (one)."""

    name = "fem"

    def __init__(self, ranks: Ranks | None = None) -> None:
        self._ranks = ranks or Ranks()

    def run(
        self, problem: Problem, progress: ProgressHook | None = None, steps: tuple[float, ...] | None = None
    ) -> list[ArmRecord]:
        """Solve every arm; with ``steps`` (times in s) no pilot is needed.

        The pilot is the arm with most events (the last of equals), run once for its step list alone, so that every arm,
        its own included, then starts and steps in the same way. A study of one arm needs no second run.
        """
        return list(self.records(problem, progress, steps))

    def records(
        self, problem: Problem, progress: ProgressHook | None = None, steps: tuple[float, ...] | None = None
    ) -> Iterator[ArmRecord]:
        """As ``run``, each record as soon as its arm has ended."""
        _need_double_precision()
        count = len(problem.arms) + (1 if steps is None and len(problem.arms) > 1 else 0)
        if steps is None:
            pilot = max(enumerate(problem.arms), key=lambda item: (len(item[1].doses) + len(item[1].changes), item[0]))[1]
            run = ArmRun(disc_model(problem, pilot, self._ranks), problem, pilot)
            steps = run.choose_steps(_hook(progress, pilot, 0, count, "choosing steps"))
            if len(problem.arms) == 1:
                yield run.record
                return
            if run.record.failure is not None:
                steps = fallback_steps(problem, steps)
        first = count - len(problem.arms)
        for i, arm in enumerate(problem.arms):
            run = ArmRun(disc_model(problem, arm, self._ranks), problem, arm)
            yield run.follow(steps, _hook(progress, arm, first + i, count, "running"))


def _need_double_precision() -> None:
    """Laws are traced in double precision; the switch is set for the process, once, at the door of the engine."""
    import jax

    jax.config.update("jax_enable_x64", True)


def _hook(progress: ProgressHook | None, arm: Arm, index: int, count: int, stage: str) -> Callable[[float, float, int], None]:
    def report(time: float, dt: float, step: int) -> None:
        if progress is not None:
            progress(Progress(arm.name, index, count, time, arm.duration, step, dt, stage))

    return report
