"""Largest and average of windows of an image in NHWC: vectors along the channels.

An average is a sum times a factor; the maximum of an empty window is minus infinity. A NaN in a
window may or may not become its maximum: this depends on the order of the comparisons.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from convprof.codegen.cache_line import LINE_BYTES
from convprof.codegen.kernels.base import Kernel, Pointers
from convprof.codegen.kernels.elements import WORD
from convprof.codegen.writer import (
    UNROLL,
    Writer,
    across_lanes,
    alive,
    counted,
    over_channels,
    sweep,
)
from convprof.integers import ceil_div

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.codegen.kernels.elements import Elements
    from convprof.dtypes import DType


Which: TypeAlias = Literal["max", "avg"]


def neutral(w: Writer, which: Which) -> str:
    """Return the vector of the neutral element of the operation.

    LLVM spells infinity in hexadecimal digits of a double. The least byte of an unsigned type is 0.
    """
    if which == "max" and w.element == WORD.llvm:
        return "zeroinitializer"
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
class Pooling(Kernel):
    """The common part of all layouts and windows."""

    pointers: ClassVar[Pointers] = (("%x", "source"), ("%y", "result"))

    which: Which

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator


@dataclass(frozen=True)
class ChannelsTile(Pooling):
    """``void tile(T *x, T *y)``: some windows in NHWC, a few pixels with all taps unrolled."""

    pixels: tuple[int, ...]
    """The start of each window's first tap inside the image."""
    taps: tuple[int, ...]
    """The offset of each tap from the first tap."""
    y_pixels: tuple[int, ...]
    channels: int
    factor: float = 1.0

    @property
    def title(self) -> str:
        """``max of 4 windows x 64 channels``."""
        return f"{self.which} of {len(self.pixels)} windows x {self.channels} channels"

    @property
    def elements(self) -> int:
        """Results in one execution."""
        return len(self.pixels) * self.channels

    def _code(self, w: Writer) -> str:
        return over_channels(w, self.channels, self._body)

    def _body(self, w: Writer, channel: str, mask: str | None) -> None:
        """Write one vector of channels; pixels of several windows are loaded once."""
        source, result = self._memory(w, "source"), self._memory(w, "result")
        x, y = source.at("%x", channel), result.at("%y", channel)
        loaded: dict[int, str] = {}
        for pixel, target in zip(self.pixels, self.y_pixels, strict=True):
            total = ""
            for tap in self.taps:
                place = pixel + tap
                if place not in loaded:
                    loaded[place] = source.load(source.at(x, place), mask)
                total = joined(w, self.which, total, loaded[place]) if total else loaded[place]
            result.store(scaled(w, total, self.factor), result.at(y, target), mask)


@dataclass(frozen=True)
class RegionTile(Pooling):
    """``void tile(T *x, T *y)``: one window in NHWC, of any size, for some channels."""

    height: int
    width: int
    row: int
    """Elements from one row of the image to the next."""
    pixel: int
    """From one pixel to the next."""
    channels: int
    factor: float = 1.0

    @property
    def title(self) -> str:
        """``avg of 7 x 7 pixels``."""
        return f"{self.which} of {self.height} x {self.width} pixels"

    @property
    def elements(self) -> int:
        """Results in one execution."""
        return self.channels

    def _code(self, w: Writer) -> str:
        """Write loops over rows and pixels for some vectors at once."""
        whole, rest = divmod(self.channels, self.lanes)
        masks = [None] * whole + [w.mask(rest)] * (rest > 0)
        for first in range(0, len(masks), UNROLL):
            self._some(w, first * self.lanes, masks[first : first + UNROLL])
        return f"{w.taken()}\n"

    def _some(self, w: Writer, channel: int, masks: Sequence[str | None]) -> None:
        source, result = self._memory(w, "source"), self._memory(w, "result")
        start = source.at("%x", channel)

        def row(i: str, sums: list[str]) -> list[str]:
            line = source.at(start, w.add(f"mul i64 {i}, {self.row}"))

            def pixel(j: str, sums: list[str]) -> list[str]:
                place = source.at(line, w.add(f"mul i64 {j}, {self.pixel}"))
                return [
                    self._more(source, total, (place, k), mask)
                    for k, (total, mask) in enumerate(zip(sums, masks, strict=True))
                ]

            return counted(w, self.width, pixel, sums)

        sums = counted(w, self.height, row, [neutral(w, self.which)] * len(masks))
        for k, (total, mask) in enumerate(zip(sums, masks, strict=True)):
            target = result.at("%y", channel + k * self.lanes)
            result.store(scaled(w, total, self.factor), target, mask)

    def _more(self, source: Elements, total: str, place: tuple[str, int], mask: str | None) -> str:
        """Write the join of a vector with the ``k``-th one of a pixel."""
        start, k = place
        return joined(
            source.w, self.which, total, source.load(source.at(start, k * self.lanes), mask)
        )


