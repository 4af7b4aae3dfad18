"""Tables, texts and charts in the form that the template of a report prints."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.render.recording import RecordedTable, RecordedText
from convprof.render.report import values
from convprof.render.report.svg import inline
from convprof.render.report.values import IN_DOUBT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from convprof.render.charts.chart import Drawable
    from convprof.render.recording import Block
    from convprof.render.report.page import Page

TOTAL = "total of "
"""The beginning of the name of a row with totals."""
CLASSES = {"bold": "strong", "dim": "dim", "green": "good", "red": "bad"}
"""Words of Rich's styles, and classes of the style sheet."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row: its classes, the name of its point in a chart, and its cells."""

    style: str
    key: str
    id: str
    cells: tuple[str, ...]

    @property
    def total(self) -> bool:
        """Whether the row is the total of the others: sorting leaves it at its end."""
        return bool(self.cells) and self.cells[0].startswith(TOTAL)


@dataclass(frozen=True, slots=True)
class TableView:
    """A table of the page."""

    id: str
    title: str
    headings: tuple[tuple[str, bool], ...]
    """The text, and whether the column is aligned to the right."""
    rows: tuple[TableRow, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A paragraph and its classes."""

    text: str
    style: str


@dataclass(frozen=True, slots=True)
class Part:
    """A table, or the lines between two tables."""

    table: TableView | None
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class ChartView:
    """A chart of the page: the picture, its words and its values."""

    id: str
    title: str
    subtitle: str
    description: str
    svg: str
    """Markup: its texts are escaped."""
    values: TableView
    light: bool
    """Whether the picture has a white background on dark pages too."""


def parts(page: Page) -> list[Part]:
    """Return what the command printed; rows with a point in a chart have the point's name."""
    rows = [row for chart in page.charts for row in values.values_of(chart).rows]
    keys = {row.key for row in rows if row.key}
    listed: list[Part] = []
    for number, (is_table, group) in enumerate(itertools.groupby(page.blocks, _is_table)):
        if is_table:
            listed += [
                Part(_table(block, f"table-{number}-{place}", keys))
                for place, block in enumerate(group)
                if isinstance(block, RecordedTable)
            ]
        else:
            texts = (block for block in group if isinstance(block, RecordedText))
            listed.append(Part(None, tuple(Line(t.text, classes(t.style)) for t in texts)))
    return listed


def tables_of(tables: Iterable[RecordedTable], name: str) -> list[TableView]:
    """Return tables that are not linked to points."""
    return [_table(table, f"{name}-{number}", ()) for number, table in enumerate(tables)]


def charts(page: Page) -> list[ChartView]:
    """Return the charts; their ids differ."""
    return [_chart(chart, f"chart-{number}") for number, chart in enumerate(page.charts, 1)]


def _is_table(block: Block) -> bool:
    return isinstance(block, RecordedTable)


def classes(style: str) -> str:
    """Return the classes for a style of Rich."""
    return " ".join(CLASSES[word] for word in style.split() if word in CLASSES)


def _table(table: RecordedTable, name: str, keys: Collection[str]) -> TableView:
    rows = tuple(
        TableRow(classes(style), _key(cells, keys), f"{name}-{number}", cells)
        for number, (cells, style) in enumerate(zip(table.rows, table.styles, strict=True))
    )
    headings = tuple(zip(table.headings, table.right, strict=True))
    return TableView(name, table.title, headings, rows)


def _key(cells: Sequence[str], keys: Collection[str]) -> str:
    """Return the name of the point that a row describes: its first cells, as many as match."""
    words = [cell.strip().removesuffix(IN_DOUBT) for cell in cells]
    names = [" ".join(words[:count]) for count in range(len(words), 0, -1)]
    return next((name for name in names if name in keys), "")


def _chart(chart: Drawable, name: str) -> ChartView:
    shown = values.values_of(chart)
    kept = values.filled(shown)
    rows = tuple(
        TableRow("", row.key, f"{name}-values-{row.id}", tuple(row.cells[at] for at in kept))
        for row in shown.rows
    )
    table = TableView(
        f"{name}-values",
        f"values of the chart: {chart.title}",
        tuple(
            (shown.headings[at], at >= shown.texts and shown.headings[at] != "note") for at in kept
        ),
        rows,
    )
    picture = values.description(chart), inline(chart, name)
    return ChartView(name, chart.title, chart.subtitle, *picture, table, chart.has_own_colours)
