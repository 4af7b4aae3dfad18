"""Charts as matplotlib figures: object interface only, no global state, no display."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from convprof.integers import ceil_div
from convprof.render.charts import palette, scale
from convprof.render.charts.chart import Chart, HeatMap
from convprof.render.charts.heat_figure import draw_heat_map
from convprof.render.charts.labels import POINT_PLACES, Labels

if TYPE_CHECKING:
    from collections.abc import Collection

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

    from convprof.render.charts.chart import Chart, Level, Mark, Point, Series
    from convprof.render.charts.labels import Horizontal, Place, Vertical
    from convprof.render.charts.palette import Look

    Placed = tuple[Annotation, tuple[Place, ...]]


TITLE_SIZE = 13
CAPTION_COLUMNS = 135
TITLE_COLUMNS = 84
ATTEMPTS = 3
"""Drawings until every label has a place; a wider legend can take the place of others."""


def figure_of(chart: Chart | HeatMap) -> Figure:
    """Return the figure; nothing in it overlaps or reaches over its edge.

    Labels of points and levels without room next to them move to the legend.
    """
    if isinstance(chart, HeatMap):
        figure, axes = _empty(chart)
        draw_heat_map(axes, chart, TEXT_SIZE, SMALL_SIZE)
        return figure
    homeless: set[str] = set()
    for _ in range(ATTEMPTS):
        figure, axes = _empty(chart)
        labels = Drawing(chart, axes, homeless).draw()
        figure.draw_without_rendering()
        renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
        left_over = _settle(chart, labels, Labels(axes, renderer))
        if not left_over:
            break
        homeless |= left_over
    return figure


def _empty(chart: Chart | HeatMap) -> tuple[Figure, Axes]:
    """Return a figure with title, axis labels and caption."""
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    axes = figure.add_subplot()
    title = textwrap.fill(chart.title, TITLE_COLUMNS)
    figure.suptitle(title, x=0.01, ha="left", fontsize=TITLE_SIZE, weight="bold")
    axes.set_xlabel(chart.x_label, fontsize=TEXT_SIZE)
    axes.set_ylabel(chart.y_label, fontsize=TEXT_SIZE)
    axes.tick_params(labelsize=TEXT_SIZE)
    if chart.caption:
        text = textwrap.fill(chart.caption, CAPTION_COLUMNS)
        figure.supxlabel(text, x=0.01, ha="left", fontsize=SMALL_SIZE, color=LINE_GREY)
    return figure, axes


def _settle(chart: Chart, labels: list[Placed], room: Labels) -> set[str]:
    """Place the labels; remove and return those that found no place."""
    for series in chart.series:
        points = [(point.x, point.y) for point in series.points]
        room.keep_free(points)
        if series.line:
            room.keep_line_free(points)
    ends = scale.x_scale(chart)
    for level in chart.levels:
        room.keep_line_free([(ends.low, level.y), (ends.high, level.y)])
    homeless = set()
    for label, places in labels:
        if not room.settle(label, places):
            homeless.add(label.get_text())
            label.remove()
    return homeless


# A chart on matplotlib axes: lines, bands, levels, marks and the legend.

WIDTH, HEIGHT = 9.0, 5.4
"""Inches. With letters of 11 points, a thumbnail of 400 pixels can still be read."""
TEXT_SIZE, SMALL_SIZE = 11, 8.5
AXES_HEIGHT = 4.1
"""Inches that are left of the height under a title of two lines and above a caption."""
LEGEND_COLUMNS = 26
MOST_LINES, LINE_HEIGHT = 36, 1.6
"""Lines of a column of the legend, and the height of one over the size of its letters."""
BAND = 0.18
"""How opaque the band of a confidence interval is."""
X_TICKS, Y_TICKS = 8, 8
LINE_GREY, GRID_GREY = "#444444", "#dddddd"


class Drawing:
    """One chart on its axes."""

    def __init__(self, chart: Chart, axes: Axes, in_legend: Collection[str] = ()) -> None:
        """`in_legend`: labels of points and levels that have no room next to them."""
        self.chart, self.axes = chart, axes
        self.in_legend = in_legend
        self.legend: list[tuple[float, Artist, str]] = []
        """Where a line ends on the y axis, what stands for it, and its text."""
        self.x, self.y = scale.x_scale(chart), scale.y_scale(chart)

    def draw(self) -> list[Placed]:
        """Draw all but labels at points and levels; return those, to be placed."""
        self._scales()
        for mark in self.chart.marks:
            self.axes.axvline(mark.x, color=LINE_GREY, linewidth=0.9, dashes=(2, 3), zorder=1)
        self._mark_labels([mark for mark in self.chart.marks if self.x.holds(mark.x)])
        levels = [level for level in self.chart.levels if self.y.holds(level.y)]
        found = [placed for level in levels for placed in self._level(level)]
        for index, series in enumerate(self.chart.series):
            found += self._series(series, palette.look(index))
        self._legend()
        return found

    def _scales(self) -> None:
        axes, formatter = self.axes, FuncFormatter(lambda value, _: scale.text(value))
        axes.set_xscale("log" if self.x.log else "linear")
        axes.set_yscale("log" if self.y.log else "linear")
        axes.set_xlim(self.x.low, self.x.high)
        axes.set_ylim(self.y.low, self.y.high)
        for axis, ticks in (
            (axes.xaxis, self._x_ticks()),
            (axes.yaxis, self.y.ticks(Y_TICKS)),
        ):
            axis.set_major_locator(FixedLocator(ticks))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(formatter)
        axes.grid(color=GRID_GREY, linewidth=0.7)
        axes.set_axisbelow(True)

    def _x_ticks(self) -> list[float]:
        """Return the ticks whose labels do not touch: some six letters to an inch."""
        ticks = scale.x_ticks(self.chart, self.x, X_TICKS)
        wanted = [(self.x.share(value), len(scale.text(value))) for value in ticks]
        starts = scale.spread(wanted, LEGEND_COLUMNS * 2, gap=1)
        return [value for value, start in zip(ticks, starts, strict=True) if start is not None]

    def _mark_labels(self, marks: list[Mark]) -> None:
        """Label the marks above the axes, on a second or third line where they are close."""
        rows: list[float] = []
        above = self.axes.secondary_xaxis("top")
        texts = []
        width = 0.11  # of the axes: "L2 2 MiB" at this size, and a gap
        for mark in sorted(marks, key=lambda mark: mark.x):
            share = self.x.share(mark.x)
            row = next((k for k, end in enumerate(rows) if share - end >= width), len(rows))
            rows[row : row + 1] = [share]
            texts.append(mark.label + "\n" * row)
        above.xaxis.set_major_locator(FixedLocator([m.x for m in sorted(marks, key=lambda m: m.x)]))
        above.xaxis.set_minor_locator(NullLocator())
        above.set_xticklabels(texts, fontsize=SMALL_SIZE, color=LINE_GREY)
        above.tick_params(length=0, pad=2)

    def _level(self, level: Level) -> list[Placed]:
        line = self.axes.axhline(level.y, color="black", linewidth=1.6, clip_on=False, zorder=3)
        if level.label in self.in_legend:
            self.legend.append((level.y, line, textwrap.fill(level.label, LEGEND_COLUMNS)))
            return []
        label = self.axes.annotate(
            level.label,
            (0, level.y),
            xycoords=("axes fraction", "data"),
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=SMALL_SIZE,
            zorder=6,
        )
        width = 72 * WIDTH * 0.6
        columns: tuple[tuple[float, Horizontal], ...]
        rows: tuple[tuple[float, Vertical], ...]
        columns = ((5.0, "left"), (width / 2, "center"), (width, "right"))
        rows = ((-3.0, "top"), (3.0, "bottom"))
        return [(label, tuple((x, y, side, edge) for y, edge in rows for x, side in columns))]

    def _series(self, series: Series, look: Look) -> list[Placed]:
        seen = [p for p in series.points if self.x.holds(p.x) and self.y.holds(p.y)]
        style = (0, look.dash) if look.dash else "-"
        (line,) = self.axes.plot(
            [p.x for p in seen],
            [p.y for p in seen],
            color=look.color,
            marker=look.marker if series.marked or not series.line else "",
            markersize=6.5,
            markeredgecolor="white",
            markeredgewidth=0.6,
            linestyle=style if series.line else "none",
            linewidth=1.8,
            zorder=4,
            clip_on=False,
        )
        self._intervals(seen, look, joined=series.line)
        moved = [p for p in seen if p.label in self.in_legend]
        texts = [f"{p.label} ({scale.number(p.x)}, {scale.number(p.y)})" for p in moved]
        texts = [textwrap.fill(text, LEGEND_COLUMNS) for text in (series.label, *texts)]
        self.legend.append((seen[-1].y if seen else self.y.low, line, "\n".join(texts)))
        labelled = [p for p in seen if p.label and p not in moved]
        return [(self._point_label(p, look), POINT_PLACES) for p in labelled]

    def _intervals(self, points: list[Point], look: Look, *, joined: bool) -> None:
        known = [
            (p.x, p.y, p.low, p.high) for p in points if p.low is not None and p.high is not None
        ]
        if not known:
            return
        x, y, low, high = zip(*known, strict=True)
        if joined:
            self.axes.fill_between(
                x, low, high, color=look.color, alpha=BAND, linewidth=0, zorder=2
            )
        below = [max(0.0, value - end) for value, end in zip(y, low, strict=True)]
        above = [max(0.0, end - value) for value, end in zip(y, high, strict=True)]
        self.axes.errorbar(
            x, y, (below, above), fmt="none", ecolor=look.color, elinewidth=1, capsize=2.5, zorder=3
        )

    def _point_label(self, point: Point, look: Look) -> Annotation:
        return self.axes.annotate(
            point.label,
            (point.x, point.y),
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=SMALL_SIZE,
            color=look.color,
            zorder=6,
        )

    def _legend(self) -> None:
        """Beside the axes, in the order of the lines at their right ends."""
        if not self.legend:
            return
        entries = sorted(self.legend, key=lambda entry: -entry[0])
        lines = sum(text.count("\n") + 1 for _, _, text in entries)
        columns = ceil_div(lines, MOST_LINES)
        room = 72 * AXES_HEIGHT / LINE_HEIGHT / ceil_div(lines, columns)
        self.axes.legend(
            [handle for _, handle, _ in entries],
            [text for _, _, text in entries],
            loc="upper left",
            bbox_to_anchor=(1.0, 1.02),
            fontsize=min(TEXT_SIZE, room),
            ncols=columns,
            frameon=False,
            handlelength=3.2,
        )
