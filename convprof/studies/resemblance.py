"""Which known core a list of measured costs resembles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.stats import median

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convprof.machine.published import Core

AGREES_WITHIN = 0.1
"""A row agrees if all its figures that are published are within 10 %: cycles are whole numbers,
and the next one is farther away up to ten of them."""
FAR_BEYOND = 0.25
"""Beyond 25 % a row differs by more than how somebody measured or rounded."""
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
    far: int
    """Of these, rows with a figure that differs by more than 25 %."""
    distance: float
    """Factor between measured and published figures, less 1, of the median row; a row's is that
    of its figure that differs most. 0 is equality. A few rows that the source has wrong, or that
    the machine does otherwise, leave it as it is."""

    @property
    def share(self) -> float:
        """The part of the rows that agree."""
        return self.agreeing / self.rows


def resemblances(measured: Mapping[str, Measured], cores: Sequence[Core]) -> list[Resemblance]:
    """Return the cores, the most alike first; those without a common row are left out."""
    found = [_compare(measured, core) for core in cores]
    known = [one for one in found if one is not None]
    return sorted(known, key=lambda one: (-one.share, one.far / one.rows, -one.rows, one.distance))


def verdict(ordered: Sequence[Resemblance]) -> str | None:
    """Return the name of the core that the machine resembles most; None if it is unlike all."""
    if ordered and ordered[0].share >= ALIKE_SHARE:
        return ordered[0].core
    return None


def _compare(measured: Mapping[str, Measured], core: Core) -> Resemblance | None:
    rows: list[float] = []
    for name, (latency, throughput) in measured.items():
        figures = core.figures.get(name)
        if figures is None:
            continue
        pairs = ((latency, figures.latency), (throughput, figures.reciprocal_throughput))
        distances = [abs(math.log(value / known)) for value, known in pairs if value and known]
        if distances:
            rows.append(max(distances))
    if not rows:
        return None
    return Resemblance(
        core=core.name,
        rows=len(rows),
        agreeing=sum(row <= math.log1p(AGREES_WITHIN) for row in rows),
        far=sum(row > math.log1p(FAR_BEYOND) for row in rows),
        distance=math.expm1(median(rows)),
    )
