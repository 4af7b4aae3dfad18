"""The finding about primitives and sessions that are created."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from convprof import units
from convprof.studies.diagnose.finding import Finding, names_of, percent
from convprof.studies.diagnose.groups import OTHER_SHAPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.logs.operation import Reading
    from convprof.studies.diagnose.rows import Row

CREATIONS = 0.05
"""A share of the total."""
ONCE = "creation"


def creations(rows: Sequence[Row], reading: Reading, total: float) -> Finding | None:
    """Return the finding about creations: repeated ones, or those that happen once."""
    created = [row for row in rows if row.created]
    seconds = math.fsum(row.creation_s for row in rows)
    again = [
        row
        for row in created
        if row.created > reading.processes_of(row.operation.library)
        and row.operation.text != OTHER_SHAPES
    ]
    repeated = math.fsum(row.creation_s for row in again)
    if not total or max(seconds, repeated) < CREATIONS * total:
        return None
    count = sum(row.created for row in created)
    more = " or more" if any(row.operation.text == OTHER_SHAPES for row in created) else ""
    text = (
        f"Creating primitives and sessions takes {percent(seconds, total)} of the time "
        f"({units.time(seconds)}): {count:,} creations of {len(created):,}{more} different "
        f"operations."
    )
    if not again:
        return Finding(
            ONCE,
            text,
            "No operation was created twice: warm up before you measure, and keep the process "
            "alive. If the shapes change, pad them to a few sizes.",
            seconds,
        )
    return Finding(
        "creation repeated",
        f"{text} {names_of(again)} was created {again[0].created:,} times.",
        "Raise ONEDNN_PRIMITIVE_CACHE_CAPACITY (default 1024), or pad changing shapes to a few "
        "sizes.",
        seconds,
    )
