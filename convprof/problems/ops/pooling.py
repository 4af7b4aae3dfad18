"""Pooling: the largest or the average of a window of an image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from convprof.errors import ProblemError
from convprof.integers import ceil_div
from convprof.problems.axis import all_pads
from convprof.problems.checks import size, sizes
from convprof.problems.ops.base import Op, window_text

if TYPE_CHECKING:
    from convprof.problems.ops.base import Array
    from convprof.problems.shapes import Shape

__all__ = ["AdaptiveAverage", "Pool2d"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool2d(Op):
    """(n, c, h, w) -> (n, c, p, q): a window of r x s per channel, moved by the stride.

    ``pad`` is (rows, columns) or (top, left, bottom, right). Padding is never the maximum. An
    average divides by r x s where ``count_padding``, else by the number of pixels in the window;
    positions past the padding, which ``ceil`` can reach, are neither read nor counted. ``ceil``:
    the output's size is rounded up, but every window begins within the image or the padding before
    it.
    """

    kind: ClassVar[str] = "pool"
    makes_images: ClassVar[bool] = True

    which: Literal["max", "avg"]
    r: int
    s: int
    stride: tuple[int, int]
    pad: tuple[int, int] | tuple[int, int, int, int] = (0, 0)
    ceil: bool = False
    count_padding: bool = True

    def __post_init__(self) -> None:
        for key in ("r", "s"):
            object.__setattr__(self, key, size(key, getattr(self, key)))
        object.__setattr__(self, "stride", sizes("stride", self.stride, (2,), least=1))
        object.__setattr__(self, "pad", sizes("pad", self.pad, (2, 4), least=0))
        top, left, bottom, right = self.pads
        if max(top, bottom) >= self.r or max(left, right) >= self.s:
            raise ProblemError(
                f"pad={self.pad}: must be less than the window {self.r}x{self.s}, "
                "or some windows would hold only padding"
            )

    @classmethod
    def square(
        cls, which: Literal["max", "avg"], side: int, *, stride: int, pad: int = 0
    ) -> Pool2d:
        """Return a window of side x side, moved alike in both directions."""
        return cls(which=which, r=side, s=side, stride=(stride, stride), pad=(pad, pad))

    @property
    def keeps_bytes(self) -> bool:
        """A maximum is one of the elements."""
        return self.which == "max"

    @property
    def text(self) -> str:
        """``max 3x3 s2``."""
        return f"{self.which} {window_text(self.r, self.s, self.stride)}"

    @property
    def pads(self) -> tuple[int, int, int, int]:
        """Padding in elements: (top, left, bottom, right)."""
        return all_pads(self.pad)

    def output(self, *inputs: Shape) -> Shape:
        """Return (n, c, p, q)."""
        n, c, h, w = self.image(*inputs)
        top, left, bottom, right = self.pads
        if h + top + bottom < self.r or w + left + right < self.s:
            raise self.misfit(inputs[0], "the window does not fit; use a larger image")
        return (
            n,
            c,
            self._out(h, self.r, self.stride[0], top, bottom),
            self._out(w, self.s, self.stride[1], left, right),
        )

    def _out(self, inputs: int, window: int, stride: int, begin: int, end: int) -> int:
        room = inputs + begin + end - window
        if not self.ceil:
            return room // stride + 1
        out = ceil_div(room, stride) + 1
        return out - 1 if (out - 1) * stride >= inputs + begin else out

    def flops(self, *inputs: Shape) -> int:
        """Return one step per window element and result."""
        return self.r * self.s * math.prod(self.output(*inputs))

    def reference(self, *operands: Array) -> Array:
        """Return the largest of every window, or the sum over the number of counted pixels."""
        (x,) = operands
        if self.which == "max":
            largest: Array = self._windows(x, -np.inf, -np.inf).max((-2, -1))
            return largest
        pixels = np.ones((1, 1, *x.shape[2:]))
        counts = self._windows(pixels, 1.0 if self.count_padding else 0.0, 0.0).sum((-2, -1))
        average: Array = self._windows(x, 0.0, 0.0).sum((-2, -1)) / counts
        return average

    def _windows(self, x: Array, padding: float, beyond: float) -> Array:
        """Return every window, (n, c, p, q, r, s), with the given values outside the image."""
        top, left, bottom, right = self.pads
        _, _, p, q = self.output(x.shape)
        sides = ((0, 0), (0, 0), (top, bottom), (left, right))
        padded = np.pad(x, sides, constant_values=padding)
        ends = (p - 1) * self.stride[0] + self.r, (q - 1) * self.stride[1] + self.s
        rows, columns = (max(0, end - n) for end, n in zip(ends, padded.shape[2:], strict=True))
        sides = ((0, 0), (0, 0), (0, rows), (0, columns))
        whole = np.pad(padded, sides, constant_values=beyond)
        windows = sliding_window_view(whole, (self.r, self.s), (2, 3))
        return windows[:, :, :: self.stride[0], :: self.stride[1]][:, :, :p, :q]


@dataclass(frozen=True, slots=True)
class AdaptiveAverage(Op):
    """(n, c, h, w) -> (n, c, p, q): averages over p x q regions that cover the image.

    Region i of p spans the rows from floor(i h / p) to ceil((i + 1) h / p), likewise the columns:
    1 x 1 is the average of the whole image, and an image of p x q does not change.
    """

    kind: ClassVar[str] = "adaptive pool"
    makes_images: ClassVar[bool] = True

    p: int
    q: int

    @property
    def text(self) -> str:
        """``avg to 7x7``."""
        return f"avg to {self.p}x{self.q}"

    def output(self, *inputs: Shape) -> Shape:
        """Return (n, c, p, q)."""
        n, c, _, _ = self.image(*inputs)
        return n, c, size("p", self.p), size("q", self.q)

    def flops(self, *inputs: Shape) -> int:
        """Return one step per pixel of every region, and a division per result; a copy has none."""
        n, c, p, q = self.output(*inputs)
        _, _, h, w = inputs[0]
        if (h, w) == (p, q):
            return 0
        return n * c * (_spans(h, p) * _spans(w, q) + p * q)

    def reference(self, *operands: Array) -> Array:
        """Return the mean of every region."""
        (x,) = operands
        h, w = x.shape[2:]
        result = np.empty((*x.shape[:2], self.p, self.q))
        for i, j in np.ndindex(self.p, self.q):
            rows = slice(i * h // self.p, ceil_div((i + 1) * h, self.p))
            columns = slice(j * w // self.q, ceil_div((j + 1) * w, self.q))
            result[:, :, i, j] = x[:, :, rows, columns].mean((2, 3))
        return result


def _spans(pixels: int, regions: int) -> int:
    """Return the sum of the lengths of all regions, which overlap where they do not divide.

    Between neighbours, the end ceil(i x / p) is one past the beginning floor(i x / p), unless p
    divides i x. That happens gcd(x, p) - 1 times.
    """
    return pixels + regions - math.gcd(pixels, regions)
