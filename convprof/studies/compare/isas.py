"""Instruction sets against each other: the same strategy with kernels for each, in the same rounds.

Wider vectors need fewer cycles, and the core may lower its clock for them: the time decides, and
cycles and clock say why.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from convprof.studies import comparison
from convprof.studies.comparison import Comparison, ratio_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.measure.participant import Participant
    from convprof.measure.session import Session
    from convprof.results import Measurement

KIND = "isas"
"""Of the comparisons in the result document."""


@dataclass(frozen=True)
class IsaComparison(Comparison["Measurement"]):
    """One strategy in one layout on some threads; ``b`` has the instruction set named before."""

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as the result document has it."""
        common = comparison.to_json(KIND, self.a.problem, self)
        return {**common, "threads": self.a.threads}

    @property
    def better(self) -> str | None:
        """The instruction set that is certainly faster; None if neither is."""
        return {"faster": self.a.isa, "slower": self.b.isa}.get(self.verdict)


def compared(session: Session) -> list[IsaComparison]:
    """Return what can be compared of a session so far, the fastest strategy first."""
    groups: dict[tuple[Any, ...], list[Participant]] = {}
    for participant in session.participants:
        c = participant.contestant
        if c.isa is not None and participant.samples:
            place = (c.cache, c.environment)
            key = (c.problem, c.strategy.name, c.layout, c.setting.threads, *place)
            groups.setdefault(key, []).append(participant)
    comparisons = [
        IsaComparison(session.measurement(a), session.measurement(b), ratio)
        for participants in groups.values()
        for b, a in pairwise(participants)
        if (ratio := ratio_of(a, b)) is not None
    ]
    return sorted(comparisons, key=rank)


def read(
    comparisons: Sequence[dict[str, Any]], measurements: Sequence[Measurement]
) -> list[IsaComparison]:
    """Return the comparisons of instruction sets in a document, fastest first."""

    def build(_: dict[str, Any], sides: Comparison[Measurement]) -> IsaComparison:
        return IsaComparison(sides.a, sides.b, sides.ratio)

    return sorted(comparison.read(KIND, build, comparisons, measurements), key=rank)


def rank(each: IsaComparison) -> tuple[bool, float]:
    """Return the sort key of the fastest strategy first."""
    return min(each.a.rank, each.b.rank)
