"""The kernels of attention besides matrix products: vectors along the queries.

The scores are stored transposed, ``(keys, queries)``: each lane is a query. So maximum and sum over
the keys are plain vector arithmetic, without sums across lanes. Each query has three numbers,
``(maximum, sum, factor)``, in rows as long as a row of scores.

Exponentials are powers of two: packing multiplies the queries by log2(e) / sqrt(dim).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from convprof.codegen.kernels.base import Kernel, Pointers
from convprof.codegen.kernels.exp2 import exp2
from convprof.codegen.kernels.transpose import interleaved, transposed
from convprof.codegen.writer import Writer, over_channels
from convprof.integers import round_up

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
    """``void tile(T *a, T *b, T *c)``: ``queries`` rows of ``a``, transposed into ``c`` and scaled.

    ``c`` is ``(dim, width)``; the columns beyond the queries become 0. With a ``k_group``, ``c`` is
    ``(dim / k_group, width, k_group)``, filled up with zeros.
    """

    pointers: ClassVar[Pointers] = (("%a", "source"), ("%b", "weights"), ("%c", "source"))

    queries: int
    width: int
    """Columns of ``c``: whole vectors."""
    dim: int
    row: int
    """Elements from one row of ``a`` to the next."""
    scale: float
    k_group: int = 1

    def _code(self, w: Writer) -> str:
        if self.lanes % self.k_group:
            raise ValueError(f"{self.lanes} lanes are no whole groups of {self.k_group}")
        return over_channels(w, self.dim, self._body)

    def _body(self, w: Writer, channel: str, mask: str | None) -> None:
        """Transpose a vector of dimensions, for all queries."""
        alive = self.lanes if mask is None else self.dim % self.lanes
        a = w.at("%a", channel)
        c = w.at("%c", w.add(f"mul i64 {channel}, {self.width}"))
        scale = w.splat(w.rounded(self.scale))
        for first in range(0, self.width, self.lanes):
            rows = [
                w.load(w.at(a, i * self.row), mask) if i < self.queries else "zeroinitializer"
                for i in range(first, first + self.lanes)
            ]
            columns = transposed(w, rows)[: round_up(alive, self.k_group)]
            for u in range(0, len(columns), self.k_group):
                done = [
                    w.add(f"fmul {w.vector} {column}, {scale}")
                    for column in columns[u : u + self.k_group]
                ]
                start = u * self.width + first * self.k_group
                for v, vector in enumerate(interleaved(w, done)):
                    w.store(vector, w.at(c, start + v * self.lanes))


@dataclass(frozen=True)
class Softmax(Kernel):
    """``void tile(T *a, T *b, T *c)``: scores ``a`` become powers of two, relative to the maximum.

    The kernel computes some columns of ``a (keys, width)``; ``b`` holds the numbers of each query.
    The maximum includes these keys; the factor is the number by which earlier sums are multiplied;
    the new powers are added to the sum. The vectors across are limited by the registers.
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
    first: bool = False
    """Whether these are the first keys: the numbers in ``b`` are then not set yet."""

    def _code(self, w: Writer) -> str:
        columns = self._columns
        before = [self._before(w, j, MAXIMUM) for j in columns]
        head = w.taken()
        iterations, rest = divmod(self.keys, ROWS_PER_ITERATION)
        carried = [f"%max{j}" for j in columns]
        maxima = self._maxima(w, carried, "%row", ROWS_PER_ITERATION)
        searching = w.taken()
        last = maxima if iterations else before
        start = w.at("%a", iterations * ROWS_PER_ITERATION * self.width)
        largest = self._maxima(w, last, start, rest)
        sums = self._update(w, before, largest)
        between = w.taken()
        totals = [f"%sum{j}" for j in columns]
        added = self._powers(w, largest, totals)
        raising = w.taken()
        for total, j in zip(added, columns, strict=True):
            w.store(total, w.at("%b", SUM * self.width + j))
        tail = w.taken()
        element, v = w.element, w.vector
        search = (
            f"""  br label %search
search:
  %i = phi i64 [ 0, %entry ], [ %i_next, %search ]
  %row = phi ptr [ %a, %entry ], [ %row_next, %search ]
{_phis(v, carried, _From("entry", before), _From("search", maxima))}
{searching}
  %row_next = getelementptr {element}, ptr %row, i64 {ROWS_PER_ITERATION * self.width}
  %i_next = add i64 %i, 1
  %i_more = icmp ult i64 %i_next, {iterations}
  br i1 %i_more, label %search, label %found
found:"""
            if iterations
            else "  br label %found\nfound:"
        )
        return f"""entry:
{head}
{search}
{between}
  br label %raise
raise:
  %k = phi i64 [ 0, %found ], [ %k_next, %raise ]
  %at = phi ptr [ %a, %found ], [ %at_next, %raise ]
{_phis(v, totals, _From("found", sums), _From("raise", added))}
{raising}
  %at_next = getelementptr {element}, ptr %at, i64 {self.width}
  %k_next = add i64 %k, 1
  %k_more = icmp ult i64 %k_next, {self.keys}
  br i1 %k_more, label %raise, label %done
done:
{tail}
"""

    @property
    def _columns(self) -> range:
        return range(0, self.vectors * self.lanes, self.lanes)

    def _before(self, w: Writer, j: int, number: int) -> str:
        if self.first:
            lowest = w.rounded(self.types.accumulator.lowest)
            return w.splat(lowest if number == MAXIMUM else 0.0)
        return w.load(w.at("%b", number * self.width + j))

    def _maxima(self, w: Writer, largest: list[str], pointer: str, rows: int) -> list[str]:
        """Write the maxima over some more rows."""
        for row in range(rows):
            scores = [w.load(w.at(pointer, row * self.width + j)) for j in self._columns]
            largest = [w.larger(a, b) for a, b in zip(scores, largest, strict=True)]
        return largest

    def _update(self, w: Writer, before: list[str], largest: list[str]) -> list[str]:
        """Write the new maxima and the factors; return the earlier sums times the factors."""
        sums = []
        for index, j in enumerate(self._columns):
            w.store(largest[index], w.at("%b", MAXIMUM * self.width + j))
            if self.first:
                sums.append(w.splat(0.0))
                continue
            factor = exp2(w, w.add(f"fsub {w.vector} {before[index]}, {largest[index]}"))
            w.store(factor, w.at("%b", FACTOR * self.width + j))
            sums.append(w.add(f"fmul {w.vector} {self._before(w, j, SUM)}, {factor}"))
        return sums

    def _powers(self, w: Writer, largest: list[str], totals: list[str]) -> list[str]:
        """Write one row of powers; return the sums that include the row."""
        added = []
        for index, j in enumerate(self._columns):
            place = w.at("%at", j)
            power = exp2(w, w.add(f"fsub {w.vector} {w.load(place)}, {largest[index]}"))
            w.store(power, place)
            added.append(w.add(f"fadd {w.vector} {totals[index]}, {power}"))
        return added


