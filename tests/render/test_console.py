"""Where a stream is no terminal, the environment decides about colour and nothing else."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console
from rich.text import Text

from convprof.render import console
from convprof.render.columns import Column, print_table
from convprof.render.progress import Progress

VARIABLES = (
    *("COLUMNS", "LINES", "TERM", "FORCE_COLOR", "NO_COLOR", "COLORTERM"),
    *("TTY_COMPATIBLE", "TTY_INTERACTIVE"),
)
COLUMNS = [Column(f"column {number}", lambda row: row, number + 1) for number in range(12)]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def environment(monkeypatch):
    """Set the variables of the terminal; those not named are unset."""

    def be(**values):
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return be


@pytest.fixture
def streams(monkeypatch):
    def make(kind):
        out, err = kind(), kind()
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        return out, err

    return make


COLOURED = [
    {"FORCE_COLOR": "1"},
    {"FORCE_COLOR": "1", "TERM": "dumb"},
    {"FORCE_COLOR": "3", "TERM": "xterm"},
    {"TTY_COMPATIBLE": "1"},
    {"TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "1", "TERM": "dumb"},
]
PLAIN = [
    {},
    {"TERM": "dumb"},
    {"COLUMNS": "0"},
    {"COLUMNS": ""},
    {"COLUMNS": "abc"},
    {"COLUMNS": "-3"},
    {"COLUMNS": "²"},
    {"FORCE_COLOR": ""},
    {"FORCE_COLOR": "0"},
    {"FORCE_COLOR": "1", "NO_COLOR": "1"},
    {"TTY_INTERACTIVE": "1"},
]


@pytest.mark.parametrize("variables", [*COLOURED, *PLAIN], ids=str)
def test_a_pipe_gets_every_column_in_one_line_and_no_cursor_movement(
    variables, environment, streams
):
    environment(**variables)
    out, err = streams(io.StringIO)
    print_table(console.stdout(), "title", COLUMNS, ["a cell of some width"])
    with Progress(console.stderr()) as progress:
        progress.say("working")
    console.say(console.stderr(), "a remark " * 30, style="yellow")
    plain = Text.from_ansi(out.getvalue()).plain
    header = plain.splitlines()[1]
    assert all(column.heading in header for column in COLUMNS)
    assert len(err.getvalue().splitlines()) == 1
    assert "\r" not in out.getvalue() + err.getvalue()
    assert "\x1b[?" not in out.getvalue() + err.getvalue()
    coloured = "\x1b[1m" in out.getvalue()
    assert coloured == (variables in COLOURED)


def test_columns_are_believed_where_they_are_a_width(environment, streams):
    environment(COLUMNS="60")
    streams(io.StringIO)
    assert console.stdout().width == 60
    environment()
    assert console.stdout().width == console.PIPED_WIDTH


@pytest.mark.parametrize("text", ["0", "", "abc"])
def test_the_terminal_gives_the_width_if_columns_has_none(text, environment, streams):
    environment(COLUMNS=text, TERM="xterm")
    streams(Terminal)
    assert console.stdout().width >= 1
    assert console.stdout().is_terminal


@pytest.mark.parametrize(
    ("color", "terminal", "escapes"),
    [
        ("always", False, True),
        ("never", False, False),
        ("auto", False, False),
        ("never", True, False),
        ("auto", True, True),
    ],
)
def test_the_flag_decides_first(color, terminal, escapes, environment, streams):
    environment(TERM="xterm")
    out, _ = streams(Terminal if terminal else io.StringIO)
    console.stdout(color).print(Text("x", style="red"))
    assert ("\x1b[31m" in out.getvalue()) == escapes


def test_always_colours_data_and_not_a_log(environment, streams):
    environment()
    _, err = streams(io.StringIO)
    console.say(console.stderr("always"), "x", style="red")
    assert err.getvalue() == "x\n"


def test_a_table_is_aligned_by_what_the_stream_can_show(environment, monkeypatch):
    environment()
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    rows = ["1.25 ±0.01", "10 ±?"]
    print_table(console.stdout(), "time", [Column("time [µs]", str, 1)], rows)
    sys.stdout.flush()
    lines = raw.getvalue().decode().splitlines()
    assert [lines[1], *lines[3:]] == ["   time [us]", "1.25 +/-0.01", "     10 +/-?"]


def test_what_is_printed_while_progress_is_shown_goes_to_stdout(environment, monkeypatch):
    environment(TERM="xterm")
    out, err = io.StringIO(), Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with Progress(console.stderr()) as progress:
        progress.say("working")
        print("data")  # noqa: T201
    assert out.getvalue() == "data\n"
    assert "data" not in err.getvalue()
    assert err.getvalue().rfind("\x1b[?25h") > err.getvalue().rfind("\x1b[?25l")


def test_only_the_head_of_a_hanging_text_is_bold():
    stream = io.StringIO()
    shown = Console(file=stream, width=40, force_terminal=True, color_system="standard")
    console.hanging(shown, "head  ", "some words that need more than one line of it", bold=True)
    first, second = stream.getvalue().splitlines()
    assert first.startswith("\x1b[1mhead  \x1b[0msome words")
    assert second.endswith("\x1b[0mline of it")
