"""The report of a sweep tells what decides each readout, with the numbers of discsim sensitivity."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

from discsim.report.page import Page
from discsim.report.pages import sensitivity_section
from discsim.report.sensitivity import summary
from discsim.report.sensitivity_plots import sensitivity_indices
from discsim.study.ensemble import Ensemble
from discsim.study.sensitivity import Sensitivity, sensitivities
from discsim.study.sensitivity_designs import saltelli_cube


@pytest.fixture(scope="module")
def found(request: pytest.FixtureRequest) -> tuple[Sensitivity, ...]:
    """Of a Saltelli design of three inputs: the first moves both scenarios, the second one of them, the third nothing."""
    make_ensemble: Callable[..., Ensemble] = request.getfixturevalue("make_ensemble")
    make_input = request.getfixturevalue("make_input")
    cube = saltelli_cube(64, 3, 1)
    inputs = tuple(make_input(f"x{i}", cube[:, i], 1.0, 2.0) for i in range(3))
    flat = np.full(len(cube), 3.0)
    values = {
        "untreated": {"gag_nucleus": cube[:, 0], "ph_min": flat},
        "cells": {"gag_nucleus": cube[:, 0] + 2.0 * cube[:, 1] ** 2, "ph_min": flat},
    }
    return sensitivities(make_ensemble(values, inputs, kind="saltelli"), planned=len(cube))


def page_of(found: tuple[Sensitivity, ...] | str) -> str:
    page = Page("a sweep")
    sensitivity_section(page, found)
    return page.html


def test_every_readout_has_its_picture_and_its_numbers(found: tuple[Sensitivity, ...]) -> None:
    html = page_of(found)
    assert html.count("<h3>") == 2 and html.count("<img ") == 1  # pH varies nowhere: nothing to draw, and the page says so
    assert next(one.note for one in found if one.readout == "ph_min") in html
    for one in found:
        assert summary(one).replace("&", "&amp;") in html
    cells = next(one for one in found if (one.readout, one.scenario) == ("gag_nucleus", "cells"))
    assert cells.inputs[0].path == "x1" and f"{cells.inputs[0].indices['total'].value:.2f} (" in html
    assert len(re.findall("a dummy input</td>", html)) == 2


def test_the_picture_shows_the_indices(found: tuple[Sensitivity, ...]) -> None:
    ours = [one for one in found if one.readout == "gag_nucleus"]
    figure = sensitivity_indices(ours)
    assert figure is not None
    shown = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in shown] == ["untreated", "cells less untreated"]
    for axes, one in zip(shown, ours, strict=True):
        points = sorted(float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() in ("o", "D"))
        wanted = sorted(index.value for row in one.inputs for index in row.indices.values())
        assert points == pytest.approx(wanted)
        floors = sorted(float(line.get_xdata()[0]) for line in axes.lines if line.get_linestyle() == "--")
        assert floors == pytest.approx(sorted(one.floor.values()))
    assert sensitivity_indices([one for one in found if one.readout == "ph_min"]) is None


def test_a_design_without_indices_is_told_in_one_line() -> None:
    html = page_of("a design of kind list was chosen & not drawn")
    assert "No sensitivity is stated: a design of kind list was chosen &amp; not drawn." in html and "<img" not in html
