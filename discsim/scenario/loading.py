"""Loading: force per disc area over the day, and its time mean for the year clock."""

from __future__ import annotations

from typing import Any

from discsim.quantities.parameters import Parameterised, param


class Diurnal(Parameterised):
    """8 h rest, 16 h activity. Force per reference disc area, *not* intradiscal pressure.

    The year clock sees the time mean ("effective load"): the drained model must never switch between lying and standing.
    ``plate``: the rigid top plate is bonded to the endplate, or slips radially.
    """

    name = "loading"
    structural_options = {"plate": ("bonded", "slip")}

    rest = param(
        "0.10 MPa",
        bounds=("0 MPa", "0.2 MPa"),
        source="assumed (default_disc a1)",
        evidence="assumed",
        description="force per disc area lying",
    )
    active = param(
        "0.31 MPa",
        bounds=("0.1 MPa", "0.6 MPa"),
        source="assumed: gives intradiscal pressure 0.48 falling to 0.39 MPa (default_disc a1)",
        evidence="assumed",
        description="force per disc area in the active day",
    )
    rest_share = param(
        "0.3333333333333333",
        bounds=("0", "1"),
        source="8 h of 24 h, published decks [code] bmmbUPF/abaqusIVD",
        evidence="model",
        description="share of the day lying",
    )


def effective_load(rest: float, active: float, rest_share: float) -> float:
    """Time mean of the force per area, MPa (0.24 for the default day)."""
    return rest_share * rest + (1.0 - rest_share) * active


def diurnal(**given: Any) -> Diurnal:
    """The default day, or one with other values."""
    return Diurnal(**given)


def constant(load: str) -> Diurnal:
    """A load that never changes, such as "0.24 MPa"."""
    return Diurnal(rest="0 MPa", active=load, rest_share="0")
