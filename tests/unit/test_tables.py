"""Tables: what a reader sees on a terminal, and the CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from discsim.problem.problem import DAY, YEAR
from discsim.problem.record import ArmRecord
from discsim.quantities import units
from discsim.report.tables import CSV_COLUMNS, print_summary, signed, time_words, to_csv, unsigned
from discsim.study.result import Result
from discsim.study.study import Study

FailedRecord = Callable[[int, float], ArmRecord]


@pytest.fixture
def result(therapy_study: Study, good_records: list[ArmRecord]) -> Result:
    return Result.from_records(therapy_study, good_records)


@pytest.fixture
def half_failed(therapy_study: Study, good_records: list[ArmRecord], failed_record: FailedRecord) -> Result:
    """Gene did not converge after 3 years."""
    good_records[2] = failed_record(2, 3.0)
    return Result.from_records(therapy_study, good_records)


def printed(result: Result, width: int = 100) -> str:
    stream = io.StringIO()
    print_summary(result, Console(file=stream, width=width))
    return stream.getvalue()


def block(text: str, readout: str) -> list[list[str]]:
    """Words of the rows of one readout's table, without title and header."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{readout} (") or line.startswith(f"{readout}:"))
    rule = next(i for i in range(start, len(lines)) if lines[i].startswith("───"))
    end = next(i for i in range(rule, len(lines)) if not lines[i].strip())
    return [line.split() for line in lines[rule + 1 : end]]


def test_values_differences_and_drift(result: Result) -> None:
    assert block(printed(result), "disc_height") == [
        ["untreated", "8.500", "8.440", "8.200", "7.900"],
        ["cells", "8.500", "8.461", "8.305", "8.110"],
        ["difference", "0", "+0.021", "+0.105", "+0.210", "-0.060"],
        ["gene", "8.500", "8.452", "8.260", "8.020"],
        ["difference", "0", "+0.012", "+0.060", "+0.120", "-0.060"],
        ["both", "8.500", "8.476", "8.380", "8.260"],
        ["difference", "0", "+0.036", "+0.180", "+0.360", "-0.060"],
    ]


def test_titles_tell_unit_and_meaning(result: Result) -> None:
    text = printed(result)
    assert "Cells or genes at Pfirrmann III?" in text
    assert "disc_height (mm): soft height of the disc at the effective load" in text
    assert "ph_min: lowest pH in the disc" in text  # without unit, and none in brackets
    header = next(line for line in text.splitlines() if line.startswith("scenario"))
    assert header.split("  ")[0] == "scenario"
    assert [word.strip() for word in header.split("  ") if word.strip()] == [
        "scenario", "0 year", "1 year", "5 year", "10 year", "first year",
    ]  # fmt: skip


def test_failed_arm_is_shown_in_words(half_failed: Result) -> None:
    text = printed(half_failed)
    rows = block(text, "disc_height")
    assert rows[3] == ["gene", "8.500", "8.452", "nonconverged", "nonconverged"]
    assert rows[4] == ["difference", "0", "+0.012", "nonconverged", "nonconverged", "-0.060"]
    assert rows[5] == ["both", "8.500", "8.476", "8.380", "8.260"]
    assert "nan" not in text.lower().replace("gene", "")
    assert (
        "gene did not finish: nonconverged; Newton stalled in the mechanics after 6 halvings; last good time 3 year. "
        "Try a finer mesh."
    ) in " ".join(text.split())


def test_failed_first_arm_leaves_its_word_in_the_differences(
    therapy_study: Study, good_records: list[ArmRecord], failed_record: FailedRecord
) -> None:
    good_records[0] = failed_record(0, 0.5)
    rows = block(printed(Result.from_records(therapy_study, good_records)), "disc_height")
    assert rows[1] == ["cells", "8.500", "8.461", "8.305", "8.110"]
    assert rows[2] == ["difference", "0", *["nonconverged"] * 4]


def test_lowest_glucose_and_ph_over_the_whole_run(therapy_study: Study, good_records: list[ArmRecord]) -> None:
    good_records[1].readouts["glucose_min"][2] = 0.123  # at half a year, which is no time of the table
    text = printed(Result.from_records(therapy_study, good_records))
    lowest = text[text.index("lowest over the whole run") :].splitlines()
    assert "glucose (mM)" in lowest[1] and "pH" in lowest[1]
    assert [line.split() for line in lowest[3:5]] == [
        ["untreated", "0.800", "10", "year", "6.860", "10", "year"],
        ["cells", "0.123", "0.5", "year", "6.874", "10", "year"],
    ]


def test_discretisation_error_is_shown_and_flagged(result: Result) -> None:
    assert "discretisation error" not in printed(result)
    result.state_discretisation_error({"untreated": {"disc_height": 0.004}, "cells": {"disc_height": 0.1}})
    (line,) = [line for line in printed(result).splitlines() if line.startswith("discretisation error")]
    assert line.rstrip() == "discretisation error (mm): untreated +/- 0.004; cells +/- 0.100  > 1 %"


def test_evidence_line_comes_last(result: Result) -> None:
    words = " ".join(printed(result).split())
    assert "assumed numbers acting only on cells, both: stem_cells.retained_fraction, stem_cells.conversion_rate" in words
    assert words.endswith("which of them reverse the order the sweep decides")


@pytest.mark.parametrize("width", [80, 120])
def test_nothing_is_cut_off(half_failed: Result, width: int) -> None:
    text = printed(half_failed, width)
    assert "…" not in text
    assert max(len(line) for line in text.splitlines()) <= width
    assert block(text, "nucleus_pressure")[1] == ["cells", "0.2100", "0.2074", "0.1970", "0.1840"]


def test_csv_holds_every_number(half_failed: Result, tmp_path: Path) -> None:
    to_csv(half_failed, tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert len(rows) == 4 * 7 * 4
    by_key = {(row["scenario"], row["readout"], row["time_years"]): row for row in rows}
    for entry in half_failed.table():
        row = by_key[entry.scenario, entry.readout, f"{entry.time_years:g}"]
        for name, number in (("value", entry.value), ("difference", entry.difference)):
            assert row[name] == "" if number is None else float(row[name]) == number
        assert row["status"] == entry.status
    late = by_key["gene", "disc_height", "10"]
    assert (late["unit"], late["value"], late["difference"], late["status"]) == ("mm", "", "", "nonconverged")
    assert by_key["untreated", "disc_height", "10"]["difference"] == ""


def test_csv_goes_to_a_stream_as_well(result: Result, tmp_path: Path) -> None:
    stream = io.StringIO()
    to_csv(result, stream)
    to_csv(result, tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text() == stream.getvalue()


def test_small_numbers_are_not_rounded_away() -> None:
    assert signed(0.0, 2) == "0"
    assert signed(0.0123, 2) == "+0.01"
    assert signed(-0.00012, 2) == "-1.2e-04"
    assert unsigned(0.00012, 2) == "1.2e-04"
    assert unsigned(1.5, 1) == "1.5"


def test_times_in_words() -> None:
    assert [time_words(t) for t in (0.0, 10 * DAY, 0.5 * YEAR, 10 * YEAR)] == [
        "0 year",
        "10 day",
        "0.5 year",
        "10 year",
    ]


def test_times_keep_the_unit_in_which_they_are_short() -> None:
    written = ["20 day", "60 day", "365 day", "1 month", "5 month", "0.25 year", "1.5 year", "29 day", "100 year"]
    shown = [time_words(units.parse(text, "s")) for text in written]
    assert shown == written
    assert time_words(0.123456789 * YEAR) == "0.1235 year"
