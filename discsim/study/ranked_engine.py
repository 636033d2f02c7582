"""The reference engine on several processes of this machine, started with ``mpiexec`` for each solve and gone after it.

The problem and the records travel as files in a private folder for temporary files; what the processes write is kept as a log
where they end without records. (What they share: ``fem.ranks``.)
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from discsim.fem.rank_main import PROBLEM, RECORDS
from discsim.problem.engine import Engine, Progress, ProgressHook
from discsim.problem.problem import Problem
from discsim.problem.record import ArmRecord
from discsim.problem.status import Status
from discsim.study.environment import MissingTool, check_ranks, find_mpiexec
from discsim.study.shards import failed_records
from discsim.study.sweep_worker import SINGLE_THREAD

LOG = "ranks.log"  # in that folder
PATIENCE = 10.0  # s that mpiexec is given to end its processes before it is killed
# What a process manager tells its own tasks: a nested mpiexec that reads it waits for a job that is not its own.
MANAGED = ("PMI_", "PMIX_", "SLURM_", "MPIEXEC_", "HYDRA_")


class RankedEngine(Engine):
    """The reference engine on ``ranks`` processes. ``log``: file for what they write, kept where they crash; in the
    folder for temporary files where left out."""

    name = "fem"

    def __init__(self, ranks: int, log: Path | None = None) -> None:
        """Raises ``ValueError`` as ``check_ranks`` does, and ``MissingTool`` where there is no mpiexec."""
        check_ranks(ranks)
        found = find_mpiexec()
        if found is None:
            raise MissingTool("no mpiexec in PATH, which several ranks need; install MPICH, or leave --ranks out")
        self._ranks, self._mpiexec = ranks, found
        self._log = log or Path(tempfile.gettempdir()) / f"discsim-ranks-{os.getpid()}.log"
        self._log_name = log.name if log else str(self._log)  # results name no folder of the caller's

    def run(
        self, problem: Problem, progress: ProgressHook | None = None, steps: tuple[float, ...] | None = None
    ) -> list[ArmRecord]:
        """Solve every arm; a crash of a process fails them all."""
        with tempfile.TemporaryDirectory(prefix="discsim-ranks-") as scratch:
            folder = Path(scratch)
            (folder / PROBLEM).write_bytes(pickle.dumps((_places(problem), pickle.dumps(problem), steps)))
            with self._started(folder) as process:
                assert process.stdout is not None
                for line in process.stdout:
                    if progress is not None and line.startswith("{"):
                        progress(Progress(**json.loads(line)))
                code = process.wait()
            if not (folder / RECORDS).exists():
                self._log.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / LOG, self._log)
                reason = f"a process of the solve ended without a word (mpiexec: exit code {code}; see {self._log_name})"
                return failed_records(problem, Status.CRASHED, reason, "Run it without --ranks.")
            records: list[ArmRecord] = pickle.loads((folder / RECORDS).read_bytes())
        self._log.unlink(missing_ok=True)  # of an earlier run
        return records

    @contextlib.contextmanager
    def _started(self, folder: Path) -> Iterator[subprocess.Popen[str]]:
        """The processes, which end with the context whatever they do."""
        program = [sys.executable, "-m", "mpi4py", "-m", "discsim.fem.rank_main", str(folder)]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(MANAGED)}
        with (folder / LOG).open("wb") as log:
            process = subprocess.Popen(
                [self._mpiexec, "-n", str(self._ranks), *program],
                stdin=subprocess.PIPE,  # its end tells rank 0 that we are gone
                stdout=subprocess.PIPE,
                stderr=log,
                env=kept | SINGLE_THREAD,
                text=True,
                start_new_session=True,  # Ctrl-C is ours to handle
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(PATIENCE)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
            for stream in (process.stdin, process.stdout):
                assert stream is not None
                stream.close()


def _places(problem: Problem) -> list[str]:
    """Folders from which the modules of the problem's mechanisms are imported, where they are not part of discsim.

    Raises ``ValueError`` for a class that no module names: another process cannot import it.
    """
    found = []
    for mechanism in problem.composition.mechanisms:
        name = type(mechanism).__module__
        if name == "__main__" or "<locals>" in type(mechanism).__qualname__:
            raise ValueError(f"mechanism {type(mechanism).__qualname__}: several ranks import it; put it into a module")
        file = getattr(sys.modules[name], "__file__", None)
        if not name.startswith("discsim.") and file is not None:
            found.append(str(Path(file).resolve().parents[name.count(".")]))
    return found
