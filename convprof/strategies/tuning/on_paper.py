"""The choice by the model: cycles, how evenly the threads are busy, and what a launch costs.

    cycles(t)  =  longest share of t threads  +  launch(t)

A launch grows with the threads, so a small problem takes longer on many of them than on few.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from convprof.strategies import launch
from convprof.strategies.balance import FEW_THREADS, longest_cycles
from convprof.strategies.tuning.candidate import Candidate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convprof.problems import Problem
    from convprof.strategies.base import Setting
    from convprof.strategies.plan import Plan
    from convprof.strategies.tuning.tunable import Tunable

    Ranked = Sequence[tuple[float, Tunable[Any, Any]]]
    """Strategies and their cycles on one thread, the fewest first."""

WORTH = 0.97
"""Fewer threads are chosen if they take this part of the cycles, or less."""
TRIED = 2
"""Numbers of fewer threads that are planned, the most promising first."""
NEAR = 1.5
"""Fewer threads are timed if the model expects at most this multiple of the cycles."""


class _Estimate(NamedTuple):
    cycles: float
    candidate: Candidate
    plan: Plan


def choose(ranked: Ranked, problem: Problem, setting: Setting) -> tuple[Candidate, Plan]:
    """Return the choice and its plan, because planning takes long."""
    paper = _Paper(ranked, problem, setting)
    best = min(paper.estimates(setting.threads), key=lambda each: each.cycles)
    for threads in paper.fewer()[:TRIED]:
        if paper.least(threads) >= WORTH * best.cycles:
            break
        best = min([best, *paper.estimates(threads)], key=lambda each: each.cycles)
    return best.candidate, best.plan


def worth_timing(ranked: Ranked, problem: Problem, setting: Setting) -> int | None:
    """Return the number of threads, fewer than the setting's, that may be as fast; None without."""
    paper = _Paper(ranked, problem, setting)
    threads = next(iter(paper.fewer()), None)
    if threads is None or paper.least(threads) > NEAR * paper.least(setting.threads):
        return None
    return threads


class _Paper:
    """The cycles of a problem on numbers of threads."""

    def __init__(self, ranked: Ranked, problem: Problem, setting: Setting) -> None:
        self._ranked, self._problem, self._setting = ranked, problem, setting
        self._transfer = launch.transfer_cycles() if setting.threads > 1 else 0.0

    def fewer(self) -> list[int]:
        """Return fewer threads, half as many each time, the most promising first.

        In a chain, threads without work wait at the same barriers: fewer threads gain nothing.
        """
        if not self._setting.alone:
            return []
        halves = range(1, self._setting.threads.bit_length())
        return sorted((self._setting.threads >> i for i in halves), key=self.least)

    def least(self, threads: int) -> float:
        """Return the cycles if all threads are busy to the end of the only stage."""
        return self._ranked[0][0] / threads + self._launch(threads, 1)

    def _launch(self, threads: int, stages: int) -> float:
        return launch.transfers(threads, stages) * self._transfer

    def estimates(self, threads: int) -> Iterator[_Estimate]:
        """Yield the cycles of the strategies; where few threads are set, of the first one."""
        setting = self._setting
        count = None if threads == setting.threads else threads
        for cycles, member in self._ranked if setting.threads > FEW_THREADS else self._ranked[:1]:
            candidate = Candidate.first(member, self._problem, setting, count)
            plan = candidate.plan(self._problem, setting)
            share = longest_cycles(plan, threads, cycles)
            yield _Estimate(share + self._launch(threads, len(plan.steps)), candidate, plan)
