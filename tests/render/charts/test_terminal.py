from __future__ import annotations

import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from convprof.render.charts.chart import CellMark, Chart, HeatMap, Level, Mark, Point, Series
from convprof.render.charts.terminal import chart_lines, heat_map_lines

CHART = Chart(
    title="gemm over size",
    x_label="size",
    y_label="GFLOP/s",
    series=(
        Series("naive", (Point(32, 20), Point(64, 20), Point(128, 10))),
        Series("packed", (Point(32, 50, 40, 60), Point(64, 90, 70, 95), Point(128, 80))),
    ),
    levels=(Level("peak 100 GFLOP/s", 100),),
    marks=(Mark("L1 48 KiB", 70),),
    x_log=True,
    y_top=100,
    caption="a machine · 2026-11-22",
)
MAP = HeatMap(
    "tiles", "kc", "mc", ("64", "128", "1024"), ("8", "16"),
    ((1.5, 20.0, None), (30.0, 123.4, 99.0)), "GFLOP/s",
    (CellMark("fits L1", ((0, 0), (1, 0))), CellMark("fits L2", ((1, 0),))), "a machine",
)  # fmt: skip


def printed(lines, **options):
    out = io.StringIO()
    Console(file=out, width=200, **options).print(lines)
    return out.getvalue()


GOLDEN = """\
gemm over size
GFLOP/s
                               L1 48 KiB
 100┤─peak 100 GFLOP/s─────────────│────────────────────────
    │                         ··x············
    │                    ·····  :  │         ············x
    │               ·····       :  │
    │  :       ·····               │
    │  :  ·····                    │
  50┤  x··                         │
    │  :                           │
    │                              │
    │  o························o············
    │                              │         ············o
   0┤                              │
    └──┬────────────────────────┬────────────────────────┬──
      32                       64                       128
                              size
o naive   x packed
a machine · 2026-11-22
"""


def test_a_chart_to_the_letter():
    assert printed(chart_lines(CHART, 60, 12)) == GOLDEN


def test_colour_adds_escapes_and_nothing_else():
    plain = printed(chart_lines(CHART, 60, 12))
    coloured = printed(chart_lines(CHART, 60, 12), force_terminal=True, color_system="standard")
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == plain


def test_every_series_has_its_own_glyph():
    series = tuple(Series(f"s{k}", (Point(k + 1, k + 1),)) for k in range(36))
    text = chart_lines(Chart("t", "x", "y", series), 80, 40).plain
    glyphs = [text.split(f" s{k}")[0][-1] for k in range(36)]
    assert len(set(glyphs)) == 36


def test_labels_without_room_next_to_the_line_are_in_the_legend():
    marks = tuple(Mark(f"cache number {k}", 60 + k) for k in range(4))
    long = "a level with a label that is wider than the whole plot can ever be, really"
    made = Chart("t", "x", "y", CHART.series, (Level(long, 50),), marks)
    text = chart_lines(made, 60, 10).plain
    assert all(text.count(mark.label) == 1 for mark in marks)
    assert f"─ {long}" in text
    assert "│ cache number" in text


def test_points_that_cannot_be_labelled_are_listed_with_their_place():
    points = tuple(Point(5 + k / 1000, 5, label=f"a rather long label {k}") for k in range(20))
    text = chart_lines(Chart("t", "x", "y", (Series("s", points, line=False),)), 60, 12).plain
    assert all(len(re.findall(rf"label {k}\b", text)) == 1 for k in range(20))
    assert re.search(r"a rather long label 19 \(5\.02, 5\.00\)", text)


FINITE = st.just(0.0) | st.floats(1e-9, 1e9) | st.floats(-1e6, -1e-6)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(FINITE, FINITE), max_size=8),
    st.booleans(),
    st.booleans(),
    st.integers(30, 120),
    st.integers(5, 30),
)
def test_any_data_fit_the_width(points, x_log, y_log, width, height):
    series = Series("some series", tuple(Point(x, y, y - 1, y + 1, "p") for x, y in points))
    made = Chart("t", "x", "y", (series,), x_log=x_log, y_log=y_log, caption="c " * 90)
    lines = chart_lines(made, width, height).plain.splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) >= height


HEAT_GOLDEN = """\
tiles
mc down, kc across
        64    128   1024
 8   1.50a   20.0      -
16  30.0ab   123*   99.0
GFLOP/s, dark to light: 1.50 to 123 · * highest · a fits L1 · b fits L2
a machine
"""


def test_a_heat_map_to_the_letter():
    assert printed(heat_map_lines(MAP, 80)) == HEAT_GOLDEN
    coloured = printed(heat_map_lines(MAP, 80), force_terminal=True, color_system="truecolor")
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == HEAT_GOLDEN


def test_columns_without_room_follow_below():
    text = heat_map_lines(MAP, 20).plain
    for value in ("1.50a", "20.0", "30.0ab", "123*", "99.0"):
        assert text.count(value) == 1, value
    table = text.splitlines()[2:-3]
    assert max(map(len, table)) <= 20


@pytest.mark.parametrize("values", [(), ((),), ((None, None),), ((5.0, 5.0),)])
def test_maps_of_nothing_and_of_one_value(values):
    columns = ("1", "2") if values and values[0] else ()
    rows = ("a",) * len(values)
    assert heat_map_lines(HeatMap("t", "x", "y", columns, rows, values, "s"), 80).plain
