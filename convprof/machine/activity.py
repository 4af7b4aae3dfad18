"""How busy the CPUs were between two moments, and with whose work, by the kernel's counters.

The load average does not serve here: for a minute it contains the last run of this program, and it
hardly contains a program that started a second ago.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.machine.sources import integer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convprof.machine.sources import Source

SHORTEST_S = 0.2
"""The kernel counts in hundredths of a second: over less time a share means little."""

_IDLE, _IO_WAIT, _STEAL = 3, 4, 7
_FIELDS = 8
"""user, nice, system, idle, iowait, irq, softirq, steal; guest time is part of user time."""


@dataclass(frozen=True)
class Activity:
    """Seconds of CPU time since some fixed moments: only differences mean something."""

    at_s: float
    """Of the monotonic clock."""
    cpus: int
    """CPUs whose time is counted."""
    busy_s: float
    """Work of every process and of the kernel on these CPUs."""
    own_s: float
    """Work of this process and of its children."""
    stolen: tuple[float, float] | None
    """Time that the hypervisor took away, and all time, of all CPUs; None where unknown."""


def now(source: Source, cpus: Iterable[int] | None = None) -> Activity | None:
    """Return the counters of these logical CPUs (of all if the system does not number them so)."""
    rows = _rows(source)
    chosen = [rows.get(f"cpu{cpu}") for cpu in cpus or ()]
    known = [row for row in chosen if row is not None]
    if not known or len(known) < len(chosen):  # a container that shows CPUs renumbered
        known = [row for name, row in rows.items() if name != "cpu"]
    total = rows.get("cpu")
    if known:
        busy = sum(map(_busy, known)) / _ticks_per_second()
        count = len(known)
    else:
        asked = source.busy()
        if asked is None or not asked[1]:
            return None
        busy, count = asked
    stolen = None
    if total is not None and len(total) > _STEAL:
        stolen = (float(total[_STEAL]), float(sum(total)))
    return Activity(time.monotonic(), count, busy, own_seconds(), stolen)


_children: dict[int, float] = {}
"""The CPU time of children that compute for this process and have not ended, by process."""


def note_child(process: int, seconds: float) -> None:
    """Take note of the CPU time of a child that computes for this process."""
    _children[process] = seconds


def forget_child(process: int) -> None:
    """Take note that a child has ended: the system counts its time from now on."""
    _children.pop(process, None)


def own_seconds() -> float:
    """Return the CPU time of this process with all its threads, and of its children."""
    spent = os.times()
    ended = spent.children_user + spent.children_system
    return time.process_time() + ended + sum(_children.values())


def others(before: Activity | None, after: Activity | None) -> float | None:
    """Return the share of the CPUs' time that other programs used; None where unknown."""
    if before is None or after is None or before.cpus != after.cpus:
        return None
    elapsed = after.at_s - before.at_s
    busy, own = after.busy_s - before.busy_s, after.own_s - before.own_s
    # Counters that miss our own work, as in some sandboxes, miss the work of others too.
    if elapsed < SHORTEST_S or busy < 0 or busy < own / 2 - SHORTEST_S:
        return None
    return min(1.0, max(0.0, busy - own) / (elapsed * after.cpus))


def stolen_share(before: Activity | None, after: Activity | None) -> float | None:
    """Return the share of all time that the hypervisor gave to others; None where unknown."""
    if before is None or after is None or before.stolen is None or after.stolen is None:
        return None
    stolen, passed = (b - a for a, b in zip(before.stolen, after.stolen, strict=True))
    return stolen / passed if passed > 0 and 0 <= stolen <= passed else None


def _rows(source: Source) -> dict[str, list[int]]:
    """Return the clock ticks of /proc/stat by row: `cpu` sums up `cpu0`, `cpu1` and all others."""
    rows = {}
    for line in (source.read("proc/stat") or "").splitlines():
        name, *words = line.split() or [""]
        values = [integer(word) for word in words[:_FIELDS]]
        numbers = [value for value in values if value is not None]
        if name.startswith("cpu") and len(numbers) == len(values) > _IDLE:
            rows[name] = numbers
    return rows


def _busy(row: list[int]) -> int:
    return sum(value for at, value in enumerate(row) if at not in {_IDLE, _IO_WAIT, _STEAL})


def _ticks_per_second() -> int:
    try:
        return os.sysconf("SC_CLK_TCK")
    except (AttributeError, OSError, ValueError):
        return 100
