"""Evict a contestant's memory before a call, so that it starts with cold caches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.codegen.probes.flush import flush_lines
from convprof.machine import facts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

UNKNOWN_LAST_LEVEL_BYTES = 64 << 20


def evictor(arrays: Sequence[np.ndarray[Any, Any]]) -> Callable[[], None]:
    """Return a function that removes every byte of ``arrays`` from all cache levels.

    Line by line where the CPU has an instruction for it; elsewhere by reading through twice the
    last-level cache, which evicts nearly everything.
    """
    flush = flush_lines()
    if flush is not None:
        ranges = [(array.ctypes.data, array.nbytes) for array in arrays]

        def evict() -> None:
            for start, count in ranges:
                flush(start, count)

        return evict
    sizes = [cache.size_bytes for cache in facts().caches if cache.size_bytes]
    sweep = np.ones(2 * max(sizes, default=UNKNOWN_LAST_LEVEL_BYTES) // 8)

    def read_through() -> None:
        sweep.sum()

    return read_through
