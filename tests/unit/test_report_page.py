"""The report of a run as a page: whole, self-contained, honest about failures; it opens in a browser."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from discsim.problem.record import ArmRecord
from discsim.report.page import Page
from discsim.report.pages import run_page
from discsim.study.result import Result
from discsim.study.study import Study


class Seen(HTMLParser):
    """Tags that are open, what a page loads, and its words."""

    VOID = ("meta", "img", "br")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture
def result(therapy_study: Study, good_records: list[ArmRecord]) -> Result:
    return Result.from_records(therapy_study, good_records)


def test_a_run(result: Result) -> None:
    seen = Seen(run_page(result).html)
    assert not seen.open and "script" not in seen.tags
    assert all(load.startswith("data:image/png;base64,") for load in seen.loads) and len(seen.loads) == 1 + 4
    for words in (*result.scenario_names, *result.readout_names, "Methods", "Limits", "What is assumed", "Where it came from"):
        assert words in seen.words
    assert "individual patients" in seen.words and str(result.tree.attrs["discsim_config_hash"]) in seen.words
    entry = next(e for e in result.table() if e.scenario == "cells" and e.readout == "disc_height" and e.time_years == 10.0)
    assert f"{entry.value:.{int(result.attributes('disc_height')['digits'])}f}" in seen.words


def test_a_failed_arm_is_told_at_the_top(
    therapy_study: Study, good_records: list[ArmRecord], failed_record: Callable[[int, float], ArmRecord]
) -> None:
    good_records[2] = failed_record(2, 3.0)
    words = Seen(run_page(Result.from_records(therapy_study, good_records)).html).words
    assert "gene did not finish: Newton stalled in the mechanics after 6 halvings (nonconverged)" in words
    assert words.index("did not finish") < words.index("Methods")


def test_words_are_no_markup() -> None:
    page = Page("<b>title</b> & co")
    page.words('<script>alert("x")</script>', "", "  ")
    page.listed(["a < b"])
    page.folded("more <i>", "x & y")
    table = Table()
    table.add_column("[bold]name[/bold]")
    table.add_column("size", justify="right")
    table.add_row(Text("<u>"), "[red]1.0[/red]")
    page.table(table)
    seen = Seen(page.html)
    assert not {"script", "b", "i", "u"} & set(seen.tags) and seen.tags.count("p") == 1
    for words in ("<b>title</b> & co", '<script>alert("x")</script>', "a < b", "x & y", "<u>", "name", "1.0"):
        assert words in seen.words
    assert "bold" not in seen.words and '<td class="right">1.0</td>' in page.html


def test_in_a_browser(result: Result, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    path = tmp_path / "report.html"
    path.write_text(run_page(result).html, encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run([browser, *flags, "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    seen = Seen(done.stdout)
    assert "Where it came from" in seen.words and seen.tags.count("img") == 5
    picture = tmp_path / "page.png"
    command = [browser, *flags, f"--screenshot={picture}", "--window-size=1000,3000", path.as_uri()]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    from matplotlib.image import imread

    shown = imread(picture)
    assert shown.shape[1] == 1000 and shown[..., :3].std() > 0.1, "the page is blank"
