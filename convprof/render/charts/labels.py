"""Labels in a picture that cover neither each other nor a point, and stay within the axes."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Literal, TypeAlias

from matplotlib.text import Text
from matplotlib.transforms import Bbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.text import Annotation

Horizontal: TypeAlias = Literal["left", "center", "right"]
Vertical: TypeAlias = Literal["bottom", "center", "top"]
Place = tuple[float, float, Horizontal, Vertical]
"""Offset in points to the right and up, and the fixed side of the text."""

POINT_PLACES: tuple[Place, ...] = (
    (7, 0, "left", "center"),
    (-7, 0, "right", "center"),
    (0, 7, "center", "bottom"),
    (0, -7, "center", "top"),
    (6, 6, "left", "bottom"),
    (-6, 6, "right", "bottom"),
    (6, -6, "left", "top"),
    (-6, -6, "right", "top"),
    (18, 18, "left", "bottom"),
    (-18, 18, "right", "bottom"),
    (18, -18, "left", "top"),
    (-18, -18, "right", "top"),
    (30, 34, "left", "bottom"),
    (-30, 34, "right", "bottom"),
    (30, -34, "left", "top"),
    (-30, -34, "right", "top"),
)
FAR = 10.0
"""From this offset on a thin line joins a label to its point."""
LEADER_STEPS = 12
CLEARANCE, LINE_CLEARANCE = 4.0, 1.0
"""Half the side in points of the square that a marker, or a place on a line, keeps free."""
STEP = 4.0
"""Points from one such place to the next."""


LEVEL = 0.02
"""The sine of the largest angle at which a text counts as horizontal."""


class Labels:
    """The places already used on axes whose layout is final; sizes in display units."""

    def __init__(self, axes: Axes, renderer: RendererAgg) -> None:
        self._axes = axes
        self._renderer = renderer
        self._within = axes.get_window_extent(renderer)
        self._scale = renderer.dpi / 72
        self._taken: list[Bbox] = []
        self._labels: list[Bbox] = []

    def keep_free(self, points: Sequence[tuple[float, float]]) -> None:
        """No label may cover the markers at these points, in data coordinates."""
        for x, y in self._axes.transData.transform(list(points)) if points else ():
            self._take(x, y, CLEARANCE)

    def keep_line_free(self, points: Sequence[tuple[float, float]]) -> None:
        """No label may cover the line that joins these points, in data coordinates."""
        pixels = self._axes.transData.transform(points) if points else ()
        for (x0, y0), (x1, y1) in itertools.pairwise(pixels):
            steps = max(1, int(max(abs(x1 - x0), abs(y1 - y0)) / (STEP * self._scale)))
            for step in range(steps + 1):
                share = step / steps
                self._take(x0 + (x1 - x0) * share, y0 + (y1 - y0) * share, LINE_CLEARANCE)

    def take_text(self, text: Annotation) -> bool:
        """Whether a text along a line covers nothing; if so, reserve its place."""
        text.update_positions(self._renderer)
        box = Text.get_window_extent(text, self._renderer)
        spots = [box]
        if math.sin(math.radians(text.get_rotation())) > LEVEL:
            half = CLEARANCE * self._scale
            steps = max(1, int(max(box.width, box.height) / (STEP * self._scale)))
            shares = [step / steps for step in range(steps + 1)]
            middles = [(box.x0 + s * box.width, box.y0 + s * box.height) for s in shares]
            spots = [Bbox.from_extents(x - half, y - half, x + half, y + half) for x, y in middles]
        if any(spot.overlaps(other) for spot in spots for other in self._taken):
            return False
        self._labels += spots
        self._taken += spots
        return True

    def _take(self, x: float, y: float, clearance: float) -> None:
        half = clearance * self._scale
        self._taken.append(Bbox.from_extents(x - half, y - half, x + half, y + half))

    def place(self, label: Annotation, places: Sequence[Place]) -> bool:
        """Move a label to the first place where it covers nothing; return whether one exists."""
        for x, y, horizontal, vertical in places:
            label.set_position((x, y))
            label.set_horizontalalignment(horizontal)
            label.set_verticalalignment(vertical)
            box = self._extent(label)
            if not self._inside(box) or any(box.overlaps(other) for other in self._taken):
                continue
            if max(abs(x), abs(y)) > FAR and not self._join(label, x, y):
                continue
            self._taken.append(box.padded(1.5 * self._scale))
            self._labels.append(box)
            return True
        return False

    def _join(self, label: Annotation, x: float, y: float) -> bool:
        """Draw a line from a point to its label, unless the line would cross another label."""
        x0, y0 = self._axes.transData.transform(label.xy)
        shares = [step / LEADER_STEPS for step in range(LEADER_STEPS + 1)]
        spots = [(x0 + s * x * self._scale, y0 + s * y * self._scale) for s in shares]
        if any(box.contains(*spot) for box in self._labels for spot in spots):
            return False
        self._axes.annotate(
            "",
            label.xy,
            xytext=(x, y),
            textcoords="offset points",
            arrowprops={"arrowstyle": "-", "color": label.get_color(), "linewidth": 0.7},
        )
        return True

    def _extent(self, label: Annotation) -> Bbox:
        """Return the box of the text alone, without its line."""
        label.update_positions(self._renderer)
        return Text.get_window_extent(label, self._renderer)

    def _inside(self, box: Bbox) -> bool:
        room = self._within
        return bool(
            room.x0 <= box.x0 and box.x1 <= room.x1 and room.y0 <= box.y0 and box.y1 <= room.y1
        )
