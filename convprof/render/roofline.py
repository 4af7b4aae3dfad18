"""The output of ``convprof roofline``: a table and a chart per element type and threads."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from convprof import units
from convprof.render import doubts
from convprof.render.charts.terminal import chart_lines
from convprof.render.columns import Column, print_table
from convprof.render.console import draw, say
from convprof.render.findings import GIGA
from convprof.render.roofline_chart import OVER, problem_name, roofline_chart, title
from convprof.render.tables import several_isas
from convprof.studies import roofline_answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from convprof.studies.roofline import Roofline
    from convprof.studies.roofline_model import RooflinePoint

NOTHING = "-"
WIDEST, HEIGHT = 110, 22
DEFINITIONS = """\
FLOPs are executed FLOPs; bytes are the least that the strategy moves: operands, result, and \
scratch memory written and read once
roof: the lower of the peak and FLOP/byte x bandwidth of the level that holds the data; the \
part that fits nearer caches has their bandwidth"""


def roofline_report(
    console: Console, roofline: Roofline, *, dated: str, every: bool = False
) -> None:
    """Print a table of the points and the chart. ``dated``: machine and date, for the caption.

    The table has a dozen rows at most, or ``every`` row; the chart has all points.
    """
    rows = roofline.placed if every else roofline_answer.shortlist_of(roofline.placed)
    print_table(console, title(roofline), columns(rows), rows)
    if len(rows) < len(roofline.placed):
        say(
            console,
            f"{len(roofline.placed) - len(rows)} more: slower or in the other layout (--all)",
            style="dim",
        )
    if any(map(over, rows)):
        say(
            console,
            "! over the roof: the clock rose since, or a library executes fewer FLOPs than are "
            "counted",
        )
    if roofline.unknown:
        text = (
            f"the bandwidth of {', '.join(roofline.unknown)} is unknown: a strategy whose data is "
            "there has the peak as its roof"
        )
        say(console, text)
    console.print()
    drawn = replace(roofline_chart(roofline, dated=dated), caption="")  # of a picture's marks
    draw(console, chart_lines(drawn, min(console.width, WIDEST), HEIGHT))


def definitions_report(console: Console) -> None:
    """Print the meaning of the columns."""
    say(console, *DEFINITIONS.splitlines(), style="dim")


def over(placed: RooflinePoint) -> bool:
    """Whether a point is above its roof."""
    return placed.left < OVER


def columns(rows: Sequence[RooflinePoint]) -> list[Column[RooflinePoint]]:
    """Return the columns of the table; the problem's only if there are several."""
    several = len({p.measurement.problem_key for p in rows}) > 1
    problem: list[Column[RooflinePoint]] = [Column("problem", problem_name, 1, "left")]
    layout: list[Column[RooflinePoint]] = [
        Column("layout", lambda p: p.measurement.layout or NOTHING, 2, "left", key=True)
    ]
    isa: list[Column[RooflinePoint]] = [
        Column("ISA", lambda p: p.measurement.isa or NOTHING, 2, "left", key=True)
    ]
    return [
        *(problem if several else []),
        Column(
            "strategy",
            lambda p: doubts.marked(p.measurement.strategy, p.measurement.doubt),
            1,
            "left",
            key=True,
        ),
        *(layout if any(p.measurement.layout for p in rows) else []),
        *(isa if several_isas(p.measurement for p in rows) else []),
        Column("FLOP/byte", lambda p: units.digits(p.intensity), 3),
        Column("GFLOP/s", lambda p: units.digits(p.flop_per_s / GIGA), 2),
        Column("roof [GFLOP/s]", lambda p: units.digits(p.roof / GIGA), 4),
        Column("bound by", lambda p: p.limit or NOTHING, 1, "left"),
        Column("works in", lambda p: p.level or NOTHING, 6, "left"),
        Column("to the roof", left_cell, 1),
    ]


def left_cell(placed: RooflinePoint) -> str:
    """Return ``2.3x``, the ratio of the roof to the rate; ``!`` marks a point above its roof."""
    return f"{units.digits(placed.left)}x{'!' if over(placed) else ''}"
