"""``roofline``: every measured strategy compared with the ceilings of its machine."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from convprof.machine import ceilings_store
from convprof.machine.caches import MEMORY, levels
from convprof.studies import roofline_model
from convprof.studies.run import known_peaks
from convprof.studies.saved import Saved

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convprof.machine.bandwidth import Bandwidth
    from convprof.machine.model import MachineModel
    from convprof.machine.peaks import Peak
    from convprof.results import Measurement
    from convprof.studies.roofline_model import RooflinePoint
    from convprof.studies.run import Choice


@dataclass(frozen=True)
class Roofline:
    """The measurements of one machine that have the same ceilings."""

    source: str
    brand: str | None
    dtype: str
    threads: int
    peaks: tuple[Peak, ...]
    """The highest first: the machine's, and the peaks of chosen instruction sets."""
    bandwidths: dict[str, float]
    """Level -> bytes per second, nearest first; levels whose bandwidth is unknown are not in it."""
    unknown: tuple[str, ...]
    """Those levels."""
    placed: tuple[RooflinePoint, ...]
    """By problem in order of appearance, fastest first."""


def groups(saved: Saved) -> list[tuple[str, int]]:
    """Return the element types and numbers of threads that have a roofline of their own."""
    return list(dict.fromkeys((m.dtype, m.threads) for m in saved.measurements))


def measured_here(
    measurements: Sequence[Measurement], machine: MachineModel, choice: Choice
) -> Saved:
    """Return what was measured by this process, as if it had been read from a file."""
    peaks, own = known_peaks(choice, machine)
    here = machine.facts
    return Saved(
        source="",
        machine=here.identity_key(),
        brand=here.cpu.brand,
        caches=here.caches,
        peaks=tuple(peaks),
        isa_peaks=tuple(own),
        bandwidths=tuple(machine.bandwidths(choice.threads)),
        measurements=tuple(m for m in measurements if m.status == "ok"),
    )


def rooflines(saved: Saved) -> tuple[list[Roofline], list[str]]:
    """Return one per element type and number of threads, and what was left out and why."""
    drawn, notes = [], []
    for dtype, threads in groups(saved):
        members = [m for m in saved.measurements if (m.dtype, m.threads) == (dtype, threads)]
        peaks = [p for p in saved.peaks if (p.dtype, p.threads) == (dtype, threads)]
        if not peaks:
            notes.append(f"{saved.source}: no peak for {dtype} on {threads} threads: left out")
            continue
        own = [p for p in saved.isa_peaks if (p.dtype, p.threads) == (dtype, threads)]
        roofline = _roofline(saved, members, _highest(peaks), own)
        if roofline.placed:
            drawn.append(roofline)
        else:
            notes.append(f"{saved.source}: nothing that computes, in {dtype} on {threads} threads")
    return drawn, notes


def _roofline(
    saved: Saved, members: Sequence[Measurement], peak: Peak, own: Sequence[Peak]
) -> Roofline:
    """Return the roofline of ``members``; ``own``: the peaks of chosen instruction sets."""
    by_isa = {each.isa: each for each in sorted(own, key=_rate)}
    threads = members[0].threads
    caches = levels(saved.caches, threads)
    names = [*(level.name for level in caches), MEMORY]
    bandwidth_of = functools.partial(_bandwidth, saved.bandwidths, threads)
    placed = []
    for measurement in members:
        chosen = by_isa.get(measurement.isa, peak)
        point = roofline_model.place(measurement, chosen.flop_per_s, caches, bandwidth_of)
        if point is not None:
            placed.append(point)
    rates = {name: bandwidth_of(name) for name in names}
    used = {p.peak for p in placed}
    peaks = [p for p in (peak, *by_isa.values()) if p.flop_per_s in used]
    return Roofline(
        source=saved.source,
        brand=saved.brand,
        dtype=members[0].dtype,
        threads=threads,
        peaks=tuple(sorted(peaks, key=_rate, reverse=True) or [peak]),
        bandwidths={name: rate for name, rate in rates.items() if rate is not None},
        unknown=tuple(name for name, rate in rates.items() if rate is None),
        placed=tuple(_ordered(placed)),
    )


def _bandwidth(bandwidths: Sequence[Bandwidth], threads: int, level: str) -> float | None:
    return ceilings_store.highest(bandwidths, level, threads)


def _highest(peaks: Sequence[Peak]) -> Peak:
    return max(peaks, key=_rate)


def _rate(peak: Peak) -> float:
    return peak.flop_per_s


def _ordered(placed: Iterable[RooflinePoint]) -> list[RooflinePoint]:
    by_problem: dict[tuple[str, ...], list[RooflinePoint]] = {}
    for point in placed:
        by_problem.setdefault(point.measurement.problem_key, []).append(point)
    return [
        point
        for members in by_problem.values()
        for point in sorted(members, key=lambda p: p.measurement.rank)
    ]


def complete(saved: Saved, bandwidths: Iterable[Bandwidth]) -> Saved:
    """Return the same with further bandwidths of its machine."""
    return replace(saved, bandwidths=(*saved.bandwidths, *bandwidths))


def lacking(saved: Saved) -> list[int]:
    """Return the numbers of threads for which the bandwidth of some level is not in the file."""
    counts = dict.fromkeys(m.threads for m in saved.measurements)
    return [
        threads
        for threads in counts
        if any(
            ceilings_store.highest(saved.bandwidths, name, threads) is None
            for name in (*(lv.name for lv in levels(saved.caches, threads)), MEMORY)
        )
    ]
