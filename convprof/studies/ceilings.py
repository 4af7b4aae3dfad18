"""``ceilings``: what this machine can do, stored for the next time."""

from __future__ import annotations

import dataclasses
import itertools
import time
from typing import TYPE_CHECKING, Any

from convprof.codegen import isa as isas
from convprof.codegen.probes.peak import Arithmetic, tile_ceiling
from convprof.codegen.probes.tile_products import L1, TILE_BITS, has_product
from convprof.codegen.target import target
from convprof.dtypes import COMMON
from convprof.machine import (
    bandwidth,
    ceilings_store,
    core_latency,
    facts,
    node_bandwidth,
    peaks,
)
from convprof.machine.ceilings_store import Ceilings
from convprof.machine.model import MachineModel
from convprof.machine.surroundings import Lookout
from convprof.results import envelope
from convprof.studies.document import machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from convprof.machine.core_latency import CoreLatency
    from convprof.machine.node_bandwidth import NodeBandwidth

NARROW = {"avx2": 128}
"""ISA -> a narrower width whose multiply-adds no other ISA here has."""


class Measured:
    """The ceilings for some numbers of threads: stored ones, or measured while iterating."""

    def __init__(
        self,
        threads: Sequence[int],
        *,
        again: bool = False,
        machine: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Look up the stored ceilings, of another machine by its key; with ``again``, none.

        ``clock`` tells seconds since 1970.
        """
        self._threads = list(threads)
        self._clock = clock
        self._model = MachineModel(facts())
        self._machine = machine or facts().identity_key()
        before = ceilings_store.load(self._machine, parts=True)
        known = {} if again else before
        self.sets = {count: known[count] for count in self._threads if count in known}
        self._others = {} if again else before
        self._whole_before = {count for count, ceilings in before.items() if ceilings.whole}
        self._lookout = Lookout()
        self.fresh: set[int] = set()
        """Numbers of threads whose peaks or bandwidths were measured just now."""
        self.unkept_in: Path | None = None
        """The folder that cannot be written, so that what was measured is not stored."""
        self.measured_now = False
        """Whether anything was measured just now."""

    @property
    def lacking(self) -> bool:
        """Whether there is something to measure."""
        return not all(self._complete(count) for count in self._threads)

    def _complete(self, threads: int) -> bool:
        """Whether everything is known: of several threads, the latency between cores too."""
        known = self.sets.get(threads)
        return known is not None and known.whole and (threads == 1 or _has_pairs(known))

    def leave_out(self, above: int) -> None:
        """Do not measure on more threads than that."""
        self._threads = [count for count in self._threads if count <= above]

    def steps(self) -> Iterator[str]:
        """Measure what is missing; yield what comes next, in words for people.

        After an interruption the figures so far are in ``listed`` and stored: the next time the
        rest is measured.
        """
        for threads in self._threads:
            if self._complete(threads):
                continue
            try:
                yield from self._measure(threads)
            finally:
                self._keep(threads)

    def _keep(self, threads: int) -> None:
        """Store what was measured; a part does not replace a complete set."""
        ceilings = self.sets.get(threads)
        if ceilings is None or (not ceilings.whole and threads in self._whole_before):
            return
        self.unkept_in = ceilings_store.save(self._machine, [ceilings]) or self.unkept_in

    def _measure(self, threads: int) -> Iterator[str]:
        on = f"on {threads} thread{'s' if threads > 1 else ''}"
        self._lookout.begin()
        ceilings = self.sets.get(threads) or Ceilings(threads, self._clock(), (), (), whole=False)
        known = {Arithmetic(p.dtype, p.bits, p.fused, p.operands) for p in ceilings.peaks}
        for isa, of in _arithmetics():
            if of in known:
                continue
            what = "tile ceiling" if of.operands == L1 else f"peak of {isa} in {of.bits} bits"
            yield f"the {of.dtype} {what} {on}"
            peak = dataclasses.replace(self._model.measure(of, threads), isa=isa)
            ceilings = self._found(ceilings, peaks=(*ceilings.peaks, peak))
        if not ceilings.whole:
            yield f"the bandwidth of the caches {on}"
            ceilings = dataclasses.replace(ceilings, bandwidths=())  # parts are measured anew
            for bandwidth_ in bandwidth.measure(threads):
                ceilings = self._found(ceilings, bandwidths=(*ceilings.bandwidths, bandwidth_))
                yield f"bandwidths {on}, {bandwidth_.level} {bandwidth_.operation} is done"
            self._found(ceilings, whole=True)
        if threads > 1:
            yield from self._measure_pairs(threads)

    def _measure_pairs(self, threads: int) -> Iterator[str]:
        """Measure NUMA nodes and pairs of CPUs, which are the same for all numbers of threads."""
        others = (*self.sets.values(), *self._others.values())
        other = next((each for each in others if _has_pairs(each)), None)
        if other is not None:
            self._add(threads, nodes=other.nodes, latencies=other.latencies, pairs_left=False)
            return
        if not self.sets[threads].pairs_left:
            yield "the bandwidth of each NUMA node"
            nodes: tuple[NodeBandwidth, ...] = ()
            for node in node_bandwidth.measure():
                nodes += (node,)
                self._add(threads, nodes=nodes)
                self.measured_now = True
        yield "the latency between cores"
        pairs: tuple[CoreLatency, ...] = ()
        for pair in core_latency.measure():
            pairs += (pair,)
            self._add(threads, latencies=pairs, pairs_left=True)
            self.measured_now = True
        self._add(threads, latencies=pairs, pairs_left=False)

    def _add(self, threads: int, **more: Any) -> None:
        """Add figures to a set of peaks and bandwidths, whose date remains."""
        self.sets[threads] = dataclasses.replace(self.sets[threads], **more)

    def _found(self, ceilings: Ceilings, **more: Any) -> Ceilings:
        """Add one more figure."""
        now = dataclasses.replace(
            ceilings,
            measured_at=self._clock(),
            load=self._lookout.around().others_cpus,
            llvm=target().llvm_version,
            **more,
        )
        self.sets[ceilings.threads] = now
        self.fresh.add(ceilings.threads)
        self.measured_now = True
        return now

    def listed(self) -> list[Ceilings]:
        """Return the ceilings in the order of the numbers of threads that were requested."""
        return [self.sets[threads] for threads in self._threads if threads in self.sets]


def _has_pairs(ceilings: Ceilings) -> bool:
    """Whether NUMA nodes and all pairs of CPUs were measured."""
    return ceilings.latencies is not None and not ceilings.pairs_left


def _computes(dtype: str, isa: str | None, bits: int, *, fused: bool) -> bool:
    """Whether kernels of a type use such vectors: short elements only an ISA's own ones."""
    if bits == TILE_BITS:
        return has_product(dtype, isas.AMX)
    if dtype in COMMON:
        return True
    own = isas.ISAS.get(isa or "")
    if dtype == "f16" and own is not None and not own.multiplies_f16:
        return False
    return own is not None and (own.bits, own.fused) == (bits, fused)


def _arithmetics() -> Iterator[tuple[str | None, Arithmetic]]:
    """Yield ISA and arithmetic of each peak; a tile ceiling after the peak of tile registers."""
    for (isa, bits, fused), dtype in itertools.product(kinds(), peaks.listed_types()):
        if not _computes(dtype, isa, bits, fused=fused):
            continue
        of = Arithmetic(dtype, bits, fused)
        yield from ((isa, each) for each in (of, tile_ceiling(of)) if each)


def kinds() -> list[tuple[str | None, int, bool]]:
    """Return ISA, width in bits and fused or not of each kind of peak, the widest last.

    Those for which kernels are generated, and the widest vectors of this machine.
    """
    widths: list[tuple[str | None, int, bool]] = []
    for name in isas.widths():
        isa = isas.ISAS[name]
        widths.append((name, isa.bits, False))
        if isa.fused:
            widths += [(name, bits, True) for bits in (NARROW.get(name), isa.bits) if bits]
    simd = facts().cpu.simd
    widest = (simd.fixed.isa, *peaks.widest(simd))
    if widest[1:] not in [kind[1:] for kind in widths]:
        widths.append(widest)
    if isas.AMX in isas.available():
        widths.append((isas.AMX, TILE_BITS, True))
    return widths


def latencies(sets: Sequence[Ceilings]) -> tuple[CoreLatency, ...]:
    """Return the latencies between CPUs of the last set that has some."""
    return next((s.latencies for s in reversed(sets) if s.latencies), ())


def nodes(sets: Sequence[Ceilings]) -> tuple[NodeBandwidth, ...]:
    """Return the bandwidths of NUMA nodes of the last set that has some."""
    return next((s.nodes for s in reversed(sets) if s.nodes), ())


def document(sets: Sequence[Ceilings], dtypes: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the document of ``ceilings`` in JSON types; docs/result-format.md explains it."""
    shown = peaks.listed_types() if dtypes is None else dtypes
    return envelope(
        "ceilings",
        machine=machine(),
        ceilings={
            "measured": [
                {
                    "threads": s.threads,
                    "measured_at_s": s.measured_at,
                    "load_cpus": s.load,
                    "llvm": s.llvm,
                }
                for s in sets
            ],
            "peaks": [p for s in sets for p in s.peaks if p.dtype in shown],
            "bandwidths": [b for s in sets for b in s.bandwidths],
            "core_latencies": latencies(sets),
            "node_bandwidths": nodes(sets),
        },
    )
