"""The search for the fastest prepared candidate: interleaved rounds, as in a measurement."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from convprof import doubts
from convprof.machine.surroundings import Lookout
from convprof.stats import fastest_third, undisturbed
from convprof.strategies import memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.problems import Problem
    from convprof.strategies.base import Prepared, Setting

SAMPLE_SECONDS = 2e-3


MOST_WHOLE = 100
"""Whole numbers of operands are below it: every type of bytes has them."""
HOPELESS = 1.2
"""A candidate gets no more rounds if its best sample is slower than the best by this factor."""


@dataclass(frozen=True, slots=True)
class Effort:
    """The limits of a search."""

    candidates: int
    rounds: int


EFFORTS = {"quick": Effort(8, 9), "full": Effort(64, 24)}


class Timings(NamedTuple):
    """The result of a search."""

    seconds: list[float]
    """Undisturbed seconds per call of each candidate."""
    doubt: str | None = None
    """Why the order of the candidates may be wrong; None without a doubt."""
    load: float | None = None
    """CPUs that other programs used meanwhile; None if unknown."""


def times(
    candidates: Sequence[Prepared], problem: Problem, setting: Setting, rounds: int
) -> Timings:
    """Time the candidates in turn, on operands of their own."""
    lookout = Lookout()
    lookout.begin()
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
            limit = HOPELESS * min(min(own) for own in samples)
            alive = [index for index in alive if min(samples[index]) <= limit]
    lookout.end()
    seconds = [undisturbed(own) for own in samples]
    best = fastest_third(samples[seconds.index(min(seconds))])
    around = lookout.around()
    return Timings(seconds, doubts.of_choice(setting.threads, around, best), around.others_cpus)


def _sample(prepared: Prepared, calls: int) -> float:
    """Return the seconds per call, caches and threads warm."""
    prepared.run()
    start = time.perf_counter()
    for _ in range(calls):
        prepared.run()
    return (time.perf_counter() - start) / calls


def _operands(
    problem: Problem, setting: Setting
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float64]], ...]:
    operands = []
    for spec in problem.operands(setting.layout, setting.types):
        array = memory.zeros(spec.shape, spec.dtype.array_type)
        random = np.random.default_rng(0)
        if spec.dtype.is_exact:
            array[...] = random.integers(0, MOST_WHOLE, spec.shape)
        else:
            array[...] = random.random(spec.shape, dtype=np.float32) - 0.5
        operands.append(array)
    return tuple(operands)