@dataclass(frozen=True)
class ScaleRows(Kernel):
    """``void tile(T *a, T *b, T *c)``: multiply each row of ``c`` by a number from ``b``.

    The number is the factor, or, at the end, one over the sum.
    """

    pointers: ClassVar[Pointers] = (("%a", "source"), ("%b", "accumulator"), ("%c", "result"))

    rows: int
    width: int
    """Numbers of one kind in ``b``."""
    dim: int
    """Elements in a row of ``c``."""
    row: int
    """Elements from one row of ``c`` to the next."""
    finish: bool = False

    def _code(self, w: Writer) -> str:
        if self.finish:
            for j in range(0, self.width, self.lanes):
                total = w.load(w.at("%b", SUM * self.width + j))
                inverse = w.add(f"fdiv {w.vector} {w.splat(1.0)}, {total}")
                w.store(inverse, w.at("%b", FACTOR * self.width + j))
        return over_channels(w, self.dim, self._body, head=w.taken())

    def _body(self, w: Writer, channel: str, mask: str | None) -> None:
        c = w.at("%c", channel)
        for i in range(self.rows):
            factor = w.broadcast(w.at("%b", FACTOR * self.width + i))
            place = w.at(c, i * self.row)
            w.store(w.add(f"fmul {w.vector} {w.load(place, mask)}, {factor}"), place, mask)


def _phis(vector: str, names: list[str], first: _From, last: _From) -> str:
    """Write the vectors that a loop carries from one iteration to the next."""
    return "\n".join(
        f"  {name} = phi {vector} [ {a}, %{first.block} ], [ {b}, %{last.block} ]"
        for name, a, b in zip(names, first.values, last.values, strict=True)
    )
