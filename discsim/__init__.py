"""discsim: which repair helps this disc, at this grade, under this load: cells, genes, both, or neither?

Names load when they are first used, so that ``import discsim`` brings neither jax nor DOLFINx.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from discsim.biology import mechanisms
    from discsim.biology.mechanism import Exchange, Level, Mechanism, conversion, derived, drive, local, loss
    from discsim.disc.disc import Disc
    from discsim.quantities.fields import Field
    from discsim.quantities.parameters import param
    from discsim.scenario import loading
    from discsim.scenario.scenario import Event, Scenario
    from discsim.scenario.therapy import GeneTherapy, StemCellInjection
    from discsim.study.config import read_study
    from discsim.study.result import Result
    from discsim.study.study import Study

__version__ = "0.1.0"
_WHERE = {
    "Disc": "disc.disc", "Scenario": "scenario.scenario", "Event": "scenario.scenario", "Study": "study.study",
    "StemCellInjection": "scenario.therapy", "GeneTherapy": "scenario.therapy", "Mechanism": "biology.mechanism",
    "derived": "biology.mechanism", "drive": "biology.mechanism", "local": "biology.mechanism", "loss": "biology.mechanism",
    "conversion": "biology.mechanism", "Exchange": "biology.mechanism", "Level": "biology.mechanism",
    "param": "quantities.parameters", "Field": "quantities.fields", "read_study": "study.config", "Result": "study.result",
}  # fmt: skip
_MODULES = {"mechanisms": "biology.mechanisms", "loading": "scenario.loading"}
__all__ = [
    "Disc", "Event", "Exchange", "Field", "GeneTherapy", "Level", "Mechanism", "Result", "Scenario", "StemCellInjection", "Study",
    "__version__", "conversion", "derived", "drive", "loading", "local", "loss", "mechanisms", "param", "read_study",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"discsim.{_MODULES[name]}")
    if name in _WHERE:
        return getattr(importlib.import_module(f"discsim.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'discsim' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
