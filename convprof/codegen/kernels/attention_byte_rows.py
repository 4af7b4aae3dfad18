"""The kernels of attention of bytes for few queries; see ``attention_rows``.

Products of queries and keys are whole numbers. Weights are rounded to whole numbers from 0 to 255,
and values are multiplied by them in f32: all sums of up to 500 keys are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from convprof.codegen.kernels.attention_bytes import (
    HIGH,
    LOW,
    OF_RESULTS,
    OF_SCORES,
    SMALLEST,
    ZERO,
    rounded_result,
)
from convprof.codegen.kernels.attention_rows import KEYS_TOGETHER, WeightedRows, folded_lanes
from convprof.codegen.kernels.base import Kernel, Pointers
from convprof.codegen.kernels.elements import WORD, Elements, cast
from convprof.codegen.kernels.exp2 import OF_BYTES, times_exp2
from convprof.codegen.kernels.requantise import ROUNDING
from convprof.codegen.writer import Writer, across_lanes, alive, counted, first_lane, sweep
from convprof.integers import ceil_div
from convprof.problems.attention_bytes import MOST_WEIGHT

if TYPE_CHECKING:
    from convprof.codegen.kernels.multiply import Multiply
    from convprof.dtypes import DType

GROUP = 4
"""Bytes of a lane of sums."""
_SIGNS = "splat (i32 -2139062144)"  # 0x80808080


@dataclass(frozen=True)
class ByteRowDots(Kernel):
    """``void tile(s8 *a, s8 *b, s32 *c)``: ``c[q, k] = sum of a[k, :] b[q, :]``.

    ``a`` has ``keys`` rows of ``dim`` elements, ``b`` has ``queries`` rows.
    """

    pointers: ClassVar[Pointers] = (("%a", "weights"), ("%b", "source"), ("%c", "accumulator"))

    multiply: Multiply
    """How a vector of groups of keys is multiplied with one of a query."""
    signed: bool
    """Whether keys are multiplied as they are; else as u8, 128 more."""
    keys: int
    queries: int
    dim: int
    a_row: int
    """Elements from one row of ``a`` to the next."""
    b_row: int
    c_row: int

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    @property
    def title(self) -> str:
        """``scores of 4 x 64 x 128``."""
        return f"scores of {self.queries} x {self.keys} x {self.dim}"

    @property
    def fmas(self) -> int:
        """Multiply-adds of vectors."""
        return self.keys * self.queries * ceil_div(self.dim, self.lanes)

    def declarations(self, w: Writer) -> str:
        """Return the intrinsics of loads of bytes, and of the multiplications."""
        own = w.typed(self.types.source, lanes=GROUP * self.lanes).declarations()
        lines = f"{super().declarations(w)}{own}{self.multiply.declarations(w)}".splitlines()
        return "\n".join(dict.fromkeys(lines)) + "\n"

    def _code(self, w: Writer) -> str:
        starts = [self._surplus(w, q) for q in range(self.queries)]
        together = min(KEYS_TOGETHER, self.lanes)
        whole, rest = divmod(self.keys, together)

        def group(index: str, _: list[str]) -> list[str]:
            self._group(w, starts, w.add(f"mul i64 {index}, {together}"), together)
            return []

        counted(w, whole, group)
        if rest:
            self._group(w, starts, str(whole * together), rest)
        return f"entry:\n{w.taken()}\n"

    def _vectors(self) -> range:
        return range(0, self.dim, GROUP * self.lanes)

    def _words(self, w: Writer, pointer: str, row: int, at: int) -> str:
        """Write the load of a vector of groups of bytes, ``at`` elements into a row."""
        bytes_ = w.typed(self.types.source, lanes=GROUP * self.lanes)
        loaded = bytes_.load(bytes_.at(pointer, row + at), bytes_.mask(self.dim - at))
        return cast(w, loaded, bytes_.vector, w.vector)

    def _added(self, w: Writer, keys: str, query: str, total: str) -> str:
        """Write the sums with the products of a vector of keys and one of a query."""
        operands = zip(self.multiply.row(w, keys), self.multiply.columns(w, [query]), strict=True)
        for a, b in operands:
            total = self.multiply.add(w, a, b, total)
        return total

    def _surplus(self, w: Writer, q: int) -> str:
        """Write what the sums of a query begin with: less what 128 more in each key adds."""
        if self.signed:
            return "zeroinitializer"
        total = "zeroinitializer"
        for at in self._vectors():
            total = self._added(w, _SIGNS, self._words(w, "%b", q * self.b_row, at), total)
        return w.minus("zeroinitializer", total)

    def _group(self, w: Writer, starts: list[str], first: str, keys: int) -> None:
        """Write the scores of some keys."""
        rows = w.typed(self.types.weights)
        start = rows.at("%a", w.add(f"mul i64 {first}, {self.a_row}"))
        sums = [[total] * keys for total in starts]
        for at in self._vectors():
            vectors = [self._words(w, start, k * self.a_row, at) for k in range(keys)]
            if not self.signed:
                vectors = [w.add(f"xor {w.vector} {each}, {_SIGNS}") for each in vectors]
            for q, totals in enumerate(sums):
                query = self._words(w, "%b", q * self.b_row, at)
                totals[:] = (
                    self._added(w, vector, query, total)
                    for vector, total in zip(vectors, totals, strict=True)
                )
        place = w.at("%c", first)
        for q, totals in enumerate(sums):
            w.store(folded_lanes(w, totals), w.at(place, q * self.c_row), w.mask(keys))


@dataclass(frozen=True)
class ByteSoftmaxRows(Kernel):
    """``void tile(s32 *a, float *b, float *c)``: rows of scores become rounded weights, in f32.

    ``b`` has the factors; ``c[i]`` becomes what the weighted sums of row ``i`` are multiplied by.
    """

    pointers: ClassVar[Pointers] = (("%a", "accumulator"), ("%b", "scale"), ("%c", "scale"))

    rows: int
    length: int

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    def _code(self, w: Writer) -> str:
        floats = w.typed(self.types.scale)
        exponent = floats.broadcast(floats.at("%b", OF_SCORES))
        least = floats.add(f"fdiv {floats.vector} {floats.splat(SMALLEST)}, {exponent}")
        scale = floats.broadcast(floats.at("%b", OF_RESULTS))
        for i in range(self.rows):
            row = w.at("%a", i * self.length)
            most = self._most(w, row)

            def weigh(
                offset: str,
                mask: str | None,
                total: str,
                row: str = row,
                most: str = most,
            ) -> str:
                place = w.at(row, offset)
                below = w.minus(w.load(place, mask), most)
                x = w.add(f"sitofp {w.vector} {below} to {floats.vector}")
                x = times_exp2(floats, floats.larger(x, least), exponent, OF_BYTES, MOST_WEIGHT)
                shifted = floats.plus(x, floats.splat(ROUNDING))
                weight = floats.minus(shifted, floats.splat(ROUNDING))
                weight = alive(floats, weight, mask, "zeroinitializer")
                floats.store(weight, place, mask)
                return floats.plus(total, weight)

            sums = sweep(floats, self.length, weigh, ["zeroinitializer"] * 2)
            total = across_lanes(floats, floats.plus(*sums), floats.plus)
            factor = floats.add(f"fdiv {floats.vector} {scale}, {total}")
            one = first_lane(floats, factor)
            place = floats.at("%c", i)
            w.lines.append(f"  store {floats.element} {one}, ptr {place}, align {floats.size}")
        return f"entry:\n{w.taken()}\n"

    def _most(self, w: Writer, row: str) -> str:
        """Write the largest score of a row, in every lane."""
        least = w.splat(-(2**31))

        def larger(offset: str, mask: str | None, before: str) -> str:
            return w.larger(before, alive(w, w.load(w.at(row, offset), mask), mask, least))

        one, other = sweep(w, self.length, larger, [least] * 2)
        return across_lanes(w, w.larger(one, other), w.larger)


@dataclass(frozen=True)
class ByteWeightedRows(WeightedRows):
    """``WeightedRows`` of values in s8; its sums times a number per query, ``d``, are the results.

    Results in bytes have limits and a zero point among the factors ``e``.
    """

    pointers: ClassVar[Pointers] = (
        ("%a", "weights"),
        ("%b", "scale"),
        ("%c", "result"),
        ("%d", "scale"),
        ("%e", "scale"),
    )

    @property
    def _computes_in(self) -> DType:
        return self.types.scale

    def _store(self, w: Writer, total: tuple[str, int], place: str, mask: str | None) -> None:
        sums, q = total
        y, words = w.times(sums, w.broadcast(w.at("%d", q))), w.typed(WORD)
        if not self.types.result.is_exact:
            w.store(y, place, mask)
            return
        low, high = (w.broadcast(w.at("%e", word)) for word in (LOW, HIGH))
        ends = low, high, words.broadcast(w.at("%e", ZERO))
        Elements(words, self.types.result, WORD).store(
            rounded_result(words, w, y, ends), place, mask
        )
