"""A contestant while it is measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convprof.measure.bench import Bench
    from convprof.measure.contestant import Contestant
    from convprof.measure.stopwatch import Sample
    from convprof.strategies.base import Prepared


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
