"""Estimates of the core cycles of kernels, for the choice of tiles and the shares of threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import numpy as np

if TYPE_CHECKING:
    Floats = np.ndarray[Any, np.dtype[np.float64]]

CALL_CYCLES = 80
"""The cost of a kernel outside its inner loop: zeroing, storing, one missed branch."""
LATENCY_CYCLES = 4
"""A multiply-add waits so long for the sum of the step before; smaller tiles are no faster."""


@overload
def tile_cycles(operations: float, steps: int) -> float: ...
@overload
def tile_cycles(operations: Any, steps: Any) -> Floats: ...
def tile_cycles(operations: Any, steps: Any) -> Any:
    """Estimate the core cycles of a register tile: two vector operations a cycle at most.

    ``operations``: of each step. Both may be arrays, of one shape, for many tiles.
    """
    return steps * np.maximum(operations / 2, LATENCY_CYCLES) + CALL_CYCLES


BLOCK_END = 7
"""Operations that add a vector of sums in f16 to two vectors of sums in f32: the upper half, two
conversions of two operations each, and two additions."""
CONVERSION = 2
"""Operations that convert a vector of f16 to f32 on Intel's CPUs (uops.info, vcvtph2ps)."""


def half_cycles(products: int, block: int) -> float:
    """Estimate the core cycles of a step of ``products`` f16 multiply-adds, two a cycle.

    Its share of the end of a block of steps included.
    """
    return products * (1 + BLOCK_END / block) / 2


def converted_cycles(rows: int, vectors: int) -> float:
    """Estimate the core cycles of a step whose elements of f16 are converted to f32.

    One more operation broadcasts an element of ``a``.
    """
    return (rows * vectors + rows * (1 + CONVERSION) + vectors * CONVERSION) / 2
