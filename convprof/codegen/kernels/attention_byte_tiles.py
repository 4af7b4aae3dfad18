"""The kernels around products of attention of bytes in tile registers: panels of 32 queries.

As in ``attention_tiles`` the sums of values are ``(dim, 32)``: whole numbers for
a block of keys, and f32 for all keys so far.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from convprof.codegen.kernels.attention import FACTOR, SUM
from convprof.codegen.kernels.attention_bytes import (
    HIGH,
    LOW,
    NUMBERS,
    OF_RESULTS,
    ZERO,
    rounded_result,
)
from convprof.codegen.kernels.attention_tiles import FinishColumns
from convprof.codegen.kernels.base import Kernel, Pointers
from convprof.codegen.kernels.elements import WORD
from convprof.codegen.kernels.tile_registers import SIDE
from convprof.codegen.writer import Writer, counted

if TYPE_CHECKING:
    from convprof.codegen.kernels.attention_tiles import Ends
    from convprof.dtypes import DType


@dataclass(frozen=True)
class JoinColumns(Kernel):
    """``void tile(s32 *a, float *b, float *c)``: ``c (rows, 32)`` times factors, plus ``a``.

    The factors of the queries are in ``b``. Of the ``first`` keys, ``c`` is ``a`` alone.
    """

    pointers: ClassVar[Pointers] = (("%a", "accumulator"), ("%b", "scale"), ("%c", "scale"))

    rows: int
    vectors: int
    """Vectors of queries."""
    first: bool = False

    @property
    def _computes_in(self) -> DType:
        return self.types.scale

    def _code(self, w: Writer) -> str:
        columns = range(0, self.vectors * self.lanes, self.lanes)
        words = w.typed(WORD)
        factors = [w.load(w.at("%b", FACTOR * SIDE + j)) for j in columns if not self.first]

        def row(index: str, _: list[str]) -> list[str]:
            start = w.add(f"mul i64 {index}, {SIDE}")
            a, c = w.at("%a", start), w.at("%c", start)
            for place, j in enumerate(columns):
                whole = words.load(words.at(a, j))
                total = w.add(f"sitofp {words.vector} {whole} to {w.vector}")
                if not self.first:
                    total = w.fma(w.load(w.at(c, j)), factors[place], total)
                w.store(total, w.at(c, j))
            return []

        counted(w, self.rows, row)
        return f"entry:\n{w.taken()}\n"


@dataclass(frozen=True)
class FinishBytes(FinishColumns):
    """``void tile(float *a, float *b, U *c)``: ``c (queries, dim)`` from sums ``a (dim, 32)``.

    Each column is multiplied by the scale of results over the sum of its query. Results in bytes
    are rounded, and transposed as words of four.
    """

    pointers: ClassVar[Pointers] = (("%a", "scale"), ("%b", "scale"), ("%c", "result"))

    @property
    def _computes_in(self) -> DType:
        return self.types.scale

    def _ends(self, w: Writer, first: int) -> Ends:
        """Write the factor of each query; then the limits of results, and their zero point."""
        words = w.typed(WORD)
        scale, low, high = (self._word_of(w, word) for word in (OF_RESULTS, LOW, HIGH))
        total = w.load(w.at("%b", SUM * SIDE + first))
        return w.add(f"fdiv {w.vector} {scale}, {total}"), low, high, self._word_of(words, ZERO)

    @staticmethod
    def _word_of(w: Writer, word: int) -> str:
        return w.broadcast(w.at("%b", NUMBERS * SIDE + word))

    def _joined(self, w: Writer, numbers: list[str], ends: Ends) -> str:
        """Write words of up to four results."""
        words, joined = w.typed(WORD), ""
        for place, number in enumerate(numbers):
            byte = rounded_result(words, w, number, ends[1:])
            byte = words.add(f"and {words.vector} {byte}, {words.splat(0xFF)}")
            if place:
                byte = words.add(f"shl {words.vector} {byte}, {words.splat(8 * place)}")
                byte = words.add(f"or {words.vector} {joined}, {byte}")
            joined = byte
        return joined
