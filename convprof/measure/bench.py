"""Where a contestant computes and is timed: in this process, or in another one."""

from __future__ import annotations

import functools
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof.measure.eviction import evictor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from convprof.measure.contestant import Contestant
    from convprof.measure.operands import Drawn
    from convprof.measure.stopwatch import Sample, Stopwatch
    from convprof.strategies.base import Prepared


CLOCKS_S = 2e-6
"""Seconds of reading the clock around a call, which each call with cold caches has of its own."""
EVICTIONS = 2
"""How often the eviction is timed: another program may disturb one of them."""


class BenchError(Exception):
    """A contestant failed in another process; the message is the reason of its row."""


@dataclass(frozen=True)
class Facts:
    """What a prepared strategy says of itself: see ``Prepared``."""

    executed_flops: int
    bytes_moved: int
    prepare_s: float
    compile_s: float
    workspace_bytes: int | None
    times_phases: bool
    explanation: tuple[str, ...]
    note: str | None

    @classmethod
    def of(cls, prepared: Prepared) -> Facts:
        """Return the facts of a strategy that is bound to its operands."""
        return cls(
            prepared.executed_flops(),
            prepared.bytes_moved(),
            prepared.prepare_s,
            prepared.compile_s,
            prepared.workspace_bytes,
            prepared.times_phases,
            prepared.explanation,
            prepared.note,
        )


class Bench(ABC):
    """A prepared contestant and its clock."""

    untimed_s: float = 0.0
    """Seconds before each call that are not timed: with cold caches, the eviction."""

    @abstractmethod
    def start(self, drawn: Drawn) -> float:
        """Bind the operands and compute once; return the seconds of this first call."""

    @abstractmethod
    def output(self) -> np.ndarray[Any, Any]:
        """Return the result of the last call, in the setting's layout."""

    @abstractmethod
    def call_s(self) -> float:
        """Time one call; return its seconds."""

    @abstractmethod
    def sample(self, calls: int) -> Sample:
        """Take a sample of ``calls`` calls, per result.

        The first call after a switch between contestants starts with the caches of the last one:
        that call is not timed, unless it is the whole sample.
        """

    @abstractmethod
    def phases(self) -> Mapping[str, float]:
        """Compute once with a clock between the phases: seconds by name."""

    @property
    @abstractmethod
    def facts(self) -> Facts:
        """What the strategy says of itself, after ``start``."""

    @property
    @abstractmethod
    def prepared(self) -> Prepared:
        """The strategy, for studies that look at its kernels. ConvprofError in another process."""

    @abstractmethod
    def close(self) -> None:
        """Give everything back that belongs to a whole process."""


class LocalBench(Bench):
    """A contestant in this process."""

    def __init__(self, contestant: Contestant, stopwatch: Stopwatch) -> None:
        self._contestant, self._stopwatch = contestant, stopwatch
        self._prepared = contestant.strategy.prepare(contestant.problem, contestant.setting)
        self._before: Callable[[], None] | None = None

    def start(self, drawn: Drawn) -> float:
        """Bind the operands and compute once; return the seconds of this first call."""
        self._prepared.bind(*drawn.all(self._contestant.setting.layout))
        start = time.perf_counter()
        self._prepared.run()
        first_s = time.perf_counter() - start
        if self._contestant.cache == "cold":
            self._before = evictor(self._prepared.memory())
            self.untimed_s = CLOCKS_S + min(_seconds(self._before) for _ in range(EVICTIONS))
        return first_s

    def output(self) -> np.ndarray[Any, Any]:
        """Return the result of the last call, in the setting's layout."""
        return self._prepared.output()

    def call_s(self) -> float:
        """Time one call; return its seconds."""
        return self._stopwatch.sample(self._prepared.run, 1, self._before).seconds

    def sample(self, calls: int) -> Sample:
        """Take a sample of ``calls`` calls, per result."""
        if calls > 1 and self._before is None:
            self._prepared.run()
        sample = self._stopwatch.sample(self._prepared.run, calls, self._before)
        return sample.per(self._prepared.results_per_run)

    def phases(self) -> Mapping[str, float]:
        """Compute once with a clock between the phases: seconds by name."""
        return self._prepared.run_phases()

    @functools.cached_property
    def facts(self) -> Facts:
        """What the strategy says of itself, after ``start``."""
        return Facts.of(self._prepared)

    @property
    def prepared(self) -> Prepared:
        """The strategy itself."""
        return self._prepared

    def close(self) -> None:
        """Restore settings of the whole process."""
        self._prepared.close()


def _seconds(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
