"""Rows of a table: their numbers are read, then the rows are copied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from convprof.codegen.kernels.base import Kernel, Pointers
from convprof.codegen.writer import Writer, counted, first_lane, sweep

if TYPE_CHECKING:
    from convprof.dtypes import DType


@dataclass(frozen=True)
class EmbeddingRows(Kernel):
    """``void tile(T *ids, T *table, T *y)``: row ``ids[i]`` of the table, for each id.

    Whatever the ids are, no memory outside the table is read.
    """

    pointers: ClassVar[Pointers] = (("%ids", "source"), ("%table", "weights"), ("%y", "result"))

    ids: int
    rows: int
    """Rows of the table."""
    width: int

    @property
    def title(self) -> str:
        """``64 rows of 384``."""
        return f"{self.ids} rows of {self.width}"

    @property
    def elements(self) -> int:
        """Results in one execution."""
        return self.ids * self.width

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    def _code(self, w: Writer) -> str:
        source, table = self._memory(w, "source"), self._memory(w, "weights")
        result = self._memory(w, "result")

        def row(i: str, nothing: list[str]) -> list[str]:
            start = table.at("%table", self._start(w, source.broadcast(source.at("%ids", i))))
            y = result.at("%y", w.add(f"mul i64 {i}, {self.width}"))

            def copy(offset: str, mask: str | None, nothing: str) -> str:
                value = table.load(table.at(start, offset), mask)
                result.store(value, result.at(y, offset), mask)
                return nothing

            sweep(w, self.width, copy)
            return nothing

        counted(w, self.ids, row)
        return f"{w.taken()}\n"

    def _start(self, w: Writer, ids: str) -> str:
        """Write the place of a row: of the nearest one for an id outside the table or NaN."""
        bounded = w.smaller(w.larger(w.splat(0.0), ids), w.splat(float(self.rows - 1)))
        number = w.add(f"fptosi {w.element} {first_lane(w, bounded)} to i64")
        return w.add(f"mul i64 {number}, {self.width}")
