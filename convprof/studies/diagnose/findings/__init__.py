"""What a log shows, in words: each finding has its evidence and a way out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from convprof.studies.diagnose.findings import (
    calls,
    conversions,
    creations,
    element_types,
    slow_paths,
    surroundings,
    threads,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.logs.operation import Reading
    from convprof.studies.diagnose.finding import Finding
    from convprof.studies.diagnose.rows import Row

NO_CAUSES = (surroundings.OVER, creations.ONCE)
"""Findings that are not a reason to change the program: another log is more useful."""


def findings(
    rows: Sequence[Row], reading: Reading, *, cores: int, f32_peak: float | None
) -> list[Finding]:
    """Return the findings, the one about the most time first; ``NO_CAUSES`` come last.

    ``cores``: of this machine; ``f32_peak``: its FLOP/s on as many threads.
    """
    total = math.fsum(row.total_s for row in rows)
    waited = threads.waiting(rows)
    # Where threads waited, no time of the log says anything about kernels: a measurement does.
    sound = rows if waited is None else [row for row in rows if row.faster is not None]
    every = [
        *conversions.conversions(rows, total),
        waited,
        threads.too_many(reading, cores, total),
        threads.do_not_pay(sound, total),
        threads.denormals(sound),
        calls.tiny(rows, total),
        slow_paths.reference(rows),
        slow_paths.depthwise(rows),
        slow_paths.grouped(sound),
        creations.creations(rows, reading, total),
        element_types.slow_bf16(sound, f32_peak),
        surroundings.slower_than_alone(rows, total),
        surroundings.over(rows),
    ]
    known = [finding for finding in every if finding is not None]
    return sorted(known, key=lambda finding: (finding.kind in NO_CAUSES, -finding.seconds))
