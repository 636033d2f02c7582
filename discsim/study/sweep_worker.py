"""What a worker process of a sweep does: one batch after another on one core, alone with its engine.

A worker writes nothing but its log: what it computed goes to the driver, which alone writes shards. So it may run where the
folder of the sweep is not. It ends as soon as its driver does.
"""

from __future__ import annotations

import contextlib
import dataclasses
import faulthandler
import os
import resource
import signal
import socket
import threading
import time
import tomllib
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

from discsim.problem.discretisation import DiscretisationError
from discsim.problem.engine import Engine
from discsim.problem.problem import Problem
from discsim.problem.record import ArmRecord
from discsim.problem.status import Status
from discsim.quantities.parameters import ParameterError
from discsim.study.design import Design, sample_study
from discsim.study.environment import MissingTool, need_compiler
from discsim.study.faults import spoil, strike
from discsim.study.messages import ConfigError
from discsim.study.provenance import environment
from discsim.study.shards import failed_records
from discsim.study.study import Study, make_engine
from discsim.study.sweep_folder import source_hash

# One thread a worker: results that depend on neither the number of workers nor that of cores, and no two fight for a core.
SINGLE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
XLA_SINGLE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


@dataclasses.dataclass(frozen=True)
class Setup:
    """What a worker is told at its start.

    ``config``: the resolved experiment file; ``plugins``: folder of modules with mechanisms of the user's, whose import was
    allowed; ``core``: the one to run on, where the system can pin a process; ``faults``: sample -> what goes wrong on purpose;
    ``memory``: GiB that the process may hold, its ranks included; ``ranks``: processes that share a solve; ``code``: hash of the
    code and versions of the libraries that it has to have.
    """

    config: str
    design: Design
    engine: str
    device: str
    log: Path
    plugins: Path | None = None
    core: int | None = None
    faults: Mapping[int, str] = dataclasses.field(default_factory=dict)
    memory: float | None = None
    ranks: int = 1
    code: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Trouble:
    """Why a task gave nothing: a tool is missing, or the engine raised."""

    kind: Literal["tool", "engine"]
    reason: str

    def __str__(self) -> str:
        return self.reason


