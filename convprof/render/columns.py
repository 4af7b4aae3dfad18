"""Tables that fit: columns with a rank, the least important dropped until the rest has room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from convprof.render.console import readable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

Row = TypeVar("Row")

_BETWEEN = 3
"""Cells that Rich puts between two columns: padding on both sides and a line."""


@dataclass(frozen=True)
class Column(Generic[Row]):
    """One column: its heading, how to print a row's cell, and how much it matters."""

    heading: str
    cell: Callable[[Row], str]
    rank: int
    """1 is kept longest."""
    justify: Literal["left", "right"] = "right"


def fit(columns: Sequence[Column[Row]], rows: Sequence[Row], width: int) -> list[Column[Row]]:
    """Return the columns that fit into ``width`` cells, in their order; at least one."""
    kept = list(columns)
    while len(kept) > 1 and _width(kept, rows) > width:
        kept.remove(max(kept, key=lambda column: column.rank))
    return kept


def print_table(
    console: Console, title: str, columns: Sequence[Column[Row]], rows: Sequence[Row]
) -> list[str]:
    """Print a heading and the columns that fit the console; return the headings of these."""
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    kept = fit(columns, rows, console.width)
    for column in kept:
        # Text, not a string: Rich would take the unit in ``time [ms]`` for markup.
        heading = Text(readable(console, column.heading))
        made.add_column(heading, justify=column.justify, no_wrap=True)
    for row in rows:
        made.add_row(*(Text(readable(console, column.cell(row))) for column in kept))
    console.print(Text(title, style="bold"))
    if console.is_terminal:
        console.print(made)
    else:
        # Rich fills up the cells of a last column that is aligned to the left.
        for line in console.render_lines(made, pad=False):
            text = Text.assemble(*((segment.text, segment.style or "") for segment in line))
            text.rstrip()
            console.print(text, soft_wrap=True)
    return [column.heading for column in kept]


def _width(columns: Sequence[Column[Row]], rows: Sequence[Row]) -> int:
    widths = [
        max(cell_len(text) for text in (column.heading, *map(column.cell, rows)))
        for column in columns
    ]
    return sum(widths) + _BETWEEN * (len(widths) - 1)
