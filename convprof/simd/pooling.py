"""Largest and average of windows of an image in NHWC: vectors along the channels.

An average is a sum times a factor; the largest of nothing is minus infinity. A NaN in a window of
the largest may or may not be its result: whichever is compared last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from convprof.simd.loops import UNROLL, counted, function
from convprof.simd.writer import Writer, over_channels

if TYPE_CHECKING:
    from collections.abc import Sequence

Which: TypeAlias = Literal["max", "avg"]


def neutral(w: Writer, which: Which) -> str:
    """Return the vector of what leaves any other number as it is.

    LLVM spells infinity in hexadecimal digits of a double.
    """
    return f"splat ({w.element} 0xFFF0000000000000)" if which == "max" else "zeroinitializer"


def joined(w: Writer, which: Which, a: str, b: str) -> str:
    """Write the larger of two vectors, or their sum."""
    return w.larger(a, b) if which == "max" else w.add(f"fadd {w.vector} {a}, {b}")


def scaled(w: Writer, vector: str, factor: float) -> str:
    """Write a vector times a factor."""
    if factor == 1.0:
        return vector
    return w.add(f"fmul {w.vector} {vector}, {w.splat(w.rounded(factor))}")


@dataclass(frozen=True)
class ChannelsTile:
    """``void tile(T *x, T *y)``: some windows in NHWC, a few pixels with all taps written out."""

    dtype: str
    lanes: int
    which: Which
    pixels: tuple[int, ...]
    """Where each window's first tap that counts starts."""
    taps: tuple[int, ...]
    """Where each tap lies, from there."""
    y_pixels: tuple[int, ...]
    channels: int
    factor: float = 1.0
    fused: bool = True

    @property
    def title(self) -> str:
        """``max of 4 windows x 64 channels``."""
        return f"{self.which} of {len(self.pixels)} windows x {self.channels} channels"

    @property
    def elements(self) -> int:
        """Results in one execution."""
        return len(self.pixels) * self.channels

    def ir(self, name: str) -> str:
        """Return the LLVM IR of the kernel."""
        w = Writer(self.dtype, self.lanes, fused=self.fused)
        return over_channels(w, name, self.channels, self._body, parameters="ptr %x, ptr %y")

    def _body(self, w: Writer, channel: str, mask: str | None) -> None:
        """Write one vector of channels; what neighbouring windows share is loaded once."""
        x, y = w.at("%x", channel), w.at("%y", channel)
        found: dict[int, str] = {}
        for pixel, target in zip(self.pixels, self.y_pixels, strict=True):
            total = ""
            for tap in self.taps:
                place = pixel + tap
                if place not in found:
                    found[place] = w.load(w.at(x, place), mask)
                total = joined(w, self.which, total, found[place]) if total else found[place]
            w.store(scaled(w, total, self.factor), w.at(y, target), mask)


@dataclass(frozen=True)
class RegionTile:
    """``void tile(T *x, T *y)``: one window in NHWC, of any size, for some channels."""

    dtype: str
    lanes: int
    which: Which
    height: int
    width: int
    row: int
    """Elements from one row of the image to the next."""
    pixel: int
    """From one pixel to the next."""
    channels: int
    factor: float = 1.0
    fused: bool = True

    @property
    def title(self) -> str:
        """``avg of 7 x 7 pixels``."""
        return f"{self.which} of {self.height} x {self.width} pixels"

    @property
    def elements(self) -> int:
        """Results in one execution."""
        return self.channels

    def ir(self, name: str) -> str:
        """Return the LLVM IR of the kernel: loops over rows and pixels for some vectors at once."""
        w = Writer(self.dtype, self.lanes, fused=self.fused)
        whole, rest = divmod(self.channels, self.lanes)
        masks = [None] * whole + [w.mask(rest)] * (rest > 0)
        for first in range(0, len(masks), UNROLL):
            self._some(w, first * self.lanes, masks[first : first + UNROLL])
        return function(w, name, ["%x", "%y"])

    def _some(self, w: Writer, channel: int, masks: Sequence[str | None]) -> None:
        start = w.at("%x", channel)

        def row(i: str, sums: list[str]) -> list[str]:
            line = w.at(start, w.add(f"mul i64 {i}, {self.row}"))

            def pixel(j: str, sums: list[str]) -> list[str]:
                place = w.at(line, w.add(f"mul i64 {j}, {self.pixel}"))
                return [
                    joined(w, self.which, total, w.load(w.at(place, k * self.lanes), mask))
                    for k, (total, mask) in enumerate(zip(sums, masks, strict=True))
                ]

            return counted(w, self.width, pixel, sums)

        sums = counted(w, self.height, row, [neutral(w, self.which)] * len(masks))
        for k, (total, mask) in enumerate(zip(sums, masks, strict=True)):
            target = w.at("%y", channel + k * self.lanes)
            w.store(scaled(w, total, self.factor), target, mask)
