"""Cut an output image into regions whose pixels use the same filter taps, and regions into tiles.

Near the border some taps of the filter fall into the padding and add nothing. Pixels that lose
the same taps form a rectangle; within one, every pixel sums over the same offsets from its own
start. So no padded copy of the image is needed, and the zeros are not multiplied.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from convprof.integers import ceil_div, even_parts
from convprof.problems.axis import Axis

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from convprof.problems.epilogue import Epilogue

    Integers = np.ndarray[Any, np.dtype[np.int64]]


FILLED = 0.7
"""A region whose rows fill the register tile less than this is tiled across its rows."""
MOST_PATTERNS = 16
"""Tiles across rows differ in shape, and each shape is a kernel to compile."""


class Convolution(Protocol):
    """The properties of a convolution that register tiles use: sizes and padding.

    ``Conv2d`` has them, and a phase of its gradient too: both use the same tiles.
    """

    @property
    def n(self) -> int:
        """Images."""

    @property
    def c(self) -> int:
        """Channels of the input."""

    @property
    def h(self) -> int:
        """Rows of the input."""

    @property
    def w(self) -> int:
        """Columns of the input."""

    @property
    def k(self) -> int:
        """Channels of the output."""

    @property
    def r(self) -> int:
        """Rows of the filter."""

    @property
    def s(self) -> int:
        """Columns of the filter."""

    @property
    def p(self) -> int:
        """Rows of the output."""

    @property
    def q(self) -> int:
        """Columns of the output."""

    @property
    def stride(self) -> tuple[int, int]:
        """Input rows and columns from one output pixel to the next."""

    @property
    def dilation(self) -> tuple[int, int]:
        """Input rows and columns from one tap to the next."""

    @property
    def pads(self) -> tuple[int, int, int, int]:
        """Zeros at the top, left, bottom and right; negative: pixels that are not read."""

    @property
    def groups(self) -> int:
        """Groups of channels, each a convolution of its own."""

    @property
    def cg(self) -> int:
        """Input channels per group."""

    @property
    def kg(self) -> int:
        """Output channels per group."""

    @property
    def epilogue(self) -> Epilogue:
        """The operations after the sum."""


@dataclass(frozen=True, slots=True)
class Span:
    """Output positions ``first`` to ``last - 1`` of one axis, and their taps inside the image."""

    first: int
    last: int
    tap_first: int
    tap_last: int

    def within(self, first: int, last: int) -> Span | None:
        """Return the part of the span inside ``[first, last)``; None if it is empty."""
        low, high = max(first, self.first), min(last, self.last)
        return Span(low, high, self.tap_first, self.tap_last) if low < high else None


@functools.lru_cache(maxsize=256)  # called for every block of rows
def spans(axis: Axis, out: int, before: int) -> tuple[Span, ...]:
    """Return the runs of output positions of one axis that use the same taps.

    ``out`` is the number of positions. ``before`` is the padding before the image in elements; if
    negative, the number of elements of the image before the first position's taps.
    """
    runs: list[Span] = []
    for o in range(out):
        start = o * axis.stride - before
        # the first tap at or after the image's start, and the first tap beyond its end
        low = min(axis.taps, max(0, -(start // axis.dilation)))
        high = max(low, min(axis.taps, (axis.size - 1 - start) // axis.dilation + 1))
        if runs and (runs[-1].tap_first, runs[-1].tap_last) == (low, high):
            runs[-1] = Span(runs[-1].first, o + 1, low, high)
        else:
            runs.append(Span(o, o + 1, low, high))
    return tuple(runs)


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of output pixels that use the same taps."""

    rows: Span
    columns: Span

    @property
    def tap_ranges(self) -> tuple[int, int, int, int]:
        """First and last rows, then columns, of ``taps``."""
        rows, columns = self.rows, self.columns
        return rows.tap_first, rows.tap_last, columns.tap_first, columns.tap_last

    @property
    def taps(self) -> tuple[tuple[int, int], ...]:
        """The filter taps ``(r, s)`` inside the image; empty deep in the padding."""
        return tuple(
            (r, s)
            for r in range(self.rows.tap_first, self.rows.tap_last)
            for s in range(self.columns.tap_first, self.columns.tap_last)
        )


def regions(p: Convolution, first: int, last: int) -> Iterator[Region]:
    """Yield the regions of output rows ``first`` to ``last - 1``."""
    top, left, _, _ = p.pads
    down = spans(Axis(p.h, p.r, p.stride[0], p.dilation[0]), p.p, top)
    across = spans(Axis(p.w, p.s, p.stride[1], p.dilation[1]), p.q, left)
    for rows in down:
        part = rows.within(first, last)
        if part is not None:
            for columns in across:
                yield Region(part, columns)


Pattern = tuple[tuple[int, int], ...]
"""The pixels of a tile, ``(row, column)`` from its first pixel."""


@functools.lru_cache(maxsize=256)  # called for every block of rows
def cover(height: int, width: int, most: int) -> dict[Pattern, list[tuple[int, int]]]:
    """Cover a rectangle of pixels with tiles of at most ``most``; return their starts by pattern.

    Wide rectangles are cut row by row, narrow ones across rows; sizes differ as little as possible.
    """
    tiles: dict[Pattern, list[tuple[int, int]]] = {}
    per_row = width / ceil_div(width, most)
    if per_row >= FILLED * most or height * width > MOST_PATTERNS * most:
        for part in even_parts(width, most):
            pattern = tuple((0, j) for j in range(len(part)))
            tiles.setdefault(pattern, []).extend((i, part.start) for i in range(height))
        return tiles
    for part in even_parts(height * width, most):
        pixels = [divmod(k, width) for k in part]
        i0, j0 = pixels[0]
        pattern = tuple((i - i0, j - j0) for i, j in pixels)
        tiles.setdefault(pattern, []).append((i0, j0))
    return tiles


# The offsets of a tile's pixels and taps in the input and the output of a convolution.


def tap_offset(p: Convolution, region: Region, r: int, s: int) -> int:
    """Return the offset of a tap from the region's first tap, in elements of the input."""
    down = (r - region.rows.tap_first) * p.dilation[0]
    across = (s - region.columns.tap_first) * p.dilation[1]
    return (down * p.w + across) * p.c


@dataclass(frozen=True)
class Output:
    """The offsets of the pixels of a result, in elements."""

    start: int
    """The first pixel."""
    pixel: int
    """From one pixel of a row to the next."""
    row: int
    image: int

    @classmethod
    def dense(cls, p: Convolution) -> Output:
        """Return the output of a convolution, pixel after pixel."""
        return cls(0, p.k, p.q * p.k, p.p * p.q * p.k)


@dataclass(frozen=True)
class TilePlacement:
    """The pixels at which one kernel runs: offsets in elements of its starts."""

    region: Region
    pattern: Pattern
    a: Integers
    c: Integers

    def image(self, n: int, p: Convolution, output: Output) -> TilePlacement:
        """Return the same pixels of the ``n``-th image."""
        a, c = self.a + n * p.h * p.w * p.c, self.c + n * output.image
        return TilePlacement(self.region, self.pattern, a, c)

    def input_offsets(self, p: Convolution) -> tuple[int, ...]:
        """Return where the pattern's pixels start in the input, from its first."""
        sh, sw = p.stride
        return tuple((i * sh * p.w + j * sw) * p.c for i, j in self.pattern)

    def output_offsets(self, output: Output) -> tuple[int, ...]:
        """Return where the pattern's pixels start in the output, from its first."""
        return tuple(i * output.row + j * output.pixel for i, j in self.pattern)
