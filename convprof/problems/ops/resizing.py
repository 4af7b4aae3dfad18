"""Resizing an image: interpolation between its pixels, or the nearest one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from convprof.errors import ProblemError
from convprof.problems.checks import shown, size
from convprof.problems.ops.base import Op

if TYPE_CHECKING:
    from convprof.problems.ops.base import Array
    from convprof.problems.shapes import Shape

__all__ = ["Resize"]

Where: TypeAlias = Literal["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]
"""The position of pixel i of the result in the image, in ONNX's words.

half_pixel: (i + 1/2) / scale - 1/2, and 0 for a result of one pixel in pytorch_half_pixel.
align_corners: the first and the last pixels of both are at the same position.
asymmetric: i / scale.
"""


Rounding: TypeAlias = Literal["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]
"""Which pixel is the nearest one to a position, in ONNX's words."""
_DIGITS = 6
"""Positions nearer to a whole number, or to half of one, are taken for it: programs compute them in
f32, and rounding errors must not decide which pixel is the nearest one."""


class Neighbours(NamedTuple):
    """For each result of an axis: the pixels before and after it, and its distance from before."""

    before: Array
    after: Array
    distance: Array


@dataclass(frozen=True, slots=True)
class Resize(Op):
    """(n, c, h, w) -> (n, c, p, q): linear interpolation along both axes, or the nearest pixel.

    ``scales`` are results per pixel along the rows and the columns, about p / h and q / w. Outside
    the image is its nearest pixel.
    """

    kind: ClassVar[str] = "resize"
    makes_images: ClassVar[bool] = True

    p: int
    q: int
    scales: tuple[float, float]
    where: Where = "half_pixel"
    rounding: Rounding | None = None
    """Of the position to the nearest pixel; None: interpolation."""

    def __post_init__(self) -> None:
        if self.where not in get_args(Where):
            raise ProblemError(f"{shown(self.where)}: use one of {', '.join(get_args(Where))}")
        if self.rounding not in (None, *get_args(Rounding)):
            known = ", ".join(get_args(Rounding))
            raise ProblemError(f"{shown(self.rounding)}: use one of {known}")
        if not all(math.isfinite(scale) and scale > 0 for scale in self.scales):
            raise ProblemError(f"scales {shown(self.scales)}: must be finite and more than 0")

    @property
    def text(self) -> str:
        """``linear to 65x65``."""
        return f"{'nearest' if self.rounding else 'linear'} to {self.p}x{self.q}"

    def output(self, *inputs: Shape) -> Shape:
        """Return (n, c, p, q)."""
        n, c, _, _ = self.image(*inputs)
        return n, c, size("p", self.p), size("q", self.q)

    def flops(self, *inputs: Shape) -> int:
        """Return seven per result: four pixels times their weights, and three sums.

        Three along one axis, if the other one keeps its size; none for the nearest pixel.
        """
        result = self.output(*inputs)
        if self.rounding:
            return 0
        kept = sum(old == new for old, new in zip(inputs[0][2:], result[2:], strict=True))
        return (7, 3, 0)[kept] * math.prod(result)

    def neighbours(self, pixels: int, axis: int) -> Neighbours:
        """Return the neighbours of all results along the rows (axis 0) or the columns (axis 1)."""
        results, scale = (self.p, self.q)[axis], self.scales[axis]
        i = np.arange(results, dtype=np.float64)
        if self.where == "align_corners":
            place = i * ((pixels - 1) / max(1, results - 1))
        elif self.where == "asymmetric":
            place = i / scale
        else:
            place = (i + 0.5) / scale - 0.5
            if self.where == "pytorch_half_pixel" and results == 1:
                place[:] = 0.0
        if self.rounding:
            nearest = np.clip(_rounded(np.round(place, _DIGITS), self.rounding), 0, pixels - 1)
            return Neighbours(nearest, nearest, np.zeros(results))
        place = np.clip(place, 0, pixels - 1)
        before = np.minimum(place.astype(np.int64), pixels - 1)
        return Neighbours(before, np.minimum(before + 1, pixels - 1), place - before)

    def reference(self, *operands: Array) -> Array:
        """Return the rows interpolated, then the columns."""
        (y,) = operands
        for axis in (0, 1):
            before, after, distance = self.neighbours(y.shape[2 + axis], axis)
            weight = distance[:, None] if axis == 0 else distance
            first, second = (y.take(pixels, 2 + axis) for pixels in (before, after))
            y = (1 - weight) * first + weight * second
        return y


def _rounded(place: Array, rounding: Rounding) -> Array:
    """Return whole numbers; ties go down or up as the rounding says."""
    results = {
        "floor": lambda: np.floor(place),
        "ceil": lambda: np.ceil(place),
        "round_prefer_floor": lambda: np.ceil(place - 0.5),
        "round_prefer_ceil": lambda: np.floor(place + 0.5),
    }
    return results[rounding]().astype(np.int64)
