"""Rows of a resized image: weighted sums of rows, and of pixels of a row at known places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.codegen.kernels.base import Kernel, Pointers
from convprof.codegen.writer import Writer, counted, sweep
from convprof.integers import ceil_div

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.dtypes import DType


@dataclass(frozen=True)
class _Weighted(Kernel):
    """The common part: a pointer to each of ``taps`` rows, to the weights of all, to the result."""

    taps: int

    @property
    def parameters(self) -> Pointers:
        """The pointers of the rows, of their weights and of the result."""
        rows: Pointers = tuple((f"%x{tap}", "source") for tap in range(self.taps))
        return (*rows, ("%weights", "accumulator"), ("%y", "result"))

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    def _factors(self, w: Writer) -> list[str]:
        """Write the weights; nothing for one row, whose weight is 1."""
        weights = self._memory(w, "accumulator")
        taps = range(self.taps if self.taps > 1 else 0)
        return [weights.broadcast(weights.at("%weights", tap)) for tap in taps]

    def _between(
        self, w: Writer, rows: Sequence[str], offset: str | int, mask: str | None, by: Sequence[str]
    ) -> str:
        """Write the weighted sum of the rows for a vector."""
        source = self._memory(w, "source")
        return weighted(w, [source.load(source.at(row, offset), mask) for row in rows], by)


def weighted(w: Writer, vectors: Sequence[str], factors: Sequence[str]) -> str:
    """Write the sum of vectors times their factors; without factors the one vector."""
    if not factors:
        return vectors[0]
    total = w.times(vectors[0], factors[0])
    for vector, factor in zip(vectors[1:], factors[1:], strict=True):
        total = w.fma(vector, factor, total)
    return total


@dataclass(frozen=True)
class WeightedRows(_Weighted):
    """``void tile(T *x0, ..., A *weights, T *y)``: weighted sums of rows, with equal weights."""

    rows: int
    length: int
    x_row: int
    """Elements from one row of the sums to the next, of every ``x``."""
    y_row: int

    @property
    def title(self) -> str:
        """``2 rows of 16 x 64``."""
        return f"{self.taps} rows of {self.rows} x {self.length}"

    @property
    def elements(self) -> int:
        """Results in one execution."""
        return self.rows * self.length

    def _code(self, w: Writer) -> str:
        source, result = self._memory(w, "source"), self._memory(w, "result")
        factors = self._factors(w)

        def row(index: str, nothing: list[str]) -> list[str]:
            x = w.add(f"mul i64 {index}, {self.x_row}")
            rows = [source.at(f"%x{tap}", x) for tap in range(self.taps)]
            y = result.at("%y", w.add(f"mul i64 {index}, {self.y_row}"))

            def vector(offset: str, mask: str | None, unused: str) -> str:
                total = self._between(w, rows, offset, mask, factors)
                result.store(total, result.at(y, offset), mask)
                return unused

            sweep(w, self.length, vector)
            return nothing

        counted(w, self.rows, row)
        return f"{w.taken()}\n"


@dataclass(frozen=True)
class ResizedRows(_Weighted):
    """``void tile(T *x0, ..., A *weights, T *y)``: part of a row of the result, in some planes.

    First the weighted sum of the rows, on pixels of the image, then of the columns: their places
    are known, so that vectors are permuted, and nothing is gathered.
    """

    planes: int
    x_plane: int
    y_plane: int
    pixels: int
    """Pixels of the image that may be read from the pointers on."""
    columns: tuple[tuple[int, ...], ...]
    """For each tap and result the pixel, from the pointers on."""
    weights: tuple[tuple[float, ...], ...]
    """Of these pixels."""

    @property
    def title(self) -> str:
        """``resize of 16 x 64``."""
        return f"resize of {self.planes} x {self._results}"

    @property
    def elements(self) -> int:
        """Results in one execution."""
        return self.planes * self._results

    @property
    def _results(self) -> int:
        return len(self.columns[0])

    def _code(self, w: Writer) -> str:
        source, result = self._memory(w, "source"), self._memory(w, "result")
        factors = self._factors(w)

        def plane(index: str, nothing: list[str]) -> list[str]:
            x = w.add(f"mul i64 {index}, {self.x_plane}")
            rows = [source.at(f"%x{tap}", x) for tap in range(self.taps)]
            y = result.at("%y", w.add(f"mul i64 {index}, {self.y_plane}"))
            for first in range(0, self._results, self.lanes):
                lanes = slice(first, min(first + self.lanes, self._results))
                mask = w.mask(lanes.stop - first)
                total = self._of_vector(w, rows, lanes, factors)
                result.store(total, result.at(y, first), mask)
            return nothing

        counted(w, self.planes, plane)
        return f"{w.taken()}\n"

    def _of_vector(
        self, w: Writer, rows: Sequence[str], lanes: slice, factors: Sequence[str]
    ) -> str:
        """Write the results of a vector."""
        columns = [tap[lanes] for tap in self.columns]
        start, stop = columns[0][0], columns[-1][-1] + 1
        vectors = ceil_div(stop - start, self.lanes)
        start = max(0, min(start, self.pixels - vectors * self.lanes))
        places = [start + place * self.lanes for place in range(vectors)]
        between = [
            self._between(w, rows, place, w.mask(self.pixels - place), factors) for place in places
        ]
        picked = [_picked(w, between, [pixel - start for pixel in tap]) for tap in columns]
        numbers = self.weights if len(columns) > 1 else ()
        return weighted(w, picked, [w.vector_of(tap[lanes]) for tap in numbers])


def _picked(w: Writer, vectors: Sequence[str], places: Sequence[int]) -> str:
    """Write a vector of the elements at places of some vectors, one after the other."""
    picks: list[int | None] = [*places] + [None] * (w.lanes - len(places))
    chosen = w.mixed(vectors[0], "poison", [_within(pick, 0, w.lanes) for pick in picks])
    for number, vector in enumerate(vectors[1:], 1):
        here = [_within(pick, number * w.lanes, w.lanes) for pick in picks]
        if not any(pick is not None for pick in here):
            continue
        both = [w.lanes + new if new is not None else lane for lane, new in enumerate(here)]
        chosen = w.mixed(chosen, vector, both)
    return chosen


def _within(pick: int | None, start: int, lanes: int) -> int | None:
    """Return a place from ``start`` on if it is in the vector that begins there."""
    return pick - start if pick is not None and start <= pick < start + lanes else None
