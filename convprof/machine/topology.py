"""How many CPUs of which kind there are, and how many of them this process may use.

The affinity is the kernel's list of what this process may use, in the machine's own numbers. Some
containers (LXCFS) show a list of online CPUs that counts from 0 instead: it serves as a count.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from convprof.codegen import nodes
from convprof.codegen.architecture import ARM
from convprof.codegen.nodes import CPU_LIMIT, cpu_list
from convprof.integers import ceil_div
from convprof.machine import cgroup
from convprof.machine.brand import clean
from convprof.machine.sources import integer

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from convprof.codegen.nodes import NumaNode
    from convprof.machine.sources import Source

_CPUS = "sys/devices/system/cpu"
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


@dataclass(frozen=True)
class Topology:
    """The machine's online CPUs, and the share of them that this process may use."""

    logical_cpus: int | None
    physical_cores: int | None
    threads_per_core: int | None
    """The most logical CPUs that one core has online: 2 with SMT on some cores."""
    sockets: int | None
    numa_nodes: tuple[NumaNode, ...]
    """() when unknown."""
    kinds: tuple[CoreKind, ...]
    """Fastest first; () when all cores are alike or the system does not tell."""
    affinity: tuple[int, ...] | None
    """Logical CPUs that this process may use, when the facts were taken."""
    quota_cpus: float | None
    """CPU time that the container allows, in CPUs; None when unlimited."""
    usable_cores: int
    """Physical cores within the affinity, at most floor(quota), at least 1: `--threads all`."""
    usable_cpus: int
    """Logical CPUs likewise; never fewer than the cores."""

    @property
    def limited_by(self) -> Literal["quota", "affinity"] | None:
        """What keeps the process from using all logical CPUs; None if it may use all."""
        allowed = len(self.affinity) if self.affinity else self.logical_cpus
        if allowed is not None and self.usable_cpus < allowed:
            return "quota"
        if allowed is not None and self.logical_cpus is not None and allowed < self.logical_cpus:
            return "affinity"
        return None


def detect(source: Source) -> Topology:
    """Return the topology; sysfs first, then /proc/cpuinfo, sysctl, psutil."""
    online = online_cpus(source)
    cores = _cores(source, online)
    logical, physical = _counts(source, online, cores)
    affinity = _affinity(source)
    quota = cgroup.cpu_quota(source)
    cpus_in, cores_in = _within(affinity, cores, logical, physical)
    return Topology(
        logical_cpus=logical,
        physical_cores=physical,
        threads_per_core=_threads_per_core(cores, logical, physical),
        sockets=_sockets(source, online),
        numa_nodes=nodes.listed(source.read),
        kinds=_core_kinds(source, cores),
        affinity=affinity,
        quota_cpus=quota,
        usable_cores=_capped(cores_in, quota),
        usable_cpus=_capped(cpus_in, quota),
    )


def online_cpus(source: Source) -> tuple[int, ...]:
    """Return the logical CPUs that run, in the kernel's own numbers; () without such numbers.

    Where the affinity has others than the system shows, what the system shows was rewritten: the
    affinity says which CPUs run.
    """
    shown = _shown_cpus(source)
    allowed = _affinity(source)
    return allowed if shown and allowed and not set(allowed) <= shown else tuple(sorted(shown))


def _affinity(source: Source) -> tuple[int, ...] | None:
    allowed = source.affinity()
    return tuple(sorted(allowed)) if allowed else None


def _shown_cpus(source: Source) -> set[int]:
    """Return the CPUs that the system shows as online."""
    names = [name for name in source.names(_CPUS) if name.startswith("cpu")]
    numbers = {integer(name.removeprefix("cpu"), high=CPU_LIMIT) for name in names}
    folders = {number for number in numbers if number is not None}
    listed = set(cpu_list(source.read(f"{_CPUS}/online")) or ())
    cpus = listed & folders if listed and folders else listed
    cpus = cpus or {cpu for cpu in folders if _is_on(source, cpu)}
    if cpus:
        return cpus
    processors = (integer(block.get("processor")) for block in source.cpuinfo)
    return {cpu for cpu in processors if cpu is not None}


def _is_on(source: Source, cpu: int) -> bool:
    """CPU 0 often has no switch: what cannot be turned off is on."""
    return source.integer(f"{_CPUS}/cpu{cpu}/online") != 0


def _cores(source: Source, online: tuple[int, ...]) -> dict[int, Hashable]:
    """Map each online CPU to a key that the CPUs of its core share; {} when none is known.

    A CPU that shows no core counts as a core of its own among others that do.
    """
    from_sysfs = {cpu: _core_key(source, cpu) for cpu in online}
    if None in from_sysfs.values():
        listed = _cores_listed(source)
        if set(online) <= set(listed):
            return {cpu: listed[cpu] for cpu in online}
    if not any(from_sysfs.values()):
        return {}
    return {cpu: ("alone", cpu) if key is None else key for cpu, key in from_sysfs.items()}


