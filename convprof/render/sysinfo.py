"""The ``sysinfo`` document as panels on a terminal, and as plain headings and lines elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from convprof.render.sysinfo_sections import Section, sections

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, RenderableType

WIDTH = 100
"""Longer lines are hard to read; long lists wrap between words."""
TWO_COLUMNS_FROM = 120
TWO_COLUMNS_WIDTH = 140
INDENT = 2

_RIGHT_COLUMN = ("Caches", "Memory & system", "Clock & ceilings", "Notes")
"""The panels with tables, which get a little more room."""


def show(console: Console, document: dict[str, Any], *, boxed: bool) -> None:
    """Print the document: in panels if ``boxed``, else as headings and indented lines."""
    found = sections(document)
    labels = max(len(label) for section in found for label, _ in section.rows)
    if not boxed:
        for number, section in enumerate(found):
            heading = Text(section.title, style="bold")
            body = Padding(_body(section, labels), (0, 0, 0, INDENT), expand=False)
            parts = [Text(), heading, body] if number else [heading, body]
            console.print(Group(*parts), width=min(console.width, WIDTH))
    elif console.width < TWO_COLUMNS_FROM:
        panels = [_panel(section, labels) for section in found]
        console.print(Group(*panels), width=min(console.width, WIDTH))
    else:
        console.print(_two_columns(found, labels), width=min(console.width, TWO_COLUMNS_WIDTH))


def _two_columns(found: Sequence[Section], labels: int) -> Table:
    left = [_panel(s, labels) for s in found if s.title not in _RIGHT_COLUMN]
    right = [_panel(s, labels) for s in found if s.title in _RIGHT_COLUMN]
    grid = Table.grid(expand=True, padding=(0, 1, 0, 0), pad_edge=False)
    grid.add_column(ratio=5)
    grid.add_column(ratio=6)
    grid.add_row(Group(*left), Group(*right))
    return grid


def _panel(section: Section, labels: int) -> Panel:
    title = Text(section.title, style="bold")
    return Panel(_body(section, labels), title=title, title_align="left", border_style="dim")


def _body(section: Section, labels: int) -> RenderableType:
    parts: list[RenderableType] = []
    if section.rows:
        parts.append(_rows(section, labels))
    if section.table:
        parts.append(_table(section.table, space_above=bool(section.rows)))
    parts += [Text(line, style="dim") for line in section.legend]
    parts += [_bullet(line) for line in section.notes]
    return Group(*parts)


def _rows(section: Section, labels: int) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(min_width=labels, no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in section.rows:
        grid.add_row(Text(label, style="cyan"), _value(value))
    return grid


def _table(table: Sequence[Sequence[str | None]], *, space_above: bool) -> RenderableType:
    """Return a table without lines: the first column names, the others are numbers."""
    header, *rows = table
    shown = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="cyan")
    for position, name in enumerate(header):
        justify = "right" if position else "left"
        shown.add_column(Text(name or ""), justify=justify, overflow="fold")
    for row in rows:
        shown.add_row(*map(_value, row))
    return Padding(shown, (1 if space_above else 0, 0, 0, 0), expand=False)


def _bullet(line: str) -> Table:
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_row(Text("-"), Text(line, style="yellow", overflow="fold"))
    return grid


def _value(value: str | None) -> Text:
    return Text("unknown", style="dim") if value is None else Text(value)
