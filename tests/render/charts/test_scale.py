from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convprof.render.charts.chart import Chart, Level, Mark, Point, Series
from convprof.render.charts.scale import Scale, spread, text, x_scale, x_ticks, y_scale

NUMBERS = st.floats(1e-6, 1e12)


def chart(*points, **changes):
    series = (Series("one", tuple(Point(x, y) for x, y in points)),)
    return Chart("t", "x", "y", series, **changes)


def test_shares():
    assert Scale(0, 10).share(2.5) == 0.25
    assert Scale(1, 100, log=True).share(10) == pytest.approx(0.5)
    assert Scale(1, 100, log=True).holds(100)
    assert not Scale(1, 100, log=True).holds(0)
    assert not Scale(0, 10).holds(10.1)


@pytest.mark.parametrize(
    ("scale", "most", "ticks"),
    [
        (Scale(0, 175), 6, [0, 50, 100, 150]),
        (Scale(0, 1), 5, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (Scale(-3, 3), 3, [-2, 0, 2]),
        (Scale(1, 100, log=True), 8, [1, 2, 5, 10, 20, 50, 100]),
        (Scale(0.1, 1000, log=True), 6, [0.1, 1, 10, 100, 1000]),
        (Scale(1e-6, 1e6, log=True), 5, [1e-6, 1e-3, 1, 1e3, 1e6]),
        (Scale(30, 70, log=True), 5, [30, 40, 50, 60, 70]),
    ],
)
def test_ticks_are_round(scale, most, ticks):
    assert ticks == pytest.approx(scale.ticks(most))


@given(NUMBERS, st.floats(1.001, 1e9), st.integers(2, 12), st.booleans())
def test_ticks_are_on_the_axis_and_few(low, ratio, most, log):
    scale = Scale(low, low * ratio, log=log)
    ticks = scale.ticks(most)
    assert all(scale.holds(tick) for tick in ticks)
    assert ticks == sorted(set(ticks))
    assert len(ticks) <= most + 2


def test_the_ceiling_is_the_top_unless_data_are_above():
    assert y_scale(chart((1, 3), (2, 90), y_top=100)) == Scale(0, 100)
    assert y_scale(chart((1, 3), (2, 200), y_top=100)) == Scale(0, 210)
    assert y_scale(chart((1, 3), levels=(Level("peak", 100),))) == Scale(0, 105)


def test_the_x_axis_has_points_and_marks_within_a_margin():
    scale = x_scale(chart((10, 1), (20, 1), marks=(Mark("L1", 60),)))
    assert (scale.low, scale.high) == (8, 62)
    scale = x_scale(chart((10, 1), (1000, 1), (0, 1), x_log=True))
    assert scale.low < 10
    assert scale.high > 1000
    assert scale.share(10) == pytest.approx(1 - scale.share(1000))


@pytest.mark.parametrize("points", [(), ((5, 7),), ((0, 0),), ((5, 0), (5, 0))])
@pytest.mark.parametrize("log", [False, True])
def test_one_point_or_none_makes_an_axis_too(points, log):
    made = chart(*points, x_log=log, y_log=log)
    assert x_scale(made).low < x_scale(made).high
    assert y_scale(made).low < y_scale(made).high
    assert y_scale(made).ticks(5)


def test_measured_whole_numbers_are_the_ticks():
    made = chart((32, 1), (64, 1), (2048, 1), x_log=True)
    assert x_ticks(made, x_scale(made), 5) == [32, 64, 2048]
    made = chart((12.3, 1), (230.1, 1), x_log=True)
    assert x_ticks(made, x_scale(made), 5) == [20, 50, 100, 200]


@pytest.mark.parametrize(
    ("value", "label"),
    [(0, "0"), (1024, "1,024"), (0.5, "0.5"), (1e-6, "1e-06"), (1e9, "1e+09"), (2.5, "2.5")],
)
def test_tick_labels(value, label):
    assert label == text(value)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 12)), max_size=12), st.integers(12, 90))
def test_texts_along_a_line_never_touch(wanted, length):
    wanted.sort()
    starts = spread(wanted, length)
    cells = [
        cell
        for (_, width), start in zip(wanted, starts, strict=True)
        if start is not None
        for cell in range(start, start + width)
    ]
    assert len(cells) == len(set(cells))
    assert all(0 <= cell < length for cell in cells)
    assert not wanted or starts[0] is not None
