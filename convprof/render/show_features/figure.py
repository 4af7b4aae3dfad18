"""The sheet as a matplotlib figure: object interface only, no global state, no display."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from convprof.render.show_features.placing import LINE, MARGIN, NOTE_SIZE, WIDTH, place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from convprof.render.show_features.placing import Cell
    from convprof.studies.show_features.sheet import Frame, Panel, Section

    Array = np.ndarray[Any, Any]

DOTS_PER_INCH = 100
NOTE_GREY, RULE_GREY = "#444444", "#bbbbbb"
HEAT_COLOURS, HEAT_SHARE = "inferno", 0.72
LABEL_SIZE = 12.0
LABEL_ROOM = 26
"""Pixels that a label needs above its frame; with fewer the label is inside."""
INSET_SHARE, LEAST_INSET = 0.26, 24
"""The size of a filter: a share of its panel's shorter side, and pixels."""


def figure_of(title: str, sections: Sequence[Section]) -> Figure:
    """Return the sheet as a figure; its size in pixels comes from ``place``."""
    placed = place(title, sections)
    page = _Page(placed.height)
    for line in placed.lines:
        page.text(MARGIN, line.y, line.text, line.size, weight=line.weight)
    for y in placed.rules:
        page.rule(y)
    for cell in placed.cells:
        page.text(cell.x, cell.y, cell.panel.title, cell.title_size, weight="bold")
        below = cell.y + LINE * cell.title_size
        for number, text in enumerate(cell.lines):
            page.text(cell.x, below + LINE * NOTE_SIZE * number, text, NOTE_SIZE, color=NOTE_GREY)
        page.panel(cell)
    return page.figure


class _Page:
    """A figure whose coordinates are pixels from the upper left corner."""

    def __init__(self, height: float) -> None:
        self.height = round(height)
        self.figure = Figure(figsize=(WIDTH / DOTS_PER_INCH, self.height / DOTS_PER_INCH))

    def text(self, x: float, y: float, text: str, size: float, **look: Any) -> None:
        """Write a line whose top is at y."""
        at = x / WIDTH, 1 - y / self.height
        # A file's name may have dollar signs, which must not begin a formula.
        self.figure.text(*at, text, fontsize=size, va="top", parse_math=False, **look)

    def rule(self, y: float) -> None:
        """Draw a line across."""
        width = WIDTH - 2 * MARGIN
        at = MARGIN / WIDTH, 1 - y / self.height
        line = Rectangle(at, width / WIDTH, 1 / self.height, color=RULE_GREY, linewidth=0)
        self.figure.add_artist(line)

    def panel(self, cell: Cell) -> None:
        """Draw a panel's picture, its filter in the lower right corner."""
        width, height, top = cell.width, cell.height, cell.y + cell.above
        _show(self._axes(cell.x, top, width, height), cell)
        kernel = cell.panel.kernel
        if kernel is not None:
            side = min(max(INSET_SHARE * min(width, height), LEAST_INSET), width / 2, height)
            inset = self._axes(cell.x + width - side, top + height - side, side, side)
            end = float(np.abs(kernel).max())
            inset.imshow(kernel, cmap="gray", vmin=-end, vmax=end, interpolation="nearest")

    def _axes(self, x: float, y: float, width: float, height: float) -> Axes:
        box = (
            x / WIDTH,
            1 - (y + height) / self.height,
            width / WIDTH,
            height / self.height,
        )
        axes = self.figure.add_axes(box)
        axes.set_xticks([])
        axes.set_yticks([])
        return axes


def _show(axes: Axes, cell: Cell) -> None:
    """Draw the numbers of a panel, white its limit, and its frames."""
    panel = cell.panel
    values = panel.values if panel.heat is None else _heated(panel.values, panel)
    low = -panel.limit if panel.signed else 0
    axes.imshow(
        values, cmap="gray", vmin=low, vmax=panel.limit, interpolation="nearest", aspect="auto"
    )
    for frame in panel.frames:
        _mark(axes, frame, cell.height / panel.values.shape[0])


def _mark(axes: Axes, frame: Frame, zoom: float) -> None:
    """Outline a square and label it: above if there is room, else inside or next to it."""
    side = frame.side
    left, top = frame.x - 0.5, frame.y - 0.5  # a pixel's coordinate is the middle of the pixel
    x, y = left + side / 2, top + side / 2
    outline = Rectangle((left, top), side, side, fill=False)
    outline.set(edgecolor="white", linewidth=2)
    outline.set_path_effects([withStroke(linewidth=4.5, foreground="black")])
    axes.add_patch(outline)
    if frame.y * zoom > LABEL_ROOM:
        at, away, ha, va = (x, top), (0, 3), "center", "bottom"
    elif side * zoom > LABEL_ROOM:
        at, away, ha, va = (x, y), (0, 0), "center", "center"
    elif frame.x * zoom > LABEL_ROOM:
        at, away, ha, va = (left, y), (-4, 0), "right", "center"
    else:
        at, away, ha, va = (left + side, y), (4, 0), "left", "center"
    axes.annotate(
        frame.label, at, xytext=away, textcoords="offset points", ha=ha, va=va,
        color="white", fontsize=LABEL_SIZE, weight="bold",
        path_effects=[withStroke(linewidth=3, foreground="black")],
    )  # fmt: skip


def _heated(grey: Array, panel: Panel) -> Array:
    """Return a brightness plane under the colours of its heat, (h, w, 3)."""
    share = np.clip(np.asarray(panel.heat) / panel.limit, 0, 1)
    colours = colormaps[HEAT_COLOURS](share)[..., :3]
    patches = np.kron(colours, np.ones((panel.patch, panel.patch, 1)))
    mixed: Array = HEAT_SHARE * patches + (1 - HEAT_SHARE) * grey[..., None]
    return np.clip(mixed, 0, 1)  # rounding may exceed the range
