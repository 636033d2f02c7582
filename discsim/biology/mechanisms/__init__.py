"""The mechanisms that ship with discsim, one process a file; ``CATALOGUE`` names them for experiment files."""

from __future__ import annotations

from discsim.biology.mechanism import Mechanism
from discsim.biology.mechanisms.cell_fate import CellFate
from discsim.biology.mechanisms.gene_expression import GeneExpression
from discsim.biology.mechanisms.matrix_turnover import MatrixTurnover
from discsim.biology.mechanisms.nutrition import Nutrition
from discsim.biology.mechanisms.stem_cells import StemCells

CATALOGUE: dict[str, type[Mechanism]] = {
    cls.name: cls for cls in (Nutrition, CellFate, MatrixTurnover, StemCells, GeneExpression)
}
# Those that an experiment file may name under [mechanisms]; the others come with a therapy.
DEFAULT: tuple[str, ...] = ("nutrition", "cell_fate", "matrix_turnover")


def default() -> tuple[Mechanism, ...]:
    """Nutrition, cell fate and matrix turnover with their default parameters."""
    return tuple(CATALOGUE[name]() for name in DEFAULT)
