"""The kernels around products of attention in tile registers: panels of 32 queries.

Scores, powers and sums of values have a panel's queries along their rows of 128 bytes: scores
``(keys, 32)``, powers ``(keys / group, 32, group)``, sums ``(dim, 32)``. So values are multiplied
from the left, transposed, and a correction of the sums is a plain product of vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from convprof.codegen.kernels.attention import FACTOR, SUM
from convprof.codegen.kernels.base import Kernel, Pointers
from convprof.codegen.kernels.elements import WORD, cast, paired
from convprof.codegen.kernels.tile_registers import SIDE
from convprof.codegen.kernels.transpose import transposed
from convprof.codegen.writer import Writer, counted

if TYPE_CHECKING:
    from convprof.dtypes import DType

Ends: TypeAlias = tuple[str, ...]
"""Vectors that the results of a vector of queries are computed with."""


@dataclass(frozen=True)
class TransposeValues(Kernel):
    """``void tile(T *a, T *b, T *c)``: ``c (dim, keys)`` is ``a (keys, dim)`` transposed.

    Zeros fill both sides up: ``dim`` to whole vectors of sums, ``keys`` to whole steps of 64 bytes.
    Neighbours along the keys are moved together, as one word of 32 bits. ``b`` is not used.
    """

    pointers: ClassVar[Pointers] = (("%a", "source"), ("%b", "weights"), ("%c", "source"))

    keys: int
    dim: int
    a_row: int
    """Elements from one row of ``a`` to the next."""
    c_row: int

    @property
    def _computes_in(self) -> DType:
        return WORD

    @property
    def _group(self) -> int:
        """Elements of a word."""
        return WORD.bytes // self.types.source.bytes

    def _code(self, w: Writer) -> str:
        step = self.lanes * self._group
        whole, rest = divmod(self.keys, step)

        def block(index: str, _: list[str]) -> list[str]:
            self._columns(w, w.add(f"mul i64 {index}, {step}"), step)
            return []

        counted(w, whole, block)
        if rest:
            self._columns(w, str(whole * step), rest)
        return f"entry:\n{w.taken()}\n"

    def _columns(self, w: Writer, first: str, keys: int) -> None:
        """Write the rows of some keys, at most a step, as columns."""
        whole, rest = divmod(self.dim, self.lanes)
        memory = w.typed(self.types.source)
        a = memory.at("%a", w.add(f"mul i64 {first}, {self.a_row}"))
        c = memory.at("%c", first)

        def square(index: str, _: list[str]) -> list[str]:
            self._square(w, (a, c), w.add(f"mul i64 {index}, {self.lanes}"), keys, None)
            return []

        counted(w, whole, square)
        if rest:
            self._square(w, (a, c), str(whole * self.lanes), keys, w.mask(rest))

    def _square(
        self, w: Writer, places: tuple[str, str], first: str, keys: int, mask: str | None
    ) -> None:
        """Write the transposition of a vector of dimensions, from ``first`` on."""
        memory = w.typed(self.types.source)
        a = memory.at(places[0], first)
        c = memory.at(places[1], w.add(f"mul i64 {first}, {self.c_row}"))
        firsts = range(0, self.lanes * self._group, self._group)
        words = [self._word(w, a, key, keys, mask) for key in firsts]
        for j, row in enumerate(transposed(w, words)):
            w.store(row, memory.at(c, j * self.c_row))

    def _word(self, w: Writer, a: str, first: int, keys: int, mask: str | None) -> str:
        """Write a vector of words: the elements of the keys of a group, zeros for missing keys."""
        memory, word = w.typed(self.types.source), "zeroinitializer"
        for key in range(first, min(first + self._group, keys)):
            row = memory.load(memory.at(a, key * self.a_row), mask)
            wide = w.add(f"zext {memory.vector} {row} to {w.vector}")
            if key > first:
                bits = 8 * self.types.source.bytes * (key - first)
                wide = w.add(f"shl {w.vector} {wide}, {w.splat(bits)}")
                wide = w.add(f"or {w.vector} {word}, {wide}")
            word = wide
        return word


@dataclass(frozen=True)
class ScaleColumns(Kernel):
    """``void tile(T *a, T *b, T *c)``: rows of ``a``, times the factors of the queries in ``b``.

    ``c`` may be the memory of ``a``; both are ``(rows, 32)``.
    """

    pointers: ClassVar[Pointers] = (
        ("%a", "accumulator"),
        ("%b", "accumulator"),
        ("%c", "accumulator"),
    )

    rows: int
    vectors: int
    """Vectors of queries."""

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    def _code(self, w: Writer) -> str:
        columns = range(0, self.vectors * self.lanes, self.lanes)
        factors = [w.load(w.at("%b", FACTOR * SIDE + j)) for j in columns]

        def row(index: str, _: list[str]) -> list[str]:
            start = w.add(f"mul i64 {index}, {SIDE}")
            a, c = w.at("%a", start), w.at("%c", start)
            for j, factor in zip(columns, factors, strict=True):
                w.store(w.times(w.load(w.at(a, j)), factor), w.at(c, j))
            return []

        counted(w, self.rows, row)
        return f"entry:\n{w.taken()}\n"


@dataclass(frozen=True)
class FinishColumns(Kernel):
    """``void tile(T *a, T *b, U *c)``: ``c (queries, dim)`` from sums ``a (dim, 32)``.

    Each column is divided by the sum of its query in ``b``, and rounded once. Short results are
    transposed as words of 32 bits: neighbours along ``dim``.
    """

    pointers: ClassVar[Pointers] = (
        ("%a", "accumulator"),
        ("%b", "accumulator"),
        ("%c", "result"),
    )

    queries: int
    dim: int
    c_row: int
    """Elements from one row of ``c`` to the next."""

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    @property
    def _group(self) -> int:
        """Results in a word."""
        return self.types.accumulator.bytes // self.types.result.bytes

    def _rows_of(self, w: Writer) -> Writer:
        """Return a writer of vectors of results as wide as vectors of sums."""
        return w.typed(self.types.result, lanes=self.lanes * self._group)

    def declarations(self, w: Writer) -> str:
        """Return the masked stores of whole vectors of results too."""
        lines = super().declarations(w) + self._rows_of(w).declarations()
        return "\n".join(dict.fromkeys(lines.splitlines())) + "\n"

    def _code(self, w: Writer) -> str:
        step = self.lanes * self._group
        whole, rest = divmod(self.dim, step)
        for first in range(0, self.queries, self.lanes):
            ends = self._ends(w, first)

            def square(index: str, _: list[str], at: int = first, by: Ends = ends) -> list[str]:
                self._square(w, at, by, w.add(f"mul i64 {index}, {step}"), step)
                return []

            counted(w, whole, square)
            if rest:
                self._square(w, first, ends, str(whole * step), rest)
        return f"entry:\n{w.taken()}\n"

    def _ends(self, w: Writer, first: int) -> Ends:
        """Write what all results of a vector of queries need: one over the sum of each query."""
        total = w.load(w.at("%b", SUM * SIDE + first))
        return (w.add(f"fdiv {w.vector} {w.splat(1.0)}, {total}"),)

    def _square(self, w: Writer, first: int, ends: Ends, channel: str, alive: int) -> None:
        """Write ``alive`` dimensions of a vector of queries."""
        a = w.at("%a", w.add(f"add i64 {w.add(f'mul i64 {channel}, {SIDE}')}, {first}"))
        words = w if self._group == 1 else w.typed(WORD)
        columns = [
            self._word(w, a, range(i, min(i + self._group, alive)), ends)
            for i in range(0, alive, self._group)
        ]
        columns += ["zeroinitializer"] * (self.lanes - len(columns))
        result = self._rows_of(w)
        c, mask = result.at("%c", channel), result.mask(alive)
        rows = transposed(words, columns)[: min(self.lanes, self.queries - first)]
        for i, row in enumerate(rows, first):
            elements = row if words is w else cast(w, row, words.vector, result.vector)
            result.store(elements, result.at(c, i * self.c_row), mask)

    def _word(self, w: Writer, a: str, rows: range, ends: Ends) -> str:
        """Write the results of one dimension, or of some in words; zeros for missing ones."""
        numbers = [w.times(w.load(w.at(a, i * SIDE)), ends[0]) for i in rows]
        return numbers[0] if self._group == 1 else self._joined(w, numbers, ends)

    def _joined(self, w: Writer, numbers: list[str], ends: Ends) -> str:  # noqa: ARG002
        """Write words of some short results, rounded."""
        second = numbers[1] if len(numbers) > 1 else w.splat(0.0)
        return paired(w, numbers[0], second, self.types.result)
