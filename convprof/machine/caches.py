"""Sizes, lines and sharing of the caches, one entry for all instances that are alike."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from convprof import units
from convprof.codegen.nodes import cpu_list
from convprof.integers import ceil_div
from convprof.machine.sources import integer, size_bytes
from convprof.machine.topology import online_cpus

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from convprof.machine.sources import Source
    from convprof.machine.topology import CoreKind


_CPUS = "sys/devices/system/cpu"
_MAX_BYTES = 1 << 36
_MAX_LINE = 4096
_MAX_WAYS = 1 << 16
_MAX_LEVEL = 8

CacheKind = Literal["data", "instruction", "unified"]
_KINDS: dict[str, CacheKind] = {
    "data": "data",
    "instruction": "instruction",
    "unified": "unified",
}
_ORDER = {"data": 0, "instruction": 1, "unified": 2, None: 3}


@dataclass(frozen=True)
class Cache:
    """One cache, or several that are alike."""

    level: int
    kind: CacheKind | None
    size_bytes: int | None
    """Of one instance."""
    line_bytes: int | None
    ways: int | None
    shared_by: int | None
    """Online logical CPUs behind one instance."""
    instances: int | None
    """How many such caches the online CPUs have."""
    core_kind: str | None
    """The kind of core it serves on a machine whose cores differ; None: all, or several."""


def detect(source: Source, kinds: Sequence[CoreKind]) -> tuple[Cache, ...]:
    """Return the caches, level 1 data first; () when the system does not tell."""
    if source.macos:
        described = list(_macos(source, kinds))
    else:
        counts = Counter(_sysfs(source, kinds))
        # Without a sharing list, one cache seen from many CPUs looks like many caches.
        described = [
            replace(cache, instances=count if cache.shared_by else None)
            for cache, count in counts.items()
        ]
    names = [kind.name for kind in kinds]
    return tuple(sorted(described, key=lambda cache: _position(cache, names)))


def _position(cache: Cache, names: list[str]) -> tuple[int, int, int, int]:
    kind = names.index(cache.core_kind) if cache.core_kind in names else len(names)
    return cache.level, _ORDER[cache.kind], kind, -(cache.size_bytes or 0)


def _sysfs(source: Source, kinds: Sequence[CoreKind]) -> Iterator[Cache]:
    """Yield each instance once, although every CPU behind it lists it."""
    seen: set[Hashable] = set()
    online = online_cpus(source)
    running = frozenset(online)
    for cpu in online:
        for index in source.names(f"{_CPUS}/cpu{cpu}/cache"):
            if not index.startswith("index"):
                continue
            base = f"{_CPUS}/cpu{cpu}/cache/{index}"
            level = source.integer(f"{base}/level", low=1, high=_MAX_LEVEL)
            if level is None:
                continue
            kind = _KINDS.get((source.read(f"{base}/type") or "").strip().lower())
            listed = cpu_list(source.read(f"{base}/shared_cpu_list"))
            sharing = running.intersection(listed or ())
            key = (level, kind, sharing or cpu)
            if key in seen:
                continue
            seen.add(key)
            yield Cache(
                level=level,
                kind=kind,
                size_bytes=size_bytes(source.read(f"{base}/size"), high=_MAX_BYTES),
                line_bytes=source.integer(f"{base}/coherency_line_size", 1, _MAX_LINE),
                ways=source.integer(f"{base}/ways_of_associativity", 1, _MAX_WAYS),
                shared_by=len(sharing) or None,
                instances=None,
                core_kind=_kind_of(sharing or {cpu}, kinds),
            )


def _kind_of(cpus: frozenset[int] | set[int], kinds: Sequence[CoreKind]) -> str | None:
    for kind in kinds:
        if cpus <= set(kind.cpus or ()):
            return kind.name
    return None


def _macos(source: Source, kinds: Sequence[CoreKind]) -> Iterator[Cache]:
    """Apple's own chips describe each performance level, Intel Macs the whole machine."""
    levels = source.sysctl_integer("hw.nperflevels", high=4) or 0
    if not levels:
        yield from _macos_level(source, "hw", source.sysctl_integer("hw.logicalcpu"), None)
    for level in range(levels):
        prefix = f"hw.perflevel{level}"
        cpus = source.sysctl_integer(f"{prefix}.logicalcpu")
        name = kinds[level].name if level < len(kinds) else None
        yield from _macos_level(source, prefix, cpus, name)


def _macos_level(
    source: Source, prefix: str, cpus: int | None, core_kind: str | None
) -> Iterator[Cache]:
    line = source.sysctl_integer("hw.cachelinesize", high=_MAX_LINE)
    names: tuple[tuple[str, int, CacheKind], ...] = (
        ("l1dcachesize", 1, "data"),
        ("l1icachesize", 1, "instruction"),
        ("l2cachesize", 2, "unified"),
        ("l3cachesize", 3, "unified"),
    )
    for name, level, kind in names:
        size = source.sysctl_integer(f"{prefix}.{name}", high=_MAX_BYTES)
        if size is None:
            continue
        shared = _macos_sharing(source, prefix, level)
        instances = ceil_div(cpus, shared) if cpus and shared else None
        yield Cache(level, kind, size, line, None, shared, instances, core_kind)


