from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console

from convprof.machine.peaks import Peak
from convprof.render import roofline as view
from convprof.render.roofline_chart import MOST_STRATEGIES, roofline_chart
from convprof.results import Measurement, Time
from convprof.studies.roofline import Roofline
from convprof.studies.roofline_model import RooflinePoint


def placed(strategy, intensity, rate, *, layout="nchw", descriptor="a", level="L2", bandwidth=1e11):
    problem = {"kind": "conv2d", "descriptor": descriptor, "name": None}
    measurement = Measurement(problem, strategy, layout, "f32", 2, "hot", "ok")
    return RooflinePoint(measurement, intensity, rate, level, bandwidth, bandwidth, 4e11)


PEAK = Peak("avx512", 512, "f32", 2, 4e11, 3e9, 64.0, 2)
POINTS = (
    placed("microkernel", 50.0, 3.2e11),
    placed("microkernel", 40.0, 2e11, layout="nhwc"),
    placed("direct", 0.5, 1e9, level="memory", bandwidth=1e10),
)
ROOFLINE = Roofline(
    "", "Example", "f32", 2, (PEAK,), {"L1": 8e11, "L2": 1e11, "memory": 1e10}, (), POINTS
)


def report(found, width=80):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    view.roofline_report(console, found, dated="Example · today")
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_the_table_says_what_bounds_each_point_and_what_is_left():
    assert report(ROOFLINE, 120)[:6] == [
        "roofline · f32 on 2 threads",
        "strategy      layout   FLOP/byte   GFLOP/s   roof [GFLOP/s]   bound by   works in   to the roof",  # noqa: E501
        "───────────────────────────────────────────────────────────────────────────────────────────────",
        "microkernel   nchw          50.0       320              400   compute    L2               1.25x",  # noqa: E501
        "microkernel   nhwc          40.0       200              400   compute    L2               2.00x",  # noqa: E501
        "direct        nchw         0.500      1.00             5.00   memory     memory           5.00x",  # noqa: E501
    ]


def test_narrow_terminals_keep_the_bound_and_what_is_left():
    heading = report(ROOFLINE, 60)[1]
    assert "bound by" in heading
    assert "to the roof" in heading


def test_the_roofs_are_lines_and_the_strategies_markers():
    chart = roofline_chart(ROOFLINE, dated="Example · today")
    assert (chart.x_log, chart.y_log) == (True, True)
    assert (chart.x_label, chart.y_label) == ("FLOP/byte", "GFLOP/s")
    assert chart.subtitle == "roofline · f32 on 2 threads · Example · today"
    assert chart.title == "the fastest, microkernel nchw, reaches 80 % of the peak"
    lines = [s for s in chart.series if s.line]
    assert [s.label for s in lines] == [
        "L1 800 GB/s", "L2 100 GB/s", "memory 10.0 GB/s", "peak 400 GFLOP/s",
    ]  # fmt: skip
    assert all(s.ceiling for s in lines)
    markers = {s.label: [(p.x, p.y) for p in s.points] for s in chart.series if not s.line}
    assert markers == {
        "microkernel nchw": [(50, 320)], "microkernel nhwc": [(40, 200)], "direct nchw": [(0.5, 1)],
    }  # fmt: skip


def test_no_point_is_the_fastest_where_one_in_doubt_may_be_faster():
    def timed(point, seconds, doubt=None):
        time = Time(seconds, 0.0, None, None, seconds, 3, 1)
        changed = dataclasses.replace(point.measurement, time_s=time, doubt=doubt)
        return dataclasses.replace(point, measurement=changed)

    for storm, who in ((1e-3, "microkernel nhwc"), (1.0, "the fastest, microkernel nhwc,")):
        points = timed(POINTS[0], storm, "a storm"), timed(POINTS[1], 2e-3), timed(POINTS[2], 0.4)
        stormy = dataclasses.replace(ROOFLINE, placed=points)
        title = roofline_chart(stormy, dated="").title
        assert title == f"{who} could be 2.0 times as fast: its roof is the peak"