# Largest and average of windows of an image in NCHW: vectors along a row of a plane.

TOGETHER = 8
"""The number of lines that are written before the first line is read."""


@dataclass(frozen=True)
class PlanesTile(Pooling):
    """``void tile(T *x, T *y)``: the same window of any size in each of some planes of NCHW."""

    height: int
    width: int
    row: int
    """Elements from one row of the image to the next."""
    planes: int
    x_plane: int
    """Elements from one plane of ``x`` to the next."""
    y_plane: int
    factor: float = 1.0

    @property
    def title(self) -> str:
        """``avg of 7 x 7 in 64 planes``."""
        return f"{self.which} of {self.height} x {self.width} in {self.planes} planes"

    @property
    def elements(self) -> int:
        """Results in one execution."""
        return self.planes

    def _code(self, w: Writer) -> str:
        """Write vectors along the rows, then across their lanes."""
        source, result = self._memory(w, "source"), self._memory(w, "result")

        def plane(i: str, nothing: list[str]) -> list[str]:
            start = source.at("%x", w.add(f"mul i64 {i}, {self.x_plane}"))
            target = result.at("%y", w.add(f"mul i64 {i}, {self.y_plane}"))
            result.store(scaled(w, self._window(w, start), self.factor), target, w.mask(1))
            return nothing

        counted(w, self.planes, plane)
        return f"{w.taken()}\n"

    def _window(self, w: Writer, start: str) -> str:
        """Write the maximum or sum of a window, in every lane."""
        height, width, which = self.height, self.width, self.which
        source = self._memory(w, "source")
        if width == self.row:
            height, width = 1, height * width
        nothing = neutral(w, which)

        def line(j: str, sums: list[str]) -> list[str]:
            place = source.at(start, w.add(f"mul i64 {j}, {self.row}"))

            def add(offset: str, mask: str | None, total: str) -> str:
                more = alive(w, source.load(source.at(place, offset), mask), mask, nothing)
                return joined(w, which, total, more)

            return sweep(w, width, add, sums)

        some = min(UNROLL, ceil_div(width, w.lanes))
        total, *others = counted(w, height, line, [nothing] * some)
        for other in others:
            total = joined(w, which, total, other)
        return across_lanes(w, total, lambda a, b: joined(w, which, a, b))


