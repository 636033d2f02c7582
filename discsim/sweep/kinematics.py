"""Kinematics on arrays: what turns a mesh of any dimension into the same 3-D weak forms.

Components are (r, z, theta) on an axisymmetric half plane and (x, y, z) in 3-D; tensors are 3 x 3 either way (the counterpart of
``fem.kinematics``). Arrays have shape (cells, points).
"""

from __future__ import annotations

import abc
import math
from typing import Any

import jax.numpy as jnp

from discsim.sweep import tensors
from discsim.sweep.tensors import Tensor

AXIS = 1e-8  # mm; nearer to the axis than this, u_r / r is its limit


class Kinematics(abc.ABC):
    """Volume factor, gradients and fibre directions of one kind of coordinates."""

    axial: int
    pattern: tuple[tuple[int, int], ...]  # components of a 3 x 3 tensor that may differ from zero

    @abc.abstractmethod
    def weight(self, x: tuple[Any, ...]) -> Any:
        """Volume per area (axisymmetric: 2 pi r) or per volume (3-D: 1) of the mesh at positions ``x``."""

    @abc.abstractmethod
    def deformation_gradient(self, gradient: Tensor, u: tuple[Any, ...], x: tuple[Any, ...]) -> Tensor:
        """F = I + grad u, 3 x 3, from in-plane gradient, displacement and position."""

    @abc.abstractmethod
    def radius(self, x: tuple[Any, ...]) -> Any:
        """Distance from the axis."""

    @abc.abstractmethod
    def circumferential(self, x: tuple[Any, ...]) -> tuple[Any, Any, Any]:
        """Unit vector around the axis."""

    @abc.abstractmethod
    def axis(self) -> tuple[float, float, float]:
        """Unit vector along the spine."""

    def vector(self, components: tuple[Any, ...]) -> tuple[Any, ...]:
        """An in-plane vector with three components."""
        return (*components, *([0.0] * (3 - len(components))))

    def fibres(self, cosine: Any, sine: Any, x: tuple[Any, ...]) -> tuple[tuple[Any, ...], ...]:
        """The two fibre families at +/- an angle to the transverse plane, in cylinders around the axis.

        One where both always stretch alike.
        """
        around = [tensors.times(cosine, c) for c in self.circumferential(x)]
        along = [tensors.times(sine, c) for c in self.axis()]
        pairs = list(zip(along, around, strict=True))
        return tuple(tensors.plus(a, b) for a, b in pairs), tuple(tensors.minus(a, b) for a, b in pairs)

    def pack(self, tensor: Tensor, shape: tuple[int, ...]) -> Any:
        """The components that may differ from zero as one array (components, *shape)."""
        return jnp.stack([jnp.broadcast_to(tensor[i][j], shape) for i, j in self.pattern])

    def unpack(self, components: Any) -> Tensor:
        """The tensor of packed components."""
        rows: list[list[Any]] = [[0.0] * 3 for _ in range(3)]
        for (i, j), component in zip(self.pattern, components, strict=True):
            rows[i][j] = component
        return tuple(tuple(row) for row in rows)


class Axisymmetric(Kinematics):
    """(r, z) half plane; u_r/r on the axis is replaced by its limit d u_r/d r."""

    axial = 1
    pattern = ((0, 0), (0, 1), (1, 0), (1, 1), (2, 2))

    def weight(self, x: tuple[Any, ...]) -> Any:
        return 2.0 * math.pi * x[0]

    def radius(self, x: tuple[Any, ...]) -> Any:
        return x[0]

    def deformation_gradient(self, gradient: Tensor, u: tuple[Any, ...], x: tuple[Any, ...]) -> Tensor:
        away = x[0] > AXIS
        hoop = jnp.where(away, u[0] / jnp.where(away, x[0], 1.0), gradient[0][0])
        return (
            (1.0 + gradient[0][0], gradient[0][1], 0.0),
            (gradient[1][0], 1.0 + gradient[1][1], 0.0),
            (0.0, 0.0, 1.0 + hoop),
        )

    def circumferential(self, x: tuple[Any, ...]) -> tuple[Any, Any, Any]:
        return (0.0, 0.0, 1.0)

    def fibres(self, cosine: Any, sine: Any, x: tuple[Any, ...]) -> tuple[tuple[Any, ...], ...]:
        return super().fibres(cosine, sine, x)[:1]  # there is no shear around the axis

    def axis(self) -> tuple[float, float, float]:
        return (0.0, 1.0, 0.0)


class Cartesian(Kinematics):
    """(x, y, z), the axis along z."""

    axial = 2
    pattern = tuple((i, j) for i in range(3) for j in range(3))

    def weight(self, x: tuple[Any, ...]) -> Any:
        return 1.0

    def radius(self, x: tuple[Any, ...]) -> Any:
        # the square root has no slope at the axis: a point there keeps radius 0 and slope 0
        square = x[0] ** 2 + x[1] ** 2
        away = square > 0.0
        return jnp.where(away, jnp.sqrt(jnp.where(away, square, 1.0)), 0.0)

    def deformation_gradient(self, gradient: Tensor, u: tuple[Any, ...], x: tuple[Any, ...]) -> Tensor:
        return tuple(tuple(g + 1.0 if i == j else g for j, g in enumerate(row)) for i, row in enumerate(gradient))

    def circumferential(self, x: tuple[Any, ...]) -> tuple[Any, Any, Any]:
        radius = jnp.maximum(self.radius(x), AXIS)
        return (-x[1] / radius, x[0] / radius, 0.0)

    def axis(self) -> tuple[float, float, float]:
        return (0.0, 0.0, 1.0)


KINEMATICS: dict[int, Kinematics] = {2: Axisymmetric(), 3: Cartesian()}
