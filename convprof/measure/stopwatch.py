"""One sample: how long, and how many core cycles, a number of calls took."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from convprof.machine.clock import CoreClock
from convprof.machine.counters import CycleCounter

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Sample:
    """Per call: seconds, and the core clock (Hz) or counted cycles beside it."""

    seconds: float
    core_hz: float | None
    cycles: float | None


class Stopwatch:
    """Times calls with the monotonic clock, and counts cycles as well as this machine can.

    Hardware counters where the kernel allows them; else the clock is measured right after the
    calls, while the core is still under their kind of load.
    """

    resolution_s = time.get_clock_info("perf_counter").resolution

    def __init__(self) -> None:
        self._clock = CoreClock()
        self._counter = CycleCounter.open()

    @property
    def source(self) -> Literal["pmu", "calibrated"] | None:
        """How cycles are counted; None if they are not."""
        if self._counter is not None:
            return "pmu"
        return "calibrated" if self._clock.available else None

    def sample(
        self, run: Callable[[], None], calls: int, before: Callable[[], None] | None = None
    ) -> Sample:
        """Time ``calls`` calls; ``before`` runs before each of them, untimed."""
        now = time.perf_counter_ns
        counted = self._cycles()
        if before is None:
            start = now()
            for _ in range(calls):
                run()
            elapsed = now() - start
        else:
            elapsed = 0
            for _ in range(calls):
                before()
                start = now()
                run()
                elapsed += now() - start
        after = self._cycles()
        seconds = elapsed * 1e-9 / calls
        if counted is not None and after is not None and before is None:
            cycles = (after - counted) / calls
            return Sample(seconds, cycles / seconds, cycles)
        hz = self._clock.hz()
        return Sample(seconds, hz, seconds * hz if hz else None)

    def close(self) -> None:
        """Close the counter, if there is one."""
        if self._counter is not None:
            self._counter.close()
            self._counter = None

    def _cycles(self) -> int | None:
        return self._counter.read() if self._counter is not None else None
