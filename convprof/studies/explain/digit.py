"""Digits and shapes drawn from strokes, in place of handwriting: 28x28 pixels from 0 to 1."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    Array = np.ndarray[Any, np.dtype[np.float64]]
    Point = tuple[float, float]
    Stroke = tuple[Point, ...]

SIDE = 28
WIDTH = 3.0
"""Pixels across a stroke, as wide as MNIST's pen."""


def _ellipse(x: float, y: float, across: float, down: float) -> Stroke:
    """Return a closed curve around ``(x, y)``."""
    turns = [2 * math.pi * i / 24 for i in range(25)]
    return tuple((x + across * math.cos(t), y + down * math.sin(t)) for t in turns)


_SIX: Stroke = (
    (17, 4), (11, 9), (8, 16), (9, 21), (13, 24), (18, 22), (20, 18), (17, 14), (12, 14), (8.5, 18),
)  # fmt: skip
STROKES: tuple[tuple[Stroke, ...], ...] = (
    (_ellipse(14, 14, 6, 10),),
    (((9, 9), (14, 4), (14, 24)),),
    (((8, 9), (9, 6), (12, 4), (16, 4), (19, 6), (20, 9), (19, 12), (8, 24), (20, 24)),),
    (((8, 6), (11, 4), (16, 4), (19, 7), (18, 11), (13, 13), (18, 15), (20, 19), (17, 23), (11, 24),
      (8, 22)),),
    (((16, 24), (16, 4), (6, 17), (22, 17)),),
    (((19, 4), (9, 4), (8, 13), (13, 11), (18, 13), (20, 18), (17, 23), (11, 24), (8, 22)),),
    (_SIX,),
    (((7, 4), (21, 4), (12, 24)),),
    (_ellipse(14, 9, 5, 5), _ellipse(14, 19, 6, 5)),
    (tuple((27 - x, 27 - y) for x, y in _SIX),),
)  # fmt: skip
"""Of each digit: lines through points ``(x, y)``, x to the right and y downwards."""


def digit(number: int) -> Array:
    """Return a digit, (28, 28)."""
    return drawn(STROKES[number])


def drawn(strokes: Sequence[Stroke]) -> Array:
    """Return strokes drawn with a round pen, their borders shaded over a pixel."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(float)
    distance = np.full((SIDE, SIDE), np.inf)
    for stroke in strokes:
        for start, end in itertools.pairwise(stroke):
            distance = np.minimum(distance, _to_segment(x, y, start, end))
    ink: Array = np.clip((WIDTH + 1) / 2 - distance, 0, 1)
    return ink


def _to_segment(x: Array, y: Array, start: Point, end: Point) -> Array:
    """Return the distance of every pixel to a segment."""
    (x0, y0), (dx, dy) = start, (end[0] - start[0], end[1] - start[1])
    length = dx * dx + dy * dy
    along = np.clip(((x - x0) * dx + (y - y0) * dy) / length, 0, 1) if length else 0.0
    distance: Array = np.hypot(x - x0 - along * dx, y - y0 - along * dy)
    return distance
