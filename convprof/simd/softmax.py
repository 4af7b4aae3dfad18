"""Softmax of rows: vectors along the row."""

from __future__ import annotations

import math
from dataclasses import dataclass

from convprof.simd.exp2 import MOST, power
from convprof.simd.lanes import across_lanes, alive, everywhere, first_lane, summed
from convprof.simd.loops import UNROLL, counted, function, sweep
from convprof.simd.writer import Writer


@dataclass(frozen=True)
class SoftmaxRows:
    """``void tile(T *x, T *y)``: ``exp(x - max) / sum`` of each row, in three passes over it.

    What lies so far below the largest that its power is no normal number counts as the least that
    is.
    """

    dtype: str
    lanes: int
    rows: int
    length: int
    fused: bool = True

    @property
    def title(self) -> str:
        """``softmax of 83 x 197``."""
        return f"softmax of {self.rows} x {self.length}"

    @property
    def elements(self) -> int:
        """Results in one execution."""
        return self.rows * self.length

    def ir(self, name: str) -> str:
        """Return the LLVM IR of the kernel."""
        w = Writer(self.dtype, self.lanes, fused=self.fused)

        def row(i: str, nothing: list[str]) -> list[str]:
            start = w.add(f"mul i64 {i}, {self.length}")
            self._row(w, w.at("%x", start), w.at("%y", start))
            return nothing

        counted(w, self.rows, row)
        return function(w, name, ["%x", "%y"])

    def _row(self, w: Writer, x: str, y: str) -> None:
        v = w.vector
        some = min(UNROLL, -(-self.length // self.lanes))
        first = w.broadcast(x)  # masked lanes count as the first element, which changes nothing

        def largest(offset: str, mask: str | None, before: str) -> str:
            loaded = w.load(w.at(x, offset), mask)
            return w.larger(alive(w, loaded, mask, first), before)

        found = sweep(w, self.length, largest, [first] * some)
        top = found[0]
        for other in found[1:]:
            top = w.larger(top, other)
        top = across_lanes(w, top, w.larger)
        least = w.splat(-float(math.floor(MOST[w.element] * math.log(2))))

        def raised(offset: str, mask: str | None, total: str) -> str:
            below = w.add(f"fsub {v} {w.load(w.at(x, offset), mask)}, {top}")
            # What a rounded factor changes is far below the last bit of the largest share.
            made = power(w, w.larger(below, least), w.rounded(math.log2(math.e)))
            w.store(made, w.at(y, offset), mask)
            return w.add(f"fadd {v} {total}, {alive(w, made, mask, w.splat(0.0))}")

        total = summed(w, sweep(w, self.length, raised, [w.splat(0.0)] * some))
        inverse = everywhere(w, w.add(f"fdiv {w.element} 1.0, {first_lane(w, total)}"))

        def finish(offset: str, mask: str | None, nothing: str) -> str:
            place = w.at(y, offset)
            w.store(w.add(f"fmul {v} {w.load(place, mask)}, {inverse}"), place, mask)
            return nothing

        sweep(w, self.length, finish)
