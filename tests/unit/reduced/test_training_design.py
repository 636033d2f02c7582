"""What a reduced engine is trained on: the whole box of a design, evenly, and nothing but the box decides it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from discsim.study.config import read_study
from discsim.study.design import Design, draw, sample_study
from discsim.study.messages import ConfigError
from discsim.study.study import Study
from discsim.study.training_design import TAIL, box, training_design

BASE = """
schema = "discsim/1"
duration = "1 year"
[disc]
grade = 3
mesh_level = 1
[scenarios.untreated]
[[scenarios.cells.therapy]]
kind = "stem_cell_injection"
dose = "6e6 cell"
at = "1 day"
"""
SOBOL = 'kind = "sobol"\nsamples = 64\nseed = 3\n'
EVEN = '"loading.active" = { low = "0.25 MPa", high = "0.40 MPa" }'
LOG = '"nutrition.endplate_clearance" = { low = "4e-5 mm/s", high = "2e-3 mm/s", scale = "log" }'
LOGNORMAL = '"matrix_turnover.gag_loss_rate" = { dist = "lognormal", median = "0.084 1/year", gsd = 1.3 }'
NORMAL = '"loading.active" = { dist = "normal", mean = "0.3 MPa", sd = "0.01 MPa" }'
COUNT = 64


def study_of(folder: Path, *ranges: str, head: str = SOBOL, tail: str = "") -> Study:
    """The study with some ranges."""
    path = folder / "study.toml"
    path.write_text("\n".join((BASE, "[design]", head, "[design.vary]", *ranges, tail)))
    return read_study(path, ())


def columns(design: Design) -> dict[str, np.ndarray]:
    return {swept.path: swept.values for swept in design.inputs}


def filled(values: np.ndarray, low: float, high: float, *, log: bool = False) -> None:
    """Inside of the box, near both ends, and as many in every eighth of it (on its scale)."""
    if log:
        values, low, high = np.log(values), float(np.log(low)), float(np.log(high))
    share = (values - low) / (high - low)
    assert share.min() >= -1e-12 and share.max() <= 1.0 + 1e-12
    assert np.histogram(share, 8, (0.0, 1.0))[0].tolist() == [len(values) // 8] * 8


def test_the_box_is_covered_on_the_scale_of_every_input(tmp_path: Path) -> None:
    study = study_of(tmp_path, EVEN, LOG)
    design = training_design(study, COUNT)
    assert design.count == COUNT and design.kind == "sobol"
    found = columns(design)
    filled(found["loading.active"], 0.25, 0.40)
    filled(found["nutrition.endplate_clearance"], 4e-5, 2e-3, log=True)
    assert abs(np.corrcoef(found["loading.active"], np.log(found["nutrition.endplate_clearance"]))[0, 1]) < 0.15
    assert box(study, draw(study)) == [pytest.approx((0.25, 0.40)), pytest.approx((4e-5, 2e-3))]


def test_distributions_without_ends_are_cut_at_their_tails(tmp_path: Path) -> None:
    study = study_of(tmp_path, LOGNORMAL, NORMAL)
    ends = box(study, draw(study))
    assert ends[0] == pytest.approx(tuple(0.084 * 1.3 ** stats.norm.ppf([TAIL, 1.0 - TAIL])), rel=1e-2)
    assert ends[1] == pytest.approx(tuple(0.3 + 0.01 * stats.norm.ppf([TAIL, 1.0 - TAIL])), rel=1e-3)
    design = training_design(study, COUNT)
    for swept, (low, high), log in zip(design.inputs, ends, (True, False), strict=True):
        assert (swept.low, swept.high) == (low, high)
        filled(swept.values, low, high, log=log)  # even, whatever the distribution prefers


def test_next_to_all_samples_of_the_design_lie_in_the_box(tmp_path: Path) -> None:
    study = study_of(tmp_path, LOGNORMAL, NORMAL, head=SOBOL.replace("64", "4096"))
    design = draw(study)
    for swept, (low, high) in zip(design.inputs, box(study, design), strict=True):
        assert ((swept.values >= low) & (swept.values <= high)).mean() >= 1.0 - 4.0 * TAIL


@pytest.mark.parametrize(
    ("plain", "spelt"),
    [
        (EVEN, '"loading.active" = { dist = "uniform", low = "0.25 MPa", high = "0.40 MPa" }'),
        (LOG, '"nutrition.endplate_clearance" = { dist = "loguniform", low = "4e-5 mm/s", high = "2e-3 mm/s" }'),
    ],
)
def test_a_range_has_one_box_whichever_way_it_is_written(tmp_path: Path, plain: str, spelt: str) -> None:
    one, other = study_of(tmp_path, plain), study_of(tmp_path, spelt)
    assert box(one, draw(one)) == box(other, draw(other))
    np.testing.assert_array_equal(training_design(one, 16).inputs[0].values, training_design(other, 16).inputs[0].values)


def test_a_triangle_goes_from_end_to_end(tmp_path: Path) -> None:
    study = study_of(tmp_path, '"loading.active" = { dist = "triangular", low = "0.2 MPa", mode = "0.3 MPa", high = "0.35 MPa" }')
    assert box(study, draw(study)) == [pytest.approx((0.2, 0.35))]
    filled(training_design(study, COUNT).inputs[0].values, 0.2, 0.35)


@pytest.mark.parametrize(
    ("head", "range_"),
    [
        ('kind = "list"\n', '"loading.active" = { values = ["0.27 MPa", "0.33 MPa", "0.25 MPa", "0.4 MPa"] }'),
        ('kind = "grid"\n', '"loading.active" = { low = "0.25 MPa", high = "0.40 MPa", count = 3 }'),
        ('kind = "one_at_a_time"\n', EVEN),
    ],
)
def test_other_kinds_of_design_span_a_box_too(tmp_path: Path, head: str, range_: str) -> None:
    study = study_of(tmp_path, range_, head=head)
    assert box(study, draw(study)) == [pytest.approx((0.25, 0.40))]
    filled(training_design(study, COUNT).inputs[0].values, 0.25, 0.40)


@pytest.mark.filterwarnings("ignore:The balance properties of Sobol")  # of the sweep's own design
@pytest.mark.parametrize(
    "head", [SOBOL.replace("64", "8"), SOBOL.replace("seed = 3", "seed = 8"), 'kind = "random"\nsamples = 5\nseed = 1\n']
)
def test_only_the_box_decides(tmp_path: Path, head: str) -> None:
    """Neither how many samples a sweep has, nor its seed, nor how it draws them."""
    ranges = (EVEN, LOG, LOGNORMAL)
    first, other = (training_design(study_of(tmp_path, *ranges, head=h), 20) for h in (SOBOL, head))
    for a, b in zip(first.inputs, other.inputs, strict=True):
        np.testing.assert_array_equal(a.values, b.values)
        assert (a.path, a.low, a.high) == (b.path, b.low, b.high)


def test_correlations_are_left_aside(tmp_path: Path) -> None:
    tied = '[design.correlation]\n"loading.active, nutrition.endplate_clearance" = 0.9'
    study = study_of(tmp_path, EVEN, LOG, tail=tied)
    drawn = columns(draw(study))
    assert np.corrcoef(drawn["loading.active"], np.log(drawn["nutrition.endplate_clearance"]))[0, 1] > 0.8
    found = columns(training_design(study, COUNT))
    assert abs(np.corrcoef(found["loading.active"], np.log(found["nutrition.endplate_clearance"]))[0, 1]) < 0.15


@pytest.mark.filterwarnings("error")
def test_it_is_the_same_every_time_and_more_samples_continue_it(tmp_path: Path) -> None:
    study = study_of(tmp_path, EVEN, LOG)
    short, again, long = (training_design(study, count) for count in (32, 32, 60))
    for a, b, c in zip(short.inputs, again.inputs, long.inputs, strict=True):
        np.testing.assert_array_equal(a.values, b.values)
        np.testing.assert_array_equal(a.values, c.values[:32])
    other = training_design(study, 32, seed=5)
    assert (other.inputs[0].values != short.inputs[0].values).all()


def test_its_samples_can_be_built(tmp_path: Path) -> None:
    study = study_of(
        tmp_path, EVEN, '"scenarios.cells.therapy.0.dose" = { low = "1e6 cell", high = "1.8e7 cell", scale = "log" }'
    )
    design = training_design(study, 8)
    doses = []
    for index in range(design.count):
        problem = sample_study(study, design, index).problem()
        doses.append(problem.arms[1].doses[0].amount)
        assert not problem.arms[0].doses
    swept = columns(design)["scenarios.cells.therapy.0.dose"]
    np.testing.assert_allclose(np.array(doses) / swept, doses[0] / swept[0], rtol=1e-12)


def test_a_study_without_a_design_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(BASE)
    with pytest.raises(ConfigError, match=r"\[design\]"):
        training_design(read_study(path, ()), 4)
