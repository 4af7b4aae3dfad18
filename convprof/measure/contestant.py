"""Who takes part in a measurement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from convprof.results import label

if TYPE_CHECKING:
    from convprof.measure.isolated.environment import Environment
    from convprof.problems import Problem
    from convprof.strategies.base import Setting, Strategy

Cache = Literal["hot", "cold"]


@dataclass(frozen=True)
class Contestant:
    """A strategy that is to compute a problem in a setting."""

    strategy: Strategy[Any]
    problem: Problem
    setting: Setting
    cache: Cache = "hot"
    environment: Environment | None = None
    """Whose Python computes it; None for this one."""

    @property
    def layout(self) -> str | None:
        """The layout, or None where the kind of problem has none."""
        return self.setting.layout if self.problem.has_layout else None

    @property
    def isa(self) -> str | None:
        """What its kernels are generated for, or None if they are not generated."""
        return self.setting.isa if self.strategy.generated else None

    @property
    def label(self) -> str:
        """``tiled nhwc 1 thread``."""
        environment = self.environment.name if self.environment else None
        return label(self.strategy.name, self.layout, self.isa, self.setting.threads, environment)
