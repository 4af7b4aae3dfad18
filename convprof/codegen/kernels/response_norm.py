"""Local response norm: vectors along the channels where they are dense, else along the pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from convprof.codegen.kernels.base import Kernel, Pointers
from convprof.codegen.writer import Writer, counted, sweep

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convprof.codegen.kernels.elements import Elements
    from convprof.dtypes import DType

_HALF, _WHOLE = 2, 4  # quarters


@dataclass(frozen=True)
class Response:
    """The function of each element: x / (bias + scale x squares of the window)^(quarters / 4).

    The window has ``before`` channels before the element's own, and ``after`` channels after it.
    The windows of the first and the last channels of an image are smaller.
    """

    channels: int
    before: int
    after: int
    scale: float
    bias: float
    quarters: int

    @property
    def window(self) -> int:
        """Channels of a whole window."""
        return self.before + 1 + self.after

    @property
    def inside(self) -> int:
        """Channels with a whole window."""
        return max(0, self.channels - self.window + 1)

    def edges(self) -> Iterator[tuple[int, range]]:
        """Yield the other channels, each with the channels of its window."""
        for channel in range(self.channels):
            if not self.inside or not self.before <= channel < self.before + self.inside:
                last = min(self.channels, channel + self.after + 1)
                yield channel, range(max(0, channel - self.before), last)

    def written(self, x: Elements, at: str, taps: Sequence[str], mask: str | None) -> str:
        """Write a vector of results; ``taps`` are the positions of the window's channels."""
        w = x.w
        total = w.splat(0.0)
        for tap in taps:
            value = x.load(tap, mask)
            total = w.fma(value, value, total)
        scale, bias = (w.splat(w.rounded(number)) for number in (self.scale, self.bias))
        power = self._power(w, w.fma(total, scale, bias))
        return w.add(f"fdiv {w.vector} {x.load(at, mask)}, {power}")

    def _power(self, w: Writer, value: str) -> str:
        """Write a power with an exponent in quarters: products and square roots."""
        v = w.vector
        factors = [value] * (self.quarters // _WHOLE)
        if self.quarters % _WHOLE:
            root = w.add(f"call {v} @llvm.sqrt.{w.suffix}({v} {value})")
            factors += [root] * bool(self.quarters & _HALF)
            if self.quarters & 1:
                factors.append(w.add(f"call {v} @llvm.sqrt.{w.suffix}({v} {root})"))
        product, *others = factors
        for factor in others:
            product = w.add(f"fmul {v} {product}, {factor}")
        return product


@dataclass(frozen=True)
class ResponseNorm(Kernel):
    """The common part of both layouts: the pointers, and the roots for a power of quarters."""

    pointers: ClassVar[Pointers] = (("%x", "source"), ("%y", "result"))

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    def declarations(self, w: Writer) -> str:
        """Return the intrinsics, with the square root of a vector."""
        vector = f"{w.vector} @llvm.sqrt.{w.suffix}({w.vector})"
        return f"declare {vector}\n{super().declarations(w)}"

    def _ends(self, w: Writer) -> tuple[Elements, Elements]:
        """Return the elements that are read and written."""
        return self._memory(w, "source"), self._memory(w, "result")


@dataclass(frozen=True)
class ResponseRows(ResponseNorm):
    """``void tile(T *x, T *y)``: rows whose channels are dense."""

    rows: int
    response: Response

    @property
    def title(self) -> str:
        """``response norm of 21 x 96``."""
        return f"response norm of {self.rows} x {self.response.channels}"

    @property
    def elements(self) -> int:
        """Results in one execution."""
        return self.rows * self.response.channels

    def _code(self, w: Writer) -> str:
        def row(i: str, nothing: list[str]) -> list[str]:
            start = w.add(f"mul i64 {i}, {self.response.channels}")
            self._row(w, start)
            return nothing

        counted(w, self.rows, row)
        return f"{w.taken()}\n"

    def _row(self, w: Writer, start: str) -> None:
        response, source, result = self.response, *self._ends(w)
        x, y = source.at("%x", start), result.at("%y", start)
        for channel, window in response.edges():
            taps, mask = [source.at(x, tap) for tap in window], w.mask(1)
            value = response.written(source, source.at(x, channel), taps, mask)
            result.store(value, result.at(y, channel), mask)
        starts = [source.at(x, tap) for tap in range(response.window)] if response.inside else []
        target = result.at(y, response.before)

        def vector(offset: str, mask: str | None, nothing: str) -> str:
            taps = [source.at(start, offset) for start in starts]
            value = response.written(source, taps[response.before], taps, mask)
            result.store(value, result.at(target, offset), mask)
            return nothing

        sweep(w, response.inside, vector, across=1)


@dataclass(frozen=True)
class ResponseColumns(ResponseNorm):
    """``void tile(T *x, T *y)``: some pixels of a plane, with a stride between channels."""

    pixels: int
    response: Response
    apart: int
    """Elements from one channel to the next."""

    @property
    def title(self) -> str:
        """``response norm of 96 x 64``."""
        return f"response norm of {self.response.channels} x {self.pixels}"

    @property
    def elements(self) -> int:
        """Results in one execution."""
        return self.response.channels * self.pixels

    def _code(self, w: Writer) -> str:
        response, apart = self.response, self.apart
        source, result = self._ends(w)
        whole, rest = divmod(self.pixels, self.lanes)
        masks = [None] * whole + [w.mask(rest)] * (rest > 0)
        vectors = [(number * self.lanes, mask) for number, mask in enumerate(masks)]
        for channel, window in response.edges():
            for first, mask in vectors:
                taps = [source.at("%x", tap * apart + first) for tap in window]
                place = channel * apart + first
                value = response.written(source, source.at("%x", place), taps, mask)
                result.store(value, result.at("%y", place), mask)

        def inside(channel: str, nothing: list[str]) -> list[str]:
            start = w.add(f"mul i64 {channel}, {apart}")
            for first, mask in vectors:
                x = source.at(source.at("%x", start), first)
                taps = [source.at(x, tap * apart) for tap in range(response.window)]
                value = response.written(source, taps[response.before], taps, mask)
                y = result.at(result.at("%y", start), response.before * apart + first)
                result.store(value, y, mask)
            return nothing

        counted(w, response.inside, inside)
        return f"{w.taken()}\n"
