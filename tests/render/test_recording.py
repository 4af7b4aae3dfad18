"""What a recording console keeps of the tables and texts that it prints."""

from __future__ import annotations

import io

import pytest
from rich.text import Text

from convprof.render import console as consoles
from convprof.render.columns import (
    Column,
    fitting_lines,
    line_columns,
    print_table,
)
from convprof.render.recording import RecordedTable, RecordedText, RecordingConsole, instead

COLUMNS = [
    Column("name", lambda row: row[0], 1, "left"),
    Column("time [ms]", lambda row: row[1], 2),
    Column("a column that no narrow console has room for", lambda row: row[1] * 9, 3),
]
ROWS = [("tiled", "1.5"), ("packed", "2.5")]


@pytest.fixture
def narrow():
    return RecordingConsole(file=io.StringIO(), width=30)


def test_a_table_is_kept_with_the_columns_that_are_not_printed(narrow):
    shown = print_table(
        narrow, "title", COLUMNS, ROWS, lambda row: "bold" if row[1] == "1.5" else ""
    )
    assert shown == ["name", "time [ms]"]
    assert narrow.blocks == [
        RecordedTable(
            "title",
            tuple(column.heading for column in COLUMNS),
            (False, True, True),
            (("tiled", "1.5", "1.5" * 9), ("packed", "2.5", "2.5" * 9)),
            ("bold", ""),
        )
    ]


def test_the_same_is_printed_with_and_without_recording(narrow):
    plain = consoles.Console(file=io.StringIO(), width=30)
    for console in (narrow, plain):
        print_table(console, "title", COLUMNS, ROWS)
        consoles.say(console, "a note")
        consoles.hanging(console, "head: ", "many words " * 9)
        console.print()
    assert narrow.file.getvalue() == plain.file.getvalue()


def test_names_that_are_shortened_are_kept_whole_and_without_rows_of_blocks(narrow):
    rows = [("encoder.layers.1.self_attention", "1"), ("encoder.layers.1.mlp", "2")]
    columns = line_columns(COLUMNS)
    lines = fitting_lines(rows, lambda row: row[0], columns, 30, in_order=True)
    assert len(lines) == 3
    print_table(narrow, "title", columns, lines)
    assert [row[0] for row in narrow.blocks[0].rows] == [row[0] for row in rows]


def test_a_text_is_one_block_however_it_is_wrapped(narrow):
    consoles.hanging(narrow, "head: ", "many words " * 9, style="dim")
    consoles.say(narrow, "first", "second")
    narrow.print(Text("third", style="bold"))
    narrow.print()
    assert narrow.blocks == [
        RecordedText("head: " + "many words " * 9, "dim"),
        RecordedText("first"),
        RecordedText("second"),
        RecordedText("third", "bold"),
    ]


def test_a_chart_of_characters_is_printed_and_not_kept(narrow):
    consoles.draw(narrow, Text("** *"))
    assert "** *" in narrow.file.getvalue()
    assert narrow.blocks == []


def test_nothing_inside_a_block_is_kept_again(narrow):
    with instead(narrow, lambda: RecordedText("outer")):
        print_table(narrow, "title", COLUMNS, ROWS)
        narrow.print("inner")
    narrow.print("after")
    assert narrow.blocks == [RecordedText("outer"), RecordedText("after")]


def test_a_quiet_console_keeps_without_printing(capsys):
    console = consoles.recording("auto", stderr=False, printed=False)
    consoles.say(console, "a note")
    assert console.blocks == [RecordedText("a note")]
    assert capsys.readouterr() == ("", "")
