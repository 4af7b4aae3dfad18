"""The ceilings of a machine out of the document of ``convprof ceilings``."""

from __future__ import annotations

from typing import Any

from convprof.errors import InputError
from convprof.json_checks import array, count, mapping, number, text
from convprof.machine.ceilings_store import (
    LATEST_S,
    Ceilings,
    read_bandwidth,
    read_latency,
    read_node,
    read_peak,
)


def read(fields: dict[str, Any]) -> tuple[list[Ceilings], str]:
    """Return the ceilings by number of threads, and the key of their machine."""
    machine, ceilings = mapping(fields.get("machine")), mapping(fields.get("ceilings"))
    peaks = [read_peak(item) for item in array(ceilings.get("peaks"))]
    bandwidths = [read_bandwidth(item) for item in array(ceilings.get("bandwidths"))]
    latencies = tuple(read_latency(item) for item in array(ceilings.get("core_latencies", [])))
    nodes = tuple(read_node(item) for item in array(ceilings.get("node_bandwidths", [])))
    sets = []
    for item in map(mapping, array(ceilings.get("measured"))):
        threads, load, llvm = count(item.get("threads")), item.get("load_cpus"), item.get("llvm")
        sets.append(
            Ceilings(
                threads=threads,
                measured_at=min(number(item.get("measured_at_s")), LATEST_S),
                peaks=tuple(peak for peak in peaks if peak.threads == threads),
                bandwidths=tuple(b for b in bandwidths if b.threads == threads),
                load=None if load is None else number(load),
                llvm=None if llvm is None else text(llvm),
                latencies=latencies if threads > 1 else None,
                nodes=nodes if threads > 1 else (),
            )
        )
    if not any(each.peaks or each.bandwidths for each in sets):
        raise InputError("it has neither a peak nor a bandwidth")
    return sets, text(machine.get("key"))
