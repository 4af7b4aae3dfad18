"""The NUMA nodes of the machine, and the node of each thread of a team.

A page of memory is next to the CPUs of one node; other CPUs read it more slowly. Threads of a team
are assigned to as few nodes as have a core for each of them, in order: so neighbouring shares of
the work belong to one node. On one node, every thread may use every CPU.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from convprof.codegen import affinity
from convprof.integers import ceil_div

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.codegen.affinity import Mask

    Read = Callable[[str], str | None]
    """Returns the text of a file below the root of the system; None where it cannot be read."""

CPU_LIMIT = 1 << 16
"""No kernel numbers CPUs this high (Linux x86 stops at 8192): larger numbers are junk."""
_NODES = "sys/devices/system/node"
_CPUS = "sys/devices/system/cpu"
_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


def cpu_list(text: str | None) -> tuple[int, ...] | None:
    """Return the CPUs of a kernel list such as ``0-3,8``, sorted; an empty list is ``()``."""
    if text is None:
        return None
    cpus: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            return None
        low, high = int(match[1]), int(match[2] or match[1])
        if high < low or high > CPU_LIMIT:
            return None
        cpus.update(range(low, high + 1))
    return tuple(sorted(cpus))


@dataclass(frozen=True)
class NumaNode:
    """A memory node and the logical CPUs next to it; () for a node of memory alone."""

    number: int
    cpus: tuple[int, ...]


def listed(read: Read) -> tuple[NumaNode, ...]:
    """Return the nodes of a system; () where the system lists none."""
    numbers = cpu_list(read(f"{_NODES}/online")) or ()
    lists = ((number, cpu_list(read(f"{_NODES}/node{number}/cpulist"))) for number in numbers)
    return tuple(NumaNode(number, cpus) for number, cpus in lists if cpus is not None)


class Place(NamedTuple):
    """Where one thread of a team runs."""

    node: int
    """The number of its node among the nodes that have threads of the team; the leader's is 0."""
    cpus: Mask


class Room(NamedTuple):
    """The usable CPUs of one node."""

    cpus: Mask
    cores: int


def places(threads: int) -> tuple[Place, ...]:
    """Return the place of each thread of a team, the leader first; () if the CPUs are unknown."""
    allowed = affinity.allowed(threads)
    return () if allowed is None else _places(threads, allowed)


def counts(threads: int) -> list[int]:
    """Return the number of a team's threads on each of its nodes; all on one if unknown."""
    own = Counter(place.node for place in places(threads))
    return [own[node] for node in sorted(own)] or [threads]


def spread(threads: int) -> int:
    """Return the number of nodes that a team's threads are on."""
    return len(counts(threads))


@functools.cache
def _places(threads: int, allowed: Mask) -> tuple[Place, ...]:
    return assigned(threads, _from_home(rooms(allowed, _here(), _read)))


def rooms(allowed: Mask, nodes: Sequence[NumaNode], read: Read) -> list[Room]:
    """Return the usable part of each node with CPUs; one room if the nodes are not known."""
    parts = [part for node in nodes if (part := allowed.intersection(node.cpus))]
    if len(parts) < 2 or frozenset().union(*parts) != allowed:  # noqa: PLR2004
        return [Room(allowed, len(allowed))]
    return [Room(part, _cores(part, read)) for part in parts]


def _cores(cpus: Mask, read: Read) -> int:
    """Return the number of cores; a CPU without a list of its siblings is a core."""
    lists = {cpu: read(f"{_CPUS}/cpu{cpu}/topology/core_cpus_list") for cpu in cpus}
    return len({cpu if siblings is None else siblings for cpu, siblings in lists.items()})


def assigned(threads: int, every: Sequence[Room]) -> tuple[Place, ...]:
    """Return the place of each thread: as few rooms as have enough cores, each as full as others.

    With more threads than cores, all rooms. A small room between large ones may have no thread: its
    node has no number.
    """
    before = list(itertools.accumulate(room.cores for room in every))
    count = next((i for i, cores in enumerate(before, 1) if cores >= threads), len(every))
    edges = [0, *(ceil_div(threads * cores, before[count - 1]) for cores in before[:count])]
    shares = [range(*pair) for pair in itertools.pairwise(edges)]
    used = [(room.cpus, share) for room, share in zip(every, shares, strict=False) if share]
    return tuple(Place(node, cpus) for node, (cpus, share) in enumerate(used) for _ in share)


def _from_home(every: list[Room]) -> list[Room]:
    """Return the rooms from the home of the process on, then the rooms before it."""
    home = _home() if len(every) > 1 else None
    at = next((i for i, room in enumerate(every) if home in room.cpus), 0)
    return every[at:] + every[:at]


@functools.cache
def _home() -> int | None:
    """Return the CPU that the process was on at the first call: the same for all teams.

    A team finds its shares of packed weights where they were first written.
    """
    return affinity.current_cpu()


@functools.cache
def _here() -> tuple[NumaNode, ...]:
    return listed(_read)


def _read(path: str) -> str | None:
    try:
        return Path("/", path).read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