@contextlib.contextmanager
def single_threaded() -> Iterator[None]:
    """Environment in which a worker is started: libraries read it when they are loaded, so it has to be there before."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} {XLA_SINGLE_THREAD}".strip()
    wanted = SINGLE_THREAD | {"XLA_FLAGS": flags}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


_setup: Setup | None = None
_model: _Model | None = None


def start(setup: Setup, life: Connection) -> None:
    """First thing in a worker: its log, its core, and an end together with its driver. Nothing here may fail for the study."""
    global _setup
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    setup.log.parent.mkdir(parents=True, exist_ok=True)
    stream = os.open(setup.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for descriptor in (1, 2):  # also what libraries in C write
        os.dup2(stream, descriptor)
    faulthandler.enable()
    threading.Thread(target=_end_with_driver, args=(life,), daemon=True).start()
    if setup.core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {setup.core})
    _setup = setup


def _end_with_driver(life: Connection) -> None:
    """Wait until the other end of the pipe is closed, which the end of the driver does as well."""
    with contextlib.suppress(EOFError, OSError):
        life.recv()
    os._exit(1)


class _Model:
    """Study and engine of this process, made at the first task."""

    def __init__(self, setup: Setup) -> None:
        from discsim.study.config import study_from_text

        self.study: Study = study_from_text(setup.config, source="the study", folder=setup.plugins, allow_plugin=True)
        _need_code(setup)
        self.nominal = bare(self.study.problem())
        self.engine: Engine = _engine(setup, self.study)

    def problem(self, design: Design, sample: int) -> Problem | str:
        """The problem of a sample, or why there is none."""
        try:
            return bare(sample_study(self.study, design, sample).problem())
        except (ConfigError, ParameterError) as error:
            return " ".join(str(error).split())


def _need_code(setup: Setup) -> None:
    """Raise ``MissingTool`` where this machine has another discsim or other libraries than the driver."""
    found = code_of(setup.config) if setup.code else {}
    for name, wanted in setup.code.items():
        if found.get(name) != wanted:
            raise MissingTool(
                f"{name} on the worker {socket.gethostname()} is {found.get(name, 'absent')}, here it is {wanted}; install there "
                "what is here"
            )


def code_of(config: str) -> dict[str, str]:
    """Hash of the code of discsim and of the mechanisms of an experiment that is loaded, and versions of libraries."""
    mechanisms = tomllib.loads(config)["mechanisms"]["use"]
    libraries = {f"library {name}": str(version) for name, version in environment()["versions"].items()}
    return {"code of discsim and mechanisms": source_hash(mechanisms), **libraries}


def _engine(setup: Setup, study: Study) -> Engine:
    """The engine; raises ``MissingTool`` where this machine lacks what it needs."""
    if setup.engine == "fem":
        need_compiler()
    try:
        log = setup.log.with_name(f"{setup.log.stem}-ranks.log")
        return make_engine(setup.engine, device=setup.device, study=study, ranks=setup.ranks, log=log)
    except (ImportError, ValueError) as error:
        raise MissingTool(str(error)) from error


def bare(problem: Problem) -> Problem:
    """The problem without fields: a sweep keeps readouts."""
    return dataclasses.replace(problem, field_times=())


def prepare() -> None:
    """Make study and engine; what goes wrong is told by the first task, which tries again."""
    _tried(lambda setup, model: True)


def choose_steps() -> tuple[float, ...] | Trouble:
    """The step list of the study, from its nominal values."""
    return _tried(lambda setup, model: tuple(float(end) for end in model.engine.choose_steps(model.nominal)))


def solve_samples(samples: tuple[int, ...], steps: tuple[float, ...], pieces: int) -> list[list[ArmRecord]] | Trouble:
    """Records of some samples, an inner list per sample, every step cut into equal pieces; without the mesh, which is the same in
    all and no shard holds."""

    def solved(setup: Setup, model: _Model) -> list[list[ArmRecord]]:
        return _without_mesh(_solved(setup, model, samples, steps, pieces))

    return _tried(solved)


def _without_mesh(rows: list[list[ArmRecord]]) -> list[list[ArmRecord]]:
    return [[dataclasses.replace(record, points=None, cells=None, cell_regions=None) for record in row] for row in rows]


def collect_sample(sample: int, steps: tuple[float, ...], path: Path) -> bool | Trouble:
    """Solve one sample at full order and write states of it to a file, for the training of a reduced model."""

    def collected(setup: Setup, model: _Model) -> bool:
        from discsim.sweep.engine import SweepEngine
        from discsim.sweep.reduced.snapshots import collect, write_courses

        problem = model.problem(setup.design, sample)
        if isinstance(problem, str):
            raise ValueError(f"sample {sample}: {problem}")
        assert isinstance(model.engine, SweepEngine)
        write_courses(path, collect(model.engine, problem, steps))
        return True

    return _tried(collected)


@dataclasses.dataclass(frozen=True)
class Timed:
    """Some samples run twice: ``first`` (s, with all that is compiled), ``second`` (s); ``memory``: most GiB that the process
    held; ``records`` of the second run."""

    first: float
    second: float
    memory: float
    records: list[list[ArmRecord]]


def time_samples(samples: tuple[int, ...], steps: tuple[float, ...]) -> Timed | Trouble:
    """A first run of some samples (with all that is compiled) and a second one."""

    def timed(setup: Setup, model: _Model) -> Timed:
        taken = []
        for _ in range(2):
            began = time.perf_counter()
            rows = _solved(setup, model, samples, steps)
            taken.append(time.perf_counter() - began)
        held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts KiB
        if setup.ranks > 1:  # of the largest process that has ended
            held += setup.ranks * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        return Timed(taken[0], taken[1], held, _without_mesh(rows))

    return _tried(timed)


def _solved(
    setup: Setup, model: _Model, samples: Sequence[int], steps: tuple[float, ...], pieces: int = 1
) -> list[list[ArmRecord]]:
    """Records of some samples, an inner list per sample, every step cut into equal pieces. A sample whose inputs make no study
    fails alone."""
    problems = []
    for sample in samples:
        fault = setup.faults.get(sample)
        strike(fault, setup.memory)
        problem = model.problem(setup.design, sample)
        problems.append(problem if isinstance(problem, str) else spoil(fault, problem))
    runnable = [problem for problem in problems if not isinstance(problem, str)]
    solved = iter(_run(model.engine, runnable, steps, pieces) if runnable else [])
    records = []
    for problem in problems:
        if isinstance(problem, str):
            advice = "Narrow the ranges in [design.vary], or drop the combination."
            records.append(failed_records(model.nominal, Status.INVALID_INPUT, problem, advice))
        else:
            records.append(list(next(solved)))
    if next(solved, None) is not None:
        raise ValueError(f"engine {setup.engine} gave records of more samples than it was given")
    return records


def _run(engine: Engine, problems: Sequence[Problem], steps: tuple[float, ...], pieces: int) -> list[list[ArmRecord]]:
    return engine.run_many(problems, steps) if pieces == 1 else engine.run_in_pieces(problems, steps, pieces)


def _tried[T](task: Callable[[Setup, _Model], T]) -> T | Trouble:
    """The outcome of a task. Errors become words: not every exception survives the way to another process."""
    global _model
    assert _setup is not None, "a task before the start of its worker"
    try:
        if _model is None:
            _model = _Model(_setup)
        return task(_setup, _model)
    except (ImportError, MissingTool, DiscretisationError, ConfigError) as error:  # samples catch their own of these
        traceback.print_exc()
        return Trouble("tool", str(error))
    except Exception as error:  # whatever an engine or a library beneath raises; the log has the whole of it
        traceback.print_exc()
        return Trouble("engine", one_line(error))


def one_line(error: BaseException) -> str:
    """Kind and message of an error."""
    text = " ".join(str(error).split()) or "no message"
    return f"{type(error).__name__}: {text}"[:400]
