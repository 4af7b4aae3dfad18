"""What ``compare layouts`` prints, to the letter."""

from __future__ import annotations

import io

from rich.console import Console

from convprof.render.compare.layouts import layouts_report, summary_report
from convprof.results import Measurement, Time
from convprof.stats import Ratio
from convprof.studies.compare.layouts import Conversions, LayoutComparison

CONV = {
    "kind": "conv2d", "descriptor": "mb1ic64ih56oc64oh56kh3ph1", "name": "resnet50:conv",
    "n": 1, "c": 64, "h": 56, "w": 56, "k": 64, "r": 3, "s": 3, "p": 56, "q": 56,
    "stride": [1, 1], "pad": [1, 1], "dilation": [1, 1], "groups": 1,
}  # fmt: skip
COSTS = Conversions({"nchw": 2e-5, "nhwc": 3e-5}, {"nchw": 4e-5, "nhwc": 5e-5})


def measurement(strategy, layout, seconds, threads, problem=CONV, **changes):
    fields = {"status": "ok", **changes}
    return Measurement(
        problem=problem, strategy=strategy, layout=layout, dtype="f32", threads=threads,
        cache="hot", time_s=Time(seconds, 0.0, seconds * 0.99, seconds * 1.01, seconds, 25, 3),
        **fields,
    )  # fmt: skip


def comparison(strategy, nchw_s, ratio, threads=1, problem=CONV):
    nhwc = measurement(strategy, "nhwc", nchw_s * ratio, threads, problem)
    nchw = measurement(strategy, "nchw", nchw_s, threads, problem)
    return LayoutComparison(nhwc, nchw, Ratio(ratio, ratio - 0.02, ratio + 0.02, 25), COSTS)


ROWS = [
    comparison("winograd", 1e-3, 0.5),
    comparison("winograd", 1.2e-3, 1.2, 2),
    comparison("tiled", 2e-3, 1.0),
]

GOLDEN_80 = """\
conv2d 1x64x56x56 -> 64, 3x3, pad 1 · resnet50:conv · f32
strategy   threads    NCHW [ms]      NHWC [ms]           NHWC/NCHW   NHWC is
──────────────────────────────────────────────────────────────────────────────
winograd         1   1.00 ±0.01   0.500 ±0.005   0.50 [0.48, 0.52]   faster
winograd         2   1.20 ±0.01     1.44 ±0.01   1.20 [1.18, 1.22]   slower
tiled            1   2.00 ±0.02     2.00 ±0.02   1.00 [0.98, 1.02]   undecided
not shown at 80 columns: pays after
converting between the layouts, there and back: from NCHW 70.0 µs, from NHWC 70.0 µs on 1 thread; from NCHW 70.0 µs, from NHWC 70.0 µs on 2 threads
"""  # noqa: E501

OTHER = {**CONV, "name": "net:long.name.of.a.layer.conv2", "descriptor": "x"}
GOLDEN_MANY = """\
NHWC against NCHW · the fastest strategy of each problem · f32
problem                          strategy      NHWC [ms]           NHWC/NCHW
────────────────────────────────────────────────────────────────────────────
resnet50:conv                    winograd   0.500 ±0.005   0.50 [0.48, 0.52]
net:long.name.of.a.layer.conv2   tiled        2.70 ±0.03   0.90 [0.88, 0.92]
total of 2                                          3.20                0.80
not shown at 80 columns: threads, NCHW [ms], NHWC is, pays after
"""


def printed(report, *arguments, width=80, **options):
    text = io.StringIO()
    report(Console(file=text, width=width), *arguments, **options)
    return text.getvalue()


def test_one_convolution_in_both_layouts_and_what_converting_costs():
    assert printed(layouts_report, [], ROWS) == GOLDEN_80


def test_several_convolutions_are_a_row_each_and_a_total():
    problems = [ROWS, [comparison("tiled", 3e-3, 0.9, 2, OTHER)]]
    assert printed(summary_report, problems, []) == GOLDEN_MANY


def test_the_dozen_fastest_unless_all_are_wanted():
    many = [comparison(f"s{index:02}", 1e-3 * (1 + index), 0.9) for index in range(15)]
    text = printed(layouts_report, [], many)
    assert "s11" in text
    assert "s12" not in text
    assert "3 more: slower (--all)\n" in text
    assert "s14" in printed(layouts_report, [], many, every=True)


def test_a_refusal_is_printed_once_for_both_layouts_unless_all_is_wanted():
    refused = [
        measurement("fft", layout, 1.0, 1, status="refused", reason="fft needs stride 1")
        for layout in ("nchw", "nhwc")
    ]
    assert printed(layouts_report, refused, []).count("fft needs stride 1") == 1
    assert printed(layouts_report, refused, [], every=True).count(": needs stride 1") == 2


def test_a_failure_among_several_is_named():
    failed = measurement("fft", "nchw", 1.0, 1, status="failed", reason="MemoryError")
    assert printed(summary_report, [], [failed]) == "failed: fft nchw 1 thread: MemoryError\n"
