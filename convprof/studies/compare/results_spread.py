"""How much runs of one program differ, beyond what the rounds of each run show.

All rounds of a run share its pages, its alignment and its clock, so the rounds do not show the
error of the run. The model is the random-effects model (DerSimonian & Laird 1986): the logarithm of
a run's time is the true value, plus an effect of the run, plus the error of its median.

The variance of the effect comes from three sources. `ASSUMED` holds for every comparison. Where
many rows are compared, the rows of the same two sides show more: their common factor is removed,
and their median absolute deviation does not follow the minority that has changed. Several runs of
one side show the variance of one row; it is moderated by the variance of the other rows (Smyth
2004: posterior variance = weighted mean, degrees of freedom add up), unless it is far larger
(hypervariable rows, Phipson et al. 2016).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from convprof import stats
from convprof.stats import Ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.studies.compare.results_basis import Basis, Pool

ASSUMED = 0.004
"""Standard deviation of the logarithm, of one run, on a quiet machine
(tests/benchmarks/result_rates.py --measure)."""
ASSUMED_S = 20e-9
"""Standard deviation of the time of a call, of one process: its memory has other addresses in each
process. It counts for calls of microseconds."""
_LARGEST = 1.0
"""Of a relative deviation; a file of a stranger may have calls of any length."""
_PRIOR_DEGREES = 10
"""The weight of `ASSUMED` against several runs of a row, in degrees of freedom."""
_FAR_LARGER = 2.0
"""A row is judged by its own runs only if its deviation is above this multiple of the usual one."""
_FEWEST_ROWS = 8
"""Rows that show a spread of runs; the deviation of fewer is by chance."""
_FEWEST_THREADED = 3
"""Rows of several threads that show a larger spread than the rows of one thread: a neighbour on one
of the CPUs delays all threads, so that their spread may be many times as large."""
_NORMAL = 1.4826
"""The standard deviation of a normal distribution over its median absolute deviation."""
_NORMAL_95 = 1.96

Source = Literal["assumed", "rows"]


@dataclass(frozen=True)
class RunSpread:
    """The usual difference between two runs of the same two sides.

    Deviations are of the logarithm of one run's time.
    """

    deviation: float = ASSUMED
    threaded: float = ASSUMED
    """Of rows of several threads."""
    source: Source = "assumed"

    def of(self, pool: Pool) -> float:
        """Return the deviation of a row."""
        return self.deviation if pool.first.threads == 1 else self.threaded


_Rows: TypeAlias = "Sequence[tuple[Ratio, Pool, Pool]]"


def of_rows(rows: _Rows) -> RunSpread:
    """Return what the rows of two sides show; `ASSUMED` is the least."""
    usable = [row for row in rows if not (row[1].doubt or row[2].doubt) and row[0].low]
    if len(usable) < _FEWEST_ROWS:
        return RunSpread()
    single = [row for row in usable if row[1].first.threads == 1]
    alike = single if len(single) >= _FEWEST_ROWS else usable
    deviation = max(ASSUMED, _shown(alike, _common(alike)))
    threaded = [row for row in usable if row[1].first.threads > 1]
    several = deviation
    if len(threaded) >= _FEWEST_THREADED:
        several = max(deviation, _shown(threaded, _common(usable)))
    return RunSpread(deviation, several, "rows" if several > ASSUMED else "assumed")


def _common(rows: _Rows) -> float:
    """Return the logarithm of the factor between the sides that most rows share."""
    return stats.median([math.log(ratio.value) for ratio, _, _ in rows])


def _shown(rows: _Rows, common: float) -> float:
    """Return the deviation of runs that rows show about a common factor, without their rounds."""
    scales = [math.sqrt(_share(new, base)) for _, new, base in rows]
    between = [
        abs(math.log(row[0].value) - common) / scale
        for row, scale in zip(rows, scales, strict=True)
    ]
    within = [
        _half_width(row[0]) / _NORMAL_95 / scale for row, scale in zip(rows, scales, strict=True)
    ]
    variance = (_NORMAL * stats.median(between)) ** 2 - stats.median(within) ** 2
    return math.sqrt(max(0.0, variance))


def widened(ratio: Ratio, new: Pool, base: Pool, basis: Basis, usual: RunSpread) -> Ratio:
    """Return the ratio with an interval that has the spread of the runs too."""
    assumed = _with_calls(usual.of(new), min(new.seconds, base.seconds))
    deviation, degrees = _deviation(new, base, basis, assumed)
    return _widened(ratio, stats.student_95(degrees) * deviation * math.sqrt(_share(new, base)))


def of_processes(ratios: Sequence[Ratio], seconds: float) -> Ratio:
    """Return the ratio that pairs of processes show, each pair measured in the same rounds.

    The rounds show the drift of the machine, but all rounds of a process share its pages: the
    interval has what is assumed of two processes, and how far several pairs differ. The ratio is
    the geometric mean. ``seconds``: of a call.
    """
    logs = [math.log(ratio.value) for ratio in ratios]
    assumed = math.sqrt(2) * _with_calls(ASSUMED, seconds)
    deviation, degrees = _moderated(_squares(logs), len(logs) - 1, assumed)
    between = stats.student_95(degrees) * deviation / math.sqrt(len(logs))
    mean = stats.geometric_mean([ratio.value for ratio in ratios])
    return _widened(_mean(ratios, mean), between)


def _mean(ratios: Sequence[Ratio], value: float) -> Ratio:
    """Return a mean of ratios, with the errors of the rounds of all of them."""
    rounds = sum(ratio.rounds for ratio in ratios)
    below = [math.log(ratio.value / ratio.low) for ratio in ratios if ratio.low]
    above = [math.log(ratio.high / ratio.value) for ratio in ratios if ratio.high]
    if not len(below) == len(above) == len(ratios):
        return Ratio(value, None, None, rounds)
    low, high = (math.hypot(*ends) / len(ratios) for ends in (below, above))
    return Ratio(value, value * math.exp(-low), value * math.exp(high), rounds)


def _with_calls(deviation: float, seconds: float) -> float:
    """Return a relative deviation with the deviation of a call."""
    return math.hypot(deviation, min(_LARGEST, ASSUMED_S / seconds))


def _widened(ratio: Ratio, between: float) -> Ratio:
    """Return the ratio with an interval that is wider by ``between``, of the logarithm.

    The error of the runs is independent of the error of the rounds: the distances of the ends, of
    the logarithms, are added as in `stats.ratio_of_estimates`.
    """
    if not ratio.low or ratio.high is None:
        return ratio
    below = math.hypot(math.log(ratio.value / ratio.low), between)
    above = math.hypot(math.log(ratio.high / ratio.value), between)
    low, high = ratio.value * math.exp(-below), ratio.value * math.exp(above)
    return Ratio(ratio.value, low, high, ratio.rounds)


def _deviation(new: Pool, base: Pool, basis: Basis, usual: float) -> tuple[float, int]:
    """Return the deviation of one run of a row, and its degrees of freedom."""
    squares, degrees = 0.0, 0
    for pool in (new, base):
        logs = [math.log(value) for value in pool.runs(basis)]
        squares += _squares(logs)
        degrees += len(logs) - 1
    return _moderated(squares, degrees, usual)


def _squares(values: Sequence[float]) -> float:
    """Return the sum of the squared differences from the mean; exactly 0 for one value."""
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values)


def _moderated(squares: float, degrees: int, usual: float) -> tuple[float, int]:
    """Return the deviation of one run, and its degrees of freedom.

    ``squares``: the sum of squared differences from the mean, of some degrees of freedom.
    """
    if squares > degrees * (_FAR_LARGER * usual) ** 2:
        return math.sqrt(squares / degrees), degrees
    together = _PRIOR_DEGREES + degrees
    return math.sqrt((_PRIOR_DEGREES * usual**2 + squares) / together), together


def _share(new: Pool, base: Pool) -> float:
    """Return the variance of a ratio of two means of runs, in variances of one run."""
    return 1 / len(new.measurements) + 1 / len(base.measurements)


def _half_width(ratio: Ratio) -> float:
    return math.log(ratio.high / ratio.low) / 2 if ratio.low and ratio.high else 0.0
