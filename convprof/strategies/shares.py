"""The shares of a plan's threads, run one after another on one thread.

So the work of 32 threads is timed on a machine with two cores: every share alone, with the data
that it uses in the caches of the core.
"""

from __future__ import annotations

import heapq
import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from convprof import stats
from convprof.codegen.cache_line import LINE_BYTES
from convprof.codegen.threads import Program, Work, chunk, team
from convprof.dtypes import WORD
from convprof.errors import RefusedError
from convprof.strategies import memory
from convprof.strategies.plan import Y
from convprof.strategies.plan_runner import PlanRunner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from convprof.problems import Problem
    from convprof.strategies.base import Setting
    from convprof.strategies.plan import Array, Plan

CALLS = 30
MOST_BYTES = 16 << 30
"""Memory that is filled and compared to find the lines of two threads: some ten seconds."""
PATTERNS = (0x3E, 0xBF)
"""Bytes that fill the memory before a share runs: positive and negative numbers of order one in
every type. A byte that a share writes differs from at least one of them."""


def assigned(work: Work, threads: int) -> list[list[range]]:
    """Return the ranges of tasks of each thread in one stage.

    Where a free thread takes the next tasks, threads take chunks in turn: what equal chunks give.
    """
    lo, tasks = work.lo, work.hi - work.lo
    if work.fixed:
        edges = [lo + tasks * member // threads for member in range(threads + 1)]
        return [[range(*pair)] for pair in itertools.pairwise(edges)]
    size = chunk(tasks, threads)
    chunks = [range(at, min(at + size, work.hi)) for at in range(lo, work.hi, size)]
    return [chunks[member::threads] for member in range(threads)]


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Seconds of one stage, divided among threads."""

    longest: float
    """The seconds until the last thread has finished."""
    work: float
    """The seconds of all threads together."""


def finished(seconds: Sequence[Sequence[float]], *, fixed: bool) -> StageTimes:
    """Return the times of a stage from the seconds of each thread's ranges.

    Unless the shares are fixed, a free thread takes the next range.
    """
    if fixed:
        busy = [sum(own) for own in seconds]
        return StageTimes(max(busy), sum(busy))
    in_order = [one for turn in itertools.zip_longest(*seconds) for one in turn if one is not None]
    free = [0.0] * len(seconds)
    for each in in_order:
        heapq.heapreplace(free, free[0] + each)
    return StageTimes(max(free), sum(in_order))


class SharesRunner(PlanRunner):
    """A plan for several threads, on the calling thread alone."""

    def __init__(self, name: str, problem: Problem, setting: Setting, plan: Plan) -> None:
        """Compile and allocate ``plan``; RefusedError if a step is a call of a library."""
        super().__init__(name, problem, setting, plan)
        if self.works() is None:
            raise RefusedError(f"{name} calls a library, which divides the work by itself")

    def bind(self, *operands: Array, packed: Mapping[str, Array] | None = None) -> None:
        """Take the operands; then find the shares of every thread."""
        super().bind(*operands, packed=packed)
        threads = self.threads
        self.stages = self.works() or []
        shares = [assigned(work, threads) for work in self.stages]
        self._shares = [
            [
                [_Part(work, tasks) for tasks in stage[member]]
                for work, stage in zip(self.stages, shares, strict=True)
            ]
            for member in range(threads)
        ]
        """By thread, stage and range."""
        self._call_s = self._seconds_of_call()

    def member_seconds(self, member: int) -> list[list[float]]:
        """Return the seconds of each range of tasks of a thread, by stage.

        The thread's whole share has run once before, so that its data is in the caches.
        """
        share = self._shares[member]
        for part in itertools.chain.from_iterable(share):
            part.run()
        call = self._call_s
        return [[max(0.0, part.seconds() - call) for part in stage] for stage in share]

    def _seconds_of_call(self) -> float:
        """Return the seconds of a call without a task, which is no part of a share."""
        if not self.stages:
            return 0.0
        nothing = _Part(self.stages[0], range(0))
        return stats.undisturbed([nothing.seconds() for _ in range(CALLS)])

    def lines_of_two(self) -> int | None:
        """Return how many cache lines two threads write within one stage.

        None if that takes long, or more memory than is available. Each share runs over memory that
        is filled with a pattern: what changes is what it writes. Results and workspaces are
        restored.
        """
        arrays = [self._arrays[key] for key in (Y, *self._scratch_of_shares())]
        size = sum(array.nbytes for array in arrays)
        long = size * self.threads * len(self.stages) > MOST_BYTES
        if long or not memory.has(size):
            return None
        before = [array.copy() for array in arrays]
        views = [array.reshape(-1).view(np.uint8) for array in arrays]
        total = 0
        for stage in range(len(self.stages)):
            writers = [np.zeros(-(-view.size // LINE_BYTES), dtype=np.int32) for view in views]
            for share in self._shares:
                written = _written(share[stage], views)
                writers = [a + b for a, b in zip(writers, written, strict=True)]
            total += sum(int((count > 1).sum()) for count in writers)
        for array, copy in zip(arrays, before, strict=True):
            array[...] = copy
        return total

    def _scratch_of_shares(self) -> list[str]:
        """Return the workspaces whose writers do not depend on who runs when.

        A plan that counts claims gives scratch memory to the next free thread, to one at a time.
        """
        workspaces = self.plan.workspaces
        claims = any(buffer.dtype == WORD for buffer in workspaces.values())
        return [] if claims else list(workspaces)

    def _place(self, array: Array) -> None:
        """Leave packed weights where the calling thread writes them: no other thread reads them."""

    def _launch(self, rows: list[Work]) -> Callable[[], None]:
        """Return the action that runs ``rows`` on the calling thread."""
        program = Program(rows, 1)
        return lambda: team(1).run(program)


class _Part:
    """Some tasks of a stage as a program of one thread."""

    def __init__(self, work: Work, tasks: range) -> None:
        self._program = Program([work._replace(lo=tasks.start, hi=tasks.stop)], 1)

    def run(self) -> None:
        team(1).run(self._program)

    def seconds(self) -> float:
        """Run; return the seconds."""
        alone, program = team(1), self._program
        start = time.perf_counter_ns()
        alone.run(program)
        return (time.perf_counter_ns() - start) * 1e-9


def _written(parts: Sequence[_Part], views: Sequence[Array]) -> list[Array]:
    """Return for each view which of its cache lines the parts write."""
    lines = [np.zeros(-(-view.size // LINE_BYTES), dtype=bool) for view in views]
    if not parts:
        return lines
    for pattern in PATTERNS:
        for view in views:
            view.fill(pattern)
        for part in parts:
            part.run()
        changed = (_changed(view, pattern) for view in views)
        lines = [a | b for a, b in zip(lines, changed, strict=True)]
    return lines


def _changed(view: Array, pattern: int) -> Array:
    """Return for each cache line whether a byte of it is not the pattern."""
    whole = view.size // LINE_BYTES * LINE_BYTES
    word = np.frombuffer(bytes([pattern] * 8), dtype=np.uint64)[0]
    words = view[:whole].view(np.uint64).reshape(-1, LINE_BYTES // 8)
    lines = (words != word).any(axis=1)
    rest = view[whole:]
    return np.append(lines, (rest != pattern).any()) if rest.size else lines
