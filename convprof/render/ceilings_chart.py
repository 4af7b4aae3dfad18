"""``ceilings`` as a chart: peaks, and the bandwidth of each level from the nearest to memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.dtypes import short_name
from convprof.render.charts.chart import Bar, Bars, Panel
from convprof.render.findings import GIGA, joined, threads_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.machine.bandwidth import Bandwidth
    from convprof.machine.ceilings_store import Ceilings
    from convprof.machine.peaks import Peak

LOAD = "load"
PEAKS, BANDWIDTHS = (
    "the highest peak of each instruction set",
    "bandwidth of loads, nearest level first",
)


def ceilings_chart(sets: Sequence[Ceilings], dtypes: Sequence[str], *, dated: str) -> Bars | None:
    """Return both kinds of ceilings; None without known ceilings. ``dated``: machine and date."""
    peaks = [p for dtype in dtypes for s in sets for p in s.peaks if p.dtype == dtype]
    loads = [
        b for s in sets for b in s.bandwidths if b.operation == LOAD and b.bytes_per_s is not None
    ]
    panels = [
        *([Panel("GFLOP/s", tuple(map(_peak_bar, _highest(peaks))), PEAKS)] if peaks else []),
        *([Panel("GB/s", tuple(_load_bar(b, sets) for b in loads), BANDWIDTHS)] if loads else []),
    ]
    if not panels:
        return None
    finding, balance = _finding(peaks, loads)
    return Bars(finding, tuple(panels), joined(balance, dated), _caption(loads))


def _highest(peaks: Sequence[Peak]) -> list[Peak]:
    """Return the highest peak of each type, instruction set and number of threads, in order."""
    best: dict[tuple[str, int, str | None], Peak] = {}
    for peak in peaks:
        key = peak.dtype, peak.threads, peak.isa
        if key not in best or peak.flop_per_s > best[key].flop_per_s:
            best[key] = peak
    return list(best.values())


def _finding(peaks: Sequence[Peak], loads: Sequence[Bandwidth]) -> tuple[str, str]:
    """Return the highest peak and the bandwidth of memory; and the intensity of both, if known."""
    parts = []
    peak = max(peaks, key=lambda p: p.flop_per_s, default=None)
    if peak is not None:
        most = f"{units.si(peak.flop_per_s, 'FLOP/s')} in {short_name(peak.dtype)}"
        parts.append(f"{threads_words(peak.threads)}: {most}")
    threads = peak.threads if peak is not None else max(b.threads for b in loads)
    farthest = [b for b in loads if b.threads == threads]
    if not farthest:
        return ", ".join(parts), ""
    last = farthest[-1]
    rate = last.bytes_per_s or 0.0
    parts.append(f"{units.si(rate, 'B/s')} from {last.level}")
    text = ", ".join(parts)
    if peak is None or not rate:
        return text, ""
    return text, f"{last.level} is the limit below {peak.flop_per_s / rate:.0f} FLOP/byte"


def _caption(loads: Sequence[Bandwidth]) -> str:
    return "right: GB/s of load, store, copy and triad" if loads else ""


def _peak_bar(peak: Peak) -> Bar:
    kind = " ".join(part for part in (peak.isa, f"{peak.bits} bits") if part)
    label = joined(short_name(peak.dtype), kind, threads_words(peak.threads))
    per_cycle = f"{units.digits(peak.flop_per_cycle)} FLOP/cycle" if peak.flop_per_cycle else ""
    arithmetic = "" if peak.fused else "multiply and add apart"
    note = joined(units.digits(peak.flop_per_s / GIGA), per_cycle, arithmetic)
    return Bar(label, peak.flop_per_s / GIGA, note=note)


def _load_bar(bandwidth: Bandwidth, sets: Sequence[Ceilings]) -> Bar:
    same = [
        b
        for s in sets
        for b in s.bandwidths
        if (b.level, b.threads) == (bandwidth.level, bandwidth.threads)
    ]
    rates = [f"{b.operation} {units.digits(b.bytes_per_s / GIGA)}" for b in same if b.bytes_per_s]
    label = joined(bandwidth.level, threads_words(bandwidth.threads))
    return Bar(label, (bandwidth.bytes_per_s or 0.0) / GIGA, note=joined(*rates))
