"""How evenly the threads of a plan are busy, on paper: nothing runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convprof.codegen.threads import Work
from convprof.codegen.tile_list import TileList
from convprof.strategies.plan import Native, Stage
from convprof.strategies.shares import StageTimes, assigned, finished

if TYPE_CHECKING:
    from convprof.strategies.plan import Plan

TRANSFER_CYCLES = 200
"""Core cycles in which a cache line goes from one core to another, of a server CPU."""


def balance(plan: Plan, threads: int) -> float:
    """Return the mean share of the work over the longest one, stage by stage; 1 if unknown.

    The work is the estimate of each tile. Stages of loop nests, which only move data, are left out.
    """
    stages = [_cycles(step, threads) for step in plan.steps if isinstance(step, Stage)]
    longest = sum(each.longest for each in stages)
    return sum(each.work for each in stages) / threads / longest if longest else 1.0


def barrier_cycles(plan: Plan, threads: int) -> float:
    """Estimate the core cycles of all barriers: the threads add to a counter one after another."""
    return len(plan.steps) * (threads + 1) * TRANSFER_CYCLES if threads > 1 else 0.0


def _cycles(stage: Stage, threads: int) -> StageTimes:
    tiles = stage.kernel.keep if isinstance(stage.kernel, Native) else None
    if not isinstance(tiles, TileList):
        return StageTimes(0.0, 0.0)
    # The blocks of attention share one list: its tasks are equal.
    listed = len(tiles.starts) == stage.tasks
    cycles = tiles.task_cycles() if listed else np.ones(stage.tasks)
    work = Work(0, 0, stage.tasks, 0, 0, stage.static_schedule)
    shares = assigned(work, threads)
    each = [[float(cycles[part.start : part.stop].sum()) for part in own] for own in shares]
    return finished(each, fixed=stage.static_schedule)
