"""How long, and in which order, contestants are measured."""

from __future__ import annotations

from dataclasses import dataclass, field

from convprof.measure.isolated.processes import HERE, Processes

MOST_BUDGETS = 20
"""A contestant may take this many budgets to reach the fewest rounds; else it takes fewer
rounds."""


@dataclass(frozen=True)
class Settings:
    """How long and in which order to measure."""

    budget_s: float = 0.07
    """Seconds of samples per contestant."""
    rounds: int | None = None
    """A fixed number of rounds for all; None: as many as the budget allows, at most ROUNDS."""
    seed: int = 0
    time_limit_s: float | None = None
    """Seconds that a contestant may take to reach the fewest rounds; None: MOST_BUDGETS budgets."""
    processes: Processes = field(default=HERE, compare=False)
    """Which contestants compute in other processes."""

    @property
    def longest_s(self) -> float:
        """Seconds of samples that a slow contestant may take."""
        return MOST_BUDGETS * self.budget_s if self.time_limit_s is None else self.time_limit_s
