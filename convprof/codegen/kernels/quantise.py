"""Elements of f32 to bytes by a scale and a zero point, and the reverse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from convprof.codegen.kernels.base import Kernel, Pointers
from convprof.codegen.kernels.elements import WORD, Elements, cast
from convprof.codegen.kernels.requantise import ROUNDING
from convprof.codegen.writer import Writer, sweep

if TYPE_CHECKING:
    from convprof.dtypes import DType


@dataclass(frozen=True)
class QuantiseTile(Kernel):
    """``void tile(T *x, float *factors, U *y)``: ``length`` elements, from or to f32."""

    pointers: ClassVar[Pointers] = (("%x", "source"), ("%factors", "scale"), ("%y", "result"))

    length: int
    low: int = 0
    """The least number of the type of bytes."""
    high: int = 255

    @property
    def elements(self) -> int:
        """Results in one execution."""
        return self.length

    @property
    def _computes_in(self) -> DType:
        return self.types.scale

    def _code(self, w: Writer) -> str:
        scale, zero = w.broadcast("%factors"), w.broadcast(w.at("%factors", 1))
        write = self._bytes if self.types.source == self.types.scale else self._floats
        write(w, scale, zero)
        return f"{w.taken()}\n"

    def _floats(self, w: Writer, scale: str, zero: str) -> None:
        words, v = w.typed(WORD), w.vector
        source = Elements(words, self.types.source, WORD)

        def convert(offset: str, mask: str | None, nothing: str) -> str:
            whole = source.load(source.at("%x", offset), mask)
            x = w.add(f"sitofp {words.vector} {whole} to {v}")
            y = w.add(f"fmul {v} {w.add(f'fsub {v} {x}, {zero}')}, {scale}")
            w.store(y, w.at("%y", offset), mask)
            return nothing

        sweep(w, self.length, convert)

    def _bytes(self, w: Writer, scale: str, zero: str) -> None:
        """Limit before rounding, so that no conversion overflows; see ``requantise``."""
        words, v = w.typed(WORD), w.vector
        result = Elements(words, self.types.result, WORD)
        low, high = (
            w.add(f"fsub {v} {w.splat(float(limit))}, {zero}") for limit in (self.low, self.high)
        )
        whole_zero = w.add(f"fptosi {v} {zero} to {words.vector}")

        def convert(offset: str, mask: str | None, nothing: str) -> str:
            y = w.add(f"fdiv {v} {w.load(w.at('%x', offset), mask)}, {scale}")
            y = w.plus(w.smaller(high, w.larger(low, y)), w.splat(ROUNDING))
            bits = words.plus(cast(w, y, v, words.vector), whole_zero)
            result.store(bits, result.at("%y", offset), mask)
            return nothing

        sweep(w, self.length, convert)
