"""The time of a problem on more threads than this machine has, from shares that run alone.

    T(N)  =  call + barriers(N) + sum over stages of the longest share
    T(N) >=  bytes / bandwidth of memory, if the operands and the result exceed the last cache

A barrier is modelled by transfers of cache lines between cores, whose latency is measured.
"""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from convprof import doubts, stats
from convprof.codegen.probes import nothing
from convprof.codegen.threads import Program, Work, team
from convprof.errors import RefusedError
from convprof.machine.surroundings import Lookout
from convprof.strategies import launch
from convprof.strategies.shares import SharesRunner, StageTimes, finished

if TYPE_CHECKING:
    from convprof.problems import Problem
    from convprof.strategies.base import Prepared, Setting
    from convprof.strategies.plan import Array
    from convprof.strategies.planned import Planned

LEAST_ROUNDS, MOST_ROUNDS = 9, 60
BARRIER_SAMPLES = 60


@dataclass
class Barriers:
    """What a launch costs: measured on as many threads as there are cores, modelled beyond."""

    latency_s: float | None
    """Of one transfer; None if unknown: barriers then count as free."""
    cores: int
    """More threads are modelled."""
    measured: dict[tuple[int, int], float] = field(default_factory=dict)
    """Seconds by threads and stages."""

    def seconds(self, threads: int, stages: int) -> float:
        """Return what a launch of some stages costs more than a call on one thread."""
        if threads == 1:
            return 0.0
        if threads > self.cores:
            return self.modelled(threads, stages) or 0.0
        key = threads, stages
        if key not in self.measured:
            self.measured[key] = max(0.0, _empty(threads, stages) - _empty(1, stages))
        return self.measured[key]

    @functools.cached_property
    def call_s(self) -> float:
        """Seconds of a call on one thread."""
        return _empty(1, 1)

    def modelled(self, threads: int, stages: int) -> float | None:
        """Return the same by the latency; None if the latency is unknown."""
        return self.latency_s and self.latency_s * launch.transfers(threads, stages)


def _empty(threads: int, stages: int) -> float:
    """Return the seconds of a launch of stages that do nothing."""
    stage = Work(nothing.address(), 0, threads, 0, 0, fixed=True)
    program, members = Program([stage] * stages, threads), team(threads)
    members.run(program)
    samples = [_seconds(lambda: members.run(program)) for _ in range(BARRIER_SAMPLES)]
    return stats.undisturbed(samples)


@dataclass(frozen=True)
class Prediction:
    """The parts of the time on some threads; seconds."""

    threads: int
    used: int
    """The threads that take part: a plan may leave some without work."""
    one_s: float
    """Measured on one thread."""
    stages: tuple[StageTimes, ...]
    barriers_s: float
    call_s: float
    """The call itself, on any number of threads."""
    least_s: float
    """At the bandwidth of memory; 0 where the caches hold everything."""
    lines: int | None
    """Cache lines that two threads write in one stage; None where they were not counted."""
    rounds: int
    measured: stats.Ratio | None = None
    """One thread over these threads, measured; None where the machine has fewer cores."""
    measured_s: float | None = None
    doubt: str | None = None

    @property
    def work_s(self) -> float:
        """All shares together."""
        return sum(stage.work for stage in self.stages)

    @property
    def longest_s(self) -> float:
        """The longest share of every stage."""
        return sum(stage.longest for stage in self.stages)

    @property
    def mean_s(self) -> float:
        """The mean share of the threads that take part."""
        return self.work_s / self.used

    @property
    def balance(self) -> float:
        """The mean share over the longest one."""
        return self.mean_s / self.longest_s if self.longest_s else 1.0

    @property
    def inflation(self) -> float:
        """All shares together over the time on one thread."""
        return self.work_s / self.one_s

    @property
    def seconds(self) -> float:
        """The predicted time."""
        return max(self.call_s + self.longest_s + self.barriers_s, self.least_s)

    @property
    def speedup(self) -> float:
        """The predicted time on one thread over this one."""
        return self.one_s / self.seconds

    @property
    def lost_s(self) -> float:
        """The predicted time beyond an equal share of the time on one thread."""
        return max(0.0, self.seconds - self.one_s / self.threads)

    @property
    def limit(self) -> str:
        """What costs most: ``balance``, ``work``, ``barriers``, ``bandwidth``; or ``nothing``.

        Threads without work save barriers.
        """
        if self.seconds == self.least_s:
            return "bandwidth"
        even = self.work_s / self.threads
        losses = {
            "balance": self.longest_s - self.mean_s,
            "work": even - (self.one_s - self.call_s) / self.threads,
            "barriers": self.barriers_s + self.call_s + self.mean_s - even,
        }
        worst = max(losses, key=lambda name: losses[name])
        return worst if losses[worst] > NEGLIGIBLE * self.seconds else "nothing"


