"""The reference engine on several processes of this machine, started with ``mpiexec`` for each solve and gone after it.

The problem and the records travel as files in a private folder for temporary files. What the processes write is kept as a log
where they end without records. (What they share: ``fem.ranks``.)
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from discsim.fem.rank_main import ERROR, PROBLEM, RECORDS, TELLS
from discsim.problem.engine import Engine, Progress, ProgressHook
from discsim.problem.problem import Problem
from discsim.problem.record import ArmRecord
from discsim.problem.status import Status
from discsim.study.environment import MissingTool, check_ranks, find_mpiexec
from discsim.study.provenance import now
from discsim.study.shards import failed_records
from discsim.study.sweep_worker import SINGLE_THREAD

LOG = "ranks.log"  # in that folder
PATIENCE = 10.0  # s that mpiexec is given to end its processes before it is killed
# What a process manager or a batch system tells its own tasks: a nested mpiexec that reads it goes elsewhere, or waits.
MANAGED = ("PMI_", "PMIX_", "SLURM_", "PBS_", "LSB_", "PE_HOSTFILE", "SGE_", "LOADL_", "COBALT_")
HYDRA = ("-launcher", "fork", "-hosts", "localhost")  # MPICH's mpiexec: here, whatever it finds in the environment
PROGRAM = "import sys; sys.path.append(sys.argv[2]); from discsim.fem.rank_main import main; main(sys.argv[1], int(sys.argv[3]))"
PACKAGES = str(Path(__file__).resolve().parents[2])  # the folder that holds discsim
_LAST_WORDS = re.compile(r"^[\w.]*(?:Error|Exception|Interrupt|Exit)\b.*", re.MULTILINE)


class RanksCrashed(RuntimeError):
    """The processes of a solve ended too soon; ``records``: of arms that had ended before."""

    def __init__(self, reason: str, records: list[ArmRecord]) -> None:
        super().__init__(reason)
        self.records = records


class RankedEngine(Engine):
    """The reference engine on ``ranks`` processes. ``log``: file to which is added what they wrote where they crashed; a new one
    in the folder for temporary files where left out."""

    name = "fem"

    def __init__(self, ranks: int, log: Path | None = None) -> None:
        """Raises ``ValueError`` as ``check_ranks`` does, and ``MissingTool`` where there is no mpiexec."""
        check_ranks(ranks)
        found = find_mpiexec()
        if found is None:
            raise MissingTool("no mpiexec in PATH, which several ranks need; install MPICH, or leave --ranks out")
        told = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
        self._start = [found, *(HYDRA if "HYDRA" in told else ()), "-n", str(ranks)]
        self._ranks, self._log = ranks, log

    def run(
        self, problem: Problem, progress: ProgressHook | None = None, steps: tuple[float, ...] | None = None
    ) -> list[ArmRecord]:
        """Solve every arm; a crash of a process fails those that had not ended."""
        try:
            return self._solved(problem, progress, steps)
        except RanksCrashed as crash:
            lost = failed_records(problem, Status.CRASHED, str(crash), "Run it without --ranks.")
            return [*crash.records, *lost[len(crash.records) :]]

    def run_many(self, problems: Sequence[Problem], steps: tuple[float, ...]) -> list[list[ArmRecord]]:
        """Solve samples of one study; a crash raises ``RanksCrashed``, so that a sweep tries again, sample by sample."""
        return [self._solved(problem, None, steps) for problem in problems]

    def _solved(self, problem: Problem, progress: ProgressHook | None, steps: tuple[float, ...] | None) -> list[ArmRecord]:
        with tempfile.TemporaryDirectory(prefix="discsim-ranks-", ignore_cleanup_errors=True) as scratch:
            folder, began = Path(scratch), False
            (folder / PROBLEM).write_bytes(pickle.dumps((_places(problem), pickle.dumps(problem), steps)))
            with (folder / LOG).open("w", encoding="utf-8") as log, self._started(folder, log) as process:
                assert process.stdout is not None
                for line in process.stdout:
                    if not line.startswith(TELLS):  # mpiexec's own words, or those of a user's mechanism
                        log.write(line)
                        continue
                    began, told = True, line.removeprefix(TELLS).strip()
                    if told and progress is not None:
                        progress(Progress(**json.loads(told)))
                code = process.wait()
            records: list[ArmRecord] = []
            if (folder / RECORDS).exists():
                records = pickle.loads((folder / RECORDS).read_bytes())
            if len(records) < len(problem.arms):
                written = [folder / LOG, *sorted(folder.glob(f"{ERROR}*"))]
                text = "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in written)
                raise RanksCrashed(self._crashed(text, code, began), records)
            return records

    def _crashed(self, text: str, code: int, began: bool) -> str:
        """Keep what the processes wrote, and say what it comes to; raises ``MissingTool`` where none was started."""
        words = _LAST_WORDS.findall(text)
        last = f": {words[-1][:200]}" if words else ""
        if not began:
            raise MissingTool(f"{self._start[0]} started no process of discsim (exit code {code}{last}); leave --ranks out")
        if self._log is None:
            handle, name = tempfile.mkstemp(prefix="discsim-ranks-", suffix=".log")
            os.close(handle)
        else:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            name = str(self._log)
        with Path(name).open("a", encoding="utf-8") as log:
            log.write(f"{now()} {' '.join(self._start)}\n{text.rstrip()}\n")
        shown = name if self._log is None else self._log.name  # results name no folder of the caller's
        return f"a process of the solve ended before its time{last} (mpiexec: exit code {code}; see {shown})"

    @contextlib.contextmanager
    def _started(self, folder: Path, log: object) -> Iterator[subprocess.Popen[str]]:
        """The processes, which end with the context whatever they do."""
        # -P: no module of the present folder; a study may lie there, and reading one runs no code
        program = [sys.executable, "-P", "-m", "mpi4py", "-c", PROGRAM, str(folder), PACKAGES, str(self._ranks)]
        process = subprocess.Popen(
            [*self._start, *program],
            stdin=subprocess.PIPE,  # its end tells rank 0 that we are gone
            stdout=subprocess.PIPE,
            stderr=log,  # type: ignore[call-overload]
            env={name: value for name, value in os.environ.items() if not name.startswith(MANAGED)} | SINGLE_THREAD,
            text=True,
            errors="replace",
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
                    process.kill()  # its processes see the end of standard input
                    process.wait()
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
            depth = name.count(".") + (Path(file).name == "__init__.py")
            found.append(str(Path(file).resolve().parents[depth]))
    return found