def test_a_problem_whose_times_are_in_doubt_is_still_another_problem():
    near, _, far = POINTS
    problem = {**near.measurement.problem, "descriptor": "8x8:8x8", "name": None}
    changed = dataclasses.replace(near.measurement, problem=problem, doubt="a storm")
    placed = dataclasses.replace(near, measurement=changed), POINTS[1], far
    title = roofline_chart(dataclasses.replace(ROOFLINE, placed=placed), dated="").title
    assert title.startswith("microkernel nhwc in ")


def test_layouts_differ_in_the_marker_and_each_point_has_its_gap():
    points = [s for s in roofline_chart(ROOFLINE, dated="").series if not s.line]
    assert [(s.subject, s.variant) for s in points] == [
        ("microkernel", 1), ("microkernel", 0), ("direct", 1),
    ]  # fmt: skip
    assert [(p.label, p.limit) for s in points for p in s.points] == [
        ("microkernel 1.2x", 400), ("microkernel 2.0x", 400), ("direct 5.0x", 5),
    ]  # fmt: skip
    alone = dataclasses.replace(ROOFLINE, placed=POINTS[:1])
    assert [s.variant for s in roofline_chart(alone, dated="").series if not s.line] == [0]


def test_of_many_strategies_the_fastest_are_drawn():
    many = tuple(placed(f"s{k}", 1.0, (1 + k) * 1e9) for k in range(MOST_STRATEGIES + 2))
    chart = roofline_chart(
        dataclasses.replace(ROOFLINE, placed=many), dated="", most=MOST_STRATEGIES
    )
    assert {s.subject for s in chart.series if not s.line} == {
        f"s{k}" for k in range(2, MOST_STRATEGIES + 2)
    }
    assert "the 10 fastest of 12 strategies" in chart.subtitle


def test_bandwidth_lines_have_their_slope_and_end_at_the_peak():
    chart = roofline_chart(ROOFLINE, dated="")
    for series, rate in zip(chart.series[:3], ROOFLINE.bandwidths.values(), strict=True):
        for point in series.points:
            assert point.y * 1e9 == pytest.approx(point.x * rate)
        assert series.points[-1].y == pytest.approx(400)
    peak = chart.series[3].points
    assert peak[0].x == pytest.approx(4e11 / 8e11)
    assert {p.y for p in peak} == {400}


def test_all_points_are_between_the_ends_of_the_lines():
    chart = roofline_chart(ROOFLINE, dated="")
    xs = [p.x for s in chart.series if s.line for p in s.points]
    ys = [p.y for s in chart.series if s.line for p in s.points]
    for series in chart.series:
        if not series.line:
            assert all(min(xs) < p.x < max(xs) and p.y < max(ys) for p in series.points)
    assert chart.y_top > 400


def test_a_point_above_its_roof_is_marked_and_explained():
    above = dataclasses.replace(ROOFLINE, placed=(placed("torch", 50.0, 4.4e11),))
    lines = report(above)
    assert any(line.endswith("0.909x!") for line in lines)
    assert any(line.startswith("! over the roof") for line in lines)
    assert not any("!" in line for line in report(ROOFLINE))


def test_without_bandwidths_there_is_the_peak():
    bare = dataclasses.replace(
        ROOFLINE,
        bandwidths={},
        unknown=("L1", "memory"),
        placed=(placed("tiled", 3.0, 1e11, bandwidth=None),),
    )
    assert [s.label for s in roofline_chart(bare, dated="").series] == ["peak 400 GFLOP/s", "tiled"]
    text = "\n".join(report(bare))
    assert "the bandwidth of L1, memory is unknown" in text


def test_two_peaks_are_named_by_their_instruction_sets():
    avx2 = dataclasses.replace(PEAK, isa="avx2", flop_per_s=2e11)
    both = dataclasses.replace(ROOFLINE, peaks=(PEAK, avx2))
    labels = [s.label for s in roofline_chart(both, dated="").series][3:5]
    assert labels == ["peak avx512 400 GFLOP/s", "peak avx2 200 GFLOP/s"]


def test_several_problems_get_a_column_and_few_points_labels():
    two = dataclasses.replace(
        ROOFLINE, placed=(*POINTS[:1], placed("direct", 1.0, 2e9, descriptor="b"))
    )
    assert report(two)[1].startswith("problem")
    points = [p.label for s in roofline_chart(two, dated="").series if not s.line for p in s.points]
    assert points == ["a 1.2x", "b 50x"]
