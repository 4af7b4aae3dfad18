"""The charts of ``run``, ``compare peers`` and ``compare layouts``, as plain values."""

from __future__ import annotations

import dataclasses

import pytest

from convprof.render.charts.chart import Reference
from convprof.render.compare.layouts_chart import layouts_chart
from convprof.render.compare.peers_chart import HATCHED, peers_chart, standings_chart
from convprof.render.findings import fastest_line, times
from convprof.render.rate_bars import EFFECTIVE, MOST_BARS
from convprof.render.run_chart import BEST_LAYOUT, BEST_STRATEGY, run_chart
from convprof.results import Flops, Measurement, Time
from convprof.stats import Ratio
from convprof.studies.compare.layouts import Conversions, LayoutComparison
from convprof.studies.compare.peers import Standing

FLOPS = 2_000_000
DATED = "CPU · 2026-01-02"


def problem(descriptor="64x64:64x64"):
    return {
        "kind": "gemm", "descriptor": descriptor, "name": None,
        "m": 64, "n": 64, "k": 64, "batch": 1,
    }  # fmt: skip


def measurement(strategy, seconds, layout=None, threads=1, *, half=0.01, of="64x64:64x64"):
    rate = FLOPS / seconds
    return Measurement(
        problem=problem(of), strategy=strategy, layout=layout, dtype="f32", threads=threads,
        cache="hot", status="ok", flops=Flops(FLOPS, FLOPS), flop_per_s=rate,
        peak_fraction=rate / 200e9 / threads,
        time_s=Time(seconds, 0.0, (1 - half) * seconds, (1 + half) * seconds, seconds, 25, 3),
    )  # fmt: skip


REFUSED = dataclasses.replace(measurement("fft", 1.0), status="refused", time_s=None)
ROWS = [
    measurement("tiled", 40e-6, "nchw"),
    measurement("tiled", 50e-6, "nhwc"),
    measurement("microkernel", 20e-6, "nhwc"),
    REFUSED,
]


def test_a_bar_per_strategy_in_its_best_layout_under_the_peak():
    chart = run_chart(ROWS, dated=DATED)
    (panel,) = chart.panels
    assert [(bar.label, bar.subject) for bar in panel.bars] == [
        ("microkernel nhwc", "microkernel"), ("tiled nchw", "tiled"),
    ]  # fmt: skip
    assert [bar.value for bar in panel.bars] == pytest.approx([100, 50])
    assert panel.bars[0].note == "100 · 50 % of the peak"
    assert panel.bars[0].low == pytest.approx(100 / 1.01)
    assert panel.references == (Reference("FMA peak 200 GFLOP/s", pytest.approx(200)),)
    assert chart.title == "microkernel nhwc is 2.0 times as fast as tiled nchw: 50 % of the peak"
    assert BEST_LAYOUT in chart.subtitle
    assert chart.subtitle.endswith(DATED)


def test_numbers_of_threads_are_panels_and_the_title_compares_equal_numbers():
    chart = run_chart([*ROWS, measurement("tiled", 15e-6, "nhwc", 2)], dated=DATED)
    assert [panel.title for panel in chart.panels] == ["1 thread", "2 threads"]
    assert [len(panel.bars) for panel in chart.panels] == [2, 1]
    assert chart.title == "tiled nhwc takes 15.0 µs on 2 threads: 33 % of the peak"


def test_of_several_problems_the_fastest_strategy_of_each():
    other = [measurement("tiled", 10e-6, of="8x8:8x8"), measurement("packed", 11e-6, of="8x8:8x8")]
    chart = run_chart([*ROWS, *other], dated=DATED)
    (panel,) = chart.panels
    assert [bar.label for bar in panel.bars] == ["64x64:64x64", "8x8:8x8"]
    assert panel.bars[0].note.startswith("microkernel nhwc · 100")
    assert chart.title == "microkernel is the fastest strategy in 1 of 2 cases"
    assert BEST_STRATEGY in chart.subtitle


def test_of_several_problems_none_is_decided_where_a_time_in_doubt_may_be_shorter():
    stormy = dataclasses.replace(measurement("packed", 9e-6, of="8x8:8x8"), doubt="a storm")
    chart = run_chart([*ROWS, measurement("tiled", 10e-6, of="8x8:8x8"), stormy], dated=DATED)
    assert [bar.label for bar in chart.panels[0].bars] == ["64x64:64x64", "8x8:8x8 ?"]
    assert chart.title == "microkernel is the fastest strategy in 1 of 2 cases"


