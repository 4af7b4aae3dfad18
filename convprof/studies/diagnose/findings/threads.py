"""Findings about the threads of the program."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from convprof import units
from convprof.dtypes import COMMON
from convprof.stats import median
from convprof.studies.diagnose.finding import (
    Finding,
    calls_of,
    is_beyond_a_call,
    name,
    names_of,
    total_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.logs.operation import Reading
    from convprof.studies.diagnose.rows import Row

FAR = 50
"""A call takes 50 times its least time: too much for slow code, so its threads waited."""
WAITING = 0.2
"""A share of the time of all operations with a ceiling."""
SMALL_S = 10e-6
"""Work of a call for which several threads do not pay: their launch takes some microseconds."""
SMALL_TIMES = 4
"""Such a call takes this many times its least time, or the launch costs little."""
LAUNCH_S = 2e-6
"""The launch of threads takes at least as long: a shorter difference has another cause."""
PAY = 0.1
"""A share of the log's total."""
LARGE_S = 50e-6
"""Work of a call that nothing around it makes many times as long."""
USUAL = 5
"""The median operation takes at most this many times its least time, or all of them are slow."""
DENORMAL_TIMES = 20
"""A multiple of the median operation's."""
DENORMAL_SHARE = 0.1
FEWEST_CALLS = 3
"""The median of fewer calls may be a first call."""


def waiting(rows: Sequence[Row]) -> Finding | None:
    """Return the finding about operations that take far longer than slow code takes."""
    judged = [row for row in rows if row.least_s and row.median_s and not row.over]
    late = [
        row
        for row in judged
        if (row.median_s or 0.0) > FAR * (row.least_s or math.inf) and is_beyond_a_call(row)
    ]
    if not late or total_of(late) < WAITING * total_of(judged):
        return None
    row = max(late, key=lambda row: row.total_s)
    return Finding(
        "threads waited",
        f"{len(late)} of {len(judged)} operations with a ceiling take more than {FAR} times as "
        f"long as the ceiling allows, such as {name(row)}: {units.time(row.median_s or 0.0)} "
        f"instead of {units.time(row.least_s or 0.0)}.",
        "Log again on an idle machine, or with fewer threads: threads that wait for a core cost "
        "more than slow code. If the times stay, rule out denormal numbers "
        "(torch.set_flush_denormal(True)).",
        total_of(late),
    )


def too_many(reading: Reading, cores: int, total: float) -> Finding | None:
    """Return the finding about more threads than cores."""
    threads = reading.threads
    if threads is None or threads <= cores:
        return None
    return Finding(
        "more threads than cores",
        f"The program ran on {threads} threads; this machine has {cores} "
        f"core{'s' if cores > 1 else ''}.",
        f"If the log is from this machine, set OMP_NUM_THREADS={cores}.",
        total,
    )


def do_not_pay(rows: Sequence[Row], total: float) -> Finding | None:
    """Return the finding about operations that are too small for several threads.

    Measured on one thread, or so small that the launch of threads takes as long as the work.
    """
    measured = [row for row in rows if row.is_faster_on_one_thread]
    small = [row for row in rows if row.faster is None and is_small(row)]
    every = [*measured, *small]
    if not total or total_of(every) < PAY * total:
        return None
    threads = max(row.measurement.threads for row in every if row.measurement is not None)
    return Finding(
        "threads that do not pay",
        f"{calls_of(every)} on {threads} threads are too small for them "
        f"({units.time(total_of(every))}): {_proof(measured, small)}.",
        "Try OMP_NUM_THREADS=1 (torch.set_num_threads(1)) for these operations, or larger batches; "
        "convprof study threads shows which product is large enough.",
        total_of(every),
    )


def _proof(measured: Sequence[Row], small: Sequence[Row]) -> str:
    if measured:
        first = max(measured, key=lambda row: row.saved_s or 0.0)
        return (
            f"measured here, {name(first)} takes {units.time(first.could_s or 0.0)} on one thread, "
            f"and {units.time(first.median_s or 0.0)} in the program"
        )
    first = max(small, key=lambda row: row.total_s)
    return (
        f"{name(first)} takes {units.time(first.median_s or 0.0)} for "
        f"{units.time(first.least_s or 0.0)} of work"
    )


def is_small(row: Row) -> bool:
    """Whether several threads compute the row, and their launch takes as long as the work."""
    measured, least = row.measurement, row.least_s
    if measured is None or measured.threads == 1 or not least or row.times_least is None:
        return False
    launched = (row.median_s or 0.0) - least > LAUNCH_S
    return launched and least < SMALL_S and row.times_least > SMALL_TIMES


def denormals(rows: Sequence[Row]) -> Finding | None:
    """Return the finding about a few float operations that are out of all proportion.

    Denormal numbers make instructions of these operations slow, and no others. Threads that wait
    for a core slow all operations down alike.
    """
    judged = [row for row in rows if row.times_least is not None and (row.least_s or 0) > LARGE_S]
    usual = median([row.times_least or 0.0 for row in judged]) if judged else 0.0
    slow = [
        row
        for row in judged
        if row.operation.types in COMMON
        and row.calls >= FEWEST_CALLS
        and (row.times_least or 0.0) > DENORMAL_TIMES * max(1.0, usual)
    ]
    if not slow or usual > USUAL or total_of(slow) < DENORMAL_SHARE * total_of(judged):
        return None
    first = max(slow, key=lambda row: row.total_s)
    return Finding(
        "denormals suspected",
        f"{names_of(slow)} takes {units.digits(first.times_least or 0.0, 2)} times as long as the "
        f"ceiling allows in the median of {calls_of([first])}; the median operation of this log "
        f"takes {units.digits(usual, 2)} times.",
        "Flush denormal numbers to zero and log again: torch.set_flush_denormal(True). If the time "
        "stays, look for a slow implementation.",
        total_of(slow),
    )
