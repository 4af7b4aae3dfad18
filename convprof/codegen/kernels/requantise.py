"""Sums of whole numbers to bytes, vector by vector: bias, scale, residual, rounding, saturation.

The formula is in ``problems.requantisation``. A sum becomes f32, and is limited to what the result
can hold before it is rounded, so that no conversion overflows. Where the result is f32, residual
and function follow in f32 instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from convprof.codegen.kernels import epilogue, functions
from convprof.codegen.kernels.base import Kernel, Pointers
from convprof.codegen.kernels.elements import Elements, cast
from convprof.codegen.writer import Writer, over_channels
from convprof.problems.epilogue import NO_EPILOGUE, Epilogue

if TYPE_CHECKING:
    from convprof.dtypes import DType, Types

POINTERS: Pointers = (*epilogue.POINTERS, ("%scale", "scale"), ("%limits", "scale"))
"""The pointers of kernels whose sums become bytes."""
LOW, HIGH, ZERO, RESIDUAL_ZERO, RESIDUAL_SCALE = range(5)
"""The words of ``limits``: f32, but for ``ZERO``, the zero point of the result, in s32."""
WORDS = 5
ROUNDING = 1.5 * 2.0**23
"""Added to an f32 below 2^22, it rounds to the nearest whole number, ties to even; the lower bits
of the sum are that number in two's complement."""


class Requantise:
    """The end of one kernel whose sums are s32; the same methods as ``epilogue.Finish``."""

    def __init__(self, w: Writer, ends: Epilogue, types: Types) -> None:
        self.w = w
        self.floats = w.typed(types.scale)
        self.adds, self.function = ends.add, ends.function
        self.to_bytes = types.result.is_exact
        self.more = Elements(w, types.result, types.accumulator)

    def bias(self, offset: int | str, mask: str | None) -> tuple[str, str]:
        """Write the loads of a vector of the bias and of the scales, ``offset`` elements in."""
        w, floats = self.w, self.floats
        bias = w.load(w.at("%bias", offset), mask)
        return bias, floats.load(floats.at("%scale", offset), mask)

    def lone_bias(self) -> tuple[str, str]:
        """Write the bias and the scale of one channel, in every lane."""
        return self.w.broadcast("%bias"), self.floats.broadcast("%scale")

    def residual(self, offset: str) -> str:
        """Write the position of the residual at ``offset`` elements, if there is one."""
        return self.more.at("%residual", offset) if self.adds else "%residual"

    def fetch(self, place: tuple[str, int], level: int) -> None:
        """Prefetch the line of the residual at ``place`` into a cache level, if present."""
        if self.adds:
            self.w.prefetch(self.more.at(*place), level)

    def apply(
        self, total: str, factors: tuple[str, str], place: tuple[str, int], mask: str | None
    ) -> str:
        """Write the results of a vector of sums, each in 32 bits, and return its name."""
        w, v = self.w, self.floats.vector
        bias, scale = factors
        y = w.add(f"sitofp {w.vector} {w.plus(total, bias)} to {v}")
        y = w.add(f"fmul {v} {y}, {scale}")
        residual = self.more.load(self.more.at(*place), mask) if self.adds else None
        end = self._bytes if self.to_bytes else self._floats
        return end(y, residual)

    def _floats(self, y: str, residual: str | None) -> str:
        """Write the bits of f32."""
        w, floats = self.w, self.floats
        if residual is not None:
            y = floats.plus(y, cast(w, residual, w.vector, floats.vector))
        if self.function is not None:
            y = functions.apply(floats, self.function, y)
        return cast(w, y, floats.vector, w.vector)

    def _bytes(self, y: str, residual: str | None) -> str:
        """Write whole numbers."""
        w, floats, v = self.w, self.floats, self.floats.vector
        if residual is not None:
            other = w.add(f"sitofp {w.vector} {residual} to {v}")
            other = w.add(f"fsub {v} {other}, {self._limit(RESIDUAL_ZERO)}")
            y = floats.plus(y, w.add(f"fmul {v} {other}, {self._limit(RESIDUAL_SCALE)}"))
        y = floats.larger(self._limit(LOW), y)
        y = floats.smaller(self._limit(HIGH), y)
        bits = cast(w, floats.plus(y, floats.splat(ROUNDING)), v, w.vector)
        zero = w.broadcast(floats.at("%limits", ZERO))
        return w.plus(bits, zero)

    def _limit(self, word: int) -> str:
        return self.floats.broadcast(self.floats.at("%limits", word))


@dataclass(frozen=True)
class RequantisePass(Kernel):
    """One kernel: ``c (rows, columns)`` from the sums ``a (rows, columns)``."""

    pointers: ClassVar[Pointers] = (("%a", "accumulator"), *POINTERS[1:])

    columns: int
    rows: int = 1
    lone: bool = False
    """Whether bias and scale have one element for all columns instead of one for each column."""
    epilogue: Epilogue = NO_EPILOGUE

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    def _code(self, w: Writer) -> str:
        return over_channels(w, self.columns, self._body)

    def _body(self, w: Writer, channel: str, mask: str | None) -> None:
        ends = Requantise(w, self.epilogue, self.types)
        result = Elements(w, self.types.result, self.types.accumulator)
        factors = ends.lone_bias() if self.lone else ends.bias(channel, mask)
        a, c, residual = w.at("%a", channel), result.at("%c", channel), ends.residual(channel)
        for start in range(0, self.rows * self.columns, self.columns):
            total = w.load(w.at(a, start), mask)
            done = ends.apply(total, factors, (residual, start), mask)
            result.store(done, result.at(c, start), mask)
