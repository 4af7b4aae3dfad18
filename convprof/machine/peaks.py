"""Peaks: the FLOP/s that independent multiply-adds reach, measured.

A peak is what the machine keeps up: the median of the repeats of 20 milliseconds and more without a
pause. The shortest repeat alone is the burst: on some virtual machines 0.2 milliseconds are up to
12 % faster than any 20. Shares of the peak are shares of what is kept up. A repeat that another
program interrupts is one of many, so that a busy machine changes the median little.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from convprof.codegen import isa as isas
from convprof.codegen.cache_line import LINE_BYTES
from convprof.codegen.probes import peak as probe
from convprof.codegen.probes.peak import Arithmetic
from convprof.codegen.probes.tile_products import L1, REGISTERS, TILE_BITS
from convprof.codegen.threads import Program, team
from convprof.dtypes import COMMON, WITH_PEAK, types
from convprof.machine import facts, published
from convprof.machine.clock import CoreClock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.codegen.probes.fma import FmaKernel
    from convprof.machine.flags import Simd

WARM_UP_SECONDS = 3e-3
"""Cores take up to a millisecond to lower their clock when wide vectors begin."""

REPEATS = 60
REPEAT_SECONDS = 2e-4
"""Short, so that on a shared machine some repeats run undisturbed; the vector load never pauses
long enough for the clock to rise in between."""

SETTLED = 0.02
ATTEMPTS = 5
"""Series of repeats go on until the two best ones agree within 2 %."""
SAME_CLOCK = 0.05
"""The clocks of two series may differ by 5 %: a core may change its clock. Beyond, the measurement
was disturbed, and the clock is not known."""

FALLBACK_BITS = 128
"""Every 64-bit core has vectors of 128 bits; used where the width is unknown."""

AFTER = 9
"""Times that the clock is measured right after the load."""
SAME_CLOCKS = 0.98
"""Clocks under the load and after it are the same from here on: less is noise."""
LEAST_CLOCK_SHARE = 0.7
"""No core lowers its clock by more than 30 % for wide vectors: a lower one is unknown."""

ADDS = (30, 60, 120)
"""Additions per iteration of 48 multiply-adds to try for the clock under load: just above the 24
cycles of a core with two vector ports, and of one with one."""
CHAIN_BOUND = 1.15
"""A iteration that takes this much longer with the additions than without waits for them."""

MOST_PORTS = 6
"""No core starts more vector multiply-adds per cycle; four are the most so far."""
MOST_MEASURED = 3
WHOLE = 0.2
"""A number of ports is whole: a measured one that is further from it was disturbed."""

SHORT_BYTE = 0x3F
"""Bytes of short operands: 63 as whole numbers, 0.75 as bf16, 1.8 as f16, and as f32 0.75."""


_TASKS_PER_THREAD = 4


@dataclass(frozen=True, slots=True)
class Peak:
    """The measured FLOP/s ceiling of one kind of arithmetic."""

    isa: str | None
    bits: int
    dtype: str
    threads: int
    flop_per_s: float
    """What is kept up: the median of a series of repeats, of the fastest series."""
    core_hz: float | None
    """The clock under this load while it is kept up, measured alternately with the repeats; None
    too where it differed from one series of repeats to the next."""
    flop_per_cycle: float | None
    """Per core."""
    ports: int | None
    """Vector multiply-adds of this width per cycle: ``flop_per_cycle / (2 * lanes)``, rounded.

    None where the quotient cannot be a count: further from a whole number than 0.2 (a core that
    splits the vectors, or a disturbed measurement), or more than any core has."""
    fused: bool = True
    """Whether the multiply-adds were single instructions."""
    operands: str = REGISTERS
    """Where the operands were; ``L1``: this is the tile ceiling, which products of matrices in tile
    registers can reach."""
    instruction: str = ""
    """The instruction that multiplies short elements, for people; empty for f32 and f64."""
    burst_flop_per_s: float | None = None
    """The rate of the shortest repeat; None where it is not known."""
    burst_hz: float | None = None
    """The clock of the shortest repeat."""
    after_hz: float | None = None
    """The clock that a chain of scalar additions finds right after this load. Where wide vectors
    lower the clock it has risen again by then, and cycles counted by it are too many."""

    @property
    def is_tile_ceiling(self) -> bool:
        """Whether the operands were tiles in L1."""
        return self.operands != REGISTERS

    @property
    def clock_share(self) -> float:
        """The clock under this load over the one right after it; 1 where they hardly differ."""
        if self.burst_hz is None or self.after_hz is None:
            return 1.0
        share = self.burst_hz / self.after_hz
        return share if LEAST_CLOCK_SHARE <= share < SAME_CLOCKS else 1.0


def listed_types() -> tuple[str, ...]:
    """Return the types whose peaks are listed: f16 too, where the CPU multiplies and adds it."""
    own = any(isas.ISAS[name].multiplies_f16 for name in isas.available())
    return (*WITH_PEAK, "f16") if own else WITH_PEAK


def widest(simd: Simd) -> tuple[int, bool]:
    """Return the width in bits of a machine's vectors, and whether its multiply-adds are fused."""
    return simd.fixed.bits or FALLBACK_BITS, simd.fma is not False


