"""The kernels of attention besides matrix products: vectors along the queries.

The scores are stored transposed, ``(keys, queries)``: each lane is a query. So maximum and sum over
the keys are plain vector arithmetic, without sums across lanes. Each query has three numbers,
``(maximum, sum, factor)``, in rows as long as a row of scores.

Exponentials are powers of two: log2(e) / sqrt(dim) multiplies the differences from the maximum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from convprof.codegen.kernels.base import Kernel, Pointers
from convprof.codegen.kernels.elements import WORD, paired_powers
from convprof.codegen.kernels.exp2 import exp2
from convprof.codegen.kernels.transpose import interleaved, scaled, transposed
from convprof.codegen.writer import Writer, counted, over_channels
from convprof.integers import round_up

if TYPE_CHECKING:
    from convprof.dtypes import DType

ROWS_PER_ITERATION = 4
"""Rows of scores per iteration of the search for the maximum: more independent chains."""
MAXIMUM, SUM, FACTOR = range(3)
"""The row numbers of the maximum, sum and factor of the queries."""


class _From(NamedTuple):
    """Values that come from one basic block."""

    block: str
    values: list[str]


@dataclass(frozen=True)
class PackQueries(Kernel):
    """``void tile(T *a, T *b, U *c)``: ``queries`` rows of ``a``, transposed into ``c`` and scaled.

    ``c`` is ``(dim, width)``; the columns beyond the queries become 0. With a ``k_group``, ``c`` is
    ``(dim / k_group, width, k_group)``, filled up with zeros.
    """

    pointers: ClassVar[Pointers] = (("%a", "source"), ("%b", "weights"), ("%c", "result"))

    queries: int
    width: int
    """Columns of ``c``: whole vectors."""
    dim: int
    row: int
    """Elements from one row of ``a`` to the next."""
    scale: float = 1.0
    k_group: int = 1

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    def _code(self, w: Writer) -> str:
        if self.lanes % self.k_group:
            raise ValueError(f"{self.lanes} lanes are not whole groups of {self.k_group}")
        return over_channels(w, self.dim, self._body)

    def _body(self, w: Writer, channel: str, mask: str | None) -> None:
        """Transpose a vector of dimensions, for all queries."""
        alive = self.lanes if mask is None else self.dim % self.lanes
        source, result = self._memory(w, "source"), self._memory(w, "result")
        a = source.at("%a", channel)
        c = result.at("%c", w.add(f"mul i64 {channel}, {self.width}"))
        for first in range(0, self.width, self.lanes):
            rows = [
                source.load(source.at(a, i * self.row), mask)
                if i < self.queries
                else "zeroinitializer"
                for i in range(first, first + self.lanes)
            ]
            columns = transposed(w, rows)[: round_up(alive, self.k_group)]
            for u in range(0, len(columns), self.k_group):
                group = [self._times(w, column) for column in columns[u : u + self.k_group]]
                start = u * self.width + first * self.k_group
                for v, vector in enumerate(interleaved(w, group)):
                    result.store(vector, result.at(c, start + v * self.lanes))

    def _times(self, w: Writer, column: str) -> str:
        """Write a column times the factor."""
        return scaled(w, column, self.scale)


@dataclass(frozen=True)
class PackMask(PackQueries):
    """The rows of a mask, transposed and scaled; very low numbers become half of the lowest one.

    So scores may be added. If no score of a query counts, all of its scores are equal. A ``row`` of
    0 is one row for all columns of ``c``, also those beyond the queries: nothing is transposed.
    """

    def _code(self, w: Writer) -> str:
        if self.row:
            return super()._code(w)
        source, result = self._memory(w, "source"), self._memory(w, "result")

        def key(index: str, _: list[str]) -> list[str]:
            number = self._times(w, source.broadcast(source.at("%a", index)))
            c = result.at("%c", w.add(f"mul i64 {index}, {self.width}"))
            for first in range(0, self.width, self.lanes):
                result.store(number, result.at(c, first))
            return []

        counted(w, self.dim, key)
        return f"entry:\n{w.taken()}\n"

    def _times(self, w: Writer, column: str) -> str:
        """Write a column times the factor, within the limit."""
        least = w.splat(w.rounded(self.types.accumulator.lowest / 2))
        return w.larger(super()._times(w, column), least)


@dataclass(frozen=True)
class Triangle(Kernel):
    """``void tile(T *a, T *b, T *c)``: ``c (keys, width)`` is 0, or low where a key does not count.

    The first query has ``diagonal`` keys, and each further query has one key more. ``a`` and ``b``
    are not used.
    """

    keys: int
    width: int
    """Queries: whole vectors."""
    diagonal: int
    low: float | None = None
    """The low number; by default half of the lowest one."""

    def _code(self, w: Writer) -> str:
        low = self.types.accumulator.lowest / 2 if self.low is None else self.low
        low_row, nothing = w.splat(w.rounded(low)), w.splat(0.0)

        def row(index: str, numbers: list[str]) -> list[str]:
            (key,) = numbers
            start = w.add(f"mul i64 {index}, {self.width}")
            for first in range(0, self.width, self.lanes):
                ends = w.vector_of([self.diagonal + first + lane for lane in range(self.lanes)])
                after = w.add(f"fcmp oge {w.vector} {key}, {ends}")
                w.store(w.select(after, low_row, nothing), w.at(w.at("%c", start), first))
            return [w.plus(key, w.splat(1.0))]

        counted(w, self.keys, row, [nothing])
        return f"entry:\n{w.taken()}\n"


@dataclass(frozen=True)
class Softmax(Kernel):
    """``void tile(T *a, T *b, U *c)``: powers of two of scores ``a``, relative to the maximum.

    The kernel computes some columns of ``a (keys, width)``; ``b`` holds the numbers of each query.
    The maximum includes these keys; the factor is the number by which earlier sums are multiplied;
    the new powers are added to the sum. The vectors across are limited by the registers.

    ``c`` may be the memory of ``a``. Short powers are pairs, ``(keys / 2, width, 2)``, rounded
    after they are added; the power that a last pair lacks is 0.
    """

    pointers: ClassVar[Pointers] = (
        ("%a", "accumulator"),
        ("%b", "accumulator"),
        ("%c", "result"),
    )

    keys: int
    vectors: int
    """Vectors of queries."""
    width: int
    """Elements from one row of ``a`` to the next, and from one row of ``b`` to the next."""
    scale: float = 1.0
    """The factor of the differences from the maximum; positive."""
    first: bool = False
    """Whether these are the first keys: the numbers in ``b`` are then not set yet."""

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    @property
    def _group(self) -> int:
        """Rows of powers that are stored as one row of words."""
        return self.types.accumulator.bytes // self.types.result.bytes

    def _code(self, w: Writer) -> str:
        columns = self._columns
        before = [self._before(w, j, MAXIMUM) for j in columns]
        head = w.taken()
        search, largest = self._search(w, before)
        sums = self._update(w, before, largest)
        between = w.taken()
        loop, added = self._raising(w, largest, sums)
        turns, odd = divmod(self.keys, self._group)
        if odd:
            places = (
                w.at("%a", turns * self._group * self.width),
                w.at("%c", turns * self.width),  # a group has the bytes of one sum
            )
            added = self._powers(w, largest, added, places, odd)
        for total, j in zip(added, columns, strict=True):
            w.store(total, w.at("%b", SUM * self.width + j))
        return f"""entry:
{head}
{search}
{between}
{loop}
done:
{w.taken()}
"""

    def _search(self, w: Writer, before: list[str]) -> tuple[str, list[str]]:
        """Return the loop over whole iterations; write the rest, and return the maxima."""
        iterations, rest = divmod(self.keys, ROWS_PER_ITERATION)
        start = w.at("%a", iterations * ROWS_PER_ITERATION * self.width)
        at = w.taken()
        if not iterations:
            return f"  br label %found\nfound:\n{at}", self._maxima(w, before, start, rest)
        carried = [f"%max{j}" for j in self._columns]
        maxima = self._maxima(w, carried, "%row", ROWS_PER_ITERATION)
        loop = f"""  br label %search
