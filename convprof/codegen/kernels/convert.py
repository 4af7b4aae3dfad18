"""A vector of elements of one type as elements of another type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from convprof.codegen.kernels.base import Kernel, Pointers
from convprof.codegen.writer import Writer, sweep

if TYPE_CHECKING:
    from convprof.dtypes import DType


@dataclass(frozen=True)
class ConvertTile(Kernel):
    """``void tile(T *x, U *y)``: ``length`` elements, by way of the accumulator's type."""

    pointers: ClassVar[Pointers] = (("%x", "source"), ("%y", "result"))

    length: int

    @property
    def elements(self) -> int:
        """Results in one execution."""
        return self.length

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    def _code(self, w: Writer) -> str:
        source, result = self._memory(w, "source"), self._memory(w, "result")

        def convert(offset: str, mask: str | None, nothing: str) -> str:
            result.store(source.load(source.at("%x", offset), mask), result.at("%y", offset), mask)
            return nothing

        sweep(w, self.length, convert)
        return f"{w.taken()}\n"
