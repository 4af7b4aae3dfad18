"""Products with weights of 8 or 4 bits, in whole numbers: f32 activations as digits of 8 bits.

    a[i, t]  =  unit[i, g] * (d2 * 256**2 + d1 * 256 + d0)        -128 <= d <= 127, t in group g
    c[i, :]  (+)=  sum over groups g of  scales[g, :] * unit[i, g] * sum over p of
                   256**p * (sum over t in g of  d_p * stored[t, :]  -  offset * sum of d_p)

``vpdpbusd`` (or ``usdot``) multiplies 4 digits and 4 weights in a lane; all sums are exact. Stored
weights have an offset that makes them positive, 128 or 8, so a weight of 8 bits is an operand as it
is, and 4 weights of 4 bits are after one ``and``: no weight is ever converted. Three digits hold 22
or 23 bits and the sign of the largest activation of a group: the error is the error of f32.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from convprof.codegen.kernels.grouped_weights import AHEAD_BYTES, WORD, GroupedTile
from convprof.codegen.kernels.tile_code import LINE_BYTES
from convprof.codegen.writer import counted
from convprof.dtypes import DTYPES, Types

if TYPE_CHECKING:
    from convprof.codegen.kernels.base import Pointers
    from convprof.codegen.kernels.dot_products import Dot
    from convprof.codegen.writer import Writer

DIGITS = 3
BASE = 256
DIGIT_TYPES = Types(DTYPES["s8"], WORD, DTYPES["f32"], DTYPES["f32"])
STARTS = DIGITS + 1
"""Numbers of a group of activations: the offset times the sum of each digit, and the unit."""
_BYTES = 4
"""Digits and weights in a lane."""
_LOW_HALVES = "splat (i32 252645135)"
"""0x0f0f0f0f: the lower half of each byte."""


@dataclass(frozen=True)
class DigitTile(GroupedTile):
    """``void tile(s8 *a, int *words, float *c, float *scales, float *starts)``: some groups.

    ``a`` is (rows, words of 4 elements, digits, 4), ``starts`` (rows, groups, ``STARTS``).
    """

    pointers: ClassVar[Pointers] = (*GroupedTile.pointers, ("%e", "scale"))

    start_row: int = field(kw_only=True)
    """Numbers from the starts of one row to the next."""
    dot: Dot = field(kw_only=True)

    @property
    def _parts(self) -> int:
        """Operands that a word of weights makes."""
        return self.per_word // _BYTES

    def declarations(self, w: Writer) -> str:
        """Return the intrinsics of loads, stores and sums, and of the dot product."""
        return super().declarations(w) + self.dot.declarations(w.typed(WORD))

    def _group(self, w: Writer, g: str) -> list[str]:
        """Write the sums of one group, and add them to ``c`` times the scales."""
        ints, width = w.typed(WORD), self.vectors * self.lanes
        elements = self.words * self.per_word
        a = self._a(w).at("%a", w.add(f"mul i64 {g}, {elements * DIGITS}"))
        b = ints.at("%b", w.add(f"mul i64 {g}, {self.words * width}"))
        scales = w.at("%d", w.add(f"mul i64 {g}, {width}"))
        starts = w.at("%e", w.add(f"mul i64 {g}, {STARTS}"))
        zeros = ["zeroinitializer"] * (len(self._cells()) * DIGITS)
        sums = counted(ints, self.words, lambda t, now: self._step(w, t, now, (a, b)), zeros)
        for i in range(self.rows):
            first, *others = (
                w.broadcast(w.at(starts, i * self.start_row + number)) for number in range(STARTS)
            )
            more, unit = [first, *others[:-1]], others[-1]
            for v in range(self.vectors):
                k = (i * self.vectors + v) * DIGITS
                total = self._total(w, sums[k : k + DIGITS], more)
                scale = w.add(f"fmul {w.vector} {unit}, {w.load(w.at(scales, v * self.lanes))}")
                where, mask = w.at("%c", self._place(i, v)), self._mask(w, v)
                w.store(w.fma(total, scale, w.load(where, mask)), where, mask)
        return []

    def _total(self, w: Writer, sums: list[str], starts: list[str]) -> str:
        """Write the sums of the digits as one f32, without what the offset added."""
        ints, total = w.typed(WORD).vector, ""
        for digit in reversed(range(DIGITS)):
            number = w.add(f"sitofp {ints} {sums[digit]} to {w.vector}")
            number = w.add(f"fsub {w.vector} {number}, {starts[digit]}")
            total = w.fma(total, w.splat(BASE), number) if total else number
        return total

    def _step(self, w: Writer, t: str, sums: list[str], places: tuple[str, str]) -> list[str]:
        """Write the products of one word of each column."""
        ints, width, sums = w.typed(WORD), self.vectors * self.lanes, list(sums)
        digits = self._a(w)
        a = digits.at(places[0], w.add(f"mul i64 {t}, {self.per_word * DIGITS}"))
        b = ints.at(places[1], w.add(f"mul i64 {t}, {width}"))
        for line in range(0, width * WORD.bytes, LINE_BYTES):
            w.prefetch(ints.at(b, (AHEAD_BYTES + line) // WORD.bytes))
        words = [ints.load(ints.at(b, v * self.lanes)) for v in range(self.vectors)]
        four = w.typed(WORD, DIGIT_TYPES.source.bytes)
        for part in range(self._parts):
            across = [self._weights(ints, word, part) for word in words]
            for i in range(self.rows):
                for digit in range(DIGITS):
                    place = i * self.a_row + (part * DIGITS + digit) * _BYTES
                    (element,) = self.dot.row(ints, four.broadcast(digits.at(a, place)))
                    for v, weights in enumerate(across):
                        k = (i * self.vectors + v) * DIGITS + digit
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
