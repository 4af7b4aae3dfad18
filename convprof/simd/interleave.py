"""Interleave a few rows, or take them apart: transposing where one side is narrower than a vector.

An image of three channels has pixels of three elements. Square by square, most of each register
would be empty and each pixel a store of its own; so whole vectors of one side are put together
from those of the other: 6 shuffles for 3 vectors of 16.
"""

from __future__ import annotations

from dataclasses import dataclass

from convprof.simd.writer import Writer

MOST = 4
"""Rows up to which this beats squares: ``count`` vectors take ``count * (count - 1)`` shuffles."""


@dataclass(frozen=True)
class InterleaveTile:
    """One kernel: ``void tile(T *, T *, T *source, T *target)``; the first two are not used.

    ``target[j * count + i] = source[i * apart + j]`` for ``count`` rows ``i`` and ``length``
    elements ``j``; with ``split`` the other way, ``target[i * apart + j] = source[j * count + i]``.
    """

    dtype: str
    lanes: int
    count: int
    length: int
    apart: int
    """Elements from one of the rows to the next."""
    split: bool = False

    def ir(self, name: str) -> str:
        """Return the LLVM IR of the kernel: a loop over whole vectors, then the rest."""
        w = Writer(self.dtype, self.lanes)
        whole, rest = divmod(self.length, self.lanes)
        apart, together = self.lanes, self.lanes * self.count
        steps = (together, apart) if self.split else (apart, together)
        loop, start = "", "done"
        if whole:
            self._vectors(w, "%c_now", "%d_now", self.lanes)
            start = "loop"
            loop = f"""loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %c_now = phi ptr [ %c, %entry ], [ %c_next, %loop ]
  %d_now = phi ptr [ %d, %entry ], [ %d_next, %loop ]
{w.taken()}
  %c_next = getelementptr {w.element}, ptr %c_now, i64 {steps[0]}
  %d_next = getelementptr {w.element}, ptr %d_now, i64 {steps[1]}
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, {whole}
  br i1 %more, label %loop, label %done
"""
        if rest:
            self._vectors(w, w.at("%c", whole * steps[0]), w.at("%d", whole * steps[1]), rest)
        return f"""{w.declarations()}
define void @{name}(ptr %a, ptr %b, ptr %c, ptr %d) {{
entry:
  br label %{start}
{loop}done:
{w.taken()}
  ret void
}}
"""

    def _vectors(self, w: Writer, source: str, target: str, alive: int) -> None:
        """Write ``alive`` elements of each row, at most ``lanes``."""
        rows = [(i * self.apart, alive) for i in range(self.count)]
        starts = range(0, alive * self.count, self.lanes)
        dense = [(at, min(self.lanes, alive * self.count - at)) for at in starts]
        read, written = (dense, rows) if self.split else (rows, dense)
        given = [w.load(w.at(source, at), self._mask(w, size)) for at, size in read]
        for v, (at, size) in enumerate(written):
            places = [self._place(v, lane) if lane < size else None for lane in range(self.lanes)]
            w.store(_picked(w, given, places), w.at(target, at), self._mask(w, size))

    def _place(self, v: int, lane: int) -> tuple[int, int]:
        """Return which vector of the source an element of the target's comes from, and its lane."""
        if self.split:
            return divmod(lane * self.count + v, self.lanes)
        element, row = divmod(v * self.lanes + lane, self.count)
        return row, element

    def _mask(self, w: Writer, alive: int) -> str | None:
        return None if alive == self.lanes else w.mask(alive)


def _picked(w: Writer, given: list[str], places: list[tuple[int, int] | None]) -> str:
    """Return a vector of elements from any of ``given``; where there is no place, whatever is."""
    taken = "poison"
    for number, vector in enumerate(given):
        picks: list[int | None] = []
        for lane, place in enumerate(places):
            if place is None or place[0] > number:
                picks.append(None)
            else:
                picks.append(w.lanes + place[1] if place[0] == number else lane)
        taken = w.mixed(taken, vector, picks)
    return taken
