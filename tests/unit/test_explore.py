"""The explorer without a page and without an engine: sliders, files, pictures, and what the command says."""

from __future__ import annotations

import importlib.util
import math
import socket
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from discsim.cli import app
from discsim.problem.problem import YEAR
from discsim.problem.record import FieldFrame
from discsim.report.explore_figures import certificate, curves, field
from discsim.report.raster import SectionRaster
from discsim.study.config import study_from_text
from discsim.study.explore import ArmCourse, Explorer, Knob, Look, knobs_of
from discsim.study.messages import ConfigError
from discsim.study.numbers import with_values
from discsim.study.resolve import differences

SWEPT = Path(__file__).parents[1] / "data/swept.toml"
VARY = """
[design]
kind = "sobol"
samples = 4
seed = 1
[design.vary]
"nutrition.endplate_clearance" = { low = "4e-5 mm/s", high = "2e-3 mm/s", scale = "log" }
"loading.active" = { low = "0.25 MPa", high = "0.40 MPa" }
"materials.CEP.diffusivity_factor" = { low = 0.4, high = 0.7 }
"matrix_turnover.gag_loss_rate.NP" = { low = "0.06 1/year", high = "0.12 1/year" }
"gene.TIMP3.loss_effect" = { low = 0.1, high = 0.6 }
"scenarios.cells.therapy.0.dose" = { low = "1e6 cell", high = "1.8e7 cell", scale = "log" }
"scenarios.hungry.set.nutrition.oxygen_demand_factor" = { low = 1.0, high = 3.0 }
"""


class Unsolved(Explorer):
    """What needs no reduced model."""

    def __init__(self, text: str, *overrides: str) -> None:
        self.study, self.source = study_from_text(text, overrides), "some.toml"
        self._text, self._overrides, self._folder, self._plugin = text, overrides, None, False
        self.knobs = knobs_of(self.study)


def knob(low: float, high: float, scale: str = "linear") -> Knob:
    return Knob("a.b", "mm", scale, "assumed", "", low, high, 0.0, 1e9, low)


@pytest.mark.parametrize(("low", "high", "scale"), [(0.25, 0.4, "linear"), (4e-5, 2e-3, "log"), (1.0 / 3.0, 2.0 / 3.0, "linear")])
def test_a_slider_and_its_value(low: float, high: float, scale: str) -> None:
    own = knob(low, high, scale)
    assert own.at(0.0) == low and own.at(1.0) == high  # never a digit outside of what was trained
    for share in np.linspace(0.0, 1.0, 21):
        value = own.at(float(share))
        assert low <= value <= high and own.share(value) == pytest.approx(share, abs=2e-3)
    assert own.share(0.5 * low) == 0.0 and own.share(2.0 * high) == 1.0
    middle = math.sqrt(low * high) if scale == "log" else 0.5 * (low + high)
    assert own.at(0.5) == pytest.approx(middle, rel=1e-3)
    assert knob(1.0, 1.0).share(1.0) == 0.0


def test_sliders_of_a_study() -> None:
    found = {one.path: one for one in Unsolved(SWEPT.read_text() + VARY).knobs}
    clearance, gene = found["nutrition.endplate_clearance"], found["gene.TIMP3.loss_effect"]
    assert (clearance.unit, clearance.scale, clearance.low, clearance.high) == ("mm/s", "log", 4e-5, 2e-3)
    assert clearance.least < clearance.low and clearance.most > clearance.high and clearance.evidence == "assumed"
    assert (gene.unit, gene.scale, gene.nominal) == ("dimensionless", "linear", 0.3) and clearance.description


@pytest.mark.parametrize("share", [0.0, 0.37, 1.0])
def test_the_saved_file_gives_what_is_on_the_screen(share: float, tmp_path: Path) -> None:
    own = Unsolved(SWEPT.read_text() + VARY, "loading.rest=0.15 MPa")
    values = {one.path: one.at(share) for one in own.knobs}
    text = own.experiment_text(values)
    read = study_from_text(text)
    assert differences(with_values(own.study, values).problem(), read.problem()) == []
    assert differences(own.study.problem(), read.problem())  # and no longer what the file gave
    assert dict(read.design["vary"]) == dict(own.study.design["vary"]) and read.title == own.study.title
    path = tmp_path / "saved.toml"
    path.write_text(text)
    done = CliRunner().invoke(app, ["validate", str(path)])
    assert done.exit_code == 0 and done.stdout.startswith("ok: 8 scenarios")


