"""Rows of a resized image in NCHW: vectors along the row, of which each lane has two neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from convprof.codegen.kernels.base import Kernel, Pointers
from convprof.codegen.writer import Writer, counted
from convprof.integers import ceil_div

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.dtypes import DType


@dataclass(frozen=True)
class ResizedRows(Kernel):
    """``void tile(T *above, T *below, T *distance, T *y)``: part of a row, in some planes.

    First the interpolation between the rows, on pixels of the image, then between the columns:
    their places are known, so that vectors are permuted, and nothing is gathered.
    """

    pointers: ClassVar[Pointers] = (
        ("%above", "source"),
        ("%below", "source"),
        ("%distance", "accumulator"),
        ("%y", "result"),
    )

    planes: int
    x_plane: int
    y_plane: int
    pixels: int
    """Pixels of the image that may be read from the pointers on."""
    before: tuple[int, ...]
    """For each result, the pixel before it, from the pointers on."""
    after: tuple[int, ...]
    distances: tuple[float, ...]
    """From the pixel before."""

    @property
    def title(self) -> str:
        """``resize of 16 x 64``."""
        return f"resize of {self.planes} x {len(self.before)}"

    @property
    def elements(self) -> int:
        """Results in one execution."""
        return self.planes * len(self.before)

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    def _code(self, w: Writer) -> str:
        source, result = self._memory(w, "source"), self._memory(w, "result")
        weights = self._memory(w, "accumulator")
        distance = weights.broadcast(weights.at("%distance", 0))

        def plane(index: str, nothing: list[str]) -> list[str]:
            x = w.add(f"mul i64 {index}, {self.x_plane}")
            rows = [source.at(pointer, x) for pointer in ("%above", "%below")]
            y = result.at("%y", w.add(f"mul i64 {index}, {self.y_plane}"))
            for first in range(0, len(self.before), self.lanes):
                lanes = range(first, min(first + self.lanes, len(self.before)))
                mask = w.mask(len(lanes))
                result.store(self._results(w, rows, lanes, distance), result.at(y, first), mask)
            return nothing

        counted(w, self.planes, plane)
        return f"{w.taken()}\n"

    def _results(self, w: Writer, rows: Sequence[str], lanes: range, distance: str) -> str:
        """Write the results of a vector."""
        v = w.vector
        start, stop = self.before[lanes[0]], self.after[lanes[-1]] + 1
        vectors = ceil_div(stop - start, self.lanes)
        start = max(0, min(start, self.pixels - vectors * self.lanes))
        between = [
            self._between_rows(w, rows, start + place * self.lanes, distance)
            for place in range(vectors)
        ]
        left, right = (
            _picked(w, between, [pixels[lane] - start for lane in lanes])
            for pixels in (self.before, self.after)
        )
        step = w.add(f"fsub {v} {right}, {left}")
        numbers = [self.distances[lane] for lane in lanes]
        return w.fma(step, w.vector_of(numbers), left)

    def _between_rows(self, w: Writer, rows: Sequence[str], pixel: int, distance: str) -> str:
        """Write the interpolation between two rows for a vector of pixels."""
        source = self._memory(w, "source")
        mask = w.mask(self.pixels - pixel)
        above, below = (source.load(source.at(row, pixel), mask) for row in rows)
        return w.fma(w.add(f"fsub {w.vector} {below}, {above}"), distance, above)


def _picked(w: Writer, vectors: Sequence[str], places: Sequence[int]) -> str:
    """Write a vector of the elements at places of some vectors, one after the other."""
    picks: list[int | None] = [*places] + [None] * (w.lanes - len(places))
    chosen = w.mixed(vectors[0], "poison", [_within(pick, 0, w.lanes) for pick in picks])
    for number, vector in enumerate(vectors[1:], 1):
        here = [_within(pick, number * w.lanes, w.lanes) for pick in picks]
        both = [w.lanes + new if new is not None else lane for lane, new in enumerate(here)]
        chosen = w.mixed(chosen, vector, both)
    return chosen


def _within(pick: int | None, start: int, lanes: int) -> int | None:
    """Return a place from ``start`` on if it is in the vector that begins there."""
    return pick - start if pick is not None and start <= pick < start + lanes else None
