"""Settings of the whole test suite."""

import os
from pathlib import Path

# Side by side (pytest -n) every process has its own cache of compiled forms, because one would wait for another's compiler and
# give up, and one thread; what JAX compiled is shared.
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache / "discsim" / "jax"))
    os.environ["XDG_CACHE_HOME"] = str(cache / "discsim-tests" / worker)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import jax

# The laws leave the precision to their caller; every tolerance of the suite assumes double precision.
jax.config.update("jax_enable_x64", True)
