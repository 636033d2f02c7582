"""The explorer's page, on curves by formula instead of an engine: what it answers, and in headless Chromium what one sees."""

from __future__ import annotations

import base64
import json
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("dash", reason="Dash is an extra: pip install 'discsim[explore]'")

from discsim.cli.explore import LOCAL, _listen
from discsim.problem.problem import YEAR
from discsim.problem.record import FieldFrame
from discsim.report.explore_page import ExplorerPage, serve
from discsim.study.config import study_from_text
from discsim.study.explore import ArmCourse, Explorer, Look, knobs_of

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))
from browser import find_browser, opened

TEXT = """
schema = "discsim/1"
title = "quick <i>& small</i>"
duration = "2 year"
[disc]
preset = "L4-L5"
grade = 3
mesh_level = 1
[scenarios.untreated]
[[scenarios.cells.therapy]]
kind = "stem_cell_injection"
at = "0 day"
[readouts]
use = ["viable_cells", "glucose_min"]
[output]
times = ["0 year", "1 year", "2 year"]
[design]
kind = "sobol"
samples = 4
seed = 1
[design.vary]
"loading.active" = { low = "0.25 MPa", high = "0.40 MPa" }
"nutrition.endplate_clearance" = { low = "4e-5 mm/s", high = "4e-4 mm/s", scale = "log" }
"""
TIMES = np.array([0.0, 0.5, 1.0, 2.0]) * YEAR
CERTIFIED = [0, 2, 3]


class FormulaExplorer(Explorer):
    """Viable cells are a hundred times the active load, and one more where cells are injected; glucose follows the clearance."""

    def __init__(self, text: str = TEXT) -> None:
        self.study, self.source, self._text = study_from_text(text), "quick.toml", text
        self._overrides, self._folder, self._plugin = (), None, False
        self.arms, self.problem, self.knobs = tuple(self.study.scenarios), self.study.problem(), knobs_of(self.study)
        self.engine: Any = SimpleNamespace(name="reduced")
        certificate = SimpleNamespace(coverage=0.95, samples=20)
        self.training: Any = SimpleNamespace(certificate=certificate, steps=tuple(TIMES[1:]), certified=CERTIFIED)

    def look(self, values: Mapping[str, float], engine: str = "reduced") -> Look:
        self._problem(values)
        load, clearance = values["loading.active"], values["nutrition.endplate_clearance"]
        inside = 0.25 <= load <= 0.4
        arms = {}
        for bonus, name in enumerate(self.arms):
            fade = 1.0 - TIMES / (10.0 * TIMES[-1])
            numbers = {"viable_cells": (100.0 * load + bonus) * fade, "glucose_min": 1e4 * clearance * fade}
            bars = {"viable_cells": np.array([0.01, 0.1, 0.2]), "glucose_min": np.array([0.001, 0.01, 0.03])}
            allowed = {"viable_cells": np.full(3, 0.3), "glucose_min": np.full(3, 0.02)}
            if engine == "sweep":
                arms[name] = ArmCourse(name, inside, "", numbers)
            elif inside:
                arms[name] = ArmCourse(name, inside, "", numbers, bars, allowed)
            else:
                arms[name] = ArmCourse(name, False, "outside of the trained box")
        return Look(dict(values), engine, TIMES, CERTIFIED, arms, 0.002, {})

    def full_order(self, values: Mapping[str, float]) -> Look:
        return self.look(values, "sweep")

    def frames(self, look: Look, record: int) -> dict[str, FieldFrame]:
        mesh = self.problem.arms[0].mesh
        glucose = look.values["nutrition.endplate_clearance"] * mesh.points[mesh.cells][:, :, 0]
        still = np.zeros_like(mesh.points)
        return {
            name: FieldFrame(self.records[record], {"glucose": glucose, "gag": glucose + 1.0}, still)
            for name, arm in look.arms.items()
            if not arm.trouble
        }

    def mesh(self) -> tuple[Any, Any, Any]:
        mesh = self.problem.arms[0].mesh
        return mesh.points, mesh.cells, mesh.cell_regions


@pytest.fixture(scope="module")
def page() -> ExplorerPage:
    return ExplorerPage(FormulaExplorer())


def drawn(page: ExplorerPage, *numbers: float | None, **choices: Any) -> tuple[Any, Any, str, Any, dict[str, Any]]:
    """What the page answers; the certificate and words as text."""
    wanted = page.first | {"numbers": list(numbers), "sequence": 7} | choices
    shown, picture, table, words, done = page.draw(wanted)
    return shown, picture, json.dumps(table, default=lambda part: part.to_plotly_json()), words, done


def last_value(figure: Any, arm: str) -> float:
    line = next(one for one in figure["data"] if one.get("name") == arm)
    return float(np.frombuffer(base64.b64decode(line["y"]["bdata"]), dtype="<f8")[-1])


def test_what_a_moved_slider_changes(page: ExplorerPage) -> None:
    before, after = drawn(page, 0.3, 1e-4), drawn(page, 0.35, 1e-4)
    assert (last_value(before[0], "untreated"), last_value(after[0], "untreated")) == pytest.approx((27.0, 31.5))
    assert last_value(after[0], "cells") == pytest.approx(32.4)
    assert "27.00" in before[2] and "31.50" in after[2] and "\\u00b1 0.2" in after[2] and "vouched for" in after[2]
    assert after[3].className == "" and "reduced model" in after[3].children
    assert after[4] == {"sequence": 7, "values": {"loading.active": 0.35, "nutrition.endplate_clearance": 1e-4}}
    wide = drawn(page, 0.3, 1e-4, readout="glucose_min")
    assert "bar too wide" in wide[2]
    field = drawn(page, 0.3, 2e-4)[1]["data"][0]
    assert field["zmax"] == pytest.approx(2.0 * before[1]["data"][0]["zmax"]) and field["colorbar"]["title"]["text"] == "mM"


