"""Tables that fit: columns have a rank, and the least important columns are dropped."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from convprof.render.console import readable
from convprof.render.recording import RecordedTable, instead

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console


Row = TypeVar("Row")

BEST = "bold green"
"""The style of a table's best row."""
VERDICT_STYLES = {"faster": "green", "slower": "red", "same": "", "undecided": "dim"}
_BETWEEN = 3
"""Cells between two columns in Rich: padding on both sides and a line."""


@dataclass(frozen=True)
class Column(Generic[Row]):
    """One column: its heading, the function that prints a row's cell, and its rank."""

    heading: str
    cell: Callable[[Row], str]
    rank: int
    """The rank; columns with rank 1 are dropped last."""
    justify: Literal["left", "right"] = "right"
    key: bool = False
    """Whether the column identifies rows: then it is not dropped while its cells differ."""
    style: Callable[[Row], str] = lambda _: ""
    """The style of a row's cell; the text says the same without it."""
    whole: Callable[[Row], str] | None = None
    """Prints a row's cell where the width is not limited; None if ``cell`` is never shortened."""


def fit(columns: Sequence[Column[Row]], rows: Sequence[Row], width: int) -> list[Column[Row]]:
    """Return the columns that fit into ``width`` cells, in their order.

    The first column and key columns whose cells differ are never dropped.
    """
    kept = list(columns)
    needed = [column for column in columns if column.key and len(set(map(column.cell, rows))) > 1]
    while _width(kept, rows) > width:
        others = [column for column in kept[1:] if column not in needed]
        if not others:
            break
        kept.remove(max(others, key=lambda column: column.rank))
    return kept


def print_table(
    console: Console,
    title: str,
    columns: Sequence[Column[Row]],
    rows: Sequence[Row],
    style: Callable[[Row], str] = lambda _: "",
) -> list[str]:
    """Print a heading, the columns that fit the console, and the names of the other columns.

    Return the headings of the columns that were printed. ``style`` is the style of a row.
    """
    with instead(console, lambda: _recorded(title, columns, rows, style)):
        return _print_table(console, title, columns, rows, style)


def _print_table(
    console: Console,
    title: str,
    columns: Sequence[Column[Row]],
    rows: Sequence[Row],
    style: Callable[[Row], str],
) -> list[str]:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    kept = fit(columns, rows, console.width)
    for column in kept:
        # Text, not a string: Rich would take the unit in ``time [ms]`` for markup.
        heading = Text(readable(console, column.heading))
        table.add_column(heading, justify=column.justify, no_wrap=True)
    for row in rows:
        cells = (Text(readable(console, c.cell(row)), style=c.style(row)) for c in kept)
        table.add_row(*cells, style=style(row))
    console.print(Text(title, style="bold"))
    if console.is_terminal:
        console.print(table)
    else:
        # Rich fills up the cells of a last column that is aligned to the left.
        for line in console.render_lines(table, pad=False):
            text = Text.assemble(*((segment.text, segment.style or "") for segment in line))
            text.rstrip()
            console.print(text, soft_wrap=True)
    dropped = [column.heading for column in columns if column not in kept]
    if dropped:
        # Wrapped at the console's width in a file too: only a width that a user chose drops
        # columns.
        note = f"not shown at {console.width} columns: {', '.join(dict.fromkeys(dropped))}"
        console.print(Text(readable(console, note), style="dim"))
    return [column.heading for column in kept]


def _recorded(
    title: str, columns: Sequence[Column[Row]], rows: Sequence[Row], style: Callable[[Row], str]
) -> RecordedTable:
    # A row with nothing but the name of a block is for names that the rows below shorten.
    by_block = any(column.whole for column in columns)
    kept = [row for row in rows if not by_block or any(c.cell(row) for c in columns[1:])]
    return RecordedTable(
        title,
        tuple(column.heading for column in columns),
        tuple(column.justify == "right" for column in columns),
        tuple(tuple((c.whole or c.cell)(row) for c in columns) for row in kept),
        tuple(style(row) for row in kept),
    )


def _width(columns: Sequence[Column[Row]], rows: Sequence[Row]) -> int:
    widths = [
        max(cell_len(text) for text in (column.heading, *map(column.cell, rows)))
        for column in columns
    ]
    return sum(widths) + _BETWEEN * (len(widths) - 1)


# Rows with long dotted names: the name of a block is above its layers, not in each row.

_BLOCK = re.compile(r"(.*?\.\d+(?:-\d+)?(?:\.\d+)*)\.(.+)")
"""``layer1.0`` and ``conv2``, ``encoder.layers.3`` and ``mlp.0``, ``layer3.1-5`` and ``conv1``: a
block or blocks that repeat, and a layer in it."""
_INDENT = "  "
LONGEST = 28
"""The most characters of a name if not every column fits."""


@dataclass(frozen=True, slots=True)
class Line(Generic[Row]):
    """A line of the table: a layer, or the name of the block that the layers below belong to."""

    label: str
    row: Row | None
    whole: str = ""
    """The name that ``label`` shortens; empty for the name of a block."""


def plain_lines(rows: Sequence[Row], name: Callable[[Row], str]) -> list[Line[Row]]:
    """Return a line per row, under its whole name."""
    return [Line(name(row), row, name(row)) for row in rows]


def block_lines(rows: Sequence[Row], name: Callable[[Row], str]) -> list[Line[Row]]:
    """Return a line per row, and a line above for each block if there are several blocks."""
    lines: list[Line[Row]] = []
    current = ""
    for row in rows:
        match = _BLOCK.fullmatch(name(row))
        block, rest = match.groups() if match else ("", name(row))
        if block and block != current:
            lines.append(Line(block, None))
        current = block
        lines.append(Line(f"{_INDENT}{rest}" if block else rest, row, name(row)))
    return lines


def fitting_lines(
    rows: Sequence[Row],
    name: Callable[[Row], str],
    columns: Sequence[Column[Line[Row]]],
    width: int,
    *,
    in_order: bool,
) -> list[Line[Row]]:
    """Return lines with whole names if every column then fits, else with shorter names.

    For rows ``in_order`` the name of a block is above its layers. Other names, and names that are
    still long, lose their beginning.
    """
    whole = plain_lines(rows, name)
    if len(fit(columns, whole, width)) == len(columns):
        return whole
    lines = block_lines(rows, name) if in_order else whole
    return [Line(shortened(line.label), line.row, line.whole) for line in lines]


def line_columns(plain: Sequence[Column[Row]]) -> list[Column[Line[Row]]]:
    """Convert columns of rows to columns of lines; the first column is the line's label."""
    label, *others = plain
    return [
        Column(
            label.heading,
            lambda line: line.label,
            label.rank,
            label.justify,
            label.key,
            whole=lambda line: line.whole or line.label,
        ),
        *(Column(c.heading, _in_row(c), c.rank, c.justify, c.key, _in_line(c)) for c in others),
    ]


def shortened(text: str, most: int = LONGEST) -> str:
    """Return the end of a name that is longer than ``most``, after an ellipsis."""
    if len(text) <= most:
        return text
    indent = _INDENT if text.startswith(_INDENT) else ""
    return f"{indent}…{text[len(text) - (most - 1 - len(indent)) :]}"


def _in_row(column: Column[Row]) -> Callable[[Line[Row]], str]:
    return lambda line: "" if line.row is None else column.cell(line.row)


def _in_line(column: Column[Row]) -> Callable[[Line[Row]], str]:
    return lambda line: "" if line.row is None else column.style(line.row)