def test_a_file_is_saved_as_short_as_it_was() -> None:
    own = Unsolved(SWEPT.read_text() + VARY)
    text = own.experiment_text(own.nominal | {"loading.active": 0.3})
    assert "# loading.active: 0.31 there, 0.3 here (MPa)" in text and 'active = "0.3 MPa"' in text
    assert 'endplate_clearance = "' not in text  # a number that was not moved is not written down
    assert len(text.splitlines()) < 90


def test_values_out_of_bounds_are_not_saved() -> None:
    own = Unsolved(SWEPT.read_text() + VARY)
    with pytest.raises(ConfigError, match=r"loading.active: .*allowed"):
        own.experiment_text(own.nominal | {"loading.active": 99.0})


# ---- pictures


def square(count: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A quarter of a section, 20 mm wide and 5 mm high: vertices, triangles, two regions side by side."""
    r, z = np.meshgrid(np.linspace(0.0, 20.0, count + 1), np.linspace(0.0, 5.0, count + 1))
    points = np.column_stack([r.ravel(), z.ravel()])
    corner = (np.arange(count)[:, None] * (count + 1) + np.arange(count)).ravel()
    cells = np.concatenate(
        [
            np.column_stack([corner, corner + 1, corner + count + 2]),
            np.column_stack([corner, corner + count + 2, corner + count + 1]),
        ]
    )
    return points, cells, np.where(points[cells][:, :, 0].mean(axis=1) < 10.0, 1, 2)


def test_a_linear_field_is_drawn_as_it_is() -> None:
    points, cells, regions = square()
    raster = SectionRaster(points, cells, regions)
    stretched = 0.02 * points * np.array([1.0, -1.0])  # two per cent wider and flatter
    moved = points + stretched
    picture = raster.picture(stretched, (moved[:, 0] + 10.0 * moved[:, 1])[cells])
    x, y = np.meshgrid(picture.x, picture.y)
    inside = (np.abs(x) < 20.4) & (np.abs(y) < 4.9)
    assert np.array_equal(np.isfinite(picture.values), inside) and 0.5 < inside.mean() < 1.0
    assert picture.values[inside] == pytest.approx((np.abs(x) + 10.0 * np.abs(y))[inside], abs=1e-4)


def test_borders_and_outline() -> None:
    points, cells, regions = square()
    x, y = SectionRaster(points, cells, regions).lines(np.zeros_like(points))
    seen = {(float(a), float(b)) for a, b in zip(np.abs(x), np.abs(y), strict=True) if math.isfinite(a)}
    assert {a for a, b in seen if 0.0 < b < 5.0} == {10.0, 20.0}  # the border and the rim, not the axis
    steps = np.hypot(np.diff(x), np.diff(y))
    assert np.nansum(steps) == pytest.approx(4 * (5.0 + 5.0 + 20.0))  # every edge once
    assert np.isnan(x).sum() <= 4 * 2  # in few lines


def test_a_mesh_in_three_dimensions_is_not_drawn() -> None:
    from discsim.study.result import ResultError

    with pytest.raises(ResultError, match="axisymmetric"):
        SectionRaster(np.zeros((4, 3)), np.zeros((1, 4), dtype=int), np.ones(1, dtype=int))


def test_colours_span_all_arms() -> None:
    points, cells, regions = square()
    still = np.zeros_like(points)
    frames = {name: FieldFrame(0.0, {"glucose": np.full(cells.shape, level)}, still) for name, level in (("a", 1.0), ("b", 3.0))}
    found = field(SectionRaster(points, cells, regions), frames, "a", "glucose", ("glucose", "mM"))["data"][0]
    assert (found["zmin"], found["zmax"]) == (1.0, 3.0)
    alone = field(SectionRaster(points, cells, regions), {"a": frames["a"]}, "a", "glucose", ("glucose", "mM"))["data"][0]
    assert alone["zmax"] - alone["zmin"] == pytest.approx(2e-3)  # round-off is not blown up


def look(engine: str = "reduced") -> Look:
    """Three arms: one that is vouched for, one with a wide bar, one outside of the box."""
    times = np.array([0.0, 1.0, 2.0, 4.0]) * YEAR
    numbers = {"gag_nucleus": np.array([200.0, 190.0, 180.0, 160.0])}
    allowed = {"gag_nucleus": np.array([2.0, 1.8, 1.6])}
    arms = {
        "untreated": ArmCourse("untreated", True, "", numbers, {"gag_nucleus": np.array([0.1, 0.2, 0.4])}, allowed),
        "cells": ArmCourse("cells", True, "", numbers, {"gag_nucleus": np.array([0.1, 0.2, math.inf])}, allowed),
        "gene": ArmCourse("gene", False, "outside of the trained box"),
    }
    if engine == "sweep":
        arms = {name: ArmCourse(name, False, "", numbers) for name in arms}
    return Look({}, engine, times, [0, 2, 3], arms, 0.01, {})


def test_curves_and_bands() -> None:
    found = curves(look(), "gag_nucleus")["data"]
    assert [one.get("name") for one in found if one["mode"] == "lines" and "name" in one] == ["untreated", "cells"]
    band, marks, line = found[:3]
    assert decoded(line["y"]).tolist() == [200.0, 190.0, 180.0, 160.0] and decoded(line["x"]).tolist() == [0.0, 1.0, 2.0, 4.0]
    upper, lower = decoded(band["y"])[:4], decoded(band["y"])[4:][::-1]
    assert (upper - lower) / 2.0 == pytest.approx([0.1, 0.15, 0.2, 0.4])  # straight between the certified times
    assert decoded(marks["x"]).tolist() == [0.0, 2.0, 4.0] and decoded(marks["error_y"]["array"]).tolist() == [0.1, 0.2, 0.4]
    assert np.isnan(decoded(found[4]["error_y"]["array"])[-1])  # an infinite bar is not drawn as a number


def decoded(array: dict[str, str]) -> np.ndarray:
    import base64

    return np.frombuffer(base64.b64decode(array["bdata"]), dtype=f"<{array['dtype']}")


def test_the_certificate() -> None:
    last = certificate(look(), "gag_nucleus", 2)
    assert [(row.arm, row.value, row.bar, row.allowed, row.box, row.good) for row in last] == [
        ("untreated", "160.0", "± 0.4", "± 1.6", "inside", True),
        ("cells", "160.0", "± inf", "± 1.6", "inside", False),
        ("gene", "no number", "", "", "outside", False),
    ]
    assert "full order" in last[1].verdict and last[2].verdict == "outside of the trained box; compute at full order"
    assert all(row.good for row in certificate(look(), "gag_nucleus", 1)[:2])
    full = certificate(look("sweep"), "gag_nucleus", 2)
    assert {(row.value, row.engine, row.box, row.good) for row in full} == {("160.0", "sweep", "outside", True)}


# ---- the command


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study that no model was trained for, on a machine that has what the page needs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    path = tmp_path / "study.toml"
    path.write_text(SWEPT.read_text() + VARY)
    return path


def told(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["explore", *map(str, arguments)])
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and "Traceback" not in done.output, done.output
    return done.exit_code, lines[0]


def test_without_the_extra(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert told(file, "--no-browser") == (4, "the page needs Dash, which is an extra: pip install 'discsim[explore]'")


def test_without_a_training(file: Path) -> None:
    assert told(file, "--port", 0, "--no-browser") == (2, "no reduced model of this study; discsim train makes one")


def test_without_a_design(file: Path) -> None:
    file.write_text(SWEPT.read_text())
    code, line = told(file, "--port", 0, "--no-browser")
    assert code == 2 and "a table [design]" in line


def test_a_port_in_use(file: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, line = told(file, "--port", port, "--no-browser")
    assert code == 4 and line.startswith(f"--port {port}: cannot be used") and "--port 0 takes any free one" in line


def test_help_has_an_example() -> None:
    done = CliRunner().invoke(app, ["explore", "--help"])
    assert done.exit_code == 0 and "discsim explore experiments/cells_vs_gene/study.toml" in " ".join(done.stdout.split())
