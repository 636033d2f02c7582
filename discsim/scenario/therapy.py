"""Therapies: what is injected, where, when, how much, and the mechanism that it brings. No engine knows a therapy."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from discsim.biology.mechanism import Mechanism
from discsim.biology.mechanisms.gene_expression import GeneExpression
from discsim.biology.mechanisms.stem_cells import StemCells
from discsim.quantities.parameters import ParameterError, Parameterised, param

_PHASE3 = "NCT02412735: 6 million cells in 2.0 mL"


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a bolus lies: the whole of ``region``, or the part of it near the centre that ``volume`` (mm3) fills."""

    kind: str = "nucleus"
    region: str = "NP"
    volume: float = 0.0

    def shape(self, xp: Any, radius: Any, height: Any, region_radius: Any, region_height: Any, mask: Any) -> Any:
        """Relative density of the bolus at points; ``radius`` from the axis, ``height`` from the mid-plane (mm).

        ``nucleus``: 1 all over the region. ``centre``: an ellipsoid of the region's proportions and of the given volume, with
        an edge smoothed over a tenth of its size, cut at the region's border.
        """
        if self.kind == "nucleus":
            return mask
        scale = (3.0 * self.volume / (4.0 * math.pi * region_radius**2 * region_height)) ** (1.0 / 3.0)
        # the last term, lost in round-off anywhere else, gives the root a slope at the very centre
        distance = xp.sqrt((radius / region_radius) ** 2 + (height / region_height) ** 2 + 1e-30) / scale
        return mask / (1.0 + xp.exp(xp.clip((distance - 1.0) / 0.05, -50.0, 50.0)))


@dataclasses.dataclass(frozen=True)
class Dose:
    """``amount`` (whole disc) deposited into ``field`` at ``at`` (s); the deposit conserves it on the mesh."""

    field: str
    amount: float
    at: float
    place: Place


class Therapy(Parameterised):
    """Base of therapies: own parameters (dose, volume, time) and those of the mechanism that comes with it."""

    mechanism_class: type[Mechanism] = Mechanism

    def __init__(self, *, label: str | None = None, **given: Any) -> None:
        own = {key: value for key, value in given.items() if key in self.keys()}
        other = {key: value for key, value in given.items() if key not in own}
        brought = self.mechanism_class.keys()
        unknown = [key for key in other if key not in brought]
        if unknown:
            raise ParameterError(f"{self.name}: no key {unknown[0]!r}; it takes {', '.join(self.all_keys())}")
        super().__init__(label=label or self.default_label(other), **own)
        self.mechanism = self.mechanism_class(label=self.label, **other)

    @classmethod
    def all_keys(cls) -> tuple[str, ...]:
        """Every key that an experiment file may give."""
        return (*cls.keys(), *cls.mechanism_class.keys(), "label")

    @classmethod
    def default_label(cls, mechanism_keys: dict[str, Any]) -> str:
        """Name of the instance where none is given; decides the names of its fields."""
        return cls.mechanism_class.name

    def doses(self) -> tuple[Dose, ...]:
        """What is deposited, where and when."""
        raise TypeError(f"{type(self).__name__} gives no doses")


class StemCellInjection(Therapy):
    """Stem cells injected into the nucleus; the carrier decides what share is retained."""

    name = "stem_cell_injection"
    mechanism_class = StemCells
    options = {
        "carrier": {
            "hyaluronic_acid": {"retained_fraction": "0.75"},
            "fibrin": {"retained_fraction": "0.75"},
            "saline": {"retained_fraction": "0.5"},
        }
    }
    structural_options = {"place": ("nucleus", "centre")}

    dose = param("6e6 cell", bounds=("0 cell", "1e8 cell"), source=_PHASE3, evidence="measured", description="cells injected")
    volume = param("2 mL", bounds=("0.1 mL", "3 mL"), source=_PHASE3, evidence="measured", description="injected volume")
    at = param("0 day", bounds=("0 day", "100 year"), source="user's choice", evidence="assumed", description="time of injection")
    retained_fraction = param(
        "0.75",
        bounds=("0.1", "0.95"),
        source="assumed: gel 0.75, saline 0.5 (therapies 1.7)",
        evidence="assumed",
        description="share of the dose that stays in the disc",
    )

    def doses(self) -> tuple[Dose, ...]:
        v = {key: float(value) for key, value in self.values.items() if isinstance(value, float)}
        place = Place(self.chosen["place"], "NP", v["volume"])
        return (Dose(f"{self.label}/undifferentiated", v["dose"] * v["retained_fraction"], v["at"], place),)


class GeneTherapy(Therapy):
    """A vector injected into the nucleus."""

    name = "gene_therapy"
    mechanism_class = GeneExpression
    structural_options = {"place": ("nucleus", "centre")}

    dose = param(
        "1e11 vg",
        bounds=("0 vg", "1e14 vg"),
        source="assumed: 1e9-1e10 vg per rabbit disc (recalled, unverified) scaled to the human nucleus",
        evidence="assumed",
        description="vector genomes injected",
    )
    volume = param(
        "1 mL",
        bounds=("0.1 mL", "3 mL"),
        source="assumed: as cell trials, 1-2 mL",
        evidence="assumed",
        description="injected volume",
    )
    at = param("0 day", bounds=("0 day", "100 year"), source="user's choice", evidence="assumed", description="time of injection")
    retained_fraction = param(
        "0.5",
        bounds=("0.1", "0.95"),
        source="assumed: saline carrier (therapies 1.7)",
        evidence="assumed",
        description="share of the dose that stays in the disc",
    )

    @classmethod
    def default_label(cls, mechanism_keys: dict[str, Any]) -> str:
        return f"gene.{mechanism_keys.get('transgene', 'TIMP3')}"

    def doses(self) -> tuple[Dose, ...]:
        v = {key: float(value) for key, value in self.values.items() if isinstance(value, float)}
        place = Place(self.chosen["place"], "NP", v["volume"])
        return (Dose(f"{self.label}/free_vector", v["dose"] * v["retained_fraction"], v["at"], place),)


THERAPIES: dict[str, type[Therapy]] = {cls.name: cls for cls in (StemCellInjection, GeneTherapy)}