def _cores_listed(source: Source) -> dict[int, Hashable]:
    """Return the same of /proc/cpuinfo, for the CPUs whose core it names."""
    listed: dict[int, Hashable] = {}
    for block in source.cpuinfo:
        cpu, core = integer(block.get("processor")), integer(block.get("core id"))
        if cpu is not None and core is not None:
            listed[cpu] = (integer(block.get("physical id")), core)
    return listed


def _core_key(source: Source, cpu: int) -> Hashable:
    base = f"{_CPUS}/cpu{cpu}/topology"
    for name in ("core_cpus_list", "thread_siblings_list"):
        siblings = cpu_list(source.read(f"{base}/{name}"))
        if siblings and cpu in siblings:
            return siblings
    core = source.integer(f"{base}/core_id")
    package = source.integer(f"{base}/physical_package_id")
    return None if core is None else (package, source.integer(f"{base}/die_id"), core)


def _counts(
    source: Source, online: tuple[int, ...], cores: dict[int, Hashable]
) -> tuple[int | None, int | None]:
    """Return logical CPUs and physical cores."""
    allowed = len(_affinity(source) or ())
    logical = max(len(online), len(_shown_cpus(source))) or source.sysctl_integer("hw.logicalcpu")
    # The map may leave out CPUs of a list that was rewritten: it does not count their cores.
    mapped = len(set(cores.values())) if len(cores) == logical else None
    physical = mapped or source.sysctl_integer("hw.physicalcpu")
    asked = (None, None) if logical and physical else source.cpu_counts() or (None, None)
    logical = logical or asked[0]
    logical = max(logical, allowed) if logical else None
    physical = physical or asked[1]
    physical = max(physical, len(set(cores.values()))) if physical else None
    return logical, min(physical, logical) if physical and logical else physical


def _threads_per_core(
    cores: dict[int, Hashable], logical: int | None, physical: int | None
) -> int | None:
    if cores:
        return max(Counter(cores.values()).values())
    # Cores may differ, so a count that does not divide means that some have more.
    return ceil_div(logical, physical) if logical and physical else None


def _sockets(source: Source, online: tuple[int, ...]) -> int | None:
    ids = {source.integer(f"{_CPUS}/cpu{cpu}/topology/physical_package_id") for cpu in online}
    if None in ids or not ids:  # Arm boards without firmware tables say -1
        ids = {integer(block.get("physical id")) for block in source.cpuinfo}
    return len(ids) if ids and None not in ids else source.sysctl_integer("hw.packages")


def _within(
    affinity: tuple[int, ...] | None,
    cores: dict[int, Hashable],
    logical: int | None,
    physical: int | None,
) -> tuple[int, int]:
    """Return logical CPUs and physical cores inside the affinity, at least 1 each."""
    if affinity is None:
        cpus = logical or physical or 1
        return cpus, min(physical or cpus, cpus)
    if cores:
        # What shows no core may be one.
        return len(affinity), len({cores.get(cpu, ("alone", cpu)) for cpu in affinity})
    # Without a map of the cores, the CPUs are taken to spread over as many as there are.
    return len(affinity), min(len(affinity), physical or len(affinity))


def _capped(count: int, quota: float | None) -> int:
    """More threads than the quota's whole CPUs would be throttled within each period."""
    return count if quota is None else max(1, min(count, math.floor(quota)))


# The kinds of cores of machines whose cores differ: hybrid Intel, Arm big.LITTLE, Apple.


def _core_kinds(source: Source, cores: Mapping[int, object]) -> tuple[CoreKind, ...]:
    """Return the kinds of cores; () when all cores are alike or the system does not tell.

    `cores` maps each online logical CPU to a key that its core's CPUs share ({} if unknown).
    """
    if source.macos:
        return _macos_kinds(source)
    groups = _intel_kinds(source, cores)
    if not groups and source.architecture == ARM:
        groups = _by_capacity(source, tuple(cores))
    # One kind alone is a hybrid CPU whose other cores are disabled, or no hybrid at all.
    return tuple(_kind(name, cpus, cores) for name, cpus in groups) if len(groups) > 1 else ()


def _kind(name: str, cpus: Sequence[int], cores: Mapping[int, object]) -> CoreKind:
    physical = len({cores[cpu] for cpu in cpus})
    return CoreKind(name, len(cpus), physical, ceil_div(len(cpus), physical), tuple(cpus))


def _intel_kinds(source: Source, cores: Mapping[int, object]) -> list[tuple[str, list[int]]]:
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


def _macos_kinds(source: Source) -> tuple[CoreKind, ...]:
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
