"""Whether forms compile on this machine."""

from __future__ import annotations


def compile_small_form() -> str:
    """Compile and assemble the area of a unit square; returns a line for people, raises ``RuntimeError`` with a remedy."""
    from discsim.fem.backend import MPI, PETSc, dolfinx, fem, ufl

    mesh = dolfinx.mesh.create_unit_square(MPI.COMM_SELF, 1, 1)
    try:
        area = fem.assemble_scalar(fem.form(fem.Constant(mesh, 1.0) * ufl.dx(domain=mesh)))
    except Exception as error:
        raise RuntimeError(
            f"forms do not compile ({type(error).__name__}); install gcc and the Python headers, or set CC"
        ) from error
    if abs(area - 1.0) > 1e-12:
        raise RuntimeError(f"a compiled form gives {area} for the area of the unit square")
    version = ".".join(map(str, PETSc.Sys.getVersion()))
    return f"dolfinx {dolfinx.__version__}, PETSc {version}, forms compile"
