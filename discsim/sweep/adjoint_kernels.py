"""The compiled functions of the way back: for each part of a step, cotangents of its inputs from those of its outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from discsim.scenario.therapy import Place
from discsim.sweep.dosing import Deposits
from discsim.sweep.kernels import Kernels, counted, flat
from discsim.sweep.shape import corner_volumes

Function = Callable[..., Any]


class AdjointKernels:
    """One lane. Every ``*_back`` takes the inputs of its function and a cotangent; it gives cotangents by input name."""

    def __init__(self, kernels: Kernels) -> None:
        forms, self._kernels = kernels.forms, kernels
        mechanics, solutes, signals = forms.mechanics, len(kernels.model.solutes), len(kernels.model.signals)
        self.shape = jax.jit(counted("shape", forms.deformed))
        self.shape_back = _back("shape_back", forms.deformed, ("points", "q"))

        def balance(t: Any, points: Any, row: Any, gag: Any, prestress: Any, q: Any, share: Any) -> Any:
            load, rest = forms.load(row) * share, mechanics.rest(t, points)
            setting = forms.mechanics_setting(t, rest, row, prestress)
            return forms.mechanics_residual(t, rest, row, gag, setting, q, load, share)[0]

        self.mechanics_back = _back("mechanics_back", balance, ("points", "row", "gag", "prestress", "", ""))
        self.renewed_back = _back("prestress_back", mechanics.renewed_prestress, ("points", "prestress", "q"))
        names = ("row", "shape", "pointwise", "signals", "", "dt")
        self.solutes_back = _back("solutes_back", flat(forms.solute_residual, 5, solutes), names)
        of_signals = ("row", "shape", "pointwise", "c", "", "old", "inverse")
        self.signals_back = _back("signals_back", flat(forms.signal_residual, 5, signals), of_signals)
        names = ("row", "shape", "pointwise", "signals", "c", "dt")
        self.advance_back = _back("advance_back", lambda *a: forms.advance(*a)[0], names)
        self.start_back = _back("start_back", lambda *a: forms.start(*a)[::2], ("points", "row"))
        self.read_back = _back(
            "read_back",
            lambda t, x, row, shape, state: forms.readouts(kernels.readouts, t, x, row, shape, state),
            ("points", "row", "shape", "state"),
        )

        def volumes(t: Any, points: Any, q: Any) -> Any:
            return forms.vertex_volumes(t, forms.deformed(t, points, q), points[:, 0])

        def reshape(t: Any, points: Any, s: Any, q_before: Any, q_after: Any) -> Any:
            return s * (volumes(t, points, q_before) / volumes(t, points, q_after))[:, None]

        self.reshape = jax.jit(counted("reshape", reshape))
        self.reshape_back = _back("reshape_back", reshape, ("points", "signals", "q_before", "q_after"))
        self._volumes = volumes
        self._doses: dict[Any, Any] = {}

    @staticmethod
    def of(kernels: Kernels) -> AdjointKernels:
        """Those of some kernels, made once."""
        found = kernels.__dict__.get("adjoint")
        if found is None:
            found = kernels.__dict__["adjoint"] = AdjointKernels(kernels)
        return found

    def dose_back(self, deposits: Deposits, place: Place, nodal: bool) -> Any:
        """Function (t, points, volume, q, cotangent) -> (unit deposit, cotangents), for one kind of place."""
        key = (place.kind, place.region, nodal)
        if key not in self._doses:
            kinematics = self._kernels.forms.mechanics.kinematics

            def unit(t: Any, points: Any, volume: Any, q: Any) -> Any:
                if nodal:
                    return deposits.at_vertices(place, points, volume, self._volumes(t, points, q), jnp)
                return deposits.at_corners(place, points, volume, corner_volumes(t, kinematics, points), jnp)

            back = _back("dose_back", unit, ("points", "volume", "q"))
            self._doses[key] = (jax.jit(unit), back)
        return self._doses[key]


def _back(name: str, function: Function, names: tuple[str, ...]) -> Any:
    """Reverse mode of ``function(t, *inputs)``; inputs without a name count as given.

    Returns a compiled ``(t, *inputs, cotangent) -> {name: cotangent of that input}``.
    """

    def back(t: Any, *given: Any) -> dict[str, Any]:
        *inputs, cotangent = given
        wanted = [i for i, n in enumerate(names) if n]

        def of_wanted(*some: Any) -> Any:
            whole = list(inputs)
            for i, value in zip(wanted, some, strict=True):
                whole[i] = value
            return function(t, *whole)

        _, pull = jax.vjp(of_wanted, *(inputs[i] for i in wanted))
        return dict(zip((names[i] for i in wanted), pull(cotangent), strict=True))

    return jax.jit(counted(name, back))