def _macos_sharing(source: Source, prefix: str, level: int) -> int | None:
    """Return the logical CPUs behind one cache.

    ``hw.cacheconfig`` lists them for memory, L1, L2, L3 of an Intel Mac; ``cpusperl2`` counts
    them per performance level. Apple's cores have an L1 each.
    """
    if prefix != "hw":
        each = 1 if level == 1 else None
        return source.sysctl_integer(f"{prefix}.cpusperl{level}") or each
    words = (source.sysctl("hw.cacheconfig") or "").split()
    return integer(words[level], low=1) if level < len(words) else None


# The levels of memory for some threads: the capacity of each for one thread, and for all.
#
# Computed from the facts about caches alone, so it works for the machine of a result file too.

MEMORY = "memory"
"""The name of the level behind the last cache."""

_PRIVATE_LEVELS = 2
"""Caches up to this level are assumed to be private to a core where the system does not tell."""


@dataclass(frozen=True, slots=True)
class Level:
    """A cache level."""

    name: str
    """``L1``, ``L2`` …"""
    share_bytes: int
    """The capacity for each thread, whichever core it runs on."""
    largest_share_bytes: int
    """The same on the cores with the largest share."""
    total_bytes: int
    """The most that all threads together can hold in it."""
    before_unknown: bool = field(default=False, compare=False)
    """Whether a cache of unknown size is behind it."""


def levels(caches: Sequence[Cache], threads: int) -> tuple[Level, ...]:
    """Return the levels of data caches for ``threads`` threads, nearest first.

    The threads are assumed to be spread over all instances of a cache. A level with an instance of
    unknown size is left out, and so are those behind it.
    """
    by_size: list[Level] = []
    for number in sorted({cache.level for cache in caches}):
        here = [c for c in caches if c.level == number and c.kind != "instruction"]
        sizes = [cache.size_bytes for cache in here if cache.size_bytes]
        if len(sizes) < len(here):
            by_size[-1:] = [replace(last, before_unknown=True) for last in by_size[-1:]]
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
        by_size.append(Level(f"L{number}", min(shares), max(shares), total))
    return tuple(by_size)


def holding(hierarchy: Sequence[Level], footprint_bytes: int) -> str | None:
    """Return the name of the nearest level that holds the footprint; ``memory`` if none does.

    None if a cache of unknown size may hold it: many virtual machines tell no size.
    """
    behind = MEMORY if hierarchy and not hierarchy[-1].before_unknown else None
    return next((lv.name for lv in hierarchy if footprint_bytes <= lv.total_bytes), behind)


def _instances(cache: Cache, threads: int) -> int:
    if cache.instances:
        return cache.instances
    return threads if cache.level <= _PRIVATE_LEVELS else 1


def _threads_on_each(cache: Cache, threads: int) -> int:
    return min(ceil_div(threads, _instances(cache, threads)), cache.shared_by or threads)


# How much memory to read, so that one level is measured, and no nearer level.

OF_ITS_LEVEL = 2
"""A working set takes its cache's size divided by this: the rest is for other data."""
OVER_THE_LAST = 8
"""A working set is this many times the cache before it, if there is room. The part that stays in
that cache, because replacement is not strictly least-recently-used, is then small."""
LEAST_OVER_THE_LAST = 2
MEMORY_OVER_CACHES = 4
"""The working set in memory is this many times the last cache, less if memory is short."""
LEAST_MEMORY_OVER_CACHES = 2
UNKNOWN_CACHE_BYTES = 64 << 20
"""For the working set in memory where the caches are unknown."""
OF_AVAILABLE = 4
"""A working set takes at most the available memory divided by this."""


@dataclass(frozen=True, slots=True)
class WorkingSet:
    """The memory that each thread reads to measure a level."""

    level: str
    bytes_per_thread: int | None
    reason: str | None = None
    """Why the level cannot be measured."""


def working_sets(
    hierarchy: Sequence[Level], threads: int, available: int | None
) -> tuple[WorkingSet, ...]:
    """Return a working set for each cache level and for memory, nearest first.

    ``available`` is the free memory in bytes, None if unknown.
    """
    sets = []
    before = 0
    for level in hierarchy:
        sets.append(_in_cache(level, before))
        before = level.largest_share_bytes
    last = hierarchy[-1].total_bytes if hierarchy else UNKNOWN_CACHE_BYTES
    return (*sets, _in_memory(last, threads, available))


def _in_cache(level: Level, before: int) -> WorkingSet:
    """Return a working set that fits ``level`` and not the cache of ``before`` bytes."""
    size = level.share_bytes // OF_ITS_LEVEL
    if before:
        size = min(size, OVER_THE_LAST * before)
    if size >= LEAST_OVER_THE_LAST * before:
        return WorkingSet(level.name, size)
    if level.share_bytes >= LEAST_OVER_THE_LAST * before:
        return WorkingSet(level.name, max(before + 1, math.isqrt(before * level.share_bytes)))
    share = units.size(level.share_bytes)
    return WorkingSet(
        level.name, None, f"a thread's share, {share}, is hardly more than the cache before it"
    )


def _in_memory(last: int, threads: int, available: int | None) -> WorkingSet:
    usual, least = MEMORY_OVER_CACHES * last, LEAST_MEMORY_OVER_CACHES * last
    room = usual if available is None else available // OF_AVAILABLE
    if room < least:
        reason = (
            f"needs {units.size(least)}, {LEAST_MEMORY_OVER_CACHES} times the last cache, and "
            f"takes at most 1/{OF_AVAILABLE} of the {units.size(available or 0)} available"
        )
        return WorkingSet(MEMORY, None, reason)
    return WorkingSet(MEMORY, min(usual, room) // threads)
