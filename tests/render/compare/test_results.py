"""What ``compare results`` prints, to the letter."""

from __future__ import annotations

import csv
import io

import pytest
from rich.console import Console
from saved_runs import document, problem, side, timed

from convprof.render.compare import results as render
from convprof.studies.compare import results

LAYER = problem("net:fc1")
BASE = side(document(timed(1e-3, 1, problem=LAYER), timed(2e-3, 2, strategy="blas")), name="base")
SLOWER = document(timed(1.1e-3, 3, problem=LAYER), timed(2e-3, 4, strategy="blas"))


SAME = (
    "same: CPU A CPU · cores 2 · clock 3.00 GHz · other programs 0.0 CPUs · convprof 1.0 · "
    "numba 0.62"
)
RUNS = "between runs: 0.4 %, assumed; several files of a side would show it"


def printed(new, width, *, every=False):
    text = io.StringIO()
    console = Console(file=text, width=width)
    render.results_report(console, [results.compare(BASE, side(new, name="new"))], every=every)
    return text.getvalue()


def test_what_changed_at_80_columns():
    assert printed(SLOWER, 80).splitlines() == [
        "new against base",
        SAME,
        RUNS,
        "net:fc1 · the time, new / base",
        "strategy   threads   base [ms]   new [ms]            new/base   verdict",
        "───────────────────────────────────────────────────────────────────────",
        "packed           1        1.00       1.10   1.10 [1.09, 1.12]   slower",
        "not shown at 80 columns: by core cycles, by shares of the peak",
        "not shown: 1 same; --all shows every row",
    ]


def test_the_ratio_of_a_convolution_without_a_name_fits_into_80_columns():
    problems = [problem() | {"descriptor": f"mb1ic16ih14oc16oh14kh3ph{at}"} for at in (1, 2)]
    rows = [timed(1e-3, strategy="microkernel", layout="nhwc", problem=each) for each in problems]
    each = results.compare(side(document(*rows)), side(document(*rows)))
    text = io.StringIO()
    render.results_report(Console(file=text, width=80), [each], every=True)
    assert "1.00 [" in text.getvalue()


def test_every_row_at_140_columns():
    _, _, _, title, headings, _, first, second = printed(SLOWER, 140, every=True).splitlines()
    assert title == "The time, new / base"
    assert headings.split("   ")[-1].strip() == "by shares of the peak"
    assert " ".join(first.split()) == (
        "net:fc1 packed 1 1.00 1.10 1.10 [1.09, 1.12] slower 1.10 1.10"
    )
    assert " ".join(second.split()) == (
        "64x64:64x64 blas 1 2.01 2.00 1.00 [0.98, 1.01] same 1.00 1.00"
    )


def test_what_differs_is_said_before_the_rows():
    other = document(
        timed(1e-3, 3, clock=2e9, problem=LAYER), key="ba9876543210", brand="Another CPU", load=1.0
    )
    assert printed(other, 100).splitlines()[1:] == [
        "same: cores 2 · convprof 1.0 · numba 0.62",
        "differs: CPU: A CPU, now Another CPU",
        "differs: clock: 3.00 GHz, now 2.00 GHz",
        "differs: other programs: 0.0 CPUs, now 2.0 CPUs",
        RUNS,
        "compared by shares of the peak, not by seconds: the machines differ",
        "not shown: 1 same; --all shows every row",
        "only in the base: 1 measurement",
    ]


def test_nothing_matches():
    assert printed(document(timed(1e-3, dtype="f64")), 80).splitlines()[2:] == [
        "Nothing matches: no type is on both sides.",
        "base has type: f32",
        "new has type: f64",
    ]
    empty = document(timed(1e-3, status="refused", reason="no", time_s=None))
    assert "Nothing matches: no measurement in the new files has a time." in printed(empty, 80)


def test_no_combination_matches():
    crossed = document(timed(1e-3, strategy="blas", problem=LAYER | {"n": 32}))
    assert "base has problem: gemm 64x64:64x64\nnew has problem: " in printed(crossed, 80)


def test_a_result_that_is_lost_is_named():
    wrong = document(timed(1e-3, problem=LAYER, status="wrong", reason="error 1", time_s=None))
    assert "lost: net:fc1: wrong: packed 1 thread: error 1\n" in printed(wrong, 80)


def test_a_row_in_doubt_has_the_mark_and_its_reason():
    doubtful = document(timed(2e-3, 3, problem=LAYER, doubt="disturbed"))
    text = printed(doubtful, 100, every=True)
    assert "packed ?" in text
    assert "? in doubt, left out of conclusions: net:fc1: disturbed" in text


def test_columns_that_tell_rows_apart_are_shown():
    rows = [timed(1e-3, seed, cache=cache) for seed, cache in enumerate(("hot", "cold"))]
    each = results.compare(side(document(*rows)), side(document(*rows)))
    headings = [column.heading for column in render.columns(each, each.rows)]
    assert "cache" in headings
    assert "type" not in headings


def test_the_csv_has_every_row():
    compared = [results.compare(BASE, side(SLOWER, name="new"))]
    rows = list(csv.DictReader(io.StringIO("".join(render.to_csv(compared)))))
    assert [(row["strategy"], row["verdict"]) for row in rows] == [
        ("packed", "slower"),
        ("blas", "same"),
    ]
    assert float(rows[0]["ratio"]) == pytest.approx(1.1, rel=0.01)


def test_the_markdown_has_what_changed():
    text = "".join(render.to_markdown([results.compare(BASE, side(SLOWER))], every=False))
    assert text.startswith("### side against base\n\n- same: CPU A CPU")
    assert "net:fc1 · the time, new / base\n\n| strategy |" in text
    assert "| packed | 1 | 1.00 | 1.10 |" in text
    assert "blas" not in text
    assert "2 measurements: 1 changed, 1 the same, 0 undecided." in text
