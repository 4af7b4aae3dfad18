"""What a chart's title says: the finding in a sentence, from measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.stats import SAME_WITHIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.results import Measurement

GIGA = 1e9
INTERVAL = "median and 95 % interval"
MOST_TWO_DIGITS = 10.0
"""Ratios below have two digits, larger ones none behind the point."""


def threads_words(count: int) -> str:
    """Return ``1 thread`` or ``2 threads``."""
    return f"{count} thread{'s' if count > 1 else ''}"


def joined(*parts: str) -> str:
    """Return the parts that are not empty, with dots between them."""
    return " · ".join(part for part in parts if part)


def times(ratio: float) -> str:
    """Return ``2.3 times``, ``85 times``, ``1.04 times``."""
    if ratio < 1.095:  # noqa: PLR2004  # 1.1 at the latest, two digits do
        return f"{ratio:.2f} times"
    return f"{ratio:.1f} times" if ratio < MOST_TWO_DIGITS else f"{ratio:,.0f} times"


def way(measurement: Measurement) -> str:
    """Return the strategy and the layout, if the problem has one."""
    return " ".join(part for part in (measurement.strategy, measurement.layout) if part)


def peak_words(measurement: Measurement) -> str:
    """Return ``72 % of the peak``; nothing where the share is unknown or an effective one."""
    share = measurement.peak_fraction
    if share is None or share > 1 or executes_less(measurement):
        return ""
    return f"{100 * share:.0f} % of the peak"


def executes_less(measurement: Measurement) -> bool:
    """Whether fewer FLOPs are executed than counted: the rate is an effective one."""
    flops = measurement.flops
    return flops is not None and flops.executed < flops.direct


def fastest_line(rows: Sequence[Measurement]) -> str:
    """Return which of the measurements is the fastest, and how far ahead of the next one.

    Where the intervals overlap, neither is called faster.
    """
    ordered = sorted((m for m in rows if m.time_s), key=seconds)
    if not ordered:
        return "nothing was timed"
    first, share = ordered[0], peak_words(ordered[0])
    of_peak = f": {share}" if share else ""
    other = next((m for m in ordered[1:] if m.strategy != first.strategy), None)
    if other is None:
        return f"{way(first)} takes {units.time(seconds(first))}{of_peak}"
    if _overlap(first, other):
        return f"{way(first)} and {way(other)} are as fast as each other{of_peak}"
    return (
        f"{way(first)} is {times(seconds(other) / seconds(first))} as fast as {way(other)}{of_peak}"
    )


def seconds(measurement: Measurement) -> float:
    """Return the median time; infinite for a measurement without one."""
    return measurement.time_s.median if measurement.time_s else float("inf")


def best_layouts(rows: Sequence[Measurement]) -> list[Measurement]:
    """Return the fastest layout of each strategy on each number of threads, fastest first."""
    best: dict[tuple[str, int], Measurement] = {}
    for m in sorted((m for m in rows if m.time_s), key=seconds):
        best.setdefault((m.strategy, m.threads), m)
    return list(best.values())


def _overlap(first: Measurement, second: Measurement) -> bool:
    """Whether the second one may be as fast: overlapping intervals, or less than 2 % apart."""
    if seconds(second) / seconds(first) < 1 + SAME_WITHIN:
        return True
    a, b = first.time_s, second.time_s
    if a is None or b is None or a.ci95_high is None or b.ci95_low is None:
        return False
    return b.ci95_low <= a.ci95_high
