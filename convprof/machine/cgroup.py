"""Limits that a container or a service manager sets: CPU quota and memory, cgroup v1 and v2.

A limit of any ancestor binds its children, so every folder from the process's own group up to
the mounted root is read and the tightest limit counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from convprof.machine.sources import integer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from convprof.machine.sources import Source

_USUAL_MOUNTS = "sys/fs/cgroup"

_UNLIMITED = 1 << 60
"""v1 writes 'no limit' as the largest multiple of the page size below 2**63."""


@dataclass(frozen=True)
class _Mount:
    """Where one hierarchy is mounted, and which of its groups is the mount's root."""

    version: int
    point: str
    root: str = "/"


@dataclass(frozen=True)
class _Group:
    """One folder with limits in it."""

    version: int
    path: str


@dataclass(frozen=True)
class Throttling:
    """How often a CPU quota stopped the processes of a group, since the group was made."""

    periods: int
    throttled_periods: int
    seconds: float
    """Summed over the CPUs that were stopped."""

    def __sub__(self, other: Throttling) -> Throttling:
        """Return what happened since an earlier moment."""
        return Throttling(
            self.periods - other.periods,
            self.throttled_periods - other.throttled_periods,
            self.seconds - other.seconds,
        )


@dataclass(frozen=True)
class MemoryLimit:
    """The tightest memory limit: bytes allowed, and bytes left under it."""

    limit_bytes: int
    left_bytes: int
    name: str | None = None
    """The file that sets the limit: ``memory.max``, ``memory.high``."""


def _mounts(source: Source, controller: str) -> list[_Mount]:
    """Read the mount table; the usual places without one."""
    table = source.read("proc/self/mountinfo")
    if table is None:
        v1 = [name for name in source.names(_USUAL_MOUNTS) if controller in name.split(",")]
        return [_Mount(1, f"{_USUAL_MOUNTS}/{name}") for name in v1] + [_Mount(2, _USUAL_MOUNTS)]
    mounts = []
    for line in table.splitlines():
        left, _, right = line.partition(" - ")
        place, kind = left.split(), right.split()
        if len(place) < 5 or len(kind) < 3:  # noqa: PLR2004 -- fields of proc(5), mountinfo
            continue
        root, point = place[3], place[4]
        if kind[0] == "cgroup2":
            mounts.append(_Mount(2, point, root))
        elif kind[0] == "cgroup" and controller in kind[2].split(","):
            mounts.append(_Mount(1, point, root))
    return mounts


def _own_path(source: Source, version: int, controller: str) -> str:
    """Return the process's group in that hierarchy, ``/`` when unknown."""
    for line in (source.read("proc/self/cgroup") or "").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        unified = number == "0" and not controllers
        if unified if version == 2 else controller in controllers.split(","):  # noqa: PLR2004
            # ".." leads out of what the cgroup namespace shows.
            return "/" if ".." in path.split("/") else path
    return "/"


def _groups(source: Source, controller: str) -> Iterator[_Group]:
    """Yield the folders from the own group up to the root of each hierarchy."""
    for mount in _mounts(source, controller):
        path = PurePosixPath(_own_path(source, mount.version, controller))
        if path.is_relative_to(mount.root):
            path = path.relative_to(mount.root)
        parts = [part for part in path.parts if part != "/"]
        for count in range(len(parts), -1, -1):
            yield _Group(mount.version, "/".join((mount.point, *parts[:count])))


def _quota(source: Source, group: _Group) -> float | None:
    if group.version == 1:
        quota = source.integer(f"{group.path}/cpu.cfs_quota_us", low=1)
        period = source.integer(f"{group.path}/cpu.cfs_period_us", low=1)
    else:
        words = (source.read(f"{group.path}/cpu.max") or "").split()
        quota = integer(words[0], low=1) if words else None
        # The kernel always writes both; 100 ms is its default.
        period = integer(words[1], low=1) if len(words) > 1 else 100_000
    return None if quota is None or period is None else quota / period


def cpu_quota(source: Source) -> float | None:
    """Return the CPU time allowed per unit of time (1.5: one and a half CPUs); None: no limit."""
    quotas = (_quota(source, group) for group in _groups(source, "cpu"))
    return min((quota for quota in quotas if quota is not None), default=None)


def throttling(source: Source) -> dict[str, Throttling]:
    """Return what the quotas have stopped so far, by the folder of each group with a quota."""
    limits = ((group.path, _throttling(source, group)) for group in _groups(source, "cpu"))
    return {path: throttled for path, throttled in limits if throttled is not None}


def throttled_since(before: Mapping[str, Throttling], source: Source) -> Throttling | None:
    """Return what the worst of the quotas has stopped since; None without a quota."""
    now = throttling(source)
    since = [now[path] - earlier for path, earlier in before.items() if path in now]
    forward = [change for change in since if change.periods >= 0 and change.seconds >= 0]
    return max(forward, key=lambda change: (change.seconds, change.periods), default=None)


def _throttling(source: Source, group: _Group) -> Throttling | None:
    if _quota(source, group) is None:
        return None
    values = _table(source, f"{group.path}/cpu.stat")
    periods, throttled = values.get("nr_periods"), values.get("nr_throttled")
    if periods is None or throttled is None:
        return None
    # v1 counts in nanoseconds, v2 in microseconds.
    seconds = values.get("throttled_time", 0) * 1e-9 + values.get("throttled_usec", 0) * 1e-6
    return Throttling(periods, throttled, seconds)


def _table(source: Source, path: str) -> dict[str, int]:
    """Return a file of names and numbers, one of each a line."""
    pairs = (line.partition(" ") for line in (source.read(path) or "").splitlines())
    values = ((name, integer(value)) for name, _, value in pairs)
    return {name: value for name, value in values if value is not None}


def _reclaimable(source: Source, group: _Group) -> int:
    """Return the file cache that the kernel drops first: counted as used, yet free."""
    key = "total_inactive_file" if group.version == 1 else "inactive_file"
    return _table(source, f"{group.path}/memory.stat").get(key, 0)


def _memory(source: Source, group: _Group) -> MemoryLimit | None:
    """Return the tightest limit of a group.

    Above memory.high nothing is killed, but the kernel slows each allocation down and takes the
    memory of the group back: times measured there mean nothing.
    """
    names = ("memory.limit_in_bytes",) if group.version == 1 else ("memory.max", "memory.high")
    sizes = {name: source.integer(f"{group.path}/{name}", high=_UNLIMITED) for name in names}
    limits = {name: size for name, size in sizes.items() if size is not None}
    if not limits:
        return None
    name = min(limits, key=lambda name: limits[name])
    usage = "memory.usage_in_bytes" if group.version == 1 else "memory.current"
    used = source.integer(f"{group.path}/{usage}") or 0
    used = max(0, used - _reclaimable(source, group))
    return MemoryLimit(limits[name], max(0, limits[name] - used), name)


def memory_limit(source: Source) -> MemoryLimit | None:
    """Return the tightest limit and the least that is left under any; None when unlimited."""
    per_group = [_memory(source, group) for group in _groups(source, "memory")]
    limits = [limit for limit in per_group if limit is not None]
    if not limits:
        return None
    tightest = min(limits, key=lambda limit: limit.limit_bytes)
    left = min(limit.left_bytes for limit in limits)
    return MemoryLimit(tightest.limit_bytes, left, tightest.name)
