"""Designs: what is drawn, from which distributions, tied how, and what a sample costs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from discsim.study.config import ConfigError, read_study, resolve, study_from_text
from discsim.study.correlation import pearson_matrix
from discsim.study.design import Design, draw, nominal_values, sample_study

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "experiments" / "cells_vs_gene" / "study.toml"
FILE = (ROOT / "tests" / "data" / "swept.toml").read_text()
PLAIN = study_from_text(FILE)
YEAR = 365.25 * 86400.0


def with_design(table: str) -> str:
    """The file with a design."""
    return f"{FILE}\n{table}"


def design_of(table: str) -> Design:
    """What a design of the file draws."""
    return draw(study_from_text(with_design(table)))


def sampled(kind: str, samples: int, vary: str, *, seed: int = 3, correlation: str = "") -> Design:
    """A design that draws."""
    table = f'[design]\nkind = "{kind}"\nsamples = {samples}\nseed = {seed}\n[design.vary]\n{vary}\n'
    return design_of(table + (f"[design.correlation]\n{correlation}\n" if correlation else ""))


def test_samples_of_a_long_list() -> None:
    numbers = ", ".join(f"{0.5 + index / 20_000!r}" for index in range(20_000))
    vary = f'"nutrition.demand_factor" = {{ values = [{numbers}] }}'
    study = study_from_text(with_design(f'[design]\nkind = "list"\n[design.vary]\n{vary}'))
    design = draw(study)
    samples = [sample_study(study, design, index) for index in (0, 10_000, 19_999)]
    assert [nominal_values(sample)["nutrition.demand_factor"] for sample in samples] == [0.5, 1.0, 0.5 + 19_999 / 20_000]


def test_shipped_design_is_what_its_file_says() -> None:
    study = read_study(SHIPPED)
    design = draw(study)
    assert (design.kind, design.seed, design.count) == ("sobol", 7, 256)
    by_path = {swept.path: swept for swept in design.inputs}
    assert list(by_path) == list(study.design["vary"])
    clearance, dose = by_path["nutrition.endplate_clearance"], by_path["scenarios.cells.therapy.0.dose"]
    assert (clearance.unit, clearance.scale, clearance.low, clearance.high) == ("mm/s", "log", 4e-5, 2e-3)
    assert (dose.unit, dose.scale, dose.evidence) == ("cell", "log", "measured")
    rate = by_path["matrix_turnover.gag_loss_rate"]
    assert (rate.unit, rate.scale, rate.low, rate.high) == ("1/year", "log", 0.02, 0.25)  # the bounds cut the lognormal off
    loading = by_path["loading.active"]
    assert (loading.scale, loading.evidence) == ("linear", "assumed")
    for swept in design.inputs:
        assert swept.values.shape == (256,) and not swept.values.flags.writeable
        assert swept.low <= swept.values.min() and swept.values.max() <= swept.high
    # every eighth of the range of a Sobol input holds an eighth of the samples
    shares = (np.log(clearance.values) - np.log(4e-5)) / (np.log(2e-3) - np.log(4e-5))
    assert np.bincount((8 * shares).astype(int)).tolist() == [32] * 8
    problem = sample_study(study, design, 5).problem()
    amounts = {arm.name: [d.amount for d in arm.doses if "undifferentiated" in d.field] for arm in problem.arms}
    assert amounts["cells"] == amounts["both"] == [pytest.approx(0.75 * dose.values[5])]
    for arm in problem.arms:
        assert arm.values["nutrition.endplate_clearance"] == pytest.approx(clearance.values[5], rel=1e-15)
        for value in arm.values["matrix_turnover.gag_loss_rate"].values():
            assert value == pytest.approx(rate.values[5] / YEAR, rel=1e-14)


def test_samples_are_numbered_from_zero() -> None:
    study = read_study(SHIPPED)
    design = draw(study)
    for index in (-1, 256):
        with pytest.raises(IndexError, match="samples 0 to 255"):
            sample_study(study, design, index)


def test_study_without_design_draws_nothing() -> None:
    with pytest.raises(ConfigError, match="design: given nothing"):
        draw(PLAIN)


def test_grid_takes_all_combinations() -> None:
    design = design_of(
        '[design]\nkind = "grid"\n[design.vary]\n"nutrition.endplate_clearance" = { low = "1e-4 mm/s", high = "1e-3 mm/s", '
        'count = 3, scale = "log" }\n"loading.active" = { values = ["0.2 MPa", "0.4 MPa"] }'
    )
    first, second = design.inputs
    assert first.values == pytest.approx([1e-4, 1e-4, 10**-3.5, 10**-3.5, 1e-3, 1e-3], rel=1e-14)
    assert second.values.tolist() == [0.2, 0.4] * 3
    assert (first.low, first.high, second.low, second.high) == (1e-4, 1e-3, 0.2, 0.4)
    assert (first.scale, second.scale, design.seed) == ("log", "linear", None)


def test_list_and_table_take_values_side_by_side(tmp_path: Path) -> None:
    (tmp_path / "samples.csv").write_text("nutrition.demand_factor,loading.active\n0.5,0.3 MPa\n2,400 kPa\n1,0.2 MPa\n")
    listed = (
        '[design]\nkind = "list"\n[design.vary]\n"nutrition.demand_factor" = { values = [0.5, 2, 1] }\n'
        '"loading.active" = { values = ["0.3 MPa", "400 kPa", "0.2 MPa"] }'
    )
    designs = [
        design_of(listed),
        draw(study_from_text(with_design('[design]\nkind = "csv"\nfile = "samples.csv"'), folder=tmp_path)),
    ]
    for design in designs:
        assert design.kind == "list" and design.seed is None and design.count == 3
        assert [swept.values.tolist() for swept in design.inputs] == [[0.5, 2.0, 1.0], pytest.approx([0.3, 0.4, 0.2])]
    assert designs[0].values(1) == {"nutrition.demand_factor": 2.0, "loading.active": pytest.approx(0.4)}


TWO = """"nutrition.endplate_clearance" = { low = "4e-5 mm/s", high = "2e-3 mm/s", scale = "log" }
"loading.active" = { low = "0.2 MPa", high = "0.4 MPa" }"""


@pytest.mark.parametrize("kind", ["random", "sobol"])
def test_more_samples_begin_with_the_same_ones(kind: str) -> None:
    few, many = sampled(kind, 16, TWO), sampled(kind, 64, TWO)
    for short, long in zip(few.inputs, many.inputs, strict=True):
        assert short.values.tolist() == long.values[:16].tolist()
    tied = [sampled(kind, n, TWO, correlation='"nutrition.endplate_clearance, loading.active" = 0.7') for n in (16, 64)]
    assert tied[0].inputs[1].values.tolist() == tied[1].inputs[1].values[:16].tolist()


@pytest.mark.parametrize("kind", ["random", "sobol", "latin_hypercube"])
def test_seed_decides_the_samples(kind: str) -> None:
    one, same, other = (sampled(kind, 16, TWO, seed=seed) for seed in (1, 1, 2))
    assert one.values(7) == same.values(7)
    assert set(one.inputs[0].values).isdisjoint(other.inputs[0].values)
    assert one.seed == 1


@pytest.mark.parametrize("correlation", ["", '"loading.active, nutrition.endplate_clearance" = -0.6'])
def test_latin_hypercube_has_one_sample_in_every_slice(correlation: str) -> None:
    for swept in sampled("latin_hypercube", 50, TWO, correlation=correlation).inputs:
        ends = np.log([swept.low, swept.high]) if swept.scale == "log" else np.array([swept.low, swept.high])
        values = np.log(swept.values) if swept.scale == "log" else swept.values
        assert sorted((50 * (values - ends[0]) / (ends[1] - ends[0])).astype(int)) == list(range(50))


def test_named_values_are_drawn_equally_often() -> None:
    (swept,) = sampled("sobol", 64, '"nutrition.demand_factor" = { values = [2.0, 0.5, 1.0, 0.75] }').inputs
    assert {value: int((swept.values == value).sum()) for value in (0.5, 0.75, 1.0, 2.0)} == {0.5: 16, 0.75: 16, 1.0: 16, 2.0: 16}
    assert (swept.low, swept.high) == (0.5, 2.0)


BOUNDS = (0.1, 0.6)  # MPa, of loading.active
DISTRIBUTIONS: dict[str, tuple[str, Any, tuple[float, float]]] = {
    "uniform": ('dist = "uniform", low = "0.2 MPa", high = "0.5 MPa"', stats.uniform(0.2, 0.3), (0.2, 0.5)),
    "loguniform": ('dist = "loguniform", low = "0.2 MPa", high = "0.5 MPa"', stats.loguniform(0.2, 0.5), (0.2, 0.5)),
    "triangular": (
        'dist = "triangular", low = "0.2 MPa", mode = "250 kPa", high = "0.5 MPa"',
        stats.triang(0.05 / 0.3, 0.2, 0.3),
        (0.2, 0.5),
    ),
    "normal": ('dist = "normal", mean = "0.5 MPa", sd = "0.2 MPa"', stats.norm(0.5, 0.2), BOUNDS),
    "lognormal": ('dist = "lognormal", median = "0.15 MPa", gsd = 2', stats.lognorm(np.log(2.0), scale=0.15), BOUNDS),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_distributions_are_cut_off_at_their_bounds(name: str) -> None:
    text, whole, (low, high) = DISTRIBUTIONS[name]
    (swept,) = sampled("latin_hypercube", 4096, f'"loading.active" = {{ {text} }}').inputs
    assert [swept.low, swept.high] == pytest.approx([low, high])
    assert low <= swept.values.min() and swept.values.max() <= high
    mass = whole.cdf(high) - whole.cdf(low)
    shares = np.sort((whole.cdf(swept.values) - whole.cdf(low)) / mass)
    # a Latin hypercube puts sample k of a sorted input between the quantiles k/n and (k+1)/n, so nothing piles up at the ends
    slices = np.arange(4096) / 4096
    assert np.all(shares >= slices - 1e-9) and np.all(shares <= slices + 1 / 4096 + 1e-9)


@pytest.mark.parametrize("kind", ["random", "sobol", "latin_hypercube"])
@pytest.mark.parametrize("rank", [-0.8, 0.4])
def test_correlated_inputs_have_the_rank_correlation(kind: str, rank: float) -> None:
    vary = TWO + '\n"nutrition.demand_factor" = { dist = "lognormal", median = 1.0, gsd = 1.5 }'
    pair = f'"nutrition.endplate_clearance,nutrition.demand_factor" = {rank}'
    first, second, third = sampled(kind, 4096, vary, correlation=pair).inputs
    # standard error of a rank correlation of 4096 random samples: (1 - rho^2) / sqrt(n), at most 0.016; four of them
    assert stats.spearmanr(first.values, third.values).statistic == pytest.approx(rank, abs=4 / 64)
    assert stats.spearmanr(first.values, second.values).statistic == pytest.approx(0.0, abs=4 / 64)


def test_normal_scores_have_the_rank_correlation() -> None:
    matrix = pearson_matrix({"a, b": 0.5, "b, c": -0.9}, ("a", "b", "c"))
    assert matrix.tolist() == matrix.T.tolist() and matrix[0, 2] == 0.0
    assert matrix[0, 1] == pytest.approx(2.0 * np.sin(np.pi / 12.0))
    # rank correlation of a bivariate normal: (6/pi) asin(r/2)
    assert 6.0 / np.pi * np.arcsin(matrix[1, 2] / 2.0) == pytest.approx(-0.9)


THREE = TWO + '\n"nutrition.demand_factor" = { low = 0.5, high = 2.0 }'
CORRELATION_MISTAKES: dict[str, tuple[str, str, str, str]] = {
    "no pair": ('"loading.active" = 0.5', 'correlation."loading.active"', "loading.active", "two paths"),
    "a number with itself": ('"loading.active, loading.active" = 0.5', "loading.active", "loading.active", "two different"),
    "unknown path": ('"loading.active, nutrition.demand_facter" = 0.5', "demand_facter", "unknown path", "demand_factor"),
    "number that does not vary": ('"loading.active, loading.rest" = 0.5', "loading.rest", "does not vary", "loading.active"),
    "one": ('"loading.active, nutrition.demand_factor" = 1', "demand_factor", "1", "below 1"),
    "no number": ('"loading.active, nutrition.demand_factor" = "0.5"', "demand_factor", '"0.5"', "a number"),
    "truth": ('"loading.active, nutrition.demand_factor" = true', "demand_factor", "true", "a number"),
    "pair twice": (
        '"loading.active, nutrition.demand_factor" = 0.1\n"mechanisms.nutrition.demand_factor, loading.active" = 0.1',
        "demand_factor",
        "loading.active",
        "every pair once",
    ),
    "what no numbers can have": (
        '"loading.active, nutrition.demand_factor" = 0.9\n"loading.active, nutrition.endplate_clearance" = 0.9\n'
        '"nutrition.demand_factor, nutrition.endplate_clearance" = -0.9',
        "design.correlation",
        '"loading.active, nutrition.demand_factor" = 0.9; "loading.active, nutrition.endplate_clearance" = 0.9; '
        '"nutrition.demand_factor, nutrition.endplate_clearance" = -0.9',
        "positive definite",
    ),
}


@pytest.mark.parametrize("name", CORRELATION_MISTAKES)
def test_mistakes_in_correlations_are_told(name: str) -> None:
    pairs, key, given, allowed = CORRELATION_MISTAKES[name]
    with pytest.raises(ConfigError) as caught:
        sampled("sobol", 8, THREE, correlation=pairs)
    (mistake,) = caught.value.problems
    assert key in mistake.key and given in mistake.given and allowed in mistake.allowed
    assert mistake.key.startswith("design.correlation")


def test_clash_names_only_the_pairs_that_clash() -> None:
    vary = THREE + '\n"loading.rest" = { low = "0.05 MPa", high = "0.1 MPa" }\n"disc.height" = { low = "8 mm", high = "9 mm" }'
    pairs = CORRELATION_MISTAKES["what no numbers can have"][0] + '\n"loading.rest, disc.height" = 0.5'
    with pytest.raises(ConfigError) as caught:
        sampled("sobol", 8, vary, correlation=pairs)
    (mistake,) = caught.value.problems
    assert "disc.height" not in mistake.given and "nutrition.demand_factor" in mistake.given


def test_kinds_that_draw_nothing_take_no_correlation() -> None:
    table = (
        '[design]\nkind = "list"\n[design.vary]\n"loading.active" = { values = ["0.3 MPa"] }\n[design.correlation]\n"a, b" = 0.5'
    )
    with pytest.raises(ConfigError, match=r"design\.correlation: given a table; allowed: no such key for kind list"):
        design_of(table)


def test_correlation_stands_in_the_resolved_file() -> None:
    pair = '"mechanisms.nutrition.endplate_clearance ,loading.active" = -0.25'
    text = with_design(f'[design]\nkind = "sobol"\nsamples = 8\n[design.vary]\n{TWO}\n[design.correlation]\n{pair}\n')
    study = study_from_text(text)
    assert study.design["correlation"] == {"nutrition.endplate_clearance, loading.active": -0.25}
    again = study_from_text(study.resolved)
    assert again.design == study.design and again.resolved == study.resolved
    written = resolve(dataclasses.replace(study, resolved=""))
    assert study_from_text(written).design == study.design
    assert draw(again).values(3) == draw(study).values(3)
    path = "design.correlation.nutrition.endplate_clearance,loading.active"
    assert study_from_text(study.resolved, [f"{path}=0.5"]).design["correlation"] == {
        "nutrition.endplate_clearance, loading.active": 0.5
    }


def test_times_are_drawn_within_the_simulated_time() -> None:
    vary = '"scenarios.cells.therapy.0.at" = { dist = "normal", mean = "9 year", sd = "5 year" }'
    (swept,) = sampled("sobol", 64, vary).inputs
    assert [swept.low, swept.high] == pytest.approx([0.0, 3652.5]) and swept.values.max() <= 3652.5
    with pytest.raises(ConfigError, match="allowed: 0 day to 10 year"):
        sampled("sobol", 8, '"scenarios.cells.therapy.0.at" = { low = "0 day", high = "20 year" }')
