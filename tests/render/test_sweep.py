"""The table and the chart of a sweep, from records as the journal has them."""

from __future__ import annotations

import csv
import io

import pytest
from rich.console import Console

from convprof.render.charts.chart import Level, Mark, Point
from convprof.render.sweep import exclusions, sweep_report, to_csv, to_markdown
from convprof.render.sweep_answer import answer
from convprof.render.sweep_chart import MOST_SERIES, machine_words, sweep_chart, title
from convprof.studies.sweep.points import Capacity, rows_of

HEADER = {
    "tool_version": "1.2.3",
    "started": "2026-11-22T10:00:00+00:00",
    "machine": {"brand": "A CPU", "simd": {"isa": "avx512", "bits": 512}, "physical_cores": 2},
    "ceilings": {
        "peaks": [{"threads": 1, "flop_per_s": 200e9, "dtype": "f32"}],
        "isa_peaks": None,
    },
    "sweep": {
        "problem": {"kind": "gemm", "m": 5, "n": 6, "k": 7, "batch": 1, "name": None},
        "over": "size",
        "meaning": "size (m = n = k)",
        "values": [32, 64, 128],
    },
    "settings": {"dtype": "f32", "cache": "hot", "threads": [1], "isa": "native"},
}


def measurement(
    strategy, rate, *, threads=1, spread=0.1, status="ok", reason=None, executed=1, doubt=None
):
    """Return a record of 1000 FLOPs at a rate, its interval `spread` to both sides in time."""
    time = None
    if rate:
        ends = {"ci95_low": None, "ci95_high": None}
        if spread is not None:
            ends = {"ci95_low": 1000 / rate / (1 + spread), "ci95_high": 1000 / rate / (1 - spread)}
        time = {"median": 1000 / rate, **ends}
    return {
        "strategy": strategy, "layout": None, "threads": threads, "status": status,
        "reason": reason, "time_s": time, "flop_per_s": rate, "bytes_min": 12288 if rate else None,
        "peak_fraction": rate / 200e9 if rate else None,
        "flops": {"direct": 1000, "executed": 1000 * executed} if rate else None, "doubt": doubt,
    }  # fmt: skip


def record(index, x, *measurements):
    return {"index": index, "x": x, "measurements": list(measurements)}


SLOW = "predicted to take 99 s at this point"
RECORDS = [
    record(0, 32, measurement("naive", 4e9), measurement("packed", 60e9)),
    record(2, 128, measurement("naive", None, status="refused", reason=SLOW),
           measurement("packed", 160e9, spread=None)),
    record(1, 64, measurement("naive", 2e9), measurement("packed", 120e9)),
]  # fmt: skip
ROWS = rows_of(RECORDS)
CAPACITIES = [Capacity("L1", 48 << 10, 65)]


def test_a_sweep_of_one_point():
    rows = rows_of([record(0, 1, measurement("naive", 1e9), measurement("packed", 1.5e9))])
    chart = sweep_chart(HEADER, rows, ())
    assert chart.title == "packed is the fastest at the only point"
    assert chart.subtitle.startswith("up to 1.50 GFLOP/s, under 1 % of the peak, at size 1 · ")


def test_the_data_behind_the_plot():
    chart = sweep_chart(HEADER, ROWS, CAPACITIES)
    assert [series.label for series in chart.series] == ["naive", "packed"]
    naive, packed = (series.points for series in chart.series)
    assert naive == (
        Point(32, pytest.approx(4), pytest.approx(3.6), pytest.approx(4.4)),
        Point(64, pytest.approx(2), pytest.approx(1.8), pytest.approx(2.2)),
    )
    assert packed[2] == Point(128, 160, None, None)
    assert chart.levels == (Level("FMA peak, 1 thread: 200 GFLOP/s", 200),)
    assert chart.y_top == 200
    assert chart.marks == (Mark("L1 48 KiB", 65),)
    assert (chart.x_label, chart.y_label) == ("size (m = n = k)", "GFLOP/s")
    assert chart.x_log is False  # 128 / 32 is no large ratio
    assert chart.title == "packed is the fastest at all 3 points"
    assert chart.subtitle == (
        "up to 160 GFLOP/s, 80 % of the peak, at size 128 · "
        "gemm over size (m = n = k) · f32 · A CPU · avx512 512 bits · 2 cores · 1 thread · "
        "2026-11-22"
    )
    assert chart.caption == "hot caches · median and 95 % interval · convprof 1.2.3"


