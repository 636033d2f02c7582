"""Kinematics: what turns a mesh of any dimension into the same 3-D weak forms.

Components are (r, z, theta) on an axisymmetric half plane and (x, y, z) in 3-D; every tensor is 3 x 3 either way, so that a
3-D disc is another mesh, not another engine.
"""

from __future__ import annotations

import abc
import math
from typing import Any

from discsim.fem.backend import ufl


class Kinematics(abc.ABC):
    """Volume factor, gradients and fibre directions of one kind of coordinates, in UFL."""

    axial: int  # component of the displacement along the spine

    def __init__(self, mesh: Any) -> None:
        self.x = ufl.SpatialCoordinate(mesh)

    @property
    @abc.abstractmethod
    def weight(self) -> Any:
        """Volume per area (axisymmetric: 2 pi r) or per volume (3-D: 1) of the mesh."""

    @abc.abstractmethod
    def deformation_gradient(self, u: Any) -> Any:
        """F = I + grad u, 3 x 3."""

    @abc.abstractmethod
    def gradient(self, scalar: Any) -> Any:
        """Reference gradient of a scalar, 3 components."""

    @abc.abstractmethod
    def radius(self) -> Any:
        """Distance from the axis."""

    @abc.abstractmethod
    def circumferential(self) -> Any:
        """Unit vector around the axis, 3 components."""

    @abc.abstractmethod
    def axis(self) -> Any:
        """Unit vector along the spine, 3 components."""

    @abc.abstractmethod
    def normal(self, n: Any) -> Any:
        """Facet normal, 3 components."""

    def fibres(self, angle: Any) -> tuple[Any, Any]:
        """The two fibre families at +/- ``angle`` (rad) to the transverse plane, in cylinders around the axis."""
        around, along = ufl.cos(angle) * self.circumferential(), ufl.sin(angle) * self.axis()
        return along + around, along - around


class Axisymmetric(Kinematics):
    """(r, z) half plane; u_r/r on the axis is replaced by its limit d u_r/d r."""

    axial = 1

    @property
    def weight(self) -> Any:
        return 2.0 * math.pi * self.x[0]

    def radius(self) -> Any:
        return self.x[0]

    def deformation_gradient(self, u: Any) -> Any:
        g, r = ufl.grad(u), self.x[0]
        hoop = ufl.conditional(ufl.gt(r, 1e-8), u[0] / ufl.max_value(r, 1e-8), g[0, 0])
        return ufl.as_matrix([[1.0 + g[0, 0], g[0, 1], 0.0], [g[1, 0], 1.0 + g[1, 1], 0.0], [0.0, 0.0, 1.0 + hoop]])

    def gradient(self, scalar: Any) -> Any:
        g = ufl.grad(scalar)
        return ufl.as_vector([g[0], g[1], 0.0])

    def circumferential(self) -> Any:
        return ufl.as_vector([0.0, 0.0, 1.0])

    def axis(self) -> Any:
        return ufl.as_vector([0.0, 1.0, 0.0])

    def normal(self, n: Any) -> Any:
        return ufl.as_vector([n[0], n[1], 0.0])


class Cartesian(Kinematics):
    """(x, y, z), the axis along z."""

    axial = 2

    @property
    def weight(self) -> Any:
        return ufl.as_ufl(1.0)

    def radius(self) -> Any:
        return ufl.sqrt(self.x[0] ** 2 + self.x[1] ** 2)

    def deformation_gradient(self, u: Any) -> Any:
        return ufl.Identity(3) + ufl.grad(u)

    def gradient(self, scalar: Any) -> Any:
        return ufl.grad(scalar)

    def circumferential(self) -> Any:
        radius = ufl.max_value(self.radius(), 1e-8)
        return ufl.as_vector([-self.x[1] / radius, self.x[0] / radius, 0.0])

    def axis(self) -> Any:
        return ufl.as_vector([0.0, 0.0, 1.0])

    def normal(self, n: Any) -> Any:
        return n


def kinematics(mesh: Any) -> Kinematics:
    """Axisymmetric for a mesh of triangles, Cartesian for one of tetrahedra."""
    return Axisymmetric(mesh) if mesh.geometry.dim == 2 else Cartesian(mesh)
