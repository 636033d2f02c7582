"""What every mechanism of the catalogue must satisfy; a new one is tested by being in the catalogue."""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discsim.biology.mechanism import (
    Composition,
    CompositionError,
    Mechanism,
    conversion,
    derived,
    drive,
    loss,
)
from discsim.biology.mechanisms import CATALOGUE, DEFAULT
from discsim.disc.material import OsmoBiphasic
from discsim.problem.point import PointModel
from discsim.quantities.fields import CELL_DENSITY, GAG, Field
from discsim.quantities.parameters import param

SHARED = {"oxygen": 7.0, "glucose": 5.0, "lactate": 8.0, "cell_density": 6e3, "gag": 80.0}
OWN = {"cells": 3e3, "matrix": 1e7, "per_cell": 1.0, "signal": 50.0, "solute": 5.0}
MASKS = {"in_NP": 1.0, "in_inner_AF": 0.0, "in_outer_AF": 0.0, "in_CEP": 0.0}
QUICK = settings(max_examples=40, deadline=None)


def catalogue() -> list[Mechanism]:
    """One instance of every mechanism."""
    return [cls() for cls in CATALOGUE.values()]


def setting(mechanisms: list[Mechanism]) -> tuple[Composition, dict[str, float]]:
    """A composition and its parameters at the nucleus."""
    composition, material = Composition(mechanisms), OsmoBiphasic()
    values = composition.default_values() | {f"materials.{k}": v for k, v in material.values.items()}
    return composition, {path: float(v["NP"] if isinstance(v, dict) else v) for path, v in values.items()}


def most(composition: Composition, name: str) -> float:
    """Upper end of a field's range."""
    return SHARED.get(name, OWN[composition.fields[name].kind])


def point(composition: Composition, shares: list[float]) -> dict[str, Any]:
    """A state, from shares 0..1 of each field's range."""
    state = {name: share * most(composition, name) for name, share in zip(composition.fields, shares, strict=True)}
    return {**state, **MASKS, "jacobian": 1.0, "porosity": 0.8, "reference_porosity": 0.8, "diffusivity_factor": 1.0}


def net_rates(composition: Composition, parameters: dict[str, float], state: dict[str, Any]) -> dict[str, Any]:
    """Net rate of every field per current volume (losses and conversions multiplied out)."""
    changes = composition.evaluate(parameters, state)
    net = {name: sum((rate for _, rate in changes.sources.get(name, [])), jnp.zeros(())) for name in composition.fields}
    for name, losses in changes.losses.items():
        net[name] = net[name] - state[name] * sum(rate for _, rate in losses)
    for source, into, rate in changes.conversions:
        net[source] = net[source] - state[source] * rate
        net[into] = net[into] + state[source] * rate
    return net


FIELDS = len(Composition(catalogue()).fields)
STATES = st.lists(st.floats(0.0, 1.0), min_size=FIELDS, max_size=FIELDS)


def test_values_and_slopes_are_finite_where_fields_are_zero() -> None:
    composition, parameters = setting(catalogue())

    def rates(shares: Any) -> Any:
        return jnp.stack(list(net_rates(composition, parameters, point(composition, list(shares))).values()))

    corners = [np.zeros(FIELDS), np.ones(FIELDS)] + [1.0 - np.eye(FIELDS)[i] for i in range(FIELDS)]
    corners += [np.eye(FIELDS)[i] for i in range(FIELDS)]
    values = jax.jit(jax.vmap(rates))(jnp.array(corners))
    slopes = jax.jit(jax.vmap(jax.jacrev(rates)))(jnp.array(corners))
    assert bool(jnp.isfinite(values).all()) and bool(jnp.isfinite(slopes).all())


@QUICK
@given(shares=STATES, index=st.integers(0, FIELDS - 1))
def test_a_field_at_zero_is_never_consumed(shares: list[float], index: int) -> None:
    composition, parameters = setting(catalogue())
    shares[index] = 0.0
    name = list(composition.fields)[index]
    assert float(net_rates(composition, parameters, point(composition, shares))[name]) >= 0.0


