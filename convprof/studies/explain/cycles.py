"""From the latency of one multiply-add to the peak: chains, lanes, ports, cores, all measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.codegen.probes.fma import CHAINS, UNFUSED_CHAINS
from convprof.dtypes import find
from convprof.machine import ceilings_store, peaks
from convprof.studies.study.costs import VECTOR_BITS, instruction_costs, spelled, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.machine.model import MachineModel
    from convprof.machine.peaks import Peak

TOLERANCE = 0.05
"""Between the product and the measured peak."""
FLOP_PER_FMA = 2
FEW_CHAINS = (1, 2, 4, 8)


@dataclass(frozen=True)
class Cost:
    """What a multiply-add costs in one width, in core cycles; None where it is not known."""

    bits: int
    name: str
    """``scalar`` or ``256 bits``."""
    lanes: int
    latency: float | None
    per_cycle: float | None
    """Multiply-adds that begin in a cycle."""

    @property
    def chains(self) -> float | None:
        """Independent sums that keep the ports busy."""
        if self.latency is None or self.per_cycle is None:
            return None
        return self.latency * self.per_cycle

    def expected(self, chains: int) -> float | None:
        """Return FLOPs per cycle of that many chains."""
        if self.latency is None or self.per_cycle is None:
            return None
        return FLOP_PER_FMA * self.lanes * min(chains / self.latency, self.per_cycle)


@dataclass(frozen=True)
class Rung:
    """A loop of multiply-adds: what is expected of it, and what was measured."""

    label: str
    width: str
    chains: int
    threads: int
    expected: float | None
    """FLOPs per cycle, of all threads."""
    peak: Peak

    @property
    def measured(self) -> float | None:
        """FLOPs per cycle, of all threads."""
        per_core = self.peak.flop_per_cycle
        return None if per_core is None else per_core * self.threads


@dataclass(frozen=True)
class CyclesPage:
    """The page."""

    dtype: str
    isa: str | None
    costs: tuple[Cost, ...]
    """By width, scalars first."""
    rungs: tuple[Rung, ...]
    threads: int
    stored: Peak | None
    """The peak on these threads that ``convprof ceilings`` has stored."""
    stored_at: float | None
    """Seconds since 1970."""

    @property
    def widest(self) -> Cost:
        """The cost in the widest vectors."""
        return self.costs[-1]

    @property
    def measured(self) -> Peak:
        """The peak on all threads."""
        return self.rungs[-1].peak

    @property
    def halved(self) -> bool:
        """Whether the widest vectors begin half as often as vectors of half the width."""
        narrow, wide = self.costs[-2:]
        if narrow.lanes == 1 or narrow.per_cycle is None or wide.per_cycle is None:
            return False
        return narrow.per_cycle == 2 * wide.per_cycle

    @property
    def gains(self) -> tuple[tuple[str, float], ...]:
        """What chains, lanes and threads bring, one after the other."""
        groups = (
            ("chains", [r for r in self.rungs if r.threads == 1 and r.width == self.costs[0].name]),
            ("lanes", [r for r in self.rungs if r.threads == 1 and r.width == self.widest.name]),
            ("threads", [r for r in self.rungs if r.threads > 1]),
        )
        before, gains = self.rungs[0].peak.flop_per_s, []
        for what, rungs in groups:
            if rungs:
                best = max(rung.peak.flop_per_s for rung in rungs)
                gains.append((what, best / before))
                before = best
        return tuple(gains)

    @property
    def product(self) -> float | None:
        """FLOP/s: multiply-adds per cycle x lanes x 2 x clock x threads; None if one is unknown."""
        each, hz = self.widest.per_cycle, self.measured.core_hz
        if each is None or hz is None:
            return None
        return FLOP_PER_FMA * each * self.widest.lanes * hz * self.threads

    @property
    def difference(self) -> float | None:
        """The measured peak over the product, less 1."""
        return None if self.product is None else self.measured.flop_per_s / self.product - 1

    @property
    def agrees(self) -> bool:
        """Whether the product is the measured peak, within ``TOLERANCE``."""
        return self.difference is not None and abs(self.difference) <= TOLERANCE


class Cycles:
    """The measurements. Iterate over ``steps()``, then call ``page()``."""

    def __init__(self, machine: MachineModel, dtype: str, threads: int) -> None:
        self._machine, self._dtype, self._threads = machine, dtype, threads
        self._bits, self._fused = peaks.widest(machine.facts.cpu.simd)
        element = find(dtype).bits
        vectors = (bits for bits in VECTOR_BITS if bits <= self._bits)
        self._widths = (element, *vectors)
        self._costs: dict[int, Cost] = {}
        self._rungs: list[Rung] = []

    def steps(self) -> Iterator[str]:
        """Measure; yield what is measured next."""
        yield "latency and throughput of multiply-adds"
        self._measure_costs()
        scalar = self._costs[self._widths[0]]
        for chains in self._chains(scalar):
            yield f"{chains} chains of scalars"
            label = "one chain" if chains == 1 else f"{chains} chains"
            self._add(label, scalar, chains, 1)
        for bits in self._widths[1:]:
            cost = self._costs[bits]
            yield f"vectors of {bits} bits"
            self._add(f"{cost.lanes} lanes", cost, self._most, 1)
        if self._threads > 1:
            yield f"{self._threads} threads"
            self._add(
                f"{self._threads} threads", self._costs[self._bits], self._most, self._threads
            )

    def page(self) -> CyclesPage:
        """Return the page."""
        stored = ceilings_store.load(self._machine.facts.identity_key()).get(self._threads)
        return CyclesPage(
            dtype=self._dtype,
            isa=self._machine.facts.cpu.simd.fixed.isa,
            costs=tuple(self._costs[bits] for bits in self._widths),
            rungs=tuple(self._rungs),
            threads=self._threads,
            stored=_matching(stored.peaks, self._rungs[-1].peak) if stored else None,
            stored_at=stored.measured_at if stored else None,
        )

    @property
    def _most(self) -> int:
        """The chains with which the peak is measured."""
        return CHAINS if self._fused else UNFUSED_CHAINS

    def _chains(self, cost: Cost) -> list[int]:
        """Return the numbers of chains to measure: few, just enough, and more."""
        enough = () if cost.chains is None else (round(cost.chains),)
        return sorted(n for n in {*FEW_CHAINS, *enough, self._most} if 1 <= n <= self._most)

    def _measure_costs(self) -> None:
        """Measure every width; only a fused instruction has a row of its own."""
        element = self._widths[0]
        names = {bits: f"fma {self._dtype} {'scalar' if bits == element else bits}"
                 for bits in self._widths}  # fmt: skip
        costs = (
            instruction_costs(self._machine.facts.cpu, set(names.values())) if self._fused else {}
        )
        for bits, name in names.items():
            latency, each = costs.get(name, (None, None))
            self._costs[bits] = Cost(
                bits=bits,
                name=spelled(bits, self._dtype),
                lanes=bits // element,
                latency=None if latency is None else whole(latency),
                per_cycle=None if each is None else whole(1 / each),
            )

    def _add(self, label: str, cost: Cost, chains: int, threads: int) -> None:
        if chains == self._most and cost.bits == self._bits:  # the peak that every command has
            self._machine.measure_peaks(self._dtype, [threads])
            peak = self._machine.peak(self._dtype, threads)
        else:
            peak = None
        if peak is None:
            peak = peaks.measure(self._dtype, threads, cost.bits, fused=self._fused, chains=chains)
        each = cost.expected(chains)
        expected = None if each is None else each * threads
        self._rungs.append(Rung(label, cost.name, chains, threads, expected, peak))


def _matching(stored: tuple[Peak, ...], measured: Peak) -> Peak | None:
    """Return the stored peak of the same arithmetic."""
    kinds = ("dtype", "threads", "bits", "fused")
    for peak in stored:
        if all(getattr(peak, kind) == getattr(measured, kind) for kind in kinds):
            return peak
    return None
