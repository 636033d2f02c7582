"""discsim plot: geometry of the cuts, what the figures say, common colours, files that appear whole, and wrong input."""

from __future__ import annotations

import dataclasses
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from matplotlib import colormaps
from matplotlib.collections import QuadMesh, TriMesh
from matplotlib.figure import Figure
from PIL import Image
from typer.testing import CliRunner
from typer.testing import Result as Done

from discsim.cli import app
from discsim.disc.disc import Disc
from discsim.problem.problem import YEAR
from discsim.problem.record import ArmRecord
from discsim.problem.status import Failure, Status
from discsim.report import field_pictures, picture_files, solid_view
from discsim.report.field_choice import FieldChoice, choose
from discsim.report.field_pictures import COLOUR_MAPS, SectionPainter, View, frames, still
from discsim.report.plane_cuts import solid_cut, transverse
from discsim.report.section import Quantity, Section
from discsim.report.solid_view import outside
from discsim.study import result as result_module
from discsim.study.result import Result, ResultError
from discsim.study.store import read_tree
from discsim.study.study import Study
from discsim.study.sweep_folder import MANIFEST

FailedRecord = Callable[[int, float], ArmRecord]
RADIUS, HALF_HEIGHT = 22.9, 4.25  # mm, of the disc of the tests (grade III)


@pytest.fixture
def result(therapy_study: Study, good_records: list[ArmRecord]) -> Result:
    return Result.from_records(therapy_study, good_records)


@pytest.fixture
def half_failed(therapy_study: Study, good_records: list[ArmRecord], failed_record: FailedRecord) -> Result:
    """Gene did not converge after 3 years."""
    good_records[2] = failed_record(2, 3.0)
    return Result.from_records(therapy_study, good_records)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stored") / "run"


