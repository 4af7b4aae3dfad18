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

FEW_THREADS = 2
"""So few threads are busy evenly: for more of them, plans are chosen by their longest share."""


def balance(plan: Plan, threads: int) -> float:
    """Return the mean share of the work over the longest one, stage by stage; 1 if unknown.

    The work is the estimate of each tile. Stages of loop nests, which only move data, are left out.
    """
    tiles = _of_tiles(plan, threads, 1.0)
    return tiles.work / threads / tiles.longest if tiles.longest else 1.0


def longest_cycles(plan: Plan, threads: int, cycles: float) -> float:
    """Return the core cycles of the longest shares of a plan that takes ``cycles`` on one thread.

    What the tiles of the plan do not explain is divided evenly.
    """
    tiles = _of_tiles(plan, threads, cycles)
    return tiles.longest + max(0.0, cycles - tiles.work) / threads


def _of_tiles(plan: Plan, threads: int, cycles: float) -> StageTimes:
    """Return the work of all stages of tiles; of tiles without an estimate, ``cycles``."""
    stages = [_cycles(step, threads, cycles) for step in plan.steps if isinstance(step, Stage)]
    return StageTimes(sum(each.longest for each in stages), sum(each.work for each in stages))


def _cycles(stage: Stage, threads: int, cycles: float) -> StageTimes:
    tiles = stage.kernel.keep if isinstance(stage.kernel, Native) else None
    if not isinstance(tiles, TileList):
        return StageTimes(0.0, 0.0)
    own = tiles.task_cycles()
    if own is None:
        own = np.full(stage.tasks, cycles / max(1, stage.tasks))
    work = Work(0, 0, stage.tasks, 0, 0, stage.static_schedule)
    shares = assigned(work, threads)
    each = [[float(own[part.start : part.stop].sum()) for part in mine] for mine in shares]
    return finished(each, fixed=stage.static_schedule)
