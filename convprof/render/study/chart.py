"""A section of a study's page as a chart: the data of its plots, for every renderer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from convprof import stats, units
from convprof.render.charts.chart import CellMark, Chart, HeatMap, Level, Mark, Point, Series
from convprof.render.findings import INTERVAL, joined, left_out

if TYPE_CHECKING:
    from convprof.studies.study.page import Page, Plot, Row, Section


def page_chart(page: Page, *, dated: str) -> Chart | HeatMap | None:
    """Return the chart of a page, which has one section with a chart. `dated`: machine and date."""
    charts = (chart(page, section, dated) for section in page.sections)
    return next((each for each in charts if each is not None), None)


def chart(page: Page, section: Section, dated: str = "") -> Chart | HeatMap | None:
    """Return the chart of a section; None without a chart, or with nothing to draw."""
    shown = any(row.sure or row.status == "predicted" for row in section.rows)
    if section.plot is None or not shown:
        return None
    if section.plot.kind == "map":
        return _map(page, section, section.plot, dated)
    return _lines(page, section, section.plot, dated)


def _lines(page: Page, section: Section, plot: Plot, dated: str) -> Chart:
    groups = list(dict.fromkeys(_field(row, plot.group) for row in section.rows))
    series = []
    scale = section.unit.value
    for group in groups:
        rows = [row for row in section.rows if _field(row, plot.group) == group]
        name = _named(plot.group, group) if len(groups) > 1 else "measured"
        if plot.expected and not plot.expected_once:
            label = f"{plot.expected}, {name}" if len(groups) > 1 else plot.expected
            points = _expectations(rows, plot, scale)
            series.append(Series(label, points, subject=name, expected=True))
        series.append(Series(name, _points(rows, plot, scale), subject=name))
    if plot.expected and plot.expected_once:
        # Expectations first, so that measurements are drawn over them.
        points = _expectations(section.rows, plot, scale)
        subject = "" if len(groups) > 1 else "measured"
        series.insert(0, Series(plot.expected, points, subject=subject, expected=True))
    return Chart(
        title=_finding(page, section, plot),
        x_label=plot.x_label,
        y_label=plot.y_label,
        series=tuple(one for one in series if one.points),
        levels=tuple(Level(line.label, line.at / scale) for line in plot.levels),
        marks=tuple(Mark(line.label, line.at) for line in plot.marks),
        x_log=plot.x_log,
        y_log=plot.y_log,
        y_top=max((line.at / scale for line in plot.levels), default=None),
        subtitle=_subtitle(page, section, plot, dated),
        caption=INTERVAL,
    )


def _doubtful(section: Section) -> int:
    """Return how many measured rows are in doubt, and not drawn."""
    return sum(1 for row in section.rows if row.measured and not row.sure)


def _finding(page: Page, section: Section, plot: Plot) -> str:
    """Return what the page advises; without advice measured over expected, or the best figure."""
    compared = [row for row in section.rows if row.ratio]
    if page.answer is not None and page.answer.headline:
        return f"{page.study}: {page.answer.headline}"
    if not compared:
        timed = [row for row in section.rows if row.sure]
        best = max(timed, key=lambda row: row.sure.value if row.sure else 0.0)
        return f"{page.study}: {_figure(best, section)} at best, {_where(best, plot)}"
    return f"{page.study}: {_middle(compared)} in the median"


def _middle(compared: list[Row]) -> str:
    ratios = [row.ratio or 1.0 for row in compared]
    return f"measured is {units.digits(stats.median(ratios), 2)} times the expected"


def _subtitle(page: Page, section: Section, plot: Plot, dated: str) -> str:
    """Return measured over expected, the problem, what is not drawn, machine and date."""
    compared = [row for row in section.rows if row.ratio]
    theory = ""
    if compared:
        row = max(compared, key=lambda row: abs(math.log(row.ratio or 1.0)))
        extreme = f"{units.digits(row.ratio or 1.0, 2)} times at {_where(row, plot)}"
        theory = f"{_middle(compared)} in the median, farthest {extreme}"
    about = page.title.removeprefix(f"{page.study}: ")
    return joined(about, theory, left_out(_doubtful(section)), dated)


def _figure(row: Row, section: Section) -> str:
    value = row.sure.value if row.sure else 0.0
    return f"{units.digits(value / section.unit.value)} {section.unit.name}"


def _where(row: Row, plot: Plot) -> str:
    """Return ``size 64, threads 2``: the place of a row in the chart."""
    return ", ".join(
        f"{name} {value}"
        for name in (plot.x, plot.group)
        if (value := _field(row, name)) is not None
    )


def _points(rows: list[Row], plot: Plot, scale: float) -> tuple[Point, ...]:
    """Return the measured points by x; the highest of several at one x."""
    best: dict[float, Point] = {}
    for row in rows:
        x = _field(row, plot.x)
        if row.sure is None or x is None:
            continue
        low, high = (end and end / scale for end in (row.sure.low, row.sure.high))
        point = Point(x, row.sure.value / scale, low, high)
        if x not in best or point.y > best[x].y:
            best[x] = point
    return tuple(best[x] for x in sorted(best))


def _expectations(rows: tuple[Row, ...] | list[Row], plot: Plot, scale: float) -> tuple[Point, ...]:
    """Return the expected values by x; the highest of several at one x."""
    best: dict[float, float] = {}
    for row in rows:
        x = _field(row, plot.x)
        if row.expected is not None and x is not None:
            best[x] = max(best.get(x, 0.0), row.expected / scale)
    return tuple(Point(x, best[x]) for x in sorted(best))


def _map(page: Page, section: Section, plot: Plot, dated: str) -> HeatMap:
    columns = list(dict.fromkeys(_field(row, plot.x) for row in section.rows))
    rows = list(dict.fromkeys(_field(row, plot.group) for row in section.rows))
    values = {(_field(r, plot.group), _field(r, plot.x)): r.sure for r in section.rows}
    scale = section.unit.value

    def value(down: Any, across: Any) -> float | None:
        figure = values.get((down, across))
        return None if figure is None else figure.value / scale

    return HeatMap(
        title=_finding(page, section, plot),
        x_label=plot.x_label,
        y_label=plot.y_label,
        columns=tuple(map(str, columns)),
        rows=tuple(map(str, rows)),
        values=tuple(tuple(value(down, across) for across in columns) for down in rows),
        unit=section.unit.name,
        marks=tuple(
            CellMark(label, tuple((rows.index(y), columns.index(x)) for x, y in cells))
            for label, cells in plot.cells
        ),
        subtitle=_subtitle(page, section, plot, dated),
        caption="median times",
    )


def _field(row: Row, name: str) -> Any:
    return row.variant.get(name, row.counted.get(name))


def _named(field: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    noun, *more = field.split(" ")
    return " ".join((str(value), noun.removesuffix("s") if value == 1 else noun, *more))
