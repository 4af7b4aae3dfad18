"""What ``compare mixers`` prints, to the letter, and its chart."""

from __future__ import annotations

import dataclasses
import io
import math
import xml.etree.ElementTree as ET

import pytest
from rich.console import Console

from convprof.dtypes import F32
from convprof.measure.report import describe
from convprof.networks.mixers import Grid, mixers
from convprof.render.charts.terminal import chart_lines
from convprof.render.compare.block_chart import block_chart
from convprof.render.compare.mixers import (
    exclusions,
    growth_report,
    growth_words,
    mixers_report,
    run_title,
)
from convprof.render.compare.mixers_chart import EQUAL, growth_chart
from convprof.results import Cycles, Flops, Measurement, Time
from convprof.stats import Ratio
from convprof.studies.compare.mixers.costs import Total
from convprof.studies.compare.mixers.growth import growths
from convprof.studies.compare.mixers.study import MixerComparison, comparisons

GRID = Grid()
RATE = {"gemm": 150e9, "attention": 100e9, "conv2d": 250e9}
PEAK = 178e9


def measured(problem, strategy="auto", threads=1, executed=1.0):
    seconds = problem.flops / RATE[problem.kind] / threads
    return Measurement(
        problem=describe(problem), strategy=strategy,
        layout="nhwc" if problem.kind == "conv2d" else None, dtype="f32", threads=threads,
        cache="hot", status="ok",
        time_s=Time(seconds, 0.0, seconds * 0.99, seconds * 1.01, seconds, 25, 3),
        cycles=Cycles(seconds * 3e9, 1.0, "calibrated", 3e9),
        flops=Flops(problem.flops, int(executed * problem.flops)),
        flop_per_s=problem.flops / seconds, peak_fraction=problem.flops / seconds / PEAK / threads,
        bytes_min=problem.bytes_min(F32), intensity=1.0, max_rel_error=4.7e-7,
    )  # fmt: skip


def totals(grid=GRID, strategy="auto", threads=1):
    found = []
    for mixer in mixers(grid):
        executed = 0.25 if mixer.name == "conv3x3" else 1.0
        parts = tuple(measured(p.problem, strategy, threads, executed) for p in mixer.parts)
        sums = {k: sum(m.time_s.median for m in parts) * (0.99, 1, 1.01)[k % 3] for k in range(9)}
        found.append(Total(mixer, strategy, threads, parts, sums))
    return found


def printed(report, *arguments, width=120, **options):
    text = io.StringIO()
    report(Console(file=text, width=width, **options), *arguments)
    return text.getvalue()


ONE = """\
mixers of 196 tokens (14x14 patches of 16), 768 channels, 12 heads · f32
mixer                    threads   parameters    GFLOP     MB        time [ms]   % time   Mcycles   GFLOP/s   % peak
────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
attention                      1    2,359,296     1.04   15.5       7.35 ±0.07      100      22.0       142     79.8
  QKV projection               1    1,769,472    0.694   9.49       4.62 ±0.05       63      13.9       150     84.3
  softmax(QK^T)V               1            0    0.118   2.41       1.18 ±0.01       16      3.54       100     56.2
  output projection            1      589,824    0.231   3.56       1.54 ±0.02       21      4.62       150     84.3
conv3x3                        1    5,308,416     2.08   22.4       8.32 ±0.08      100      25.0       250   140.4*
depthwise7x7+pointwise         1      627,456    0.246   4.92     0.984 ±0.010      100      2.95       250   140.4!
  depthwise 7x7                1       37,632   0.0148   1.35   0.0590 ±0.0006        6     0.177       250   140.4!
  pointwise                    1      589,824    0.231   3.56     0.925 ±0.009       94      2.77       250   140.4!
parameters are weights, biases are not counted; bytes: operands read once and results written once, part by part; FLOPs without the softmax
* an effective rate: it executes fewer FLOPs than are counted
! over the peak: the clock rose since, or a bug
"""  # noqa: E501


def test_one_grid():
    found = totals()
    assert printed(mixers_report, GRID, found, comparisons(GRID, found)) == ONE


def test_80_columns_keep_what_matters_and_show_no_row_twice():
    found = totals()
    lines = printed(mixers_report, GRID, found, [], width=80).splitlines()
    assert lines[1].split("  ")[0] == "mixer"
    assert "time [ms]" in lines[1]
    assert "% peak" in lines[1]
    assert "Mcycles" not in lines[1]
    assert max(map(len, lines[:11])) <= 80
    assert len([line for line in lines if line.startswith("attention ")]) == 1


def test_60_columns_explain_only_what_they_show():
    text = printed(mixers_report, GRID, totals(), [], width=60)
    assert "biases" not in text
    assert "\nFLOPs without the softmax\n" in text


