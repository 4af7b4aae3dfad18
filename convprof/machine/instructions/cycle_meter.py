"""The core cycles of a loop: counted by the hardware, or measured against a known loop."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from convprof.codegen.probes.instructions import (
    Chain,
    Instruction,
    catalogue,
    compile_chains,
    data_block,
)
from convprof.codegen.probes.instructions.instruction import Key
from convprof.errors import ConvprofError
from convprof.machine.clock import CoreClock, checked_counter
from convprof.machine.counters import Count

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from convprof.machine.counters import CycleCounter

SAMPLE_S = 1.2e-5
"""Short, so that some samples fit between two interrupts, or between two time slices of another
program on the core. 30,000 cycles are long compared with the call and the timer."""
REPEATS = 16
"""Samples per pass of each loop, alternately. The shortest of each counts. Both then include the
fastest moments of the core. Medians are not usable here: clocks jump by some per cent within
microseconds."""
EMPTY_CALLS = 100

REFERENCE = Key("add", "i64")
"""``add reg, reg``: one cycle on every out-of-order core known to convprof."""


@dataclass(frozen=True)
class Loop:
    """A compiled loop with its data: ``run(iterations)``."""

    run: Callable[[int], object]
    iterations: int
    keeps: object = None
    """The object that must exist as long as the loop: the memory that it reads."""


@dataclass(frozen=True)
class Clocked:
    """A loop with a known number of cycles per iteration, at any clock: a chain determines it."""

    loop: Loop
    cycles_per_iteration: int


class CycleMeter(Protocol):
    """Measures loops in core cycles."""

    source: Literal["pmu", "calibrated"]

    def cycles(self, loop: Loop, clocked: Clocked | None = None) -> tuple[float, float | None]:
        """Return cycles per iteration of the loop, and the core's clock in Hz, or None."""


class PairedMeter:
    """Cycles are time x clock, and the clock is measured alternately with the loop.

    A chain of dependent additions measures the clock. For wide vectors, under which many cores
    lower their clock, it is a loop with the same vectors and such a chain.
    """

    source: Literal["pmu", "calibrated"] = "calibrated"

    def __init__(self, reference: Clocked) -> None:
        self._reference = reference
        one = Loop(reference.loop.run, 1)
        iterations = reference.loop.iterations
        one_ns = min(_elapsed_ns(one) for _ in range(EMPTY_CALLS))
        all_ns = min(_elapsed_ns(reference.loop) for _ in range(EMPTY_CALLS))
        # The time of a call without iterations.
        self._empty_ns = max(0.0, (one_ns * iterations - all_ns) / max(1, iterations - 1))

    def cycles(self, loop: Loop, clocked: Clocked | None = None) -> tuple[float, float | None]:
        """Return cycles per iteration of the loop, and the core's clock in Hz meanwhile."""
        reference = clocked or self._reference
        shortest = shortest_reference = 1 << 62
        for _ in range(REPEATS):
            shortest_reference = min(shortest_reference, _elapsed_ns(reference.loop))
            shortest = min(shortest, _elapsed_ns(loop))
        reference_ns = max(1.0, shortest_reference - self._empty_ns)
        loop_ns = max(1.0, shortest - self._empty_ns)
        cycles_per_ns = reference.cycles_per_iteration * reference.loop.iterations / reference_ns
        return loop_ns * cycles_per_ns / loop.iterations, cycles_per_ns * 1e9


class CounterMeter:
    """Cycles counted by the hardware; by a known loop after the counter has missed a part."""

    source: Literal["pmu", "calibrated"] = "pmu"

    def __init__(
        self, counter: CycleCounter, otherwise: Callable[[], CycleMeter | None] | None = None
    ) -> None:
        """``otherwise`` returns the meter to use when the counter does not count any more."""
        self._counter = counter
        self._otherwise = otherwise or _paired
        self._second: CycleMeter | None = None
        empty = [self._counted(Loop(lambda _: None, 1)) for _ in range(EMPTY_CALLS)]
        self._empty = min((count.cycles for count in empty if count.whole), default=0)

    def cycles(self, loop: Loop, clocked: Clocked | None = None) -> tuple[float, float | None]:
        """Return cycles per iteration of the loop, and the core's clock in Hz meanwhile."""
        if self._second is None:
            counts = [self._counted(loop) for _ in range(REPEATS)]
            whole = [count for count in counts if count.whole]
            if whole:
                best = min(whole, key=lambda count: count.cycles)
                hz = best.cycles / best.running_ns * 1e9
                return max(1, best.cycles - self._empty) / loop.iterations, hz
            self._second = self._otherwise()
            if self._second is None:
                raise ConvprofError("the hardware's cycle counter has stopped counting")
            self.source = self._second.source
        return self._second.cycles(loop, clocked)

    def _counted(self, loop: Loop) -> Count:
        before = self._counter.read() or Count()
        loop.run(loop.iterations)
        return (self._counter.read() or Count()) - before


def best_meter() -> CycleMeter | None:
    """Return the best meter of this machine, or None without one."""
    counter = checked_counter(CoreClock())
    return CounterMeter(counter) if counter is not None else _paired()


def _paired() -> CycleMeter | None:
    reference = _reference()
    return PairedMeter(reference) if reference else None


def _reference() -> Clocked | None:
    """Return a loop of dependent additions, or None on an architecture without a known one."""
    for row in catalogue():
        if row.key == REFERENCE and isinstance(row, Instruction):
            chain = Chain(row, dependent=True)
            (run,) = compile_chains([chain])
            return Clocked(loop(run, data_block(row, dependent=True)), chain.counted)
    return None


def loop(run: Callable[[int, int], object], data: NDArray[np.uint8]) -> Loop:
    """Return a compiled chain with its data block as a loop of ``SAMPLE_S``."""
    address = data.ctypes.data

    def call(iterations: int) -> None:
        run(iterations, address)

    return dataclasses.replace(sized(call), keeps=data)


def sized(run: Callable[[int], object]) -> Loop:
    """Return a loop whose number of iterations makes it last about ``SAMPLE_S``."""
    iterations = 1
    run(iterations)  # the first call loads code and data
    while True:
        elapsed = min(_elapsed_ns(Loop(run, iterations)) for _ in range(3))
        if elapsed >= SAMPLE_S * 1e9 / 4:
            return Loop(run, max(1, round(iterations * SAMPLE_S * 1e9 / elapsed)))
        iterations *= 4


def _elapsed_ns(loop: Loop) -> int:
    run, iterations = loop.run, loop.iterations
    start = time.perf_counter_ns()
    run(iterations)
    return time.perf_counter_ns() - start
