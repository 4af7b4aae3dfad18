"""What this machine is and what it reaches: facts, peaks and bandwidths in one value.

A command makes one model and passes it to its studies. Reading a figure never measures. Only the
methods whose names begin with ``measure`` do, and nothing twice: a caller shows first what is
measured next.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from typing import TYPE_CHECKING, NamedTuple, Self

from convprof.codegen import isa as isas
from convprof.codegen.probes.peak import Arithmetic, tile_ceiling
from convprof.codegen.probes.tile_products import L1, TILE_BITS, has_product
from convprof.dtypes import COMMON, types
from convprof.errors import ThreadsError
from convprof.machine import bandwidth, ceilings_store, facts, noise, peaks
from convprof.machine.caches import MEMORY, Level, levels
from convprof.results import NATIVE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from convprof.codegen.probes.streams import Operation
    from convprof.machine import Facts
    from convprof.machine.bandwidth import Bandwidth
    from convprof.machine.ceilings_store import Ceilings
    from convprof.machine.core_latency import CoreLatency
    from convprof.machine.peaks import Peak
    from convprof.machine.topology import Topology

QUICK_OPERATIONS: tuple[Operation, ...] = ("load", "triad")
"""The operations of a short measurement: at every level seen so far, one of them is the fastest."""

USUAL_BANDWIDTH_S = 0.1
"""Seconds to measure the bandwidth of a cache level, before one was measured."""

LEAST_SCALING = 0.7
"""A peak on N cores that is below this share of N times the peak on one core gets a remark."""
SCALING_REPEATS = 4
"""How often such a peak is measured again. A virtual machine may place two of its CPUs on one core
for some tenths of a second: in a quarter of the processes on one machine."""


class _Kind(NamedTuple):
    """What a peak is the limit of, and on how many threads."""

    of: Arithmetic
    threads: int


class MachineModel:
    """Facts, peaks and bandwidths of this machine; ``measure…`` adds figures."""

    def __init__(self, known: Facts, stored: Iterable[Ceilings] = ()) -> None:
        """Take facts, and the bandwidths that ``convprof ceilings`` has stored."""
        self.facts = known
        self._stored = {each.threads: each for each in stored}
        self._peaks: dict[_Kind, Peak] = {}
        self._repeated: set[_Kind] = set()
        self._quick: dict[tuple[int, str], tuple[Bandwidth, ...]] = {}
        self._bandwidths_s = 0.0
        """Seconds that the measurements in ``_quick`` took."""

    @classmethod
    def here(cls) -> Self:
        """Return the model of this machine, with the stored bandwidths."""
        known = facts()
        return cls(known, ceilings_store.load(known.identity_key()).values())

    def adopt(self, sets: Iterable[Ceilings], fresh: Collection[int] = ()) -> None:
        """Take the bandwidths of sets, and the peaks of the sets just measured.

        ``fresh`` are the numbers of threads of the latter. Older peaks are not used: the clock of
        that time may have been another one.
        """
        for each in sets:
            self._stored[each.threads] = each
            if each.threads in fresh:
                for peak in each.peaks:
                    of = Arithmetic(peak.dtype, peak.bits, peak.fused, peak.operands)
                    kind = _Kind(of, peak.threads)
                    own = dataclasses.replace(peak, isa=self.facts.cpu.simd.fixed.isa)
                    self._peaks.setdefault(kind, own)

    @property
    def core_latencies(self) -> tuple[CoreLatency, ...]:
        """The stored latencies between CPUs; nothing if none are stored."""
        most_threads = sorted(self._stored, reverse=True)
        every = (self._stored[threads].latencies for threads in most_threads)
        return next((latencies for latencies in every if latencies), ())

    def levels(self, threads: int) -> tuple[Level, ...]:
        """Return the cache levels as that many threads share them, nearest first."""
        return levels(self.facts.caches, threads)

    def peak(self, dtype: str, threads: int, isa: str = NATIVE) -> Peak | None:
        """Return the peak of an instruction set on some threads; None if it was not measured."""
        return self._known(_Kind(self.arithmetic(dtype, isa), threads), isa)

    def tile_ceiling(self, dtype: str, threads: int, isa: str = NATIVE) -> Peak | None:
        """Return the tile ceiling; None if it was not measured, or no tile registers are used."""
        of = tile_ceiling(self.arithmetic(dtype, isa))
        return self._known(_Kind(of, threads), isa) if of else None

    def _known(self, kind: _Kind, isa: str) -> Peak | None:
        peak = self._peaks.get(kind)
        return peak if peak is None or isa == NATIVE else dataclasses.replace(peak, isa=isa)

    def peaks(self, dtype: str, threads: Sequence[int], isa: str = NATIVE) -> list[Peak]:
        """Return the measured peaks for those numbers of threads."""
        every = (self.peak(dtype, count, isa) for count in threads)
        return [peak for peak in every if peak is not None]

    def bandwidth(self, threads: int, level: str) -> float | None:
        """Return the highest bandwidth of a level in bytes per second; None if it is unknown."""
        return ceilings_store.highest(self.bandwidths([threads]), level, threads)

    def bandwidths(self, threads: Sequence[int]) -> list[Bandwidth]:
        """Return all bandwidths for the numbers of threads: those stored, then those measured."""
        stored = [b for n in threads if n in self._stored for b in self._stored[n].bandwidths]
        return [
            *stored,
            *(b for measured in self._quick.values() for b in measured if b.threads in threads),
        ]

    def measure_peaks(self, dtype: str, threads: Iterable[int], isa: str = NATIVE) -> list[Peak]:
        """Measure the peaks that are missing; return the peaks of all numbers of threads.

        And the tile ceilings, of types that are multiplied in tile registers. Numbers of threads
        that the system does not allow are left out; ThreadsError if all are. Types without kernels
        have no peaks.
        """
        if not types(dtype).has_peak:
            return []
        counts = list(threads)
        of = self.arithmetic(dtype, isa)
        both = [of, tile_ceiling(of)]
        reason: ThreadsError | None = None
        for each, count in itertools.product(filter(None, both), counts):
            try:
                self.measure(each, count)
            except ThreadsError as error:
                reason = error
        if reason is not None and not self.peaks(dtype, counts, isa):
            raise reason
        for each in filter(None, both):
            self._measure_scaling(each, counts)
        return self.peaks(dtype, counts, isa)

    def _measure_scaling(self, of: Arithmetic, counts: Sequence[int]) -> None:
        """Measure peaks again that do not scale over the cores; remark on what stays so."""
        single = self._peaks.get(_Kind(of, 1))
        for kind in [_Kind(of, count) for count in counts]:
            peak = self._peaks.get(kind)
            if single is None or peak is None or _scales(peak, single, self.facts.topology):
                continue
            for _ in range(0 if kind in self._repeated else SCALING_REPEATS):
                again = _measured(of, kind.threads)
                peak = max(peak, again, key=lambda each: each.flop_per_s)
                if _scales(peak, single, self.facts.topology):
                    break
            self._repeated.add(kind)
            self._peaks[kind] = peak
            _remark_on_scaling(peak, single, self.facts.topology)

    def measure_width(self, dtype: str, bits: int, *, fused: bool, threads: int = 1) -> Peak:
        """Return the peak in a width of vectors, measured if it is missing."""
        return self.measure(Arithmetic(dtype, bits, fused), threads)

    def measure_width_again(self, dtype: str, bits: int, *, fused: bool) -> Peak:
        """Return the lower of the known peak of one core and the same measured again.

        The clock is higher for moments: a peak measured first may be out of reach later.
        """
        before = self.measure_width(dtype, bits, fused=fused)
        now = peaks.measure(dtype, 1, bits, fused=fused)
        lower = min(before, now, key=lambda peak: peak.flop_per_s)
        self._peaks[_Kind(Arithmetic(dtype, bits, fused), 1)] = lower
        return lower

    def lacks_bandwidth(self, threads: int, level: str) -> bool:
        """Whether ``measure_bandwidth`` would measure.

        Bandwidths that are stored for these threads are complete. The bandwidth of memory would
        take seconds: only ``convprof ceilings`` measures it.
        """
        known = threads in self._stored or (threads, level) in self._quick
        return level != MEMORY and not known

    def measure_bandwidth(self, threads: int, level: str) -> None:
        """Measure the bandwidth of a cache level, in hundredths of a second, if it is missing."""
        if not self.lacks_bandwidth(threads, level):
            return
        start = time.perf_counter()
        try:
            measured = tuple(
                bandwidth.measure(threads, (level,), QUICK_OPERATIONS, bandwidth.QUICK_REPEATS)
            )
        except ThreadsError:  # an unknown bandwidth costs no result
            measured = ()
        self._quick[threads, level] = measured
        self._bandwidths_s += time.perf_counter() - start

    def bandwidth_s(self, threads: int, level: str) -> float:
        """Estimate the seconds of ``measure_bandwidth`` by the bandwidths measured before."""
        if not self.lacks_bandwidth(threads, level):
            return 0.0
        return self._bandwidths_s / len(self._quick) if self._quick else USUAL_BANDWIDTH_S

    def measure(self, of: Arithmetic, threads: int) -> Peak:
        """Return the peak of some arithmetic, measured if it is missing."""
        kind = _Kind(of, threads)
        if kind not in self._peaks:
            self._peaks[kind] = _measured(of, threads)
        return self._peaks[kind]

    def arithmetic(self, dtype: str, isa: str = NATIVE) -> Arithmetic:
        """Return the arithmetic of an instruction set; in the widest vectors, the machine's own.

        Tile registers, where the instruction set multiplies the type in them.
        """
        if dtype not in COMMON and has_product(dtype, isa):
            return Arithmetic(dtype, TILE_BITS)
        widest = Arithmetic(dtype, *peaks.widest(self.facts.cpu.simd))
        if isa == NATIVE:
            return widest
        description = isas.find(isa)
        if description.bits == widest.bits:
            return widest
        return Arithmetic(dtype, description.bits, description.fused)


def _measured(of: Arithmetic, threads: int) -> Peak:
    if of.operands == L1:
        return peaks.measure_tile_ceiling(of.dtype, threads)
    return peaks.measure(of.dtype, threads, of.bits, fused=of.fused)


def _scales(peak: Peak, single: Peak, topology: Topology) -> bool:
    """Whether arithmetic in registers scales over equal cores at their clock, or need not.

    Cores of several kinds differ anyway.
    """
    cores = topology.physical_cores
    if not cores or len(topology.kinds) > 1 or not 1 < peak.threads <= cores:
        return True
    clocks = peak.core_hz / single.core_hz if peak.core_hz and single.core_hz else 1.0
    return peak.flop_per_s >= LEAST_SCALING * peak.threads * clocks * single.flop_per_s


def _remark_on_scaling(peak: Peak, single: Peak, topology: Topology) -> None:
    """Remark on a peak that does not scale: the system inside a virtual machine cannot see why."""
    if _scales(peak, single, topology):
        return
    times = peak.flop_per_s / single.flop_per_s
    text = f"the peak on {peak.threads} threads is {times:.2f} times the peak on 1"
    known = peak.core_hz and single.core_hz
    clock = "" if known else ", or the clock of all cores together is lower"
    hint = f"the CPUs share a core, or other programs use them{clock}; repeat later"
    noise.remark(noise.Noise("scaling", text, hint))
