"""The operations of a kernel on a vector of its result between the sum and the store.

A kernel with an epilogue takes six pointers, ``a, b, c, d, bias, residual``, even if some are not
used, so that kernels with and without an epilogue can be in one list of tiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from convprof.codegen.kernels import functions
from convprof.codegen.kernels.base import Kernel, Pointers
from convprof.codegen.kernels.elements import Elements
from convprof.codegen.writer import Writer, over_channels

if TYPE_CHECKING:
    from convprof.dtypes import DType, Types
    from convprof.problems.epilogue import Epilogue


POINTERS: Pointers = (
    *Kernel.pointers,
    ("%d", "weights"),
    ("%bias", "accumulator"),
    ("%residual", "result"),
)
"""The pointers of kernels in lists of tiles with an epilogue."""


def pointers(epilogue: Epilogue) -> Pointers:
    """Return the pointers of a kernel of three operands, and of its epilogue if it has one."""
    return POINTERS if epilogue else Kernel.pointers


class Finish:
    """The epilogue of one kernel: loads the bias once, then finishes vector by vector."""

    def __init__(self, w: Writer, epilogue: Epilogue, types: Types) -> None:
        self.w = w
        self.epilogue = epilogue
        self.more = Elements(w, types.result, types.accumulator)

    def bias(self, offset: int | str, mask: str | None) -> str | None:
        """Write the load of a vector of the bias, ``offset`` elements in; None without a bias."""
        if not self.epilogue.bias:
            return None
        return self.w.load(self.w.at("%bias", offset), mask)

    def residual(self, offset: str) -> str:
        """Write the position of the residual at ``offset`` elements, if there is one."""
        return self.more.at("%residual", offset) if self.epilogue.add else "%residual"

    def fetch(self, place: tuple[str, int], level: int) -> None:
        """Prefetch the line of the residual at ``place`` into a cache level, if present."""
        if self.epilogue.add:
            self.w.prefetch(self.more.at(*place), level)

    def apply(self, total: str, bias: str | None, place: tuple[str, int], mask: str | None) -> str:
        """Write ``function(total + bias + residual)`` of a vector and return its name.

        ``place``: a pointer into the residual, and an offset in elements.
        """
        w = self.w
        if bias is not None:
            total = w.add(f"fadd {w.vector} {total}, {bias}")
        if self.epilogue.add:
            residual = self.more.load(self.more.at(*place), mask)
            total = w.add(f"fadd {w.vector} {total}, {residual}")
        function = self.epilogue.function
        return total if function is None else functions.apply(w, function, total)


# One step of an epilogue over a finished result: read from memory, compute, write back.


@dataclass(frozen=True)
class Pass(Kernel):
    """One kernel, with the pointers of ``codegen.kernels.epilogue``: ``c`` is read and written.

    ``c`` has sums: shorter results are rounded after the last pass. Offsets and lengths are in
    elements. The residual has the layout of ``c``.
    """

    pointers: ClassVar[Pointers] = (*POINTERS[:2], ("%c", "accumulator"), *POINTERS[3:])

    epilogue: Epilogue
    columns: int
    """Contiguous elements of a row."""
    rows: int = 1
    """The number of rows; their stride is ``columns``."""
    lone: bool = False
    """Whether the bias has one element for all columns instead of one for each column."""

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    def _code(self, w: Writer) -> str:
        return over_channels(w, self.columns, self._body)

    def _body(self, w: Writer, channel: str, mask: str | None) -> None:
        finish = Finish(w, self.epilogue, self.types)
        bias = w.broadcast("%bias") if self.lone else finish.bias(channel, mask)
        c, residual = w.at("%c", channel), finish.residual(channel)
        for start in range(0, self.rows * self.columns, self.columns):
            place = w.at(c, start)
            total = finish.apply(w.load(place, mask), bias, (residual, start), mask)
            w.store(total, place, mask)
