"""A training step of one layer: its forward pass and both backward passes, added up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.problems.passes import BACKWARD_DATA, BACKWARD_WEIGHTS, FORWARD
from convprof.problems.reorder import Reorder
from convprof.strategies import registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.results import Measurement

ORDER = (FORWARD, BACKWARD_DATA, BACKWARD_WEIGHTS)


@dataclass(frozen=True)
class Step:
    """The fastest way of each pass on one side, in one layout and on one number of threads."""

    library: bool
    """Whether somebody else's libraries compute it."""
    passes: tuple[Measurement, ...]
    """In the order forward, backward-data, backward-weights; each has a time."""

    @property
    def layout(self) -> str | None:
        """The layout of all three: a change between passes would cost conversions."""
        return self.passes[0].layout

    @property
    def threads(self) -> int:
        """The number of threads."""
        return self.passes[0].threads

    @property
    def seconds(self) -> float:
        """The sum of the medians."""
        return sum(m.time_s.median for m in self.passes if m.time_s)

    @property
    def prepare_s(self) -> float:
        """Seconds to rearrange the weights for all passes: a step changes them."""
        return sum(m.prepare_s or 0.0 for m in self.passes)

    @property
    def flops(self) -> int:
        """FLOPs of the definitions."""
        return sum(m.flops.direct for m in self.passes if m.flops)


def which_pass(measurement: Measurement) -> str:
    """Return the pass that a measurement is of."""
    found: str = measurement.problem.get("pass", FORWARD)
    return found


def steps(measurements: Sequence[Measurement]) -> list[Step]:
    """Return the training steps of one layer: by threads, then the fastest first.

    Sides, layouts and numbers of threads in which a pass has no result are left out.
    """
    best: dict[tuple[int, bool, str | None], dict[str, Measurement]] = {}
    for m in measurements:
        if m.time_s is None or m.problem["kind"] == Reorder.kind:
            continue
        library = registry.find(m.problem["kind"], m.strategy).peer
        found = best.setdefault((m.threads, library, m.layout), {})
        known = found.get(which_pass(m))
        if known is None or known.time_s is None or m.time_s.median < known.time_s.median:
            found[which_pass(m)] = m
    whole = [
        Step(library, tuple(found[which] for which in ORDER))
        for (_, library, _), found in best.items()
        if found.keys() >= set(ORDER)
    ]
    return sorted(whole, key=lambda step: (step.threads, step.seconds))
