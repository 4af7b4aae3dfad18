"""How many core cycles a loop takes: counted by the hardware, or measured against a known loop."""

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
"""Short, so that some samples fit between two interrupts, or between two turns of another program
on the core. 30,000 cycles are long compared with the call and the timer."""
REPEATS = 16
"""Per pass, in turns. The shortest of each counts. There are enough of them that both include the
fastest moments of the core. Medians do not serve here: clocks jump by some per cent within
microseconds."""
EMPTY_CALLS = 100

REFERENCE = Key("add", "i64")
"""``add reg, reg``: one cycle on every out-of-order core known to convprof."""


@dataclass(frozen=True)
class Loop:
    """A compiled loop with its data: ``run(turns)``."""

    run: Callable[[int], object]
    turns: int
    keeps: object = None
    """What must live as long as the loop: the memory that it reads."""


@dataclass(frozen=True)
class Clocked:
    """A loop with a known number of cycles per turn, at any clock: a chain determines it."""

    loop: Loop
    cycles_per_turn: int


class Ruler(Protocol):
    """Measures loops in core cycles."""

    source: Literal["pmu", "calibrated"]

    def cycles(self, loop: Loop, clocked: Clocked | None = None) -> tuple[float, float | None]:
        """Return cycles per turn of the loop, and the core's clock in Hz meanwhile if known."""


class PairedRuler:
    """Cycles are time x clock, and the clock is measured in turns with the loop.

    A chain of dependent additions measures the clock. For wide vectors, under which many cores
    lower their clock, it is a loop with the same vectors and such a chain.
    """

    source: Literal["pmu", "calibrated"] = "calibrated"

    def __init__(self, reference: Clocked) -> None:
        self._reference = reference
        one = Loop(reference.loop.run, 1)
        turns = reference.loop.turns
        one_ns = min(_elapsed_ns(one) for _ in range(EMPTY_CALLS))
        all_ns = min(_elapsed_ns(reference.loop) for _ in range(EMPTY_CALLS))
        # What a call of no turns would take.
        self._empty_ns = max(0.0, (one_ns * turns - all_ns) / max(1, turns - 1))

    def cycles(self, loop: Loop, clocked: Clocked | None = None) -> tuple[float, float | None]:
        """Return cycles per turn of the loop, and the core's clock in Hz meanwhile."""
        beside = clocked or self._reference
        shortest = shortest_beside = 1 << 62
        for _ in range(REPEATS):
            shortest_beside = min(shortest_beside, _elapsed_ns(beside.loop))
            shortest = min(shortest, _elapsed_ns(loop))
        beside_ns = max(1.0, shortest_beside - self._empty_ns)
        loop_ns = max(1.0, shortest - self._empty_ns)
        cycles_per_ns = beside.cycles_per_turn * beside.loop.turns / beside_ns
        return loop_ns * cycles_per_ns / loop.turns, cycles_per_ns * 1e9


class CounterRuler:
    """Cycles as the hardware counts them; by a known loop once the counter misses a part."""

    source: Literal["pmu", "calibrated"] = "pmu"

    def __init__(
        self, counter: CycleCounter, otherwise: Callable[[], Ruler | None] | None = None
    ) -> None:
        """``otherwise`` returns the ruler for when the counter does not count any more."""
        self._counter = counter
        self._otherwise = otherwise or _paired
        self._second: Ruler | None = None
        empty = [self._counted(Loop(lambda _: None, 1)) for _ in range(EMPTY_CALLS)]
        self._empty = min((count.cycles for count in empty if count.whole), default=0)

    def cycles(self, loop: Loop, clocked: Clocked | None = None) -> tuple[float, float | None]:
        """Return cycles per turn of the loop, and the core's clock in Hz meanwhile."""
        if self._second is None:
            counts = [self._counted(loop) for _ in range(REPEATS)]
            whole = [count for count in counts if count.whole]
            if whole:
                best = min(whole, key=lambda count: count.cycles)
                hz = best.cycles / best.running_ns * 1e9
                return max(1, best.cycles - self._empty) / loop.turns, hz
            self._second = self._otherwise()
            if self._second is None:
                raise ConvprofError("the hardware's cycle counter has stopped counting")
            self.source = self._second.source
        return self._second.cycles(loop, clocked)

    def _counted(self, loop: Loop) -> Count:
        before = self._counter.read() or Count()
        loop.run(loop.turns)
        return (self._counter.read() or Count()) - before


def best_ruler() -> Ruler | None:
    """Return the best ruler of this machine, or None without one."""
    counter = checked_counter(CoreClock())
    return CounterRuler(counter) if counter is not None else _paired()


def _paired() -> Ruler | None:
    reference = _reference()
    return PairedRuler(reference) if reference else None


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

    def call(turns: int) -> None:
        run(turns, address)

    return dataclasses.replace(sized(call), keeps=data)


def sized(run: Callable[[int], object]) -> Loop:
    """Return a loop whose number of turns makes it last about ``SAMPLE_S``."""
    turns = 1
    run(turns)  # the first call loads code and data
    while True:
        elapsed = min(_elapsed_ns(Loop(run, turns)) for _ in range(3))
        if elapsed >= SAMPLE_S * 1e9 / 4:
            return Loop(run, max(1, round(turns * SAMPLE_S * 1e9 / elapsed)))
        turns *= 4


def _elapsed_ns(loop: Loop) -> int:
    run, turns = loop.run, loop.turns
    start = time.perf_counter_ns()
    run(turns)
    return time.perf_counter_ns() - start
