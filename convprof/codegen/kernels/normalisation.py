"""Softmax of rows: vectors along the row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from convprof.codegen.kernels.base import Kernel, Pointers
from convprof.codegen.kernels.exp2 import MOST, power
from convprof.codegen.kernels.logarithm import logarithm
from convprof.codegen.writer import (
    UNROLL,
    Writer,
    across_lanes,
    alive,
    counted,
    everywhere,
    first_lane,
    summed,
    sweep,
)
from convprof.integers import ceil_div

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.dtypes import DType


@dataclass(frozen=True)
class _Rows(Kernel):
    """A kernel whose ``%x`` and ``%y`` are rows."""

    def _by_rows(
        self, w: Writer, rows: int, length: int, row: Callable[[str, str, str], None]
    ) -> str:
        """Return the code that runs ``row(number, x, y)`` for the start of every row."""
        source, result = self._memory(w, "source"), self._memory(w, "result")

        def body(i: str, nothing: list[str]) -> list[str]:
            start = w.add(f"mul i64 {i}, {length}")
            row(i, source.at("%x", start), result.at("%y", start))
            return nothing

        counted(w, rows, body)
        return f"{w.taken()}\n"


@dataclass(frozen=True)
class SoftmaxRows(_Rows):
    """``void tile(T *x, T *y)``: ``exp(x - max) / sum`` of each row, in three passes over it.

    Or its logarithm, ``x - (max + log sum)``. Exponentials are kept in ``y`` until their sum is
    known; short ones would be rounded there, and are computed twice.

    The exponential of an element far below the largest one may be too small for a normal number.
    It is then replaced by the smallest normal number.
    """

    pointers: ClassVar[Pointers] = (("%x", "source"), ("%y", "result"))

    rows: int
    length: int
    is_log: bool = False
    """Whether the result is the logarithm."""

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    @property
    def title(self) -> str:
        """``softmax of 83 x 197``."""
        return f"{'log ' * self.is_log}softmax of {self.rows} x {self.length}"

    @property
    def elements(self) -> int:
        """Results in one execution."""
        return self.rows * self.length

    def _code(self, w: Writer) -> str:
        return self._by_rows(w, self.rows, self.length, lambda _, x, y: self._row(w, x, y))

    def _row(self, w: Writer, x: str, y: str) -> None:
        source, result = self._memory(w, "source"), self._memory(w, "result")
        v, some = w.vector, min(UNROLL, ceil_div(self.length, self.lanes))
        top = self._top(w, x, some)
        least = w.splat(-float(math.floor(MOST[w.element] * math.log(2))))
        kept = self.types.result == self.types.accumulator

        def exponential_at(offset: str, mask: str | None) -> str:
            loaded = source.load(source.at(x, offset), mask)
            below = w.add(f"fsub {v} {loaded}, {top}")
            # The effect of a rounded factor is far below the last bit of the largest result.
            return power(w, w.larger(below, least), w.rounded(math.log2(math.e)))

        def raised(offset: str, mask: str | None, total: str) -> str:
            exponential = exponential_at(offset, mask)
            if kept and not self.is_log:
                result.store(exponential, result.at(y, offset), mask)
            return w.add(f"fadd {v} {total}, {alive(w, exponential, mask, w.splat(0.0))}")

        total = summed(w, sweep(w, self.length, raised, [w.splat(0.0)] * some))
        if self.is_log:
            self._subtract(w, x, y, w.add(f"fadd {v} {top}, {logarithm(w, total)}"))
            return
        inverse = everywhere(w, w.add(f"fdiv {w.element} 1.0, {first_lane(w, total)}"))

        def finish(offset: str, mask: str | None, nothing: str) -> str:
            place = result.at(y, offset)
            exponential = result.load(place, mask) if kept else exponential_at(offset, mask)
            share = w.add(f"fmul {v} {exponential}, {inverse}")
            result.store(share, place, mask)
            return nothing

        sweep(w, self.length, finish)

    def _top(self, w: Writer, x: str, some: int) -> str:
        """Write the largest element of a row, in every lane; ``some``: vectors per iteration."""
        source = self._memory(w, "source")
        # masked lanes repeat the first element, which does not change the maximum
        first = source.broadcast(x)

        def largest(offset: str, mask: str | None, before: str) -> str:
            loaded = source.load(source.at(x, offset), mask)
            return w.larger(alive(w, loaded, mask, first), before)

        top, *others = sweep(w, self.length, largest, [first] * some)
        for other in others:
            top = w.larger(top, other)
        return across_lanes(w, top, w.larger)

    def _subtract(self, w: Writer, x: str, y: str, shift: str) -> None:
        """Write the row without a number."""
        source, result = self._memory(w, "source"), self._memory(w, "result")

        def finish(offset: str, mask: str | None, nothing: str) -> str:
            loaded = source.load(source.at(x, offset), mask)
            less = w.add(f"fsub {w.vector} {loaded}, {shift}")
            result.store(less, result.at(y, offset), mask)
            return nothing

        sweep(w, self.length, finish)


# Layer norm: vectors along the channels where they are dense, else along the pixels.


def _shared(w: Writer, total: str, count: int) -> str:
    """Write ``total / count``."""
    return w.add(f"fmul {w.vector} {total}, {w.splat(w.rounded(1 / count))}")


def _variance(w: Writer, squares: str, count: int, eps: float) -> str:
    """Write ``squares / count + eps``."""
    return w.add(f"fadd {w.vector} {_shared(w, squares, count)}, {w.splat(w.rounded(eps))}")


def _inverse_root(w: Writer, squares: str, count: int, eps: float) -> str:
    """Write ``1 / sqrt(squares / count + eps)`` of equal lanes: one root and one division."""
    variance = first_lane(w, _variance(w, squares, count, eps))
    root = w.add(f"call {w.element} @llvm.sqrt.f{8 * w.size}({w.element} {variance})")
    return everywhere(w, w.add(f"fdiv {w.element} 1.0, {root}"))


@dataclass(frozen=True)
class LayerNorm(_Rows):
    """The common part of both layouts: the pointers, and the square root of the variance."""

    pointers: ClassVar[Pointers] = (
        ("%x", "source"),
        ("%weight", "weights"),
        ("%bias", "weights"),
        ("%y", "result"),
    )

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    def declarations(self, w: Writer) -> str:
        """Return the intrinsics, with the square roots of a number and of a vector."""
        number = f"{w.element} @llvm.sqrt.f{8 * w.size}({w.element})"
        vector = f"{w.vector} @llvm.sqrt.{w.suffix}({w.vector})"
        return f"declare {number}\ndeclare {vector}\n{super().declarations(w)}"


@dataclass(frozen=True)
class LayerNormRows(LayerNorm):
    """``void tile(T *x, T *weight, T *bias, T *y)``: rows with contiguous channels.

    Three passes over a row, which stays in L1: the mean, the squares of the differences from the
    mean, the result.
    """

    rows: int
    channels: int
    eps: float

    @property
    def title(self) -> str:
        """``layer norm of 21 x 768``."""
        return f"layer norm of {self.rows} x {self.channels}"

    @property
    def elements(self) -> int:
        """Results in one execution."""
        return self.rows * self.channels

    def _code(self, w: Writer) -> str:
        return self._by_rows(
            w, self.rows, self.channels, lambda i, x, y: self._row(w, x, y, self._vectors(w, i))
        )

    def _vectors(self, w: Writer, row: str) -> Callable[[str, str | None], list[str]]:  # noqa: ARG002
        """Return the function that writes weight and bias at an offset of a row."""
        weights = self._memory(w, "weights")
        return lambda offset, mask: [
            weights.load(weights.at(at, offset), mask) for at in ("%weight", "%bias")
        ]

    def _row(
        self, w: Writer, x: str, y: str, vectors: Callable[[str, str | None], list[str]]
    ) -> None:
        source, result = self._memory(w, "source"), self._memory(w, "result")
        v, c = w.vector, self.channels
        zeros = [w.splat(0.0)] * min(UNROLL, ceil_div(c, self.lanes))

        def add(offset: str, mask: str | None, total: str) -> str:
            return w.add(f"fadd {v} {total}, {source.load(source.at(x, offset), mask)}")

        sums = summed(w, sweep(w, c, add, zeros))
        mean = _shared(w, sums, c)

        def distance(offset: str, mask: str | None) -> str:
            return w.add(f"fsub {v} {source.load(source.at(x, offset), mask)}, {mean}")

        def square(offset: str, mask: str | None, total: str) -> str:
            apart = alive(w, distance(offset, mask), mask, w.splat(0.0))
            return w.fma(apart, apart, total)

        squares = summed(w, sweep(w, c, square, zeros))
        inverse = _inverse_root(w, squares, c, self.eps)

        def finish(offset: str, mask: str | None, nothing: str) -> str:
            normal = w.add(f"fmul {v} {distance(offset, mask)}, {inverse}")
            weight, bias = vectors(offset, mask)
            result.store(w.fma(normal, weight, bias), result.at(y, offset), mask)
            return nothing

        sweep(w, c, finish)


@dataclass(frozen=True)
class RmsNormRows(LayerNorm):
    """``void tile(T *x, T *weight, T *y)``: rows divided by the root of their mean square.

    Two passes over a row, which stays in L1: the squares, the result.
    """

    pointers: ClassVar[Pointers] = (("%x", "source"), ("%weight", "weights"), ("%y", "result"))

    rows: int
    channels: int
    eps: float

    @property
    def title(self) -> str:
        """``rms norm of 21 x 768``."""
        return f"rms norm of {self.rows} x {self.channels}"

    @property
    def elements(self) -> int:
        """Results in one execution."""
        return self.rows * self.channels

    def _code(self, w: Writer) -> str:
        return self._by_rows(w, self.rows, self.channels, lambda _, x, y: self._row(w, x, y))

    def _row(self, w: Writer, x: str, y: str) -> None:
        source, result = self._memory(w, "source"), self._memory(w, "result")
        weights, c = self._memory(w, "weights"), self.channels

        def square(offset: str, mask: str | None, total: str) -> str:
            value = source.load(source.at(x, offset), mask)
            return w.fma(value, value, total)

        zeros = [w.splat(0.0)] * min(UNROLL, ceil_div(c, self.lanes))
        inverse = _inverse_root(w, summed(w, sweep(w, c, square, zeros)), c, self.eps)

        def finish(offset: str, mask: str | None, nothing: str) -> str:
            value = source.load(source.at(x, offset), mask)
            normal = w.add(f"fmul {w.vector} {value}, {inverse}")
            weight = weights.load(weights.at("%weight", offset), mask)
            scaled = w.add(f"fmul {w.vector} {normal}, {weight}")
            result.store(scaled, result.at(y, offset), mask)
            return nothing

        sweep(w, c, finish)


@dataclass(frozen=True)
class InstanceNormRows(LayerNormRows):
    """The same over contiguous pixels: a row is a channel, with one weight and one bias."""

    @property
    def title(self) -> str:
        """``instance norm of 16 x 784``."""
        return f"instance norm of {self.rows} x {self.channels}"

    def _vectors(self, w: Writer, row: str) -> Callable[[str, str | None], list[str]]:
        weights = self._memory(w, "weights")
        known = [weights.broadcast(weights.at(at, row)) for at in ("%weight", "%bias")]
        return lambda _, __: known


@dataclass(frozen=True)
class LayerNormColumns(LayerNorm):
    """``void tile(T *x, T *weight, T *bias, T *y)``: contiguous pixels, channels with a stride.

    Vectors along the pixels, at most four: three passes over the channels.
    """

    pixels: int
    channels: int
    apart: int
    """Elements from one channel to the next."""
    eps: float

    @property
    def title(self) -> str:
        """``layer norm of 96 x 64``."""
        return f"layer norm of {self.channels} x {self.pixels}"

    @property
    def elements(self) -> int:
        """Results in one execution."""
        return self.channels * self.pixels

    def _vectors(
        self, w: Writer, channel: str, masks: Sequence[str | None]
    ) -> list[tuple[str, str]]:
        """Write weight and bias of a channel; return them for every vector of pixels."""
        weights = self._memory(w, "weights")
        weight, bias = (weights.broadcast(weights.at(at, channel)) for at in ("%weight", "%bias"))
        return [(weight, bias)] * len(masks)

    def _code(self, w: Writer) -> str:
        source, result = self._memory(w, "source"), self._memory(w, "result")
        v, c = w.vector, self.channels
        whole, rest = divmod(self.pixels, self.lanes)
        masks = [None] * whole + [w.mask(rest)] * (rest > 0)
        zeros = [w.splat(0.0)] * len(masks)

        def loaded(channel: str, number: int) -> str:
            place = source.at("%x", w.add(f"mul i64 {channel}, {self.apart}"))
            return source.load(source.at(place, number * self.lanes), masks[number])

        def add(channel: str, sums: list[str]) -> list[str]:
            return [w.add(f"fadd {v} {s}, {loaded(channel, i)}") for i, s in enumerate(sums)]

        means = [_shared(w, total, c) for total in counted(w, c, add, zeros)]

        def distance(channel: str, number: int) -> str:
            return w.add(f"fsub {v} {loaded(channel, number)}, {means[number]}")

        def square(channel: str, sums: list[str]) -> list[str]:
            apart = [distance(channel, i) for i in range(len(sums))]
            return [w.fma(d, d, total) for d, total in zip(apart, sums, strict=True)]

        squares = counted(w, c, square, zeros)
        variances = [_variance(w, total, c, self.eps) for total in squares]
        roots = [w.add(f"call {v} @llvm.sqrt.{w.suffix}({v} {each})") for each in variances]
        inverses = [w.add(f"fdiv {v} {w.splat(1.0)}, {root}") for root in roots]

        def finish(channel: str, nothing: list[str]) -> list[str]:
            y = result.at("%y", w.add(f"mul i64 {channel}, {self.apart}"))
            vectors = self._vectors(w, channel, masks)
            for i, (inverse, (weight, bias)) in enumerate(zip(inverses, vectors, strict=True)):
                normal = w.add(f"fmul {v} {distance(channel, i)}, {inverse}")
                result.store(w.fma(normal, weight, bias), result.at(y, i * self.lanes), masks[i])
            return nothing

        counted(w, c, finish)
        return f"{w.taken()}\n"


@dataclass(frozen=True)
class InstanceNormColumns(LayerNormColumns):
    """The same over pixels with a stride: vectors along the channels, ``pixels`` of them."""

    @property
    def title(self) -> str:
        """``instance norm of 784 x 64``."""
        return f"instance norm of {self.channels} x {self.pixels}"

    def _vectors(
        self,
        w: Writer,
        channel: str,  # noqa: ARG002
        masks: Sequence[str | None],
    ) -> list[tuple[str, str]]:
        weights = self._memory(w, "weights")
        loads = (
            [weights.load(weights.at(at, i * self.lanes), mask) for i, mask in enumerate(masks)]
            for at in ("%weight", "%bias")
        )
        return list(zip(*loads, strict=True))
