"""Whether a contestant will take too long, from a run on a few rows of its problem."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from convprof.errors import ConvprofError
from convprof.measure import report
from convprof.measure.operands import Operands
from convprof.studies.sweep.prediction import predicted_s

if TYPE_CHECKING:
    from convprof.measure.contestant import Contestant
    from convprof.measure.settings import Settings
    from convprof.problems import Problem
    from convprof.results import Measurement

SLOWEST_FLOP_PER_S = 5e7
"""No strategy is slower on a current core: what is fast enough at this rate is not tried."""
FIRST_ROWS, GROWTH = 4, 8
ENOUGH_S = 0.5
"""A run this long shows the rate of the whole; shorter ones may be all overhead."""


def too_slow(contestant: Contestant, settings: Settings, time_limit_s: float) -> Measurement | None:
    """Return the refusal of a contestant that is predicted to exceed the time limit, else None."""
    flops = contestant.problem.flops
    if predicted_s(flops / SLOWEST_FLOP_PER_S, settings) <= time_limit_s:
        return None
    rows = FIRST_ROWS
    while True:
        part = contestant.problem.first_rows(rows)
        call_s = _call_s(contestant, part, settings.seed)
        if call_s is None:
            return None  # whatever keeps it from running, the session will say
        seconds = predicted_s(call_s * flops / max(1, part.flops), settings)
        if seconds <= time_limit_s:
            return None
        if call_s >= ENOUGH_S or part.flops >= flops:
            break
        rows *= GROWTH
    reason = (
        f"predicted to take {seconds:.0f} s on this problem, over the patience of "
        f"{time_limit_s:g} s: raise it"
    )
    return report.excluded(contestant, "refused", reason)


def _call_s(contestant: Contestant, part: Problem, seed: int) -> float | None:
    """Return the seconds of one call on a part of the problem; None if it does not run."""
    strategy, setting = contestant.strategy, contestant.setting
    try:
        if strategy.why_not(part, setting) is not None:
            return None
        operands = Operands(part, setting.types, seed)
        prepared = strategy.prepare(part, setting)
        try:
            prepared.bind(*operands.all(setting.layout))
            start = time.perf_counter()
            prepared.run()
            return time.perf_counter() - start
        finally:
            prepared.close()
    except (ConvprofError, MemoryError):
        return None
