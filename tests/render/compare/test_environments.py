"""What ``compare commands --python`` prints, to the letter, and its chart."""

from __future__ import annotations

import dataclasses
import io

import pytest
from compared_environments import failed, measurement, pair, sides
from rich.console import Console

from convprof.render.compare.environments import environments_report
from convprof.render.compare.environments_chart import environments_chart
from convprof.stats import Ratio
from convprof.studies.compare.environments import Facts

OLD = Facts("A", "old/bin/python", {"Python": "3.12.1", "torch": "2.12.0"}, lent=False)
NEW = Facts("B", "new/bin/python", {"Python": "3.12.1", "torch": "2.13.0"}, lent=True)
NONE = Facts("C", "none", {"Python": "3.12.1"}, lent=False)


def printed(environments, rows, columns=80, measurements=None, **detail):
    console = Console(width=columns, file=io.StringIO(), color_system=None)
    timed = sides(rows) if measurements is None else measurements
    environments_report(console, environments, rows, timed, **detail)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_one_problem():
    rows = [pair(1.2, low=1.18, high=1.21, strategy="torch"), pair(1.0, low=0.99, high=1.01)]
    assert printed([OLD, NEW], rows) == [
        "A: old/bin/python",
        "B: new/bin/python (has no convprof: this one computes there)",
        "both have Python 3.12.1",
        "differs: torch: 2.12.0 in A, 2.13.0 in B",
        "gemm (8x8) (8x8) · f32 · time in B / time in A",
        "strategy   threads   A [ms]   B [ms]                 B/A   verdict",
        "─" * 66,
        "torch            1     1.00     1.20   1.20 [1.18, 1.21]   slower",
        "blas             1     1.00     1.00   1.00 [0.99, 1.01]   same",
    ]


def test_several_problems_and_environments():
    rows = [pair(1.2), pair(0.8, environment="C"), pair(1.1, size=9)]
    lines = printed([OLD, NEW, NONE], rows, 140)
    assert "differs: torch: 2.12.0 in A, 2.13.0 in B, not installed in C" in lines
    heading = next(line for line in lines if line.startswith("problem"))
    assert "in   A [ms]   time [ms]" in heading
    assert [line.split()[3] for line in lines[-3:]] == ["B", "C", "B"]


def test_what_has_no_row_is_said_once_each():
    refused = measurement("B", status="refused", reason="torch is not installed", time_s=None)
    lines = printed([OLD, NEW], [], measurements=[refused, refused, failed("A")])
    assert lines[-2:] == [
        "refused in B: blas: torch is not installed",
        "8x8:8x8: failed: blas in A 1 thread: it crashed",
    ]


def test_of_many_rows_those_that_changed_are_shown():
    rows = [pair(1.0, low=0.99, high=1.01, size=size) for size in range(2, 15)]
    rows.append(pair(1.5, size=20))
    lines = printed([OLD, NEW], rows)
    assert lines[-1] == "not shown: 13 without a change; --all shows every row"
    assert sum("slower" in line for line in lines) == 1
    assert len(printed([OLD, NEW], rows, every=True)) == len(lines) + 12


def test_equal_versions_are_remarked():
    other = Facts("B", "b", OLD.versions, lent=False)
    lines = printed([OLD, other], [pair(1.0)])
    assert "both have Python 3.12.1 · torch 2.12.0" in lines
    assert "no version differs: only two builds of one version, or chance, can differ" in lines


@pytest.mark.parametrize(("value", "title"), [(1.2, "slower"), (0.8, "faster")])
def test_the_chart_has_the_ratios_and_says_what_changed(value, title):
    chart = environments_chart([pair(value, low=value - 0.01, high=value + 0.01)], dated="today")
    assert title in chart.title
    (panel,) = chart.panels
    (bar,) = panel.bars
    assert (bar.label, bar.value) == ("blas in B", value)
    assert panel.ratios


def test_a_problem_in_two_types_is_two_problems_of_the_chart():
    every = [pair(1.2), pair(0.8)]
    sides = (dataclasses.replace(side, dtype="f64") for side in (every[1].a, every[1].b))
    every[1] = dataclasses.replace(every[1], **dict(zip("ab", sides, strict=True)))
    chart = environments_chart(every, dated="today")
    assert "2 problems · several types" in chart.subtitle
    labels = sorted(bar.label for bar in chart.panels[0].bars)
    assert labels == ["8x8:8x8 f32 blas in B", "8x8:8x8 f64 blas in B"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"pair_doubt": "other programs ran"}, "blas in B 1 thread: other programs ran"),
        ({"ratio": Ratio(2.0, 1.0, 9.0, 25)}, "blas in B 1 thread: the ratio is uncertain"),
    ],
)
def test_a_comparison_in_doubt_whose_sides_are_not_says_why(fields, reason):
    doubtful = dataclasses.replace(pair(2.0), **fields)
    line = printed([OLD, NEW], [doubtful], 140)[-1]
    assert line.startswith(f"? in doubt, left out of conclusions: {reason}")


def test_a_chart_of_doubtful_times_concludes_nothing():
    chart = environments_chart([pair(2.0, doubt="other programs ran")], dated="today")
    assert "doubt" in chart.title
    assert environments_chart([], dated="today") is None
