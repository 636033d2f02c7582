"""Fits of a reduced model besides its bases and cubature: fields between points, and the prestress of a person."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from discsim.sweep.inputs import Layout
from discsim.sweep.kernels import Kernels
from discsim.sweep.reduced.points import Tables
from discsim.sweep.reduced.regression import Polynomial, fitted
from discsim.sweep.reduced.states import States, thinned

MOST_STATES = 1000  # several times as many as there are pairs to interpolate from


def interpolate(full: Tables, tables: Tables, numbers: dict[str, np.ndarray], states: States, gag: int) -> dict[str, float]:
    """Matrices that give pointwise fields at strain and flux points from those at the chosen pairs; fills ``from_pairs``."""
    states = thinned(states, MOST_STATES)
    fields = states.pointwise.reshape(len(states.pointwise), states.pointwise.shape[1], -1)
    errors = {}

    def matrix(field: int, operator: Any, which: np.ndarray) -> np.ndarray:
        there = np.asarray((operator @ jnp.asarray(fields[:, field].T)).T)[:, which]
        here = fields[:, field][:, numbers["pairs"]]
        gram = here.T @ here
        size = np.trace(gram) / len(gram)
        if size == 0.0:
            return np.zeros((len(which), here.shape[1]))
        found = np.linalg.solve(gram + 1e-9 * size * np.eye(len(gram)), here.T @ there).T
        errors[f"{field}"] = float(np.sqrt(((here @ found.T - there) ** 2).mean() / (there**2).mean()))
        return found

    tables["strain"]["from_pairs"] = matrix(gag, full["strain"]["from_pairs"], numbers["strain"])
    tables["flux"]["from_pairs"] = [
        matrix(field, operator, numbers["flux"]) for field, operator in enumerate(full["flux"]["from_pairs"])
    ]
    return errors


def person_columns(layout: Layout, label: str) -> np.ndarray:
    """Columns of a row that the prestress depends on: the material's and the load's."""
    found = [
        np.arange(columns.start, columns.stop)
        for path, columns in layout.columns.items()
        if path.startswith((f"{label}.", "loading."))
    ]
    return np.concatenate(found)


def _independent(rows: np.ndarray) -> list[int]:
    """Columns that vary and are no straight line in those before them (an effective load follows from its parts)."""
    basis, found = np.ones((len(rows), 1)), []
    for column in range(rows.shape[1]):
        value = rows[:, column]
        left = value - basis @ np.linalg.lstsq(basis, value, rcond=None)[0]
        if np.abs(left).max() > 1e-9 * max(np.abs(value).max(), 1e-300):
            found.append(column)
            basis = np.column_stack([basis, value])
    return found


def prestress_fit(kernels: Kernels, states: States, strain: np.ndarray) -> tuple[np.ndarray, Polynomial]:
    """Prestress at the chosen strain points from the varying columns of a person."""
    columns = person_columns(kernels.layout, kernels.model.material.label)
    rows = states.rows[states.starts][:, columns]
    varying = columns[_independent(rows)]
    persons, first = np.unique(states.rows[states.starts][:, varying], axis=0, return_index=True)
    values = np.stack([states.prestress[i].reshape(states.prestress[i].shape[0], -1)[:, strain].ravel() for i in first])
    return varying, fitted(persons, values)
