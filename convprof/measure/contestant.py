"""Who takes part in a measurement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from convprof.problems.layouts import has_layout

if TYPE_CHECKING:
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

    @property
    def layout(self) -> str | None:
        """The layout, or None where the kind of problem has none."""
        return self.setting.layout if has_layout(self.problem) else None

    @property
    def label(self) -> str:
        """``tiled nhwc 1 thread``."""
        threads = f"{self.setting.threads} thread{'s' if self.setting.threads > 1 else ''}"
        return " ".join(part for part in (self.strategy.name, self.layout, threads) if part)
