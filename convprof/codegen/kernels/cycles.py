"""Estimates of the core cycles of kernels, for the choice of tiles and the shares of threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import numpy as np

if TYPE_CHECKING:
    Floats = np.ndarray[Any, np.dtype[np.float64]]

CALL_CYCLES = 80
"""The cost of a kernel outside its inner loop: zeroing, storing, one missed branch."""
STEP_CYCLES = 4
"""A multiply-add waits so long for the sum of the step before; smaller tiles are no faster."""


@overload
def tile_cycles(rows: int, vectors: int, steps: int) -> float: ...
@overload
def tile_cycles(rows: Any, vectors: int, steps: Any) -> Floats: ...
def tile_cycles(rows: Any, vectors: int, steps: Any) -> Any:
    """Estimate the core cycles of a register tile: two vector multiply-adds a cycle at most.

    ``rows`` and ``steps`` may be arrays, of one shape, for many tiles.
    """
    return steps * np.maximum(rows * vectors / 2, STEP_CYCLES) + CALL_CYCLES
