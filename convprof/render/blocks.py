"""Rows with long dotted names in few columns: a block's name above its layers, not in each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic

from convprof.render.columns import Column, Row, fit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_BLOCK = re.compile(r"(.*?\.\d+(?:\.\d+)*)\.(.+)")
"""``layer1.0`` and ``conv2``, ``encoder.layers.3`` and ``mlp.0``: a block, and a layer in it."""
_INDENT = "  "
LONGEST = 28
"""Of a name, where not every column has room."""


@dataclass(frozen=True, slots=True)
class Line(Generic[Row]):
    """A line of the table: a layer, or the name of the block to which those below it belong."""

    label: str
    row: Row | None


def plain_lines(rows: Sequence[Row], name: Callable[[Row], str]) -> list[Line[Row]]:
    """Return a line per row, under its whole name."""
    return [Line(name(row), row) for row in rows]


def block_lines(rows: Sequence[Row], name: Callable[[Row], str]) -> list[Line[Row]]:
    """Return a line per row, and one above for each block of which there are several."""
    lines: list[Line[Row]] = []
    current = ""
    for row in rows:
        match = _BLOCK.fullmatch(name(row))
        block, rest = match.groups() if match else ("", name(row))
        if block and block != current:
            lines.append(Line(block, None))
        current = block
        lines.append(Line(f"{_INDENT}{rest}" if block else rest, row))
    return lines


def lines(
    rows: Sequence[Row],
    name: Callable[[Row], str],
    columns: Sequence[Column[Line[Row]]],
    width: int,
    *,
    in_order: bool,
) -> list[Line[Row]]:
    """Return lines with whole names if every column then fits; else with shorter ones.

    Of rows ``in_order`` a block's name goes above its layers; the names of others, and those that
    are still long, lose their beginning.
    """
    whole = plain_lines(rows, name)
    if len(fit(columns, whole, width)) == len(columns):
        return whole
    found = block_lines(rows, name) if in_order else whole
    return [Line(shortened(line.label), line.row) for line in found]


def columns(plain: Sequence[Column[Row]]) -> list[Column[Line[Row]]]:
    """Return the columns of lines for those of rows; the first one is the line's label."""
    label, *others = plain
    return [
        Column(label.heading, lambda line: line.label, label.rank, label.justify),
        *(Column(c.heading, _in_row(c), c.rank, c.justify) for c in others),
    ]


def shortened(text: str, most: int = LONGEST) -> str:
    """Return the end of a name that is longer than ``most``, after an ellipsis."""
    if len(text) <= most:
        return text
    indent = _INDENT if text.startswith(_INDENT) else ""
    return f"{indent}…{text[len(text) - (most - 1 - len(indent)) :]}"


def _in_row(column: Column[Row]) -> Callable[[Line[Row]], str]:
    return lambda line: "" if line.row is None else column.cell(line.row)