def measure(dtype: str, threads: int, bits: int, *, fused: bool, chains: int | None = None) -> Peak:
    """Measure the peak of multiply-adds in vectors of ``bits`` on some threads: 0.1 seconds.

    Where they are not ``fused``, a multiplication and an addition are two instructions. Fewer
    ``chains`` than the probe's own do not reach the peak: each waits for its last multiply-add. On
    a busy machine it is measured up to three times, until the number of ports can be true.
    """
    of = Arithmetic(dtype, bits, fused)
    return best(lambda: _once(of, threads, chains))


def measure_tile_ceiling(dtype: str, threads: int) -> Peak:
    """Measure products in tile registers whose operands are loaded from L1, as a peak."""
    of = Arithmetic(dtype, TILE_BITS, operands=L1)
    return best(lambda: _once(of, threads))


def best(once: Callable[[], Peak]) -> Peak:
    """Return the first of some peaks whose number of ports can be true; else the highest."""
    peaks: list[Peak] = []
    while len(peaks) < MOST_MEASURED:
        peaks.append(possible(once()))
        if not unclear(peaks[-1]):
            return peaks[-1]
    return max(peaks, key=lambda peak: peak.flop_per_s)


def possible(peak: Peak) -> Peak:
    """Return the peak; without figures per cycle if it has more ports than any published core."""
    most = published.most_ports(facts().cpu.architecture, peak.dtype, peak.bits)
    if peak.ports is None or most is None or peak.ports <= most:
        return peak
    return dataclasses.replace(peak, core_hz=None, flop_per_cycle=None, ports=None)


def unclear(peak: Peak) -> bool:
    """Whether a disturbance hides the number of ports.

    A core that splits the vectors has less than one port of their width, and that is clear.
    """
    if peak.ports is not None or not CoreClock().available:
        return False
    at_once = probe.flops_at_once(peak.dtype, peak.bits)
    return peak.flop_per_cycle is None or peak.flop_per_cycle > at_once


def _once(of: Arithmetic, threads: int, chains: int | None = None) -> Peak:
    kernel = functools.partial(probe.kernel, of, chains=chains)
    dtype, bits = of.dtype, of.bits
    plain = _Load(kernel(), dtype, threads)
    plain.warm_up()
    clock = _chain_bound(plain, kernel, dtype, threads)
    kept_s, shortest_s, clock_s = _alternate(plain, clock)
    flops = threads * plain.kernel.flops_per_iteration
    hz = clock.kernel.adds / clock_s if clock and clock_s else None
    after_hz = _clock_after(plain) if hz else None
    if hz and after_hz and hz < LEAST_CLOCK_SHARE * after_hz:
        # The loop waits for something else than the additions: a slow core, or an emulated one.
        hz = after_hz = None
    per_cycle = flops / shortest_s / hz / threads if hz else None
    return Peak(
        isa=isas.AMX if bits == TILE_BITS else facts().cpu.simd.fixed.isa,
        bits=bits,
        dtype=dtype,
        threads=threads,
        flop_per_s=flops / kept_s,
        core_hz=flops / kept_s / per_cycle / threads if per_cycle else None,
        flop_per_cycle=per_cycle,
        ports=_ports(per_cycle, plain.kernel.flops_at_once),
        fused=of.fused,
        operands=of.operands,
        instruction=probe.instruction(dtype, bits),
        burst_flop_per_s=flops / shortest_s,
        burst_hz=hz,
        after_hz=after_hz,
    )


