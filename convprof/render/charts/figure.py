"""Charts as matplotlib figures: object interface only, no global state, no display."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from convprof.render.charts.bar_figure import bars_height, draw_bars
from convprof.render.charts.chart import Bars, Chart, HeatMap
from convprof.render.charts.heat_figure import draw_heat_map
from convprof.render.charts.line_figure import draw_lines
from convprof.render.charts.sizes import (
    CAPTION_COLUMNS,
    HEIGHT,
    LINE_GREY,
    LINE_HEIGHT,
    POINTS,
    SMALL_SIZE,
    SUBTITLE_COLUMNS,
    SUBTITLE_SIZE,
    TITLE_COLUMNS,
    TITLE_SIZE,
    WIDTH,
)
from convprof.render.charts.wrapping import wrapped

if TYPE_CHECKING:
    from convprof.render.charts.chart import Drawable

ATTEMPTS = 3
"""The most drawings until every label has a place; a wider legend can cover the place of others."""
LEFT = 0.01
PAD = 0.09
"""Inches around the axes."""
GAP = 6.0
"""Points between title, axes and caption."""


def figure_of(chart: Drawable) -> Figure:
    """Return the figure, without overlaps and with nothing beyond its edge.

    Labels of points and levels without room next to them move to the legend.
    """
    if isinstance(chart, Bars):
        figure = _framed(chart, bars_height(chart))
        draw_bars(figure, chart)
        return figure
    if isinstance(chart, HeatMap):
        figure = _framed(chart, HEIGHT)
        draw_heat_map(figure.add_subplot(), chart)
        return figure
    return _lines(chart)


def _lines(chart: Chart) -> Figure:
    homeless: set[str] = set()
    for _ in range(ATTEMPTS):
        figure = _framed(chart, HEIGHT)
        left_over = draw_lines(figure, chart, homeless)
        if not left_over:
            break
        homeless |= left_over
    return figure


def _framed(chart: Drawable, height: float) -> Figure:
    """Return a figure with title, subtitle and caption; `height`: inches left for the axes."""
    title = wrapped(chart.title, TITLE_COLUMNS)
    subtitle = wrapped(chart.subtitle, SUBTITLE_COLUMNS)
    caption = wrapped(chart.caption, CAPTION_COLUMNS)
    above = [LINE_HEIGHT * TITLE_SIZE * len(title), LINE_HEIGHT * SUBTITLE_SIZE * len(subtitle)]
    below = LINE_HEIGHT * SMALL_SIZE * len(caption)
    total = POINTS * height + sum(above) + below + 3 * GAP
    figure = Figure(figsize=(WIDTH, total / POINTS))
    top, bottom = 1 - (sum(above) + GAP) / total, (below + GAP) / total
    figure.set_layout_engine(
        ConstrainedLayoutEngine(rect=(0, bottom, 1, top - bottom), w_pad=PAD, h_pad=PAD)
    )
    y = 1 - GAP / total
    for lines, size, weight, color in (
        (title, TITLE_SIZE, "bold", "black"),
        (subtitle, SUBTITLE_SIZE, "normal", LINE_GREY),
    ):
        if lines:
            text = "\n".join(lines)
            figure.text(LEFT, y, text, va="top", fontsize=size, weight=weight, color=color)
        y -= LINE_HEIGHT * size * len(lines) / total
    if caption:
        text = "\n".join(caption)
        figure.text(LEFT, GAP / total, text, va="bottom", fontsize=SMALL_SIZE, color=LINE_GREY)
    return figure
