"""What ``auto`` chooses from: a strategy, one of its blockings, and a number of threads."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from convprof.strategies.tuning.tunable import Tunable, spelled

if TYPE_CHECKING:
    from convprof.problems import Problem
    from convprof.strategies.base import Setting
    from convprof.strategies.plan import Plan
    from convprof.strategies.plan_runner import PlanRunner


class Candidate(NamedTuple):
    """A strategy, one of its blockings, and the threads that take part."""

    strategy: Tunable[Any, Any]
    blocking: Any
    threads: int | None = None
    """Fewer than the setting's; None for all of them."""

    @classmethod
    def first(
        cls,
        strategy: Tunable[Any, Any],
        problem: Problem,
        setting: Setting,
        threads: int | None = None,
    ) -> Candidate:
        """Return a strategy with the blocking that its model prefers."""
        own = replace(setting, threads=threads or setting.threads)
        return cls(strategy, strategy.blockings(problem, own)[0], threads)

    def plan(self, problem: Problem, setting: Setting) -> Plan:
        """Return the plan for the threads that take part."""
        own = replace(setting, threads=self.threads or setting.threads)
        plan = self.strategy.plan_blocked(problem, own, self.blocking)
        return replace(plan, threads=self.threads)

    def prepare(self, problem: Problem, setting: Setting) -> PlanRunner:
        """Allocate and compile."""
        return self.strategy.prepared(problem, setting, self.plan(problem, setting))

    def __str__(self) -> str:
        """Return all of it for people."""
        name = f"{self.strategy.name} ({spelled(self.blocking)})"
        if self.threads is None:
            return name
        return f"{name} on {self.threads} thread{'s' if self.threads > 1 else ''}"