@QUICK
@given(shares=STATES, order=st.permutations(range(len(CATALOGUE))))
def test_the_order_of_mechanisms_does_not_matter(shares: list[float], order: list[int]) -> None:
    mechanisms = catalogue()
    composition, parameters = setting(mechanisms)
    permuted, _ = setting([mechanisms[i] for i in order])
    state = point(composition, shares)
    first, second = net_rates(composition, parameters, state), net_rates(permuted, parameters, state)
    for name, rate in first.items():
        assert float(second[name]) == pytest.approx(float(rate), rel=1e-12, abs=1e-300)


@QUICK
@given(shares=STATES)
@pytest.mark.parametrize("name", [name for name in CATALOGUE if name not in DEFAULT])
def test_a_therapy_mechanism_is_exactly_neutral_without_a_dose(name: str, shares: list[float]) -> None:
    base = [CATALOGUE[key]() for key in DEFAULT]
    plain, _ = setting(base)
    treated, parameters = setting([*base, CATALOGUE[name]()])
    state = point(treated, shares[: len(treated.fields)])
    own = [field for field in treated.fields if field not in plain.fields]
    state |= dict.fromkeys(own, 0.0)
    with_mechanism, without = net_rates(treated, parameters, state), net_rates(plain, parameters, state)
    assert all(float(with_mechanism[field]) == 0.0 for field in own)
    assert all(float(with_mechanism[field]) == float(without[field]) for field in plain.fields)


@QUICK
@given(shares=STATES, dt=st.floats(0.0, 3e9), jacobian=st.floats(0.8, 1.3))
def test_a_step_keeps_every_field_positive_and_the_ledger_closed(shares: list[float], dt: float, jacobian: float) -> None:
    composition, parameters = setting(catalogue())
    model = PointModel(composition, OsmoBiphasic())
    state = point(composition, shares)
    pointwise = {name: state[name] for name in (*model.cells, *model.others)}
    nodal = {name: state[name] for name in (*model.solutes, *model.signals)}
    new, ledger = model.advance_cells(parameters, pointwise, nodal, jacobian, MASKS, dt)
    others = model.advance_others(parameters, {**pointwise, **new}, nodal, jacobian, MASKS, dt)
    assert all(float(value) >= 0.0 for value in (*new.values(), *others.values()))
    gained = sum(float(ledger[name]["gained"]) for name in model.cells)
    left = sum(float(ledger[name]["left"]) for name in model.cells)
    assert gained == pytest.approx(left, rel=1e-12)
    for name in model.cells:
        entries = {key: float(value) for key, value in ledger[name].items()}
        size = pointwise[name] + entries["born"] + entries["gained"]
        balance = size - entries["died"] - entries["left"]
        assert float(new[name]) == pytest.approx(balance, rel=1e-9, abs=1e-9 * size + 1e-12)


class _Circular(Mechanism):
    name = "circular"

    @derived
    def first(self, second: Any) -> Any:
        return second

    @derived
    def second(self, first: Any) -> Any:
        return first


class _Missing(Mechanism):
    name = "missing"

    def rates(self, kryptonite: Any) -> dict[str, Any]:
        return {"gag": kryptonite}


class _Twice(Mechanism):
    name = "twice"

    @derived
    def ph(self, lactate: Any) -> Any:
        return lactate


class _NoDrive(Mechanism):
    name = "no_drive"

    @drive
    def motivation(self, glucose: Any) -> Any:
        return glucose


class _NoField(Mechanism):
    name = "no_field"

    def rates(self, glucose: Any) -> dict[str, Any]:
        return {"dark_matter": glucose}


class _TextForRegions(_Missing):
    name = "text_for_regions"
    regions = "NP"  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("mechanism", "message"),
    [
        (_Circular, "circular: first -> circular: second|circular: second -> circular: first"),
        (_Missing, "'missing' reads 'kryptonite', which nothing here gives"),
        (_Twice, "gives 'ph', which .* gives already"),
        (_NoDrive, "adds to 'motivation', no drive; drives: anabolic_drive"),
        (_TextForRegions, 'regions is the text "NP"; write'),
    ],
)
def test_mechanisms_that_do_not_fit_are_refused(mechanism: type[Mechanism], message: str) -> None:
    with pytest.raises(CompositionError, match=message):
        Composition([*[CATALOGUE[key]() for key in DEFAULT], mechanism()])


