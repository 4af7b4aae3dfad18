"""Ceilings stored on disk: one JSON file per machine, one set of figures per number of threads.

A file is data from a stranger: read up to a size, parsed, checked field by field, and used only
if it is about this very machine.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args

from convprof import cache_folder
from convprof.codegen.probes.streams import Operation
from convprof.codegen.probes.tile_products import L1, REGISTERS
from convprof.errors import InputError
from convprof.json_checks import array, count, decoded, mapping, number, positive, text
from convprof.machine.bandwidth import Bandwidth
from convprof.machine.caches import MEMORY
from convprof.machine.core_latency import CoreLatency
from convprof.machine.node_bandwidth import NodeBandwidth
from convprof.machine.peaks import Peak

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

FORMAT = 2
"""Raised when the meaning of stored figures changes: older ones are then measured again."""
MOST_BYTES = 1 << 20
LATEST_S = 253_402_300_799
"""The last second of the year 9999: Python has no later dates."""
_CACHE_LEVEL = re.compile(r"L[1-9]")

T = TypeVar("T")


@dataclass(frozen=True)
class Ceilings:
    """What was measured on a number of threads at one time."""

    threads: int
    measured_at: float
    """Seconds since 1970, UTC."""
    peaks: tuple[Peak, ...]
    bandwidths: tuple[Bandwidth, ...]
    whole: bool = True
    """Whether everything was measured; False where an interruption left parts."""
    load: float | None = None
    """CPUs that other programs kept busy meanwhile; None where unknown."""
    llvm: str | None = None
    """The version of LLVM that generated the code."""
    latencies: tuple[CoreLatency, ...] | None = None
    """Between pairs of CPUs; None where they are not measured, as with one thread."""
    nodes: tuple[NodeBandwidth, ...] = ()
    """Of each NUMA node, if there are several; of several threads."""
    pairs_left: bool = False
    """Whether an interruption left pairs of CPUs without a latency."""


def highest(bandwidths: Iterable[Bandwidth], level: str, threads: int) -> float | None:
    """Return the highest bandwidth of a level over all operations; None without one."""
    rates = [
        b.bytes_per_s
        for b in bandwidths
        if b.level == level and b.threads == threads and b.bytes_per_s is not None
    ]
    return max(rates, default=None)


def load(machine: str, *, parts: bool = False) -> dict[int, Ceilings]:
    """Return what is stored for the machine of that key, by threads; nothing from a bad file.

    ``parts``: also the figures of a measurement that was interrupted.
    """
    path = _path(machine)
    sets = _read(path, machine)
    if sets is None:
        cache_folder.complain("ceilings", f"{path}: not ceilings of this machine: measured anew")
    return {threads: known for threads, known in (sets or {}).items() if known.whole or parts}


def save(machine: str, measured: Iterable[Ceilings]) -> Path | None:
    """Add ceilings to the file, next to other numbers of threads; a bad file is replaced.

    Return the folder if it cannot be written; None if all is stored.
    """
    path = _path(machine)
    known = _read(path, machine) or {}
    sets = {**known, **{ceilings.threads: ceilings for ceilings in measured}}
    document = {
        "format": FORMAT,
        "machine": machine,
        "sets": [dataclasses.asdict(sets[threads]) for threads in sorted(sets)],
    }
    stored = cache_folder.write(path, json.dumps(document, allow_nan=False))
    return None if stored else path.parent


def _read(path: Path, machine: str) -> dict[int, Ceilings] | None:
    """Return what a file holds: nothing if it is not there, None if it holds something else."""
    data = cache_folder.read(path, MOST_BYTES)
    return {} if data is None else _believed(data, machine)


@functools.lru_cache(maxsize=4)
def _believed(data: bytes, machine: str) -> dict[int, Ceilings] | None:
    """Return the content of a file, None if it is not ceilings of the machine.

    Plans of many threads read the file several times for each layer of a network.
    """
    try:
        return _parsed(data, machine)
    except InputError:
        return None


def _path(machine: str) -> Path:
    return cache_folder.folder("ceilings") / f"ceilings-{machine}.json"


def _parsed(data: bytes, machine: str) -> dict[int, Ceilings]:
    fields = mapping(decoded(data, MOST_BYTES))
    if fields.get("format") != FORMAT or fields.get("machine") != machine:
        raise InputError("of another format or machine")
    sets = [_set(mapping(item)) for item in array(fields.get("sets"))]
    return {ceilings.threads: ceilings for ceilings in sets}


def _set(fields: dict[str, Any]) -> Ceilings:
    threads = count(fields.get("threads"))
    return Ceilings(
        threads,
        _date(fields.get("measured_at")),
        tuple(read_peak(item, threads) for item in array(fields.get("peaks"))),
        tuple(read_bandwidth(item, threads) for item in array(fields.get("bandwidths"))),
        fields.get("whole") is not False,
        None if fields.get("load") is None else number(fields["load"]),
        None if fields.get("llvm") is None else text(fields["llvm"]),
        _latencies(fields.get("latencies")),
        tuple(read_node(item) for item in array(fields.get("nodes", []))),
        fields.get("pairs_left") is True,
    )


def _latencies(value: Any) -> tuple[CoreLatency, ...] | None:
    return None if value is None else tuple(read_latency(item) for item in array(value))


def read_latency(value: Any) -> CoreLatency:
    """Return the latency between two CPUs that JSON describes; InputError if it is none."""
    fields = mapping(value)
    cpus = [count(cpu, least=0) for cpu in array(fields.get("cpus"))]
    if len(cpus) != 2:  # noqa: PLR2004  # a pair
        raise InputError("a pair of CPUs is missing")
    seconds, fastest, reason = (fields.get(key) for key in ("seconds", "fastest_s", "reason"))
    return CoreLatency(
        (cpus[0], cpus[1]),
        None if seconds is None else positive(seconds),
        None if fastest is None else positive(fastest),
        None if reason is None else text(reason),
    )


def read_node(value: Any) -> NodeBandwidth:
    """Return the bandwidth of a NUMA node that JSON describes; InputError if it is none."""
    fields = mapping(value)
    rate, reason = fields.get("bytes_per_s"), fields.get("reason")
    return NodeBandwidth(
        count(fields.get("node"), least=0),
        count(fields.get("threads"), least=0),
        None if rate is None else positive(rate),
        None if reason is None else text(reason),
    )


def _date(value: Any) -> float:
    seconds = positive(value)
    if seconds > LATEST_S:
        raise InputError("a date is too far in the future")
    return seconds


def read_peak(value: Any, threads: int | None = None) -> Peak:
    """Return the peak that JSON describes; InputError for another content or number of threads."""
    fields = mapping(value)

    def known(key: str, read: Callable[[Any], T]) -> T | None:
        return None if fields.get(key) is None else read(fields[key])

    peak = Peak(
        isa=known("isa", text),
        bits=count(fields.get("bits")),
        dtype=text(fields.get("dtype")),
        threads=count(fields.get("threads")),
        flop_per_s=positive(fields.get("flop_per_s")),
        core_hz=known("core_hz", positive),
        flop_per_cycle=known("flop_per_cycle", positive),
        ports=known("ports", functools.partial(count, least=0)),
        fused=fields.get("fused") is not False,
        operands=known("operands", _operands) or REGISTERS,
        instruction=text(fields.get("instruction", "")),
        burst_flop_per_s=known("burst_flop_per_s", positive),
        burst_hz=known("burst_hz", positive),
        after_hz=known("after_hz", positive),
    )
    _same(peak.threads, threads)
    return peak


def _operands(value: Any) -> str:
    if text(value) not in {REGISTERS, L1}:
        raise InputError("an unknown place of operands")
    return text(value)


def read_bandwidth(value: Any, threads: int | None = None) -> Bandwidth:
    """Return the bandwidth that JSON describes; InputError as for a peak."""
    fields = mapping(value)
    rate, size, reason = (fields.get(key) for key in ("bytes_per_s", "working_set_bytes", "reason"))
    burst = fields.get("burst_bytes_per_s")
    operation, level = fields.get("operation"), text(fields.get("level"))
    if operation not in get_args(Operation):
        raise InputError("an unknown operation")
    if level != MEMORY and not _CACHE_LEVEL.fullmatch(level):
        raise InputError("an unknown level")
    bandwidth = Bandwidth(
        level=level,
        operation=cast("Operation", operation),
        threads=count(fields.get("threads")),
        bytes_per_s=None if rate is None else positive(rate),
        working_set_bytes=None if size is None else count(size),
        reason=None if reason is None else text(reason),
        burst_bytes_per_s=None if burst is None else positive(burst),
    )
    _same(bandwidth.threads, threads)
    return bandwidth


def _same(number: int, threads: int | None) -> None:
    if threads is not None and number != threads:
        raise InputError("figures of another number of threads")
