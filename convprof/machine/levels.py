"""The levels of the memory as some threads see them: what each holds for one of them, and for all.

From the facts about caches alone, so that it answers for the machine of a result file as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.machine.caches import Cache

MEMORY = "memory"
"""The name of the level behind the last cache."""

_PRIVATE_LEVELS = 2
"""Caches up to this level are taken for a core's own where the system does not tell."""


@dataclass(frozen=True, slots=True)
class Level:
    """A cache level."""

    name: str
    """``L1``, ``L2`` …"""
    share_bytes: int
    """What each of the threads can count on, on whichever core it runs."""
    largest_share_bytes: int
    """The same on the cores that have most of it."""
    total_bytes: int
    """What the threads can hold in it together, at most."""


def levels(caches: Sequence[Cache], threads: int) -> tuple[Level, ...]:
    """Return the levels of data caches for ``threads`` threads, nearest first.

    Threads are taken to be spread over as many instances of a cache as there are. A level with an
    instance of unknown size is left out, and so are those behind it.
    """
    found: list[Level] = []
    for number in sorted({cache.level for cache in caches}):
        here = [c for c in caches if c.level == number and c.kind != "instruction"]
        sizes = [cache.size_bytes for cache in here if cache.size_bytes]
        if len(sizes) < len(here):
            break
        if not sizes:
            continue
        shares = [
            size // _threads_on_each(cache, threads)
            for cache, size in zip(here, sizes, strict=True)
        ]
        all_of_them = sorted(
            (
                size
                for cache, size in zip(here, sizes, strict=True)
                for _ in range(min(threads, _instances(cache, threads)))
            ),
            reverse=True,
        )
        total = sum(all_of_them[:threads])
        found.append(Level(f"L{number}", min(shares), max(shares), total))
    return tuple(found)


def holding(found: Sequence[Level], footprint_bytes: int) -> str:
    """Return the name of the nearest level that holds so many bytes; ``memory`` if none does."""
    return next((lv.name for lv in found if footprint_bytes <= lv.total_bytes), MEMORY)


def _instances(cache: Cache, threads: int) -> int:
    if cache.instances:
        return cache.instances
    return threads if cache.level <= _PRIVATE_LEVELS else 1


def _threads_on_each(cache: Cache, threads: int) -> int:
    return min(-(-threads // _instances(cache, threads)), cache.shared_by or threads)