NEGLIGIBLE = 0.02
"""A smaller share of the time limits nothing."""


@dataclass(frozen=True)
class Layer:
    """A problem, and the prediction for some threads."""

    problem: Problem
    times: int
    prediction: Prediction

    @property
    def name(self) -> str:
        """The layer's name, or the text of the problem."""
        return (self.problem.name or self.problem.descriptor).rpartition(":")[2]


@dataclass
class Trial:
    """One strategy on one problem: on one thread, and the shares of several."""

    strategy: Planned[Any]
    alone: Planned[Any]
    """The same strategy on one thread, where the strategy refuses it."""
    problem: Problem
    setting: Setting
    """The number of threads is another one for each prediction."""
    operands: tuple[Array, ...]
    barriers: Barriers
    budget_s: float

    def __post_init__(self) -> None:
        """Prepare the problem on one thread; RefusedError with the strategy's reason."""
        self._one = self._prepared(self.alone, 1)

    def _prepared(self, strategy: Planned[Any], threads: int) -> Prepared:
        setting = replace(self.setting, threads=threads)
        self._check(strategy, setting)
        prepared = strategy.prepare(self.problem, setting)
        prepared.bind(*self.operands)
        prepared.run()
        return prepared

    def _check(self, strategy: Planned[Any], setting: Setting) -> None:
        reason = strategy.why_not(self.problem, setting)
        if reason is not None:
            raise RefusedError(reason)

    def predict(self, threads: int, least_s: float = 0.0, *, measured: bool) -> Prediction:
        """Time the shares of ``threads`` threads; if ``measured``, the threads themselves too."""
        setting = replace(self.setting, threads=threads)
        self._check(self.strategy, setting)
        plan = self.strategy.plan(self.problem, setting)
        shares = SharesRunner(self.strategy.name, self.problem, setting, plan)
        shares.bind(*self.operands)
        shares.run()
        lines = shares.lines_of_two()
        together = self._prepared(self.strategy, threads) if measured else None
        samples = _Samples(self._one, together, shares)
        lookout = Lookout()
        lookout.begin()
        samples.take(self.budget_s)
        lookout.end()
        if together is not None:
            together.close()
        fastest = stats.fastest_third(samples.together if together else samples.alone)
        return Prediction(
            threads=threads,
            used=shares.threads,
            one_s=stats.undisturbed(samples.alone),
            stages=samples.stages(),
            barriers_s=self.barriers.seconds(shares.threads, len(shares.stages)),
            call_s=self.barriers.call_s,
            least_s=least_s,
            lines=lines,
            rounds=len(samples.alone),
            measured=stats.paired_ratio(samples.alone, samples.together) if together else None,
            measured_s=stats.undisturbed(samples.together) if together else None,
            doubt=doubts.of_choice(threads if together else 1, lookout.around(), fastest),
        )


class _Samples:
    """Seconds of each part of a prediction by round; all parts take part in every round."""

    def __init__(self, alone: Prepared, together: Prepared | None, shares: SharesRunner) -> None:
        self._alone, self._together, self._shares = alone, together, shares
        self.alone: list[float] = []
        self.together: list[float] = []
        self._members: list[list[list[list[float]]]] = []
        """By round, thread, stage and range."""

    def take(self, budget_s: float) -> None:
        """Take rounds for the time of the budget, but not less than a few."""
        start = time.perf_counter()
        while len(self.alone) < MOST_ROUNDS:
            self._round()
            if len(self.alone) >= LEAST_ROUNDS and time.perf_counter() - start > budget_s:
                break

    def _round(self) -> None:
        self.alone.append(_warm_seconds(self._alone))
        if self._together is not None:
            self.together.append(_warm_seconds(self._together))
        threads = self._shares.threads
        self._members.append([self._shares.member_seconds(member) for member in range(threads)])

    def stages(self) -> tuple[StageTimes, ...]:
        """Return the times of each stage, of undisturbed samples of each range."""
        members = range(self._shares.threads)
        first = self._members[0]
        return tuple(
            finished(
                [
                    [
                        stats.undisturbed([once[member][stage][part] for once in self._members])
                        for part in range(len(first[member][stage]))
                    ]
                    for member in members
                ],
                fixed=work.fixed,
            )
            for stage, work in enumerate(self._shares.stages)
        )


def _warm_seconds(prepared: Prepared) -> float:
    prepared.run()
    return _seconds(prepared.run)


def _seconds(call: Any) -> float:
    start = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - start) * 1e-9