def test_where_no_contestant_wins_most_points_the_title_says_how_the_fastest_changes():
    rows = rows_of([
        record(0, 32, measurement("naive", 4e9), measurement("packed", 2e9)),
        record(1, 64, measurement("naive", 2e9), measurement("packed", 300e9)),
    ])  # fmt: skip
    chart = sweep_chart(HEADER, rows, [])
    assert chart.title == "the fastest changes: naive at size 32, packed at 64"
    assert chart.subtitle.startswith("up to 300 GFLOP/s, at size 64 (packed) · ")


def test_of_many_lines_the_fastest_are_drawn_and_the_subtitle_says_so():
    many = [measurement(f"s{k}", (1 + k) * 1e9) for k in range(MOST_SERIES + 3)]
    chart = sweep_chart(HEADER, rows_of([record(0, 32, *many)]), [], MOST_SERIES)
    assert [s.label for s in chart.series] == [f"s{k}" for k in range(3, MOST_SERIES + 3)]
    assert f"the {MOST_SERIES} fastest of {MOST_SERIES + 3}" in chart.subtitle


def test_rates_in_doubt_are_not_drawn_and_nothing_follows_from_them():
    rows = rows_of([
        record(0, 32, measurement("naive", 4e9), measurement("packed", 90e9, doubt="disturbed")),
        record(1, 64, measurement("naive", 2e9), measurement("packed", 60e9)),
        record(2, 128, measurement("naive", 2e9), measurement("packed", 80e9, doubt="disturbed")),
    ])  # fmt: skip
    chart = sweep_chart(HEADER, rows, [])
    assert [[point.x for point in s.points] for s in chart.series] == [[32, 64, 128], [64]]
    assert chart.title == "packed is the fastest at 1 of 3 points, undecided at 2"
    assert chart.subtitle.startswith("up to 60.0 GFLOP/s, ")
    assert " · 2 times in doubt left out · " in chart.subtitle
    assert answer(HEADER, rows).sentences[0].startswith(f"{chart.title}; up to 60.0 GFLOP/s, ")


def test_a_rate_in_doubt_decides_nothing_only_where_it_may_be_the_highest():
    sure = [measurement("naive", 4e9), measurement("packed", 60e9)]
    slow = measurement("tiled", 14e9, doubt="disturbed")
    rows = rows_of([record(0, 32, *sure, slow), record(1, 64, *sure)])
    assert sweep_chart(HEADER, rows, []).title == "packed is the fastest at all 2 points"
    near = measurement("tiled", 16e9, doubt="disturbed")
    rows = rows_of([record(0, 32, *sure, near), record(1, 64, *sure, near)])
    assert answer(HEADER, rows).sentences == (
        (
            "At every point a time in doubt may be the shortest; up to 60.0 GFLOP/s, 30 % of the "
            "peak, at size 32 (packed)."
        ),
    )
    assert answer(HEADER, rows).repeats


def test_every_rate_in_doubt():
    rows = rows_of([record(0, 32, measurement("naive", 4e9, doubt="disturbed"))])
    chart = sweep_chart(HEADER, rows, [])
    assert chart.series == ()
    assert chart.title == "every time is in doubt: repeat this on an idle machine"
    assert answer(HEADER, rows).sentences == (
        "Every time is in doubt: repeat this on an idle machine.",
    )
    assert "? in doubt, left out of the best: disturbed" in printed(rows, 100)