search:
  %i = phi i64 [ 0, %entry ], [ %i_next, %search ]
  %row = phi ptr [ %a, %entry ], [ %row_next, %search ]
{_phis(w.vector, carried, _From("entry", before), _From("search", maxima))}
{w.taken()}
  %row_next = getelementptr {w.element}, ptr %row, i64 {ROWS_PER_ITERATION * self.width}
  %i_next = add i64 %i, 1
  %i_more = icmp ult i64 %i_next, {iterations}
  br i1 %i_more, label %search, label %found
found:
{at}"""
        return loop, self._maxima(w, maxima, start, rest)

    def _raising(self, w: Writer, largest: list[str], sums: list[str]) -> tuple[str, list[str]]:
        """Return the loop that writes powers, and the sums after it."""
        turns = self.keys // self._group
        if not turns:
            return "  br label %done", sums
        totals = [f"%sum{j}" for j in self._columns]
        added = self._powers(w, largest, totals, ("%at", "%to"), self._group)
        loop = f"""  br label %raise
raise:
  %k = phi i64 [ 0, %found ], [ %k_next, %raise ]
  %at = phi ptr [ %a, %found ], [ %at_next, %raise ]
  %to = phi ptr [ %c, %found ], [ %to_next, %raise ]
{_phis(w.vector, totals, _From("found", sums), _From("raise", added))}
{w.taken()}
  %at_next = getelementptr {w.element}, ptr %at, i64 {self._group * self.width}
  %to_next = getelementptr {w.element}, ptr %to, i64 {self.width}
  %k_next = add i64 %k, 1
  %k_more = icmp ult i64 %k_next, {turns}
  br i1 %k_more, label %raise, label %done"""
        return loop, added

    @property
    def _columns(self) -> range:
        return range(0, self.vectors * self.lanes, self.lanes)

    def _before(self, w: Writer, j: int, number: int) -> str:
        if self.first:
            lowest = w.rounded(self.types.accumulator.lowest)
            return w.splat(lowest if number == MAXIMUM else 0.0)
        return w.load(w.at("%b", number * self.width + j))

    def _maxima(self, w: Writer, largest: list[str], pointer: str, rows: int) -> list[str]:
        """Write the maxima over some more rows: only the last comparison waits for ``largest``."""
        return [
            w.larger(self._largest(w, w.at(pointer, j), rows), before) if rows else before
            for j, before in zip(self._columns, largest, strict=True)
        ]

    def _largest(self, w: Writer, pointer: str, rows: int) -> str:
        """Write the maxima of pairs of rows, then of these."""
        if rows == 1:
            return w.load(pointer)
        half = rows // 2
        lower = self._largest(w, w.at(pointer, (rows - half) * self.width), half)
        return w.larger(lower, self._largest(w, pointer, rows - half))

    def _update(self, w: Writer, before: list[str], largest: list[str]) -> list[str]:
        """Write the new maxima and the factors; return the earlier sums times the factors."""
        sums = []
        for index, j in enumerate(self._columns):
            w.store(largest[index], w.at("%b", MAXIMUM * self.width + j))
            if self.first:
                sums.append(w.splat(0.0))
                continue
            less = w.add(f"fsub {w.vector} {before[index]}, {largest[index]}")
            factor = exp2(w, less, self.scale)
            w.store(factor, w.at("%b", FACTOR * self.width + j))
            sums.append(w.add(f"fmul {w.vector} {self._before(w, j, SUM)}, {factor}"))
        return sums

    def _powers(
        self, w: Writer, largest: list[str], totals: list[str], places: tuple[str, str], rows: int
    ) -> list[str]:
        """Write the powers of some rows of scores; return the sums that include the rows."""
        scores, result = places
        added = []
        for index, j in enumerate(self._columns):
            powers, total = [], totals[index]
            for row in range(rows):
                score = w.load(w.at(scores, row * self.width + j))
                less = w.add(f"fsub {w.vector} {score}, {largest[index]}")
                powers.append(exp2(w, less, self.scale))
                total = w.add(f"fadd {w.vector} {total}, {powers[row]}")
            self._store(w, powers, w.at(result, j))
            added.append(total)
        return added

    def _store(self, w: Writer, powers: list[str], place: str) -> None:
        if self._group == 1:
            w.store(powers[0], place)
            return
        second = powers[1] if len(powers) > 1 else w.splat(0.0)
        w.typed(WORD).store(paired_powers(w, powers[0], second, self.types.result), place)


@dataclass(frozen=True)
class ScaleRows(Kernel):
    """``void tile(T *a, T *b, U *c)``: each row of ``a`` times a number from ``b``.

    The number is the factor, or, at the end, one over the sum. ``c`` may be the memory of ``a``.
    """

    pointers: ClassVar[Pointers] = (
        ("%a", "accumulator"),
        ("%b", "accumulator"),
        ("%c", "result"),
    )

    rows: int
    width: int
    """Numbers of one kind in ``b``."""
    dim: int
    """Elements in a row."""
    a_row: int
    """Elements from one row of ``a`` to the next."""
    c_row: int
    finish: bool = False

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    def _code(self, w: Writer) -> str:
        if self.finish:
            for j in range(0, self.width, self.lanes):
                total = w.load(w.at("%b", SUM * self.width + j))
                inverse = w.add(f"fdiv {w.vector} {w.splat(1.0)}, {total}")
                w.store(inverse, w.at("%b", FACTOR * self.width + j))
        return over_channels(w, self.dim, self._body, head=w.taken())

    def _body(self, w: Writer, channel: str, mask: str | None) -> None:
        result = self._memory(w, "result")
        a, c = w.at("%a", channel), result.at("%c", channel)
        for i in range(self.rows):
            factor = w.broadcast(w.at("%b", FACTOR * self.width + i))
            row = w.load(w.at(a, i * self.a_row), mask)
            times = w.add(f"fmul {w.vector} {row}, {factor}")
            result.store(times, result.at(c, i * self.c_row), mask)


def _phis(vector: str, names: list[str], first: _From, last: _From) -> str:
    """Write the vectors that a loop carries from one iteration to the next."""
    return "\n".join(
        f"  {name} = phi {vector} [ {a}, %{first.block} ], [ {b}, %{last.block} ]"
        for name, a, b in zip(names, first.values, last.values, strict=True)
    )
