"""How much memory to go through, so that one level of it and no nearer one is measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof import units
from convprof.machine.levels import MEMORY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.machine.levels import Level

OF_ITS_LEVEL = 2
"""A working set takes one part in so many of its cache: room for what else passes through."""
OVER_THE_LAST = 8
"""Times the cache before it that a working set takes if there is room: what stays in that one by
a replacement that is not strictly least-recently-used is then a small share."""
LEAST_OVER_THE_LAST = 2
MEMORY_OVER_CACHES = 4
"""Times the last cache that the working set in memory takes, fewer if memory is short."""
LEAST_MEMORY_OVER_CACHES = 2
UNKNOWN_CACHE_BYTES = 64 << 20
"""For the working set in memory where the caches are unknown."""
OF_AVAILABLE = 4
"""One part in so many of the available memory is taken at most."""


@dataclass(frozen=True, slots=True)
class WorkingSet:
    """What each thread goes through to measure a level."""

    level: str
    bytes_per_thread: int | None
    reason: str | None = None
    """Why the level cannot be measured."""


def working_sets(
    found: Sequence[Level], threads: int, available: int | None
) -> tuple[WorkingSet, ...]:
    """Return a working set for each cache level and for memory, nearest first.

    ``available`` is the free memory in bytes, None if unknown.
    """
    sets = []
    before = 0
    for level in found:
        sets.append(_in_cache(level, before))
        before = level.largest_share_bytes
    last = found[-1].total_bytes if found else UNKNOWN_CACHE_BYTES
    return (*sets, _in_memory(last, threads, available))


def _in_cache(level: Level, before: int) -> WorkingSet:
    """Return a working set that fits ``level`` and not the cache of ``before`` bytes."""
    wanted = level.share_bytes // OF_ITS_LEVEL
    if before:
        wanted = min(wanted, OVER_THE_LAST * before)
    if wanted >= LEAST_OVER_THE_LAST * before:
        return WorkingSet(level.name, wanted)
    if level.share_bytes >= LEAST_OVER_THE_LAST * before:
        return WorkingSet(level.name, math.isqrt(before * level.share_bytes))
    share = units.size(level.share_bytes)
    return WorkingSet(
        level.name, None, f"a thread's share, {share}, is hardly more than the cache before it"
    )


def _in_memory(last: int, threads: int, available: int | None) -> WorkingSet:
    wanted, least = MEMORY_OVER_CACHES * last, LEAST_MEMORY_OVER_CACHES * last
    room = wanted if available is None else available // OF_AVAILABLE
    if room < least:
        reason = (
            f"needs {units.size(least)}, {LEAST_MEMORY_OVER_CACHES} times the last cache, and "
            f"takes at most 1/{OF_AVAILABLE} of the {units.size(available or 0)} available"
        )
        return WorkingSet(MEMORY, None, reason)
    return WorkingSet(MEMORY, min(wanted, room) // threads)
