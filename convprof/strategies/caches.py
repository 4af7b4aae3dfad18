"""The cache sizes that blocking needs, with honest defaults where they are unknown."""

from __future__ import annotations

import functools

from convprof.machine import facts

SMALLEST_L1_BYTES = 32 << 10
"""The first-level data cache of nearly every core of the last fifteen years, at least."""


SMALLEST_L2_BYTES = 256 << 10


@functools.cache
def l1_data_bytes() -> int:
    """Return the smallest first-level data cache of this machine's cores, in bytes."""
    return _smallest(1, SMALLEST_L1_BYTES)


@functools.cache
def l2_bytes() -> int:
    """Return the smallest second-level cache of this machine's cores, in bytes."""
    return _smallest(2, SMALLEST_L2_BYTES)


def _smallest(level: int, unknown: int) -> int:
    sizes = [
        cache.size_bytes
        for cache in facts().caches
        if cache.level == level and cache.kind != "instruction" and cache.size_bytes
    ]
    return min(sizes, default=unknown)
