"""The kernels of attention of bytes besides matrix products; see ``problems.attention_bytes``.

As in ``attention`` scores are stored transposed, ``(keys, queries)``: each lane is a query. They
are whole numbers of 32 bits. A query may have the same number in addition in all of its scores,
which no weight depends on: so keys may be u8, ``k + 128``, and no score is corrected.

The numbers of a block of queries are rows of ``width`` words: ``attention``'s maximum (s32), sum
and factor (f32), then ``EXPONENT`` and ``LEAST`` in every lane, then the words of the factors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from convprof.codegen.kernels.attention import (
    FACTOR,
    MAXIMUM,
    ROWS_PER_ITERATION,
    SUM,
    PackMask,
)
from convprof.codegen.kernels.base import Kernel, Pointers
from convprof.codegen.kernels.elements import WORD, cast
from convprof.codegen.kernels.exp2 import OF_BYTES, SHORT, times_exp2
from convprof.codegen.kernels.requantise import ROUNDING
from convprof.codegen.writer import Writer, counted, over_channels
from convprof.problems.attention_bytes import FAR, MOST_WEIGHT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.dtypes import DType

EXPONENT, LEAST = FACTOR + 1, FACTOR + 2
"""The row numbers of log2(e) times the unit of scores, and of the smallest difference between a
score and the maximum that is told from smaller ones."""
NUMBERS = LEAST + 1
"""Rows of numbers before the words of the factors."""
OF_SCORES, OF_MASKS, OF_RESULTS, LOW, HIGH, ZERO = range(6)
"""The words of the factors: f32 that scores, a mask and results are multiplied by; the limits of
a result less its zero point; the zero point in s32."""
WORDS = 6
GROUP = 4
"""Keys whose weights are one word."""
SMALLEST = -100.0
"""Of the exponents of two: far below a weight of 1/2."""
_BITS = (0x4B400000, 0x4B400000, 0x4B4074C0, 0x4B400000)
"""Of the keys of a group, the bits of an f32 to which a weight is added: the lowest bits of the sum
are the weight, rounded as by ``requantise.ROUNDING``. The third number is such that the words of a
group, shifted by 0, 8, 16 and 24 bits, add up to 0: no byte needs a mask."""


@dataclass(frozen=True)
class SpreadFactors(Kernel):
    """``void tile(float *a, float *b, float *c)``: the factors ``a`` into the numbers ``c``."""

    pointers: ClassVar[Pointers] = (("%a", "scale"), ("%b", "scale"), ("%c", "scale"))

    width: int

    @property
    def _computes_in(self) -> DType:
        return self.types.scale

    def _code(self, w: Writer) -> str:
        exponent = w.broadcast(w.at("%a", OF_SCORES))
        least = w.add(f"fdiv {w.vector} {w.splat(SMALLEST)}, {exponent}")
        for number, row in ((EXPONENT, exponent), (LEAST, least)):
            for j in range(0, self.width, self.lanes):
                w.store(row, w.at("%c", number * self.width + j))
        words, at = w.typed(WORD, lanes=1), NUMBERS * self.width
        for word in range(WORDS):
            one = words.load(words.at("%a", word))
            words.store(one, words.at("%c", at + word))
        return f"{w.taken()}\n"


@dataclass(frozen=True)
class MaskUnits(PackMask):
    """The rows of a mask in f32, transposed, in units of scores (s32); ``b`` has the factors."""

    pointers: ClassVar[Pointers] = (("%a", "source"), ("%b", "source"), ("%c", "result"))

    def _times(self, w: Writer, column: str) -> str:
        """Write the whole numbers, as the bits of f32; limited before, so that they fit."""
        v, ints = w.vector, w.typed(WORD).vector
        factor = w.broadcast(w.at("%b", OF_MASKS))
        units = w.larger(w.splat(-FAR), w.add(f"fmul {v} {column}, {factor}"))
        units = w.smaller(w.splat(FAR), units)
        return cast(w, w.add(f"fptosi {v} {units} to {ints}"), ints, v)


@dataclass(frozen=True)
class ByteSoftmax(Kernel):
    """``void tile(s32 *a, float *b, u8 *c)``: weights of scores ``a``, relative to the maximum.

    The kernel computes some columns of ``a (keys, width)``; ``b`` has the numbers. The maximum
    includes these keys; the factor is the number by which earlier sums are multiplied; the rounded
    weights are added to the sum. ``c`` is ``(keys / 4, width, 4)``, and may be the memory of ``a``;
    weights that a last group lacks are 0.
    """

    pointers: ClassVar[Pointers] = (("%a", "accumulator"), ("%b", "scale"), ("%c", "source"))

    keys: int
    vectors: int
    """Vectors of queries."""
    width: int
    """Elements from one row of ``a`` to the next, and from one row of ``b`` to the next."""
    first: bool = False
    """Whether these are the first keys: maximum and sum in ``b`` are then not set yet."""
    masked: bool = False
    """Whether scores may be so far below the maximum that they do not count."""

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    def _code(self, w: Writer) -> str:
        columns = range(0, self.vectors * self.lanes, self.lanes)
        if self.first:
            before = [w.splat(-(2**31))] * self.vectors
        else:
            before = [w.load(w.at("%b", MAXIMUM * self.width + j)) for j in columns]
        largest = self._largest(w, columns, before)
        floats = w.typed(self.types.scale)
        exponent, least = (
            floats.load(floats.at("%b", row * self.width)) for row in (EXPONENT, LEAST)
        )
        powers = _Powers(w, floats, exponent, least, masked=self.masked)
        for j, most in zip(columns, largest, strict=True):
            w.store(most, w.at("%b", MAXIMUM * self.width + j))
        kept = self._kept(floats, columns, powers, (before, largest))
        added = self._weights(w, columns, powers, largest)
        surplus = _wrapped(sum(_BITS[key % GROUP] for key in range(self.keys)))
        for j, total, old in zip(columns, added, kept, strict=True):
            own = w.minus(total, w.splat(surplus))
            new = w.add(f"sitofp {w.vector} {own} to {floats.vector}")
            new = new if old is None else floats.plus(old, new)
            floats.store(new, floats.at("%b", SUM * self.width + j))
        return f"entry:\n{w.taken()}\n"

    def _largest(self, w: Writer, columns: range, before: list[str]) -> list[str]:
        """Write the loop over the keys that finds the maxima."""

        def rows(first: str, largest: list[str], count: int) -> list[str]:
            start = w.at("%a", w.add(f"mul i64 {first}, {self.width}"))
            for row in range(count):
                scores = [w.load(w.at(start, row * self.width + j)) for j in columns]
                largest = [w.larger(a, b) for a, b in zip(scores, largest, strict=True)]
            return largest

        def turn(index: str, largest: list[str]) -> list[str]:
            first = w.add(f"mul i64 {index}, {ROWS_PER_ITERATION}")
            return rows(first, largest, ROWS_PER_ITERATION)

        turns, rest = divmod(self.keys, ROWS_PER_ITERATION)
        largest = counted(w, turns, turn, before)
        return rows(str(turns * ROWS_PER_ITERATION), largest, rest)

    def _kept(
        self, floats: Writer, columns: range, powers: _Powers, maxima: tuple[list[str], list[str]]
    ) -> list[str | None]:
        """Write the factors, and return the earlier sums times them; None for the first keys."""
        if self.first:
            return [None] * self.vectors
        kept: list[str | None] = []
        for j, old, new in zip(columns, *maxima, strict=True):
            factor = powers.factor(old, new)
            floats.store(factor, floats.at("%b", FACTOR * self.width + j))
            total = floats.load(floats.at("%b", SUM * self.width + j))
            kept.append(floats.times(total, factor))
        return kept

    def _weights(self, w: Writer, columns: range, powers: _Powers, largest: list[str]) -> list[str]:
        """Write the loop over groups of keys; return the sums of the bits of rounded weights."""

        def group(index: str, sums: list[str], keys: int) -> list[str]:
            row = w.add(f"mul i64 {index}, {self.width}")
            scores = w.at("%a", w.add(f"mul i64 {row}, {GROUP}"))
            words = w.at("%c", row)  # a group has the bytes of one score
            added = list(sums)
            for place, j in enumerate(columns):
                bits = [
                    powers.weight(w.load(w.at(scores, k * self.width + j)), largest[place], k)
                    for k in range(keys)
                ]
                for each in bits:
                    added[place] = w.plus(added[place], each)
                w.store(_word(w, bits), w.at(words, j))
            return added

        turns, rest = divmod(self.keys, GROUP)
        start = ["zeroinitializer"] * self.vectors
        sums = counted(w, turns, lambda index, sums: group(index, sums, GROUP), start)
        return group(str(turns), sums, rest) if rest else sums


@dataclass(frozen=True)
class _Powers:
    """The exponentials of a block, with the vectors that all of them use."""

    w: Writer
    floats: Writer
    exponent: str
    least: str
    masked: bool

    def factor(self, old: str, new: str) -> str:
        """Write the factor of what was computed with an earlier maximum, in f32."""
        below, x = self._below(old, new)
        factor = times_exp2(self.floats, x, self.exponent, SHORT)
        if not self.masked:
            return factor
        return self.floats.select(self._far(below), self.floats.splat(0.0), factor)

    def weight(self, score: str, most: str, key: int) -> str:
        """Write the rounded weights of a vector of scores, on top of the key's bits in a group."""
        w, floats, own = self.w, self.floats, _BITS[key]
        below, x = self._below(score, most)
        weight = times_exp2(floats, x, self.exponent, OF_BYTES, MOST_WEIGHT)
        rounded = floats.plus(weight, floats.splat(_float_of(own)))
        bits = cast(w, rounded, floats.vector, w.vector)
        return w.select(self._far(below), w.splat(own), bits) if self.masked else bits

    def _below(self, score: str, most: str) -> tuple[str, str]:
        """Write the difference from the maximum, in whole numbers and in limited f32."""
        below = self.w.minus(score, most)
        x = self.w.add(f"sitofp {self.w.vector} {below} to {self.floats.vector}")
        return below, self.floats.larger(x, self.least)

    def _far(self, below: str) -> str:
        return self.w.add(f"icmp sle {self.w.vector} {below}, {self.w.splat(-FAR // 2)}")


