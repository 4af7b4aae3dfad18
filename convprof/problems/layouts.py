"""The layouts of images: the only place that knows the order of their axes in memory.

The logical order is (n, c, h, w). A tensor whose layout is None has its logical order in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.errors import ProblemError
from convprof.problems.checks import shown
from convprof.problems.shapes import IMAGE_AXES

if TYPE_CHECKING:
    import numpy as np

    from convprof.problems.shapes import Shape

    Array = np.ndarray[Any, Any]

NCHW, NHWC = LAYOUTS = ("nchw", "nhwc")
_ORDERS = {NCHW: (0, 1, 2, 3), NHWC: (0, 2, 3, 1)}
"""By layout, the logical axis at each place in memory."""


def _order(layout: str) -> tuple[int, int, int, int]:
    if layout not in _ORDERS:
        raise ProblemError(f"layout={shown(layout)}: use {' or '.join(LAYOUTS)}")
    return _ORDERS[layout]


def arranged(shape: Shape, layout: str | None) -> Shape:
    """Return the shape in memory of a tensor of this logical shape."""
    return shape if layout is None else tuple(shape[axis] for axis in _order(layout))


def to_layout(image: Array, layout: str | None) -> Array:
    """Return a view of a logical tensor, with the axes in the order of ``layout``."""
    return image if layout is None else image.transpose(_order(layout))


def to_logical(stored: Array, layout: str | None) -> Array:
    """Return a view of a tensor in ``layout``, with the axes in the logical order."""
    if layout is None:
        return stored
    order = _order(layout)
    return stored.transpose([order.index(axis) for axis in range(IMAGE_AXES)])
