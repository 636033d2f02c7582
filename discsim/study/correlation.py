"""[design.correlation] of an experiment file: rank correlations of pairs of sampled numbers.

A key names two paths of [design.vary], the value is their rank correlation:
``"nutrition.endplate_clearance, matrix_turnover.gag_loss_rate" = -0.4``. Pairs that are not named are independent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from discsim.study.messages import Complaints, Shown, key_path, names, nearest, quoted
from discsim.study.paths import Paths

_TABLE = ("design", "correlation")
# Least eigenvalue of a matrix that still counts as positive definite: far above round-off, far below any effect.
_LEAST_EIGENVALUE = 1e-9


def read_correlation(given: Mapping[str, Any], varied: Sequence[str], paths: Paths, complaints: Complaints) -> dict[str, float]:
    """The valid pairs by key, with paths in their canonical form; mistakes are noted."""
    before, pairs = len(complaints.problems), dict[frozenset[str], float]()
    table: dict[str, float] = {}
    for key, value in given.items():
        where = key_path(*_TABLE, key)
        pair = _pair(where, key, varied, paths, complaints)
        if pair is None:
            continue
        if frozenset(pair) in pairs:
            complaints.add(where, key, "every pair once", "named twice")
        elif isinstance(value, bool) or not isinstance(value, (int, float)) or not -1.0 < value < 1.0:
            complaints.add(where, value, "a rank correlation: a number above -1 and below 1")
        else:
            pairs[frozenset(pair)] = table[", ".join(pair)] = float(value)
    if len(complaints.problems) == before:
        _check_definite(table, varied, complaints)
    return table


def _pair(where: str, key: str, varied: Sequence[str], paths: Paths, complaints: Complaints) -> tuple[str, str] | None:
    parts = [part.strip() for part in key.split(",")]
    if len(parts) != 2 or not all(parts):
        hint = f'such as "{varied[0]}, {varied[-1]}" = 0.5'
        complaints.add(where, key, "two paths with a comma between them", hint)
        return None
    found = []
    for part in parts:
        spot = paths.find(where, part, complaints)
        path = spot.path if spot else None
        if path is not None and path not in varied:
            near = nearest(path, varied)
            hint = f"did you mean {near}?" if near else ""
            complaints.add(where, Shown(f"{quoted(part)}, which does not vary"), names(varied, path), hint)
            path = None
        found.append(path)
    first, second = found
    if first is None or second is None:
        return None
    if first == second:
        complaints.add(where, key, "two different paths", "a number is itself")
        return None
    return first, second


def pearson_matrix(table: Mapping[str, float], varied: Sequence[str]) -> NDArray[np.float64]:
    """Correlations of the normal scores behind given rank correlations, in the order of ``varied``.

    Normal scores with Pearson correlation r have the Spearman correlation rho = (6/pi) asin(r/2), hence

        r = 2 sin(pi rho / 6).

    Source: Pearson 1907, Kruskal 1958 (recalled, unverified; a test draws it). Exact for a Gaussian copula, whatever the margins.
    """
    matrix = np.eye(len(varied))
    for key, rank in table.items():
        first, second = (varied.index(path) for path in key.split(", "))
        matrix[first, second] = matrix[second, first] = 2.0 * math.sin(math.pi * rank / 6.0)
    return matrix


def _check_definite(table: Mapping[str, float], varied: Sequence[str], complaints: Complaints) -> None:
    """Correlations that no numbers can have together: told once, with the pairs that clash."""
    values, vectors = np.linalg.eigh(pearson_matrix(table, varied))
    if values[0] > _LEAST_EIGENVALUE:
        return
    weights = dict(zip(varied, np.abs(vectors[:, 0]), strict=True))
    clashing = [key for key in table if all(weights[path] > 1e-6 for path in key.split(", "))]
    complaints.add(
        key_path(*_TABLE),
        Shown("; ".join(f"{quoted(key)} = {table[key]:g}" for key in clashing)),
        "rank correlations that numbers can have together (a positive definite matrix)",
        "bring them nearer to zero",
    )
