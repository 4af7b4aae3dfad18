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
_MOST_TAPS = 64
"""Pixels along an axis that one result may read."""
_MOST_WEIGHTS = 1 << 21
"""Of all results along an axis: their table takes tens of bytes for each."""
_MOST_CUBIC = 2
"""With any coefficient of so few, a result is the sum of pixels and weights of usual size."""
_DIGITS = 6
"""Positions nearer to a whole number, or to half of one, are taken for it: programs compute them in
f32, and rounding errors must not decide which pixel is the nearest one."""


class Taps(NamedTuple):
    """For each result of an axis: the pixels that it is a sum of, and their weights.

    (results, taps): the pixels of a row increase, and so do the ones of a column.
    """

    pixels: Array
    weights: Array

    @property
    def per_result(self) -> int:
        """Pixels of a result."""
        return int(self.pixels.shape[1])


@dataclass(frozen=True, slots=True)
class Resize(Op):
    """(n, c, h, w) -> (n, c, p, q): interpolation along both axes, or the nearest pixel.

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
    cubic: float | None = None
    """The coefficient a of cubic interpolation (Keys 1981), mostly -0.75; None: linear."""
    antialias: bool = False
    """Whether a result of a smaller image is a sum of 1 / scale times as many pixels."""
    excludes_outside: bool = False
    """Whether pixels outside the image have weight 0; the other weights still sum to 1."""

    def __post_init__(self) -> None:
        if self.where not in get_args(Where):
            raise ProblemError(f"{shown(self.where)}: use one of {', '.join(get_args(Where))}")
        if self.rounding not in (None, *get_args(Rounding)):
            known = ", ".join(get_args(Rounding))
            raise ProblemError(f"{shown(self.rounding)}: use one of {known}")
        if not all(math.isfinite(scale) and scale > 0 for scale in self.scales):
            raise ProblemError(f"scales {shown(self.scales)}: must be finite and more than 0")
        if self.cubic is not None and not -_MOST_CUBIC <= self.cubic <= _MOST_CUBIC:
            limits = f"-{_MOST_CUBIC} to {_MOST_CUBIC}"
            raise ProblemError(f"the coefficient {shown(self.cubic)}: must be {limits}")

    @property
    def text(self) -> str:
        """``linear to 65x65``."""
        kind = "nearest" if self.rounding else "linear" if self.cubic is None else "cubic"
        smooth = " antialiased" if self.antialias else ""
        return f"{kind} to {self.p}x{self.q}{smooth}"

    def output(self, *inputs: Shape) -> Shape:
        """Return (n, c, p, q)."""
        n, c, _, _ = self.image(*inputs)
        return n, c, size("p", self.p), size("q", self.q)

    def flops(self, *inputs: Shape) -> int:
        """Return a product for each tap of both axes, and their sums: seven where these are two.

        None where the result is one pixel.
        """
        result = self.output(*inputs)
        both = math.prod(self.taps(inputs[0][2 + axis], axis).per_result for axis in (0, 1))
        return (2 * both - 1 if both > 1 else 0) * math.prod(result)

    def taps(self, pixels: int, axis: int) -> Taps:
        """Return the taps of all results along the rows (axis 0) or the columns (axis 1).

        ProblemError if there are too many of them.
        """
        if reason := self.too_many_taps:
            raise ProblemError(f"{self.text}: {reason}")
        place = self._places(pixels, axis)
        if self.rounding:
            nearest = np.clip(_rounded(np.round(place, _DIGITS), self.rounding), 0, pixels - 1)
            return Taps(nearest[:, None], np.ones((len(nearest), 1)))
        reach = self._reach(axis)
        first = np.floor(place - reach).astype(np.int64) + 1
        every = first[:, None] + np.arange(math.ceil(2 * reach))
        weights = _weights(np.abs(every - place[:, None]) * self._narrow(axis), self.cubic)
        if self.excludes_outside:
            weights[(every < 0) | (every >= pixels)] = 0.0
        weights /= weights.sum(axis=1, keepdims=True)
        used = weights.any(axis=0)
        return Taps(np.clip(every, 0, pixels - 1)[:, used], weights[:, used])

    @property
    def too_many_taps(self) -> str | None:
        """Why the table of the taps would be too large; None for a table of usual size."""
        for axis, results in enumerate((self.p, self.q)):
            taps = 1 if self.rounding else math.ceil(2 * self._reach(axis))
            if taps > _MOST_TAPS:
                return f"more than {_MOST_TAPS} pixels for one result"
            if taps * results > _MOST_WEIGHTS:
                return f"more than {_MOST_WEIGHTS} weights along an axis"
        return None

    def _reach(self, axis: int) -> float:
        """Return the distance at which pixels have no weight any more, in pixels."""
        return (1 if self.cubic is None else 2) / self._narrow(axis)

    def _narrow(self, axis: int) -> float:
        return min(1.0, self.scales[axis]) if self.antialias else 1.0

    def _places(self, pixels: int, axis: int) -> Array:
        """Return the positions of all results in the image."""
        results, scale = (self.p, self.q)[axis], self.scales[axis]
        i = np.arange(results, dtype=np.float64)
        if self.where == "align_corners":
            return i * ((pixels - 1) / max(1, results - 1))
        if self.where == "asymmetric":
            return i / scale
        place = (i + 0.5) / scale - 0.5
        if self.where == "pytorch_half_pixel" and results == 1:
            place[:] = 0.0
        return place

    def reference(self, *operands: Array) -> Array:
        """Return the rows interpolated, then the columns."""
        (y,) = operands
        for axis in (0, 1):
            pixels, weights = self.taps(y.shape[2 + axis], axis)
            total: Array = np.zeros(())
            for tap, weight in zip(pixels.T, weights.T, strict=True):
                factor = weight[:, None] if axis == 0 else weight
                total = total + factor * y.take(tap, 2 + axis)
            y = total
        return y


def _weights(distance: Array, cubic: float | None) -> Array:
    """Return the weights of pixels at distances from the position, before they are normalised."""
    a, x = cubic, distance
    weights: Array = np.maximum(1 - x, 0.0)
    if a is not None:
        near = ((a + 2) * x - (a + 3)) * x * x + 1
        far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
        weights = np.where(x <= 1, near, np.where(x < 2, far, 0.0))  # noqa: PLR2004  # Keys 1981
    return weights


def _rounded(place: Array, rounding: Rounding) -> Array:
    """Return whole numbers; ties go down or up as the rounding says."""
    results = {
        "floor": lambda: np.floor(place),
        "ceil": lambda: np.ceil(place),
        "round_prefer_floor": lambda: np.ceil(place - 0.5),
        "round_prefer_ceil": lambda: np.floor(place + 0.5),
    }
    return results[rounding]().astype(np.int64)
