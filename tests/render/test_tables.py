"""The table of ``run``, to the letter, at 80 and 120 columns, with and without colour."""

from __future__ import annotations

import dataclasses
import io
import re

import pytest
from rich.console import Console

from convprof.render import tables
from convprof.render.describe import cycles_line
from convprof.render.run import Detail, run_report
from convprof.results import Cycles, Flops, Measurement, Time

PROBLEM = {
    "kind": "conv2d", "descriptor": "mb1ic64ih56oc64oh56kh3ph1", "name": "resnet50:conv",
    "n": 1, "c": 64, "h": 56, "w": 56, "k": 64, "r": 3, "s": 3, "p": 56, "q": 56,
    "stride": [1, 1], "pad": [1, 1], "dilation": [1, 1], "groups": 1,
}  # fmt: skip


def measurement(strategy, layout, threads, seconds, peak, **changes):
    made = Measurement(
        problem=PROBLEM, strategy=strategy, layout=layout, dtype="f32", threads=threads,
        cache="hot", status="ok",
        time_s=Time(seconds, seconds / 50, seconds * 0.99, seconds * 1.01, seconds, 25, 3),
        cycles=Cycles(seconds * 3e9, seconds * 3e9 / 231211008, "calibrated", 3e9),
        flops=Flops(231211008, 231211008), flop_per_s=231211008 / seconds, peak_fraction=peak,
        bytes_min=1, intensity=1.0, max_rel_error=4.7e-7, workspace_bytes=0, prepare_s=0.0,
        compile_s=0.0,
    )  # fmt: skip
    return dataclasses.replace(made, **changes)


ROWS = [
    measurement("direct", "nchw", 1, 0.1507, 0.0088),
    measurement("threaded", "nhwc", 2, 0.00189, 0.35, phases={"pad": 6e-5, "gemm": 1.83e-3}),
    measurement("tiled", "nhwc", 1, 0.00362, 1.02),
    measurement("tiled", "nchw", 2, 1.0, None, status="refused", time_s=None,
                reason="tiled runs on one thread, not 2"),
]  # fmt: skip


def printed(width, **options):
    text = io.StringIO()
    run_report(Console(file=text, width=width, **options), ROWS)
    return text.getvalue()


GOLDEN_120 = """\
conv2d 1x64x56x56 -> 64, 3x3, pad 1 · resnet50:conv · f32 · 231 MFLOP
strategy   layout   threads    time [ms]   GFLOP/s   Mcycles   cycles/FLOP   FLOP/cycle/core   % peak   error
─────────────────────────────────────────────────────────────────────────────────────────────────────────────
threaded   nhwc           2   1.89 ±0.02       122      5.67        0.0245              20.4     35.0   5e-07
tiled      nhwc           1   3.62 ±0.04      63.9      10.9        0.0470              21.3   102.0!   5e-07
direct     nchw           1       151 ±2      1.53       452          1.96             0.511      0.9   5e-07
! over the peak: the clock rose since, or a bug
refused: tiled runs on one thread, not 2
"""  # noqa: E501

GOLDEN_80 = """\
conv2d 1x64x56x56 -> 64, 3x3, pad 1 · resnet50:conv · f32 · 231 MFLOP
strategy   layout   threads    time [ms]   GFLOP/s   % peak   error
───────────────────────────────────────────────────────────────────
threaded   nhwc           2   1.89 ±0.02       122     35.0   5e-07
tiled      nhwc           1   3.62 ±0.04      63.9   102.0!   5e-07
direct     nchw           1       151 ±2      1.53      0.9   5e-07
not shown at 80 columns: Mcycles, cycles/FLOP, FLOP/cycle/core
! over the peak: the clock rose since, or a bug
refused: tiled runs on one thread, not 2
"""


def test_at_120_columns_every_column_is_there():
    assert printed(120) == GOLDEN_120


