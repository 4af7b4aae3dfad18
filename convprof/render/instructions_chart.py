"""``instructions`` as a chart: latency and throughput, measured and as published for a core."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from convprof import units
from convprof.render.charts.chart import Bar, Bars, Panel, Reference
from convprof.render.findings import joined
from convprof.studies.instructions import verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.render.instructions import View
    from convprof.studies.instructions import Row

FIGURES = (("latency", "latency"), ("reciprocal_throughput", "cycles per instruction"))
MOST_ROWS, MOST_DIFFERENT = 14, 8
APART = 1.1
"""Figures that differ by less agree: instructions are measured to some per cent."""
DIFFERENT = "the farthest from the published figures"


def instructions_chart(view: View, *, dated: str) -> Bars | None:
    """Return bars of the widest float vectors; None if nothing was measured.

    ``dated``: machine and date. Published figures are of the most similar core.
    """
    if not view.rows:
        return None
    core = view.alike[0].core if view.alike else ""
    rows, which = _shown(view.rows)
    panels = [
        Panel("core cycles", bars, title)
        for figure, title in FIGURES
        if (bars := tuple(_bars(rows, figure, core)))
    ]
    different = _different(view.rows, core)
    if different:
        panels.append(
            Panel(
                f"measured / published for {core}",
                different,
                DIFFERENT,
                (Reference("equal", 1.0),),
                ratios=True,
            )
        )
    return Bars(
        title=_finding(view),
        panels=tuple(panels),
        subtitle=joined(which, dated),
        caption=joined(f"dashed: published for {core}" if core else "", "--csv has every row"),
    )


def _finding(view: View) -> str:
    """Return the most similar core, or a sentence that no core is similar."""
    if not view.alike:
        count = len(view.rows)
        return f"{count} instruction{'s' if count > 1 else ''}, no published figures to compare"
    nearest = view.alike[0]
    agree = f"{nearest.agreeing} of {nearest.rows} instructions agree within 10 %"
    if verdict(view.alike) is None:
        return f"unlike all published cores; nearest is {nearest.core}: {agree}"
    return f"resembles {nearest.core}: {agree}"


def _shown(rows: Sequence[Row]) -> tuple[list[Row], str]:
    """Return the arithmetic of the widest float vectors; of few chosen rows, the first rows."""
    floats = [row for row in rows if row.dtype.startswith("f") and row.source_dtype is None]
    widest = max((row.bits or 0 for row in floats), default=0)
    wide = [row for row in floats if (row.bits or 0) == widest and row.operation != "load"]
    if not wide:
        return list(rows[:MOST_ROWS]), f"{min(len(rows), MOST_ROWS)} of {len(rows)} instructions"
    wide = list({(row.operation, row.dtype): row for row in reversed(wide)}.values())[::-1]
    kind = f"vectors of {widest} bits" if widest else "scalars"
    return wide[:MOST_ROWS], f"floating point, {kind}"


def _bars(rows: Sequence[Row], figure: str, core: str) -> list[Bar]:
    bars = []
    for row in rows:
        measured = getattr(row, figure)
        if measured is None:
            continue
        known = row.published.get(core, {}).get(figure)
        published = f"published {known:g}" if known is not None else ""
        note = joined(units.digits(measured, 2), published)
        bars.append(Bar(row.name, measured, note=note, expected=known))
    return bars


def _different(rows: Sequence[Row], core: str) -> tuple[Bar, ...]:
    """Return the ratios of figures that differ by more than 10 %, the farthest first."""
    bars = []
    for row in rows:
        for figure, title in FIGURES:
            measured, known = getattr(row, figure), row.published.get(core, {}).get(figure)
            if measured and known and abs(math.log(measured / known)) > math.log(APART):
                note = f"{title}: {units.digits(measured, 2)} instead of {known:g}"
                bars.append(Bar(row.name, measured / known, note=note))
    farthest = sorted(bars, key=lambda bar: -abs(math.log(bar.value)))
    return tuple(farthest[:MOST_DIFFERENT])
