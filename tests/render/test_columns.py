"""Long dotted names in few columns."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from convprof.render import columns
from convprof.render.columns import Column

NAMES = ["stem", "layer1.0.conv1", "layer1.0.bn", "layer1.1.conv1", "encoder.layers.3.mlp.0", "fc"]
COLUMNS = [Column("layer", str, 1, "left"), Column("length", lambda name: str(len(name)), 2)]


def labels(width, rows=NAMES, *, in_order=True):
    shown = columns.line_columns(COLUMNS)
    lines = columns.fitting_lines(rows, str, shown, width, in_order=in_order)
    return [line.label for line in lines]


def test_whole_names_where_there_is_room():
    assert labels(80) == NAMES


def test_a_blocks_name_goes_above_its_layers():
    assert labels(30) == [
        "stem", "layer1.0", "  conv1", "  bn", "layer1.1", "  conv1", "encoder.layers.3", "  mlp.0",
        "fc",
    ]  # fmt: skip


def test_names_out_of_order_lose_their_beginning():
    long = "encoder.layers.11.self_attention.out_proj"
    assert labels(30, [long, "fc"], in_order=False) == [
        "….11.self_attention.out_proj",
        "fc",
    ]


def test_a_line_without_a_row_has_a_label_only():
    lines = columns.block_lines(NAMES, str)
    label, length = columns.line_columns(COLUMNS)
    assert (label.cell(lines[1]), length.cell(lines[1])) == ("layer1.0", "")
    assert (label.cell(lines[2]), length.cell(lines[2])) == ("  conv1", "14")


@given(st.text("ab.", max_size=60), st.integers(5, 40))
def test_a_shortened_name_fits_and_keeps_its_end(text, most):
    found = columns.shortened(text, most)
    assert len(found) <= most
    if len(text) <= most:
        assert found == text
    else:
        assert text.endswith(found.removeprefix("…"))
        assert len(found) == most


def test_the_indent_stays():
    assert columns.shortened("  " + "x" * 40, 10) == "  …" + "x" * 7


ROWS = [("winograd", "1"), ("winograd", "2")]
KEYED = [
    Column("strategy", lambda row: row[0], 1, "left", key=True),
    Column("time", lambda _: "1.0 ms", 2),
    Column("threads", lambda row: row[1], 9, key=True),
]


def test_a_column_that_identifies_rows_is_never_dropped():
    kept = columns.fit(KEYED, ROWS, 20)
    assert [column.heading for column in kept] == ["strategy", "threads"]


def test_a_key_column_with_one_value_may_be_dropped():
    kept = columns.fit(KEYED, ROWS[:1], 20)
    assert [column.heading for column in kept] == ["strategy", "time"]


def test_what_was_dropped_is_said():
    console = Console(file=io.StringIO(), width=20)
    assert columns.print_table(console, "runs", KEYED, ROWS) == ["strategy", "threads"]
    assert console.file.getvalue().split()[-6:] == ["not", "shown", "at", "20", "columns:", "time"]


def test_nothing_is_said_where_every_column_has_room():
    console = Console(file=io.StringIO(), width=80)
    columns.print_table(console, "runs", KEYED, ROWS)
    assert "not shown" not in console.file.getvalue()
