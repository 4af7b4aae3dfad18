"""A finding about a log, and the words for its rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof.dtypes import short_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convprof.results import Measurement
    from convprof.studies.diagnose.rows import Row

CALL_S = 10e-6
"""What a call itself takes at most: its arguments are checked, its threads start and end.

A smaller difference from the least time says nothing about kernels or about waiting threads, also
where the factor is large.
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that costs time."""

    kind: str
    evidence: str
    way_out: str
    seconds: float
    """The time of the rows that it is about."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields for a document."""
        return {
            "kind": self.kind,
            "evidence": self.evidence,
            "way_out": self.way_out,
            "seconds": self.seconds,
        }


def is_beyond_a_call(row: Row) -> bool:
    """Whether the median call takes longer than its least time and the cost of a call."""
    return (row.median_s or 0.0) - (row.least_s or 0.0) > CALL_S


def name(row: Row) -> str:
    """Return the problem, or the operation and its shape."""
    if row.measurement is not None:
        problem = row.measurement.problem
        which = str(problem["kind"]).partition("-")[2]
        return f"{which} {problem['descriptor']}".strip()
    operation = row.operation
    words = (operation.kind, operation.text, operation.layout if operation.is_conversion else "")
    return " ".join(filter(None, words))


def way_of(measurement: Measurement, row: Row | None = None) -> str:
    """Return ``auto nhwc``, and the type and the threads where the row has others."""
    logged = None if row is None else row.measurement
    if logged is None:
        return measurement.way
    dtype = "" if logged.dtype == measurement.dtype else f" {short_name(measurement.dtype)}"
    one = "" if logged.threads == measurement.threads else " on 1 thread"
    return f"{measurement.way}{dtype}{one}"


def total_of(rows: Iterable[Row]) -> float:
    """Return the time of all calls and creations."""
    return math.fsum(row.total_s for row in rows)


def percent(seconds: float, total: float) -> str:
    """Return ``12 %``."""
    return f"{100 * seconds / total:.0f} %"


def calls_of(rows: Sequence[Row]) -> str:
    """Return ``1 call`` or ``2,345 calls``."""
    count = sum(row.calls for row in rows)
    return f"{count:,} call{'s' if count != 1 else ''}"


def names_of(rows: Sequence[Row]) -> str:
    """Return the name of the row with the most time, and how many others there are."""
    first = max(rows, key=lambda row: row.total_s)
    rest = len(rows) - 1
    return f"{name(first)}{f' (and {rest:,} more)' if rest else ''}"
