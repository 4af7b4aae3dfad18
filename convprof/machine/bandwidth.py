"""Bandwidth ceilings: bytes per second that threads load and store in each level of the memory.

Bytes are counted as the program sees them: loads plus stores. A store to a line that is not in the
cache reads the line first (write-allocate): this traffic is not counted.

Before a cache is measured, every core reads the working set. Where the last cache holds only what
the one before it evicts (victim cache), data that one core alone has read moves back and forth
between the two at every pass; data that several cores have read stays in the last cache, and each
core reads it 1.5 times as fast. A ceiling is the better case, which is the case of operands that
threads share.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from convprof.codegen.probes.streams import (
    ARRAYS,
    ITERATION_BYTES,
    Operation,
    StreamKernel,
    stream_kernel,
)
from convprof.codegen.threads import Program, team
from convprof.errors import ThreadsError
from convprof.integers import ceil_div, round_up
from convprof.machine import facts
from convprof.machine.caches import MEMORY, WorkingSet, levels, working_sets
from convprof.machine.memory import available_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OPERATIONS: tuple[Operation, ...] = ("load", "store", "copy", "triad")

SAMPLE_SECONDS = 3e-4
MEMORY_SAMPLE_SECONDS = 4e-3
"""Each sample reads another part of the working set, so a sample need not read all of it."""
KEPT_SECONDS = 20e-3
"""A rate that is kept up for so long is no burst. Other programs interrupt the samples of memory,
which are long, so that all of them together would tell of the other programs."""
FIRST_ITERATIONS = 8192
"""The first guess: 8 MiB of each array, a millisecond even from a slow memory."""
REPEATS = 40
QUICK_REPEATS = 15
SETTLED = 0.02
ATTEMPTS = 4
"""Repeats go on while another series of them still finds a rate 2 % higher."""

SHARED_READS = 6
"""Times that all cores read the working set: after the first, a third of the gain is still
missing."""

_START, _ITERATIONS = 2, 3
"""Positions in a kernel's list of integers."""
_HUGE_PAGE = 2 << 20
_FALLBACK_BITS = 128


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """The measured bandwidth ceiling of a level for one operation, all threads together."""

    level: str
    """``L1`` …, or ``memory``."""
    operation: Operation
    threads: int
    bytes_per_s: float | None
    """What is kept up, loads plus stores: the median of the repeats of 20 ms, of the fastest 20 ms.
    None where it cannot be measured."""
    working_set_bytes: int | None
    """Of each thread, over all arrays."""
    reason: str | None = None
    """Why it cannot be measured."""
    burst_bytes_per_s: float | None = None
    """The rate of the fastest repeat; None where it is not known."""


def measure(
    threads: int,
    only: Sequence[str] = (),
    operations: Sequence[Operation] = OPERATIONS,
    repeats: int = REPEATS,
) -> Iterator[Bandwidth]:
    """Measure level by level, nearest first; with ``only``, just these levels."""
    sets = working_sets(levels(facts().caches, threads), threads, available_bytes())
    sets = tuple(ws for ws in sets if not only or ws.level in only)
    arena: _Arena | None = None
    for ws in sets:
        for operation in operations:
            kept = burst = None
            if ws.bytes_per_thread:
                arena = arena or _Arena(sets, threads)
                kept, burst = _rates(_Stream(arena, operation, ws, threads), repeats)
            size, reason = ws.bytes_per_thread, ws.reason
            yield Bandwidth(ws.level, operation, threads, kept, size, reason, burst)


class _Arena:
    """Memory in which each thread has a slice of its own, large enough for every working set."""

    def __init__(self, sets: Sequence[WorkingSet], threads: int) -> None:
        most = max(ws.bytes_per_thread or 0 for ws in sets)
        self.stride = round_up(most, _HUGE_PAGE)
        # NumPy asks for huge pages for large arrays, where the system leaves it to programs.
        self._raw = np.empty(threads * self.stride + _HUGE_PAGE, dtype=np.uint8)
        self.address = round_up(self._raw.ctypes.data, _HUGE_PAGE)
        self._threads = threads
        self._touched = 0

    def touch(self, size: int) -> None:
        """Let each thread write ``size`` bytes of its slice: its pages are then near the thread."""
        if size > self._touched:
            store = stream_kernel("store", _FALLBACK_BITS)
            one = _Pass(store, [self.address], size, self.stride, self._threads)
            team(self._threads).run(one.program)
            self._touched = size

    def let_all_read(self, size: int) -> None:
        """Let every core read ``size`` bytes of every slice."""
        load = stream_kernel("load", _FALLBACK_BITS)
        cores = max(facts().topology.usable_cores, self._threads)
        try:
            members = team(cores)
        except ThreadsError:  # more threads than the system allows this process
            cores, members = self._threads, team(self._threads)
        for member in range(self._threads):
            start = self.address + member * self.stride
            one = _Pass(load, [start], size, 0, cores)  # no stride: the same slice for all
            for _ in range(SHARED_READS):
                members.run(one.program)