def test_one_strategy_on_several_threads_has_one_subject_and_several_variants():
    several = [measurement("a", 1e9), measurement("a", 2e9, threads=2), measurement("b", 1e9)]
    chart = sweep_chart(HEADER, rows_of([record(0, 32, *several)]), [])
    assert [(s.subject, s.variant) for s in chart.series] == [("a", 0), ("a", 1), ("b", 0)]


def test_a_wide_range_has_a_logarithmic_axis():
    rows = rows_of([record(k, x, measurement("a", 1e9)) for k, x in enumerate((32, 256))])
    assert sweep_chart(HEADER, rows, []).x_log is True


def test_names_keep_only_their_different_words():
    several = [measurement("a", 1e9), measurement("a", 2e9, threads=2), measurement("b", 1e9)]
    rows = rows_of([record(0, 32, *several)])
    labels = [series.label for series in sweep_chart(HEADER, rows, []).series]
    assert labels == ["a 1 thread", "a 2 threads", "b 1 thread"]


def test_over_threads_the_ceiling_is_a_line():
    peaks = [{"threads": t, "flop_per_s": t * 200e9, "dtype": "f32"} for t in (1, 2)]
    header = {
        **HEADER,
        "sweep": {**HEADER["sweep"], "over": "threads", "meaning": "threads"},
        "ceilings": {"peaks": peaks, "isa_peaks": None},
    }
    rows = rows_of(
        [record(t - 1, t, measurement("a", t * 1e9, threads=t)) for t in (1, 2)], threads=False
    )
    chart = sweep_chart(header, rows, [])
    assert [series.label for series in chart.series] == ["a", "FMA peak"]
    assert chart.series[1].points == (Point(1, 200), Point(2, 400))
    assert (chart.levels, chart.y_top) == ((), 400)
    assert title(header) == "gemm (5x7) (7x6) · f32 · over threads"


def test_who_was_not_timed_is_named_once_with_the_points():
    again = record(3, 256, measurement("naive", None, status="refused", reason="another"))
    wrong = record(4, 512, measurement("packed", None, status="wrong", reason="max_rel_error 1"))
    rows = rows_of([*RECORDS, again, wrong])
    assert exclusions(HEADER, rows) == [
        (f"refused: naive 1 thread at size 128, 256: {SLOW}", False),
        ("wrong: packed 1 thread at size 512: max_rel_error 1", True),
    ]


def printed(rows, width, header=HEADER, **options):
    out = io.StringIO()
    sweep_report(Console(file=out, width=width, **options), header, rows, CAPACITIES)
    return out.getvalue()


def test_the_table():
    lines = printed(ROWS, 80).splitlines()
    cells = [line.split() for line in lines[1:6] if "─" not in line]
    assert lines[0] == "gemm over size (m = n = k) · f32"
    assert cells == [
        ["size", "naive", "packed", "best", "%", "peak"],
        ["32", "4.00", "±0.40", "60.0", "±6.0", "30.0"],
        ["64", "2.00", "±0.20", "120", "±12", "60.0"],
        ["128", "-", "160", "±?", "80.0"],
    ]
    assert f"refused: naive 1 thread at size 128: {SLOW}" in lines
    assert sum("gemm over size" in line for line in lines) == 1


@pytest.mark.parametrize("width", [60, 80, 120, 400])
def test_many_strategies_are_all_shown_at_any_width(width):
    many = [measurement(f"strategy-{k}", (k + 1) * 1e9) for k in range(9)]
    text = printed(rows_of([record(0, 32, *many)]), width)
    table, _, plot = text.partition("GFLOP/s, ±")
    for k in range(9):
        assert table.count(f"strategy-{k}") == 1
        assert plot.count(f"strategy-{k}") == 1
    assert all(len(line) <= width for line in text.splitlines())


def test_rates_over_the_peak_are_marked_and_explained():
    winograd = rows_of([record(0, 32, measurement("winograd", 400e9, executed=0.3))])
    assert "200.0*" in printed(winograd, 80)
    assert "* an effective rate" in printed(winograd, 80)
    wrong_peak = rows_of([record(0, 32, measurement("packed", 210e9))])
    assert "105.0!" in printed(wrong_peak, 80)
    assert "! over the peak" in printed(wrong_peak, 80)


