"""discsim: the human intervertebral disc, its cells and matrix over years, and what therapies change.

Names are loaded when they are first used, so that ``import discsim`` is quick and works where DOLFINx is missing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from discsim.biology import mechanisms as mechanisms
    from discsim.biology.mechanism import Exchange as Exchange
    from discsim.biology.mechanism import Level as Level
    from discsim.biology.mechanism import Mechanism as Mechanism
    from discsim.biology.mechanism import conversion as conversion
    from discsim.biology.mechanism import derived as derived
    from discsim.biology.mechanism import drive as drive
    from discsim.biology.mechanism import local as local
    from discsim.biology.mechanism import loss as loss
    from discsim.disc.disc import Disc as Disc
    from discsim.quantities.fields import Field as Field
    from discsim.quantities.parameters import param as param
    from discsim.scenario import loading as loading
    from discsim.scenario.scenario import Event as Event
    from discsim.scenario.scenario import Scenario as Scenario
    from discsim.scenario.therapy import GeneTherapy as GeneTherapy
    from discsim.scenario.therapy import StemCellInjection as StemCellInjection
    from discsim.study.config import read_study as read_study
    from discsim.study.result import Result as Result
    from discsim.study.study import Study as Study

__version__ = "0.1.0"

# Name -> module that holds it.
_HOMES: dict[str, str] = {
    "Disc": "discsim.disc.disc",
    "Event": "discsim.scenario.scenario",
    "Exchange": "discsim.biology.mechanism",
    "Field": "discsim.quantities.fields",
    "GeneTherapy": "discsim.scenario.therapy",
    "Level": "discsim.biology.mechanism",
    "Mechanism": "discsim.biology.mechanism",
    "Result": "discsim.study.result",
    "Scenario": "discsim.scenario.scenario",
    "StemCellInjection": "discsim.scenario.therapy",
    "Study": "discsim.study.study",
    "conversion": "discsim.biology.mechanism",
    "derived": "discsim.biology.mechanism",
    "drive": "discsim.biology.mechanism",
    "local": "discsim.biology.mechanism",
    "loss": "discsim.biology.mechanism",
    "param": "discsim.quantities.parameters",
    "read_study": "discsim.study.config",
}
_MODULES: dict[str, str] = {"loading": "discsim.scenario.loading", "mechanisms": "discsim.biology.mechanisms"}

__all__ = [*sorted([*_HOMES, *_MODULES]), "__version__"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value: Any = importlib.import_module(_MODULES[name])
    elif name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'discsim' has no attribute {name!r}; it has {', '.join(__all__)}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
