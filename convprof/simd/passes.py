"""One step of an epilogue over a result that lies in memory: read, compute, write back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.simd.epilogue import PARAMETERS, Finish
from convprof.simd.writer import Writer, over_channels

if TYPE_CHECKING:
    from convprof.problems.epilogue import Epilogue


@dataclass(frozen=True)
class Pass:
    """One kernel, with the pointers of ``simd.epilogue``: ``c`` is read and written.

    Offsets and lengths in elements. The residual lies as ``c`` does.
    """

    dtype: str
    lanes: int
    epilogue: Epilogue
    columns: int
    """Elements of a row, one after the other."""
    rows: int = 1
    """Rows side by side, ``columns`` apart."""
    lone: bool = False
    """Whether the bias is one element for all columns rather than one for each."""
    fused: bool = True
    """Whether the CPU multiplies and adds in one instruction."""

    def ir(self, name: str) -> str:
        """Return the LLVM IR of the kernel."""
        w = Writer(self.dtype, self.lanes, fused=self.fused)
        return over_channels(w, name, self.columns, self._body, parameters=PARAMETERS)

    def _body(self, w: Writer, channel: str, mask: str | None) -> None:
        finish = Finish(w, self.epilogue)
        bias = w.broadcast("%bias") if self.lone else finish.bias(channel, mask)
        c, residual = w.at("%c", channel), finish.residual(channel)
        for start in range(0, self.rows * self.columns, self.columns):
            place = w.at(c, start)
            total = finish.apply(w.load(place, mask), bias, (residual, start), mask)
            w.store(total, place, mask)
