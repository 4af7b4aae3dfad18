"""Strategies that return plans; one runner allocates, compiles and runs all plans."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from convprof.strategies.base import P, Strategy
from convprof.strategies.plan_runner import PlanRunner

if TYPE_CHECKING:
    from convprof.strategies.base import Setting
    from convprof.strategies.plan import Plan


class Planned(Strategy[P]):
    """A strategy that is data: buffers, and stages that run over them."""

    @abstractmethod
    def plan(self, problem: P, setting: Setting) -> Plan:
        """Return the buffers and the stages; no memory of the problem is allocated yet."""

    def prepare(self, problem: P, setting: Setting) -> PlanRunner:
        """Allocate and compile the strategy's plan."""
        return self.prepared(problem, setting, self.plan(problem, setting))

    def prepared(self, problem: P, setting: Setting, plan: Plan) -> PlanRunner:
        """Allocate and compile one of the strategy's plans."""
        return PlanRunner(self.name, problem, setting, plan)
