"""Kinds of cores on machines whose cores differ: hybrid Intel, Arm big.LITTLE, Apple."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.codegen.architecture import ARM
from convprof.integers import ceil_div
from convprof.machine.brand import clean
from convprof.machine.sources import cpu_list

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convprof.machine.sources import Source

_INTEL = {
    "performance": "sys/devices/cpu_core/cpus",
    "efficiency": "sys/devices/cpu_atom/cpus",
    "low-power": "sys/devices/cpu_lowpower/cpus",
}
_BY_CAPACITY = {2: ("performance", "efficiency"), 3: ("performance", "middle", "efficiency")}
_MACOS_LEVELS = 4
"""Apple has two so far; the bound only guards against junk."""


@dataclass(frozen=True)
class CoreKind:
    """Cores that are alike, fastest kind first in `Topology.kinds`."""

    name: str
    """``performance``, ``efficiency``, ``middle``, ``low-power``, or ``capacity N``."""
    logical_cpus: int | None
    physical_cores: int | None
    threads_per_core: int | None
    cpus: tuple[int, ...] | None
    """Numbers of its online logical CPUs; None where the system does not number them."""


def detect(source: Source, cores: Mapping[int, object]) -> tuple[CoreKind, ...]:
    """Return the kinds; () when all cores are alike or the system does not tell.

    `cores` maps each online logical CPU to a key that its core's CPUs share ({} if unknown).
    """
    if source.macos:
        return _macos(source)
    groups = _intel(source, cores)
    if not groups and source.architecture == ARM:
        groups = _by_capacity(source, tuple(cores))
    # One kind alone is a hybrid CPU whose other cores are disabled, or no hybrid at all.
    return tuple(_kind(name, cpus, cores) for name, cpus in groups) if len(groups) > 1 else ()


def _kind(name: str, cpus: Sequence[int], cores: Mapping[int, object]) -> CoreKind:
    physical = len({cores[cpu] for cpu in cpus})
    return CoreKind(name, len(cpus), physical, ceil_div(len(cpus), physical), tuple(cpus))


def _intel(source: Source, cores: Mapping[int, object]) -> list[tuple[str, list[int]]]:
    lists = [(name, cpu_list(source.read(path)) or ()) for name, path in _INTEL.items()]
    online = [(name, [cpu for cpu in cpus if cpu in cores]) for name, cpus in lists]
    return [(name, cpus) for name, cpus in online if cpus]


def _by_capacity(source: Source, cpus: Sequence[int]) -> list[tuple[str, list[int]]]:
    """Group by cpu_capacity (1024 = the fastest core); nothing unless every CPU has one."""
    groups: dict[int, list[int]] = {}
    for cpu in cpus:
        capacity = source.integer(f"sys/devices/system/cpu/cpu{cpu}/cpu_capacity", low=1)
        if capacity is None:
            return []
        groups.setdefault(capacity, []).append(cpu)
    ordered = sorted(groups, reverse=True)
    names = _BY_CAPACITY.get(len(ordered)) or tuple(f"capacity {value}" for value in ordered)
    return [(name, groups[value]) for name, value in zip(names, ordered, strict=True)]


def _macos(source: Source) -> tuple[CoreKind, ...]:
    count = source.sysctl_integer("hw.nperflevels", high=_MACOS_LEVELS) or 0
    kinds = []
    for level in range(count):
        prefix = f"hw.perflevel{level}"
        logical = source.sysctl_integer(f"{prefix}.logicalcpu")
        physical = source.sysctl_integer(f"{prefix}.physicalcpu")
        smt = logical // physical if logical and physical and logical >= physical else None
        name = (clean(source.sysctl(f"{prefix}.name")) or f"level {level}").lower()
        kinds.append(CoreKind(name, logical, physical, smt, None))
    return tuple(kinds) if len(kinds) > 1 else ()
