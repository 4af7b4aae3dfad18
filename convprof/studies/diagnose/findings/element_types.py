"""The finding about bf16 that is slower than f32 would be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from convprof import units
from convprof.dtypes import F32
from convprof.studies.diagnose.finding import Finding, names_of, total_of
from convprof.studies.diagnose.findings.slow_paths import large

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convprof.problems.base import Problem
    from convprof.studies.diagnose.rows import Row

BELOW_F32 = 0.5
"""A bf16 rate below this part of the f32 peak: f32 at an ordinary share of its peak is faster."""


def slow_bf16(rows: Sequence[Row], f32_peak: float | None) -> Finding | None:
    """Return the finding about large problems whose bf16 does not pay.

    The proof is a time of the same problem in f32: of the same log, or measured. Without one it is
    a rate that f32 usually reaches.
    """
    in_f32 = {
        row.operation.problem: row.median_s
        for row in rows
        if row.operation.types == F32.name and row.operation.problem is not None and row.median_s
    }
    slow = [row for row in large_bf16(rows) if _is_slow(row, _in_f32(row, in_f32), f32_peak)]
    if not slow:
        return None
    first = max(slow, key=lambda row: row.total_s)
    known = _in_f32(first, in_f32)
    if known is not None:
        proof = (
            f"{names_of(slow)} takes {units.time(first.median_s or 0.0)} in bf16 and "
            f"{units.time(known[0])} in f32 ({known[1]})."
        )
    else:
        proof = (
            f"bf16 reaches {units.si(first.flop_per_s or 0.0, 'FLOP/s')} in {names_of(slow)}, less "
            f"than half of this machine's f32 peak of {units.si(f32_peak or 0.0, 'FLOP/s')}."
        )
    return Finding(
        "bf16 slower than f32",
        proof,
        "Try f32 for these layers: bf16 pays with AVX512-BF16 or AMX, and for large products.",
        total_of(slow),
    )


def _in_f32(row: Row, logged: dict[Problem, float]) -> tuple[float, str] | None:
    """Return the time of the same problem in f32, and where it is from; None if unknown."""
    problem, faster = row.operation.problem, row.faster
    if problem in logged:
        return logged[problem], "in the same log"
    if faster is not None and faster.best.dtype == F32.name and row.could_s is not None:
        return row.could_s, f"{faster.best.way}, measured here"
    return None


def _is_slow(row: Row, f32: tuple[float, str] | None, f32_peak: float | None) -> bool:
    if f32 is not None:
        return (row.median_s or 0.0) > f32[0]
    if row.faster is not None:  # measured, and f32 was not the fastest
        return False
    return f32_peak is not None and (row.flop_per_s or math.inf) < BELOW_F32 * f32_peak


def large_bf16(rows: Iterable[Row]) -> list[Row]:
    """Return the rows whose bf16 is worth a comparison with f32."""
    return [row for row in large(rows) if row.operation.types.startswith("bf16")]
