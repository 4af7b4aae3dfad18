"""Charts as matplotlib figures: object interface only, no global state, no display."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from convprof.render.charts import scale
from convprof.render.charts.axes import HEIGHT, LINE_GREY, SMALL_SIZE, TEXT_SIZE, WIDTH, Drawing
from convprof.render.charts.chart import Chart, HeatMap
from convprof.render.charts.heat_figure import draw_heat_map
from convprof.render.charts.labels import Labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from convprof.render.charts.axes import Placed

TITLE_SIZE = 13
CAPTION_COLUMNS = 135
TITLE_COLUMNS = 84
ATTEMPTS = 3
"""Drawings until every label has a place; a wider legend can take the place of others."""


def figure_of(chart: Chart | HeatMap) -> Figure:
    """Return the figure; nothing in it overlaps or reaches over its edge.

    Labels of points and levels without room beside them move to the legend.
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
