"""Page-aligned arrays, and the refusal of arrays that do not fit, before their allocation."""

from __future__ import annotations

import ctypes
import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof import units
from convprof.codegen import nodes
from convprof.errors import TooLargeError
from convprof.machine import facts
from convprof.machine.memory import available_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence


PAGE_BYTES = 4096
ALIASED_ROWS = 10
"""Rows of a register tile that are a multiple of a page apart share one set of L1, of 8 to 12 ways.
Ten of them are as fast as rows apart from each other; 14 take 1.01 (products of 2048 and 4096) to
1.35 times as long (convolutions of 1024 channels at 14x14 in f32)."""


def zeros(shape: Sequence[int], dtype: Any) -> np.ndarray[Any, Any]:
    """Return a zeroed C-contiguous array that starts on a page.

    The start of an array within a page changes the speed by several per cent. All contestants have
    the same start, so this difference is excluded.
    """
    kind = np.dtype(dtype)
    count = math.prod(shape) * kind.itemsize
    raw = np.zeros(count + PAGE_BYTES, dtype=np.uint8)
    skip = -raw.ctypes.data % PAGE_BYTES
    array: np.ndarray[Any, Any] = raw[skip : skip + count].view(kind).reshape(shape)
    return array


def require(needed: int, what: str) -> None:
    """Raise TooLargeError unless ``needed`` bytes are available."""
    available = available_bytes()
    if available is not None and needed > available:
        raise TooLargeError(
            f"{what} needs {units.size(needed)} of memory and {units.size(available)} are "
            "available: use a smaller problem (for images, a smaller minibatch) or another strategy"
        )


def has(needed: int) -> bool:
    """Whether that many bytes are available, or it is unknown how many are."""
    available = available_bytes()
    return available is None or needed <= available


def give_back() -> None:
    """Return to the system what was freed: glibc keeps it, and then it is not available.

    After large arrays were freed, glibc takes arrays up to 32 MiB from its heap, which has holes.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, TypeError, AttributeError):  # another C library
        return
    trim(0)


def copies(threads: int, size: int) -> int:
    """Return the number of copies of data that every thread reads in the same order.

    One for each NUMA node of the threads, if L3 does not hold the data and memory has room for all
    copies: the threads of all nodes would read from one node at a time.
    """
    count = nodes.spread(threads)
    return count if count > 1 and size > l3_bytes() and has(count * size) else 1


def unaliased(rows: int, distance: int) -> int:
    """Return the rows of a tile, at most ``rows``, that do not evict each other from L1.

    ``distance``: bytes from one row to the next.
    """
    return min(rows, ALIASED_ROWS) if distance % PAGE_BYTES == 0 else rows


# The cache sizes that blocking needs, with safe defaults where they are unknown.

SMALLEST_L1_BYTES = 32 << 10
"""Nearly every core of the last fifteen years has at least this first-level data cache."""


SMALLEST_L2_BYTES = 256 << 10


@functools.cache
def l1_data_bytes() -> int:
    """Return the smallest first-level data cache of this machine's cores, in bytes."""
    return _smallest(1, SMALLEST_L1_BYTES)


@functools.cache
def l2_bytes() -> int:
    """Return the smallest second-level cache of this machine's cores, in bytes."""
    return _smallest(2, SMALLEST_L2_BYTES)


@functools.cache
def l3_bytes() -> int:
    """Return the smallest third-level cache of this machine, in bytes; 0 if it has none."""
    return _smallest(3, 0)


def _smallest(level: int, unknown: int) -> int:
    sizes = [
        cache.size_bytes
        for cache in facts().caches
        if cache.level == level and cache.kind != "instruction" and cache.size_bytes
    ]
    return min(sizes, default=unknown)
