"""A lane's numbers as one row: parameter values by path, packed, so that a call hands over one array and not a hundred."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from discsim.quantities.parameters import REGIONS


class Layout:
    """Which columns of a row hold which parameter. A parameter with one value per region has four."""

    def __init__(self, tables: Iterable[Mapping[str, Any]]) -> None:
        regional: dict[str, bool] = {}
        for table in tables:
            for path, value in table.items():
                regional[path] = regional.get(path, False) or isinstance(value, Mapping)
        self.columns: dict[str, slice] = {}
        start = 0
        for path, by_region in regional.items():
            width = len(REGIONS) if by_region else 1
            self.columns[path] = slice(start, start + width)
            start += width
        self.width = start

    @property
    def key(self) -> tuple[tuple[str, int], ...]:
        """What decides the compiled form."""
        return tuple((path, columns.stop - columns.start) for path, columns in self.columns.items())

    def pack(self, values: Mapping[str, Any]) -> np.ndarray:
        """The row of one table of values (all paths of the layout must be there)."""
        row = np.empty(self.width)
        self.update(row, {path: values[path] for path in self.columns})
        return row

    def update(self, row: np.ndarray, values: Mapping[str, Any]) -> None:
        """Write some values into a row; paths that no law reads are passed over."""
        for path, value in values.items():
            if path in self.columns:
                row[self.columns[path]] = [value[r] for r in REGIONS] if isinstance(value, Mapping) else float(value)

    def unpack(self, row: Any) -> dict[str, Any]:
        """Values by path: numbers, or arrays of one number per region."""
        found = {}
        for path, columns in self.columns.items():
            found[path] = row[columns.start] if columns.stop - columns.start == 1 else row[columns]
        return found


def at_cells(values: Mapping[str, Any], regions: Any) -> dict[str, Any]:
    """Every parameter as a number, or as one per cell with shape (cells, 1); ``regions`` are ids 1..4."""
    return {path: value if value.ndim == 0 else value[regions - 1][:, None] for path, value in values.items()}


def by_region(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as they stand in a scenario: numbers and tables by region."""
    return {p: v if v.ndim == 0 else {r: v[i] for i, r in enumerate(REGIONS)} for p, v in values.items()}
