"""Whether other programs are at work right now, and how to wait until they are not."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.machine import activity
from convprof.machine.host import this_machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from convprof.machine.sources import Source

BUSY_SHARE = 0.2
"""The share of the time of this process's CPUs that other programs may use without a message."""
LOOK_S = 0.25
"""Just above what the kernel's counters resolve: see `activity.SHORTEST_S`."""
IDLE_LOOKS = 2
"""Looks in succession that find an idle machine: a busy program may pause during one."""


@dataclass(frozen=True, slots=True)
class Load:
    """The work of other programs over a short moment."""

    share: float
    """Of the time of the CPUs that this process may use; from 0 to 1."""
    cpus: int

    @property
    def busy(self) -> bool:
        """Whether the work of others disturbs measurements."""
        return self.share > BUSY_SHARE

    def __str__(self) -> str:
        """Return ``1.8 of 2 CPUs``, or ``90 % of the CPU`` of a single one."""
        if self.cpus > 1:
            return f"{self.share * self.cpus:.1f} of {self.cpus} CPUs"
        return f"{100 * self.share:.0f} % of the CPU"


def look(
    source: Source | None = None,
    seconds: float = LOOK_S,
    sleep: Callable[[float], None] = time.sleep,
) -> Load | None:
    """Return the load over some moment from now on; None where the system does not tell it."""
    machine = source or this_machine()
    cpus = machine.affinity()
    before = activity.now(machine, cpus)
    if before is None:
        return None
    sleep(seconds)
    share = activity.others(before, activity.now(machine, cpus))
    return None if share is None else Load(share, before.cpus)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A look that found a busy machine."""

    load: Load
    left_s: float
    """Seconds until the wait ends in any case."""


def wait(
    limit_s: float,
    look: Callable[[], Load | None] = look,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Waiting]:
    """Wait until other programs are idle, at most ``limit_s`` seconds; yield each busy look.

    Returns at once where the load is not known.
    """
    end = clock() + limit_s
    idle = 0
    while idle < IDLE_LOOKS:
        load = look()
        left_s = end - clock()
        if load is None:
            return
        idle = 0 if load.busy else idle + 1
        if load.busy:
            yield Waiting(load, max(0.0, left_s))
        if left_s <= 0:
            return
