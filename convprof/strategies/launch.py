"""What a launch of a team costs: transfers of cache lines between cores, one after another."""

from __future__ import annotations

import statistics

from convprof.machine import ceilings_store, core_latency, facts

USUAL_TRANSFER_CYCLES = 200.0
"""Core cycles in which a cache line goes from one core of a server CPU to another, where
``convprof ceilings`` has not measured the latency."""


def transfers(threads: int, stages: int) -> int:
    """Return the transfers of cache lines that a launch and its barriers wait for.

    The leader takes and releases each worker's line, and publishes the program: 2 (N - 1) + 1.
    One thread needs none.
    """
    return 2 * threads - 1 + stages * barrier_transfers(threads) if threads > 1 else 0


def barrier_transfers(threads: int) -> int:
    """Return the transfers of a barrier.

    N threads add to one counter, one after another, and the last value goes to the waiting threads.
    """
    return threads + 1


def transfer_cycles() -> float:
    """Return the core cycles of a transfer: the stored latency of this machine, or the usual."""
    sets = ceilings_store.load(facts().identity_key()).values()
    latencies = [each for one in sets for each in one.latencies or ()]
    clocks = [peak.core_hz for one in sets for peak in one.peaks if peak.core_hz]
    latency_s = core_latency.typical(latencies)
    if latency_s is None or not clocks:
        return USUAL_TRANSFER_CYCLES
    return latency_s * statistics.median(clocks)
