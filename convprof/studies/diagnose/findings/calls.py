"""The finding about calls that cost more than their work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.studies.diagnose.finding import (
    CALL_S,
    Finding,
    calls_of,
    is_beyond_a_call,
    name,
    total_of,
)
from convprof.studies.diagnose.findings.threads import is_small

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.studies.diagnose.rows import Row

FAR = 10
"""The call takes this many times as long as its work: the rest is the cost of the call."""
WORTH = 0.2
"""A share of the time of all operations."""


def tiny(rows: Sequence[Row], total: float) -> Finding | None:
    """Return the finding about operations so small that the cost of a call dominates."""
    small = [
        row
        for row in rows
        if (row.times_least or 0.0) > FAR and not is_beyond_a_call(row) and not is_small(row)
    ]
    if not total or total_of(small) < WORTH * total:
        return None
    first = max(small, key=lambda row: row.total_s)
    return Finding(
        "calls cost more than their work",
        f"{calls_of(small)} take {units.time(total_of(small))}, each up to {units.time(CALL_S)} "
        f"longer than its work, such as {name(first)}: {units.time(first.median_s or 0.0)} for "
        f"{units.time(first.least_s or 0.0)} of work.",
        "Compute more in one call: larger batches, or a compiled model (torch.compile, ONNX "
        "Runtime, OpenVINO), which has fewer calls.",
        total_of(small),
    )
