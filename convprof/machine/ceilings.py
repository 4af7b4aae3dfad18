"""Limits measured on this machine: the FLOP/s that independent multiply-adds reach."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from convprof.machine import facts
from convprof.machine.clock import CoreClock
from convprof.simd.fma import FmaKernel, fma_kernel
from convprof.simd.team import Program, team
from convprof.stats import median

REPEATS = 16
REPEAT_SECONDS = 1.5e-3
"""Long enough for the clock to settle under wide vectors (0.7 ms on recent Intel cores)."""

FALLBACK_BITS = 128
"""Every 64-bit core has vectors of 128 bits; used where the width is unknown."""

_TASKS_PER_THREAD = 4


@dataclass(frozen=True, slots=True)
class Peak:
    """The measured FLOP/s ceiling of one kind of arithmetic."""

    isa: str | None
    bits: int
    dtype: str
    threads: int
    flop_per_s: float
    """The best of the repeats: a ceiling is what the machine can do, not what it did on average."""
    core_hz: float | None
    """The clock right after a repeat, under that load; median over the best quarter."""
    flop_per_cycle: float | None
    """Per core; median of rate / clock over the best quarter of the repeats."""
    ports: int | None
    """Vector multiply-adds per cycle: ``flop_per_cycle / (2 * lanes)``, rounded."""


@functools.cache
def peak(dtype: str, threads: int, bits: int | None = None) -> Peak:
    """Measure the FMA peak for ``dtype`` on ``threads`` threads; remembered by the process.

    ``bits`` is the vector width, by default the widest of this machine.
    """
    simd = facts().cpu.simd
    width = bits or simd.bits or FALLBACK_BITS
    kernel = fma_kernel(dtype, width)
    clock = CoreClock()
    rates, clocks = _repeats(kernel, dtype, threads, clock)
    # A neighbour on a shared machine can only slow a repeat down: the quickest ones were alone.
    best = sorted(zip(rates, clocks, strict=True), reverse=True)[: len(rates) // 4]
    known = [(rate, hz) for rate, hz in best if hz]
    per_cycle = median([rate / hz / threads for rate, hz in known]) if known else None
    return Peak(
        isa=simd.isa,
        bits=width,
        dtype=dtype,
        threads=threads,
        flop_per_s=best[0][0],
        core_hz=median([hz for _, hz in known]) if known else None,
        flop_per_cycle=per_cycle,
        ports=round(per_cycle / (2 * kernel.lanes)) if per_cycle else None,
    )


def _repeats(
    kernel: FmaKernel, dtype: str, threads: int, clock: CoreClock
) -> tuple[list[float], list[float | None]]:
    """Return FLOP/s and clock of each repeat."""
    operands = np.full(4 * kernel.lanes, 0.5, dtype={"f32": np.float32, "f64": np.float64}[dtype])
    buffers = np.array([operands.ctypes.data], dtype=np.int64)
    dims = np.array([1000], dtype=np.int64)
    tasks = _TASKS_PER_THREAD * threads
    program = Program([(kernel.address, 0, tasks, buffers.ctypes.data, dims.ctypes.data)], threads)
    members = team(threads)
    elapsed = min(_timed(members, program) for _ in range(3))
    dims[0] = max(1000, int(1000 * REPEAT_SECONDS / elapsed))
    flops = kernel.flops_per_turn * int(dims[0]) * tasks
    rates: list[float] = []
    clocks: list[float | None] = []
    for _ in range(REPEATS):
        rates.append(flops / _timed(members, program))
        clocks.append(clock.hz())
    return rates, clocks


def _timed(members: Any, program: Program) -> float:
    start = time.perf_counter_ns()
    members.run(program)
    return float(time.perf_counter_ns() - start) * 1e-9
