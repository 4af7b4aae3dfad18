"""``ceilings``: what this machine can do, kept from one time to the next."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

from convprof import __version__
from convprof.machine import bandwidth, ceilings, facts, kept
from convprof.machine.kept import Ceilings
from convprof.results import SCHEMA_VERSION, plain
from convprof.simd import isa as isas
from convprof.studies import roofs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from convprof.machine.ceilings import Peak

DTYPES = ("f32", "f64")

NARROW = {"avx2": 128}
"""ISA -> a narrower width whose multiply-adds no other ISA here has."""


class Measured:
    """The ceilings for some numbers of threads: kept ones, or measured while iterating."""

    def __init__(
        self,
        threads: Sequence[int],
        *,
        again: bool = False,
        machine: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Look up what is kept, for another machine by its key; not if it is to be done ``again``.

        ``clock`` tells seconds since 1970.
        """
        self._threads = list(threads)
        self._clock = clock
        self._machine = machine or facts().identity_key()
        known = {} if again else kept.recall(self._machine)
        self.sets = {count: known[count] for count in self._threads if count in known}
        self.fresh: set[int] = set()
        """Numbers of threads that were measured just now."""

    def leave_out(self, above: int) -> None:
        """Do not measure on more threads than that."""
        self._threads = [count for count in self._threads if count <= above]

    def steps(self) -> Iterator[str]:
        """Measure what is not there; yield what comes next, in words for people."""
        for threads in self._threads:
            if threads not in self.sets:
                yield from self._measure(threads)
                kept.remember(self._machine, [self.sets[threads]])
                roofs.kept_here.cache_clear()

    def _measure(self, threads: int) -> Iterator[str]:
        on = f"on {threads} thread{'s' if threads > 1 else ''}"
        peaks = []
        for isa, bits, fused in kinds():
            for dtype in DTYPES:
                yield f"the {dtype} peak of {isa} in {bits} bits {on}"
                found = ceilings.peak(dtype, threads, bits, fused=fused)
                peaks.append(dataclasses.replace(found, isa=isa))
        bandwidths = []
        yield f"the bandwidth of the caches {on}"
        for found_bandwidth in bandwidth.measure(threads):
            bandwidths.append(found_bandwidth)
            yield f"bandwidths {on}, {found_bandwidth.level} {found_bandwidth.operation} is done"
        self.sets[threads] = Ceilings(threads, self._clock(), tuple(peaks), tuple(bandwidths))
        self.fresh.add(threads)

    def listed(self) -> list[Ceilings]:
        """Return the ceilings in the order of the threads asked for."""
        return [self.sets[threads] for threads in self._threads if threads in self.sets]


def kinds() -> list[tuple[str | None, int, bool]]:
    """Return ISA, width in bits and fused or not of each kind of peak, the widest last.

    Beside those that kernels are generated for, the widest vectors of this machine.
    """
    found: list[tuple[str | None, int, bool]] = []
    for name in isas.available():
        isa = isas.ISAS[name]
        found.append((name, isa.bits, False))
        if isa.fused:
            found += [(name, bits, True) for bits in (NARROW.get(name), isa.bits) if bits]
    simd = facts().cpu.simd
    widest = (simd.isa, simd.bits or ceilings.FALLBACK_BITS, simd.fma is not False)
    if widest[1:] not in [kind[1:] for kind in found]:
        found.append(widest)
    return found


def highest_peak(sets: Sequence[Ceilings], dtype: str, threads: int) -> Peak | None:
    """Return the highest peak of a type on a number of threads; None if there is none."""
    peaks = [p for s in sets for p in s.peaks if p.dtype == dtype and p.threads == threads]
    return max(peaks, key=lambda peak: peak.flop_per_s, default=None)


def document(sets: Sequence[Ceilings], dtypes: Sequence[str] = DTYPES) -> dict[str, Any]:
    """Return the document of ``ceilings`` in JSON types; docs/result-format.md explains it."""
    known = facts()
    made: dict[str, Any] = plain(
        {
            "schema_version": SCHEMA_VERSION,
            "tool_version": __version__,
            "machine": {**known.identity(), "key": known.identity_key()},
            "ceilings": {
                "measured": [
                    {"threads": found.threads, "measured_at_s": found.measured_at} for found in sets
                ],
                "peaks": [p for s in sets for p in s.peaks if p.dtype in dtypes],
                "bandwidths": [b for s in sets for b in s.bandwidths],
            },
        }
    )
    return made