def _clock_after(load: _Load) -> float | None:
    """Return the clock right after a load, as it is measured after a sample."""
    clock = CoreClock()
    clocks = []
    for _ in range(AFTER):
        load.iteration_s()
        clocks.append(clock.hz())
    return statistics.median(hz for hz in clocks if hz)


def _ports(per_cycle: float | None, at_once: int) -> int | None:
    measured = per_cycle / at_once if per_cycle else 0.0
    count = round(measured)
    return count if 1 <= count <= MOST_PORTS and abs(measured - count) <= WHOLE else None


class _Load:
    """A peak kernel on a team, sized so that a repeat takes REPEAT_SECONDS."""

    def __init__(self, kernel: FmaKernel, dtype: str, threads: int) -> None:
        self.kernel = kernel
        kind = types(dtype).accumulator.array_type
        room = np.zeros(kernel.operand_bytes + LINE_BYTES, np.uint8)
        place = -room.ctypes.data % LINE_BYTES
        self._operands = room[place : place + kernel.operand_bytes].view(kind)
        self._operands.fill(0.5)
        if dtype not in COMMON:
            self._operands.view(np.uint8).fill(SHORT_BYTE)
        self._buffers = np.array([self._operands.ctypes.data], dtype=np.int64)
        self._dims = np.array([200], dtype=np.int64)
        tasks = _TASKS_PER_THREAD * threads
        row = (kernel.address, 0, tasks, self._buffers.ctypes.data, self._dims.ctypes.data)
        self._program = Program([row], threads)
        self._team = team(threads)
        iteration_s = min(self.iteration_s() for _ in range(5))
        self._dims[0] = max(200, int(REPEAT_SECONDS / iteration_s / _TASKS_PER_THREAD))

    def iteration_s(self) -> float:
        """Run once; return the seconds that one iteration of the loop took on each thread."""
        start = time.perf_counter_ns()
        self._team.run(self._program)
        elapsed = time.perf_counter_ns() - start
        return elapsed * 1e-9 / (int(self._dims[0]) * _TASKS_PER_THREAD)

    def warm_up(self) -> None:
        """Run until the clock has settled under this load."""
        _until(WARM_UP_SECONDS, self.iteration_s)


def _until(seconds: float, work: Callable[[], object]) -> None:
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        work()


def _chain_bound(
    plain: _Load, kernel: Callable[[int], FmaKernel], dtype: str, threads: int
) -> _Load | None:
    """Return the load whose additions are what its loop waits for; None where none are known."""
    if not CoreClock().available:
        return None
    alone = min(plain.iteration_s() for _ in range(5))
    for adds in ADDS:
        load = _Load(kernel(adds), dtype, threads)
        if min(load.iteration_s() for _ in range(5)) > CHAIN_BOUND * alone:
            break
    return load


class _Iterations(NamedTuple):
    """Seconds of an iteration of the loop."""

    kept: float
    """The median of a series of repeats, of the fastest series."""
    shortest: float
    clock: float | None
    """The shortest one with the additions; None where the series contradict each other."""


def _alternate(plain: _Load, clock: _Load | None) -> _Iterations:
    """Measure both loops alternately, without a pause."""
    kept, shortest, clock_shortest = math.inf, [], []
    for _ in range(ATTEMPTS):
        series, clock_series = [], []
        for _ in range(REPEATS):
            series.append(plain.iteration_s())
            if clock:
                clock_series.append(clock.iteration_s())
        kept = min(kept, statistics.median(series))
        shortest.append(min(series))
        clock_shortest.append(min(clock_series, default=math.inf))
        if agree(shortest, SETTLED) and (clock is None or agree(clock_shortest, SETTLED)):
            break
    known = clock is not None and agree(clock_shortest, SAME_CLOCK)
    return _Iterations(kept, min(shortest), min(clock_shortest) if known else None)


def agree(seconds: Sequence[float], within: float) -> bool:
    """Whether the two shortest times agree: one alone may be anything."""
    first, *others = sorted(seconds)
    return bool(others) and others[0] <= (1 + within) * first
