"""The data behind a study's charts, its table at 80 columns, and its CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
from rich.console import Console

from convprof.render.charts.chart import CellMark, Level, Point, Series
from convprof.render.charts.sizes import TITLE_COLUMNS
from convprof.render.charts.wrapping import wrapped
from convprof.render.recording import RecordedText, RecordingConsole
from convprof.render.study.chart import chart
from convprof.render.study.page import page_report, to_csv, to_markdown
from convprof.studies.answer import Answer
from convprof.studies.study import STUDIES
from convprof.studies.study.page import (
    Advice,
    Figure,
    Finding,
    Line,
    Page,
    Plot,
    Row,
    Section,
    Unit,
)

UNIT = Unit("GFLOP/s", 1e9)


def row(tile, turn, rate, expected=10e9):
    figure = None if rate is None else Figure(rate, rate * 0.9, rate * 1.1)
    status = "ok" if figure else "missing"
    return Row({"tile": tile, "turn": turn}, {"sums": int(tile[0])}, expected, figure, 0.5, status)


ROWS = (row("1x1", 1, 2e9), row("1x1", 2, 4e9), row("8x1", 1, 8e9), row("8x1", 2, None))
LINES = Plot(
    "lines", "sums", "sums", "turn", "GFLOP/s", expected="theory", expected_once=True,
    levels=(Line("peak", 12e9),),
)  # fmt: skip
MAP = Plot("map", "turn", "turn", "tile", "tile", cells=(("fits L1", ((2, "8x1"),)),))


def page(plot, across="turn"):
    section = Section("rates", UNIT, ROWS, across=across, plot=plot, notes=("a note",))
    finding = Finding("this is expected " * 9, "that was measured", 1.5, "Why it is so")
    return Page("unroll", "unroll: a title", {}, (section,), (finding,))


def printed(made):
    console = Console(file=io.StringIO(), width=80, color_system=None)
    page_report(console, made)
    return console.file.getvalue()


def test_a_line_for_each_group_under_the_level():
    found = chart(page(LINES), page(LINES).sections[0])
    assert found.series == (
        Series("theory", (Point(1, 10.0), Point(8, 10.0)), expected=True),
        Series("1 turn", (Point(1, 2.0, 1.8, 2.2), Point(8, 8.0, 7.2, 8.8)), subject="1 turn"),
        Series("2 turn", (Point(1, 4.0, 3.6, 4.4),), subject="2 turn"),
    )
    assert found.title == "unroll: measured is 0.40 times the expected in the median"
    theory = (
        "measured is 0.40 times the expected in the median, farthest 0.20 times at sums 1, turn 1"
    )
    assert found.subtitle == f"a title · {theory}"
    advised = replace(page(LINES), answer=Advice(("Keep 8.",), headline="8 sums are enough"))
    assert chart(advised, advised.sections[0]).title == "unroll: 8 sums are enough"
    assert found.levels == (Level("peak", 12.0),)


def test_times_in_doubt_are_marked_and_not_drawn():
    made = page(LINES)
    first, second, *others = ROWS
    rows = (replace(first, doubt="disturbed"), second, *others)
    made = replace(made, sections=(replace(made.sections[0], rows=rows),))
    found = chart(made, made.sections[0], "a CPU")
    assert [s.points for s in found.series[1:]] == [
        (Point(8, 8.0, 7.2, 8.8),),
        (Point(1, 4.0, 3.6, 4.4),),
    ]
    assert found.subtitle.startswith("a title · measured is ")
    assert found.subtitle.endswith(
        "0.40 times at sums 1, turn 2 · 1 time in doubt left out · a CPU"
    )
    text = printed(made)
    assert " ? 2.00 " in text
    assert "? in doubt, left out of conclusions: tile 1x1, turn 1: disturbed\n" in text
    assert "\n- ? in doubt, left out of conclusions: tile 1x1" in to_markdown(made, None)
    alone = replace(made, sections=(replace(made.sections[0], across=None),))
    assert "? 2.00 ±0.20" in printed(alone)
    assert next(csv.DictReader(io.StringIO("".join(to_csv(made)))))["doubt"] == "disturbed"
    every = tuple(replace(each, doubt="disturbed") for each in ROWS)
    assert chart(made, replace(made.sections[0], rows=every)) is None


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize("plot", [LINES, MAP])
def test_the_title_is_one_line_of_the_picture(study, plot):
    of_study = replace(page(plot), study=study)
    every = tuple(replace(each, expected=None) for each in ROWS)
    for rows in (ROWS, every):
        title = chart(of_study, replace(of_study.sections[0], rows=rows)).title
        assert len(wrapped(title, TITLE_COLUMNS)) == 1


def test_a_map_has_a_hole_where_nothing_was_measured():
    found = chart(page(MAP), page(MAP).sections[0])
    assert found.values == ((2.0, 4.0), (8.0, None))
    assert found.marks == (CellMark("fits L1", ((1, 1),)),)


def test_without_an_expectation_the_title_names_the_best_figure():
    rows = tuple(replace(one, expected=None) for one in ROWS)
    section = replace(page(MAP).sections[0], rows=rows)
    found = chart(page(MAP), section)
    assert found.title == "unroll: 8.00 GFLOP/s at best, turn 1, tile 8x1"


def test_the_page_fits_80_columns_and_says_all_three():
    text = printed(page(LINES))
    assert max(map(len, text.splitlines())) <= 80
    for word in ("1. expected", "   measured", "measured / expected = 1.5 (+50 %). Why it is so."):
        assert word in text
    assert "missing" in text


def test_the_csv_has_a_row_for_each_variant():
    found = list(csv.DictReader(io.StringIO("".join(to_csv(page(LINES))))))
    assert [r["measured"] for r in found] == ["2000000000.0", "4000000000.0", "8000000000.0", ""]
    assert [r["status"] for r in found] == ["ok", "ok", "ok", "missing"]


def test_markdown_has_the_tables_the_findings_and_the_answer():
    text = to_markdown(page(LINES), Answer(("Keep it.", "It is fast."), "convprof study unroll"))
    assert text.startswith("### unroll: a title\n")
    assert "\n#### " in text
    assert "\n| tile | sums | expected | 1 | 2 |\n|---|---:|" in text
    assert "\n1. expected: " in text
    assert text.endswith("\nKeep it. It is fast.\n")


def test_a_report_has_each_sentence_as_one_paragraph():
    console = RecordingConsole(file=io.StringIO(), width=80, color_system=None)
    page_report(console, page(LINES))
    texts = [block.text for block in console.blocks if isinstance(block, RecordedText)]
    assert any(text.endswith("this is expected " * 8 + "this is expected ") for text in texts)
    assert "a note" in texts
