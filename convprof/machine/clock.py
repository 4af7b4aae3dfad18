"""The core's clock, measured: a chain of dependent additions takes one cycle each.

There is no cpufreq and no cycle counter in many virtual machines, and the nominal clock says little:
cores run above it, and below it under wide vectors. So the ruler is laid beside every sample.
"""  # noqa: E501

from __future__ import annotations

import time
from typing import Any

from convprof.simd.chains import ADDS_PER_TURN, add_chain

TURNS = 300
"""About 40,000 cycles, some 13 µs: short beside a sample, long beside the timer and the call."""

REPEATS = 3
"""The fastest of a few: an interrupt can only make the chain longer."""


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
        elapsed = self._shortest(TURNS, REPEATS) - self._empty_ns
        return TURNS * ADDS_PER_TURN / (elapsed * 1e-9)

    def _shortest(self, turns: int, repeats: int) -> int:
        best = 1 << 62
        for _ in range(repeats):
            start = time.perf_counter_ns()
            self._chain(turns, 1)
            best = min(best, time.perf_counter_ns() - start)
        return best