def test_at_80_columns_the_least_important_columns_give_way():
    assert printed(80) == GOLDEN_80


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_no_line_is_wider_than_the_console(width):
    table_lines = [line for line in printed(width).splitlines() if "tiled " in line or "─" in line]
    assert all(len(line) <= width for line in table_lines if "refused" not in line)


def test_colour_adds_escapes_and_nothing_else():
    plain = printed(120)
    coloured = printed(120, force_terminal=True, color_system="standard")
    assert "\x1b[" not in plain
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == plain


def test_a_gemm_has_no_layout_column():
    row = dataclasses.replace(ROWS[0], layout=None)
    text = io.StringIO()
    run_report(Console(file=text, width=120), [row])
    assert "layout" not in text.getvalue()


def test_few_samples_show_that_there_is_no_interval():
    time = dataclasses.replace(ROWS[0].time_s, ci95_low=None, ci95_high=None, samples=3)
    text = io.StringIO()
    run_report(Console(file=text, width=120), [dataclasses.replace(ROWS[0], time_s=time)])
    assert "±?" in text.getvalue()


def test_an_effective_rate_over_the_peak_is_no_error():
    row = dataclasses.replace(ROWS[2], peak_fraction=2.5, flops=Flops(1000, 300))
    text = io.StringIO()
    run_report(Console(file=text, width=120), [row])
    assert "250.0*" in text.getvalue()
    assert "* an effective rate" in text.getvalue()
    assert "!" not in text.getvalue()


@pytest.mark.parametrize(
    ("bound", "level", "share", "cell"),
    [
        ("compute", "L2", 0.1, "compute"),
        ("memory", "L3", 0.844, "L3 84 %"),
        ("memory", "memory", 1.04, "memory 104 %"),
        ("memory", None, None, "memory"),
        ("memory", None, 0.5, "memory"),
        (None, "memory", None, "-"),
    ],
)
def test_a_bandwidth_that_limits_has_its_level_and_share(bound, level, share, cell):
    row = dataclasses.replace(ROWS[2], bound=bound, level=level, bandwidth_fraction=share)
    assert tables.bound_cell(row) == cell


@pytest.mark.parametrize(("share", "explained"), [(1.004, False), (1.04, True)])
def test_a_share_over_all_of_a_bandwidth_is_explained(share, explained):
    row = dataclasses.replace(ROWS[2], bound="memory", level="L3", bandwidth_fraction=share)
    text = io.StringIO()
    run_report(Console(file=text, width=140), [row])
    assert "bound with %: the level" in text.getvalue()
    assert ("over 100 % of a bandwidth" in text.getvalue()) == explained


def test_a_bound_that_only_some_rows_have_is_explained():
    bound = dataclasses.replace(ROWS[2], bound="compute")
    for rows, expected in (([bound, ROWS[1]], 1), ([bound, bound], 0), ([ROWS[1], ROWS[2]], 0)):
        text = io.StringIO()
        run_report(Console(file=text, width=120), rows)
        assert text.getvalue().count("bound -: the data come from main memory") == expected


@pytest.mark.parametrize(("level", "expected"), [("memory", True), (None, False)])
def test_data_in_a_cache_of_unknown_size_do_not_come_from_main_memory(level, expected):
    near = dataclasses.replace(ROWS[2], bound="memory", level="L1", bandwidth_fraction=0.5)
    text = io.StringIO()
    run_report(Console(file=text, width=120), [near, dataclasses.replace(ROWS[1], level=level)])
    assert ("data come from main memory" in text.getvalue()) == expected


WINOGRAD = {"to nhwc": 1e-5, "transform": 4e-4, "products": 3e-3, "back": 5e-4}
BACKWARD = {"turn": 2e-5, "spread": 3e-5, "gather": 2.5e-5}
PHASED = [
    measurement("winograd", "nhwc", 2, 0.004, 0.3, phases=WINOGRAD),
    measurement("turned", "nhwc", 1, 0.005, 0.3, phases=BACKWARD),
]


