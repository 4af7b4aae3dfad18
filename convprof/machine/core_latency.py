"""Core-to-core latency: how long a signal takes from one core to another.

Two threads, each on a CPU of its own, write the same cache line in turn. A round trip is two
transfers of the line; the latency is half of it.
"""

from __future__ import annotations

import itertools
import queue
import statistics
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from convprof import units
from convprof.codegen import affinity
from convprof.codegen.probes.pingpong import play
from convprof.machine import facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

START_TRIPS = 10
"""Round trips that wait for the other thread to start."""
WARM_SAMPLES, WARM_TRIPS = 5, 4
"""Short samples, by which the number of round trips of the others is chosen."""
LONGEST_TRIP_S = 50e-6
"""A slower round trip is a change of threads on one core, not a transfer."""
SAMPLES, SAMPLE_S = 30, 200e-6
LEAST_TRIPS, MOST_TRIPS = 10, 1000
"""Of a sample."""
MOST_S = 1.0
"""Of all samples of a pair: other programs may take one of the CPUs later."""
MOST_PAIRS = 66
"""All pairs of up to 12 CPUs; of more CPUs a sample of pairs."""
FEW_PAIRS = 6
"""Pairs that are measured where no latency is stored."""


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


def typical(known: Iterable[CoreLatency]) -> float | None:
    """Return the median latency of known pairs, seconds; None if no pair has a latency."""
    seconds = [each.fastest_s for each in known if each.fastest_s]
    return statistics.median(seconds) if seconds else None


def slowest_of_few() -> float | None:
    """Measure a few pairs of CPUs; return the latency of the slowest pair, seconds.

    Two CPUs may be hyperthreads of one core, and a signal between them is faster.
    """
    seconds = [each.fastest_s for each in measure(FEW_PAIRS) if each.fastest_s]
    return max(seconds, default=None)


def between(first: int, second: int) -> CoreLatency:
    """Measure one pair of CPUs; the calling thread is moved for the time, and back."""
    with affinity.inside(frozenset({first})) as allowed:
        if allowed:
            return _between(first, second)
    reason = "the system does not let threads choose their CPU"
    return CoreLatency((first, second), None, reason=reason)


def _between(first: int, second: int) -> CoreLatency:
    pair, game = (first, second), _Game(second)
    try:
        if not game.placed:
            return CoreLatency(pair, None, reason=f"no thread may choose CPU {second}")
        warm = game.trip_seconds(WARM_SAMPLES, WARM_TRIPS)
        trip_s = statistics.median(warm) if warm else 0.0
        if trip_s > LONGEST_TRIP_S:
            reason = f"a round trip takes {units.time(trip_s)}: the threads share a core"
            return CoreLatency(pair, None, reason=reason)
        trips = round(SAMPLE_S / max(trip_s, SAMPLE_S / MOST_TRIPS))
        samples = game.trip_seconds(SAMPLES, max(LEAST_TRIPS, trips)) if warm else []
    finally:
        game.end()
    if not samples:
        return CoreLatency(pair, None, reason=f"CPU {second} does not answer")
    return CoreLatency(pair, statistics.median(samples) / 2, min(samples) / 2)


class _Game:
    """The calling thread and a thread on another CPU, which write a cache line in turn."""

    def __init__(self, cpu: int) -> None:
        """Start the other thread; wait until it is on its CPU, or may not be there."""
        self._line, self._play = _zeroed_line(), play()
        self._done = 0
        self._ends: queue.SimpleQueue[int] = queue.SimpleQueue()
        """Counts of round trips up to which the other thread plays next; 0: no more."""
        answer: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._other, args=(cpu, answer), daemon=True)
        self._thread.start()
        self.placed = answer.get()

    def _other(self, cpu: int, answer: queue.SimpleQueue[bool]) -> None:
        placed = affinity.change(threading.get_native_id(), frozenset({cpu}))
        answer.put(placed)
        done, lost = 0, 0
        while placed and not lost and (end := self._ends.get()):
            lost = self._play(self._line.ctypes.data, 2 * done + 1, end)
            done = end

    def trip_seconds(self, samples: int, trips: int) -> list[float]:
        """Return the seconds of a round trip in each sample; nothing without an answer in time."""
        self._ends.put(self._done + START_TRIPS + samples * trips)
        start = time.perf_counter_ns()
        seconds: list[float] = []
        for count in (START_TRIPS, *[trips] * samples):
            begin = time.perf_counter_ns()
            lost = self._play(self._line.ctypes.data, 2 * self._done, self._done + count)
            end = time.perf_counter_ns()
            if lost or (end - start) * 1e-9 > MOST_S:
                return []
            self._done += count
            seconds.append((end - begin) * 1e-9 / count)
        return seconds[1:]

    def end(self) -> None:
        """Let the other thread end: it gives up about a second after the last answer."""
        self._ends.put(0)
        self._thread.join()


def _zeroed_line() -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return eight zeroed words that fill a cache line."""
    raw = np.zeros(16, dtype=np.int64)
    skip = -raw.ctypes.data // 8 % 8
    return raw[skip : skip + 8]
