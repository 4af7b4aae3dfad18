"""Findings from a comparison with this machine: its peaks, and measurements with ``--measure``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from convprof import units
from convprof.studies.diagnose.finding import CALL_S, Finding, name, names_of, total_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.studies.diagnose.rows import Row

ALONE = 0.25
"""A share of a call's time: a smaller difference is explained by warm caches."""
_WORTH = 0.1
"""A share of the total."""
OVER = "faster than the peak"


def slower_than_alone(rows: Sequence[Row], total: float) -> Finding | None:
    """Look for libraries that take longer in the program than in a measurement with ``--measure``.

    Rows in doubt count nowhere: their ``around_s`` is 0.
    """
    slow = [row for row in rows if row.around_s > max(CALL_S, ALONE * (row.median_s or 0.0))]
    seconds = math.fsum(row.calls * row.around_s for row in slow)
    if not total or seconds < _WORTH * total:
        return None
    row = max(slow, key=lambda row: row.calls * row.around_s)
    alone_s = (row.median_s or 0.0) - row.around_s
    return Finding(
        "slower in the program than alone",
        f"{row.operation.library} takes {units.time(row.median_s or 0.0)} for {name(row)} in the "
        f"program, and {units.time(alone_s)} when it is measured alone here"
        f"{f' ({len(slow) - 1:,} more like that)' if len(slow) > 1 else ''}.",
        "No other strategy gains this part. Look for cold caches, memory that is allocated anew, "
        "other threads at work, and another layout or number of threads.",
        seconds,
    )


def over(rows: Sequence[Row]) -> Finding | None:
    """Return the finding about rates that this machine cannot reach."""
    rows_over = [row for row in rows if row.over]
    if not rows_over:
        return None
    return Finding(
        OVER,
        f"{names_of(rows_over)} is faster than this machine's peak allows. Nothing is concluded "
        f"from such rows.",
        "Diagnose the log on the machine that wrote it, with as many threads as the program had. "
        "Another reason is an algorithm with fewer FLOPs, such as Winograd.",
        total_of(rows_over),
    )
