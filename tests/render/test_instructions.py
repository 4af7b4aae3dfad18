"""The tables of ``instructions``, to the letter, at 80 and 120 columns."""

from __future__ import annotations

import csv
import dataclasses
import io
import re

import pytest
from rich.console import Console

from convprof.render.instructions import View, answer, instructions_report, to_csv, to_markdown
from convprof.render.instructions_chart import instructions_chart
from convprof.studies.instructions import Missing, Resemblance, Row

GOLDEN_COVE = {"latency": 4.0, "reciprocal_throughput": 0.5}
HALF = {"latency": 4.0, "reciprocal_throughput": None}
ADD = Row(
    name="add i64 scalar", operation="add", source_dtype=None, dtype="i64", bits=None,
    operands=None, mnemonic="add", lanes=1, latency=1.0001, reciprocal_throughput=0.2011,
    elements_per_cycle=4.97, ops_per_cycle=4.97, latency_spread=0.001, throughput_spread=0.05,
    stable=False, passes=32, core_hz=3e9, note=None, published={},
)  # fmt: skip
FMA = dataclasses.replace(
    ADD, name="fma f32 512", operation="fma", dtype="f32", bits=512, mnemonic="fmadd231ps",
    lanes=16, latency=3.99, reciprocal_throughput=0.5, elements_per_cycle=32.0, ops_per_cycle=64.0,
    throughput_spread=0.002, stable=True, passes=12, note="through the addend",
    published={"Golden Cove": GOLDEN_COVE, "Zen 4": HALF},
)  # fmt: skip
LOAD = dataclasses.replace(
    FMA, name="load f32 512", operation="load", mnemonic="movups", latency=None,
    latency_spread=None, note="the result cannot be an address",
    published={"Golden Cove": {"latency": None, "reciprocal_throughput": 0.33}},
)  # fmt: skip
VIEW = View(
    rows=[ADD, FMA, LOAD],
    missing=[Missing("mul i64 512", "needs AVX512DQ, which this CPU does not have")],
    cores=[("Golden Cove", "uops.info"), ("Zen 4", "uops.info")],
    alike=[Resemblance("Golden Cove", 3, 3, 0, 0.004), Resemblance("Zen 4", 2, 1, 1, 0.3)],
    cycle_source="calibrated",
)


def printed(width, view=VIEW, **options):
    text = io.StringIO()
    instructions_report(Console(file=text, width=width, **options), view)
    return text.getvalue()


GOLDEN_120 = """\
resembles: Golden Cove (3 of 3 rows agree within 10 %, 0 differ by more than 25 %, the median by 0.4 %)

integers, in core cycles
instruction      mnemonic   latency   each   stable       elements/cycle   ops/cycle   Golden Cove   Zen 4
──────────────────────────────────────────────────────────────────────────────────────────────────────────
add i64 scalar   add           1.00   0.20   no, ±2.5 %             4.97        4.97             –       –

floats, in core cycles
instruction   mnemonic     latency   each   stable   elements/cycle   ops/cycle   Golden Cove   Zen 4
─────────────────────────────────────────────────────────────────────────────────────────────────────
fma f32 512   fmadd231ps      3.99   0.50   yes                32.0        64.0       4 / 0.5   4 / –

loads from L1, in core cycles
instruction    mnemonic   latency   each   stable   elements/cycle   ops/cycle   Golden Cove   Zen 4
────────────────────────────────────────────────────────────────────────────────────────────────────
load f32 512   movups           –   0.50   yes                32.0        64.0      – / 0.33       –

latency: cycles until a dependent instruction can start · each: cycles per instruction, independent ones (reciprocal throughput) · ops: 1 multiply-add = 2
cycles: time x core clock, measured with each loop, under the same vectors
published (latency / each): Golden Cove, Zen 4: uops.info
latency of fma f32 512: through the addend
latency of load f32 512: the result cannot be an address
not measured: mul i64 512: needs AVX512DQ, which this CPU does not have
"""  # noqa: E501, RUF001

