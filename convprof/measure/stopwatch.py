"""One sample: how long, and how many core cycles, a number of calls took."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from convprof.codegen.probes.tsc import ticks
from convprof.machine.clock import CoreClock, checked_counter
from convprof.machine.counters import Count

if TYPE_CHECKING:
    from collections.abc import Callable


Source = Literal["pmu", "calibrated", "tsc"]


@dataclass(frozen=True, slots=True)
class Sample:
    """Per call: seconds, and the core clock (Hz) or the counted cycles."""

    seconds: float
    core_hz: float | None
    cycles: float | None
    source: Source | None = None
    """How this sample's cycles were found; None: as the stopwatch's `source` says."""

    def per(self, results: int) -> Sample:
        """Return the sample per result of calls that compute several."""
        if results == 1:
            return self
        cycles = None if self.cycles is None else self.cycles / results
        return Sample(self.seconds / results, self.core_hz, cycles, self.source)


class Stopwatch:
    """Times calls with the monotonic clock, and counts cycles as well as this machine can.

    Hardware counters where the kernel allows them; else the core's clock is measured right after
    the calls, while it is still under their kind of load; else time-stamp ticks. A sample for a
    part of which the hardware counter did not count is calibrated.
    """

    resolution_s = time.get_clock_info("perf_counter").resolution

    def __init__(self) -> None:
        self._clock = CoreClock()
        self._counter = checked_counter(self._clock)
        self._ticks = ticks()
        self.source = self._best_source()
        """How cycles are counted; None if they are not."""

    def now(self) -> float:
        """Return the seconds of a clock that never goes back."""
        return time.perf_counter_ns() * 1e-9

    def sample(
        self, run: Callable[[], None], calls: int, before: Callable[[], None] | None = None
    ) -> Sample:
        """Time ``calls`` calls; ``before`` runs before each of them, untimed."""
        now = time.perf_counter_ns
        # Where something untimed runs between calls, each call is counted by itself.
        batches, calls_each = (1, calls) if before is None else (calls, 1)
        elapsed, counted = 0, Count()
        for _ in range(batches):
            if before is not None:
                before()
            counter = self._count()
            start = now()
            for _ in range(calls_each):
                run()
            elapsed += now() - start
            counted += self._count() - counter
        return self._sample(elapsed * 1e-9 / calls, elapsed, counted)

    def _sample(self, seconds: float, elapsed: int, counted: Count) -> Sample:
        source = self.source
        if source == "pmu" and not counted.whole and self._clock.available:
            source = "calibrated"
        hz = None
        if source == "calibrated":
            hz = self._clock.hz()
        elif counted.whole:
            # While the calling thread waits for others its counter pauses: its clock is what it
            # counted over the time for which it counted.
            hz = counted.cycles / (counted.running_ns or elapsed) * 1e9
        return Sample(seconds, hz, seconds * hz if hz else None, source)

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

    def _count(self) -> Count:
        """Return the counter's reading; nothing where the clock is measured instead."""
        if self._counter is not None:
            return self._counter.read() or Count()
        if self.source == "tsc" and self._ticks is not None:
            now = time.perf_counter_ns()
            return Count(int(self._ticks()), now, now)
        return Count()