def test_too_many_problems_are_said():
    many = [measurement("tiled", 1e-5, of=f"{k}x8:8x8") for k in range(MOST_BARS + 6)]
    chart = run_chart(many, dated=DATED)
    assert len(chart.panels[0].bars) == MOST_BARS
    assert f"{MOST_BARS} of {MOST_BARS + 6} problems" in chart.subtitle


def test_without_flops_the_bars_are_times():
    rows = [dataclasses.replace(m, flop_per_s=None, peak_fraction=None) for m in ROWS[:3]]
    (panel,) = run_chart(rows, dated=DATED).panels
    assert panel.x_label == "time [µs]"
    assert panel.bars[0].value == pytest.approx(20)
    assert panel.references == ()


def test_an_effective_rate_is_named():
    less = dataclasses.replace(ROWS[2], flops=Flops(FLOPS, FLOPS // 4), peak_fraction=2.0)
    chart = run_chart([less], dated=DATED)
    assert chart.panels[0].bars[0].note == "100 · effective"
    assert EFFECTIVE in chart.caption
    assert "peak" not in chart.title


def test_nothing_timed_is_no_chart():
    assert run_chart([REFUSED], dated=DATED) is None
    assert peers_chart([REFUSED], [], set(), dated=DATED) is None
    assert standings_chart([], dated=DATED) is None
    assert layouts_chart([], dated=DATED) is None


def test_overlapping_intervals_have_no_winner():
    close = [measurement("a", 10e-6, half=0.1), measurement("b", 11e-6, half=0.1)]
    assert fastest_line(close).startswith("neither a nor b is faster for certain")
    apart = [measurement("a", 10e-6), measurement("b", 11e-6)]
    assert fastest_line(apart).startswith("a is 1.1 times as fast as b")


@pytest.mark.parametrize(
    ("ratio", "text"), [(1.04, "1.04 times"), (2.345, "2.3 times"), (85.4, "85 times")]
)
def test_times(ratio, text):
    assert times(ratio) == text


def test_libraries_are_hatched_and_the_title_compares_ours_with_the_fastest():
    rows = [*ROWS, measurement("torch", 30e-6), measurement("openvino", 60e-6)]
    ratio = Ratio(1.5, 1.4, 1.6, 25)
    against = Standing(ROWS[2], rows[-2], ratio.inverse)
    chart = peers_chart(rows, [against], {"torch", "openvino"}, dated=DATED)
    assert [(bar.subject, bar.variant) for bar in chart.panels[0].bars] == [
        ("microkernel", 0), ("torch", 1), ("tiled", 0), ("openvino", 1),
    ]  # fmt: skip
    assert chart.title == "microkernel nhwc is 1.5 times as fast as torch"
    assert HATCHED in chart.caption


@pytest.mark.parametrize(
    ("ratio", "half", "title"),
    [
        (0.5, 0.1, "torch is 2.0 times as fast as microkernel nhwc"),
        (1.1, 0.2, "neither microkernel nhwc nor torch is faster for certain"),
        (1.0, 0.9, "every time is in doubt: repeat this on an idle machine"),
    ],
)
def test_the_title_is_never_a_winner_by_force(ratio, half, title):
    against = Ratio(ratio, ratio * (1 - half), ratio * (1 + half), 25)
    standings = [Standing(ROWS[2], measurement("torch", 3e-5), against.inverse)]
    assert peers_chart(ROWS, standings, {"torch"}, dated=DATED).title == title


def standing(of, library_over_ours):
    ours, peer = measurement("auto", 1e-5, of=of), measurement("torch", 1e-5, of=of)
    ratio = Ratio(library_over_ours, library_over_ours * 0.9, library_over_ours * 1.1, 25)
    return Standing(ours, peer, ratio.inverse)


def test_several_problems_are_ratios_around_1_with_their_intervals():
    chart = standings_chart([standing("8x8:8x8", 2.0), standing("9x9:9x9", 0.5)], dated=DATED)
    (panel,) = chart.panels
    assert panel.ratios
    assert [reference.x for reference in panel.references] == [1]
    assert [bar.value for bar in panel.bars] == pytest.approx([2.0, 0.5])
    assert panel.bars[0].low == pytest.approx(1.8)
    assert panel.bars[0].high == pytest.approx(2.2)
    assert chart.title == ("convprof is 1.00 times as fast as the fastest library (geometric mean)")


def test_a_problem_in_two_types_has_two_names():
    pairs = [standing("8x8:8x8", 2.0), standing("8x8:8x8", 0.5)]
    pairs[1] = dataclasses.replace(pairs[1], a=dataclasses.replace(pairs[1].ours, dtype="f64"))
    chart = standings_chart(pairs, dated=DATED)
    assert [bar.label for bar in chart.panels[0].bars] == ["8x8:8x8 f32", "8x8:8x8 f64"]


def test_of_too_many_problems_the_worst_are_drawn():
    many = [standing(f"{k}x8:8x8", 1 + k) for k in range(MOST_BARS + 2)]
    chart = standings_chart(many, dated=DATED)
    assert [bar.value for bar in chart.panels[0].bars][:2] == pytest.approx([1, 2])
    assert len(chart.panels[0].bars) == MOST_BARS
    assert f"the {MOST_BARS} where convprof is slowest" in chart.subtitle


def comparison(strategy, seconds, ratio, *, threads=1, of="64x64:64x64", half=0.01):
    nchw = measurement(strategy, seconds, "nchw", threads, of=of)
    nhwc = measurement(strategy, seconds * ratio, "nhwc", threads, of=of)
    costs = dict.fromkeys(("nchw", "nhwc"), 1e-6)
    interval = Ratio(ratio, ratio * (1 - half), ratio * (1 + half), 25)
    return LayoutComparison(nhwc, nchw, interval, Conversions(costs, costs))


def test_layouts_are_ratios_of_each_strategy():
    rows = [comparison("tiled", 40e-6, 1.25), comparison("microkernel", 20e-6, 0.5)]
    chart = layouts_chart(rows, dated=DATED)
    (panel,) = chart.panels
    assert [(bar.label, bar.value) for bar in panel.bars] == [("tiled", 1.25), ("microkernel", 0.5)]
    assert [reference.x for reference in panel.references] == [1]
    assert panel.bars[1].low == pytest.approx(0.495)
    assert chart.title == "microkernel is 2.0 times as fast in NHWC as in NCHW"
    assert panel.bars[1].note.endswith("converting pays after 1")


def test_an_undecided_layout_is_no_finding():
    chart = layouts_chart([comparison("tiled", 4e-5, 1.01, half=0.2)], dated=DATED)
    assert chart.title == "tiled: neither layout is faster for certain"


def test_layouts_of_several_problems_are_the_fastest_strategy_of_each():
    rows = [
        comparison("tiled", 40e-6, 1.25), comparison("auto", 20e-6, 0.5),
        comparison("tiled", 10e-6, 2.0, of="8x8:8x8"), comparison("auto", 20e-6, 0.9, of="8x8:8x8"),
    ]  # fmt: skip
    chart = layouts_chart(rows, dated=DATED)
    assert [(bar.label, bar.subject) for bar in chart.panels[0].bars] == [
        ("64x64:64x64", "auto"), ("8x8:8x8", "tiled"),
    ]  # fmt: skip
    assert chart.title.startswith("NHWC is faster in 1 of 2 cases, NCHW in 1")


def test_times_in_doubt_are_marked_and_never_in_the_title():
    odd = dataclasses.replace(measurement("fft", 1e-9, "nhwc"), doubt="faster than possible")
    chart = run_chart([*ROWS, odd], dated=DATED)
    assert "fft nhwc ?" in [bar.label for bar in chart.panels[0].bars]
    assert "fft" not in chart.title
    assert "? in doubt" in chart.caption
    assert "in doubt" in run_chart([odd], dated=DATED).title
    assert "in doubt" not in run_chart(ROWS, dated=DATED).caption


def test_a_layout_in_doubt_is_marked_and_concludes_nothing():
    wide = comparison("tiled", 1e-6, 1.0, half=0.9)
    chart = layouts_chart([wide, comparison("auto", 2e-5, 0.5)], dated=DATED)
    assert chart.panels[0].bars[0].label == "tiled ?"
    assert chart.title.startswith("auto is 2.0 times as fast in NHWC")
    assert "in doubt" in layouts_chart([wide], dated=DATED).title
