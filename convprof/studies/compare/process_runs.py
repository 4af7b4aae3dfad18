"""The same contestants in several new processes of each environment, one session after the other.

All rounds of a process share its pages and its alignment. Only further processes show how much the
time of a contestant differs for that reason.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from convprof import doubts
from convprof.results import FAILURES
from convprof.studies.compare import results_spread
from convprof.studies.shortlist import seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convprof.results import Measurement
    from convprof.stats import Ratio


@dataclass(frozen=True)
class Pair:
    """One contestant in another environment (``a``) and in the base (``b``), in one session."""

    a: Measurement
    b: Measurement
    ratio: Ratio
    """From the rounds of the session alone."""

    @property
    def doubt(self) -> str | None:
        """Why the ratio cannot be true."""
        return self.a.doubt or self.b.doubt or self.ratio.doubt


def trusted(pairs: Sequence[Pair]) -> Sequence[Pair]:
    """Return the pairs that count: the ones in doubt only where all are in doubt."""
    return [pair for pair in pairs if pair.doubt is None] or pairs


def ratio_of(pairs: Sequence[Pair]) -> Ratio:
    """Return the ratio of one contestant."""
    call_s = min(min(seconds(pair.a), seconds(pair.b)) for pair in pairs)
    return results_spread.of_processes([pair.ratio for pair in pairs], call_s)


def joined(runs: Sequence[Sequence[Measurement]]) -> list[Measurement]:
    """Return one measurement of each contestant, from its process with the median time.

    A contestant that failed in some of the processes has its failure as a second row.
    """
    by_contestant: dict[tuple[str, str], list[Measurement]] = {}
    for measurement in (m for run in runs for m in run):
        key = (measurement.label, measurement.dtype)
        by_contestant.setdefault(key, []).append(measurement)
    return [m for each in by_contestant.values() for m in _of_contestant(each)]


def _of_contestant(measurements: Sequence[Measurement]) -> Iterable[Measurement]:
    timed = [m for m in measurements if m.time_s is not None]
    failed = [m for m in measurements if m.status in FAILURES]
    if not timed:
        return (failed or measurements)[:1]
    if not failed:
        return [middle(timed)]
    where = f"in {len(failed)} of {len(measurements)} processes: {failed[0].reason}"
    return [middle(timed), replace(failed[0], reason=where)]


def middle(measurements: Sequence[Measurement]) -> Measurement:
    """Return the measurement with the median time; the faster one of two in the middle.

    Times in doubt count only where all are in doubt.
    """
    ordered = sorted(doubts.trusted(measurements) or measurements, key=seconds)
    return ordered[(len(ordered) - 1) // 2]
