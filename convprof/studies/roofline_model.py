"""The ceilings of a measurement: the FMA peak, and the bandwidth of the level that feeds it.

At an intensity of ``i`` FLOP/byte no more than ``min(peak, i * bandwidth)`` is possible (Williams,
Waterman, Patterson 2009, Roofline). FLOPs are executed FLOPs, so that an algorithm that needs fewer
than the definition is not above a ceiling; bytes are the bytes that the strategy moves. The level
is the nearest one that holds operands, result and scratch memory together, as they are when calls
follow one another; memory for measurements with cold caches. The part that fits into the caches
before it is counted at their bandwidth.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from convprof.machine.caches import MEMORY, Level, holding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.machine.model import MachineModel
    from convprof.results import Measurement

COMPUTE = "compute"


@dataclass(frozen=True, slots=True)
class RooflinePoint:
    """A measurement and its ceilings."""

    measurement: Measurement
    intensity: float
    """FLOPs executed per byte moved."""
    flop_per_s: float
    """By the FLOPs executed."""
    level: str | None
    """The level that holds the strategy's data; None if a cache of unknown size may hold them."""
    bandwidth: float | None
    """Bytes per second from that level and the caches before it; None: unknown."""
    level_bandwidth: float | None
    """Bytes per second from that level alone; None: unknown."""
    peak: float
    """FLOP/s of independent multiply-adds on as many threads."""

    @property
    def seconds(self) -> float:
        """The median time of a call."""
        return self.measurement.time_s.median if self.measurement.time_s else math.inf

    @property
    def roof(self) -> float:
        """The FLOP/s that are possible; the peak where the bandwidth is unknown."""
        if self.bandwidth is None:
            return self.peak
        return min(self.peak, self.intensity * self.bandwidth)

    @property
    def limit(self) -> str | None:
        """``compute`` or the level whose bandwidth is the lower ceiling; None if unknown."""
        if self.bandwidth is None:
            return None
        return COMPUTE if self.intensity * self.bandwidth >= self.peak else self.level

    @property
    def bound(self) -> Literal["compute", "memory"] | None:
        """The same in the words of the result document."""
        if self.limit is None:
            return None
        return "compute" if self.limit == COMPUTE else "memory"

    @property
    def bandwidth_fraction(self) -> float | None:
        """The share of the level's bandwidth; over 1 where nearer caches have a part of the data.

        None if the bandwidth is unknown.
        """
        if self.level_bandwidth is None:
            return None
        return self.flop_per_s / (self.intensity * self.level_bandwidth)

    @property
    def left(self) -> float:
        """The ceiling over the measured rate."""
        return self.roof / self.flop_per_s


def place(
    measurement: Measurement,
    peak: float,
    caches: Sequence[Level],
    bandwidth_of: Callable[[str], float | None],
) -> RooflinePoint | None:
    """Return a measurement with its ceilings; None for one without a time or arithmetic.

    ``caches`` are the cache levels for as many threads, ``bandwidth_of`` returns a bandwidth.
    """
    time, flops, works_in = measurement.time_s, measurement.flops, working_set(measurement, caches)
    if time is None or flops is None or works_in is None:
        return None
    return RooflinePoint(
        measurement,
        flops.executed / works_in.moved,
        flops.executed / time.median,
        works_in.level,
        _mixed(works_in, bandwidth_of),
        None if works_in.level is None else bandwidth_of(works_in.level),
        peak,
    )


@dataclass(frozen=True, slots=True)
class WorkingSet:
    """The data of a strategy, and the memory level that holds them."""

    moved: int
    """Bytes that the strategy moves."""
    footprint: int
    """Bytes of different addresses among them."""
    level: str | None
    """None if a cache of unknown size may hold them."""
    nearer: tuple[Level, ...]
    """The caches before that level which may hold a part."""


def working_set(measurement: Measurement, caches: Sequence[Level]) -> WorkingSet | None:
    """Return the data of a measurement; None for one without a time or without arithmetic."""
    moved = measurement.bytes_moved or measurement.bytes_min
    flops = measurement.flops
    if measurement.time_s is None or flops is None or not flops.executed or not moved:
        return None
    # Weights that are packed are not read again: the bytes moved are then the better figure.
    footprint = min((measurement.bytes_min or moved) + (measurement.workspace_bytes or 0), moved)
    if measurement.cache == "cold":
        return WorkingSet(moved, footprint, MEMORY, ())
    level = holding(caches, footprint)
    names = [*(cache.name for cache in caches), MEMORY]
    nearer = caches[: names.index(level)] if level is not None else ()
    return WorkingSet(moved, footprint, level, tuple(nearer))


def _mixed(works_in: WorkingSet, bandwidth_of: Callable[[str], float | None]) -> float | None:
    """Return the bandwidth of one pass through the working set.

    The nearer caches keep as much of it as they hold, which no replacement policy can exceed.
    """
    last = None if works_in.level is None else bandwidth_of(works_in.level)
    if last is None:
        return None
    held, seconds = 0, 0.0
    for cache in works_in.nearer:
        rate = bandwidth_of(cache.name)
        if rate is not None and cache.total_bytes > held:
            seconds += (cache.total_bytes - held) / rate
            held = cache.total_bytes
    return works_in.footprint / (seconds + (works_in.footprint - held) / last)


def place_here(
    measurement: Measurement, peak: float, machine: MachineModel
) -> RooflinePoint | None:
    """Return a measurement of this machine with its ceilings, as far as the model has them."""
    threads = measurement.threads
    caches = machine.levels(threads)
    return place(measurement, peak, caches, functools.partial(machine.bandwidth, threads))


def levels_needed(measurement: Measurement, machine: MachineModel) -> list[str]:
    """Return the levels whose bandwidth ``place_here`` would use and the model could measure."""
    threads = measurement.threads
    works_in = working_set(measurement, machine.levels(threads))
    if works_in is None or works_in.level in {None, MEMORY}:  # unknown, or complete in the store
        return []
    names = (str(works_in.level), *(cache.name for cache in works_in.nearer))
    return [name for name in names if machine.lacks_bandwidth(threads, name)]
