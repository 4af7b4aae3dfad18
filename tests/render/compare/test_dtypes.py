"""``compare dtypes`` as a table and as a chart."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from convprof.render.compare.dtypes import NOTHING_COMPARED, dtypes_report, summary_report
from convprof.render.compare.dtypes_chart import dtypes_chart
from convprof.results import Measurement, Time
from convprof.stats import Ratio
from convprof.studies.compare.dtypes import TypeComparison


def measurement(dtype, seconds, m=64, doubt=None):
    problem = {
        "kind": "gemm", "descriptor": f"{m}x8:8x9", "name": None,
        "m": m, "n": 9, "k": 8, "batch": 1,
    }  # fmt: skip
    return Measurement(
        problem, "packed", None, dtype, 1, "hot", "ok", doubt=doubt, bytes_min=2048,
        time_s=Time(seconds, 0.0, seconds * 0.99, seconds * 1.01, seconds, 25, 3),
        max_rel_error=1e-3, peak_fraction=0.5, bound="memory",
    )  # fmt: skip


def compared(dtype, ratio, m=64, **other):
    sides = measurement(dtype, ratio * 1e-3, m, **other), measurement("f32", 1e-3, m)
    return TypeComparison(*sides, Ratio(ratio, ratio * 0.99, ratio * 1.01, 25), 2e-3)


BF16, INT8 = compared("bf16", 0.5), compared("u8:s8:s32", 0.25)
WEIGHTS = measurement("bf16", 0.7e-3)
WEIGHTS.problem["weight_dtype"] = "int4"
PIECES = replace(compared("bf16", 1.5), a=replace(measurement("f32", 1.5e-3), strategy="split3"))


def printed(report, *arguments, width=140, **options):
    text = io.StringIO()
    report(Console(file=text, width=width), *arguments, **options)
    return text.getvalue()


def test_a_row_per_type_and_per_strategy_of_pieces():
    text = printed(dtypes_report, [], [PIECES, BF16, INT8])
    lines = text.splitlines()
    assert lines[0] == "gemm (64x8) (8x9)"
    assert [line.split()[:2] for line in lines[3:7]] == [
        ["f32", "packed"], ["f32", "split3"], ["bf16", "packed"], ["int8", "packed"],
    ]  # fmt: skip
    assert "0.50 [0.49, 0.51]" in lines[5]
    assert "faster" in lines[5]
    assert "2 KiB" in lines[5]
    assert lines[5].rstrip().endswith("2e-03")


def test_all_shows_the_other_strategies_too():
    other = replace(measurement("bf16", 2e-3), strategy="naive")
    every = [other, BF16.a, BF16.b]
    assert "naive" not in printed(dtypes_report, every, [BF16])
    assert "naive" in printed(dtypes_report, every, [BF16], every=True)


def test_nothing_compared_says_so():
    refused = replace(measurement("bf16", 1.0), status="refused", reason="no", time_s=None)
    assert printed(dtypes_report, [refused], []).splitlines()[-1] == NOTHING_COMPARED
    assert printed(summary_report, [], [refused]).splitlines()[-1] == NOTHING_COMPARED


def test_a_row_per_problem():
    text = printed(summary_report, [[BF16, INT8], [compared("bf16", 1.2, 32)]], [])
    lines = text.splitlines()
    assert lines[0] == "time of each type / time of f32 · int8: u8:s8:s32"
    assert lines[3].split()[0] == "64x8:8x9"
    assert lines[1].split()[:4] == ["problem", "threads", "fastest", "f32"]
    assert lines[3].split()[2:4] == ["int8", "packed"]
    assert lines[4].split()[2] == "f32"
    assert lines[4].split()[-1] == "-"


def test_narrow_screens_keep_the_fastest_and_the_types_without_intervals():
    f16, weights = compared("f16", 0.6), replace(compared("bf16", 0.7), a=WEIGHTS)
    problem = [PIECES, weights, BF16, f16, INT8]
    lines = printed(summary_report, [problem, problem], [], width=80).splitlines()
    heading = lines[1].split()
    assert heading[:5] == ["problem", "fastest", "f32", "[ms]", "bf16"]
    assert heading[4:] == ["bf16", "f16", "int8", "bf16", "x", "int4", "split3"]
    assert lines[3].split()[1:] == [
        "int8",
        "packed",
        "1.00",
        "0.50",
        "0.60",
        "0.25",
        "0.70",
        "1.50",
    ]
    assert "intervals of the ratios: not shown at 80 columns" in lines
    wide = printed(summary_report, [problem, problem], [], width=200)
    assert "0.50 [0.49, 0.51]" in wide
    assert "not shown" not in wide


def test_a_doubt_is_marked_and_explained():
    doubtful = compared("bf16", 0.5, doubt="busy")
    text = printed(dtypes_report, [], [doubtful])
    assert "bf16 ?" in text
    assert "? in doubt, left out of conclusions: bf16 packed 1 thread: busy" in text


def test_the_chart_names_the_fastest_type():
    chart = dtypes_chart([BF16, INT8, PIECES], dated="today")
    assert chart.title == "int8 is up to 4.0 times as fast as f32"
    (panel,) = chart.panels
    assert [bar.label for bar in panel.bars] == ["bf16", "int8", "split3"]
    assert panel.ratios
    assert dtypes_chart([], dated="") is None


def test_the_chart_of_several_problems_and_of_no_gain():
    chart = dtypes_chart([compared("bf16", 1.2), compared("bf16", 1.1, 32)], dated="today")
    assert chart.title == "no type is faster than f32 for certain"
    assert [bar.label for bar in chart.panels[0].bars] == ["64x8:8x9 bf16", "32x8:8x9 bf16"]


def test_the_totals_of_a_network_by_type():
    problems = [[BF16, INT8], [compared("bf16", 1.2, 32)]]
    text = printed(summary_report, problems, [], {BF16.b.problem_key: 3})
    # f32: 3 + 1 ms; bf16: 1.5 + 1.2 ms; int8 is not there for both; the fastest: 0.75 + 1 ms
    line = next(line for line in text.splitlines() if line.startswith("total"))
    assert line == (
        "total of 2 problems, 4 layers, on 1 thread: f32 4.00 ms, bf16 2.70 ms; the fastest type "
        "of each 1.75 ms, without conversions between types"
    )
    assert "total" not in printed(summary_report, [[BF16]], [])


def test_no_type_is_the_fastest_where_the_others_are_in_doubt():
    doubtful = compared("bf16", 0.5, 32, doubt="busy")
    text = printed(summary_report, [[BF16], [doubtful]], [])
    assert text.splitlines()[4].split()[2] == "-"


def test_neither_fastest_nor_total_where_a_type_in_doubt_may_be_faster():
    doubtful = replace(INT8, best_doubt="busy")
    text = printed(summary_report, [[BF16, doubtful], [compared("bf16", 0.5, 32)]], [])
    assert [line.split()[2] for line in text.splitlines()[3:5]] == ["-", "bf16"]
    assert "total" not in text  # of one problem only
    slow = replace(compared("u8:s8:s32", 9.0), best_doubt="busy")
    text = printed(summary_report, [[BF16, slow], [compared("bf16", 0.5, 32)]], [])
    assert text.splitlines()[3].split()[2] == "bf16"
    assert "total of 2 problems" in text
