"""One-dimensional problems: a column as a thin cylinder with sealed side, on the engine's own axisymmetric forms.

Nothing depends on the radius where the side is sealed and nothing moves, so the column is the slab of the targets. The shape is
undeformed: porosity is that of the reference state.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from discsim.disc.mesh import REGIONS, SURFACES, Mesh
from discsim.fem.disc_model import DiscModel, disc_model
from discsim.problem.problem import Problem, build_problem
from discsim.vv.discs import scenario, with_values


def column_mesh(height: float, layers: int, endplate: float = 0.0, radius: float = 1.0) -> Mesh:
    """A column of ``layers`` pairs of triangles; the top ``endplate`` mm are CEP, the rest NP; the top face is the endplate."""
    z = np.linspace(0.0, height, layers + 1)
    if endplate > 0.0:  # a layer border on the tissue border
        count = max(2, round(layers * endplate / height))
        z = np.concatenate(
            [np.linspace(0.0, height - endplate, layers - count + 1)[:-1], np.linspace(height - endplate, height, count + 1)]
        )
    points = np.array([(r, level) for level in z for r in (0.0, radius)])
    cells, regions, facets, surfaces = [], [], [], []
    for i in range(len(z) - 1):
        a, b, c, d = 2 * i, 2 * i + 1, 2 * i + 2, 2 * i + 3
        cells += [(a, b, d), (a, d, c)]
        region = REGIONS["CEP" if z[i + 1] > height - endplate + 1e-9 else "NP"]
        regions += [region, region]
        facets += [(b, d), (a, c)]
        surfaces += [SURFACES["rim"], SURFACES["axis"]]
        if endplate > 0.0 and abs(z[i] - (height - endplate)) < 1e-9:
            facets.append((a, b))
            surfaces.append(SURFACES["endplate_border"])
    last = 2 * (len(z) - 1)
    facets += [(0, 1), (last, last + 1)]
    surfaces += [SURFACES["mid_plane"], SURFACES["endplate"]]
    return Mesh(points, np.array(cells), np.array(regions), np.array(facets), np.array(surfaces), "axisymmetric", 2.0)


class Column:
    """Quasi-steady solutes in a column; numbers by parameter path, whatever their bounds."""

    def __init__(self, mesh: Mesh, values: Mapping[str, Any], **nutrition: str) -> None:
        import jax

        jax.config.update("jax_enable_x64", True)
        one = scenario(1, 1).with_parameters({f"nutrition.{key}": value for key, value in nutrition.items()})
        problem = build_problem({"column": one}, readouts=(), field_times=())
        # the side is sealed: no exchange there, whatever the model of supply
        sealed = {"nutrition.rim_clearance_ratio": 0.0, **values}
        arm = with_values(dataclasses.replace(problem.arms[0], mesh=mesh), sealed)
        self.problem: Problem = dataclasses.replace(problem, arms=(arm,))
        self.model: DiscModel = disc_model(self.problem, arm)

    def solve(self, changes: Mapping[str, Any] | None = None) -> dict[str, dict[str, float]]:
        """Values at the centre (z = 0) and at the surface (top), by solute, pH included."""
        if changes:
            self.model.set_parameters(changes)
        self.model.start_undeformed()
        z = self.model.spaces.positions()[:, 1]
        found: dict[str, dict[str, float]] = {}
        for place, index in (("centre", int(np.argmin(z))), ("surface", int(np.argmax(z)))):
            found[place] = {name: float(values[index]) for name, values in self.model.state.solute_values().items()}
            now = self.model.parameters.current
            found[place]["ph"] = now["nutrition.ph_at_zero_lactate"] - now["nutrition.ph_per_lactate"] * found[place]["lactate"]
        return found


def per_region(value: float) -> dict[str, float]:
    """One number for every region."""
    return dict.fromkeys(REGIONS, value)
