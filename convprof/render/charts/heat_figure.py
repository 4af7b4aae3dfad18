"""Heat maps on matplotlib axes: numbers in the cells, a colour bar, marked cells outlined."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from convprof.render.charts import palette, scale
from convprof.render.charts.sizes import SMALL_SIZE, TEXT_SIZE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from convprof.render.charts.chart import HeatMap
    from convprof.render.charts.palette import Look

MOST_NUMBERS = 150
"""The most cells with numbers; with more cells, numbers would be too small to read."""
COLOURS = "cividis"
"""Nunez et al. 2018: the same to colour-blind readers, and in greyscale ordered by brightness."""
MARKS_PER_ROW = 4
_BRIGHT = 0.55
EDGE = 4
"""Points of an outline with its white edge."""


def draw_heat_map(axes: Axes, chart: HeatMap) -> None:
    """Draw the map with its axes, its colour bar and its marks."""
    size, small = TEXT_SIZE, SMALL_SIZE
    axes.set_xlabel(chart.x_label, fontsize=size)
    axes.set_ylabel(chart.y_label, fontsize=size)
    values = np.array(
        [[np.nan if v is None else v for v in row] for row in chart.values], dtype=float
    )
    image = axes.imshow(np.ma.masked_invalid(values), cmap=COLOURS, aspect="auto")
    axes.set_facecolor("white")
    axes.set_xticks(range(len(chart.columns)), chart.columns, fontsize=size)
    axes.set_yticks(range(len(chart.rows)), chart.rows, fontsize=size)
    axes.tick_params(length=0)
    bar = axes.figure.colorbar(image, ax=axes, pad=0.02)
    bar.set_label(chart.unit, fontsize=size)
    if values.size <= MOST_NUMBERS:
        _numbers(axes, values, small)
    _marks(axes, chart, size)


def _numbers(
    axes: Axes, values: np.ndarray[tuple[int, int], np.dtype[np.float64]], size: float
) -> None:
    low, high = np.nanmin(values), np.nanmax(values)
    for (row, column), value in np.ndenumerate(values):
        if np.isnan(value):
            text, colour = "-", "black"
        else:
            share = (value - low) / (high - low) if high > low else 1.0
            text, colour = scale.number(value), "black" if share > _BRIGHT else "white"
        axes.text(column, row, text, ha="center", va="center", fontsize=size, color=colour)


def _outline(look: Look, corner: tuple[float, float], side: float, label: str) -> Rectangle:
    """Return a square without a filling; its white edge separates it from a cell of its grey."""
    return Rectangle(
        corner,
        side,
        side,
        fill=False,
        edgecolor=look.color,
        linewidth=2,
        linestyle=(0, look.dash) if look.dash else "-",
        label=label,
        path_effects=[withStroke(linewidth=EDGE, foreground="white")],
    )


def _marks(axes: Axes, chart: HeatMap, size: float) -> None:
    """Outline the cells of each mark; outlines of several marks of a cell are nested."""
    handles = []
    for index, mark in enumerate(chart.marks):
        look = palette.numbered(index + 1)
        room = 0.06 * (index + 1)
        for row, column in mark.cells:
            corner = (column - 0.5 + room, row - 0.5 + room)
            axes.add_patch(_outline(look, corner, 1 - 2 * room, ""))
        handles.append(_outline(look, (0, 0), 1, mark.label))
    if handles:
        axes.legend(
            handles=handles,
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            ncols=MARKS_PER_ROW,
            fontsize=size,
            frameon=False,
        )
