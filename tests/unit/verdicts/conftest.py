"""Small ensembles whose verdicts are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from discsim.study.ensemble import Ensemble, SweptInput

YEAR = 365.25 * 86400.0
Floats = NDArray[np.float64]
MakeEnsemble = Callable[..., Ensemble]


def swept(
    path: str, places: Floats, low: float, high: float, *, scale: str = "linear", unit: str = "mM", word: str = "assumed"
) -> SweptInput:
    """An input whose values stand at ``places`` (0 to 1) of its range."""
    values = low * (high / low) ** places if scale == "log" else low + (high - low) * places
    return SweptInput(path, unit, scale, word, low, high, values)


def build(
    values: Mapping[str, Mapping[str, Floats]],
    inputs: tuple[SweptInput, ...] = (),
    *,
    kind: str = "random",
    failed: Mapping[str, Mapping[int, str]] | None = None,
    times: tuple[float, ...] = (10.0,),
    units: Mapping[str, str] | None = None,
) -> Ensemble:
    """An ensemble; ``values`` are (samples,) for one time or (samples, times); ``failed``: scenario -> number -> status."""
    shaped = {
        name: {key: np.array(v, float).reshape(len(v), -1) for key, v in readouts.items()} for name, readouts in values.items()
    }
    first = next(iter(next(iter(shaped.values())).values()))
    count, names = len(first), next(iter(shaped.values()))
    status = {name: np.full(count, "ok", dtype="U16") for name in shaped}
    reasons = {name: np.full(count, "", dtype="U80") for name in shaped}
    for name, rows in (failed or {}).items():
        for number, word in rows.items():
            status[name][number], reasons[name][number] = word, f"why {number}"
            for column in shaped[name].values():
                column[number] = np.nan
    return Ensemble(
        "a test",
        kind,
        5,
        np.arange(count),
        np.array(times) * YEAR,
        shaped,
        {key: (units or {}).get(key, "mg") for key in names},
        dict.fromkeys(names, 2),
        status,
        reasons,
        inputs,
    )


@pytest.fixture
def clinic() -> Ensemble:
    """256 samples of four inputs; cells beat untreated exactly where supply is high; gene adds GAG by its effect."""
    places = np.random.default_rng(4).random((256, 4))
    inputs = (
        swept("nutrition.endplate_clearance", places[:, 0], 4e-5, 2e-3, scale="log", unit="mm/s", word="recalled"),
        swept("loading.active", places[:, 1], 0.25, 0.4, unit="MPa", word="measured"),
        swept("scenarios.cells.therapy.0.dose", places[:, 2], 1e6, 1.8e7, scale="log", unit="cell"),
        swept("gene.TIMP3.loss_effect", places[:, 3], 0.0, 0.6, unit="dimensionless"),
    )
    cells, gag, oxygen = 40.0 - 5.0 * places[:, 1], 180.0 - 30.0 * places[:, 1], 2.0 + 0.1 * places[:, 1]
    gain, kept = 8.0 * (places[:, 0] - 0.4), 20.0 * (0.1 + places[:, 3])
    values = {
        "untreated": {"viable_cells": cells, "gag_nucleus": gag, "oxygen_min": oxygen},
        "cells": {"viable_cells": cells + gain, "gag_nucleus": gag + 0.5 * gain, "oxygen_min": oxygen - 0.3},
        "gene": {"viable_cells": cells, "gag_nucleus": gag + kept, "oxygen_min": oxygen},
    }
    return build(values, inputs, failed={"cells": {3: "nonconverged", 17: "nonconverged", 40: "unphysical"}})


@pytest.fixture(scope="session")
def make_ensemble() -> MakeEnsemble:
    """``build``."""
    return build


@pytest.fixture(scope="session")
def make_input() -> Callable[..., SweptInput]:
    """``swept``."""
    return swept
