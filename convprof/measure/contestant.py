"""Who takes part in a measurement."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from convprof.results import label

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convprof.measure.bench import Bench
    from convprof.measure.stopwatch import Sample
    from convprof.problems import Problem
    from convprof.strategies.base import Prepared, Setting, Strategy

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
        return self.setting.layout if self.problem.has_layout else None

    @property
    def isa(self) -> str | None:
        """What its kernels are generated for, or None if they are not generated."""
        return self.setting.isa if self.strategy.generated else None

    @property
    def label(self) -> str:
        """``tiled nhwc 1 thread``."""
        return label(self.strategy.name, self.layout, self.isa, self.setting.threads)


@dataclass
class Participant:
    """A contestant that is being measured."""

    contestant: Contestant
    bench: Bench
    error: float
    calls: int = 1
    rounds: int = 0
    estimate_s: float = 0.0
    phases: Mapping[str, float] = field(default_factory=dict)
    samples: dict[int, Sample] = field(default_factory=dict)
    """By round."""
    doubt: str | None = None
    """Why a study does not believe the samples; None if it does."""

    @property
    def prepared(self) -> Prepared:
        """The strategy, if it is in this process."""
        return self.bench.prepared

    @property
    def seconds(self) -> dict[int, float]:
        """Seconds per call by round."""
        return {number: sample.seconds for number, sample in self.samples.items()}


@dataclass(frozen=True)
class Suspect:
    """A contestant whose time contradicts another time."""

    participant: Participant
    reason: str
