"""Medians, distribution-free intervals and verdicts. Pure functions over lists of numbers."""

from __future__ import annotations

import functools
import math
import statistics
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONFIDENCE = 0.95
SAME_WITHIN = 0.02
"""Two contestants whose ratio is certainly within 2 % are called the same: a smaller difference is
not worth a choice, and alignment or the load of other programs can cause as much."""
WIDE = 4.0
"""The upper end of a ratio's interval over its lower end: above this the rounds were disturbed."""

QUIET_SHARE = 3
"""On a shared machine some samples are disturbed, and a disturbed sample is always slower. The
median of the fastest third therefore separates two series better than the median of all."""

MOST_ROUNDS = 25
"""Rounds whose times a document keeps for each measurement: as many as are usual."""
KEPT_DIGITS = 4
"""Of a time in a document: its error is below 0.05 %."""

Verdict = Literal["faster", "slower", "same", "undecided"]


def median(values: Sequence[float]) -> float:
    """Return the middle value. StatisticsError for none."""
    return statistics.median(values)


def fastest_third(seconds: Sequence[float]) -> list[float]:
    """Return the fastest third of some samples, at least one."""
    return sorted(seconds)[: max(1, len(seconds) // QUIET_SHARE)]


def undisturbed(seconds: Sequence[float]) -> float:
    """Return the median of the fastest third."""
    return median(fastest_third(seconds))


def mad(values: Sequence[float]) -> float:
    """Return the median absolute deviation from the median, unscaled."""
    middle = median(values)
    return median([abs(value - middle) for value in values])


def interval_ranks(count: int, confidence: float = CONFIDENCE) -> tuple[int, int] | None:
    """Return the ranks (from 0) of the order statistics that enclose the median.

    The number of samples below the true median is Binomial(count, 1/2), whatever the distribution
    (David & Nagaraja 2003, Order Statistics, 7.1). None if even minimum and maximum do not reach
    the confidence: below 6 samples at 95 %.
    """
    tail = (1 - confidence) / 2
    below, rank = 0.0, -1
    for k in range(count // 2 + 1):
        below += math.comb(count, k) / 2**count
        if below > tail:
            break
        rank = k
    return (rank, count - 1 - rank) if rank >= 0 else None


def median_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % confidence interval of the median, or None for too few samples."""
    ranks = interval_ranks(len(values))
    if ranks is None:
        return None
    ordered = sorted(values)
    return ordered[ranks[0]], ordered[ranks[1]]


def compact(values: Sequence[float]) -> tuple[float, ...]:
    """Return at most `MOST_ROUNDS` values of a few digits that represent the samples, in order.

    Of more samples each value is the median of a block of successive ones: a drift of the machine
    stays visible, and more samples still make narrower intervals.
    """
    blocks = min(len(values), MOST_ROUNDS)
    ends = [len(values) * number // blocks for number in range(blocks + 1)]
    return tuple(
        float(f"{median(values[start:end]):.{KEPT_DIGITS}g}") for start, end in pairwise(ends)
    )


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as long ``a`` takes as ``b``."""

    value: float
    low: float | None
    high: float | None
    rounds: int
    """Paired rounds; of two series that were not taken together, the samples of the shorter one."""

    @property
    def inverse(self) -> Ratio:
        """How many times as long ``b`` takes as ``a``."""
        low = None if self.high is None else 1 / self.high
        high = None if self.low is None else 1 / self.low
        return Ratio(1 / self.value, low, high, self.rounds)

    @property
    def doubt(self) -> str | None:
        """Why nothing can be concluded from the ratio; None if something can."""
        if self.low is None or self.high is None or self.high <= WIDE * self.low:
            return None
        return f"the ratio is uncertain: its 95 % interval is {self.low:.3g} to {self.high:.3g}"

    @property
    def verdict(self) -> Verdict:
        """Return what can be said of ``a``: never a winner by force."""
        if self.low is None or self.high is None or self.doubt is not None:
            return "undecided"
        if self.low >= 1 / (1 + SAME_WITHIN) and self.high <= 1 + SAME_WITHIN:
            return "same"
        if self.high < 1:
            return "faster"
        if self.low > 1:
            return "slower"
        return "undecided"

    @property
    def change(self) -> Verdict:
        """What can be said of a new ``a``: a change is a whole interval beyond 2 %.

        Two builds of one program differ by less for reasons that no build decides.
        """
        if self.low is None or self.high is None or self.doubt is not None:
            return "undecided"
        if self.low > 1 + SAME_WITHIN:
            return "slower"
        if self.high < 1 / (1 + SAME_WITHIN):
            return "faster"
        within = self.low >= 1 / (1 + SAME_WITHIN) and self.high <= 1 + SAME_WITHIN
        return "same" if within else "undecided"

    def is_slower_by(self, share: float) -> bool:
        """Whether the whole interval is beyond a slow-down by that share."""
        return self.doubt is None and self.low is not None and self.low > 1 + share


def paired_ratio(a: Sequence[float], b: Sequence[float]) -> Ratio:
    """Compare two contestants by the median of their per-round log-ratio and its sign-test CI.

    ``a[i]`` and ``b[i]`` were taken in the same round, so a disturbance of the machine hits both;
    rounds that only one of them has are left out. StatisticsError if they share none.
    """
    logs = [math.log(x / y) for x, y in zip(a, b, strict=False)]
    interval = median_interval(logs)
    low, high = (math.exp(interval[0]), math.exp(interval[1])) if interval else (None, None)
    return Ratio(math.exp(median(logs)), low, high, len(logs))


def ratio_by_round(a: Mapping[int, float], b: Mapping[int, float]) -> Ratio | None:
    """Compare the rounds that two contestants share; None if they share none."""
    common = sorted(a.keys() & b.keys())
    if not common:
        return None
    return paired_ratio([a[number] for number in common], [b[number] for number in common])


# Two series that were not taken in the same rounds: another day, another machine.


@dataclass(frozen=True, slots=True)
class Estimate:
    """A median and its 95 % interval, of a series whose samples are not known."""

    value: float
    low: float | None
    high: float | None
    samples: int


def unpaired_ratio(a: Sequence[float], b: Sequence[float]) -> Ratio:
    """Compare two series by the median of all quotients of a value of each, with a rank interval.

    The estimate of Hodges & Lehmann (1963) for a shift of the logarithms. Its interval consists of
    the order statistics of the differences whose ranks follow from the exact distribution of Mann
    & Whitney's U: no assumption about the distribution, but that both have the same form.
    StatisticsError for an empty series.
    """
    ours, theirs = [math.log(x) for x in a], [math.log(y) for y in b]
    logs = sorted(x - y for x in ours for y in theirs)
    rank = _rank_sum_rank(*sorted((len(a), len(b))))
    value, fewer = math.exp(median(logs)), min(len(a), len(b))
    if rank is None:
        return Ratio(value, None, None, fewer)
    return Ratio(value, math.exp(logs[rank]), math.exp(logs[-1 - rank]), fewer)


def ratio_of_estimates(a: Estimate, b: Estimate) -> Ratio:
    """Compare two medians by their intervals alone.

    The distances of the ends from the medians, of the logarithms, are added as the errors of
    independent values are (Zou & Donner 2008, Statistics in Medicine 27).
    """
    value, fewer = a.value / b.value, min(a.samples, b.samples)
    ends = (a.low, a.high, b.low, b.high)
    if not all(ends):  # unknown; or 0, which has no logarithm
        return Ratio(value, None, None, fewer)
    a_low, a_high, b_low, b_high = (math.log(end) for end in ends if end)
    a_log, b_log = math.log(a.value), math.log(b.value)
    below = math.hypot(a_log - a_low, b_high - b_log)
    above = math.hypot(a_high - a_log, b_log - b_low)
    return Ratio(value, value * math.exp(-below), value * math.exp(above), fewer)


@functools.cache
def _rank_sum_rank(few: int, many: int, confidence: float = CONFIDENCE) -> int | None:
    """Return the rank (from 0) of the lower end among all differences; the upper end mirrors it.

    None if even the smallest and the largest difference do not reach the confidence.
    """
    tail = (1 - confidence) / 2 * math.comb(few + many, few)
    below, rank = 0, -1
    for number in _rank_sum_counts(few, many):
        below += number
        if below > tail:
            break
        rank += 1
    return rank if rank >= 0 else None


def _rank_sum_counts(few: int, many: int) -> list[int]:
    """Return, for each value of U, how many orders of the samples have it.

    They are the coefficients of the Gaussian binomial: the product of (1 - q^(many + i)) over the
    product of (1 - q^i), for i from 1 to ``few``.
    """
    counts = [1] + [0] * (few * many)
    for i in range(1, few + 1):
        for at in range(few * many, many + i - 1, -1):
            counts[at] -= counts[at - many - i]
        for at in range(i, few * many + 1):
            counts[at] += counts[at - i]
    return counts


_STUDENT_95 = (12.706, 4.303, 3.182, 2.776)
"""Of 1 to 4 degrees of freedom, for which the series below is too coarse."""
_NORMAL_95 = 1.959964


def student_95(degrees: int) -> float:
    """Return the two-sided 95 % quantile of Student's t.

    Above 4 degrees of freedom by the series of Abramowitz & Stegun 26.7.5, to 0.3 %.
    """
    if degrees <= len(_STUDENT_95):
        return _STUDENT_95[degrees - 1]
    x = _NORMAL_95
    first = (x**3 + x) / 4
    second = (5 * x**5 + 16 * x**3 + 3 * x) / 96
    third = (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / 384
    return x + first / degrees + second / degrees**2 + third / degrees**3


def geometric_mean(values: Sequence[float]) -> float:
    """Return the geometric mean of positive values."""
    return math.exp(math.fsum(map(math.log, values)) / len(values))
