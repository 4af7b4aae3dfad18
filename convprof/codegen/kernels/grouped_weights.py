"""Products with weights of 8 or 4 bits: the weights become f32 in registers, and nowhere else.

    c[i, :]  (+)=  sum over groups g of  scales[g, :] * sum over t in g of  a[i, t] * whole[t, :]

A word of 32 bits has 4 or 8 neighbouring weights of a column, each with an offset that makes it
positive: 128 or 8. The bits of a weight, in the lower part of the mantissa of a power of two, are
that power plus the weight, exactly; a subtraction leaves the weight. So neither shifts nor
conversions are needed for most weights. A scale is applied once per group, to a sum.

Zero points are applied once per group too: a sum of ``a (whole - zero)`` is the sum of ``a whole``
less ``zero`` times the sum of ``a``, which is the same for all columns and computed before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from convprof.codegen.cache_line import LINE_BYTES
from convprof.codegen.kernels.base import Kernel, Pointers
from convprof.codegen.kernels.elements import Elements
from convprof.codegen.writer import counted
from convprof.dtypes import DTYPES, Types

if TYPE_CHECKING:
    from convprof.codegen.writer import Writer
    from convprof.dtypes import DType

WORD = DTYPES["s32"]
TYPES = Types(DTYPES["f32"], WORD, DTYPES["f32"], DTYPES["f32"])
MANTISSA = 23
"""Bits of the mantissa of an f32."""
AHEAD_BYTES = 2048
"""Bytes of a panel to prefetch ahead; the hardware stops at the end of a page. Without prefetches
one row takes 0.75 to 0.9 of the time (weights of 8 bits), four rows from main memory up to 1.4."""


@dataclass(frozen=True)
class GroupedTile(Kernel):
    """``void tile(float *a, int *words, float *c, float *scales)``: some groups of one panel.

    ``words`` is (groups * words per group, width), ``scales`` (groups, width). With zero points two
    more: ``u8 *zeros`` (groups, width), and ``float *sums``, the sums of the groups of ``a``.
    """

    pointers: ClassVar[Pointers] = (
        ("%a", "source"),
        ("%b", "weights"),
        ("%c", "result"),
        ("%d", "accumulator"),
    )

    rows: int
    vectors: int
    """Vectors across the tile, which is as wide as the panel."""
    columns: int
    """Columns that exist in ``c``."""
    bits: int
    """Of a weight: 8 or 4."""
    words: int
    """Words of a column in each group."""
    groups: int
    a_row: int
    c_row: int
    """Elements from one row to the next."""
    accumulate: bool = False
    """Add to ``c`` rather than overwrite it."""
    sums_row: int = 0
    """Elements from one row of sums to the next, if the weights have zero points."""

    @property
    def parameters(self) -> Pointers:
        """The pointers, of which the last two exist with zero points."""
        zeros: Pointers = (("%e", "zero_point"), ("%f", "accumulator"))
        return (*self.pointers, *(zeros if self.sums_row else ()))

    @property
    def title(self) -> str:
        """``1x64 tile``: rows by columns."""
        return f"{self.rows}x{self.vectors * self.lanes} tile"

    @property
    def per_word(self) -> int:
        """Weights in a word."""
        return WORD.bits // self.bits

    @property
    def fmas(self) -> int:
        """Vector multiply-adds with weights."""
        return self.rows * self.vectors * self.words * self.groups * self.per_word

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    def _code(self, w: Writer) -> str:
        if not self.accumulate:
            for i, v in self._cells():
                w.store("zeroinitializer", w.at("%c", self._place(i, v)), self._mask(w, v))
        w.lines.insert(0, "entry:")
        counted(w, self.groups, lambda g, _: self._group(w, g))
        return w.taken() + "\n"

    def _cells(self) -> list[tuple[int, int]]:
        return [(i, v) for i in range(self.rows) for v in range(self.vectors)]

    def _group(self, w: Writer, g: str) -> list[str]:
        """Write the sums of one group, and add them to ``c`` times the scales."""
        width = self.vectors * self.lanes
        a = self._a(w).at("%a", w.add(f"mul i64 {g}, {self.words * self.per_word}"))
        ints = w.typed(WORD)
        b = ints.at("%b", w.add(f"mul i64 {g}, {self.words * width}"))
        scales = w.at("%d", w.add(f"mul i64 {g}, {width}"))
        start = ["zeroinitializer"] * len(self._cells())
        sums = counted(w, self.words, lambda t, now: self._step(w, t, now, (a, b)), start)
        if self.sums_row:
            sums = self._from_zeros(w, g, sums)
        for total, (i, v) in zip(sums, self._cells(), strict=True):
            where, mask = w.at("%c", self._place(i, v)), self._mask(w, v)
            scale = w.load(w.at(scales, v * self.lanes))
            w.store(w.fma(total, scale, w.load(where, mask)), where, mask)
        return []

    def _from_zeros(self, w: Writer, g: str, sums: list[str]) -> list[str]:
        """Write the sums of a group with the distances from zero points in place of weights."""
        half, ints = w.splat(1 << (self.bits - 1)), w.typed(WORD)
        memory = Elements(ints, self.types.zero_point, WORD)
        zeros = memory.at("%e", w.add(f"mul i64 {g}, {self.vectors * self.lanes}"))
        before = []
        for v in range(self.vectors):
            words = memory.load(memory.at(zeros, v * self.lanes))
            zero = w.add(f"sitofp {ints.vector} {words} to {w.vector}")
            before.append(w.add(f"fsub {w.vector} {half}, {zero}"))
        rows = w.at("%f", g)
        of_rows = [w.broadcast(w.at(rows, i * self.sums_row)) for i in range(self.rows)]
        return [
            w.fma(of_rows[i], before[v], total)
            for total, (i, v) in zip(sums, self._cells(), strict=True)
        ]

    def _step(self, w: Writer, t: str, sums: list[str], places: tuple[str, str]) -> list[str]:
        """Write the products of one word of each column."""
        ints, width = w.typed(WORD), self.vectors * self.lanes
        a = self._a(w).at(places[0], w.add(f"mul i64 {t}, {self.per_word}"))
        b = ints.at(places[1], w.add(f"mul i64 {t}, {width}"))
        self._fetch(ints, b)
        words = [ints.load(ints.at(b, v * self.lanes)) for v in range(self.vectors)]
        return self._products(w, words, a, list(sums))

    def _fetch(self, ints: Writer, b: str) -> None:
        """Prefetch the lines of the panel that are read ``AHEAD_BYTES`` later.

        One row reads as fast as the memory gives: prefetches would take the place of loads.
        """
        if self.rows > 1:
            for line in range(0, self.vectors * self.lanes * WORD.bytes, LINE_BYTES):
                ints.prefetch(ints.at(b, (AHEAD_BYTES + line) // WORD.bytes))

    def _products(self, w: Writer, words: list[str], a: str, sums: list[str]) -> list[str]:
        """Write a multiply-add for each weight."""
        ints = w.typed(WORD)
        for e in range(self.per_word):
            if e == self._shift // self.bits:
                down = f"splat (i32 {self._shift})"
                words = [w.add(f"lshr {ints.vector} {word}, {down}") for word in words]
            across = [self._weight(w, word, e) for word in words]
            for i in range(self.rows):
                element = w.broadcast(w.at(a, i * self.a_row + e))
                for v, weight in enumerate(across):
                    k = i * self.vectors + v
                    sums[k] = w.fma(element, weight, sums[k])
        return sums

    def _a(self, w: Writer) -> Writer:
        return w.typed(self.types.source)

    @property
    def _shift(self) -> int:
        """The bits by which the word is shifted once: the weights above them pass the mantissa."""
        return next(at for at in range(0, WORD.bits, self.bits) if at + self.bits > MANTISSA)

    def _weight(self, w: Writer, word: str, e: int) -> str:
        """Write the ``e``-th weight of each word as f32."""
        ints = w.typed(WORD)
        at = e * self.bits % self._shift
        power = 2.0 ** (MANTISSA - at)
        exponent = (127 + MANTISSA - at) << MANTISSA
        bits = w.add(f"and {ints.vector} {word}, splat (i32 {((1 << self.bits) - 1) << at})")
        number = w.add(f"or {ints.vector} {bits}, splat (i32 {exponent})")
        value = w.add(f"bitcast {ints.vector} {number} to {w.vector}")
        return w.add(f"fsub {w.vector} {value}, {w.splat(power + (1 << (self.bits - 1)))}")

    def _place(self, i: int, v: int) -> int:
        return i * self.c_row + v * self.lanes

    def _mask(self, w: Writer, v: int) -> str | None:
        return w.mask(self.columns - v * self.lanes)
