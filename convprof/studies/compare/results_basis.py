"""What two measurements of different days or machines can be compared by.

Seconds, where the machine and its clock are the same. Core cycles, where only the clock differs: a
kernel that computes takes the same cycles at every clock. On another machine the share of the peak
that was measured in the same run.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from convprof import doubts, stats
from convprof.integers import ceil_div
from convprof.stats import Estimate, Ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.results import Measurement

Basis = Literal["time", "cycles", "peak"]
BASES: tuple[Basis, ...] = get_args(Basis)
NAMES: dict[Basis, str] = {"time": "seconds", "cycles": "core cycles", "peak": "shares of the peak"}
COMPARED: dict[Basis, str] = {
    "time": "the time",
    "cycles": "the core cycles",
    "peak": "the time at the same peak",
}
"""What a ratio is a multiple of; at the same peak it is the base's share over the new share."""
SAME_CLOCK = 0.01
"""Clocks that differ less change a time by less than half of `stats.SAME_WITHIN`."""
_MOST_POOLED = 2 * stats.MOST_ROUNDS
"""Rounds of one side that are compared: the number of quotients is the product of both sides'."""
_SMALLEST, _LARGEST = 1e-30, 1e30


@dataclass(frozen=True)
class Pool:
    """The measurements of one side that are compared as one: usually a single one."""

    measurements: tuple[Measurement, ...]
    """Each has a time. Those in doubt are left out if any other is there."""

    @classmethod
    def of(cls, measurements: Sequence[Measurement]) -> Pool:
        """Return the pool of some measurements that have times."""
        return cls(tuple(doubts.trusted(measurements) or measurements))

    @property
    def first(self) -> Measurement:
        """The measurement that says what was measured."""
        return self.measurements[0]

    @property
    def doubt(self) -> str | None:
        """Why the times cannot be true."""
        return self.first.doubt

    @property
    def seconds(self) -> float:
        """The median time of a call."""
        return stats.median([m.time_s.median for m in self.measurements if m.time_s])

    @property
    def is_memory_bound(self) -> bool:
        """Whether the memory's bandwidth is the lower limit of any measurement."""
        return any(m.bound == "memory" for m in self.measurements)

    def rounds(self, basis: Basis) -> list[float] | None:
        """Return the rounds of all measurements by a basis; None if any has none."""
        values: list[float] = []
        for m in self.measurements:
            factor = _factor(m, basis)
            if factor is None or m.time_s is None or m.time_s.rounds_s is None:
                return None
            values += [factor * seconds for seconds in m.time_s.rounds_s]
        if not all(map(_usable, values)):
            return None
        step = ceil_div(len(values), _MOST_POOLED)
        return values[::step]

    def runs(self, basis: Basis) -> list[float]:
        """Return the median of each measurement by a basis. Call it where `estimate` has one."""
        estimates = (_estimate(m, basis) for m in self.measurements)
        return [estimate.value for estimate in estimates if estimate is not None]

    def estimate(self, basis: Basis) -> Estimate | None:
        """Return the median by a basis, with the widest interval; None without a usable time."""
        estimates = [_estimate(m, basis) for m in self.measurements]
        present = [estimate for estimate in estimates if estimate is not None]
        if len(present) < len(estimates):
            return None
        lows = [estimate.low for estimate in present if estimate.low is not None]
        highs = [estimate.high for estimate in present if estimate.high is not None]
        return Estimate(
            value=stats.median([estimate.value for estimate in present]),
            low=min(lows) if len(lows) == len(present) else None,
            high=max(highs) if len(highs) == len(present) else None,
            samples=sum(estimate.samples for estimate in present),
        )


def _estimate(measurement: Measurement, basis: Basis) -> Estimate | None:
    """Return the median of one measurement by a basis; None without a usable time."""
    factor, time = _factor(measurement, basis), measurement.time_s
    if factor is None or time is None or not _usable(factor * time.median):
        return None
    ends = (time.ci95_low, time.ci95_high)
    low, high = (None if end is None or not _usable(factor * end) else factor * end for end in ends)
    return Estimate(factor * time.median, low, high, time.samples)


def _usable(value: float) -> bool:
    """Whether quotients of such values are finite and not 0; files come from strangers."""
    return _SMALLEST < value < _LARGEST


def _factor(measurement: Measurement, basis: Basis) -> float | None:
    """Return what makes seconds of a measurement cycles, or times in units of the peak's."""
    time, cycles = measurement.time_s, measurement.cycles
    if time is None:
        return None
    if basis == "time":
        return 1.0
    if basis == "cycles":
        # The time-stamp counter does not run at the core's clock.
        return cycles.per_call / time.median if cycles and cycles.source != "tsc" else None
    share = measurement.peak_fraction
    return 1 / (share * time.median) if share and _usable(share * time.median) else None


def ratio(new: Pool, base: Pool, basis: Basis) -> Ratio | None:
    """Return how many times as much ``new`` takes by a basis; None where a side lacks it."""
    a, b = new.rounds(basis), base.rounds(basis)
    if a is not None and b is not None:
        return stats.unpaired_ratio(a, b)
    one, other = new.estimate(basis), base.estimate(basis)
    return stats.ratio_of_estimates(one, other) if one and other else None


def between(by_cycles: Ratio, by_time: Ratio) -> Ratio:
    """Return the ratio by cycles with an interval that encloses both.

    A time that memory decides is the same at every clock, but for the part that the core decides:
    the truth is between seconds and cycles.
    """
    ends = (by_cycles.low, by_time.low, by_cycles.high, by_time.high)
    if not all(ends):
        return Ratio(by_cycles.value, None, None, by_cycles.rounds)
    present = [end for end in ends if end is not None]
    return Ratio(by_cycles.value, min(present), max(present), by_cycles.rounds)


@dataclass(frozen=True)
class Choice:
    """What the rows of two sides are compared by."""

    basis: Basis
    reason: str = ""
    """Why not by seconds; empty for seconds."""
    is_forced: bool = False
    """Whether the user chose it: then every row is compared by it alone."""


def choose(pairs: Sequence[tuple[Pool, Pool]], *, same_machine: bool) -> Choice:
    """Return what can be compared of pairs of a base and a new side."""
    if not same_machine:
        return Choice("peak" if _has_peaks(pairs) else "cycles", "the machines differ")
    spreads = [max(clocks) / min(clocks) for clocks in map(_clocks, pairs) if clocks]
    if spreads and stats.median(spreads) > 1 + SAME_CLOCK:
        return Choice("cycles", "the core clocks differ")
    return Choice("time")


def _clocks(pair: tuple[Pool, Pool]) -> list[float]:
    pools = (pool.measurements for pool in pair)
    return [m.cycles.core_hz for m in itertools.chain.from_iterable(pools) if m.cycles]


def _has_peaks(pairs: Sequence[tuple[Pool, Pool]]) -> bool:
    """Whether any pair has shares of the peak."""
    return any(all(pool.estimate("peak") for pool in pair) for pair in pairs)
