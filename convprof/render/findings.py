"""The titles of charts: the finding in a sentence, from measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.render import doubts, tables
from convprof.stats import SAME_WITHIN
from convprof.studies.run_answer import percent
from convprof.studies.shortlist import seconds, timed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convprof.results import Measurement

GIGA = 1e9
IN_DOUBT = "every time is in doubt: repeat this on an idle machine"
INTERVAL = "median and 95 % interval"
MOST_TWO_DIGITS = 10.0
"""Smaller ratios have two digits, larger ratios no decimals."""


def threads_words(count: int) -> str:
    """Return ``1 thread`` or ``2 threads``."""
    return f"{count} thread{'s' if count > 1 else ''}"


def marks(rows: Iterable[Measurement]) -> str:
    """Return the meaning of the mark of times in doubt, if a row has the mark."""
    return f"{doubts.MARK} in doubt" if any(m.doubt is not None for m in rows) else ""


def left_out(count: int) -> str:
    """Return how many times in doubt a chart does not show; nothing for 0."""
    return f"{count} time{'s' if count > 1 else ''} in doubt left out" if count else ""


def joined(*parts: str) -> str:
    """Return the parts that are not empty, with dots between them."""
    return " · ".join(part for part in parts if part)


def times(ratio: float) -> str:
    """Return ``2.3 times``, ``85 times``, ``1.04 times``."""
    if ratio < 1.095:  # noqa: PLR2004  # 1.1 at the latest, two digits do
        return f"{ratio:.2f} times"
    return f"{ratio:.1f} times" if ratio < MOST_TWO_DIGITS else f"{ratio:,.0f} times"


def peak_words(measurement: Measurement) -> str:
    """Return ``72 % of the peak``; empty if the share is unknown or over 100 %."""
    share = measurement.peak_fraction
    if share is None or share > 1 or tables.effective(measurement):
        return ""
    return f"{percent(share)} of the peak"


def fastest_line(rows: Sequence[Measurement]) -> str:
    """Return the fastest of the measurements, and its ratio to the next one.

    The next one has the same number of threads. If the intervals overlap, neither is called faster;
    times in doubt are excluded.
    """
    ordered = [m for m in timed(rows) if m.doubt is None]
    if not ordered:
        return IN_DOUBT
    first, share = ordered[0], peak_words(ordered[0])
    of_peak = f": {share}" if share else ""
    same = [m for m in ordered[1:] if m.threads == first.threads]
    other = next((m for m in same if m.strategy != first.strategy), None)
    on = f" on {threads_words(first.threads)}" if len({m.threads for m in ordered}) > 1 else ""
    if other is None:
        return f"{first.way} takes {units.time(seconds(first))}{on}{of_peak}"
    if uncertain(first, other):
        return f"neither {first.way} nor {other.way} is faster for certain{on}{of_peak}"
    ratio = times(seconds(other) / seconds(first))
    return f"{first.way} is {ratio} as fast as {other.way}{on}{of_peak}"


def uncertain(first: Measurement, second: Measurement) -> bool:
    """Whether the second may be as fast: overlapping intervals, or less than 2 % apart."""
    if seconds(second) / seconds(first) < 1 + SAME_WITHIN:
        return True
    a, b = first.time_s, second.time_s
    if a is None or b is None or a.ci95_high is None or b.ci95_low is None:
        return False
    return b.ci95_low <= a.ci95_high
