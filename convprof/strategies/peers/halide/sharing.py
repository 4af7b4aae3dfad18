"""Which loop the threads share, and in strips of what length.

Halide has one thread pool per process, of as many threads as there are CPUs, and its Python package
offers no way to resize it. A thread takes a strip at a time, and whoever finds none sleeps. Where
the pool has more threads than asked for there are only as many strips as threads, so that no more
of them can run. Where all of the pool is asked for there are more: who starts late takes fewer.
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
"""Where Halide looks for the size of its pool, once, before its first parallel loop."""


@functools.cache
def pool_size() -> int:
    """Return the threads of Halide's pool, the calling one among them."""
    for name in VARIABLES:
        text = os.environ.get(name, "")
        if text:
            return max(1, int(text)) if text.isdecimal() else 1
    return os.cpu_count() or 1


FEWEST_STRIPS, MOST_STRIPS = 4, 16
"""Strips a thread where it may take several: few enough that they cost little."""


@dataclass(frozen=True, slots=True)
class Share:
    """A loop cut into strips."""

    axis: str
    strip: int
    """Steps in a strip, in units of the loop's tile."""


def share(steps: Mapping[str, int], threads: int) -> Share | None:
    """Return how to share loops of so many steps, the outermost first; None if nothing is gained.

    Of equally balanced loops the outermost is taken: its threads meet least often.
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
