"""Which known core a list of measured costs resembles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convprof.machine.published import Core, Range

AGREES_WITHIN = 0.1
"""A row agrees if all its figures that are published are within 10 %: cycles are whole numbers,
and the next one is farther away up to ten of them."""
ALIKE_SHARE = 0.75
"""A machine of which fewer rows agree is unlike that core."""

Measured = tuple[float | None, float | None]
"""Latency and reciprocal throughput."""


@dataclass(frozen=True)
class Resemblance:
    """How far a machine is from a core."""

    core: str
    rows: int
    """Rows with a figure on both sides."""
    agreeing: int
    """Of these, rows whose figures are all within 10 %."""
    distance: float
    """Mean factor between measured and published figures, less 1: 0 is equality."""

    @property
    def share(self) -> float:
        """The part of the rows that agree."""
        return self.agreeing / self.rows


def resemblances(measured: Mapping[str, Measured], cores: Sequence[Core]) -> list[Resemblance]:
    """Return the cores, the most alike first; those without a common row are left out."""
    found = [_compare(measured, core) for core in cores]
    known = [one for one in found if one is not None]
    return sorted(known, key=lambda one: (-one.share, -one.rows, one.distance))


def verdict(ordered: Sequence[Resemblance]) -> str | None:
    """Return the name of the core that the machine resembles most; None if it is unlike all."""
    if ordered and ordered[0].share >= ALIKE_SHARE:
        return ordered[0].core
    return None


def _compare(measured: Mapping[str, Measured], core: Core) -> Resemblance | None:
    off: list[float] = []
    rows = agreeing = 0
    for name, (latency, throughput) in measured.items():
        figures = core.figures.get(name)
        if figures is None:
            continue
        pairs = ((latency, figures.latency), (throughput, figures.reciprocal_throughput))
        distances = [_distance(value, known) for value, known in pairs if value and known]
        if distances:
            rows += 1
            agreeing += max(distances) <= math.log1p(AGREES_WITHIN)
            off += distances
    if not rows:
        return None
    return Resemblance(core.name, rows, agreeing, math.expm1(math.fsum(off) / len(off)))


def _distance(value: float, known: Range) -> float:
    """Return |log| of the factor between a value and the nearest of a range; 0 within it."""
    low, high = known
    return max(0.0, math.log(low / value), math.log(value / high))
