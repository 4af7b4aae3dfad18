"""Ceilings kept on disk: one JSON file per machine, one set of figures per number of threads.

A file is data from a stranger: read up to a size, parsed, checked field by field, and believed only
if it is about this very machine.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args

from convprof.errors import InputError
from convprof.machine import cache_folder
from convprof.machine.bandwidth import Bandwidth
from convprof.machine.ceilings import Peak
from convprof.machine.levels import MEMORY
from convprof.machine.untrusted import array, count, mapping, positive, text
from convprof.simd.streams import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

FORMAT = 1
"""Raised when what is kept changes its meaning: older files are then measured anew."""
MOST_BYTES = 1 << 20
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

    def roof(self, level: str) -> float | None:
        """Return the highest bandwidth of a level over all operations; None if unknown."""
        return highest(self.bandwidths, level, self.threads)


def highest(bandwidths: Iterable[Bandwidth], level: str, threads: int) -> float | None:
    """Return the highest bandwidth of a level over all operations; None if there is none."""
    rates = [
        b.bytes_per_s
        for b in bandwidths
        if b.level == level and b.threads == threads and b.bytes_per_s is not None
    ]
    return max(rates, default=None)


def recall(machine: str, *, parts: bool = False) -> dict[int, Ceilings]:
    """Return what is kept for the machine of that key, by threads; a bad file gives a warning.

    ``parts``: also what was interrupted before all of it was measured.
    """
    path = _path(machine)
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError:
        return {}
    try:
        found = _parsed(data, machine)
    except (ValueError, RecursionError, InputError):
        warnings.warn(f"{path}: not ceilings of this machine, ignored", stacklevel=2)
        return {}
    return {threads: known for threads, known in found.items() if known.whole or parts}


def remember(machine: str, found: Iterable[Ceilings]) -> None:
    """Keep ceilings beside those of other numbers of threads; in vain if the folder is read-only."""  # noqa: E501
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a bad file is replaced now
        sets = {**recall(machine, parts=True), **{ceilings.threads: ceilings for ceilings in found}}
    document = {
        "format": FORMAT,
        "machine": machine,
        "sets": [dataclasses.asdict(sets[threads]) for threads in sorted(sets)],
    }
    path = _path(machine)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(f".{os.getpid()}")
        scratch.write_text(json.dumps(document, allow_nan=False), encoding="utf-8")
        scratch.replace(path)
    except OSError:
        return


def _path(machine: str) -> Path:
    return cache_folder.folder("ceilings") / f"ceilings-{machine}.json"


def _parsed(data: bytes, machine: str) -> dict[int, Ceilings]:
    if len(data) > MOST_BYTES:
        raise InputError("too large")
    document = json.loads(data)
    fields = mapping(document)
    if fields.get("format") != FORMAT or fields.get("machine") != machine:
        raise InputError("of another format or machine")
    sets = [_set(mapping(item)) for item in array(fields.get("sets"))]
    return {ceilings.threads: ceilings for ceilings in sets}


def _set(fields: dict[str, Any]) -> Ceilings:
    threads = count(fields.get("threads"))
    return Ceilings(
        threads,
        positive(fields.get("measured_at")),
        tuple(read_peak(item, threads) for item in array(fields.get("peaks"))),
        tuple(read_bandwidth(item, threads) for item in array(fields.get("bandwidths"))),
        fields.get("whole") is not False,
    )


def read_peak(value: Any, threads: int | None = None) -> Peak:
    """Return the peak that JSON describes; InputError if it is none, or not of those threads."""
    fields = mapping(value)

    def known(key: str, read: Callable[[Any], T]) -> T | None:
        return None if fields.get(key) is None else read(fields[key])

    found = Peak(
        isa=known("isa", text),
        bits=count(fields.get("bits")),
        dtype=text(fields.get("dtype")),
        threads=count(fields.get("threads")),
        flop_per_s=positive(fields.get("flop_per_s")),
        core_hz=known("core_hz", positive),
        flop_per_cycle=known("flop_per_cycle", positive),
        ports=known("ports", functools.partial(count, least=0)),
        fused=fields.get("fused") is not False,
    )
    _same(found.threads, threads)
    return found


def read_bandwidth(value: Any, threads: int | None = None) -> Bandwidth:
    """Return the bandwidth that JSON describes; InputError as for a peak."""
    fields = mapping(value)
    rate, size, reason = (fields.get(key) for key in ("bytes_per_s", "working_set_bytes", "reason"))
    operation, level = fields.get("operation"), text(fields.get("level"))
    if operation not in get_args(Operation):
        raise InputError("an unknown operation")
    if level != MEMORY and not _CACHE_LEVEL.fullmatch(level):
        raise InputError("an unknown level")
    found = Bandwidth(
        level=level,
        operation=cast("Operation", operation),
        threads=count(fields.get("threads")),
        bytes_per_s=None if rate is None else positive(rate),
        working_set_bytes=None if size is None else count(size),
        reason=None if reason is None else text(reason),
    )
    _same(found.threads, threads)
    return found


def _same(found: int, threads: int | None) -> None:
    if threads is not None and found != threads:
        raise InputError("figures of another number of threads")
