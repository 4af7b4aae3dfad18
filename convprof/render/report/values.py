"""The values of a chart as a table: for readers without the picture, and as targets of links."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.render import doubts
from convprof.render.charts import scale
from convprof.render.charts.chart import Bars, Chart, HeatMap
from convprof.render.charts.groups import bar_group, series_group
from convprof.render.tables import NOTHING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.render.charts.chart import Bar, Drawable, Panel, Point, Series


IN_DOUBT = f" {doubts.MARK}"
"""The end of a name whose time is in doubt."""


@dataclass(frozen=True, slots=True)
class ValueRow:
    """A row of the table, and the mark in the picture that links to it."""

    id: int
    """The number of the row, counted from 0."""
    cells: tuple[str, ...]
    title: str = ""
    """What a reader sees who points at the mark."""
    key: str = ""
    """The name that the row has in the tables of the command."""
    group: str = ""
    """The group of the picture with the mark; empty if there is no mark."""


@dataclass(frozen=True, slots=True)
class Values:
    """All values of a chart."""

    headings: tuple[str, ...]
    rows: tuple[ValueRow, ...]
    texts: int
    """The number of columns, from the first one, that have texts."""


def values_of(chart: Drawable) -> Values:
    """Return the values that the picture shows."""
    if isinstance(chart, Bars):
        return _of_bars(chart)
    return _of_map(chart) if isinstance(chart, HeatMap) else _of_lines(chart)


def marks(chart: Drawable) -> dict[str, list[ValueRow]]:
    """Return by group the rows of its marks, in the order of the marks."""
    groups: dict[str, list[ValueRow]] = {}
    for row in values_of(chart).rows:
        if row.group:
            groups.setdefault(row.group, []).append(row)
    return groups


def description(chart: Drawable) -> str:
    """Return what the picture shows, in words."""
    return " ".join(filter(None, (chart.content, chart.caption)))


def _of_bars(chart: Bars) -> Values:
    rows: list[ValueRow] = []
    for number, panel in enumerate(chart.panels):
        for place, bar in enumerate(panel.bars):
            rows.append(_bar(panel, bar, len(rows), bar_group(number, place)))
        for line in panel.references:
            cells = (panel.title, line.label, scale.number(line.x), "", "", "")
            rows.append(ValueRow(len(rows), cells))
    axes = dict.fromkeys(panel.x_label for panel in chart.panels)
    value = next(iter(axes)) if len(axes) == 1 else "value"
    return Values(("part", "name", value, "95 % from", "to", "note"), tuple(rows), 2)


def _bar(panel: Panel, bar: Bar, number: int, group: str) -> ValueRow:
    interval = (_number(bar.low), _number(bar.high))
    value = scale.number(bar.value)
    cells = (panel.title, bar.label, value, *interval, bar.note)
    title = f"{bar.label}: {value}{_between(bar.low, bar.high)} · {panel.x_label}"
    key = bar.label.removesuffix(IN_DOUBT)
    return ValueRow(number, cells, f"{title} · {bar.note}" if bar.note else title, key, group)


def _of_lines(chart: Chart) -> Values:
    x, y = scale.x_scale(chart), scale.y_scale(chart)
    rows: list[ValueRow] = []
    for number, series in enumerate(chart.series):
        marked = not series.ceiling and (series.marked or not series.line)
        for point in series.points:
            seen = marked and x.holds(point.x) and y.holds(point.y)
            group = series_group(number) if seen else ""
            rows.append(_point(chart, series, point, len(rows), group))
    for level in chart.levels:
        rows.append(ValueRow(len(rows), (level.label, "", "", scale.number(level.y), "", "")))
    for mark in chart.marks:
        rows.append(ValueRow(len(rows), (mark.label, "", scale.number(mark.x), "", "", "")))
    headings = ("series", "point", chart.x_label, chart.y_label, "95 % from", "to")
    return Values(headings, tuple(rows), 2)


def _point(chart: Chart, series: Series, point: Point, number: int, group: str) -> ValueRow:
    x, y = scale.number(point.x), scale.number(point.y)
    cells = (series.label, point.label, x, y, _number(point.low), _number(point.high))
    name = " · ".join(dict.fromkeys(filter(None, (series.label, point.label))))
    between = _between(point.low, point.high)
    title = f"{name}: {chart.y_label} {y}{between} at {chart.x_label} {x}"
    key = (point.label or series.label).removesuffix(IN_DOUBT)
    return ValueRow(number, cells, title, key, group)


def _of_map(chart: HeatMap) -> Values:
    rows = tuple(
        ValueRow(number, (name, *map(_cell, values)))
        for number, (name, values) in enumerate(zip(chart.rows, chart.values, strict=True))
    )
    corner = f"{chart.y_label} / {chart.x_label} ({chart.unit})"
    return Values((corner, *chart.columns), rows, 1)


def _cell(value: float | None) -> str:
    return NOTHING if value is None else scale.number(value)


def _number(value: float | None) -> str:
    return "" if value is None else scale.number(value)


def _between(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return ""
    return f" [{scale.number(low)}, {scale.number(high)}]"


def filled(values: Values) -> Sequence[int]:
    """Return the columns that have at least one text."""
    columns = range(len(values.headings))
    return [column for column in columns if any(row.cells[column] for row in values.rows)]
