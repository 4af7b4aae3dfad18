"""Copy some columns of a matrix into a panel, scaled if need be."""

from __future__ import annotations

from dataclasses import dataclass

from convprof.simd.writer import Writer


@dataclass(frozen=True)
class CopyPanel:
    """``void tile(T *a, T *b, T *c)``: ``c (rows, width)`` is ``a (rows, columns)`` times a number.

    The columns of ``c`` beyond those of ``a`` become 0.
    """

    dtype: str
    lanes: int
    rows: int
    columns: int
    width: int
    """Elements from one row of ``c`` to the next: whole vectors, or just the columns."""
    row: int
    """Elements from one row of ``a`` to the next."""
    scale: float = 1.0
    fused: bool = True

    def ir(self, name: str) -> str:
        """Return the LLVM IR of the kernel: a loop over the rows."""
        w = Writer(self.dtype, self.lanes, fused=self.fused)
        for first in range(0, self.width, self.lanes):
            given = w.load(w.at("%from", first), self._mask(w, self.columns - first))
            there = self._mask(w, self.width - first)
            w.store(self._scaled(w, given), w.at("%to", first), there)
        return f"""{w.declarations()}
define void @{name}(ptr %a, ptr %b, ptr %c) {{
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %i_next, %loop ]
  %from = phi ptr [ %a, %entry ], [ %from_next, %loop ]
  %to = phi ptr [ %c, %entry ], [ %to_next, %loop ]
{w.taken()}
  %from_next = getelementptr {w.element}, ptr %from, i64 {self.row}
  %to_next = getelementptr {w.element}, ptr %to, i64 {self.width}
  %i_next = add i64 %i, 1
  %more = icmp ult i64 %i_next, {self.rows}
  br i1 %more, label %loop, label %done
done:
  ret void
}}
"""

    def _scaled(self, w: Writer, value: str) -> str:
        if self.scale == 1.0:
            return value
        return w.add(f"fmul {w.vector} {value}, {w.splat(w.rounded(self.scale))}")

    def _mask(self, w: Writer, left: int) -> str | None:
        return w.mask(left) if left < self.lanes else None
