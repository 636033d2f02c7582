"""What the processes of one solve do: ``mpiexec -n K python -m mpi4py -m discsim.fem.rank_main FOLDER``.

All read the problem from ``FOLDER``; rank 0 writes a line of JSON per step to standard output and at the end the records to
``FOLDER``. No records: the solve crashed. All end as soon as one raises. ``-m mpi4py`` alone sees to that only when the
interpreter ends, where PETSc waits for the others first.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import sys
import threading
import traceback
from pathlib import Path

from discsim.problem.engine import Progress

PROBLEM, RECORDS = "problem.pickle", "records.pickle"


def main(folder: Path) -> None:
    """Solve what stands in ``folder``; an error of one rank is written out and ends all."""
    from discsim.fem.backend import MPI

    try:
        _solve(folder)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        MPI.COMM_WORLD.Abort(1)


def _solve(folder: Path) -> None:
    from discsim.fem.backend import MPI
    from discsim.fem.engine import FemEngine
    from discsim.fem.ranks import Ranks

    first = MPI.COMM_WORLD.rank == 0
    if first:  # mpiexec gives standard input to rank 0 alone
        threading.Thread(target=_end_with_driver, daemon=True).start()
    places, problem, steps = pickle.loads((folder / PROBLEM).read_bytes())
    sys.path += places  # where modules with mechanisms of the user's lie
    engine = FemEngine(Ranks(MPI.COMM_WORLD))
    records = engine.run(pickle.loads(problem), _tell if first else None, steps)
    if first:
        passing = folder / f"{RECORDS}.part"
        passing.write_bytes(pickle.dumps(records))
        passing.replace(folder / RECORDS)


def _tell(progress: Progress) -> None:
    print(json.dumps(dataclasses.asdict(progress)), flush=True)


def _end_with_driver() -> None:
    """Wait until the other end of standard input is closed, which the end of the driver does as well; mpiexec ends the others."""
    while os.read(0, 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
