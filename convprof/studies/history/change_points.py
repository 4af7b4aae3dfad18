"""Where a series of runs changes its level: Pettitt's test, with binary segmentation.

Pettitt (1979, Applied Statistics 28): U(t) compares every value up to t with every later value;
K = max |U(t)|. If the level never changes, every order of the ranks has the same probability: up to
18 values, the probability of K is counted over all orders; for more, it is the approximation of
Pettitt, 2 exp(-6 K^2 / (n^3 + n^2)), which is too large for few values. Only ranks count, so one
disturbed run is no change. Each part of the series is tested again (Vostrikova 1981).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from convprof import stats
from convprof.stats import SAME_WITHIN

if TYPE_CHECKING:
    from collections.abc import Sequence

SIGNIFICANT = 0.05
FEWEST = 8
"""Values: of fewer, no order has a probability of 5 %."""
CRITICAL = (16, 19, 22, 25, 29, 33, 37, 41, 46, 51, 55)
"""The least significant K of 8, 9, ... 18 values that all differ. If some are equal, the
probability is at most 7 % instead of 5 % (counted for up to 11 values)."""
MOST_CHANGES = 50
"""Of one series: more would be a property of the noise."""


def change_points(values: Sequence[float]) -> list[int]:
    """Return the indices of the first values after each change, in order.

    A change is significant, and the medians of both sides differ by more than 2 %.
    """
    changes: list[int] = []
    waiting = [(0, len(values))]
    while waiting and len(changes) < MOST_CHANGES:
        start, end = waiting.pop()
        at = _change(values[start:end])
        if at is not None:
            changes.append(start + at)
            waiting += [(start, start + at), (start + at, end)]
    return sorted(changes)


def _change(values: Sequence[float]) -> int | None:
    """Return where one series changes most; None if that is not significant."""
    if len(values) < FEWEST:
        return None
    statistic, at = _largest(values)
    if not _is_significant(statistic, len(values)):
        return None
    before, after = stats.median(values[:at]), stats.median(values[at:])
    low, high = sorted((before, after))
    return at if high > (1 + SAME_WITHIN) * low else None


def _is_significant(statistic: float, number: int) -> bool:
    if number < FEWEST + len(CRITICAL):
        return statistic >= CRITICAL[number - FEWEST]
    return 2 * math.exp(-6 * statistic**2 / (number**3 + number**2)) <= SIGNIFICANT


def _largest(values: Sequence[float]) -> tuple[float, int]:
    """Return K, and the index of the first value after the change.

    K is the largest near the middle of the series, so the change is where U over its deviation,
    which is proportional to sqrt(t (n - t)), is the largest.
    """
    number = len(values)
    total, statistic, largest, at = 0.0, 0.0, 0.0, 0
    for index, rank in enumerate(_ranks(values)[:-1], 1):
        total += 2 * rank - number - 1
        statistic = max(statistic, abs(total))
        scaled = abs(total) / math.sqrt(index * (number - index))
        if scaled > largest:
            largest, at = scaled, index
    return statistic, at


def _ranks(values: Sequence[float]) -> list[float]:
    """Return the rank of each value from 1; equal values share the mean of their ranks."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for position in order[start:end]:
            ranks[position] = (start + 1 + end) / 2
        start = end
    return ranks
