"""The core's clock, measured: a chain of dependent additions takes one cycle each.

There is no cpufreq and no cycle counter in many virtual machines, and the nominal clock says little:
cores run above it, and below it under wide vectors. So the clock is measured next to every sample.
"""  # noqa: E501

from __future__ import annotations

import time
from typing import Any

from convprof.codegen.probes.chains import ADDS_PER_ITERATION, add_chain
from convprof.machine.counters import Count, CycleCounter

ITERATIONS = 300
"""About 40,000 cycles, some 13 µs: short compared with a sample, long compared with the timer and
the call."""

REPEATS = 3
"""The fastest of a few: an interrupt can only make the chain longer."""

COUNTED_RIGHT = 0.1
"""A counter further than this from the known length of the chain counts something else."""


class CoreClock:
    """Measures the clock of the core it runs on, in Hz."""

    def __init__(self) -> None:
        self._chain: Any = add_chain()
        self._empty_ns = self._shortest(0, 20) if self._chain else 0

    @property
    def available(self) -> bool:
        """Whether this architecture has a chain of known length."""
        return self._chain is not None

    def hz(self) -> float | None:
        """Return the clock now, under the load that just ran; None where it cannot be known."""
        if self._chain is None:
            return None
        elapsed = self._shortest(ITERATIONS, REPEATS) - self._empty_ns
        return ITERATIONS * ADDS_PER_ITERATION / (elapsed * 1e-9)

    def counted_share(self, counter: CycleCounter) -> float | None:
        """Return the counted cycles of the chain over its known length.

        None where the counter missed a part of the chain at each try.
        """
        iterations = [
            self._fewest(counter, 0, 2 * REPEATS),
            self._fewest(counter, ITERATIONS, 2 * REPEATS),
        ]
        if iterations[0] is None or iterations[1] is None:
            return None
        return (iterations[1] - iterations[0]) / (ITERATIONS * ADDS_PER_ITERATION)

    def _fewest(self, counter: CycleCounter, iterations: int, repeats: int) -> int | None:
        counts = []
        for _ in range(repeats):
            before = counter.read() or Count()
            self._chain(iterations, 1)
            count = (counter.read() or Count()) - before
            if count.whole:
                counts.append(count.cycles)
        return min(counts, default=None)

    def _shortest(self, iterations: int, repeats: int) -> int:
        best = 1 << 62
        for _ in range(repeats):
            start = time.perf_counter_ns()
            self._chain(iterations, 1)
            best = min(best, time.perf_counter_ns() - start)
        return best


def checked_counter(clock: CoreClock) -> CycleCounter | None:
    """Return the hardware's counter if it counts a loop of known length right.

    Otherwise None; ``CycleCounter.last_refusal`` says why. Where no such loop is known, the counter
    is trusted.
    """
    counter = CycleCounter.open()
    if counter is None or not clock.available:
        return counter
    share = clock.counted_share(counter)
    if share is not None and abs(share - 1) <= COUNTED_RIGHT:
        return counter
    counter.close()
    CycleCounter.last_refusal = (
        "other programs use the cycle counter, and it counts for a part of the time only"
        if share is None
        else f"the cycle counter counts {100 * share:.0f} % of the cycles of a loop of known length"
    )
    return None
