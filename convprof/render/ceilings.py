"""The output of ``convprof ceilings``: peaks, bandwidths, and their age."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from convprof import units
from convprof.render.columns import Column, print_table
from convprof.render.console import say
from convprof.render.text_tables import csv_text, markdown_table
from convprof.studies.ceilings import latencies, nodes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from rich.console import Console

    from convprof.machine.bandwidth import Bandwidth
    from convprof.machine.ceilings_store import Ceilings
    from convprof.machine.core_latency import CoreLatency
    from convprof.machine.node_bandwidth import NodeBandwidth
    from convprof.machine.peaks import Peak

NOTHING = "-"
UNKNOWN = "unknown"
GIGA = 1e9
COUNTED = (
    "bytes: loads + stores of the program; lines that a store reads first are not "
    "counted · copy: b = a · triad: c = a + s*b"
)
CYCLES = (
    "GFLOP/s, GHz: kept up for 20 ms and more · burst: GFLOP/s of the best 0.2 ms",
    "FLOP/cycle: per core, by the clock measured inside the same loop",
)
TILE_CEILING = "from L1: the tile ceiling, of 2 x 2 tiles, which load 4 tiles for 4 products"
_AGES = ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute"))


@dataclass(frozen=True)
class _BandwidthRow:
    """A level on a number of threads."""

    level: str
    threads: int
    by_operation: dict[str, Bandwidth]

    def cell(self, operation: str) -> str:
        bandwidth = self.by_operation.get(operation)
        if bandwidth is None or bandwidth.bytes_per_s is None:
            return UNKNOWN
        return units.digits(bandwidth.bytes_per_s / GIGA)

    @property
    def working_set(self) -> str:
        sizes = [b.working_set_bytes for b in self.by_operation.values() if b.working_set_bytes]
        return units.size(max(sizes)) if sizes else NOTHING

    @property
    def reason(self) -> str | None:
        return next((b.reason for b in self.by_operation.values() if b.reason), None)


def ceilings_report(
    console: Console,
    sets: Sequence[Ceilings],
    dtypes: Sequence[str],
    *,
    now: float,
    machine: str,
    unkept_in: Path | None = None,
) -> None:
    """Print both tables, the meaning of the figures, and their age. ``now``: seconds since 1970.

    ``unkept_in``: the folder in which they could not be stored.
    """
    peaks = _peaks(sets, dtypes)
    if peaks:
        print_table(console, "peak arithmetic", peak_columns(), peaks)
        say(console, *CYCLES, *_tile_lines(peaks), style="dim")
    rows = _bandwidth_rows(sets)
    if rows:
        if peaks:
            console.print()
        print_table(console, "bandwidth", bandwidth_columns(), rows)
        say(console, *_lines(rows), style="dim")
    say(console, *latency_lines(latencies(sets)), *node_lines(nodes(sets)))
    say(console, *(f"{line}, {_kept(machine, unkept_in)}" for line in age_lines(sets, now)))


def _tile_lines(peaks: Sequence[Peak]) -> list[str]:
    """Return the meaning of the tile ceilings, if there are some."""
    return [TILE_CEILING] if any(peak.is_tile_ceiling for peak in peaks) else []


def _kept(machine: str, unkept_in: Path | None) -> str:
    if unkept_in is None:
        return f"kept for machine {machine}"
    return f"not kept, because {unkept_in} cannot be written (CONVPROF_CACHE_DIR names another)"


def latency_lines(measured: Sequence[CoreLatency]) -> list[str]:
    """Return the latencies between CPUs in a line: the shortest, median and longest one."""
    known = sorted((each for each in measured if each.seconds), key=lambda each: each.seconds or 0)
    if not known:
        reason = next((each.reason for each in measured if each.reason), None)
        return [f"core-to-core latency: {UNKNOWN}, {reason}"] if reason else []
    if len(known) == 1:
        return [f"core-to-core latency: {_pair(known[0])}"]
    middle = statistics.median(each.seconds or 0.0 for each in known)
    ends = f"{_pair(known[0])} at least, {_pair(known[-1])} at most"
    median = f"{units.time(middle)} in the median"
    return [f"core-to-core latency of {len(known)} pairs: {ends}, {median}"]


def _pair(each: CoreLatency) -> str:
    first, second = each.cpus
    return f"{units.time(each.seconds or 0.0)} (CPUs {first} and {second})"


def node_lines(measured: Sequence[NodeBandwidth]) -> list[str]:
    """Return the bandwidth of each NUMA node's memory from the node's own CPUs, a line each."""
    return [
        f"NUMA node {each.node}, {_threads(each.threads)}: "
        + (units.si(each.bytes_per_s, "B/s") if each.bytes_per_s else f"{UNKNOWN}, {each.reason}")
        for each in measured
    ]


def _lines(rows: Iterable[_BandwidthRow]) -> list[str]:
    reasons = [
        f"{row.level} on {_threads(row.threads)}: {row.reason}" for row in rows if row.reason
    ]
    return [COUNTED, *reasons]


BUSY_CPUS = 0.5
"""Work of other programs from which bandwidths and peaks may be too low."""


def age_lines(sets: Sequence[Ceilings], now: float) -> list[str]:
    """Return ``measured 3 days ago (2026-02-01 10:15 UTC)``, one line for sets of the same time."""
    by_text: dict[str, list[int]] = {}
    for each in sets:
        date = datetime.fromtimestamp(each.measured_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
        text = f"measured {age(now - each.measured_at)} ({date})"
        if each.load is not None and each.load > BUSY_CPUS:
            text += f", while other programs used {each.load:.1f} CPUs"
        by_text.setdefault(text, []).append(each.threads)
    if len(by_text) == 1:
        return list(by_text)
    return [
        f"on {_threads(threads[-1], ', '.join(map(str, threads)))}: {text}"
        for text, threads in by_text.items()
    ]


def age(seconds: float) -> str:
    """Return ``just now``, ``5 minutes ago``, ``3 days ago``."""
    for size, name in _AGES:
        if seconds >= size:
            number = int(seconds // size)
            return f"{number} {name}{'' if number == 1 else 's'} ago"
    return "just now" if seconds > -_AGES[-1][0] else "in the future, by this clock"


def _threads(number: int, text: str | None = None) -> str:
    return f"{text or number} thread{'' if number == 1 else 's'}"


def _peaks(sets: Sequence[Ceilings], dtypes: Sequence[str]) -> list[Peak]:
    return [p for dtype in dtypes for s in sets for p in s.peaks if p.dtype == dtype]


def peak_columns() -> list[Column[Peak]]:
    """Return the columns of the table of peaks."""
    return [
        Column("dtype", lambda p: p.dtype, 1, "left", key=True),
        Column("threads", lambda p: str(p.threads), 2, key=True),
        Column("ISA", lambda p: p.isa or UNKNOWN, 1, "left"),
        Column("bits", lambda p: str(p.bits), 1),
        Column("arithmetic", _arithmetic, 1, "left"),
        Column("GFLOP/s", lambda p: units.digits(p.flop_per_s / GIGA), 1),
        Column("burst", lambda p: _digits(p.burst_flop_per_s and p.burst_flop_per_s / GIGA), 5),
        Column("FLOP/cycle", lambda p: _digits(p.flop_per_cycle), 3),
        Column("GHz", lambda p: _digits(p.core_hz and p.core_hz / GIGA), 4),
    ]


def _arithmetic(peak: Peak) -> str:
    what = peak.instruction or ("FMA" if peak.fused else "multiply, add")
    return f"{what} from L1" if peak.is_tile_ceiling else what


def _digits(value: float | None) -> str:
    return UNKNOWN if value is None else units.digits(value)


def _bandwidth_rows(sets: Sequence[Ceilings]) -> list[_BandwidthRow]:
    rows: dict[tuple[str, int], dict[str, Bandwidth]] = {}
    for each in sets:
        for b in each.bandwidths:
            rows.setdefault((b.level, b.threads), {})[b.operation] = b
    return [_BandwidthRow(level, threads, by) for (level, threads), by in rows.items()]


def bandwidth_columns() -> list[Column[_BandwidthRow]]:
    """Return the columns of the table of bandwidths."""
    return [
        Column("level", lambda r: r.level, 1, "left"),
        Column("threads", lambda r: str(r.threads), 1, key=True),
        Column("bytes per thread", lambda r: r.working_set, 3),
        Column("load [GB/s]", lambda r: r.cell("load"), 1),
        Column("store [GB/s]", lambda r: r.cell("store"), 2),
        Column("copy [GB/s]", lambda r: r.cell("copy"), 2),
        Column("triad [GB/s]", lambda r: r.cell("triad"), 2),
    ]


def to_csv(document: dict[str, Any]) -> Iterator[str]:
    """Return one row per ceiling; ``kind`` names what it is the ceiling of."""
    ceilings = document["ceilings"]
    rows = [{"kind": "peak", **peak} for peak in ceilings["peaks"]]
    rows += [{"kind": "bandwidth", **b} for b in ceilings["bandwidths"]]
    rows += [
        {"kind": "core latency", **each, "cpus": "-".join(map(str, each["cpus"]))}
        for each in ceilings["core_latencies"]
    ]
    rows += [{"kind": "node bandwidth", **each} for each in ceilings["node_bandwidths"]]
    return csv_text(lambda: rows)


def to_markdown(
    sets: Sequence[Ceilings],
    dtypes: Sequence[str],
    *,
    now: float,
    machine: str,
    unkept_in: Path | None = None,
) -> str:
    """Return both tables in Markdown, and the lines below them."""
    rows, peaks = _bandwidth_rows(sets), _peaks(sets, dtypes)
    parts = [
        "### peak arithmetic\n",
        markdown_table(peak_columns(), peaks),
        *(f"{line}  " for line in (*CYCLES, *_tile_lines(peaks))),
        "",
        "### bandwidth\n",
        markdown_table(bandwidth_columns(), rows),
        *(f"{line}  " for line in _lines(rows)),
        *(f"{line}  " for line in (*latency_lines(latencies(sets)), *node_lines(nodes(sets)))),
        *(f"{line}, {_kept(machine, unkept_in)}\n" for line in age_lines(sets, now)),
    ]
    return "\n".join(parts)