def test_nothing_timed_is_no_table_and_no_chart():
    rows = rows_of([record(0, 32, measurement("naive", None, status="refused", reason="no"))])
    assert printed(rows, 80) == "refused: naive 1 thread at size 32: no\n"


def test_what_the_file_says_is_not_markup_and_an_unknown_machine_is_said():
    header = {**HEADER, "machine": {"brand": "[red]x", "simd": None, "physical_cores": None}}
    assert machine_words(header).startswith("[red]x · unknown SIMD ? bits · unknown cores")
    assert "[red]x" in printed(ROWS, 120, header)


def test_csv_has_a_row_per_point_and_contestant():
    rows = list(csv.DictReader(io.StringIO(to_csv(HEADER, ROWS))))
    assert [(row["size"], row["contestant"]) for row in rows] == [
        (str(x), f"{name} 1 thread") for x in (32, 64, 128) for name in ("naive", "packed")
    ]
    assert float(rows[1]["flop_per_s"]) == 60e9
    assert float(rows[1]["flop_per_s.ci95_low"]) == pytest.approx(54e9)
    assert (rows[4]["status"], rows[4]["reason"], rows[4]["flop_per_s"]) == ("refused", SLOW, "")


def test_markdown():
    text = to_markdown(HEADER, ROWS)
    assert text.startswith(
        "### gemm over size (m = n = k) · f32\n\n| size | naive | packed | best % peak |\n"
    )
    assert "| 64 | 2.00 ±0.20 | 120 ±12 | 60.0 |" in text
    assert f"- refused: naive 1 thread at size 128: {SLOW}" in text
    assert text.endswith("1 thread · 2026-11-22\n")


def line(*rates, over="size", **more):
    header = {**HEADER, "sweep": {**HEADER["sweep"], "over": over}}
    header["sweep"]["problem"] = {**header["sweep"]["problem"], "descriptor": "5x7:7x6"}
    points = [record(k, 32 * 2**k, measurement("a", rate, **more)) for k, rate in enumerate(rates)]
    return header, rows_of(points)


def test_the_answer_names_the_fastest_and_where_its_rate_rises():
    found = answer(*line(10e9, 40e9, 95e9, 100e9))
    assert found.sentences == (
        "a: up to 100 GFLOP/s, 50 % of the peak, at size 256.",
        "a is within 10 % of its best rate from size 128 on.",
    )
    assert found.command == "convprof roofline 256x256:256x256"
    flat = answer(*line(99e9, 100e9, over="unroll"))
    assert (
        flat.sentences[1]
        == "a depends little on unroll: no step of the range costs more than 15 %."
    )
    assert flat.command == "convprof run 5x7:7x6 -s a,auto --explain"


def test_over_the_batch_the_answer_says_whether_a_larger_one_pays():
    assert (
        answer(*line(50e9, 60e9, 100e9, over="batch"))
        .sentences[1]
        .endswith(
            "an image takes 0.50 times as long at batch 128 as at batch 32: a larger batch pays."
        )
    )
    flat = answer(*line(99e9, 100e9, over="batch")).sentences[1]
    assert flat.endswith(": a larger batch does not pay.")


def test_the_answer_names_a_cliff_and_the_cache_that_is_passed():
    header, rows = line(100e9, 100e9, 60e9)
    found = answer(header, rows, CAPACITIES)
    assert found.sentences[1] == (
        "The rate of a falls by 40 % from size 64 to 128, where the data becomes larger than L1."
    )
    assert found.command == "convprof study tile"
    assert answer(header, rows).sentences[1].endswith("from size 64 to 128.")
    assert answer(header, rows_of([record(0, 32, measurement("a", None))])) is None


def test_the_best_point_has_its_own_style():
    coloured = printed(ROWS, 80, force_terminal=True, color_system="standard").splitlines()
    (best,) = [line for line in coloured[:7] if "\x1b[1;32m" in line]
    assert "160 ±?" in best
