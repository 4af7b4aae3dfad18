"""Transpose a matrix through vector registers, a square of ``lanes`` by ``lanes`` at a time.

A square of 16 takes 16 loads, 64 shuffles of two vectors and 16 stores: four exchanges, in which
vectors 1, 2, 4 and 8 apart swap the elements that lie as far from their place (Eklundh 1972).
"""

from __future__ import annotations

from dataclasses import dataclass

from convprof.simd.writer import Writer


@dataclass(frozen=True)
class TransposeTile:
    """One kernel: ``void tile(T *, T *, T *source, T *target)``; the first two are not used.

    ``target[j, i] = source[i, j]``, or the sum of several sources, for ``rows`` rows ``i`` and
    ``columns`` columns ``j``.
    """

    dtype: str
    lanes: int
    rows: int
    columns: int
    source_row: int
    """Elements from one row of the source to the next."""
    target_row: int
    """Elements from one row of the target to the next."""
    parts: int = 1
    """Matrices that are added up on the way."""
    apart: int = 0
    """Elements from one of them to the next."""

    def ir(self, name: str) -> str:
        """Return the LLVM IR of the kernel: a loop over bands of ``lanes`` rows, then the rest."""
        w = Writer(self.dtype, self.lanes)
        whole, rest = divmod(self.rows, self.lanes)
        loop, start = "", "done"
        if whole:
            self._band(w, "%c_now", "%d_now", self.lanes)
            lines, w.lines = "\n".join(w.lines), []
            start = "loop"
            loop = f"""loop:
  %band = phi i64 [ 0, %entry ], [ %next, %loop ]
  %c_now = phi ptr [ %c, %entry ], [ %c_next, %loop ]
  %d_now = phi ptr [ %d, %entry ], [ %d_next, %loop ]
{lines}
  %c_next = getelementptr {w.element}, ptr %c_now, i64 {self.lanes * self.source_row}
  %d_next = getelementptr {w.element}, ptr %d_now, i64 {self.lanes}
  %next = add i64 %band, 1
  %more = icmp ult i64 %next, {whole}
  br i1 %more, label %loop, label %done
"""
        if rest:
            source = w.at("%c", whole * self.lanes * self.source_row)
            self._band(w, source, w.at("%d", whole * self.lanes), rest)
        tail = "\n".join(w.lines)
        return f"""{w.declarations()}
define void @{name}(ptr %a, ptr %b, ptr %c, ptr %d) {{
entry:
  br label %{start}
{loop}done:
{tail}
  ret void
}}
"""

    def _band(self, w: Writer, source: str, target: str, rows: int) -> None:
        """Write the transposition of some rows, at most ``lanes``, square by square."""
        for first in range(0, self.columns, self.lanes):
            columns = min(self.lanes, self.columns - first)
            mask = None if columns == self.lanes else w.mask(columns)
            square = [
                self._row(w, source, i * self.source_row + first, mask) if i < rows else "poison"
                for i in range(self.lanes)
            ]
            turned = self._turned(w, square)
            mask = None if rows == self.lanes else w.mask(rows)
            for j in range(columns):
                w.store(turned[j], w.at(target, (first + j) * self.target_row), mask)

    def _row(self, w: Writer, source: str, start: int, mask: str | None) -> str:
        """Return a vector of the source, the sum of all parts."""
        total = w.load(w.at(source, start), mask)
        for part in range(1, self.parts):
            other = w.load(w.at(source, start + part * self.apart), mask)
            total = w.add(f"fadd {w.vector} {total}, {other}")
        return total

    def _turned(self, w: Writer, square: list[str]) -> list[str]:
        """Write the exchanges; return the columns of the square."""
        distance = 1
        while distance < self.lanes:
            for i in range(self.lanes):
                if not i & distance:
                    one, other = square[i], square[i + distance]
                    low = [x if not x & distance else self.lanes + x - distance for x in self._all]
                    high = [x + distance if not x & distance else self.lanes + x for x in self._all]
                    square[i] = self._mix(w, one, other, low)
                    square[i + distance] = self._mix(w, one, other, high)
            distance *= 2
        return square

    @property
    def _all(self) -> range:
        return range(self.lanes)

    def _mix(self, w: Writer, one: str, other: str, picks: list[int]) -> str:
        """Return the elements ``picks`` of two vectors laid end to end."""
        mask = ", ".join(f"i32 {pick}" for pick in picks)
        return w.add(
            f"shufflevector {w.vector} {one}, {w.vector} {other}, <{self.lanes} x i32> <{mask}>"
        )