def test_colour_changes_no_word():
    found = totals()
    options = {"force_terminal": True, "color_system": "truecolor", "no_color": False}
    coloured = printed(mixers_report, GRID, found, [], **options)
    assert "\x1b[1m" in coloured
    assert "\x1b" not in printed(mixers_report, GRID, found, [], no_color=True)


def test_several_strategies_are_named_and_nothing_measured_prints_nothing():
    found = [*totals(), *totals(strategy="torch")]
    text = printed(mixers_report, GRID, found, comparisons(GRID, found), width=140)
    assert "torch" in text
    assert "1 thread, torch: attention takes" in text
    assert "1 thread, auto: attention takes" not in text
    assert printed(mixers_report, GRID, [], []) == ""


GRIDS = [Grid(image=size, dim=64, heads=1) for size in (64, 128, 256)]
STAGES = [(grid, totals(grid)) for grid in GRIDS]

SERIES = """\
mixers, patches of 16, 64 channels, 1 head · f32 · 1 thread · time [µs]
image   tokens    attention   % quadratic   % of FLOPs      conv3x3   depthwise7x7+pointwise
────────────────────────────────────────────────────────────────────────────────────────────
   64       16   4.15 ±0.04          15.8         11.1   4.72 ±0.05             0.926 ±0.009
  128       64    24.5 ±0.2          42.9         33.3    18.9 ±0.2               3.70 ±0.04
  256      256       224 ±2          75.0         66.7    75.5 ±0.8                14.8 ±0.1
% quadratic: of attention's time in softmax(QK^T)V; % of FLOPs: of attention's FLOPs in softmax(QK^T)V
"""  # noqa: E501


def test_growing_images():
    title = run_title(1, "auto", STAGES, named=False)
    assert printed(growth_report, title, STAGES) == SERIES
    narrow = printed(growth_report, title, STAGES, width=80).splitlines()
    assert max(map(len, narrow)) <= 80
    assert "% quadratic" in narrow[1]
    assert narrow[1].startswith("image ")
    assert narrow[-1] == "% quadratic: of attention's time in softmax(QK^T)V"
    narrower = printed(growth_report, title, STAGES, width=40)
    assert "image" in narrower
    assert "% quadratic:" not in narrower
    assert run_title(2, "torch", STAGES, named=True).endswith("· f32 · 2 threads · torch")


def test_a_mixer_missing_at_an_image_leaves_a_gap():
    stages = [STAGES[0], (GRIDS[1], totals(GRIDS[1])[1:])]
    lines = printed(growth_report, "title", stages).splitlines()
    assert lines[4].split()[:5] == ["128", "64", "-", "-", "-"]


def test_growths_are_in_the_answer_or_printed():
    of_one = growths(STAGES)
    assert printed(growth_words, of_one, GRIDS[0]) == ""
    both = [*of_one, *(dataclasses.replace(growth, threads=2) for growth in of_one)]
    lines = printed(growth_words, both, GRIDS[0]).splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("auto: On 1 thread attention's quadratic part overtakes")


def test_reasons_are_printed_once():
    refused = dataclasses.replace(
        totals()[0].measurements[1], status="refused", reason="fused needs f32", time_s=None
    )
    failed = dataclasses.replace(refused, status="failed", reason="boom")
    text = printed(exclusions, [refused, refused, failed], ["attention: tiled computes no gemm"])
    assert text.splitlines() == [
        "attention: tiled computes no gemm",
        "attention: softmax(QK^T)V: refused: auto 1 thread: fused needs f32",
        "attention: softmax(QK^T)V: failed: auto 1 thread: boom",
    ]


def test_the_chart_shows_the_quadratic_term():
    chart = growth_chart(STAGES, dated="a CPU")
    assert (chart.x_log, chart.y_log) == (True, True)
    assert [series.label for series in chart.series] == [
        "attention",
        "attention: quadratic part",
        "attention: projections",
        "conv3x3",
        "depthwise7x7+pointwise",
    ]
    assert [slope(series) for series in chart.series[1:4]] == pytest.approx([2, 1, 1])
    assert 1 < slope(chart.series[0]) < 2
    assert [(mark.label, mark.x) for mark in chart.marks] == [(EQUAL, pytest.approx(128))]
    assert chart.subtitle.endswith(" · a CPU")
    assert " times as long as " in chart.title
    assert chart.caption == "median and 95 % interval"
    assert all(p.low < p.y < p.high for p in chart.series[0].points)


def test_a_mark_outside_the_range_does_not_stretch_the_axis():
    assert growth_chart(STAGES[:2]).marks == ()


def doubtful(total):
    first, *others = total.measurements
    return dataclasses.replace(
        total, measurements=(dataclasses.replace(first, doubt="disturbed"), *others)
    )


