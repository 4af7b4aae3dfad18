"""Which of some prepared candidates is fastest: interleaved rounds, as in a measurement."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from convprof.stats import median
from convprof.strategies import memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.problems import Problem
    from convprof.strategies.base import Prepared, Setting

SAMPLE_SECONDS = 2e-3


HOPELESS = 1.2
"""A candidate whose best sample is so much slower than the best of all gets no more rounds."""
QUIET_SHARE = 3
"""On a shared machine some samples are disturbed, never to be faster: the median of the fastest
third of them tells two candidates apart where the median of all does not."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to search."""

    candidates: int
    rounds: int


EFFORTS = {"quick": Effort(8, 9), "full": Effort(64, 24)}


def times(
    candidates: Sequence[Prepared], problem: Problem, setting: Setting, rounds: int
) -> list[float]:
    """Return the seconds per call of each candidate, on operands of its own, undisturbed."""
    operands = _operands(problem, setting)
    calls = []
    for prepared in candidates:
        prepared.bind(*operands)
        prepared.run()
        start = time.perf_counter()
        prepared.run()
        elapsed = max(time.perf_counter() - start, 1e-7)
        calls.append(max(1, round(SAMPLE_SECONDS / elapsed)))
    samples: list[list[float]] = [[] for _ in candidates]
    alive = list(range(len(candidates)))
    for done in range(rounds):
        for index in alive:
            samples[index].append(_sample(candidates[index], calls[index]))
        if done:  # one sample may have been disturbed
            limit = HOPELESS * min(min(found) for found in samples)
            alive = [index for index in alive if min(samples[index]) <= limit]
    return [_undisturbed(found) for found in samples]


def _sample(prepared: Prepared, calls: int) -> float:
    """Return the seconds per call, caches and threads warm."""
    prepared.run()
    start = time.perf_counter()
    for _ in range(calls):
        prepared.run()
    return (time.perf_counter() - start) / calls


def _undisturbed(samples: list[float]) -> float:
    return median(sorted(samples)[: max(1, len(samples) // QUIET_SHARE)])


def _operands(
    problem: Problem, setting: Setting
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float64]], ...]:
    made = []
    for spec in problem.operands(setting.layout, setting.types):
        array = memory.zeros(spec.shape, spec.dtype.numpy)
        array[...] = np.random.default_rng(0).random(spec.shape, dtype=np.float32) - 0.5
        made.append(array)
    return tuple(made)
