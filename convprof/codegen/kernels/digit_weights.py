"""Products with weights of 8 or 4 bits, in whole numbers: activations as digits of 8 bits.

    a[i, t]  =  unit[i, g] * (d2 * 256**2 + d1 * 256 + d0)        -128 <= d <= 127, t in group g
    c[i, :]  (+)=  sum over groups g of  scales[g, :] * unit[i, g] * sum over p of
                   256**p * (sum over t in g of  d_p * stored[t, :]  -  zeros[g, :] * sum of d_p)

``vpdpbusd`` (or ``usdot``) multiplies 4 digits and 4 weights in a lane; all sums are exact. Stored
weights are positive: without zero points they have an offset, 128 or 8, which is the zero point
then. A weight of 8 bits is an operand as it is, and 4 weights of 4 bits are after one ``and``: no
weight is ever converted. Three digits hold 22 or 23 bits and the sign of the largest activation of
a group: the error is the error of f32. Activations in bf16 have two digits, d1 and d0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from convprof.codegen.kernels.digits import PER_LANE, STARTS
from convprof.codegen.kernels.elements import Elements
from convprof.codegen.kernels.grouped_weights import WORD, GroupedTile
from convprof.codegen.writer import counted
from convprof.dtypes import DTYPES, Types

if TYPE_CHECKING:
    from convprof.codegen.kernels.base import Pointers
    from convprof.codegen.kernels.dot_products import Dot
    from convprof.codegen.writer import Writer

BASE = 256
DIGIT_TYPES = Types(DTYPES["s8"], WORD, DTYPES["f32"], DTYPES["f32"])
_LOW_HALVES = "splat (i32 252645135)"
"""0x0f0f0f0f: the lower half of each byte."""


@dataclass(frozen=True)
class DigitTile(GroupedTile):
    """``void tile(s8 *a, int *words, float *c, float *scales, float *starts)``: some groups.

    ``a`` is (rows, words of 4 elements, digits, 4), ``starts`` (rows, groups, ``STARTS``).
    """

    digits: int = field(kw_only=True)
    """Of an activation: a multiply-add each for four weights."""
    start_row: int = field(kw_only=True)
    """Numbers from the starts of one row to the next."""
    dot: Dot = field(kw_only=True)
    has_zeros: bool = field(default=False, kw_only=True)
    """Whether the weights have zero points; else the weight 0 is in the middle."""

    @property
    def parameters(self) -> Pointers:
        """The pointers of all tiles, the zero points if the weights have them, the starts."""
        zeros: Pointers = (("%e", "zero_point"),) if self.has_zeros else ()
        return (*self.pointers, *zeros, ("%f", "accumulator"))

    @property
    def _parts(self) -> int:
        """Operands that a word of weights makes."""
        return self.per_word // PER_LANE

    def declarations(self, w: Writer) -> str:
        """Return the intrinsics of loads, stores and sums, and of the dot product."""
        return super().declarations(w) + self.dot.declarations(w.typed(WORD))

    def _group(self, w: Writer, g: str) -> list[str]:
        """Write the sums of one group, and add them to ``c`` times the scales."""
        ints, width = w.typed(WORD), self.vectors * self.lanes
        elements = self.words * self.per_word
        a = self._a(w).at("%a", w.add(f"mul i64 {g}, {elements * self.digits}"))
        b = ints.at("%b", w.add(f"mul i64 {g}, {self.words * width}"))
        scales = w.at("%d", w.add(f"mul i64 {g}, {width}"))
        starts = w.at("%f", w.add(f"mul i64 {g}, {STARTS}"))
        first = self._first(w, g, starts)
        sums = counted(ints, self.words, lambda t, now: self._step(w, t, now, (a, b)), first)
        for i in range(self.rows):
            unit = w.broadcast(w.at(starts, i * self.start_row + STARTS - 1))
            for v in range(self.vectors):
                k = (i * self.vectors + v) * self.digits
                total = self._total(w, sums[k : k + self.digits])
                # The unit alone may be as small as the smallest f32: a scale would lose its bits.
                total = w.add(f"fmul {w.vector} {total}, {unit}")
                scale = w.load(w.at(scales, v * self.lanes))
                where, mask = w.at("%c", self._place(i, v)), self._mask(w, v)
                w.store(w.fma(total, scale, w.load(where, mask)), where, mask)
        return []

    def _first(self, w: Writer, g: str, starts: str) -> list[str]:
        """Write the first vectors of all sums: the zero points times the digits, negative."""
        ints, zeros = w.typed(WORD), self._zeros(w, g)
        first = []
        for i in range(self.rows):
            of_digits = [
                w.broadcast(w.at(starts, i * self.start_row + digit))
                for digit in range(self.digits)
            ]
            whole = [w.add(f"fptosi {w.vector} {each} to {ints.vector}") for each in of_digits]
            first += [
                w.add(f"mul {ints.vector} {zero}, {each}") for zero in zeros for each in whole
            ]
        return first

    def _zeros(self, w: Writer, g: str) -> list[str]:
        """Write the zero points of a group, as whole numbers."""
        ints = w.typed(WORD)
        if not self.has_zeros:
            return [f"splat (i32 {1 << (self.bits - 1)})"] * self.vectors
        memory = Elements(ints, self.types.zero_point, WORD)
        zeros = memory.at("%e", w.add(f"mul i64 {g}, {self.vectors * self.lanes}"))
        return [memory.load(memory.at(zeros, v * self.lanes)) for v in range(self.vectors)]

    def _total(self, w: Writer, sums: list[str]) -> str:
        """Write the sums of the digits as one f32."""
        ints, total = w.typed(WORD).vector, ""
        for each in reversed(sums):
            number = w.add(f"sitofp {ints} {each} to {w.vector}")
            total = w.fma(total, w.splat(BASE), number) if total else number
        return total

    def _step(self, w: Writer, t: str, sums: list[str], places: tuple[str, str]) -> list[str]:
        """Write the products of one word of each column."""
        ints, width, sums = w.typed(WORD), self.vectors * self.lanes, list(sums)
        digits = self._a(w)
        a = digits.at(places[0], w.add(f"mul i64 {t}, {self.per_word * self.digits}"))
        b = ints.at(places[1], w.add(f"mul i64 {t}, {width}"))
        self._fetch(ints, b)
        words = [ints.load(ints.at(b, v * self.lanes)) for v in range(self.vectors)]
        four = w.typed(WORD, DIGIT_TYPES.source.bytes)
        for part in range(self._parts):
            across = [self._weights(ints, word, part) for word in words]
            for i in range(self.rows):
                for digit in range(self.digits):
                    place = i * self.a_row + (part * self.digits + digit) * PER_LANE
                    (element,) = self.dot.row(ints, four.broadcast(digits.at(a, place)))
                    for v, weights in enumerate(across):
                        k = (i * self.vectors + v) * self.digits + digit
                        sums[k] = self.dot.add(ints, weights, element, sums[k])
        return sums

    def _weights(self, ints: Writer, word: str, part: int) -> str:
        """Write the weights of a part of the words, one in each byte."""
        if self._parts > 1:
            v = ints.vector
            down = ints.add(f"lshr {v} {word}, splat (i32 {self.bits})") if part else word
            word = ints.add(f"and {v} {down}, {_LOW_HALVES}")
        (weights,) = self.dot.row(ints, word)
        return weights