def phases(rows):
    text = io.StringIO()
    run_report(Console(file=text, width=120), rows, detail=Detail(phases=True))
    return text.getvalue().partition("where the time goes\n")[2]


def test_phases_are_shares_of_the_time_the_longest_first():
    assert phases(PHASED).splitlines() == [
        "winograd nhwc 2 threads: products 77 %, back 13 %, transform 10 %",
        "turned nhwc 1 thread: spread 40 %, gather 33 %, turn 27 %",
    ]


def test_phases_are_not_in_the_table_unless_they_are_wanted():
    text = io.StringIO()
    run_report(Console(file=text, width=120), PHASED)
    assert "where the time goes" not in text.getvalue()


def test_strategies_of_one_phase_have_no_shares():
    assert phases(ROWS[2:3]).startswith("no strategy in this table has several phases\n")


MANY = [
    measurement(f"s{index:02}", layout, 1, 0.001 * (index + 1 + slower), 0.5)
    for index in range(14)
    for layout, slower in (("nchw", 0.5), ("nhwc", 0.0))
]


def rows_of(text):
    return [line.split()[:2] for line in text.splitlines() if line.startswith("s") and "±" in line]


def test_the_fastest_dozen_in_their_best_layouts_and_how_to_see_the_rest():
    text = io.StringIO()
    run_report(Console(file=text, width=120), MANY)
    assert rows_of(text.getvalue()) == [[f"s{index:02}", "nhwc"] for index in range(12)]
    assert "16 more: 2 slower, 14 in the other layout (--all)\n" in text.getvalue()


def test_all_rows_are_all_rows():
    text = io.StringIO()
    run_report(Console(file=text, width=120), MANY, detail=Detail(every=True))
    assert len(rows_of(text.getvalue())) == 28
    assert "--all" not in text.getvalue()


def test_a_reason_that_names_its_strategy_is_printed_once_for_all_layouts():
    refused = [dataclasses.replace(ROWS[3], layout=layout) for layout in ("nchw", "nhwc")]
    text = io.StringIO()
    run_report(Console(file=text, width=120), refused)
    assert text.getvalue() == "refused: tiled runs on one thread, not 2\n"
    text = io.StringIO()
    run_report(Console(file=text, width=120), refused, detail=Detail(every=True))
    assert text.getvalue().count("refused: tiled nhwc 2 threads: runs on one thread") == 1


def test_strategies_that_refuse_for_the_same_reason_share_a_line():
    def refused(strategy, reason):
        return dataclasses.replace(ROWS[3], strategy=strategy, reason=reason)

    text = io.StringIO()
    names = ("fma", "blas", "vectorized")
    alike = [refused(name, f"{name} computes f32 and f64, not bf16") for name in names]
    run_report(Console(file=text, width=120), [*alike, refused("fft", "fft needs 2 taps")])
    assert text.getvalue() == (
        "refused: fma, blas and vectorized: each computes f32 and f64, not bf16\n"
        "refused: fft needs 2 taps\n"
    )


@pytest.mark.parametrize("width", [80, 120])
def test_prose_is_broken_between_words(width):
    reason = "it would need " + "memory " * 40
    row = dataclasses.replace(ROWS[3], reason=reason)
    text = io.StringIO()
    run_report(Console(file=text, width=width, force_terminal=True, no_color=True), [row])
    plain = re.sub(r"\x1b\[[\d;]*m", "", text.getvalue())
    assert max(map(len, plain.splitlines())) <= width
    assert set(plain.split()[-40:]) == {"memory"}
    text = io.StringIO()
    run_report(Console(file=text, width=width), [row])
    assert text.getvalue().count("\n") == 1


def test_cycles_of_nothing_measured_are_not_spoken_of():
    assert cycles_line([ROWS[3]]) == ""
    assert cycles_line(ROWS).startswith("1 multiply-add = 2 FLOPs · cycles: elapsed time")
    unknown = dataclasses.replace(ROWS[0], cycles=None)
    assert cycles_line([unknown]).endswith("cycles: unknown on this machine")
