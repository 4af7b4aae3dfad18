"""Sums in memory to which a register tile adds its products, besides the tile's own result.

    after = products + before          c = end(products + ended)

Each of both is optional. Rows of these sums are whole vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.codegen.kernels.epilogue import POINTERS as EPILOGUE_POINTERS

if TYPE_CHECKING:
    from convprof.codegen.kernels.base import Pointers
    from convprof.codegen.writer import Writer

POINTERS: Pointers = (
    *EPILOGUE_POINTERS,
    ("%before", "accumulator"),
    ("%after", "accumulator"),
    ("%ended", "accumulator"),
)
"""The pointers of a tile with partial sums."""


@dataclass(frozen=True)
class PartialSums:
    """Which sums a tile reads and writes."""

    row: int
    """Elements from one row of the sums to the next."""
    adds: bool
    """Whether ``before`` is added to the products for ``after``."""
    stores: bool
    """Whether ``after`` is written."""
    ends: bool
    """Whether ``c`` is written: the products and ``ended``."""

    def keep(self, w: Writer, total: str, offset: int) -> None:
        """Write the store of a vector of ``after``, ``offset`` elements from its start."""
        if not self.stores:
            return
        if self.adds:
            total = w.plus(total, w.load(w.at("%before", offset)))
        w.store(total, w.at("%after", offset))

    def ended(self, w: Writer, total: str, offset: int) -> str:
        """Write the sum of a vector of products and of ``ended``; return its name."""
        return w.plus(total, w.load(w.at("%ended", offset)))
