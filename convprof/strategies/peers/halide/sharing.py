"""The choice of the parallel loop, and of the length of its strips.

Halide has one thread pool per process, with as many threads as CPUs, and its Python package cannot
resize it. A thread takes one strip at a time; a thread without a strip sleeps. If the pool has more
threads than requested, there are as many strips as requested threads, so that no more of them can
run. If all threads of the pool are requested, there are more strips: a thread that starts late
takes fewer.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.integers import ceil_div

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLES = ("HL_NUM_THREADS", "HL_NUMTHREADS")
"""The variable with the size of Halide's pool, read once, before its first parallel loop."""


@functools.cache
def pool_size() -> int:
    """Return the threads of Halide's pool, including the calling thread."""
    for name in VARIABLES:
        text = os.environ.get(name, "")
        if text:
            return max(1, int(text)) if text.isdecimal() else 1
    return os.cpu_count() or 1


FEWEST_STRIPS, MOST_STRIPS = 4, 16
"""Strips per thread if it may take several: so few that they cost little."""


@dataclass(frozen=True, slots=True)
class Share:
    """A loop cut into strips."""

    axis: str
    strip: int
    """Steps in a strip, in units of the loop's tile."""


def share(steps: Mapping[str, int], threads: int) -> Share | None:
    """Return the loop to share, from the steps of each, outermost first; None if nothing is gained.

    Of equally balanced loops the outermost is taken: its threads synchronise least often.
    """

    def speedup(axis: str) -> float:
        return steps[axis] / ceil_div(steps[axis], threads)

    if threads == 1 or not steps:
        return None
    best = max(steps, key=speedup)
    if steps[best] == 1:
        return None
    return Share(best, _strip(steps[best], threads))


def _strip(steps: int, threads: int) -> int:
    """Return the length with which the last thread is done first; the longest such."""
    if threads < pool_size():
        return ceil_div(steps, threads)
    shortest, longest = (ceil_div(steps, threads * n) for n in (MOST_STRIPS, FEWEST_STRIPS))

    def turns(strip: int) -> int:
        strips = ceil_div(steps, strip)
        return ceil_div(strips, threads) * strip

    return min(range(shortest, longest + 1), key=lambda strip: (turns(strip), -strip))
