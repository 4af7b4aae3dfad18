"""Bencher Metric Format (bencher.dev), for ``bencher run --adapter json``.

``latency`` in nanoseconds with the 95 % interval of the median; ``throughput`` in FLOP/s;
``percent-of-peak`` of the peak that the same run measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.render.exports.rows import Row
    from convprof.results import Document

_NANO = 1e9


def content(document: Document, rows: Sequence[Row]) -> dict[str, Any]:
    """Return the measures by benchmark."""
    del document
    return {row.name: _measures(row) for row in rows}


def _measures(row: Row) -> dict[str, Any]:
    m, time = row.measurement, row.time
    latency = {"value": _NANO * time.median}
    if time.ci95_low is not None and time.ci95_high is not None:
        ends = {"lower_value": _NANO * time.ci95_low, "upper_value": _NANO * time.ci95_high}
        latency |= ends
    measures = {"latency": latency}
    if m.flop_per_s is not None:
        measures["throughput"] = {"value": m.flop_per_s}
    if m.peak_fraction is not None:
        measures["percent-of-peak"] = {"value": 100 * m.peak_fraction}
    return measures
