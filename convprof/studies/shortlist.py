"""Which of many measurements decide: the fastest layout of each strategy, the fastest strategy."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from convprof import doubts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from convprof.results import Measurement

MOST_ROWS = 12
"""Rows of a table that fits a terminal of 24 lines together with its answer."""


def timed(measurements: Iterable[Measurement]) -> list[Measurement]:
    """Return the measurements that have a time, fastest first; times in doubt come last."""
    return sorted((m for m in measurements if m.time_s is not None), key=lambda m: m.rank)


def seconds(measurement: Measurement) -> float:
    """Return the median time of a call; infinite for a measurement without a time."""
    return measurement.time_s.median if measurement.time_s else math.inf


def best_layouts(measurements: Iterable[Measurement]) -> list[Measurement]:
    """Return the fastest layout of each strategy, fastest first.

    By threads, instruction set and environment.
    """
    best: dict[tuple[str, int, str | None, str | None], Measurement] = {}
    for m in timed(measurements):
        best.setdefault((m.strategy, m.threads, m.isa, m.environment), m)
    return list(best.values())


def shortlist(measurements: Iterable[Measurement], most: int = MOST_ROWS) -> list[Measurement]:
    """Return all timed measurements if they are few, else the fastest of the best layouts."""
    every = timed(measurements)
    return every if len(every) <= most else best_layouts(every)[:most]


def fastest(measurements: Iterable[Measurement]) -> Measurement | None:
    """Return the fastest measurement; None if nothing has a time.

    A measurement in doubt is returned only if all are in doubt.
    """
    return next(iter(timed(measurements)), None)


def surely_fastest(measurements: Collection[Measurement]) -> Measurement | None:
    """Return the fastest measurement; None if one in doubt may be faster."""
    best = fastest(measurements)
    if best is None or best.doubt is not None or doubts.may_be_faster(best, measurements):
        return None
    return best


def fastest_of_problem(measurements: Collection[Measurement]) -> Measurement | None:
    """Return the fastest measurement; in doubt if one in doubt may be faster. None without any."""
    best = fastest(measurements)
    if best is None or best.doubt is not None or surely_fastest(measurements):
        return best
    return replace(best, doubt="a strategy that may be faster is in doubt")


def executed_fraction(measurement: Measurement) -> float | None:
    """Return the share of the peak that the executed FLOPs reach; None without a peak.

    A fast algorithm such as Winograd's executes fewer FLOPs than the definition counts.
    """
    share, flops = measurement.peak_fraction, measurement.flops
    if share is None or flops is None or not flops.direct:
        return share
    return share * min(1.0, flops.executed / flops.direct)
