"""What the processes of one solve do, which ``study.ranked_engine`` starts with ``mpiexec`` and ``-m mpi4py``.

All read the problem from a folder; rank 0 writes a line per step to standard output and the records of arms to the folder, as
each has ended. Fewer records than arms: the solve crashed. All end as soon as one raises: ``-m mpi4py`` alone sees to that only
when the interpreter ends, where PETSc waits for the others first.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import shutil
import sys
import threading
import traceback
from pathlib import Path

from discsim.problem.engine import Progress

PROBLEM, RECORDS, ERROR = "problem.pickle", "records.pickle", "error-"
TELLS = "discsim-rank: "  # before every line for the driver: one without more at the start, then one in JSON per step


def main(folder: str, ranks: int) -> None:
    """Solve what stands in ``folder`` on so many processes; an error of one is written out and ends all."""
    from discsim.fem.backend import MPI

    try:
        if MPI.COMM_WORLD.size != ranks:
            raise RuntimeError(f"{MPI.COMM_WORLD.size} of {ranks} processes meet: mpiexec is of another MPI than mpi4py")
        _solve(Path(folder))
    except BaseException:
        # a file, since what is written to standard error just before the end may not arrive
        (Path(folder) / f"{ERROR}{MPI.COMM_WORLD.rank}").write_text(traceback.format_exc(), encoding="utf-8")
        MPI.COMM_WORLD.Abort(1)


def _solve(folder: Path) -> None:
    from discsim.fem.backend import MPI
    from discsim.fem.engine import FemEngine
    from discsim.fem.ranks import Ranks

    first = MPI.COMM_WORLD.rank == 0
    if first:  # mpiexec gives standard input to rank 0 alone
        threading.Thread(target=_end_with_driver, args=(folder,), daemon=True).start()
        print(TELLS, flush=True)
    places, problem, steps = pickle.loads((folder / PROBLEM).read_bytes())
    sys.path += places  # where modules with mechanisms of the user's lie
    records = []
    for record in FemEngine(Ranks(MPI.COMM_WORLD)).records(pickle.loads(problem), _tell if first else None, steps):
        records.append(record)
        if first:
            passing = folder / f"{RECORDS}.part"
            passing.write_bytes(pickle.dumps(records))
            passing.replace(folder / RECORDS)


def _tell(progress: Progress) -> None:
    print(TELLS + json.dumps(dataclasses.asdict(progress)), flush=True)


def _end_with_driver(folder: Path) -> None:
    """Wait until the other end of standard input is closed, which the end of the driver does as well; mpiexec ends the others.

    A driver that was killed has left the folder behind.
    """
    while os.read(0, 4096):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)
