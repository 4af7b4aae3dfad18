"""Sizes, lines and sharing of the caches, one entry for all instances that are alike."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from convprof.machine.parse import cpu_list, integer, size_bytes
from convprof.machine.topology import online_cpus

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from convprof.machine.kinds import CoreKind
    from convprof.machine.sources import Source

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
        found = list(_macos(source, kinds))
    else:
        counts = Counter(_sysfs(source, kinds))
        # Without a sharing list, one cache seen from many CPUs cannot be told from many.
        found = [
            replace(cache, instances=count if cache.shared_by else None)
            for cache, count in counts.items()
        ]
    names = [kind.name for kind in kinds]
    return tuple(sorted(found, key=lambda cache: _position(cache, names)))


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
    """Apple's own chips describe each performance level apart, Intel Macs the machine."""
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
        instances = -(-cpus // shared) if cpus and shared else None
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
