"""Where the elements of a rearranged tensor are in the memory of the tensor itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.problems.shapes import Shape
    from convprof.problems.tensors import Array

MOST_ELEMENTS = 1 << 28
"""Of a tensor whose places are looked at: a rearrangement that is no view takes a byte of each."""


class Strides(NamedTuple):
    """The places of the elements of a tensor in the memory of another one, in elements."""

    shape: Shape
    strides: tuple[int, ...]
    start: int
    is_dense: bool
    """Whether the elements are next to each other, in the order of the shape."""


def places_of(moved: Callable[[Array], Array], shape: Shape) -> Strides | None:
    """Return the places of the elements of ``moved(x)`` in a tensor ``x`` of a shape.

    None where the result is no view of ``x``, or where ``x`` has over ``MOST_ELEMENTS``.
    """
    if math.prod(shape) > MOST_ELEMENTS:
        return None
    x = np.empty(shape, np.uint8)  # a view touches no page of it
    view = moved(x)
    if not np.may_share_memory(view, x):
        return None
    start = int(view.ctypes.data - x.ctypes.data)
    return Strides(view.shape, view.strides, start, view.flags.c_contiguous)
