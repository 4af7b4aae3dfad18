"""Sums in memory to which a register tile adds its products, besides the tile's own result.

    after = products + before          total = products + ended

Each sum is optional. The total is the result. With several levels of such sums, the total of a
level takes the place of the products at the next level. Rows of these sums are whole vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.codegen.kernels.epilogue import POINTERS as EPILOGUE_POINTERS

if TYPE_CHECKING:
    from convprof.codegen.kernels.base import Pointers, Role
    from convprof.codegen.writer import Writer


def pointers(levels: int) -> Pointers:
    """Return the pointers of a tile with partial sums on some levels, the innermost first."""
    own: list[tuple[str, Role]] = [
        (f"%{name}_{level}", "accumulator")
        for level in range(levels)
        for name in ("before", "after", "ended")
    ]
    return (*EPILOGUE_POINTERS, *own)


@dataclass(frozen=True)
class PartialSums:
    """Which sums of a level a tile reads and writes."""

    row: int
    """Elements from one row of the sums to the next."""
    adds: bool
    """Whether ``before`` is added to the products for ``after``."""
    stores: bool
    """Whether ``after`` is written."""
    ends: bool
    """Whether the products are the last ones of a sum: ``ended`` is added to them."""


def add(w: Writer, levels: tuple[PartialSums, ...], total: str, place: tuple[int, int]) -> str:
    """Write the sums of a vector of products, whose row and first column are given.

    Return the name of the last total.
    """
    row, column = place
    for level, sums in enumerate(levels):
        offset = row * sums.row + column
        if sums.stores:
            kept = total
            if sums.adds:
                kept = w.plus(total, w.load(w.at(f"%before_{level}", offset)))
            w.store(kept, w.at(f"%after_{level}", offset))
        if sums.ends:
            total = w.plus(total, w.load(w.at(f"%ended_{level}", offset)))
    return total
