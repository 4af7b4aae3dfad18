"""Copy a matrix into panels as wide as a register tile, row by row, in whole vectors."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.simd.jit import Module
from convprof.simd.writer import Writer

if TYPE_CHECKING:
    from convprof.simd.isa import Isa


@dataclass(frozen=True)
class PanelCopy:
    """A stage ``(lo, hi, buffers, dims)``: rows ``lo`` to ``hi - 1`` of a block into its panels.

    ``buffers`` are the matrix and the panels, ``dims[0]`` the element at which the block starts.
    A panel holds ``rows`` rows of ``vectors * lanes`` columns; the last is filled up with zeros.
    """

    dtype: str
    lanes: int
    vectors: int
    rows: int
    columns: int
    row: int
    """Elements from one row of the matrix to the next."""

    def ir(self) -> str:
        """Return the LLVM IR of the stage."""
        w = Writer(self.dtype, self.lanes)
        width = self.vectors * self.lanes
        whole, rest = divmod(self.columns, width)
        for v in range(self.vectors):
            w.store(w.load(w.at("%from", v * self.lanes)), w.at("%to", v * self.lanes))
        body, w.lines = "\n".join(w.lines), []
        if rest:
            self._last_panel(w, whole * width, whole * width * self.rows, rest)
        tail = "\n".join(w.lines)
        return f"""{w.declarations()}
define void @pack(i64 %lo, i64 %hi, ptr %buffers, ptr %dims) {{
entry:
  %source0 = load ptr, ptr %buffers
  %panels_at = getelementptr ptr, ptr %buffers, i64 1
  %panels = load ptr, ptr %panels_at
  %start = load i64, ptr %dims
  %source = getelementptr {w.element}, ptr %source0, i64 %start
  %none = icmp sge i64 %lo, %hi
  br i1 %none, label %done, label %row
row:
  %t = phi i64 [ %lo, %entry ], [ %t_next, %last ]
  %skip = mul i64 %t, {self.row}
  %line = getelementptr {w.element}, ptr %source, i64 %skip
  %down = mul i64 %t, {width}
  %place = getelementptr {w.element}, ptr %panels, i64 %down
  br i1 {str(whole > 0).lower()}, label %panel, label %last
panel:
  %j = phi i64 [ 0, %row ], [ %j_next, %panel ]
  %from_offset = mul i64 %j, {width}
  %to_offset = mul i64 %j, {width * self.rows}
  %from = getelementptr {w.element}, ptr %line, i64 %from_offset
  %to = getelementptr {w.element}, ptr %place, i64 %to_offset
{body}
  %j_next = add i64 %j, 1
  %more = icmp slt i64 %j_next, {whole}
  br i1 %more, label %panel, label %last
last:
{tail}
  %t_next = add i64 %t, 1
  %t_more = icmp slt i64 %t_next, %hi
  br i1 %t_more, label %row, label %done
done:
  ret void
}}
"""

    def _last_panel(self, w: Writer, from_offset: int, to_offset: int, columns: int) -> None:
        """Write the copy of the columns that do not fill a panel."""
        for v in range(self.vectors):
            alive = min(self.lanes, max(0, columns - v * self.lanes))
            value = "zeroinitializer"
            if alive:
                mask = None if alive == self.lanes else w.mask(alive)
                value = w.load(w.at("%line", from_offset + v * self.lanes), mask)
            w.store(value, w.at("%place", to_offset + v * self.lanes))


@functools.lru_cache(maxsize=1024)
def panel_copy(copy: PanelCopy, isa: Isa) -> tuple[int, Module]:
    """Compile the stage; return its address and the module to keep."""
    module = Module(copy.ir(), isa.without)
    return module.address("pack"), module
