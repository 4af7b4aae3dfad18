"""One sample: how long, and how many core cycles, a number of calls took."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from convprof.machine.clock import CoreClock
from convprof.machine.counters import CycleCounter
from convprof.simd.tsc import ticks

if TYPE_CHECKING:
    from collections.abc import Callable

Source = Literal["pmu", "calibrated", "tsc"]


@dataclass(frozen=True, slots=True)
class Sample:
    """Per call: seconds, and the core clock (Hz) or counted cycles beside it."""

    seconds: float
    core_hz: float | None
    cycles: float | None


class Stopwatch:
    """Times calls with the monotonic clock, and counts cycles as well as this machine can.

    Hardware counters where the kernel allows them; else the core's clock is measured right after
    the calls, while it is still under their kind of load; else time-stamp ticks.
    """

    resolution_s = time.get_clock_info("perf_counter").resolution

    def __init__(self) -> None:
        self._clock = CoreClock()
        self._counter = CycleCounter.open()
        self._ticks = ticks()
        self.source = self._best_source()
        """How cycles are counted; None if they are not."""

    def sample(
        self, run: Callable[[], None], calls: int, before: Callable[[], None] | None = None
    ) -> Sample:
        """Time ``calls`` calls; ``before`` runs before each of them, untimed."""
        now = time.perf_counter_ns
        # With something untimed in between, only each call by itself may be counted.
        batches, calls_each = (1, calls) if before is None else (calls, 1)
        elapsed = counted = 0
        for _ in range(batches):
            if before is not None:
                before()
            counter = self._count()
            start = now()
            for _ in range(calls_each):
                run()
            elapsed += now() - start
            counted += self._count() - counter
        seconds = elapsed * 1e-9 / calls
        if self.source == "calibrated":
            hz = self._clock.hz()
            return Sample(seconds, hz, seconds * hz if hz else None)
        if counted <= 0:  # nothing counts here, or the counter has stopped
            return Sample(seconds, None, None)
        return Sample(seconds, counted / elapsed * 1e9, counted / calls)

    def close(self) -> None:
        """Close the counter, if there is one."""
        if self._counter is not None:
            self._counter.close()
            self._counter = None

    def _best_source(self) -> Source | None:
        if self._counter is not None:
            return "pmu"
        if self._clock.available:
            return "calibrated"
        return "tsc" if self._ticks is not None else None

    def _count(self) -> int:
        """Return the counter's value; 0 where the clock is measured instead."""
        if self._counter is not None:
            return self._counter.read() or 0
        if self.source == "tsc" and self._ticks is not None:
            return int(self._ticks())
        return 0
