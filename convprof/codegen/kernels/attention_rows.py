"""The products of attention for few queries: vectors along the elements of a head.

Each key and each value passes once, in the order of memory. ``attention`` has vectors along the
queries instead: with few of them, most lanes of its scores are empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from convprof.codegen.kernels.base import Kernel, Pointers
from convprof.codegen.writer import Writer, counted
from convprof.integers import ceil_div

if TYPE_CHECKING:
    from convprof.dtypes import DType

KEYS_TOGETHER = 4
"""Keys whose sums become one vector: a vector of a query is loaded once for all of them."""
CHAINS = 8
"""Independent sums that hide the latency of two multiply-adds in a cycle."""


@dataclass(frozen=True)
class RowDots(Kernel):
    """``void tile(T *a, T *b, U *c)``: ``c[q, k] = scale * sum of a[k, :] b[q, :]``.

    ``a`` has ``keys`` rows of ``dim`` elements, ``b`` has ``queries`` rows.
    """

    pointers: ClassVar[Pointers] = (("%a", "weights"), ("%b", "source"), ("%c", "accumulator"))

    keys: int
    queries: int
    dim: int
    a_row: int
    """Elements from one row of ``a`` to the next."""
    b_row: int
    c_row: int
    scale: float = 1.0

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

    def _code(self, w: Writer) -> str:
        together = min(KEYS_TOGETHER, self.lanes)
        whole, rest = divmod(self.keys, together)

        def group(index: str, _: list[str]) -> list[str]:
            self._group(w, w.add(f"mul i64 {index}, {together}"), together)
            return []

        counted(w, whole, group)
        if rest:
            self._group(w, str(whole * together), rest)
        return f"entry:\n{w.taken()}\n"

    def _group(self, w: Writer, first: str, keys: int) -> None:
        """Write the scores of some keys."""
        rows, queries = self._memory(w, "weights"), self._memory(w, "source")
        start = rows.at("%a", w.add(f"mul i64 {first}, {self.a_row}"))
        sums = [["zeroinitializer"] * keys for _ in range(self.queries)]
        for at in range(0, self.dim, self.lanes):
            mask = w.mask(self.dim - at)
            vectors = [rows.load(rows.at(start, k * self.a_row + at), mask) for k in range(keys)]
            for q, totals in enumerate(sums):
                query = queries.load(queries.at("%b", q * self.b_row + at), mask)
                totals[:] = (
                    w.fma(vector, query, total)
                    for vector, total in zip(vectors, totals, strict=True)
                )
        factor, place = w.splat(w.rounded(self.scale)), w.at("%c", first)
        for q, totals in enumerate(sums):
            scores = w.times(folded_lanes(w, totals), factor)
            w.store(scores, w.at(place, q * self.c_row), w.mask(keys))


def folded_lanes(w: Writer, vectors: list[str]) -> str:
    """Write the sum of the lanes of each vector: one lane for each, in order, at the beginning."""
    while len(vectors) & (len(vectors) - 1):
        vectors = [*vectors, "zeroinitializer"]
    lanes = w.lanes
    while lanes > 1:
        pairs = zip(vectors[::2], vectors[1::2] or vectors, strict=True)
        vectors = [_neighbours(w, a, b) for a, b in pairs]
        lanes //= 2
    return vectors[0]


def _neighbours(w: Writer, a: str, b: str) -> str:
    """Write the sums of neighbouring lanes, first of ``a``, then of ``b``."""
    even, odd = (w.mixed(a, b, [*range(first, 2 * w.lanes, 2)]) for first in (0, 1))
    return w.plus(even, odd)


@dataclass(frozen=True)
class WeightedRows(Kernel):
    """``void tile(T *a, S *b, U *c)``: ``c[q, :] = sum of b[q, k] a[k, :]`` over ``keys``.

    ``a`` has ``keys`` rows, of which ``columns`` elements are used; all sums are in registers.
    """

    pointers: ClassVar[Pointers] = (("%a", "weights"), ("%b", "accumulator"), ("%c", "result"))

    keys: int
    queries: int
    columns: int
    a_row: int
    b_row: int
    c_row: int

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    @property
    def title(self) -> str:
        """``values of 4 x 1024 x 128``."""
        return f"values of {self.queries} x {self.keys} x {self.columns}"

    @property
    def fmas(self) -> int:
        """Multiply-adds of vectors."""
        return self.keys * self.queries * ceil_div(self.columns, self.lanes)

    def _code(self, w: Writer) -> str:
        starts = range(0, self.columns, self.lanes)
        count = self.queries * len(starts)
        together = min(self.keys, ceil_div(CHAINS, count))
        whole, rest = divmod(self.keys, together)

        def some(first: str, sums: list[str], keys: int) -> list[str]:
            added = list(sums)
            for k in range(keys):
                own = slice(k * count, (k + 1) * count)
                added[own] = self._key(w, w.add(f"add i64 {first}, {k}"), added[own])
            return added

        def turn(index: str, sums: list[str]) -> list[str]:
            return some(w.add(f"mul i64 {index}, {together}"), sums, together)

        sums = counted(w, whole, turn, ["zeroinitializer"] * (together * count))
        sums = some(str(whole * together), sums, rest)
        result = self._memory(w, "result")
        for i in range(count):
            total = sums[i]
            for other in sums[i + count :: count]:
                total = w.plus(total, other)
            q, v = divmod(i, len(starts))
            place = result.at("%c", q * self.c_row + starts[v])
            self._store(w, (total, q), place, w.mask(self.columns - starts[v]))
        return f"entry:\n{w.taken()}\n"

    def _store(self, w: Writer, total: tuple[str, int], place: str, mask: str | None) -> None:
        """Write the end of a vector of sums of a query."""
        sums, _ = total
        self._memory(w, "result").store(sums, place, mask)

    def _key(self, w: Writer, key: str, sums: list[str]) -> list[str]:
        """Write the products with the values of one key; return the sums with them."""
        values = self._memory(w, "weights")
        row = values.at("%a", w.add(f"mul i64 {key}, {self.a_row}"))
        vectors = [
            values.load(values.at(row, at), w.mask(self.columns - at))
            for at in range(0, self.columns, self.lanes)
        ]
        weights = [
            w.broadcast(w.at("%b", w.add(f"add i64 {key}, {q * self.b_row}")))
            for q in range(self.queries)
        ]
        each = [(weight, vector) for weight in weights for vector in vectors]
        return [w.fma(*pair, total) for pair, total in zip(each, sums, strict=True)]
