"""Whether a contestant will take too long, from a run on a few rows of its problem."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from convprof.errors import ConvprofError
from convprof.measure import report
from convprof.measure.operands import Operands
from convprof.problems import Conv2d, Gemm
from convprof.studies.sweep import predicted_s

if TYPE_CHECKING:
    from convprof.measure.contestant import Contestant
    from convprof.measure.session import Settings
    from convprof.problems import Problem
    from convprof.results import Measurement

SLOWEST_FLOP_PER_S = 5e7
"""No strategy is known to be slower on a current core: what fits at this rate is not tried out."""
FIRST_ROWS, GROWTH = 4, 8
ENOUGH_S = 0.5
"""A run this long shows the rate of the whole; shorter ones may be all overhead."""


def over_patience(
    contestant: Contestant, settings: Settings, patience_s: float
) -> Measurement | None:
    """Return the refusal of a contestant predicted to take over ``patience_s``; None if it fits."""
    flops = contestant.problem.flops
    if predicted_s(flops / SLOWEST_FLOP_PER_S, settings) <= patience_s:
        return None
    rows = FIRST_ROWS
    while True:
        part = _rows(contestant.problem, rows)
        found = _call_s(contestant, part, settings.seed)
        if found is None:
            return None  # whatever keeps it from running, the session will say
        seconds = predicted_s(found * flops / max(1, part.flops), settings)
        if seconds <= patience_s:
            return None
        if found >= ENOUGH_S or part.flops >= flops:
            break
        rows *= GROWTH
    reason = (
        f"predicted to take {seconds:.0f} s on this problem, over the --patience of "
        f"{patience_s:g} s: raise it"
    )
    return report.excluded(contestant, "refused", reason)


def _rows(problem: Problem, rows: int) -> Problem:
    """Return the first rows of the result as a problem of its own: every row works as before."""
    if isinstance(problem, Conv2d):
        reach = problem.dilation[0] * (problem.r - 1) + 1
        height = min(problem.h, max(reach, rows * problem.stride[0]))
        return replace(problem, n=1, h=height, name="")
    if isinstance(problem, Gemm):
        return replace(problem, m=min(problem.m, rows), batch=1, name="")
    return problem


def _call_s(contestant: Contestant, part: Problem, seed: int) -> float | None:
    """Return the seconds of one call on a part of the problem; None if it does not run."""
    strategy, setting = contestant.strategy, contestant.setting
    try:
        if strategy.why_not(part, setting) is not None:
            return None
        operands = Operands(part, setting.dtype, seed)
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
