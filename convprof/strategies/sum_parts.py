"""When sums in parts pay: the threads have too little work, and the parts must be added.

Parts are computed by different threads, and a last stage adds them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.codegen.cache_line import LINE_BYTES
from convprof.strategies import launch

if TYPE_CHECKING:
    from convprof.strategies.base import Setting

EVEN = 0.9
"""Of the longest share, the mean: threads that are busy so evenly need no parts."""
WORTH = 0.9
"""Parts are chosen if they take this part of the longest share of whole sums, or less."""
LEAST_STEPS = 64
"""Multiply-adds of a sum in a part, at least: fewer are not worth the zeroing and the storing."""
MOST_PARTS = 64
LINE_CYCLES = 40
"""A cache line that another core wrote, if several are read ahead."""


def adding_cycles(sums: int, setting: Setting, transfer: float) -> float:
    """Estimate the core cycles of the last stage, with its barrier, if a thread reads ``sums``.

    ``transfer``: core cycles of a transfer between two cores.
    """
    lines = sums * setting.types.accumulator.bytes / LINE_BYTES
    return sums + lines * LINE_CYCLES + transfer * launch.barrier_transfers(setting.threads)
