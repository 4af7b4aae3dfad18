"""benchmark-action/github-action-benchmark, tool ``customBiggerIsBetter``: % of the peak.

The peak is measured in the same run: a slower runner is no regression, and an alert is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof import units
from convprof.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.render.exports.rows import Row
    from convprof.results import Document


def content(document: Document, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return an entry for each row that has a share of the peak; InputError if none has."""
    brand = document.machine.get("brand") or "unknown CPU"
    entries = [
        {
            "name": row.name,
            "unit": "% of peak",
            "value": 100 * row.measurement.peak_fraction,
            **_range(row, 100 * row.measurement.peak_fraction),
            "extra": f"{units.time(row.time.median)} a call on {brand}",
        }
        for row in rows
        if row.measurement.peak_fraction is not None
    ]
    if not entries:
        raise InputError("no time has a share of the peak to export")
    return entries


def _range(row: Row, share: float) -> dict[str, str]:
    """Return the half width of the interval, as the action shows it next to the value."""
    time = row.time
    if not time.ci95_low or not time.ci95_high:
        return {}
    low, high = share * time.median / time.ci95_high, share * time.median / time.ci95_low
    return {"range": f"± {(high - low) / 2:.2g}"}