def test_a_rate_of_no_field_is_refused() -> None:
    composition, parameters = setting([*[CATALOGUE[key]() for key in DEFAULT], _NoField()])
    with pytest.raises(CompositionError, match="'no_field' changes 'dark_matter', which is no field"):
        composition.evaluate(parameters, point(composition, [0.5] * len(composition.fields)))


def test_two_instances_do_not_collide() -> None:
    gene = CATALOGUE["gene_expression"]
    composition = Composition([*[CATALOGUE[key]() for key in DEFAULT], gene(label="gene.a"), gene(label="gene.b")])
    assert {"gene.a/product", "gene.b/product"} <= set(composition.fields)
    with pytest.raises(CompositionError, match="two mechanisms are labelled 'gene.a'"):
        Composition([gene(label="gene.a"), gene(label="gene.a")])


class _NetLoss(Mechanism):
    """The example of the documentation: a net rate, here of two kinds of cells, one turning into the other."""

    name = "net_loss"
    regions = ("NP",)
    k = param("0.1 1/day", bounds=("0 1/day", "1 1/day"), source="test", evidence="assumed")

    def fields(self) -> tuple[Field, ...]:
        return (CELL_DENSITY, GAG, Field("old_cells", "o", "cell/mm^3", "cells", "old cells", shared=False))

    def rates(self, cell_density: Any) -> dict[str, Any]:
        return {"cell_density": -self.k * cell_density, conversion("cell_density", into="old_cells"): self.k, loss("gag"): self.k}


@pytest.mark.parametrize("mask", [1.0, 0.0])
def test_a_negative_net_rate_is_integrated_as_a_loss_and_only_in_its_regions(mask: float) -> None:
    composition, parameters = setting([_NetLoss()])
    model, dt = PointModel(composition, OsmoBiphasic()), 20.0 * 86400.0
    pointwise = {"cell_density": 1000.0, "gag": 50.0, "net_loss/old_cells": 0.0}
    masks = {**MASKS, "in_NP": mask, "in_CEP": 1.0 - mask}
    new, ledger = model.advance_cells(parameters, pointwise, {}, 1.0, masks, dt)
    others = model.advance_others(parameters, {**pointwise, **new}, {}, 1.0, masks, dt)
    kept = np.exp(-0.2 * 20.0) if mask else 1.0  # death and conversion, 0.1 per day each
    assert float(new["cell_density"]) == pytest.approx(1000.0 * kept, rel=1e-12)
    assert float(new["net_loss/old_cells"]) == pytest.approx(500.0 * (1.0 - kept), rel=1e-12, abs=1e-12)
    assert float(ledger["cell_density"]["died"]) == pytest.approx(500.0 * (1.0 - kept), rel=1e-12, abs=1e-12)
    assert float(others["gag"]) == pytest.approx(50.0 * (np.exp(-2.0) if mask else 1.0), rel=1e-12)


def test_every_parameter_has_unit_bounds_source_and_evidence() -> None:
    for mechanism in (*catalogue(), OsmoBiphasic()):
        for name, parameter in mechanism.parameters().items():
            regions = list(parameter.default) if parameter.regional else [None]
            for region in regions:
                low, high = parameter.bounds_of(region)
                value = parameter.default_value[region] if isinstance(parameter.default_value, dict) else parameter.default_value
                assert low <= value <= high, f"{mechanism.label}.{name}.{region}"
                assert parameter.evidence_of(region) in ("measured", "model", "recalled", "assumed")
                assert parameter.source_of(region).strip() and parameter.description.strip()
    pairs = itertools.combinations([m.label for m in catalogue()], 2)
    assert all(a != b for a, b in pairs)
