"""The one place that imports DOLFINx.

The wheel's MPI and PETSc libraries are found only after ``dolfinx_solver`` is imported; other distributions (conda) have no
such module and need none. Everything else in this room imports DOLFINx names from here.
"""

from __future__ import annotations

import importlib.util

if importlib.util.find_spec("dolfinx_solver") is not None:
    import dolfinx_solver  # noqa: F401

import basix
import basix.ufl
import dolfinx
import dolfinx.fem.petsc
import ufl
from dolfinx import fem
from mpi4py import MPI
from petsc4py import PETSc

# -O2 halves the compile time of -O3 here and runs as fast; no -ffast-math, since NaN marks a refused state.
JIT_OPTIONS = {"cffi_extra_compile_args": ["-O2", "-march=native"]}

__all__ = ["JIT_OPTIONS", "MPI", "PETSc", "basix", "dolfinx", "fem", "ufl"]
