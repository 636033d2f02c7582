"""The experiment in the repository, which some cases begin from."""

from __future__ import annotations

from pathlib import Path

import discsim


def shipped_experiment() -> Path:
    """Its file. Raises ``FileNotFoundError`` where discsim does not run from a checkout."""
    found = Path(discsim.__file__).resolve().parents[1] / "experiments" / "cells_vs_gene" / "study.toml"
    if not found.is_file():
        raise FileNotFoundError(f"{found}: this case reads the experiment in the repository; run it from a checkout")
    return found
