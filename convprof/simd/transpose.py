"""Transpose a matrix through vector registers, a square of ``lanes`` by ``lanes`` at a time.

A square of 16 takes 16 loads, 64 shuffles of two vectors and 16 stores: four exchanges, in which
vectors 1, 2, 4 and 8 apart swap the elements that lie as far from their place (Eklundh 1972).
"""

from __future__ import annotations

from dataclasses import dataclass

from convprof.simd.writer import Writer

ROWS_PER_TURN = 16
"""Rows of the target that a turn of the inner loop writes: one square, or several narrow ones."""


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
        down = ""
        if whole:
            band = self._band(w, "in_bands", ("%c_band", "%d_band"), self.lanes)
            down = f"""  br label %bands
bands:
  %band = phi i64 [ 0, %entry ], [ %band_next, %in_bands_done ]
  %c_band = phi ptr [ %c, %entry ], [ %c_band_next, %in_bands_done ]
  %d_band = phi ptr [ %d, %entry ], [ %d_band_next, %in_bands_done ]
{band}
  %c_band_next = getelementptr {w.element}, ptr %c_band, i64 {self.lanes * self.source_row}
  %d_band_next = getelementptr {w.element}, ptr %d_band, i64 {self.lanes}
  %band_next = add i64 %band, 1
  %band_more = icmp ult i64 %band_next, {whole}
  br i1 %band_more, label %bands, label %last
last:
"""
        if rest:
            source = w.at("%c", whole * self.lanes * self.source_row)
            target = w.at("%d", whole * self.lanes)
            down += f"{w.taken()}\n{self._band(w, 'in_rest', (source, target), rest)}\n"
        return f"""{w.declarations()}
define void @{name}(ptr %a, ptr %b, ptr %c, ptr %d) {{
entry:
{down}  ret void
}}
"""

    def _band(self, w: Writer, label: str, start: tuple[str, str], rows: int) -> str:
        """Return the transposition of some rows, at most ``lanes``; it ends in a block of its own.

        A loop over a few squares at a time, then those that are left, the last one masked.
        """
        squares = max(1, ROWS_PER_TURN // self.lanes)
        across = squares * self.lanes
        whole = self.columns // across
        loop = f"  br label %{label}\n{label}:\n"
        if whole:
            c, d, i = (f"%{label}_{name}" for name in "cdi")
            for square in range(squares):
                self._square(w, (c, d), square * self.lanes, self.lanes, rows)
            loop = f"""  br label %{label}_enter
{label}_enter:
  br label %{label}
{label}:
  {i} = phi i64 [ 0, %{label}_enter ], [ {i}_next, %{label} ]
  {c} = phi ptr [ {start[0]}, %{label}_enter ], [ {c}_next, %{label} ]
  {d} = phi ptr [ {start[1]}, %{label}_enter ], [ {d}_next, %{label} ]
{w.taken()}
  {c}_next = getelementptr {w.element}, ptr {c}, i64 {across}
  {d}_next = getelementptr {w.element}, ptr {d}, i64 {across * self.target_row}
  {i}_next = add i64 {i}, 1
  {i}_more = icmp ult i64 {i}_next, {whole}
  br i1 {i}_more, label %{label}, label %{label}_rest
{label}_rest:
"""
        for first in range(whole * across, self.columns, self.lanes):
            self._square(w, start, first, min(self.lanes, self.columns - first), rows)
        return f"{loop}{w.taken()}\n  br label %{label}_done\n{label}_done:"

    def _square(
        self, w: Writer, start: tuple[str, str], first: int, columns: int, rows: int
    ) -> None:
        """Write the transposition of a square, or of what there is of it.

        Its lines of the target are fetched first: while the source is read, not one by one after.
        """
        source, target = start
        places = [w.at(target, (first + j) * self.target_row) for j in range(columns)]
        for place in places:
            w.prefetch(place, write=True)
        mask = None if columns == self.lanes else w.mask(columns)
        square = [
            self._row(w, source, i * self.source_row + first, mask) if i < rows else "poison"
            for i in range(self.lanes)
        ]
        mask = None if rows == self.lanes else w.mask(rows)
        for column, place in zip(turned(w, square)[:columns], places, strict=True):
            w.store(column, place, mask)

    def _row(self, w: Writer, source: str, start: int, mask: str | None) -> str:
        """Return a vector of the source, the sum of all parts."""
        total = w.load(w.at(source, start), mask)
        for part in range(1, self.parts):
            other = w.load(w.at(source, start + part * self.apart), mask)
            total = w.add(f"fadd {w.vector} {total}, {other}")
        return total


def turned(w: Writer, rows: list[str]) -> list[str]:
    """Write the exchanges that transpose a square of vectors; return its columns."""
    square, everything = list(rows), range(w.lanes)
    distance = 1
    while distance < w.lanes:
        low = [x if not x & distance else w.lanes + x - distance for x in everything]
        high = [x + distance if not x & distance else w.lanes + x for x in everything]
        for i in everything:
            if not i & distance:
                pair = square[i], square[i + distance]
                square[i], square[i + distance] = w.mixed(*pair, low), w.mixed(*pair, high)
        distance *= 2
    return square
