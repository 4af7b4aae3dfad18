"""JSON of google/benchmark, as ``--benchmark_format=json`` writes it.

Each round is a repetition, so that ``compare.py`` has the samples of its U test; mean, median and
standard deviation follow as aggregates. Counters: FLOP/s, bytes and % of the peak.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.json_checks import array, mapping

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convprof.render.exports.rows import Row
    from convprof.results import Document

_NANO = 1e9
_MEGA = 1e6


def content(document: Document, rows: Sequence[Row]) -> dict[str, Any]:
    """Return the context and the benchmarks."""
    return {
        "context": _context(document),  # without a date: a document has none
        "benchmarks": [each for row in rows for each in _of(row)],
    }


def _context(document: Document) -> dict[str, Any]:
    clock = document.state.get("core_hz") or {}
    caches = map(mapping, array(document.machine.get("caches") or []))
    return {
        "host_name": document.machine["key"],
        "executable": f"convprof {document.tool_version}",
        "num_cpus": document.machine.get("logical_cpus") or 0,
        "mhz_per_cpu": round((clock.get("median") or 0) / _MEGA),
        "cpu_scaling_enabled": False,
        "caches": [
            {
                "type": str(cache.get("kind") or "unified").capitalize(),
                "level": cache.get("level"),
                "size": cache.get("size_bytes"),
                "num_sharing": cache.get("shared_by") or 0,
            }
            for cache in caches
        ],
        "load_avg": [],
        "library_build_type": "release",
        "json_schema_version": 1,
    }


def _of(row: Row) -> Iterator[dict[str, Any]]:
    rounds = row.rounds
    common = {
        "run_name": row.name,
        "repetitions": len(rounds),
        "threads": row.measurement.threads,
    }
    for index, seconds in enumerate(rounds):
        yield {
            "name": row.name,
            **common,
            "run_type": "iteration",
            "repetition_index": index,
            "iterations": row.time.calls_per_sample,
            **_times(seconds),
            **_counters(row),
        }
    aggregates = {"mean": row.mean, "median": row.median, "stddev": row.deviation}
    for name, value in aggregates.items():
        if value is not None and len(rounds) > 1:
            yield {
                "name": f"{row.name}_{name}",
                **common,
                "run_type": "aggregate",
                "aggregate_name": name,
                "aggregate_unit": "time",
                "iterations": len(rounds),
                **_times(value),
            }


def _times(seconds: float) -> dict[str, Any]:
    return {"real_time": _NANO * seconds, "cpu_time": _NANO * seconds, "time_unit": "ns"}


def _counters(row: Row) -> dict[str, float]:
    m = row.measurement
    share = None if m.peak_fraction is None else 100 * m.peak_fraction
    values = {"FLOP/s": m.flop_per_s, "percent_of_peak": share, "bytes": m.bytes_min}
    return {name: float(value) for name, value in values.items() if value is not None}
