"""Strategies that can be prepared in several ways, and what each way is expected to cost."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from convprof.strategies.base import Prepared, Setting, Strategy

if TYPE_CHECKING:
    from convprof.problems import Problem

Variant = dict[str, int]
"""The integers of a blocking by name: what is chosen, timed, remembered and explained."""


class Tunable(Strategy):
    """A strategy with blockings to choose from."""

    @abstractmethod
    def variants(self, problem: Problem, setting: Setting) -> list[Variant]:
        """Return the blockings worth trying; the first is the model's choice."""

    @abstractmethod
    def cycles(self, problem: Problem, setting: Setting) -> float:
        """Estimate the core cycles of the model's choice on one thread, operands in cache."""

    @abstractmethod
    def prepare_variant(self, problem: Problem, setting: Setting, variant: Variant) -> Prepared:
        """Allocate and compile for one of ``variants``."""

    def prepare(self, problem: Problem, setting: Setting) -> Prepared:
        """Allocate and compile for the model's choice."""
        return self.prepare_variant(problem, setting, self.variants(problem, setting)[0])


def distinct(variants: list[Variant]) -> list[Variant]:
    """Return each variant once, in order."""
    found: list[Variant] = []
    for variant in variants:
        if variant not in found:
            found.append(variant)
    return found