def _word(w: Writer, bits: list[str]) -> str:
    """Write the weights of up to four keys as one vector of words."""
    word = ""
    for each in reversed(bits):
        word = w.plus(w.add(f"shl {w.vector} {word}, {w.splat(8)}"), each) if word else each
    if len(bits) == GROUP:
        return word
    surplus = sum(own << 8 * key for key, own in enumerate(_BITS[: len(bits)]))
    return w.minus(word, w.splat(_wrapped(surplus)))


def _wrapped(number: int) -> int:
    """Return a number modulo 2**32 as LLVM writes it."""
    return (number + 2**31) % 2**32 - 2**31


def _float_of(bits: int) -> float:
    """Return the f32 with some bits."""
    return float(np.int32(bits).view(np.float32))


@dataclass(frozen=True)
class JoinRows(Kernel):
    """``void tile(s32 *a, float *b, U *c)``: the sums ``a`` of a block of keys, and earlier ones.

    Without ``finish`` the rows of ``c`` are the sums so far, ``c * factor + a``, in f32. With
    ``finish`` they are the results: the sums so far, which are ``apart`` elements behind ``a``,
    times the scale over the sum of weights, rounded to the result's type.
    """

    pointers: ClassVar[Pointers] = (("%a", "accumulator"), ("%b", "scale"), ("%c", "result"))

    rows: int
    width: int
    """Numbers of one kind in ``b``."""
    dim: int
    """Elements in a row."""
    row: int
    """Elements from one row of ``a`` to the next, and of the sums so far."""
    c_row: int
    apart: int
    """Elements from ``a`` to the sums so far."""
    first: bool = False
    """Whether there are no earlier sums."""
    finish: bool = False

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    def _code(self, w: Writer) -> str:
        floats = w.typed(self.types.scale)
        if self.finish:  # into the row of the maxima, which nothing reads any more
            scale = floats.broadcast(floats.at("%b", self._word(OF_RESULTS)))
            for j in range(0, self.width, self.lanes):
                total = floats.load(floats.at("%b", SUM * self.width + j))
                inverse = floats.add(f"fdiv {floats.vector} {scale}, {total}")
                floats.store(inverse, floats.at("%b", MAXIMUM * self.width + j))
        return over_channels(w, self.dim, self._body, head=w.taken())

    def _word(self, word: int) -> int:
        return NUMBERS * self.width + word

    def _body(self, w: Writer, channel: str, mask: str | None) -> None:
        floats, result = w.typed(self.types.scale), self._memory(w, "result")
        a, c = w.at("%a", channel), result.at("%c", channel)
        for i in range(self.rows):
            place = w.at(a, i * self.row)
            whole = w.load(place, mask)
            total = w.add(f"sitofp {w.vector} {whole} to {floats.vector}")
            if not self.first:
                factor = floats.broadcast(floats.at("%b", FACTOR * self.width + i))
                before = floats.load(floats.at(place, self.apart), mask)
                total = floats.fma(before, factor, total)
            if not self.finish:
                floats.store(total, floats.at(place, self.apart), mask)
                continue
            inverse = floats.broadcast(floats.at("%b", MAXIMUM * self.width + i))
            y = self._rounded(w, floats, floats.times(total, inverse))
            result.store(y, result.at(c, i * self.c_row), mask)

    def _rounded(self, w: Writer, floats: Writer, y: str) -> str:
        """Write a vector of results in 32 bits: of bytes, or the bits of f32."""
        if not self.types.result.is_exact:
            return cast(w, y, floats.vector, w.vector)
        low, high = (floats.broadcast(floats.at("%b", self._word(word))) for word in (LOW, HIGH))
        return rounded_result(w, floats, y, (low, high, w.broadcast(w.at("%b", self._word(ZERO)))))


def rounded_result(w: Writer, floats: Writer, y: str, ends: Sequence[str]) -> str:
    """Write results in bytes, in 32 bits each; ``ends``: vectors of both limits and the zero."""
    low, high, zero = ends
    y = floats.smaller(high, floats.larger(low, y))
    bits = cast(w, floats.plus(y, floats.splat(ROUNDING)), floats.vector, w.vector)
    return w.plus(bits, zero)
