"""Several rearrangements, one after the other, as one: every element is moved once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from convprof.problems.ops.base import Op

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.problems.ops.base import Array
    from convprof.problems.shapes import Shape

__all__ = ["Rearranged"]

MOST_ELEMENTS = 1 << 28
"""Of a tensor whose places are looked at: a rearrangement that is no view takes a byte of each."""


class Strides(NamedTuple):
    """The places of the elements of a tensor in the memory of another one, in elements."""

    shape: Shape
    strides: tuple[int, ...]
    start: int
    is_dense: bool
    """Whether the elements are next to each other, in the order of the shape."""


@dataclass(frozen=True, slots=True)
class Rearranged(Op):
    """The operations ``ops``, each of which only rearranges the result of the one before."""

    kind: ClassVar[str] = "rearrange"
    keeps_images: ClassVar[bool] = False

    ops: tuple[Op, ...]

    @property
    def text(self) -> str:
        """``slice, reshape, transpose``."""
        return ", ".join(op.text for op in self.ops)

    @property
    def only_rearranges(self) -> bool:
        """True: nothing is computed."""
        return True

    def output(self, *inputs: Shape) -> Shape:
        """Return the shape of the last result."""
        (shape,) = self.checked(inputs)
        for op in self.ops:
            shape = op.output(shape)
        return shape

    def reference(self, *operands: Array) -> Array:
        """Return the result of the last operation: a view, if NumPy can make one."""
        (x,) = operands
        for op in self.ops:
            x = op.reference(x)
        return x

    def strides(self, shape: Shape) -> Strides | None:
        """Return the result's places in an input of a shape; see ``strides_of``."""
        return strides_of(self.reference, shape)


def strides_of(moved: Callable[[Array], Array], shape: Shape) -> Strides | None:
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
