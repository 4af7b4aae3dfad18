from __future__ import annotations

import io

from rich.console import Console

from convprof.render import doubts
from convprof.render.export import to_markdown
from convprof.render.run import run_report
from convprof.results import Document, Flops, Measurement, Measurements, Time
from convprof.studies import shortlist

PROBLEM = {"kind": "gemm", "descriptor": "8x8:8x8", "name": None, "m": 8, "n": 8, "k": 8,
           "batch": 1}  # fmt: skip
REASON = "its 95 % interval is too wide: the upper end is 9.1 times the lower"


def measured(strategy, seconds, doubt=None):
    return Measurement(
        PROBLEM, strategy, None, "f32", 1, "hot", "ok",
        time_s=Time(seconds, 0, seconds, seconds, seconds, 25, 1), flops=Flops(1024, 1024),
        flop_per_s=1024 / seconds, doubt=doubt,
    )  # fmt: skip


FAST, SLOW = measured("packed", 1e-6), measured("naive", 9e-6)
WRONG = measured("blas", 1e-9, REASON)


def test_no_doubt_no_line():
    assert doubts.line([FAST, SLOW]) is None
    assert doubts.marked("naive", None) == "naive"


def test_the_line_names_a_row_and_its_reason():
    assert doubts.line([FAST, WRONG]) == (
        f"? in doubt, left out of conclusions: blas 1 thread: {REASON}"
    )


def test_the_line_counts_rows_with_the_same_reason():
    rows = [measured("a", 1, "x"), measured("b", 1, "y"), measured("c", 1, "y"),
            measured("d", 1, "z"), FAST]  # fmt: skip
    assert doubts.line(rows) == (
        "? in doubt, left out of conclusions: 2 rows: y; a 1 thread: x; 1 more for similar reasons"
    )


def test_a_time_in_doubt_is_never_the_first_row():
    assert shortlist.timed([WRONG, SLOW, FAST]) == [FAST, SLOW, WRONG]


def test_the_table_of_run_marks_the_row_and_says_why_without_colour():
    out = io.StringIO()
    run_report(Console(file=out, width=140, no_color=True), [WRONG, SLOW, FAST])
    lines = out.getvalue().splitlines()
    assert [line.split()[0] for line in lines if line.startswith(("packed", "naive"))] == [
        "packed",
        "naive",
    ]
    assert any(line.startswith("blas ? ") for line in lines)
    assert lines[-1] == doubts.line([WRONG])


def test_markdown_has_the_mark_and_the_reason():
    document = Document("1", {}, {}, {}, {}, Measurements([WRONG, FAST]))
    text = "".join(to_markdown(document))
    assert "| blas ? |" in text
    assert str(doubts.line([WRONG])) in text


def test_no_row_is_highlighted_where_one_in_doubt_may_be_faster():
    def bold_rows(rows):
        out = io.StringIO()
        run_report(Console(file=out, width=140, force_terminal=True, color_system="standard"), rows)
        return [line for line in out.getvalue().splitlines() if "\x1b[1;32m" in line]

    assert len(bold_rows([SLOW, FAST])) == 1
    assert bold_rows([WRONG, SLOW, FAST]) == []
