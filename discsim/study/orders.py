"""In which order the arms come out, sample by sample, and how often each order does.

Where numbers have error bars, an order is sure in a sample whose arms all lie further apart than their bars; it is possible where
every two arms that do not stand in it lie within theirs.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from discsim.study.directions import Direction
from discsim.study.ensemble import Floats
from discsim.study.error_bars import undecided
from discsim.study.shares import Share, bounded, told

Bools = NDArray[np.bool_]
Groups = tuple[tuple[str, ...], ...]
# Batches of other sizes give the same numbers to 5e-6 (relative): values that are closer than twice that are equal.
RESOLUTION = 1e-5


@dataclasses.dataclass(frozen=True)
class OrderShare:
    """How often the arms come out in this order, the best first; arms that are equal stand in one group."""

    groups: Groups
    share: Share

    def __str__(self) -> str:
        return " > ".join(" = ".join(group) for group in self.groups)


def order_of(values: Mapping[str, float], direction: Direction) -> Groups:
    """Arms from best to worst; neighbours closer than ``RESOLUTION`` stand in one group, in the order of the study."""
    names = sorted(values, key=lambda name: -direction.sign * values[name])  # sorted() keeps the order of equal ones
    groups: list[list[str]] = [[names[0]]]
    for before, name in itertools.pairwise(names):
        near = RESOLUTION * max(abs(values[before]), abs(values[name]))
        if abs(values[before] - values[name]) <= near:
            groups[-1].append(name)
        else:
            groups.append([name])
    place = {name: index for index, name in enumerate(values)}
    return tuple(tuple(sorted(group, key=place.__getitem__)) for group in groups)


def orders_of(values: Mapping[str, Floats], clear: Bools, direction: Direction) -> list[Groups]:
    """The order of the arms in every sample that is good in all of them."""
    names = tuple(values)
    table = np.column_stack([numbers[clear] for numbers in values.values()])
    return [order_of(dict(zip(names, row.tolist(), strict=True)), direction) for row in table]


def order_shares(
    values: Mapping[str, Floats], bars: Mapping[str, Floats], clear: Bools, direction: Direction, drawn: bool
) -> tuple[tuple[OrderShare, ...], dict[str, Share]]:
    """How often each order comes out, the most frequent first, and by arm how often none is better."""
    names = tuple(values)
    found = orders_of(values, clear, direction)
    places = np.array([_places(groups, names) for groups in found], dtype=int).reshape(-1, len(names))
    relations = _relations(places)
    open_ = _open(
        np.column_stack([values[name][clear] for name in names]), np.column_stack([bars[name][clear] for name in names])
    )
    sure = ~open_.any(axis=(1, 2))
    orders = []
    for groups, _ in collections.Counter(found).most_common():
        agrees = relations == _relations(np.array([_places(groups, names)]))
        hits = agrees.all(axis=(1, 2))
        share = bounded(hits, hits & sure, (agrees | open_).all(axis=(1, 2)))
        orders.append(OrderShare(groups, told(share, drawn)))
    first_places = {}
    for arm, name in enumerate(names):
        hits = places[:, arm] == 0
        possible = ((places[:, [arm]] <= places) | open_[:, arm]).all(axis=1)
        first_places[name] = told(bounded(hits, hits & ~open_[:, arm].any(axis=1), possible), drawn)
    return tuple(orders), first_places


def _places(groups: Groups, names: tuple[str, ...]) -> list[int]:
    """The place of every arm, 0 the best."""
    place = {name: number for number, group in enumerate(groups) for name in group}
    return [place[name] for name in names]


def _relations(places: NDArray[np.int_]) -> NDArray[np.int_]:
    """Of every two arms (rows, columns) whether the first is better (-1), equal (0) or worse (1), sample by sample."""
    found: NDArray[np.int_] = np.sign(places[:, :, None] - places[:, None, :])
    return found


def _open(values: Floats, bars: Floats) -> Bools:
    """Of every two different arms whether they lie within their bars, sample by sample."""
    found = undecided(values[:, :, None] - values[:, None, :], bars[:, :, None] + bars[:, None, :])
    return found & ~np.eye(values.shape[1], dtype=bool)
