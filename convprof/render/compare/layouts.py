"""What `compare layouts` prints: both layouts side by side, the conversions, the advice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.render import describe, doubts, tables
from convprof.render.columns import Column, print_table
from convprof.render.console import say
from convprof.studies.compare.layouts import LayoutComparison, advice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from convprof.results import Measurement


def layouts_report(
    console: Console, measurements: Sequence[Measurement], comparisons: Sequence[LayoutComparison]
) -> None:
    """Print both layouts side by side, the conversions, and the advice."""
    if comparisons:
        first = comparisons[0].nchw
        title = describe.problem_line(first.problem, first.dtype)
        columns = _layout_columns(comparisons)
        print_table(console, title, columns, comparisons)
        _conversions(console, measurements)
        doubt = doubts.line(side for c in comparisons for side in (c.nchw, c.nhwc))
        if doubt is not None:
            say(console, doubt)
    for measurement in tables.excluded(measurements):
        say(console, describe.exclusion_line(measurement), style="dim")
    say(console, advice(list(comparisons)), style="bold")


def _layout_columns(comparisons: Sequence[LayoutComparison]) -> list[Column[LayoutComparison]]:
    sides = [side for c in comparisons for side in (c.nchw, c.nhwc)]
    unit = units.time_unit([side.time_s.median for side in sides if side.time_s])
    return [
        Column("strategy", lambda c: doubts.marked(c.strategy, c.doubt), 1, "left", key=True),
        Column("threads", lambda c: str(c.threads), 6, key=True),
        Column(f"NCHW [{unit.name}]", lambda c: tables.time_cell(c.nchw, unit), 3),
        Column(f"NHWC [{unit.name}]", lambda c: tables.time_cell(c.nhwc, unit), 3),
        Column("NHWC/NCHW", lambda c: tables.ratio_text(c.ratio), 2),
        Column("NHWC is", lambda c: c.verdict, 4, "left"),
        Column("pays after", _break_even_cell, 5),
    ]


def _break_even_cell(comparison: LayoutComparison) -> str:
    count = comparison.break_even
    return tables.NOTHING if count is None else f"{count:,}"


def _conversions(console: Console, measurements: Sequence[Measurement]) -> None:
    rows = [m for m in measurements if m.problem["kind"] == "reorder" and m.time_s]
    if not rows:
        return
    unit = units.time_unit([m.time_s.median for m in rows if m.time_s])
    columns: list[Column[Measurement]] = [
        Column("conversion", lambda m: str(m.problem["descriptor"]), 1, "left"),
        Column("from", lambda m: m.layout or tables.NOTHING, 2, "left"),
        Column("threads", lambda m: str(m.threads), 4, key=True),
        Column(f"time [{unit.name}]", lambda m: tables.time_cell(m, unit), 3),
        Column("GB/s", _rate_cell, 5),
    ]
    console.print()
    print_table(console, "converting between the layouts", columns, rows)


def _rate_cell(measurement: Measurement) -> str:
    if measurement.time_s is None or measurement.bytes_min is None:
        return tables.NOTHING
    return units.digits(measurement.bytes_min / measurement.time_s.median / 1e9)
