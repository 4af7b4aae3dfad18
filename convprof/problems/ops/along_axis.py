"""Operations that go along one axis, element by element: running sums, places of extremes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from convprof.problems.ops.base import Array, Op

if TYPE_CHECKING:
    from convprof.problems.shapes import Shape

__all__ = ["Place", "RunningSum"]


@dataclass(frozen=True, slots=True)
class _AlongAxis(Op):
    """An operation along the axis ``axis``, counted from the first one."""

    keeps_images: ClassVar[bool] = False

    axis: int

    def flops(self, *inputs: Shape) -> int:
        """Return one addition or comparison per element."""
        return math.prod(self._whole(*inputs))

    def _whole(self, *inputs: Shape) -> Shape:
        (x,) = self.checked(inputs)
        if not 0 <= self.axis < len(x):
            raise self.misfit(x, f"it has no axis {self.axis}")
        return x


@dataclass(frozen=True, slots=True)
class RunningSum(_AlongAxis):
    """The sums of all elements up to each one, or, with ``exclusive``, before each one.

    ``reverse``: from the last element on.
    """

    kind: ClassVar[str] = "running sum"

    reverse: bool = False
    exclusive: bool = False

    def output(self, *inputs: Shape) -> Shape:
        """Return the shape of the input."""
        return self._whole(*inputs)

    def reference(self, *operands: Array) -> Array:
        """Return the sums in their order."""
        (x,) = operands
        x = np.flip(x, self.axis) if self.reverse else x
        sums = np.cumsum(x, self.axis) - (x if self.exclusive else 0)
        return np.flip(sums, self.axis) if self.reverse else sums


@dataclass(frozen=True, slots=True)
class Place(_AlongAxis):
    """Where the largest or the smallest element is along an axis, which is left out.

    Of equal elements the first one, or with ``last`` the last one.
    """

    kind: ClassVar[str] = "place"

    of: Literal["largest", "smallest"] = "largest"
    last: bool = False

    @property
    def text(self) -> str:
        """``place of the largest``."""
        return f"{self.kind} of the {self.of}"

    def output(self, *inputs: Shape) -> Shape:
        """Return the other axes; of a vector, one element."""
        x = self._whole(*inputs)
        return (*x[: self.axis], *x[self.axis + 1 :]) or (1,)

    def places(self, *inputs: Shape) -> int:
        """Return the elements along the axis."""
        return self._whole(*inputs)[self.axis]

    def reference(self, *operands: Array) -> Array:
        """Return the places as numbers."""
        (x,) = operands
        x = np.flip(x, self.axis) if self.last else x
        places = (np.argmax if self.of == "largest" else np.argmin)(x, self.axis)
        places = x.shape[self.axis] - 1 - places if self.last else places
        return np.asarray(places, np.float64).reshape(self.output(x.shape))
