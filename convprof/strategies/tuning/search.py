"""Which of some prepared candidates is fastest: interleaved rounds, as in a measurement."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from convprof.stats import median
from convprof.strategies import memory
from convprof.strategies.base import DTYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.problems import Problem
    from convprof.strategies.base import Prepared, Setting

SAMPLE_SECONDS = 2e-3


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to search."""

    candidates: int
    rounds: int


EFFORTS = {"quick": Effort(8, 5), "full": Effort(64, 15)}


def times(
    candidates: Sequence[Prepared], problem: Problem, setting: Setting, rounds: int
) -> list[float]:
    """Return the median seconds per call of each candidate, on operands of its own."""
    first, second = _operands(problem, setting)
    calls = []
    for prepared in candidates:
        prepared.bind(first, second)
        prepared.run()
        start = time.perf_counter()
        prepared.run()
        elapsed = max(time.perf_counter() - start, 1e-7)
        calls.append(max(1, round(SAMPLE_SECONDS / elapsed)))
    samples: list[list[float]] = [[] for _ in candidates]
    for _ in range(rounds):
        for index, prepared in enumerate(candidates):
            prepared.run()
            start = time.perf_counter()
            for _ in range(calls[index]):
                prepared.run()
            samples[index].append((time.perf_counter() - start) / calls[index])
    return [median(found) for found in samples]


def _operands(
    problem: Problem, setting: Setting
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float64]], ...]:
    kind = DTYPES[setting.dtype][0]
    made = []
    for shape in problem.operand_shapes(setting.layout):
        array = memory.zeros(shape, kind)
        array[...] = np.random.default_rng(0).random(shape, dtype=np.float32) - 0.5
        made.append(array)
    return tuple(made)
