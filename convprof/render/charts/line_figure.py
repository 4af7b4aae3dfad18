"""Series over two axes with matplotlib: lines, bands, ceilings, marks, labels and the legend."""

from __future__ import annotations

import itertools
import math
import textwrap
from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from convprof.integers import ceil_div
from convprof.render.charts import palette, scale
from convprof.render.charts.groups import series_group
from convprof.render.charts.labels import POINT_PLACES, Labels
from convprof.render.charts.sizes import (
    GRID_GREY,
    HEIGHT,
    LINE_GREY,
    POINTS,
    SMALL_SIZE,
    TEXT_SIZE,
    WIDTH,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

    from convprof.render.charts.chart import Chart, Level, Mark, Point, Series
    from convprof.render.charts.labels import Horizontal, Place, Vertical
    from convprof.render.charts.palette import Look

    Candidate = tuple[Annotation, tuple[Place, ...]]


def draw_lines(figure: Figure, chart: Chart, in_legend: Collection[str]) -> set[str]:
    """Draw the chart; return the labels without room next to their points and levels.

    `in_legend`: the labels without room in an earlier attempt; these are in the legend.
    """
    axes = figure.add_subplot()
    axes.set_xlabel(chart.x_label, fontsize=TEXT_SIZE)
    axes.set_ylabel(chart.y_label, fontsize=TEXT_SIZE)
    axes.tick_params(labelsize=TEXT_SIZE)
    drawing = Drawing(chart, axes, in_legend)
    labels = drawing.draw()
    figure.draw_without_rendering()
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    return _place_labels(drawing, labels, Labels(axes, renderer))


def _place_labels(drawing: Drawing, labels: list[Candidate], room: Labels) -> set[str]:
    """Place the labels; remove the labels without room and return their texts."""
    homeless = set()
    for series in drawing.chart.series:
        if series.ceiling:  # its label may cover its own line only
            if not drawing.ceiling_label(series, room):
                homeless.add(series.label)
            room.keep_line_free([(point.x, point.y) for point in series.points])
    _keep_free(drawing, room)
    for label, places in labels:
        if not room.place(label, places):
            homeless.add(label.get_text())
            label.remove()
    return homeless


def _keep_free(drawing: Drawing, room: Labels) -> None:
    """No label may cover markers, lines, levels or marks."""
    chart, x, y = drawing.chart, drawing.x, drawing.y
    for series in chart.series:
        points = [(point.x, point.y) for point in series.points]
        room.keep_free(points if series.marked else [])
        room.keep_line_free(points if series.line else [])
    for mark in chart.marks:
        room.keep_line_free([(mark.x, y.low), (mark.x, y.high)])
    for level in chart.levels:
        room.keep_line_free([(x.low, level.y), (x.high, level.y)])


AXES_HEIGHT = HEIGHT - 0.6
"""Height in inches above the axis label."""
LEGEND_COLUMNS = 24
MOST_LINES, LEGEND_LINE = 32, 1.6
"""Lines per column of the legend, and the height of a line over the size of its letters."""
BAND = 0.18
"""The opacity of the band of a confidence interval."""
MOST_BANDS = 5
"""The most series whose intervals are drawn as bands; more bands would hide each other."""
BEHIND = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5}
"""Distance of a point's label from thin lines, in points."""
X_TICKS, Y_TICKS = 8, 8
TICK_COLUMNS = 52
"""The most characters of all tick labels along the x axis."""
FLAT_PLACES, STEEP_PLACES = (0.98, 0.8, 0.6), (0.04, 0.2, 0.36, 0.52)
"""Candidate places for the label of a ceiling along its line, above and then below it."""


