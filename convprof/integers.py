"""Whole numbers that are cut into blocks: rounding up, and parts that are as equal as can be."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Whole = TypeVar("Whole", int, "NDArray[np.int64]")


def ceil_div(dividend: Whole, divisor: int) -> Whole:
    """Return the quotient rounded up, exact for integers of any size and sign."""
    return -(-dividend // divisor)


def round_up(value: int, multiple: int) -> int:
    """Return the smallest multiple that is at least ``value``."""
    return -(-value // multiple) * multiple


def even_block(extent: int, most: int) -> int:
    """Return the size of a block, at most ``most``, so that few equal blocks make ``extent``.

    The number of blocks is the smallest possible; 10 in blocks of at most 8 gives 5, not 8 and 2.
    """
    return ceil_div(extent, ceil_div(extent, most))


def even_parts(extent: int, most: int) -> list[range]:
    """Cut ``range(extent)`` into as few ranges as possible; the lengths differ by at most one."""
    return split(extent, ceil_div(extent, most))


def split(extent: int, parts: int) -> list[range]:
    """Cut ``range(extent)`` into ``parts`` ranges; the lengths differ by at most one."""
    return [range(extent * i // parts, extent * (i + 1) // parts) for i in range(parts)]