GOLDEN_80 = """\
resembles: Golden Cove (3 of 3 rows agree within 10 %, 0 differ by more than 25 %, the median by 0.4 %)

integers, in core cycles
instruction      latency   each   stable       ops/cycle   Golden Cove   Zen 4
──────────────────────────────────────────────────────────────────────────────
add i64 scalar      1.00   0.20   no, ±2.5 %        4.97             –       –
not shown at 80 columns: mnemonic, elements/cycle

floats, in core cycles
instruction   latency   each   stable   ops/cycle   Golden Cove   Zen 4
───────────────────────────────────────────────────────────────────────
fma f32 512      3.99   0.50   yes           64.0       4 / 0.5   4 / –
not shown at 80 columns: mnemonic, elements/cycle

loads from L1, in core cycles
instruction    latency   each   stable   ops/cycle   Golden Cove   Zen 4
────────────────────────────────────────────────────────────────────────
load f32 512         –   0.50   yes           64.0      – / 0.33       –
not shown at 80 columns: mnemonic, elements/cycle

latency: cycles until a dependent instruction can start · each: cycles per instruction, independent ones (reciprocal throughput) · ops: 1 multiply-add = 2
cycles: time x core clock, measured with each loop, under the same vectors
published (latency / each): Golden Cove, Zen 4: uops.info
latency of fma f32 512: through the addend
latency of load f32 512: the result cannot be an address
not measured: mul i64 512: needs AVX512DQ, which this CPU does not have
"""  # noqa: E501, RUF001


def test_at_120_columns_every_column_is_there():
    assert printed(120) == GOLDEN_120


def test_at_80_columns_the_least_alike_core_gives_way():
    assert printed(80) == GOLDEN_80


def test_colour_adds_escapes_and_nothing_else():
    coloured = printed(400, force_terminal=True, color_system="standard")
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == printed(400)


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_no_table_is_wider_than_the_console(width):
    lines = [line for line in printed(width).splitlines() if re.match(r"─|\w+ \w+ \w+  ", line)]
    assert all(len(line) <= width for line in lines)


UNLIKE = (
    "resembles: unlike all of them; nearest is A "
    "(2 of 10 rows agree within 10 %, 6 differ by more than 25 %, the median by 50.0 %)"
)
EQUALLY = (
    "resembles: A and equally B "
    "(9 of 10 rows agree within 10 %, 1 differ by more than 25 %, the median by 1.0 %)"
)


@pytest.mark.parametrize(
    ("alike", "conclusion"),
    [
        ([], "resembles: unknown, no published figures for these rows"),
        ([Resemblance("A", 10, 2, 6, 0.5)], UNLIKE),
        ([Resemblance("A", 10, 9, 1, 0.01), Resemblance("B", 10, 9, 1, 0.01)], EQUALLY),
    ],
)
def test_the_conclusion(alike, conclusion):
    assert printed(400, dataclasses.replace(VIEW, alike=alike)).splitlines()[0] == conclusion


def test_csv_has_every_row_and_figure():
    rows = list(csv.DictReader(io.StringIO(to_csv(VIEW))))
    assert [row["name"] for row in rows] == ["add i64 scalar", "fma f32 512", "load f32 512"]
    assert rows[0]["bits"] == ""
    assert rows[1]["Golden Cove.latency"] == "4"
    assert rows[1]["Zen 4.reciprocal_throughput"] == ""
    assert rows[2]["Golden Cove.reciprocal_throughput"] == "0.33"
    assert [row["stable"] for row in rows] == ["false", "true", "true"]


def test_markdown_has_every_column():
    text = to_markdown(VIEW)
    headings = next(line for line in text.splitlines() if line.startswith("| instruction"))
    assert headings.count("|") == 10
    assert "| fma f32 512 | fmadd231ps | 3.99 | 0.50 | yes | 32.0 | 64.0 | 4 / 0.5 |" in text
    assert text.splitlines()[-1].startswith("- resembles: Golden Cove (3 of 3")


