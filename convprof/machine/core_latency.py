"""Core-to-core latency: how long a signal takes from one core to another.

Two threads, each on a CPU of its own, write the same cache line in turn. A round trip is two
transfers of the line; the latency is half of it.
"""

from __future__ import annotations

import itertools
import statistics
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from convprof.codegen import affinity
from convprof.codegen.probes.pingpong import play
from convprof.machine import facts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TRIPS = 1000
"""Round trips of a sample: some tens of microseconds."""
WARM_TRIPS = 100
"""Round trips that wait for the other thread to start."""
SAMPLES = 30
MOST_PAIRS = 66
"""All pairs of up to 12 CPUs; of more CPUs a sample of pairs."""


@dataclass(frozen=True, slots=True)
class CoreLatency:
    """The latency between two logical CPUs."""

    cpus: tuple[int, int]
    """The lower number first."""
    seconds: float | None
    """Of one transfer, in the median sample; None where it cannot be measured."""
    fastest_s: float | None = None
    """Of the fastest sample."""
    reason: str | None = None
    """Why it cannot be measured."""


def pairs(cpus: Sequence[int], most: int = MOST_PAIRS) -> list[tuple[int, int]]:
    """Return the pairs of CPUs to measure: all, or else pairs of every distance.

    Without room for all of them, the first CPU with every other one (at most half of ``most``), and
    further pairs evenly out of all.
    """
    every = list(itertools.combinations(sorted(cpus), 2))
    if len(every) <= most:
        return every
    first = every[: len(cpus) - 1]
    chosen = first[:: -(-2 * len(first) // most)]
    rest = every[len(first) :]
    room = most - len(chosen)
    return sorted({*chosen, *(rest[len(rest) * i // room] for i in range(room))})


def measure(most: int = MOST_PAIRS) -> Iterator[CoreLatency]:
    """Measure the pairs of the CPUs that this process may use."""
    for pair in pairs(facts().topology.affinity or (), most):
        yield between(*pair)


def between(first: int, second: int) -> CoreLatency:
    """Measure one pair of CPUs; the calling thread is moved for the time, and back."""
    before = affinity.of()
    if before is None or not affinity.change(0, frozenset({first})):
        reason = "the system does not let threads choose their CPU"
        return CoreLatency((first, second), None, reason=reason)
    try:
        return _between(first, second)
    finally:
        affinity.change(0, before)


def _between(first: int, second: int) -> CoreLatency:
    line, game = _zeroed_line(), play()
    placed: list[bool] = []

    def other() -> None:
        placed.append(affinity.change(threading.get_native_id(), frozenset({second})))
        game(line.ctypes.data, 1, WARM_TRIPS + SAMPLES * TRIPS)

    thread = threading.Thread(target=other, daemon=True)
    thread.start()
    lost = game(line.ctypes.data, 0, WARM_TRIPS)  # the other thread has started after that
    samples = []
    for done in range(WARM_TRIPS, WARM_TRIPS + SAMPLES * TRIPS, TRIPS):
        begin = time.perf_counter_ns()
        lost += game(line.ctypes.data, 2 * done, done + TRIPS)
        samples.append((time.perf_counter_ns() - begin) * 1e-9 / (2 * TRIPS))
    thread.join()
    if lost or not all(placed):
        return CoreLatency((first, second), None, reason=f"CPU {second} does not answer")
    return CoreLatency((first, second), statistics.median(samples), min(samples))


def _zeroed_line() -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return eight zeroed words that fill a cache line."""
    raw = np.zeros(16, dtype=np.int64)
    skip = -raw.ctypes.data // 8 % 8
    return raw[skip : skip + 8]
