"""Read result documents that ``run --json`` wrote; the files may come from strangers.

Only the used fields are read, and each is checked. Unknown fields are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof.errors import InputError
from convprof.json_checks import array, count, decoded, mapping, short, text, tree
from convprof.machine.caches import Cache, CacheKind
from convprof.machine.ceilings_store import read_bandwidth, read_peak
from convprof.studies import reading, versions

if TYPE_CHECKING:
    from convprof.machine.bandwidth import Bandwidth
    from convprof.machine.peaks import Peak
    from convprof.results import Measurement

MOST_BYTES = 64 << 20
_MOST_LEVEL = 8
_MOST_GROUPS = 256
"""Element types and numbers of threads in one file."""
_CACHE_KINDS: tuple[CacheKind, ...] = ("data", "instruction", "unified")


@dataclass(frozen=True)
class Saved:
    """Measurements of one machine, and the ceilings that were measured with them."""

    source: str
    """The file's name."""
    machine: str
    """The machine's key."""
    brand: str | None
    caches: tuple[Cache, ...]
    peaks: tuple[Peak, ...]
    isa_peaks: tuple[Peak, ...]
    bandwidths: tuple[Bandwidth, ...]
    measurements: tuple[Measurement, ...]
    """Measurements that have a time."""
    argv: tuple[str, ...] = ()
    """The words of the command that wrote the file."""


def read(path: str) -> Saved:
    """Return what is in a result file; InputError in one line if it is none."""
    return reading.from_file(
        path,
        lambda file, shown: parsed(decoded(file.read(MOST_BYTES + 1), MOST_BYTES), shown),
    )


def parsed(document: Any, source: str) -> Saved:
    """Return what is in the JSON of a result document; InputError says what is wrong with it."""
    fields = mapping(document)
    versions.of(fields)
    fields = versions.with_labels(fields, fields.get("settings"))
    machine, ceilings = mapping(fields.get("machine")), mapping(fields.get("ceilings"))
    brand = machine.get("brand")
    if "measurements" not in fields:
        raise InputError("there are no measurements in it")
    measurements = tuple(
        reading.measurement(item)
        for item in map(mapping, array(fields["measurements"]))
        if item.get("status") == "ok"
    )
    if len({(m.dtype, m.threads) for m in measurements}) > _MOST_GROUPS:
        raise InputError("it has far too many numbers of threads")
    return Saved(
        source=source,
        machine=text(machine.get("key")),
        brand=None if brand is None else text(brand),
        caches=tuple(_cache(item) for item in short(machine.get("caches", []))),
        peaks=tuple(read_peak(item) for item in short(ceilings.get("peaks", []))),
        isa_peaks=tuple(read_peak(item) for item in short(ceilings.get("isa_peaks") or [])),
        bandwidths=tuple(read_bandwidth(item) for item in short(ceilings.get("bandwidths", []))),
        measurements=measurements,
        argv=reading.argv(tree(mapping(fields.get("settings", {})))),
    )


def _cache(value: Any) -> Cache:
    fields = mapping(value)

    def number(key: str) -> int | None:
        return None if fields.get(key) is None else count(fields[key])

    level = count(fields.get("level"))
    if level > _MOST_LEVEL:
        raise InputError("a cache of an unknown level")
    kind = fields.get("kind")
    return Cache(
        level=level,
        kind=None if kind is None else reading.one_of(kind, _CACHE_KINDS, "kind of cache"),
        size_bytes=number("size_bytes"),
        line_bytes=number("line_bytes"),
        ways=number("ways"),
        shared_by=number("shared_by"),
        instances=reading.threads(fields["instances"]) if fields.get("instances") else None,
        core_kind=None,
    )
