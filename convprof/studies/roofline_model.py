"""The roofs over a measurement: the FMA peak, and the bandwidth of the level that feeds it.

At an intensity of ``i`` FLOP/byte no more than ``min(peak, i * bandwidth)`` is possible (Williams,
Waterman, Patterson 2009, Roofline). FLOPs here are those executed, so that an algorithm that needs
fewer than the definition is not above a roof; bytes are those that the strategy moves. The level is
the nearest one that holds operands, result and scratch memory together, as they are when calls
follow one another; memory for measurements with cold caches. As much as the caches before it hold
may come from there, so that much is counted at their bandwidth.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from convprof.errors import ThreadsError
from convprof.machine import bandwidth, ceilings_store, facts
from convprof.machine.caches import MEMORY, Level, holding, levels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.codegen.probes.streams import Operation
    from convprof.machine.bandwidth import Bandwidth
    from convprof.results import Measurement

COMPUTE = "compute"

QUICK_OPERATIONS: tuple[Operation, ...] = ("load", "triad")
"""The operations of a short measurement: one of them is the fastest at every level so far seen."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A measurement under its roofs."""

    measurement: Measurement
    intensity: float
    """FLOPs executed per byte moved."""
    flop_per_s: float
    """By the FLOPs executed."""
    level: str
    """That holds what the strategy works on."""
    bandwidth: float | None
    """Bytes per second from there, the share of the caches before it at theirs; None: unknown."""
    peak: float
    """FLOP/s of independent multiply-adds on as many threads."""

    @property
    def roof(self) -> float:
        """The FLOP/s that are possible; the peak where the bandwidth is unknown."""
        if self.bandwidth is None:
            return self.peak
        return min(self.peak, self.intensity * self.bandwidth)

    @property
    def limit(self) -> str | None:
        """``compute`` or the level whose bandwidth is the lower roof; None if unknown."""
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
    def left(self) -> float:
        """How many times as fast the roof is."""
        return self.roof / self.flop_per_s


def place(
    measurement: Measurement,
    peak: float,
    found: Sequence[Level],
    bandwidth_of: Callable[[str], float | None],
) -> Placed | None:
    """Put a measurement under its roofs; None for one without a time or without arithmetic.

    ``found`` are the cache levels for as many threads, ``bandwidth_of`` answers for one by name.
    """
    time, flops = measurement.time_s, measurement.flops
    moved = measurement.bytes_moved or measurement.bytes_min
    if time is None or flops is None or not flops.executed or not moved:
        return None
    # Weights that are packed are not touched again: what is moved is then the better figure.
    footprint = min((measurement.bytes_min or moved) + (measurement.workspace_bytes or 0), moved)
    cold = measurement.cache == "cold"
    level = MEMORY if cold else holding(found, footprint)
    nearer = [] if cold else found[: [*(lv.name for lv in found), MEMORY].index(level)]
    return Placed(
        measurement,
        flops.executed / moved,
        flops.executed / time.median,
        level,
        _mixed(footprint, nearer, level, bandwidth_of),
        peak,
    )


def _mixed(
    footprint: int,
    nearer: Sequence[Level],
    level: str,
    bandwidth_of: Callable[[str], float | None],
) -> float | None:
    """Return the bandwidth of going through ``footprint`` bytes in ``level``.

    The ``nearer`` caches keep as much of it as they hold, which no replacement can better.
    """
    last = bandwidth_of(level)
    if last is None:
        return None
    held, seconds = 0, 0.0
    for cache in nearer:
        rate = bandwidth_of(cache.name)
        if rate is not None and cache.total_bytes > held:
            seconds += (cache.total_bytes - held) / rate
            held = cache.total_bytes
    return footprint / (seconds + (footprint - held) / last)


def place_here(measurement: Measurement, peak: float) -> Placed | None:
    """Put a measurement of this machine and process under its roofs."""
    threads = measurement.threads
    found = levels(facts().caches, threads)
    return place(measurement, peak, found, functools.partial(bandwidth_here, threads))


@functools.cache
def kept_here() -> dict[int, ceilings_store.Ceilings]:
    """Return the ceilings kept for this machine, by threads, as they were when first asked for."""
    return ceilings_store.recall(facts().identity_key())


def bandwidth_here(threads: int, level: str) -> float | None:
    """Return the bandwidth roof of a level of this machine in bytes per second.

    As kept; else a cache level is measured, which takes some hundredths of a second, and that of
    memory, which would take seconds, is unknown.
    """
    known = kept_here().get(threads)
    if known is not None:
        return known.roof(level)
    return (
        None
        if level == MEMORY
        else ceilings_store.highest(_measured(threads, level), level, threads)
    )


@functools.cache
def _measured(threads: int, level: str) -> tuple[Bandwidth, ...]:
    try:
        found = tuple(
            bandwidth.measure(threads, (level,), QUICK_OPERATIONS, bandwidth.QUICK_REPEATS)
        )
    except ThreadsError:  # a roof less costs no result
        return ()
    _quick.extend(found)
    return found


_quick: list[Bandwidth] = []


def bandwidths_known(threads: Sequence[int]) -> list[Bandwidth]:
    """Return all bandwidths kept for the numbers of threads, and those measured by this process."""
    found = [b for count in threads if count in kept_here() for b in kept_here()[count].bandwidths]
    return [*found, *(b for b in _quick if b.threads in threads)]