@dataclass(frozen=True)
class ImageRowsTile(Pooling):
    """``void tile(T *x, T *y)``: rows of results of one plane of NCHW, a few vectors wide at most.

    The first step joins the image rows of a window into a line on the stack, with padding before
    and after. The second step joins along the line, a vector of windows at a time. Several lines
    are written before the first is read: a load that overlaps two vectors waits until both stores
    have reached the cache.
    """

    rows: int
    """Rows of results; each reads the same number of rows of the image."""
    taps: int
    """The number of image rows per row of results."""
    x_row: int
    """Elements from one row of the image to the next."""
    x_step: int
    """Elements from the first tap of one row of results to the first tap of the next row."""
    y_row: int
    before: int
    """Columns of padding before the first window's columns in the image."""
    columns: int
    """Columns of the image that the windows read."""
    window: int
    stride: int
    factors: tuple[float, ...]
    """The number of elements in the window of each result of a row."""

    @property
    def title(self) -> str:
        """``max of 55 x 56 windows``."""
        return f"{self.which} of {self.rows} x {len(self.factors)} windows"

    @property
    def elements(self) -> int:
        """Results in one execution."""
        return self.rows * len(self.factors)

    def _code(self, w: Writer) -> str:
        source, result = self._memory(w, "source"), self._memory(w, "result")
        together = min(TOGETHER, self.rows)
        length = self._length
        total = max(together * length, self.lanes)
        w.lines.append(f"  %lines = alloca [{total} x {w.element}], align {LINE_BYTES}")
        for at in (*range(0, total - self.lanes, self.lanes), total - self.lanes):
            w.store(neutral(w, self.which), w.at("%lines", at))

        def some(first: str, rows: int) -> None:
            def down(i: str, nothing: list[str]) -> list[str]:
                row = w.add(f"add i64 {first}, {i}")
                x = source.at("%x", w.add(f"mul i64 {row}, {self.x_step}"))
                self._down(w, x, self._line(w, i))
                return nothing

            def across(i: str, nothing: list[str]) -> list[str]:
                row = w.add(f"add i64 {first}, {i}")
                y = result.at("%y", w.add(f"mul i64 {row}, {self.y_row}"))
                self._across(w, self._line(w, i), y)
                return nothing

            counted(w, rows, down)
            counted(w, rows, across)

        def iteration(i: str, nothing: list[str]) -> list[str]:
            some(w.add(f"mul i64 {i}, {together}"), together)
            return nothing

        iterations, rest = divmod(self.rows, together)
        counted(w, iterations, iteration)
        if rest:
            some(str(iterations * together), rest)
        return f"{w.taken()}\n"

    @property
    def _length(self) -> int:
        """Elements of a line: whole vectors of windows, and the padding."""
        vectors = ceil_div(len(self.factors), self.lanes)
        windows = vectors * self.lanes * self.stride + self.window
        return max(windows, self.before + self.columns)

    def _line(self, w: Writer, number: str) -> str:
        return w.at("%lines", w.add(f"mul i64 {number}, {self._length}"))

    def _down(self, w: Writer, x: str, line: str) -> None:
        """Write the join of the image rows of a window into a line."""
        source, target = self._memory(w, "source"), w.at(line, self.before)

        def join(offset: str, mask: str | None, nothing: str) -> str:
            place = source.at(x, offset)
            total = source.load(place, mask)
            for tap in range(1, self.taps):
                more = source.load(source.at(place, tap * self.x_row), mask)
                total = joined(w, self.which, total, more)
            w.store(total, w.at(target, offset), mask)
            return nothing

        sweep(w, self.columns, join, across=self.columns)

    def _across(self, w: Writer, line: str, y: str) -> None:
        """Write a row of results."""
        result = self._memory(w, "result")
        for first in range(0, len(self.factors), self.lanes):
            total = ""
            for tap in range(self.window):
                taken = self._every(w, w.at(line, first * self.stride + tap))
                total = joined(w, self.which, total, taken) if total else taken
            factors = self.factors[first : first + self.lanes]
            mask = w.mask(len(factors))
            result.store(self._weighted(w, total, factors), result.at(y, first), mask)

    def _weighted(self, w: Writer, total: str, factors: Sequence[float]) -> str:
        if len(set(factors)) == 1:
            return scaled(w, total, factors[0])
        padded = [*factors, *[1.0] * (self.lanes - len(factors))]
        numbers = ", ".join(f"{w.element} {w.rounded(factor):.17e}" for factor in padded)
        return w.add(f"fmul {w.vector} {total}, <{numbers}>")

    def _every(self, w: Writer, place: str) -> str:
        """Write the load of a vector of elements with a stride."""
        if self.stride == 1:
            return w.load(place)
        count = self.lanes * self.stride
        wide = f"<{count} x {w.element}>"
        loaded = w.add(f"load {wide}, ptr {place}, align {w.size}")
        picks = ", ".join(f"i32 {i * self.stride}" for i in range(self.lanes))
        mask = f"<{self.lanes} x i32> <{picks}>"
        return w.add(f"shufflevector {wide} {loaded}, {wide} poison, {mask}")