def test_times_in_doubt_are_not_drawn():
    *before, (grid, (attention, *others)) = STAGES
    chart = growth_chart([*before, (grid, [doubtful(attention), *others])], dated="a CPU")
    assert [len(s.points) for s in chart.series] == [len(STAGES) - 1] * 3 + [len(STAGES)] * 2
    assert chart.subtitle.endswith(" · 1 time in doubt left out · a CPU")
    assert not chart.title.startswith("attention")
    chart = growth_chart([(grid, [doubtful(total) for total in mixed]) for grid, mixed in STAGES])
    assert chart.series == ()
    assert chart.title == "every time is in doubt: repeat this on an idle machine"
    assert chart_lines(chart, 80, 20).plain.count("\n") > 0


def test_growing_images_mark_times_in_doubt_and_conclude_nothing_from_them():
    stages = [(grid, [doubtful(total), *others]) for grid, (total, *others) in STAGES]
    lines = printed(growth_report, "title", stages).splitlines()
    assert all(line.split()[2] == "?" for line in lines[3 : 3 + len(STAGES)])
    assert lines[-1] == "? in doubt, left out of conclusions: 3 rows: disturbed"
    assert growths(stages) == []


def test_several_runs_are_told_apart_in_one_chart():
    both = [(grid, [*totals(grid), *totals(grid, threads=2)]) for grid in GRIDS]
    chart = growth_chart(both)
    assert [series.label for series in chart.series][:2] == [
        "attention, 1 thread",
        "attention: quadratic part, 1 thread",
    ]
    assert len(chart.series) == 8
    named = growth_chart([(g, [*totals(g), *totals(g, strategy="torch")]) for g in GRIDS])
    assert "conv3x3, torch" in [series.label for series in named.series]


@pytest.mark.parametrize("width", [80, 120])
def test_the_chart_fits_the_terminal(width):
    lines = chart_lines(growth_chart(STAGES), width, 20).plain.splitlines()
    assert max(map(len, lines)) <= width
    assert any(EQUAL in line for line in lines)


def test_the_picture():
    pytest.importorskip("matplotlib")
    from convprof.render.charts import picture

    ET.fromstring(picture.drawn(growth_chart(STAGES), ".svg"))  # noqa: S314  # our own


def slope(series):
    first, last = series.points[0], series.points[-1]
    return math.log(last.y / first.y) / math.log(last.x / first.x)


def test_a_mixer_in_doubt_has_a_mark_and_no_conclusion():
    block, conv, *_ = totals()
    doubtful = dataclasses.replace(
        conv, measurements=(dataclasses.replace(conv.measurements[0], doubt="it was disturbed"),)
    )
    comparison = MixerComparison(block, doubtful, Ratio(2.0, 1.9, 2.1, 25), GRID)
    lines = printed(mixers_report, GRID, [block, doubtful], [comparison]).splitlines()
    assert any(line.startswith(f"{conv.mixer.name} ? ") for line in lines)
    assert any(line.startswith("? in doubt") for line in lines)
    assert any("no conclusion on" in line and "it was disturbed" in line for line in lines)
    assert comparison.verdict == comparison.to_json()["verdict"] == "undecided"


def test_the_chart_of_one_image():
    every = totals()
    chart = block_chart(GRID, every, comparisons(GRID, every), dated="CPU · today")
    blocks, parts = chart.panels
    assert chart.title == "conv3x3 takes 1.1 times as long as attention on 1 thread"
    assert chart.subtitle.endswith("12 heads · f32 · CPU · today")
    assert [bar.label for bar in blocks.bars] == ["attention", "conv3x3", "depthwise7x7+pointwise"]
    assert "35 % of the peak" in blocks.bars[1].note  # a quarter of the FLOPs, at 140 % by all
    assert next(bar.label for bar in parts.bars) == "attention: QKV projection"
    assert len(parts.bars) == 5
    two = block_chart(GRID, [*every, *totals(threads=2)], [], dated="")
    assert [panel.title for panel in two.panels][2:] == [
        "blocks on 2 threads, auto",
        "their parts on 2 threads, auto",
    ]
    assert two.title.startswith("every time is in doubt")
    assert block_chart(GRID, [], [], dated="") is None


@pytest.mark.parametrize(
    ("ratio", "title"),
    [
        (Ratio(1.0, 0.99, 1.01, 25), "neither attention nor conv3x3 is faster for certain"),
        (Ratio(1.3, 1.25, 1.35, 25), "attention takes 1.3 times as long as conv3x3 on 1 thread"),
    ],
)
def test_the_title_says_who_is_slower(ratio, title):
    attention, conv, _ = every = totals()
    comparison = MixerComparison(attention, conv, ratio, GRID)
    assert block_chart(GRID, every, [comparison], dated="").title == title