def test_the_chart_has_measured_and_published_figures_of_the_widest_floats():
    chart = instructions_chart(VIEW, dated="CPU · today")
    latency, each, _ = chart.panels
    assert [(bar.label, bar.value, bar.expected) for bar in latency.bars] == [
        ("fma f32 512", 3.99, 4.0)
    ]
    assert [(bar.value, bar.expected) for bar in each.bars] == [(0.5, 0.5)]
    assert chart.title == "resembles Golden Cove: 3 of 3 instructions agree within 10 %"
    assert chart.subtitle == "floating point, vectors of 512 bits · CPU · today"
    assert chart.caption.startswith("dashed: published for Golden Cove")


def test_what_differs_from_the_published_figures_is_a_ratio_around_1():
    slow = dataclasses.replace(FMA, latency=6.0)
    chart = instructions_chart(dataclasses.replace(VIEW, rows=[slow]), dated="")
    panel = chart.panels[-1]
    assert panel.ratios
    assert [reference.x for reference in panel.references] == [1]
    assert [(bar.value, bar.note) for bar in panel.bars] == [(1.5, "latency: 6.0 instead of 4")]


def test_the_chart_of_few_instructions_has_these_and_without_any_no_chart_is_drawn():
    chart = instructions_chart(dataclasses.replace(VIEW, rows=[ADD], alike=[]), dated="")
    assert [bar.label for bar in chart.panels[0].bars] == ["add i64 scalar"]
    assert chart.title == "1 instruction, no published figures to compare"
    assert instructions_chart(dataclasses.replace(VIEW, rows=[]), dated="") is None


def far(row, core):
    """Return the row with published figures that are far from the measured ones."""
    return dataclasses.replace(row, published={core: {"latency": 9.0, "reciprocal_throughput": 1}})


def test_by_default_what_kernels_depend_on_and_what_differs():
    odd = far(dataclasses.replace(ADD, name="sub i64 scalar"), "Golden Cove")
    near = dataclasses.replace(ADD, name="div i64 scalar")
    view = dataclasses.replace(VIEW, rows=[ADD, odd, near, FMA, LOAD])
    names = [(title, [row.name for row in rows]) for title, rows in view.interesting()]
    assert names == [
        ("what kernels depend on", ["fma f32 512", "load f32 512"]),
        ("unlike Golden Cove by more than 25 %", ["sub i64 scalar"]),
    ]
    text = io.StringIO()
    instructions_report(Console(file=text, width=80), view, everything=False)
    lines = text.getvalue().splitlines()
    assert lines[0].startswith("resembles: Golden Cove")
    assert lines[2] == "what kernels depend on, in core cycles"
    assert "div i64 scalar" not in text.getvalue()
    assert lines[-1].startswith("cycles: time x core clock")


def test_rows_without_kernels_are_all_shown():
    view = dataclasses.replace(VIEW, rows=[ADD], alike=[])
    assert view.interesting() == view.groups()


def test_answers():
    assert answer(VIEW, everything=False).sentences == (
        (
            "fma f32 512 takes 3.99 cycles, and one starts every 0.50 cycles: 8 independent chains "
            "of sums keep this core busy, at 64.0 FLOP/cycle."
        ),
        "1 more row: --all.",
    )
    assert len(answer(VIEW, everything=True).sentences) == 1
    half = dataclasses.replace(FMA, name="fma f32 256", bits=256, lanes=8)
    halves = answer(dataclasses.replace(VIEW, rows=[half, FMA]), everything=True).sentences
    assert halves[1] == (
        "fma f32 256 reaches as many: vectors of 512 bits bring no more FLOPs here."
    )
    noisy = dataclasses.replace(FMA, stable=False)
    assert answer(dataclasses.replace(VIEW, rows=[noisy]), everything=True).sentences == (
        "No conclusion: the repeats of fma f32 512 do not agree.",
    )
    below = answer(dataclasses.replace(VIEW, rows=[half, noisy]), everything=True).sentences
    assert [sentence.split(" takes")[0] for sentence in below] == ["fma f32 256"]
    only = dataclasses.replace(VIEW, rows=[ADD])
    assert answer(only, everything=True).sentences == (VIEW.conclusion(),)
    assert answer(dataclasses.replace(VIEW, rows=[]), everything=True) is None