class Drawing:
    """One chart on its axes."""

    def __init__(self, chart: Chart, axes: Axes, in_legend: Collection[str] = ()) -> None:
        """`in_legend`: labels of points and levels without room next to them."""
        self.chart, self.axes = chart, axes
        self.in_legend = in_legend
        self.legend: list[tuple[float, Artist, str]] = []
        """The end of a line on the y axis, its artist in the legend, and its text."""
        self.x, self.y = scale.x_scale(chart), scale.y_scale(chart)

    def draw(self) -> list[Candidate]:
        """Draw all but the labels at points and levels; return these labels for placement."""
        self._scales()
        for mark in self.chart.marks:
            self.axes.axvline(mark.x, color=LINE_GREY, linewidth=0.9, dashes=(2, 3), zorder=1)
        self._mark_labels([mark for mark in self.chart.marks if self.x.holds(mark.x)])
        levels = [level for level in self.chart.levels if self.y.holds(level.y)]
        labels = [placed for level in levels for placed in self._level(level)]
        looks = palette.looks(self.chart.series)
        for number, (series, look) in enumerate(zip(self.chart.series, looks, strict=True)):
            labels += self._series(series, look, series_group(number))
        self._legend()
        return labels

    def _scales(self) -> None:
        axes = self.axes
        axes.set_xscale("log" if self.x.log else "linear")
        axes.set_yscale("log" if self.y.log else "linear")
        axes.set_xlim(self.x.low, self.x.high)
        axes.set_ylim(self.y.low, self.y.high)
        ticks = scale.x_ticks(self.chart, self.x, X_TICKS)
        _set_ticks(axes.xaxis, ticks, self._x_texts(ticks))
        ticks = self.y.ticks(Y_TICKS)
        _set_ticks(axes.yaxis, ticks, [scale.text(value) for value in ticks])
        axes.grid(color=GRID_GREY, linewidth=0.7)
        axes.set_axisbelow(True)

    def _x_texts(self, ticks: Sequence[float]) -> list[str]:
        """Return the labels; a label that would touch the label before is one line lower."""
        texts = [scale.text(value) for value in ticks]
        places = [(self.x.share(v), len(t)) for v, t in zip(ticks, texts, strict=True)]
        upper = scale.spread(places, TICK_COLUMNS, gap=1)
        waiting = [place for place, at in zip(places, upper, strict=True) if at is None]
        lower = iter(scale.spread(waiting, TICK_COLUMNS, gap=1))
        return [
            text if at is not None else f"\n{text}" if next(lower) is not None else ""
            for text, at in zip(texts, upper, strict=True)
        ]

    def _mark_labels(self, marks: list[Mark]) -> None:
        """Label the marks above the axes, on a second or third line if they are close."""
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

    def _level(self, level: Level) -> list[Candidate]:
        line = self.axes.axhline(
            level.y, color=palette.CEILING, linewidth=1.6, clip_on=False, zorder=3
        )
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
        width = POINTS * WIDTH * 0.55
        columns: tuple[tuple[float, Horizontal], ...]
        rows: tuple[tuple[float, Vertical], ...]
        columns = ((5.0, "left"), (width / 2, "center"), (width, "right"))
        rows = ((-3.0, "top"), (3.0, "bottom"))
        return [(label, tuple((x, y, side, edge) for y, edge in rows for x, side in columns))]

    def _series(self, series: Series, look: Look, group: str) -> list[Candidate]:
        points = [p for p in series.points if self.x.holds(p.x) and self.y.holds(p.y)]
        style = (0, look.dash) if look.dash else "-"
        (line,) = self.axes.plot(
            [p.x for p in points],
            [p.y for p in points],
            color=look.color,
            marker=look.marker if series.marked or not series.line else "",
            markersize=7 if series.line else 8,
            markerfacecolor="white" if look.hollow else look.color,
            markeredgecolor=look.color if look.hollow or not series.line else "white",
            markeredgewidth=1.4 if look.hollow else 0.6,
            linestyle=style if series.line else "none",
            linewidth=1.3 if series.ceiling else 1.8,
            zorder=2.5 if series.ceiling else 4,
            clip_on=False,
            gid=group,
        )
        if series.ceiling:
            if series.label in self.in_legend:
                self.legend.append((self.y.low, line, series.label))
            return []
        self._intervals(points, look, joined=series.line)
        self._gaps(points, look)
        moved = [p for p in points if p.label in self.in_legend]
        texts = [f"{p.label} ({scale.number(p.x)}, {scale.number(p.y)})" for p in moved]
        texts = [textwrap.fill(text, LEGEND_COLUMNS) for text in (series.label, *texts)]
        self.legend.append((points[-1].y if points else self.y.low, line, "\n".join(texts)))
        labelled = [p for p in points if p.label and p not in moved]
        return [(self._point_label(p, look), POINT_PLACES) for p in labelled]

    def _intervals(self, points: list[Point], look: Look, *, joined: bool) -> None:
        known = [
            (p.x, p.y, p.low, p.high) for p in points if p.low is not None and p.high is not None
        ]
        if not known:
            return
        x, y, low, high = zip(*known, strict=True)
        if joined and len(self.chart.series) <= MOST_BANDS:
            self.axes.fill_between(
                x, low, high, color=look.color, alpha=BAND, linewidth=0, zorder=2
            )
        below = [max(0.0, value - end) for value, end in zip(y, low, strict=True)]
        above = [max(0.0, end - value) for value, end in zip(y, high, strict=True)]
        self.axes.errorbar(
            x, y, (below, above), fmt="none", ecolor=look.color, elinewidth=1, capsize=2.5, zorder=3
        )

    def _gaps(self, points: list[Point], look: Look) -> None:
        """Draw a thin line from each point up to the limit above the point."""
        for point in points:
            if point.limit is not None and point.limit > point.y:
                top = min(point.limit, self.y.high)
                self.axes.plot(
                    [point.x, point.x],
                    [point.y, top],
                    color=look.color,
                    linewidth=0.9,
                    linestyle=(0, (1, 2)),
                    marker="_",
                    markersize=6,
                    markevery=[1],
                    zorder=3,
                )

    def ceiling_label(self, series: Series, room: Labels) -> bool:
        """Write the label of a ceiling along the line, at a free place; whether there is one."""
        if len(series.points) < 2 or series.label in self.in_legend:  # noqa: PLR2004  # two ends
            return True
        ends = [(point.x, point.y) for point in series.points[:2]]
        (x0, y0), (x1, y1) = self.axes.transData.transform(ends)
        angle = math.degrees(math.atan2(y1 - y0, x1 - x0))
        flat = abs(y1 - y0) < 1  # a pixel
        text = self.axes.annotate(
            series.label,
            ends[0],
            xytext=(0, 0),
            textcoords="offset points",
            rotation=angle,
            rotation_mode="anchor",
            ha="right" if flat else "left",
            fontsize=SMALL_SIZE,
            color=palette.CEILING,
            zorder=5,
        )
        places = FLAT_PLACES if flat else STEEP_PLACES
        for side, share in itertools.product((1, -1), places):
            at = (x0 + share * (x1 - x0), y0 + share * (y1 - y0))
            text.xy = tuple(self.axes.transData.inverted().transform(at))
            radians = math.radians(angle)
            text.set_position((-2.5 * side * math.sin(radians), 2.5 * side * math.cos(radians)))
            text.set_verticalalignment("bottom" if side > 0 else "top")
            if room.take_text(text):
                return True
        text.remove()
        return False

    def _point_label(self, point: Point, look: Look) -> Annotation:
        return self.axes.annotate(
            point.label,
            (point.x, point.y),
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=SMALL_SIZE,
            color=look.color,
            zorder=6,
            bbox=BEHIND,
        )

    def _legend(self) -> None:
        """Write the legend right of the axes, in the order of the lines at their right ends.

        Under ceilings, in the order of the series.
        """
        if not self.legend:
            return
        with_ceilings = any(series.ceiling for series in self.chart.series)
        entries = self.legend if with_ceilings else sorted(self.legend, key=lambda entry: -entry[0])
        lines = sum(text.count("\n") + 1 for _, _, text in entries)
        columns = ceil_div(lines, MOST_LINES)
        room = POINTS * AXES_HEIGHT / LEGEND_LINE / ceil_div(lines, columns)
        self.axes.legend(
            [handle for _, handle, _ in entries],
            [text for _, _, text in entries],
            loc="upper left",
            bbox_to_anchor=(1.0, 1.02),
            fontsize=min(TEXT_SIZE - 1, room),
            ncols=columns,
            frameon=False,
            handlelength=2.6,
        )


def _set_ticks(axis: Axis, ticks: Sequence[float], texts: Sequence[str]) -> None:
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FixedFormatter(texts))
