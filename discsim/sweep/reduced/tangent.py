"""Derivatives of the reduced model: forward mode through the whole course, one direction after another.

A direction is a change of everything that the model is given (rows, doses, lengths of steps); the readouts' answer is exact for
the discrete reduced equations, iterations do not enter.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from discsim.sweep.reduced.engine import Reduced
from discsim.sweep.reduced.lanes import Course
from discsim.sweep.reduced.online import ReducedModel


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Given:
    """What a lane is given: ``rows`` (stops, width), ``pointwise`` (stops, fields, pairs, 1) and ``signals`` (stops,
    coefficients) that doses add, ``lengths`` of the steps between stops (stops - 1, most).
    """

    rows: Any
    pointwise: Any
    signals: Any
    lengths: Any


class Tangents:
    """Readouts of one course and their derivatives along directions."""

    def __init__(self, reduced: Reduced, course: Course) -> None:
        self.reduced, self.course = reduced, course
        self.model = ReducedModel(reduced.model.forms, reduced.kernels.readouts, reduced.trained.sizes, smooth=True)
        self.most = 64 * -(-max(len(lengths) for lengths in course.lengths) // 64)
        self.start = jnp.asarray(reduced.near(course.rows[:1]))
        self._along = jax.jit(lambda given, direction: jax.jvp(self._outputs, (given,), (direction,)))

    def given(self, course: Course) -> Given:
        """The arrays of a course with the same stops."""
        if course.ends != self.course.ends:
            raise ValueError("a course with other stops")
        doses = [self.reduced.doses.of(own) for own in course.doses]
        lengths = np.zeros((len(course.lengths), self.most))
        for stop, own in enumerate(course.lengths):
            lengths[stop, : len(own)] = own
        return Given(course.rows, np.stack([one[0] for one in doses]), np.stack([one[1] for one in doses]), lengths)

    def along(self, course: Course, directions: Sequence[Given]) -> tuple[np.ndarray, np.ndarray]:
        """Readouts (certified times, readouts) of a course of the same stops; derivatives (directions, times, readouts)."""
        here = self.given(course)
        values, slopes = np.empty(0), []
        for direction in directions:
            found, slope = self._along(here, direction)
            values = np.asarray(found)
            slopes.append(np.asarray(slope))
        return values, np.stack(slopes)

    def _outputs(self, given: Given) -> Any:
        """The course of one lane, as ``Reduced.solve`` has it."""
        model, t, reduced = self.model, self.reduced.tables, self.reduced
        one = jnp.ones(1, dtype=bool)
        rows = given.rows[:1]
        state = model.start(t, rows, reduced.prestress(rows, jnp)[0], self.start)
        state = model.settle(t, rows, state, one)
        seen = []
        for stop, (event, certified) in enumerate(self.course.stops):
            if stop:
                lengths = given.lengths[stop - 1][:, None]
                state, _, _ = model.run(t, rows, state, lengths, len(self.course.lengths[stop - 1]))
            rows = given.rows[stop : stop + 1]
            if event:
                pointwise, d = state.pointwise + given.pointwise[stop][None], state.d + given.signals[stop][None]
                state = model.settle(t, rows, dataclasses.replace(state, pointwise=pointwise, d=d), one)
            if certified:
                seen.append(model.read(t, rows, state)[0])
        return jnp.stack(seen)


def between(low: Given, high: Given, width: float) -> Given:
    """The direction from one set of inputs to another, per unit of ``width``."""
    found: Given = jax.tree.map(lambda a, b: (np.asarray(b) - np.asarray(a)) / width, low, high)
    return found