@pytest.fixture
def run_folder(tmp_path: Path, stored: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of a run in which gene failed."""
    if not stored.exists():
        request.getfixturevalue("half_failed").save(stored / "result.nc")
    return Path(shutil.copytree(stored, tmp_path / "run"))


@pytest.fixture(scope="module")
def tree(stored: Path) -> Callable[[Path], xr.DataTree]:
    """Reads a copy of the stored run, of which the first serves for all."""
    read: list[xr.DataTree] = []

    def once(path: Path) -> xr.DataTree:
        assert path.read_bytes() == (stored / "result.nc").read_bytes()
        read.extend([] if read else [read_tree(path)])
        return read[0]

    return once


@pytest.fixture(scope="module")
def quarter() -> xr.Dataset:
    """A solid quarter of the disc that has flattened by 6 % and bulged, with a field that is linear in the present place."""
    mesh = dataclasses.replace(Disc.preset("L4-L5", grade=3, mesh_level=1), mesh_name="L4-L5_3d_coarse.msh").mesh
    return solid_fields(mesh.points, mesh.cells, mesh.cell_regions)


def solid_fields(points: np.ndarray, cells: np.ndarray, regions: np.ndarray) -> xr.Dataset:
    moved = points * np.array([1.02, 1.02, 0.94])
    x, _, z = (moved[cells][..., axis] for axis in range(3))
    return xr.Dataset(
        {
            "points": (("vertex", "axis"), points),
            "connectivity": (("cell", "corner"), cells),
            "region": (("cell",), regions),
            "displacement": (("sample", "field_time", "vertex", "axis"), (moved - points)[None, None]),
            "linear": (("sample", "field_time", "cell", "corner"), (2.0 + 0.1 * x + 0.3 * z)[None, None]),
        },
        {"field_time": ("field_time", np.array([10.0 * YEAR]))},
    )


def areas(corners: np.ndarray) -> np.ndarray:
    """Areas of triangles (count, 3, dim)."""
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    gram = np.einsum("td,td->t", one, one) * np.einsum("td,td->t", other, other) - np.einsum("td,td->t", one, other) ** 2
    return 0.5 * np.sqrt(np.maximum(gram, 0.0))


def area(cut: Section) -> float:
    return float(areas(np.column_stack([cut.x, cut.y]).reshape(-1, 3, 2)).sum())


def length(lines: np.ndarray) -> float:
    return float(np.linalg.norm(lines[:, 1] - lines[:, 0], axis=1).sum())


def quantity_of(fields: xr.Dataset, name: str, frame: int = 0) -> Quantity:
    return Quantity(name, "mM", fields[name].values[0, frame])


# --- the cuts ---------------------------------------------------------------------------------------------------------


def test_profile_is_turned_about_the_axis(result: Result) -> None:
    fields = result["untreated"].fields
    cut = transverse(fields, 1, "glucose", quantity_of(fields, "glucose", 1))
    assert cut.time == 10.0 * YEAR
    wide = RADIUS * 1.02  # the bulge of the synthetic displacement at mid-height
    radius = np.hypot(cut.x, cut.y)
    assert (radius.max(), radius.min()) == (pytest.approx(wide), pytest.approx(0.0))
    assert area(cut) == pytest.approx(np.pi * wide**2, rel=1e-3)
    # Values are those of the mid-plane of the reference shape, linear between vertices.
    points = fields["points"].values
    on_plane = points[:, 1] == 0.0
    known = 4.0 - 3.1 * np.exp(-((points[on_plane, 0] / 14.0) ** 2))
    order = np.argsort(points[on_plane, 0])
    there = np.interp(radius, 1.02 * points[on_plane, 0][order], known[order])
    assert cut.quantities["glucose"].values == pytest.approx(there, abs=1e-9)


def test_circles_are_borders_and_outline(result: Result) -> None:
    fields = result["untreated"].fields
    cut = transverse(fields, 0, "glucose", quantity_of(fields, "glucose"))
    radii = sorted(set(np.round(np.hypot(*cut.borders.reshape(-1, 2).T), 9)))
    assert radii == [15.2, 19.0]
    assert length(cut.outline) == pytest.approx(2.0 * np.pi * RADIUS, rel=1e-3)


@pytest.mark.parametrize("axis", [0, 1])
def test_solid_quarter_gives_the_whole_section(quarter: xr.Dataset, axis: int) -> None:
    cut = solid_cut(quarter, 0, "linear", quantity_of(quarter, "linear"), axis)
    wide, high = 1.02 * RADIUS, 0.94 * HALF_HEIGHT
    assert (cut.x.max(), cut.y.max()) == (pytest.approx(wide), pytest.approx(high))
    assert area(cut) == pytest.approx(4.0 * wide * high)
    assert length(cut.outline) == pytest.approx(4.0 * wide + 4.0 * high)
    # Nucleus to inner, inner to outer annulus and endplate to outer annulus; endplates.
    cep = 0.94 * 0.7 * 0.85
    assert length(cut.borders) == pytest.approx(4.0 * (high - cep) + 4.0 * high + 4.0 * 19.0 * 1.02)
    along = np.abs(cut.x) if axis == 1 else np.zeros_like(cut.x)
    assert cut.quantities["linear"].values == pytest.approx(2.0 + 0.1 * along + 0.3 * np.abs(cut.y))


def test_solid_quarter_is_cut_across(quarter: xr.Dataset) -> None:
    cut = transverse(quarter, 0, "linear", quantity_of(quarter, "linear"))
    polygon = 0.5 * 48 * np.sin(2.0 * np.pi / 48) * (1.02 * RADIUS) ** 2  # the mesh has 48 sides
    assert area(cut) == pytest.approx(polygon)
    assert cut.quantities["linear"].values == pytest.approx(2.0 + 0.1 * np.abs(cut.x))


@pytest.mark.parametrize("degrees", [0.0, 11.0])
def test_whole_circumference_is_cut_inside_of_cells(quarter: xr.Dataset, degrees: float) -> None:
    """Turned, so that the plane meets cells between their vertices: one, two or three on either side."""
    points, cells, regions = (quarter[name].values for name in ("points", "connectivity", "region"))
    signs = [(x, y, 1.0) for x in (1.0, -1.0) for y in (1.0, -1.0)]
    copies = np.concatenate([points * sign for sign in signs])
    whole, inverse = np.unique(np.round(copies, 6) + 0.0, axis=0, return_inverse=True)
    numbers = np.concatenate([cells + copy * len(points) for copy in range(4)])
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0.0], [np.sin(angle), np.cos(angle), 0.0], [0.0, 0.0, 1.0]])
    fields = solid_fields(whole @ turn.T, inverse.ravel()[numbers], np.tile(regions, 4))
    cut = solid_cut(fields, 0, "linear", quantity_of(fields, "linear"), 1)
    wide, high = 1.02 * RADIUS, 0.94 * HALF_HEIGHT
    assert area(cut) == pytest.approx(4.0 * wide * high, rel=3e-3)
    assert length(cut.outline) == pytest.approx(4.0 * wide + 4.0 * high, rel=3e-3)
    assert cut.quantities["linear"].values == pytest.approx(2.0 + 0.1 * cut.x + 0.3 * np.abs(cut.y), abs=1e-6)


def test_outside_is_closed(result: Result, quarter: xr.Dataset) -> None:
    flat = result["untreated"].fields
    corners, values = outside(flat, 0, flat["glucose"].values[0, 0])
    assert areas(corners).sum() == pytest.approx(0.75 * 2.0 * np.pi * RADIUS * (RADIUS + 2.0 * HALF_HEIGHT), rel=1e-3)
    assert not ((corners[..., 0] > 1e-9) & (corners[..., 1] < -1e-9)).any()  # the quarter that faces the viewer
    radius, height = np.hypot(corners[..., 0], corners[..., 1]), corners[..., 2]
    assert values == pytest.approx(4.0 - 3.0 * np.exp(-((radius / 14.0) ** 2) - (height / 3.0) ** 2))
    solid, shares = outside(quarter, 0, quarter["linear"].values[0, 0])
    top = 24.0 * np.sin(2.0 * np.pi / 48) * (1.02 * RADIUS) ** 2
    side = 96.0 * np.sin(np.pi / 48) * 1.02 * RADIUS * 2.0 * 0.94 * HALF_HEIGHT
    assert areas(solid).sum() == pytest.approx(2.0 * top + side)
    assert shares == pytest.approx(2.0 + 0.1 * np.abs(solid[..., 0]) + 0.3 * np.abs(solid[..., 2]))


# --- what is chosen ---------------------------------------------------------------------------------------------------


def test_limits_hold_for_every_picture_of_a_field(result: Result) -> None:
    every = [result[name].fields["glucose"].values for name in result.scenario_names]
    expected = (min(values.min() for values in every), max(values.max() for values in every))
    for chosen in (choose(result, "glucose"), choose(result, "glucose", ["gene"], [0.0])):
        assert chosen.limits == expected
    assert choose(result, "glucose", ["gene"]).label == "glucose (mM)"


def test_names_of_a_field(result: Result) -> None:
    found = [choose(result, name) for name in ("gene.TIMP3/product", "gene_TIMP3_product", "product")]
    assert {(one.name, one.stem, one.unit) for one in found} == {("gene.TIMP3/product", "gene_TIMP3_product", "ng/mL")}
    assert (choose(result, "ph").label, choose(result, "cell_density").label) == ("pH (dimensionless)", "cell density (cell/mm³)")


def test_cells_are_all_kinds_together(result: Result) -> None:
    fields = result["cells"].fields
    total = fields["cell_density"].values[0] + fields["stem_cells_undifferentiated"].values[0]
    assert fields["stem_cells_undifferentiated"].values[0, 0].max() == 700.0
    chosen = choose(result, "cells")
    assert np.array_equal(chosen.values("cells", 0), total[0])
    assert (chosen.label, chosen.limits[1]) == ("cells (cell/mm³)", total.max())


def test_constant_field_is_not_blown_up(therapy_study: Study, good_records: list[ArmRecord]) -> None:
    for frame in itertools.chain.from_iterable(record.frames for record in good_records):
        frame.corners["gag"] = 30.0 + 1e-13 * frame.corners["glucose"]
    low, high = choose(Result.from_records(therapy_study, good_records), "gag").limits
    assert (0.5 * (low + high), high - low) == (pytest.approx(30.0), pytest.approx(0.03))


def test_fields_after_the_last_good_time_do_not_count(therapy_study: Study, good_records: list[ArmRecord]) -> None:
    failed = good_records[2]
    failed.status, failed.failure = Status.CRASHED, Failure(Status.CRASHED, "died", YEAR, "")
    failed.frames[1].corners["glucose"][:] = 1e9
    chosen = choose(Result.from_records(therapy_study, good_records), "glucose")
    assert chosen.limits[1] < 5.0
    assert (chosen.frame("gene", 10.0 * YEAR), chosen.frame("cells", 10.0 * YEAR)) == (None, 1)


def test_damaged_fields_are_refused(result: Result) -> None:
    fields = result.tree.children["cells"].children["fields"].dataset
    fields["glucose"].values[0, 1, 3, 0] = np.nan
    with pytest.raises(ResultError, match="cells: glucose or the displacement holds values that are no numbers"):
        choose(result, "glucose")
    assert choose(result, "gag").name == "gag"
    result.tree.children["cells"].children["fields"].dataset = fields.drop_vars("displacement")
    with pytest.raises(ResultError, match="damaged: the fields of cells lack displacement"):
        choose(result, "gag")


# --- the figures ------------------------------------------------------------------------------------------------------


def drawn(chosen: FieldChoice, view: View = View.SAGITTAL, colours: str = "viridis") -> Figure:
    return still(chosen, SectionPainter(chosen, view, colours), view, colours)


def panels(figure: Figure) -> list[Any]:
    return [axes for axes in figure.axes if axes.axison and not axes.get_label().startswith("<colorbar")]


def colour_bar(figure: Figure) -> Any:
    (found,) = (axes for axes in figure.axes if axes.get_label().startswith("<colorbar"))
    return found


@pytest.mark.parametrize(
    ("view", "title", "below", "beside", "half"),
    [
        (View.SAGITTAL, "mid-sagittal section", "from the axis (mm)", "height\n(mm)", HALF_HEIGHT),
        (View.TRANSVERSE, "transverse section at mid-height", "from the axis (mm)", "from the axis (mm)", RADIUS * 1.02),
    ],
)
def test_figure_says_what_it_shows(result: Result, view: View, title: str, below: str, beside: str, half: float) -> None:
    figure = drawn(choose(result, "glucose"), view)
    assert figure.get_suptitle() == f"Glucose concentration in tissue water: {title}"
    found = panels(figure)
    notes = ["untreated", *(f"{name}, just after the injection" for name in ("cells", "gene", "both"))]
    assert [axes.get_title() for axes in found] == [*notes, "", "", "", ""]
    assert [axes.get_xlabel() for axes in found] == [""] * 4 + [below] * 4
    assert [axes.get_ylabel() for axes in found] == [beside, "", "", ""] * 2
    assert [text.get_text() for axes in found for text in axes.texts] == ["0 year", "10 year"]
    assert colour_bar(figure).get_xlabel() == "glucose (mM)"
    for axes in found:  # the whole disc, to scale, in the same frame everywhere
        assert axes.get_aspect() == 1.0
        assert axes.get_xlim() == pytest.approx((-1.04 * 1.02 * RADIUS, 1.04 * 1.02 * RADIUS))
        assert axes.get_ylim() == pytest.approx((-1.04 * half, 1.04 * half))
    untreated = np.concatenate([axes.collections[0]._triangulation.x for axes in (found[0], found[4])])
    assert (untreated.min(), untreated.max()) == (pytest.approx(-1.02 * RADIUS), pytest.approx(1.02 * RADIUS))


def test_colours_are_common(result: Result) -> None:
    chosen = choose(result, "gag")
    figure = drawn(chosen, colours="cividis")
    fields = [one for axes in panels(figure) for one in axes.collections if isinstance(one, TriMesh)]
    assert len(fields) == 8
    assert {(one.get_clim(), one.get_cmap().name) for one in fields} == {(chosen.limits, "cividis")}
    bar = colour_bar(figure)
    assert bar.get_xlim() == chosen.limits
    (scale,) = (one for one in bar.collections if isinstance(one, QuadMesh))
    assert scale.get_cmap().name == "cividis"


def test_failed_arm_says_so_in_its_place(half_failed: Result) -> None:
    figure = drawn(choose(half_failed, "glucose", times=[0.0, 3.0 * YEAR, 10.0 * YEAR]))
    words = {axes.get_subplotspec().num1: [text.get_text() for text in axes.texts] for axes in panels(figure)}
    assert words[10] == ["nonconverged\nafter 3 year"]  # gene at 10 years
    assert (words[6], words[5]) == ([], ["no field at 3 year"])  # gene, and cells, which kept only the start and the end
    assert words[4] == ["no field at 3 year", "3 year"]


def test_many_scenarios_go_on_beneath(result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(field_pictures, "ACROSS", 3)
    figure = drawn(choose(result, "glucose"))
    found = panels(figure)
    assert [axes.get_title().partition(",")[0] for axes in found] == [*result.scenario_names] * 2
    assert [bool(axes.get_xlabel()) for axes in found] == [False] * 4 + [False, True, True, True]
    assert [text.get_text() for axes in found for text in axes.texts] == ["0 year", "10 year"]


def texts(figure: Figure) -> Iterator[Any]:
    figure.canvas.draw()
    yield figure._suptitle
    for axes in figure.axes:
        yield from (axes.title, *axes.texts, axes.xaxis.label, axes.yaxis.label)
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            yield from (tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high and axes.axison)


@pytest.mark.parametrize("view", [View.SAGITTAL, View.TRANSVERSE])
@pytest.mark.parametrize("names", [None, ["cells"]])
def test_texts_stay_apart_and_inside(half_failed: Result, view: View, names: list[str] | None) -> None:
    figure = drawn(choose(half_failed, "gag", names), view)
    shown = [text for text in texts(figure) if text.get_visible() and text.get_text().strip()]
    boxes = [(text.get_text(), text.get_window_extent().shrunk(0.98, 0.98)) for text in shown]
    assert len(boxes) > 15
    assert [(a, b) for (a, box), (b, other) in itertools.combinations(boxes, 2) if box.overlaps(other)] == []
    assert min(text.get_fontsize() for text in shown) >= 8.0


# --- colours ----------------------------------------------------------------------------------------------------------

# Machado, Oliveira and Fernandes (2009), full severity, on linear RGB.
SEEN_BY = {
    "all": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lightness(colours: np.ndarray, seen_by: str) -> np.ndarray:
    """CIE L* of sRGB colours (count, 3), 0 to 100."""
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    luminance = np.clip(linear @ np.array(SEEN_BY[seen_by]).T, 0.0, 1.0) @ [0.2126, 0.7152, 0.0722]
    return np.where(luminance > 0.008856, 116.0 * np.cbrt(luminance) - 16.0, 903.3 * luminance)


@pytest.mark.parametrize("seen_by", SEEN_BY)
@pytest.mark.parametrize("name", COLOUR_MAPS)
def test_lightness_rises_for_every_eye_and_in_grey(name: str, seen_by: str) -> None:
    found = lightness(colormaps[COLOUR_MAPS[name]](np.linspace(0.0, 1.0, 65))[:, :3], seen_by)
    steps = np.diff(found)
    assert steps.min() > 0.0
    assert found[-1] - found[0] > 60.0


def test_lightness_of_a_rainbow_does_not_rise() -> None:
    assert np.diff(lightness(colormaps["jet"](np.linspace(0.0, 1.0, 65))[:, :3], "all")).min() < 0.0


# --- the command ------------------------------------------------------------------------------------------------------


def plot(*arguments: str | Path) -> Done:
    return CliRunner().invoke(app, ["plot", *(str(argument) for argument in arguments)])


def test_picture_beside_the_result(run_folder: Path) -> None:
    done = plot(run_folder, "--field", "gene.TIMP3/product", "--time", "10 year", "--scenario", "cells", "--scenario", "both")
    path = run_folder / "gene_TIMP3_product_sagittal.png"
    assert (done.exit_code, done.stdout) == (0, f"product (ng/mL) in {path}\n"), done.output
    with Image.open(path) as picture:
        assert picture.size[0] > 1000
        assert "--field gene.TIMP3/product --view sagittal" in picture.info["Description"]
    assert sorted(one.name for one in run_folder.iterdir()) == ["gene_TIMP3_product_sagittal.png", "result.nc"]


@pytest.mark.parametrize(("name", "begins"), [("new/g.pdf", b"%PDF"), ("g.SVG", b"<?xml")])
def test_other_formats(run_folder: Path, tmp_path: Path, name: str, begins: bytes) -> None:
    done = plot(run_folder, "--scenario", "gene", "-o", tmp_path / name)
    assert done.exit_code == 0, done.output
    assert (tmp_path / name).read_bytes().startswith(begins)
    assert "gene did not finish (nonconverged: " in done.stderr


def test_movie_goes_through_the_kept_times(run_folder: Path) -> None:
    done = plot(run_folder, "--movie", "--scenario", "cells", "--fps", "4")
    assert done.exit_code == 0, done.output
    with Image.open(run_folder / "glucose_sagittal.gif") as movie:
        assert movie.n_frames == 2
        seen, pauses = [], []
        for number in range(2):
            movie.seek(number)
            pauses.append(movie.info["duration"])
            seen.append(np.asarray(movie.convert("RGB"), dtype=float))
    assert pauses == [250, 1500]
    assert (np.abs(seen[0] - seen[1]).max(axis=2) > 8.0).mean() > 0.02
    assert (seen[0][0, 0] == 255.0).all()
    bar = np.abs(seen[0] - seen[1])[-60:]  # the colour scale stays what it is
    assert bar.max() < 12.0


def test_nothing_in_a_movie_moves_but_the_disc(half_failed: Result) -> None:
    chosen = choose(half_failed, "glucose")
    assert [time / YEAR for time in chosen.times] == [0.0, 3.0, 10.0]
    places, titles = [], []
    for figure in frames(chosen, SectionPainter(chosen, View.SAGITTAL, "viridis"), View.SAGITTAL, "viridis"):
        figure.canvas.draw()
        places.append([tuple(np.round(axes.get_position().bounds, 9)) for axes in figure.axes])
        titles.append(figure.get_suptitle().splitlines()[-1])
    assert places[0] == places[1] == places[2]
    assert titles == ["0 year", "3 year", "10 year"]


def test_interrupted_movie_leaves_nothing(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(figures: Iterator[Figure], path: Path, *rest: object) -> None:
        next(iter(figures))
        path.write_bytes(b"GIF89a, half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(picture_files, "_write_gif", interrupted)
    (run_folder / "glucose_sagittal.gif").write_text("an older one")
    assert plot(run_folder, "--movie").exit_code == 130
    assert {path.name for path in run_folder.iterdir()} == {"result.nc", "glucose_sagittal.gif"}
    assert (run_folder / "glucose_sagittal.gif").read_text() == "an older one"


KEPT = "no fields were kept at 5 year; they were at 0 year, 3 year, 10 year; [output] field_times keeps more"
WRONG = {
    "field": (("--field", "glucos"), "no field 'glucos' was kept; there are cell_density, cells, fixed_charge_density, ga"),
    "meant": (("--field", "glucos"), "did you mean glucose?"),
    "scenario": (("--scenario", "cell"), "no scenario 'cell'; there are untreated, cells, gene, both; did you mean cells?"),
    "time": (("--time", "5 year"), KEPT),
    "time without unit": (("--time", "5"), "--time: '5' has no unit; write for example \"5 s\""),
    "time that is none": (("--time", "soon"), "--time: 'soon'"),
    "time of another arm": (("--time", "10 year", "--scenario", "gene"), "at 10 year; they were at 0 year, 3 year;"),
    "suffix": (("-o", "a.jpg"), "--out a.jpg: a picture ends in .png, .pdf, .svg"),
    "movie as a picture": (("-o", "a.gif"), "--out a.gif: a picture ends in .png, .pdf, .svg; --movie makes one"),
    "picture as a movie": (("-o", "a.png", "--movie"), "--out a.png: a movie ends in .gif, .mp4; leave --movie out"),
    "movie of one time": (("--movie", "--time", "0 year"), "--movie: wants two times at least, and there is 0 year alone"),
    "out is a folder": (("-o", "."), ".: a folder; name a file such as glucose_sagittal.png"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_choice_is_one_line(
    run_folder: Path, tree: Callable[[Path], xr.DataTree], monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.setattr(result_module, "read_tree", tree)
    monkeypatch.chdir(run_folder)
    given, message = WRONG[case]
    done = plot(run_folder, *given)
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert [path.name for path in run_folder.iterdir()] == ["result.nc"]


def test_wrong_folder_is_one_line(run_folder: Path, tmp_path: Path) -> None:
    cut = run_folder / "result.nc"
    cut.write_bytes(cut.read_bytes()[:20000])
    (tmp_path / "empty").mkdir()
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / MANIFEST).touch()
    for place, message in (
        ("missing", "missing: no such file"),
        ("empty", "empty: holds no result.nc, so no run; discsim run FILE --out DIR makes one"),
        ("sweep", "sweep: a sweep keeps no fields; discsim run keeps those of the nominal sample"),
        ("run", "result.nc: damaged or written incompletely"),
    ):
        done = plot(tmp_path / place)
        assert (done.exit_code, done.stdout) == (2, "")
        assert message in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_result_without_fields(tmp_path: Path, therapy_study: Study, good_records: list[ArmRecord]) -> None:
    for record in good_records[1:]:
        record.frames = []
    Result.from_records(therapy_study, good_records).save(tmp_path / "some" / "result.nc")
    done = plot(tmp_path / "some", "--time", "0 year")
    assert done.exit_code == 0 and "no fields were kept of cells, gene, both" in done.stderr
    done = plot(tmp_path / "some", "--scenario", "gene")
    assert done.exit_code == 2 and "gene: no fields were kept; they were of untreated" in done.stderr
    good_records[0].frames = []
    Result.from_records(therapy_study, good_records).save(tmp_path / "none" / "result.nc")
    done = plot(tmp_path / "none")
    assert done.exit_code == 2 and "no scenario of this result kept fields" in done.stderr


def test_mp4_needs_ffmpeg(run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", str(tools))
    done = plot(run_folder, "--movie", "-o", tmp_path / "a.mp4")
    assert (done.exit_code, done.stderr.count("\n")) == (4, 1) and "MP4 needs ffmpeg" in done.stderr
    (tools / "ffmpeg").write_text("#!/bin/sh\nexit 1\n")  # one without H.264
    (tools / "ffmpeg").chmod(0o755)
    done = plot(run_folder, "--movie", "-o", tmp_path / "a.mp4")
    assert done.exit_code == 4 and "ffmpeg gave up" in done.stderr
    assert not (tmp_path / "a.mp4").exists()


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not on the PATH")
def test_mp4(run_folder: Path, tmp_path: Path) -> None:
    done = plot(run_folder, "--movie", "--scenario", "cells", "-o", tmp_path / "a.mp4")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "a.mp4").read_bytes()[4:8] == b"ftyp"


def test_3d_needs_the_extra(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solid_view.importlib.util, "find_spec", lambda name: None)
    done = plot(run_folder, "--view", "3d")
    assert (done.exit_code, done.stderr) == (4, "--view 3d needs pyvista, which is an extra: pip install 'discsim[view]'\n")
    assert [path.name for path in run_folder.iterdir()] == ["result.nc"]


@pytest.fixture
def renders() -> None:
    pytest.importorskip("pyvista", reason="the extra view is not installed")
    try:
        solid_view.need_pyvista()
    except solid_view.MissingTool as missing:
        pytest.skip(str(missing))


@pytest.mark.usefixtures("renders")
def test_cut_face_has_the_colours_of_the_scale(result: Result, run_folder: Path) -> None:
    chosen = choose(result, "gag", ["untreated"])
    pixels = solid_view.SolidPainter(chosen, "viridis").picture("untreated", 0)
    nucleus = (np.array(colormaps["viridis"](1.0)[:3]) * 255.0).round()  # 43 mg/mL, the highest
    middle = pixels[round(0.57 * pixels.shape[0]), pixels.shape[1] // 2 + 40]
    assert np.abs(middle - nucleus).max() <= 2.0
    assert (pixels[0, 0] == 255).all()
    done = plot(run_folder, "--view", "3d", "--scenario", "cells", "--time", "0 year")
    assert done.exit_code == 0, done.output
    assert (run_folder / "glucose_3d.png").stat().st_size > 30_000


@pytest.mark.usefixtures("renders")
def test_3d_without_opengl_is_told(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setitem(os.environ, "VTK_DEFAULT_OPENGL_WINDOW", "vtkXOpenGLRenderWindow")
    done = plot(run_folder, "--view", "3d")
    assert (done.exit_code, done.stderr.count("\n")) == (4, 1) and "VTK finds no OpenGL" in done.stderr