class _Stream:
    """A stream kernel on a team, sized so that a sample takes as long as it should."""

    def __init__(self, arena: _Arena, operation: Operation, ws: WorkingSet, threads: int) -> None:
        simd = facts().cpu.simd.fixed
        bits = simd.bits or _FALLBACK_BITS
        self._kernel = stream_kernel(operation, bits, fused=simd.fma is True)
        self._threads = threads
        self._team = team(threads)
        arrays = ARRAYS[operation]
        per_array = (ws.bytes_per_thread or 0) // arrays
        self._bytes = max(ITERATION_BYTES, per_array // ITERATION_BYTES * ITERATION_BYTES)
        arena.touch(arrays * self._bytes)
        self._arena = arena
        self._shared_bytes = 0 if ws.level == MEMORY else arrays * self._bytes
        self.share()
        starts = [arena.address + i * self._bytes for i in range(arrays)]
        self._pass = _Pass(self._kernel, starts, self._bytes, arena.stride, threads)
        self._sample_s = MEMORY_SAMPLE_SECONDS if ws.level == MEMORY else SAMPLE_SECONDS
        self._pass.dims[_ITERATIONS] = min(FIRST_ITERATIONS, self._bytes // ITERATION_BYTES)
        for _ in range(2):  # the first guess is from a cold start
            iterations = int(self._pass.dims[_ITERATIONS])
            shortest = min(self._seconds() for _ in range(5))
            self._pass.dims[_ITERATIONS] = max(8, round(self._sample_s / shortest * iterations))

    @property
    def samples(self) -> int:
        """Samples in ``KEPT_SECONDS``."""
        return ceil_div(round(KEPT_SECONDS * 1e6), round(self._sample_s * 1e6))

    def share(self) -> None:
        """Let all cores read the working set, unless it is in memory."""
        if self._shared_bytes:
            self._arena.let_all_read(self._shared_bytes)

    def rate(self) -> float:
        """Take one sample; return bytes per second."""
        iterations = int(self._pass.dims[_ITERATIONS])
        return self._threads * iterations * self._kernel.bytes_per_iteration / self._seconds()

    def _seconds(self) -> float:
        """Run once, from where the last run stopped."""
        start = time.perf_counter_ns()
        self._team.run(self._pass.program)
        elapsed = time.perf_counter_ns() - start
        dims = self._pass.dims
        dims[_START] = (int(dims[_START]) + int(dims[_ITERATIONS]) * ITERATION_BYTES) % self._bytes
        return elapsed * 1e-9


def _kept(rates: Sequence[float], count: int) -> float:
    """Return the highest median of ``count`` neighbouring rates, or of all if they are fewer."""
    last = max(1, len(rates) - count + 1)
    return max(statistics.median(rates[i : i + count]) for i in range(last))


class _Pass:
    """One pass through arrays of ``size`` bytes; slices of members are ``stride`` bytes apart."""

    def __init__(
        self, kernel: StreamKernel, starts: Sequence[int], size: int, stride: int, threads: int
    ) -> None:
        self._kernel = kernel  # its code must live as long as the program
        self._buffers = np.array(starts, dtype=np.int64)
        self.dims = np.array([stride, size, 0, size // ITERATION_BYTES], dtype=np.int64)
        addresses = (self._buffers.ctypes.data, self.dims.ctypes.data)
        self.program = Program([(kernel.address, 0, threads, *addresses, True)], threads)


def _rates(stream: _Stream, repeats: int) -> tuple[float, float]:
    """Return the rate that is kept up, and the rate of the fastest repeat."""
    kept = burst = 0.0
    for _ in range(ATTEMPTS):
        before = burst
        stream.share()
        series = [stream.rate() for _ in range(repeats)]
        kept, burst = max(kept, _kept(series, stream.samples)), max(burst, *series)
        if burst < (1 + SETTLED) * before:
            break
    return kept, burst
