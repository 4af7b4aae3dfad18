"""Strategies with several possible blockings, and the expected cost of each blocking."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from convprof.strategies.base import P, Setting
from convprof.strategies.planned import Planned

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from _typeshed import DataclassInstance

    from convprof.strategies.plan import Plan
    from convprof.strategies.plan_runner import PlanRunner

B = TypeVar("B", bound="DataclassInstance")
"""A blocking: a frozen dataclass of integers, which is chosen, timed and explained."""
H = TypeVar("H", bound="Hashable")


class Tunable(Planned[P], Generic[P, B]):
    """A strategy with blockings to choose from."""

    @abstractmethod
    def blockings(self, problem: P, setting: Setting) -> list[B]:
        """Return the candidate blockings; the first is the model's choice."""

    @abstractmethod
    def cycles(self, problem: P, setting: Setting) -> float:
        """Estimate the core cycles of the model's choice on one thread, operands in cache."""

    def pays(self, problem: P, setting: Setting) -> bool:  # noqa: ARG002
        """Whether ``auto`` considers the strategy for a problem that it does not refuse."""
        return True

    @abstractmethod
    def plan_blocked(self, problem: P, setting: Setting, blocking: B) -> Plan:
        """Return the plan with one of ``blockings``."""

    def blocks(self, problem: P, blocking: B) -> int:  # noqa: ARG002
        """Return the number of blocks of a problem, if each block has a list of tiles."""
        return 1

    def prepare_blocked(self, problem: P, setting: Setting, blocking: B) -> PlanRunner:
        """Allocate and compile for one of ``blockings``."""
        return self.prepared(problem, setting, self.plan_blocked(problem, setting, blocking))

    def plan(self, problem: P, setting: Setting) -> Plan:
        """Return the plan with the model's choice."""
        return self.plan_blocked(problem, setting, self.blockings(problem, setting)[0])


def distinct(blockings: Iterable[H]) -> list[H]:
    """Return each blocking once, in order."""
    return list(dict.fromkeys(blockings))


# Blockings are stored as JSON objects. An object from a file is only compared with the candidates:
# no blocking is constructed from a file.


def stored(blocking: DataclassInstance) -> dict[str, Any]:
    """Return a blocking as JSON types."""
    return asdict(blocking)


def spelled(blocking: DataclassInstance) -> str:
    """Return a blocking for people: its numbers by name, an ``unroll`` of 0 left out."""
    numbers = stored(blocking).items()
    return ", ".join(f"{name} {value}" for name, value in numbers if name != "unroll" or value)