def test_outside_of_the_box_and_at_full_order() -> None:
    page = ExplorerPage(FormulaExplorer())
    out = drawn(page, 0.5, 1e-4)
    assert out[0]["data"] == [] and out[2].count("outside of the trained box; compute at full order") == 2
    assert "no field of untreated" in out[1]["layout"]["title"]["text"]
    full = drawn(page, 0.5, 1e-4, full=True)
    assert last_value(full[0], "untreated") == pytest.approx(45.0) and "computed at full order" in full[2]
    assert "full order" in full[3].children and full[1]["data"]
    assert last_value(drawn(page, 0.5, 1e-4, readout="glucose_min")[0], "cells") == pytest.approx(0.9)  # kept for these values
    assert drawn(page, 0.51, 1e-4)[0]["data"] == [] and last_value(drawn(page, 0.3, 1e-4)[0], "untreated") == pytest.approx(27.0)


@pytest.mark.parametrize("number", [None, 99.0, -1.0])
def test_a_wrong_number_is_told_and_the_page_goes_on(page: ExplorerPage, number: float | None) -> None:
    shown, _, _, words, done = drawn(page, number, 1e-4)
    assert words.className == "bad" and words.children.startswith("loading.active: given") and "allowed" in words.children
    assert done == {"sequence": 7} and not isinstance(shown, dict)
    assert page.saved(done) is None and page.saved(None) is None


def test_an_error_of_the_engine_is_told(page: ExplorerPage, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(values: Mapping[str, float]) -> Look:
        raise FloatingPointError("no number")

    monkeypatch.setattr(page.explorer, "look", broken)
    words = drawn(page, 0.3, 1e-4)[3]
    assert words.className == "bad" and words.children == "FloatingPointError: no number"


def test_what_is_saved(page: ExplorerPage) -> None:
    found = page.saved(drawn(page, 0.33, 2e-4)[4])
    assert found is not None and found["filename"].endswith(".toml")
    read = study_from_text(found["content"]).problem().arms[0].values
    assert read["loading.active"] == 0.33 and read["nutrition.endplate_clearance"] == 2e-4


@pytest.mark.parametrize(("host", "status"), [("127.0.0.1:8050", 200), ("localhost", 200), ("elsewhere.example:8050", 403)])
def test_only_this_machine_is_answered(page: ExplorerPage, host: str, status: int) -> None:
    answer = page.app.server.test_client().get("/", headers={"Host": host})
    assert answer.status_code == status
    if status == 200:
        text = answer.get_data(as_text=True)
        assert "https://" not in text and "http://" not in text  # nothing is loaded from elsewhere


@pytest.fixture
def address(page: ExplorerPage) -> Iterator[str]:
    """The page, served."""
    listening, ready = _listen(0), threading.Event()
    assert listening.getsockname()[0] == LOCAL == "127.0.0.1"
    threading.Thread(target=serve, args=(page, listening, ready.set), daemon=True).start()
    assert ready.wait(30.0)
    yield f"http://{LOCAL}:{listening.getsockname()[1]}/"
    listening.close()


def test_in_a_browser(address: str, tmp_path: Path) -> None:
    browser = find_browser()
    if browser is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    with opened(browser, address, tmp_path / "profile") as window:
        window.wait("document.querySelectorAll('#curves .scatterlayer .trace').length >= 4", 60.0)
        window.wait("document.querySelectorAll('#field .hm').length == 1")
        assert window.run("document.querySelectorAll('[role=slider]').length") == 2
        seen = window.run("document.body.innerText")
        for words in (
            "quick <i>& small</i>",
            "loading.active",
            "MPa",
            "assumed, log scale",
            "4e-05",
            "Bars are half-widths",
            "inside",
        ):
            assert words in seen
        boxes = "[...document.querySelectorAll('.knob input')].map(box => Number(box.value))"
        assert window.run(boxes) == [0.31, 0.0001]
        curve = "document.querySelectorAll('#curves .js-line')[1].getAttribute('d')"
        before, numbers = window.run(curve), "document.querySelector('#certificate tbody').innerText"
        assert "27.90" in window.run(numbers)
        window.run("document.querySelectorAll('[role=slider]')[0].focus()")
        window.press("End", 35)
        window.wait(f"{numbers}.includes('36.00')")
        assert window.run(boxes) == [0.4, 0.0001] and window.run(curve) != before
        window.run("document.querySelectorAll('[role=slider]')[1].focus()")
        window.press("Home", 36)
        window.wait(f"{boxes}[1] == 4e-5")
        window.run("document.getElementById('reset').click()")
        window.wait(f"{numbers}.includes('27.90') && {boxes}[0] == 0.31")
        window.run("const box = document.querySelectorAll('.knob input')[0]; box.focus(); box.select(); 1")
        window.command("Input.insertText", text="0.45")
        window.press("Enter", 13, "\r")
        window.wait(f"{numbers}.includes('outside of the trained box')")
        assert window.run("document.querySelectorAll('[role=slider]')[0].getAttribute('aria-valuenow')") == "1"
        window.run("document.getElementById('full').click()")
        window.wait(f"{numbers}.includes('40.50') && {numbers}.includes('sweep')")
        window.picture(tmp_path / "page.png")
        from matplotlib.image import imread

        assert imread(tmp_path / "page.png")[..., :3].std() > 0.1, "the page is blank"
